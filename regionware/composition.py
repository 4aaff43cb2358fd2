"""How the parts of a `Regionware` are put together, and what is checked before any request."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import random
from threading import Lock
from typing import TYPE_CHECKING, Any

from regionware.caching import compression
from regionware.caching.chore import Chore
from regionware.caching.coherence import Fences
from regionware.caching.flights import Flights
from regionware.caching.following import Follower
from regionware.caching.keys import KeyPlan
from regionware.caching.leases import Leases
from regionware.caching.log import LogReader
from regionware.caching.memory import Memory
from regionware.caching.purging import Relay
from regionware.caching.redis import Names, RedisTier, check_url
from regionware.caching.relaying import OutboxRelay
from regionware.caching.seal import CHECKSUM, Seal, Signature
from regionware.caching.shadow import FASTEST, Shadow
from regionware.caching.wakes import Wakes
from regionware.caching.warming import MOST, Warming
from regionware.database.position import Position
from regionware.database.token import Signer
from regionware.errors import ConfigurationError
from regionware.http.fields import is_token
from regionware.locate import Provider, Resolver
from regionware.observe import Event, Events, Sink
from regionware.policies.check import check
from regionware.policies.database import LARGEST_LAG, at_least
from regionware.policies.route import Mode, Route
from regionware.policies.table import Table
from regionware.prepared import Plan, Prepared
from regionware.purger import Purger
from regionware.rim import Rim
from regionware.session import Sessions
from regionware.topology import Region, Topology

if TYPE_CHECKING:
    from regionware.database.connection import Databases

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_SHORTEST_SECRET = 16
#: Seconds by which a token outlives everything that could be older than it.
_MARGIN = 60


@dataclass(slots=True)
class Parts:
    """Everything that one `Regionware` is made of.

    Attributes:
        longest: the longest time an entry may be used, in seconds.
    """

    prepared: Prepared
    rim: Rim
    purger: Purger
    databases: "Databases | None"
    longest: float


def compose(
    *,
    topology: Topology,
    routes: Sequence[Route],
    providers: Sequence[Provider],
    trusted: Sequence[str],
    secret: str | bytes | Sequence[str | bytes] | None,
    memory: int,
    memory_entry: int | None,
    warm: int,
    shadow: float,
    namespace: str,
    release: str,
    sign_entries: bool,
    session_cookie: str | tuple[str, str | None],
    mode: Mode,
    debug: str | None,
    sinks: Sequence[Sink],
    clock: Callable[[], float],
    wall: Callable[[], float],
) -> Parts:
    """Check the options, then build the parts; nothing is connected or started.

    Raises:
        ConfigurationError: naming the option or the route, and the reason.
    """
    _check_names(namespace, release, debug)
    table = Table(routes)
    secrets = _secrets(secret)
    signer = Signer(secrets) if secrets else None
    seal = _seal(secrets, namespace, release) if sign_entries else CHECKSUM
    _check_compression(routes)
    check(table, secret=signer is not None, has_database=topology.has_database)
    events = Events(sinks)
    resolver = Resolver(providers, topology, trusted)
    databases = _databases(topology, lambda: prepared.mode, events)
    name, domain = (session_cookie, None) if isinstance(session_cookie, str) else session_cookie
    if not is_token(name) or not (domain is None or _NAME.match(domain.removeprefix("."))):
        raise ConfigurationError("session_cookie is a cookie's name, or a name and a domain")
    sessions = Sessions(
        signer=signer if topology.has_database else None,
        name=name,
        domain=domain,
        life=session_life(routes),
        wall=wall,
        cluster=lambda: databases.cluster if databases is not None else None,
        trusts=resolver.peers.trusts,
        events=events,
    )
    here = topology.here
    fences, flights, tier_of_memory = (
        Fences(alone=here.redis is None, writing=Lock()),
        Flights(),
        Memory(memory, memory_entry),
    )
    prepared = Prepared(
        topology=topology,
        table=table,
        plans={},
        resolver=resolver,
        sessions=sessions,
        memory=tier_of_memory,
        flights=flights,
        fences=fences,
        events=events,
        clock=clock,
        wall=wall,
        random=random,
        token=lambda: leases.token(),  # noqa: PLW0108 - it is made below
        mode=mode,
        debug=debug,
        has_redis=here.redis is not None,
        has_database=topology.has_database,
        has_caches=any(route.cache is not None for route in routes),
        seal=seal,
    )
    prepared.plans.update(_plans(prepared))
    names = Names.of(namespace, release)
    for region in topology.regions:
        if region.redis is not None:
            check_url(region.redis, region.name)
    wakes = Wakes()

    def reset() -> None:
        tier_of_memory.clear()
        purger.resend()

    tier, log = _region_tier(
        here.redis, names, prepared, _retention(routes), on_reset=reset, on_wake=wakes.wake
    )
    leases = Leases(
        (lambda _: None) if tier is None else tier.renew, lambda: events.emit(Event("lease-lost"))
    )
    relays = [
        Relay(region.name, region.redis, names, _dropped(events))
        for region in topology.regions
        if region.redis is not None and region.name != here.name
    ]
    own = None if here.redis is None else Relay(here.name, here.redis, names, _dropped(events))
    outboxes = _outboxes(topology, names, events, _retention(routes))
    purger = Purger(
        prepared=prepared, tier=tier, here=own, relays=relays, outboxes=outboxes,
        retention=_retention(routes),
        position=_position(databases), aposition=_aposition(databases),
    )  # fmt: skip
    every = [*relays, *([own] if own is not None else [])]
    chores = _chores(warm, shadow, here, prepared, tier_of_memory, tier, log)
    rim = Rim(
        prepared, tier_of_memory, flights, tier, log, every, databases, purger, leases, wakes,
        outboxes, chores,
    )  # fmt: skip
    return Parts(prepared, rim, purger, databases, _longest(routes))


def _check_names(namespace: str, release: str, debug: str | None) -> None:
    for option, value in (("namespace", namespace), ("release", release or "-")):
        if not _NAME.match(value):
            raise ConfigurationError(
                f"{option} is 1 to 64 letters, digits, dots, hyphens or underscores"
            )
    if debug is not None and len(debug) < _SHORTEST_SECRET:
        raise ConfigurationError(
            f"debug must be unguessable: at least {_SHORTEST_SECRET} characters"
        )


def _secrets(secret: str | bytes | Sequence[str | bytes] | None) -> list[str | bytes]:
    if secret is None:
        return []
    secrets: list[str | bytes] = [secret] if isinstance(secret, (str, bytes)) else list(secret)
    if any(len(one) < _SHORTEST_SECRET for one in secrets):
        raise ConfigurationError(f"secret must be at least {_SHORTEST_SECRET} characters")
    if not secrets:
        raise ConfigurationError("secret: an empty list signs nothing")
    return secrets


def _seal(secrets: Sequence[str | bytes], namespace: str, release: str) -> Seal:
    if not secrets:
        raise ConfigurationError(
            "sign_entries: entries are signed with secret=..., which is missing"
        )
    return Signature(secrets, namespace, release)


def _check_compression(routes: Sequence[Route]) -> None:
    for route in routes:
        if route.cache is not None and route.cache.compress and not compression.AVAILABLE:
            raise route.refuse("compress=True needs zstd: install regionware[zstd]")


def _databases(topology: Topology, mode: Callable[[], Mode], events: Events) -> "Databases | None":
    if not topology.has_database:
        return None
    try:
        from regionware.database.connection import Databases  # noqa: PLC0415 - needs libpq
    except ImportError as error:
        raise ConfigurationError(
            f"a database needs psycopg with libpq: install regionware[binary], or libpq ({error})"
        ) from error
    return Databases(topology, mode=mode, tell=events.emit)


def _plans(prepared: Prepared) -> dict[int, Plan]:
    session = prepared.sessions.cookies | prepared.resolver.cookies
    plans = {}
    for compiled in (*prepared.table.routes, prepared.table.fallback):
        cache = compiled.route.cache
        keys = None if cache is None else KeyPlan(
            cache, session=session, trusts=prepared.resolver.peers.trusts,
            region=lambda request: prepared.resolver.resolve(request).region.name,
        )  # fmt: skip
        plans[compiled.index] = Plan(compiled, keys, has_database=prepared.has_database)
    return plans


def _region_tier(
    url: str | None,
    names: Names,
    prepared: Prepared,
    retention: int,
    *,
    on_reset: Callable[[], None],
    on_wake: Callable[[str], None],
) -> tuple[RedisTier | None, LogReader | None]:
    if url is None:
        return None, None

    def happened(name: str, detail: str) -> None:
        prepared.events.emit(Event(name, detail=detail))

    tier = RedisTier(url, names, on_event=happened)
    follower = Follower(
        prepared.fences, retention=retention, on_reset=on_reset, tell=prepared.events.emit
    )
    log = LogReader(url, tier, follower, clock=prepared.clock, on_wake=on_wake)
    return tier, log


def _outboxes(
    topology: Topology, names: Names, events: Events, retention: int
) -> list[OutboxRelay]:
    """What relays from this region's Redis to each other one."""
    near = topology.here.redis
    others = {
        region.name: region.redis
        for region in topology.regions
        if region.redis is not None and region.name != topology.here.name
    }
    return [] if near is None else [
        OutboxRelay(
            name, near=near, far=far, names=names, retention=retention, regions=list(others),
            tell=events.emit,
        )
        for name, far in others.items()
    ]  # fmt: skip


def _chores(  # noqa: PLR0917 - called in this file only
    warm: int,
    shadow: float,
    here: Region,
    prepared: Prepared,
    memory: Memory,
    tier: RedisTier | None,
    log: LogReader | None,
) -> list[Chore]:
    """What goes on in the background of a worker, if it is wanted."""
    if warm not in range(MOST + 1):
        raise ConfigurationError(f"warm is a number of entries from 0 to {MOST}")
    if not 0 <= shadow <= FASTEST:
        raise ConfigurationError(f"shadow is a number of comparisons a second, 0 to {FASTEST:g}")
    if here.redis is None or tier is None or log is None:
        for option, value in (("warm", warm), ("shadow", shadow)):
            if value:
                raise ConfigurationError(f"{option}: region {here.name} has no Redis")
        return []
    warming = Warming(here.redis, tier, prepared, memory, lambda: log.synced, warm)
    comparing = Shadow(here.redis, tier, prepared, memory, shadow)
    return [*([warming] if warm else []), *([comparing] if shadow else [])]


def _dropped(events: Events) -> Callable[[str], None]:
    return lambda region: events.emit(Event("purge-dropped", detail=region))


def _spans(routes: Sequence[Route]) -> list[float]:
    return [route.cache.longest for route in routes if route.cache is not None]


def _longest(routes: Sequence[Route]) -> float:
    return max(_spans(routes), default=0.0)


def session_life(routes: Sequence[Route]) -> int:
    """Seconds a token lives: until no host and no entry can still be older than it.

    That is at least the largest admitted lag plus the longest time an entry of a route that
    compares entries with sessions may be used.
    """
    spans = _spans(
        [r for r in routes if r.cache is not None and at_least(r.cache.consistency, "own-writes")]
    )
    return int(LARGEST_LAG + max(spans, default=0.0)) + _MARGIN


def _retention(routes: Sequence[Route]) -> int:
    """Microseconds; other releases of the namespace may keep entries longer than this one."""
    return int(max(2 * _longest(routes), 86_400) * 1_000_000)


def _position(databases: "Databases | None") -> Callable[[], Position | None]:
    return (lambda: None) if databases is None else databases.primary_position


def _aposition(databases: "Databases | None") -> Any:
    async def nothing() -> None:
        return None

    return nothing if databases is None else databases.aprimary_position
