"""Raises fences: in this process, in this region's Redis, and, relayed, in the others.

For those whom nobody can tell that a fence is not confirmed: a commit stands, and so does a
response. What is not confirmed at once is queued, and reported.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from regionware.caching.awaiting import IN_PROCESS
from regionware.caching.purging import (
    TO_REGIONS,
    Chunks,
    Order,
    Purged,
    Relay,
    Waited,
    araise_here,
    raise_here,
)
from regionware.caching.redis import RedisTier
from regionware.caching.relaying import OutboxRelay
from regionware.database.position import Position
from regionware.effects import Invalidate
from regionware.errors import PurgeError
from regionware.observe import Event
from regionware.prepared import Prepared

#: Without a Redis, stamps are a count of purges: of more than this many the oldest are forgotten,
#: with every entry that is older.
_MANY = 100_000

#: Seconds for which a commit waits for this region's Redis to confirm its purges; then they are
#: queued.
_COMMITTED = 0.25

logger = logging.getLogger("regionware")


class EdgeQueue(Protocol):
    """What carries purges to a cache in front; the rim knows no more of it.

    Attributes:
        name: of the edge.
        key: of its cursor.
        sender: carries what is in no outbox.
    """

    name: str
    key: str

    @property
    def sender(self) -> Waited:
        """See the class."""

    def check(self, names: Sequence[str]) -> None:
        """Refuse what the edge cannot do.

        Raises:
            ConfigurationError: naming the edge, and what.
        """

    def take(self, order: Order, stamp: int) -> str:
        """Take a purge, which is in the outbox if it has a stamp; where it is queued."""

    def resend(self) -> None:
        """The outbox may have been lost."""

    def start(self) -> None:
        """Take from the outbox."""

    def stop(self) -> None:
        """Deliver what can be, then end."""

    def forget(self) -> None:
        """After a fork."""


class Fencing:
    """What a purge, a commit and a response have in common."""

    def __init__(
        self,
        *,
        prepared: Prepared,
        tier: RedisTier | None,
        here: Relay | None,
        relays: Sequence[Relay],
        outboxes: Sequence[OutboxRelay],
        edges: Sequence[EdgeQueue] = (),
        retention: int,
    ) -> None:
        """Prepare.

        Args:
            prepared: whose fences are raised.
            tier: this region's Redis.
            here: carries what this region's Redis did not confirm.
            relays: one for each other region with a Redis, for what has no outbox to be in.
            outboxes: one for each other region with a Redis, if this one has a Redis too.
            edges: one for each cache in front that is purged.
            retention: microseconds after which no entry can be older than a fence.
        """
        self._prepared = prepared
        self._tier = tier
        self._here = here
        self._relays = relays
        self._outboxes = outboxes
        self._edges = edges
        self._retention = retention

    def committed(self, items: Iterable[Sequence[str]], position: Position | None) -> None:
        """Send the purges of a transaction that has been committed.

        The commit stands whatever happens here, so nothing is raised: what Redis does not confirm
        is queued, and reported.
        """
        for order in self._orders(items, position):
            try:
                self._relay(
                    order,
                    0
                    if self._tier is None
                    else raise_here(self._tier, self._chunks(order), _COMMITTED),
                )
            except PurgeError as error:
                logger.warning("%s", self._not_confirmed(order, error))

    async def acommitted(self, items: Iterable[Sequence[str]], position: Position | None) -> None:
        """The async twin of `committed`. Cancelled, it queues what is not confirmed, then ends."""
        for order in self._orders(items, position):
            try:
                stamp = 0
                if self._tier is not None:
                    stamp = await araise_here(self._tier, self._chunks(order), _COMMITTED)
            except PurgeError as error:
                logger.warning("%s", self._not_confirmed(order, error))
            except BaseException:
                self._not_confirmed(order, PurgeError("interrupted", queued={}))
                raise
            else:
                self._relay(order, stamp)

    def invalidate(self, ask: Invalidate) -> None:
        """Raise the fences of a response; what is not confirmed at once is queued."""
        order = self._order(ask.names, ask.position)
        if self._tier is None:
            self._relay(order, 0, edges=ask.edges)
            return
        stamp = 0
        try:
            for chunk in self._chunks(order, edges=ask.edges):
                stamp = self._tier.invalidate(chunk, ask.digests)
        finally:
            self._invalidated(order, stamp, edges=ask.edges)

    async def ainvalidate(self, ask: Invalidate) -> None:
        """The async twin of `invalidate`."""
        order = self._order(ask.names, ask.position)
        if self._tier is None:
            self._relay(order, 0, edges=ask.edges)
            return
        stamp = 0
        try:
            for chunk in self._chunks(order, edges=ask.edges):
                stamp = await self._tier.ainvalidate(chunk, ask.digests)
        finally:
            # The client may go meanwhile; what its request has changed stands.
            self._invalidated(order, stamp, edges=ask.edges)

    def _invalidated(self, order: Order, stamp: int, *, edges: bool) -> None:
        if stamp:
            self._relay(order, stamp, edges=edges)
        else:
            self._not_confirmed(order, PurgeError("not confirmed", queued={}), edges=edges)

    def _orders(self, items: Iterable[Sequence[str]], position: Position | None) -> list[Order]:
        """All purges of one transaction are one."""
        names = tuple(dict.fromkeys(name for item in items for name in item))
        return [self._order(names, position)] if names else []

    def _order(self, names: Sequence[str], position: Position | None) -> Order:
        return Order(names, position, self._retention)

    def _chunks(self, order: Order, *, edges: bool = True) -> Chunks:
        onward = bool(self._outboxes or (edges and self._edges))
        flags = TO_REGIONS if onward and not edges else 0
        return order.chunks(self._prepared.fences.stamp, onward=onward, flags=flags)

    def _relay(self, order: Order, stamp: int, *, edges: bool = True) -> Purged:
        """Apply a confirmed purge in this process, and send it on."""
        fences = self._prepared.fences
        # Without a Redis there is no clock but this process's own count.
        if stamp:
            fences.raise_to(order.fences(stamp))
        else:
            fences.raise_alone(order.names, order.position)
        if self._tier is None and len(fences) > _MANY:
            fences.prune(fences.stamp - _MANY)
        if stamp and self._outboxes:
            for outbox in self._outboxes:
                outbox.keep(order, stamp)
        else:
            self._send(order)
        # Last: what an edge asks for next must not come from what is purged.
        taking = self._edges if edges else ()
        queued = {edge.name: edge.take(order, stamp) for edge in taking}
        self._prepared.events.emit(Event("purge"))
        here = self._prepared.topology.here.name
        return Purged(len(order.names), stamp, (here,), edges=queued)

    def _send(self, order: Order) -> None:
        for relay in self._relays:
            relay.send(order)

    @property
    def ahead(self) -> bool:
        """Whether a purge holds here of which this region's Redis has not heard yet.

        What others have stored there may be older than the purge, and nobody knows by which stamp.
        """
        return self._here is not None and len(self._here) > 0

    def resend(self) -> None:
        """This region's Redis has lost its history, and with it what it had not relayed yet."""
        relays = {relay.region: relay for relay in self._relays}
        for outbox in self._outboxes:
            for order in outbox.lost():
                relays[outbox.region].send(order)
        for edge in self._edges:
            edge.resend()

    def _not_confirmed(self, order: Order, error: PurgeError, *, edges: bool = True) -> PurgeError:
        """Purge here at once all the same, and queue the rest."""
        here = self._prepared.topology.here.name
        waiting = [*self._relays, *(edge.sender for edge in self._edges)]
        queued = {each.region: IN_PROCESS for each in waiting}
        if self._here is not None:
            self._here.send(order)
            queued[here] = IN_PROCESS
        self._relay(order, 0, edges=edges)
        self._prepared.events.emit(Event("purge-queued", detail=here))
        return PurgeError(f"region {here}: {error}", queued=queued)
