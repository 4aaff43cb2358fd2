"""How the parts that purge edges are put together; nothing is connected or started."""

import logging
from collections.abc import Callable, Sequence

from regionware.adapters.edges.courier import Courier, Transport
from regionware.adapters.edges.line import AGAIN, PREFIX, EdgeLine
from regionware.adapters.edges.outbox import EdgeOutbox, EdgeRepeat, Lag
from regionware.adapters.edges.protocol import Capabilities, EdgePurger, checked_name
from regionware.adapters.edges.sender import EdgeSender
from regionware.caching.coherence import BOUND
from regionware.caching.scripts import Names
from regionware.database.position import Position
from regionware.errors import ConfigurationError
from regionware.policies.database import LARGEST_LAG
from regionware.policies.route import Route
from regionware.policies.table import Compiled
from regionware.prepared import Prepared
from regionware.topology import Topology
from regionware.vendors.catalogue import VENDORS
from regionware.vendors.tags import edge_tags

logger = logging.getLogger("regionware")

Reached = Callable[[Position | None], bool]


def check_edges(edges: Sequence[EdgePurger], routes: Sequence[Route] = ()) -> None:
    """Refuse edges that cannot be purged, or told apart.

    Args:
        edges: as they were given.
        routes: what is told of tags.

    Raises:
        ConfigurationError: naming the edge or the route, and the reason.
    """
    names = [checked_name(edge.name) for edge in edges]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"edges: two are called {name}: say name=...")
    for edge in edges:
        if edge.capabilities.tags:
            edge_tags(edge.vendor, ["x"])
    for route in routes:
        _check_route(route, [edge for edge in edges if edge.capabilities.tags])
    if edges:
        _httpx()


def _check_route(route: Route, edges: Sequence[EdgePurger]) -> None:
    """Refuse a route whose tags no edge reads: to purge by them would do nothing there."""
    if route.cdn is None or not route.cdn.is_public or not edges:
        return
    tags = route.cdn.tags if route.cdn.tags is not None else route.cache and route.cache.tags
    told = {vendor.tags.name for vendor in route.cdn.vendors if vendor.tags is not None}
    read = {edge.name: tags_of(edge.vendor) for edge in edges}
    if tags and told.isdisjoint(read.values()):
        names = " and ".join(read)
        raise route.refuse(
            f"tells its tags in {' and '.join(sorted(told)) or 'no field'}, which {names} "
            "does not read: say Cdn(vendor=...)"
        )
    unread = [name for name, known in read.items() if known not in told]
    if tags and unread:
        logger.warning(
            "route %s: %s is not told its tags: a purge by tag does nothing there", route.path,
            " and ".join(unread),
        )  # fmt: skip


def tags_of(vendor: str | None) -> str:
    """The field in which a vendor reads tags."""
    found = VENDORS[vendor].tags
    return "" if found is None else found.name


def _httpx() -> Callable[[], Transport]:
    try:
        from regionware.adapters.edges.transport import HttpxTransport  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError('edges need httpx: install "regionware[purge]"') from error
    return HttpxTransport


def lines(
    edges: Sequence[EdgePurger],
    prepared: Prepared,
    names: Names,
    *,
    retention: int,
    receivers: Sequence[str],
    reached: Reached,
) -> list[EdgeLine]:
    """One for each edge.

    Args:
        edges: they have been checked.
        prepared: the topology, the routes, and who is told of events.
        names: the keys in Redis.
        retention: microseconds after which no entry can be older than a fence.
        receivers: all that the outbox waits for.
        reached: see `Lag`.
    """
    return [
        _line(edge, prepared, names, retention=retention, receivers=receivers, reached=reached)
        for edge in edges
    ]


def _line(
    edge: EdgePurger,
    prepared: Prepared,
    names: Names,
    *,
    retention: int,
    receivers: Sequence[str],
    reached: Reached,
) -> EdgeLine:
    tell, here = prepared.events.emit, prepared.topology.here
    courier = Courier(edge, _httpx(), tell=tell)
    key, lag = PREFIX + edge.name, lag_of(edge.capabilities, prepared, reached)
    sender = EdgeSender(courier, key, lag=lag, tell=tell)
    if here.redis is None:
        return EdgeLine(courier, sender, ())
    others = [name for name in receivers if not name.startswith(PREFIX)]
    first = EdgeOutbox(
        courier, others, key, near=here.redis, names=names, retention=retention,
        regions=receivers, tell=tell,
    )  # fmt: skip
    again = EdgeRepeat(
        courier, others, key + AGAIN, lag=lag, near=here.redis, names=names,
        retention=retention, regions=receivers, tell=tell,
    )  # fmt: skip
    return EdgeLine(courier, sender, (first, again))


def lag_of(able: Capabilities, prepared: Prepared, reached: Reached) -> Lag:
    """When an edge is purged for the second time.

    A worker that hears of no purges may answer from memory for `BOUND`; the edge itself takes its
    time; and a replica of which a public answer may be made lags as its route admits.
    """
    least = BOUND + able.propagation
    return Lag(least=least, most=least + _largest_lag(prepared), reached=reached)


def _largest_lag(prepared: Prepared) -> float:
    if not any(region.replicas for region in prepared.topology.regions):
        return 0.0
    routes = [*prepared.table.routes, prepared.table.fallback]
    public = [each for each in routes if each.route.cdn is not None and each.route.cdn.is_public]
    return max(_lag(each) for each in public or routes)


def _lag(compiled: Compiled) -> float:
    if compiled.database.consistency == "strong":
        return 0.0
    return LARGEST_LAG if compiled.database.max_lag is None else compiled.database.max_lag


def tells_edges(topology: Topology) -> bool:
    """Whether this is the region that tells the edges of purges in the database's log.

    All regions see every row, and the edges are the same for all of them: so one region does. It is
    the primary's, where rows are seen first, and where there is somebody for as long as anything
    can be written; if that has no Redis, in which one worker is chosen, the first that has one.
    """
    ordered = [topology.primary, *topology.regions]
    chosen = next((region for region in ordered if region.redis is not None), topology.primary)
    return topology.here.name == chosen.name
