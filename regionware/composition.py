"""How the parts of a `Regionware` are put together; nothing is connected or started."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regionware.adapters.edges.line import AGAIN, PREFIX, EdgeLine
from regionware.adapters.edges.wiring import lines, tells_edges
from regionware.caching.chore import Chore
from regionware.caching.flights import Flights
from regionware.caching.following import Follower
from regionware.caching.leases import Leases
from regionware.caching.log import LogReader
from regionware.caching.memory import Memory
from regionware.caching.purging import Relay
from regionware.caching.redis import RedisTier
from regionware.caching.relaying import OutboxRelay
from regionware.caching.scripts import Names
from regionware.caching.shadow import Shadow
from regionware.caching.wakes import Wakes
from regionware.caching.warming import Warming
from regionware.configuration import Options
from regionware.database.position import Position
from regionware.database.timelines import NO_HISTORY, Timelines
from regionware.errors import ConfigurationError
from regionware.locate.geoip import GeoIP
from regionware.locate.operating import Regions
from regionware.log_purges import LogPurges
from regionware.observe import Event, Events
from regionware.policies.route import Mode
from regionware.prepared import Prepared
from regionware.preparing import prepare
from regionware.purger import Purger
from regionware.rim import Rim
from regionware.topology import Region, Topology

if TYPE_CHECKING:
    from regionware.database.connection import Databases
    from regionware.forwarding.client import Client


@dataclass(slots=True)
class Parts:
    """Everything that one `Regionware` is made of.

    Attributes:
        longest: the longest time an entry may be used, in seconds.
        regions: which of them are up, and how far they are.
    """

    prepared: Prepared
    rim: Rim
    purger: Purger
    databases: "Databases | None"
    edges: Sequence[EdgeLine]
    longest: float
    regions: Regions


def compose(options: Options) -> Parts:
    """Build the parts.

    Raises:
        ConfigurationError: naming the option or the route, and the reason.
    """
    # What is called later may name what is made below.
    databases = _databases(
        options, lambda: prepared.mode,
        tell=lambda event: prepared.events.emit(event),  # noqa: PLW0108 - it is made below
        on_history=lambda history: prepared.fences.learn(history),  # noqa: PLW0108 - the same
    )  # fmt: skip
    memory, flights = Memory(options.memory, options.memory_entry), Flights()
    prepared = prepare(
        options, memory, flights,
        cluster=lambda: None if databases is None else databases.cluster,
        timelines=lambda: NO_HISTORY if databases is None else databases.known.timelines,
        token=lambda: leases.token(),  # noqa: PLW0108 - it is made below
        primary=lambda: _primary(options.topology, databases),
    )  # fmt: skip

    def reset() -> None:
        memory.clear()
        purger.resend()

    wakes, names = Wakes(), Names.of(options.namespace, options.release)
    tier, log = _tier(options, names, prepared, wakes, on_reset=reset)
    leases = _leases(tier, prepared.events)
    relays, own = _relays(options.topology, names, prepared)
    receivers = _receivers(options)
    outboxes = _outboxes(options, names, prepared.events, receivers)
    edges = lines(
        options.edges, prepared, names, retention=options.retention, receivers=receivers,
        reached=_reached(databases),
    )  # fmt: skip
    purger = Purger(
        prepared=prepared, tier=tier, here=own, relays=relays, outboxes=outboxes,
        edges=edges, retention=options.retention,
        position=_nowhere if databases is None else databases.primary_position,
        aposition=_anowhere if databases is None else databases.aprimary_position,
    )  # fmt: skip
    every = [*relays, *([own] if own is not None else [])]
    chores = _chores(options, prepared, memory, tier, log)
    if databases is not None:
        databases.purges = LogPurges(
            prepared, tier, own, retention=options.retention,
            edges=edges if tells_edges(options.topology) else (),
        )  # fmt: skip
        chores.append(databases.purges)
    rim = Rim(
        prepared, memory, flights, tier, log, every, databases, purger, leases, wakes, outboxes,
        chores, _watches(options, prepared.events), edges, _client(options, prepared.events),
    )  # fmt: skip
    regions = Regions(prepared.resolver)
    return Parts(prepared, rim, purger, databases, edges, options.longest, regions)


def _primary(topology: Topology, databases: "Databases | None") -> Region:
    """The region of the server that takes the writes now; the declared one, while nobody does."""
    if databases is None:
        return topology.primary
    databases.start()
    host = databases.known.primary
    return topology.primary if host is None else topology.region(host.name.partition("/")[0])


def _client(options: Options, events: Events) -> "Client | None":
    """What forwards, if a route does and there is somewhere to forward to."""
    forwards = [
        write for route in options.routes
        if route.write is not None and (write := route.write.forwarding) is not None
    ]  # fmt: skip
    if not forwards or len(options.topology.regions) == 1:
        return None
    try:
        from regionware.forwarding.client import Client  # noqa: PLC0415 - needs the extra
    except ImportError as error:
        raise ConfigurationError(
            f"Write.forward() needs httpcore: install regionware[forward] ({error})"
        ) from error
    return Client(forwards, events)


def _databases(
    options: Options,
    mode: Callable[[], Mode],
    tell: Callable[[Event], None],
    on_history: Callable[[Timelines], None],
) -> "Databases | None":
    if not options.topology.has_database:
        return None
    try:
        from regionware.database.connection import Databases  # noqa: PLC0415 - needs libpq
        from regionware.database.pools import Limits  # noqa: PLC0415 - the same
    except ImportError as error:
        raise ConfigurationError(
            f"a database needs psycopg with libpq: install regionware[binary], or libpq ({error})"
        ) from error
    limits = Limits(takeover=options.takeover)
    return Databases(options.topology, mode=mode, limits=limits, tell=tell, on_history=on_history)


def _tier(
    options: Options,
    names: Names,
    prepared: Prepared,
    wakes: Wakes,
    *,
    on_reset: Callable[[], None],
) -> tuple[RedisTier | None, LogReader | None]:
    """This region's Redis, and who reads its log."""
    url = options.topology.here.redis
    if url is None:
        return None, None

    def happened(name: str, detail: str) -> None:
        prepared.events.emit(Event(name, detail=detail))
        if name == "redis-down":
            # Who waits for a fill elsewhere would hear of its end through this Redis.
            wakes.release()

    tier = RedisTier(url, names, on_event=happened)
    follower = Follower(
        prepared.fences, retention=options.retention, on_reset=on_reset, tell=prepared.events.emit
    )
    log = LogReader(url, tier, follower, clock=prepared.clock, on_wake=wakes.wake)
    return tier, log


def _leases(tier: RedisTier | None, events: Events) -> Leases:
    renew = (lambda some: [None] * len(some)) if tier is None else tier.renew
    return Leases(renew, lambda: events.emit(Event("lease-lost")))


def _relays(
    topology: Topology, names: Names, prepared: Prepared
) -> tuple[list[Relay], Relay | None]:
    """What carries purges from this process to each other region's Redis, and to this one's."""

    def dropped(region: str) -> None:
        prepared.events.emit(Event("purge-dropped", detail=region))

    relays = [
        Relay(region.name, region.redis, names, dropped)
        for region in topology.regions
        if region.redis is not None and region is not topology.here
    ]
    url = topology.here.redis
    if url is None:
        return relays, None
    own = Relay(topology.here.name, url, names, dropped, prepared.fences.raise_to)
    return relays, own


def _receivers(options: Options) -> list[str]:
    """Whom this region's outbox waits for: the other regions with a Redis, and the edges."""
    topology = options.topology
    others = [region.name for region in topology.regions if region.redis is not None]
    edges = [PREFIX + edge.name for edge in options.edges]
    again = [key + AGAIN for key in edges]
    return [*(name for name in others if name != topology.here.name), *edges, *again]


def _outboxes(
    options: Options, names: Names, events: Events, receivers: Sequence[str]
) -> list[OutboxRelay]:
    """What relays from this region's Redis to each other one."""
    here = options.topology.here
    others = {
        region.name: region.redis
        for region in options.topology.regions
        if region.redis is not None and region.name != here.name
    }
    return [] if here.redis is None else [
        OutboxRelay(
            name, near=here.redis, far=far, names=names, retention=options.retention,
            regions=receivers, tell=events.emit,
        )
        for name, far in others.items()
    ]  # fmt: skip


def _watches(options: Options, events: Events) -> list[Chore]:
    """What looks at files that may be replaced."""
    return [each.watch(events.emit) for each in options.region if isinstance(each, GeoIP)]


def _reached(databases: "Databases | None") -> Callable[[Position | None], bool]:
    """Whether no replica of any region can show anything older than a position."""

    def reached(position: Position | None) -> bool:
        if databases is None:
            return True
        known = databases.known
        replicas = [
            mark
            for name, mark in known.marks.items()
            if known.primary is not None and name != known.primary.name
        ]
        return (
            position is not None
            and known.primary is not None
            and all(
                mark.position is not None and mark.position.reached(position) for mark in replicas
            )
        )

    return reached


def _chores(
    options: Options,
    prepared: Prepared,
    memory: Memory,
    tier: RedisTier | None,
    log: LogReader | None,
) -> list[Chore]:
    """What goes on in the background of a worker, if it is wanted."""
    url = options.topology.here.redis
    if url is None or tier is None or log is None:
        return []
    chores: list[Chore] = []
    if options.warm:
        chores.append(Warming(url, tier, prepared, memory, lambda: log.synced, options.warm))
    if options.shadow:
        chores.append(Shadow(url, tier, prepared, memory, options.shadow))
    return chores


def _nowhere(_: float) -> Position | None:
    """Where the primary is, when there is none."""
    return None


async def _anowhere(_: float) -> Position | None:
    """The async twin of `_nowhere`."""
    return None
