"""How what a request needs is made from the options: the brain of one `Regionware`."""

from collections.abc import Callable
from threading import Lock

from regionware.caching.coherence import Fences
from regionware.caching.flights import Flights
from regionware.caching.keys import LOOKUP, REWRITING, UNKEYED, KeyPlan
from regionware.caching.memory import Memory
from regionware.caching.seal import CHECKSUM, Signature
from regionware.configuration import Options
from regionware.database.timelines import Timelines
from regionware.database.token import Signer
from regionware.dice import DICE
from regionware.forwarding.fields import CHANGED
from regionware.forwarding.hop import Hops
from regionware.forwarding.ways import Ways
from regionware.http.hosts import Hosts
from regionware.http.request import Request
from regionware.locate.border import Border
from regionware.locate.claim import Provider
from regionware.locate.forgeable import TELLING
from regionware.locate.healthy import Marks
from regionware.locate.latency import Latency
from regionware.locate.mapping import RegionMap
from regionware.locate.pin import Pin, Pinned, PinSigner
from regionware.locate.probe import Endpoint
from regionware.locate.resolver import Resolver
from regionware.observe import Events
from regionware.policies.check import check
from regionware.policies.edges import varies_by_region
from regionware.policies.table import Compiled, Table
from regionware.prepared import Plan, Prepared
from regionware.session import Sessions
from regionware.topology import Region
from regionware.variance import Variance


def prepare(
    options: Options,
    memory: Memory,
    flights: Flights,
    *,
    cluster: Callable[[], str | None],
    timelines: Callable[[], Timelines],
    token: Callable[[], str],
    primary: Callable[[], Region],
) -> Prepared:
    """Check the promises of the routes, then compile everything that can be compiled.

    Args:
        options: all of them.
        memory: this process's tier.
        flights: the fills in progress.
        cluster: the name of the primary's cluster, once it has answered.
        timelines: how the cluster's timelines hang together.
        token: a lease's token, different each time, in every process.
        primary: the region of the server that takes the writes now.

    Raises:
        ConfigurationError: naming the route and the reason.
    """
    topology = options.topology
    table = Table(options.routes)
    check(table, secret=bool(options.secrets), has_database=topology.has_database)
    events = Events(options.sinks)
    sessions, resolver = _located(options, events, cluster, timelines)
    has_redis = topology.here.redis is not None
    prepared = Prepared(
        topology=topology,
        table=table,
        plans={},
        resolver=resolver,
        sessions=sessions,
        memory=memory,
        flights=flights,
        fences=Fences(alone=not has_redis, writing=Lock()),
        events=events,
        clock=options.clock,
        wall=options.wall,
        random=DICE.random,
        token=token,
        mode=options.mode,
        debug=options.debug,
        has_redis=has_redis,
        has_database=topology.has_database,
        has_caches=any(route.cache is not None for route in options.routes),
        hosts=Hosts(options.hosts),
        ways=_ways(options, resolver, primary),
        seal=(
            Signature(options.secrets, options.namespace, options.release)
            if options.sign_entries
            else CHECKSUM
        ),
        probe=_probe(options, resolver, events),
    )
    if _guards(options):
        read = resolver.believed - LOOKUP
        prepared.border = Border(resolver.ingresses, rewriting=REWRITING, read=read)
    harmless = UNKEYED if prepared.border is None else prepared.border.harmless
    prepared.harmless = harmless | {"host"}
    prepared.plans.update(_plans(prepared))
    return prepared


def _located(
    options: Options,
    events: Events,
    cluster: Callable[[], str | None],
    timelines: Callable[[], Timelines],
) -> tuple[Sessions, Resolver]:
    """Who reads a client's cookies, and who says where it is: pins are both."""
    sessions = _sessions(options, events, cluster, timelines)

    def pinned(provider: Provider) -> Provider:
        if not isinstance(provider, Pin):
            return provider
        return Pinned(
            provider, PinSigner(options.secrets), options.topology.by_name,
            secure=sessions.secure, wall=options.wall,
        )  # fmt: skip

    mapping = options.mapping or RegionMap()
    marks = Marks(options.topology, options.clock, events, mapping.health)
    providers = [pinned(provider) for provider in options.region]
    return sessions, Resolver(providers, options.topology, options.trusted, mapping, marks)


def _probe(options: Options, resolver: Resolver, events: Events) -> Endpoint | None:
    if options.probed is None:
        return None
    rules = (options.mapping or RegionMap()).latency or Latency()
    pinned = next((each for each in resolver.providers if isinstance(each, Pinned)), None)

    def host(request: Request) -> str:
        # What nobody vouches for has been removed, where anybody is believed.
        told = request.special.get("x-forwarded-host") if resolver.ingresses else None
        return request.host if told is None else told.rpartition(",")[2].strip().lower()

    return Endpoint(
        options.probed, resolver, regions=options.topology.regions, pinned=pinned, better=rules,
        events=events, host=host,
    )  # fmt: skip


def _ways(options: Options, resolver: Resolver, primary: Callable[[], Region]) -> Ways:
    writes = [route.write for route in options.routes if route.write is not None]
    away = any(write.forwarding or write.replays for write in writes)
    ways = resolver.ingresses.ways
    secrets = frozenset[str]().union(*(way.secrets for way in ways))
    believed = resolver.believed.union(*(way.believed or () for way in ways))
    return Ways(
        hops=Hops(options.secrets) if away and options.secrets else None,
        primary=primary,
        # No proxy changes what a look-up depends on, cookies for one, which are long at times.
        changed=(CHANGED | TELLING | resolver.headers | believed) - LOOKUP - secrets,
        secrets=secrets,
        platforms=frozenset(write.strategy for write in writes if write.replays),
    )


def _sessions(
    options: Options,
    events: Events,
    cluster: Callable[[], str | None],
    timelines: Callable[[], Timelines],
) -> Sessions:
    signer = Signer(options.secrets) if options.secrets else None
    name, domain = options.cookie
    return Sessions(
        signer=signer if options.topology.has_database else None,
        name=name,
        domain=domain,
        life=options.session_life,
        wall=options.wall,
        cluster=cluster,
        trusts=_guards(options),
        events=events,
        timelines=timelines,
    )


def _guards(options: Options) -> bool:
    """Whether somebody asks who is believed: then nothing else reaches any decision."""
    return bool(options.region or options.trusted)


def _plans(prepared: Prepared) -> dict[int, Plan]:
    session = prepared.sessions.cookies | prepared.resolver.cookies
    routes = [compiled.route for compiled in prepared.table.routes]
    # The primary alone never goes back; then only entries could.
    goes_back = any(region.replicas for region in prepared.topology.regions) or any(
        route.cache is not None and route.cache.consistency == "session" for route in routes
    )
    plans = {}
    for compiled in (*prepared.table.routes, prepared.table.fallback):
        cache, variance = compiled.route.cache, _variance(compiled, prepared)
        keys = None if cache is None else KeyPlan(
            cache, session=session, trusts=prepared.border is not None,
            region=_region_of(prepared.resolver, variance), hosts=prepared.hosts,
        )  # fmt: skip
        plans[compiled.index] = Plan(
            compiled, keys, has_database=prepared.has_database, goes_back=goes_back,
            variance=variance,
        )  # fmt: skip
    return plans


def _variance(compiled: Compiled, prepared: Prepared) -> Variance | None:
    """How the edges of a route keep regions apart; `None` where they need not."""
    route, cookies = compiled.route, prepared.resolver.cookies
    cdn = route.cdn
    if cdn is None or not cdn.is_public or not varies_by_region(route):
        return None
    blind = [vendor.title for vendor in cdn.vendors if vendor.variance in {"values", "vary"}]
    if cookies and blind:
        raise route.refuse(
            f"answers differ by region, and the cookie {min(cookies)} can choose one, which "
            f"{blind[0]} does not look at"
        )
    return Variance(cdn.vendors, prepared.resolver.placing.ranker.by_country())


def _region_of(resolver: Resolver, variance: Variance | None) -> Callable[[Request], str]:
    """The client's region as a part of a key: an answer for the edge is not one for nobody."""

    def named(request: Request) -> str:
        located = resolver.resolve(request)
        return located.region.name if variance is None else variance.key(request, located)

    return named
