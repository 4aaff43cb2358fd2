"""How what a request needs is made from the options: the brain of one `Regionware`."""

from collections.abc import Callable
from threading import Lock

from regionware.caching.coherence import Fences
from regionware.caching.flights import Flights
from regionware.caching.keys import KeyPlan
from regionware.caching.memory import Memory
from regionware.caching.seal import CHECKSUM, Signature
from regionware.configuration import Options
from regionware.database.timelines import Timelines
from regionware.database.token import Signer
from regionware.dice import DICE
from regionware.forwarding.fields import CHANGED
from regionware.forwarding.hop import Hops
from regionware.forwarding.ways import Ways
from regionware.locate import Resolver
from regionware.observe import Events
from regionware.policies.check import check
from regionware.policies.table import Table
from regionware.prepared import Plan, Prepared
from regionware.session import Sessions
from regionware.topology import Region


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
    resolver = Resolver(options.region, topology, options.trusted)
    has_redis = topology.here.redis is not None
    prepared = Prepared(
        topology=topology,
        table=table,
        plans={},
        resolver=resolver,
        sessions=_sessions(options, resolver, events, cluster, timelines),
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
        ways=_ways(options, resolver, primary),
        seal=(
            Signature(options.secrets, options.namespace, options.release)
            if options.sign_entries
            else CHECKSUM
        ),
    )
    prepared.plans.update(_plans(prepared))
    return prepared


def _ways(options: Options, resolver: Resolver, primary: Callable[[], Region]) -> Ways:
    writes = [route.write for route in options.routes if route.write is not None]
    away = any(write.forwarding or write.replays for write in writes)
    return Ways(
        hops=Hops(options.secrets) if away and options.secrets else None,
        primary=primary,
        changed=CHANGED | resolver.headers,
        platforms=frozenset(write.strategy for write in writes if write.replays),
    )


def _sessions(
    options: Options,
    resolver: Resolver,
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
        trusts=resolver.peers.trusts,
        events=events,
        timelines=timelines,
    )


def _plans(prepared: Prepared) -> dict[int, Plan]:
    session = prepared.sessions.cookies | prepared.resolver.cookies
    routes = [compiled.route for compiled in prepared.table.routes]
    # The primary alone never goes back; then only entries could.
    goes_back = any(region.replicas for region in prepared.topology.regions) or any(
        route.cache is not None and route.cache.consistency == "session" for route in routes
    )
    plans = {}
    for compiled in (*prepared.table.routes, prepared.table.fallback):
        cache = compiled.route.cache
        keys = None if cache is None else KeyPlan(
            cache, session=session, trusts=prepared.resolver.peers.trusts,
            region=lambda request: prepared.resolver.resolve(request).region.name,
        )  # fmt: skip
        plans[compiled.index] = Plan(
            compiled, keys, has_database=prepared.has_database, goes_back=goes_back
        )
    return plans
