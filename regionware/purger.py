"""`rw.purge`: who may wait for what, and what is promised."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal

from regionware.caching.awaiting import IN_PROCESS, Awaited
from regionware.caching.purging import Chunks, Order, Purged, Relay, araise_here, late, raise_here
from regionware.caching.redis import RedisTier
from regionware.caching.relaying import OutboxRelay
from regionware.context import current, open_writes
from regionware.database.position import Position
from regionware.effects import Invalidate
from regionware.errors import ConfigurationError, PurgeError, Unavailable
from regionware.observe import Event
from regionware.prepared import Prepared

#: Without a Redis, stamps are a count of purges: of more than this many the oldest are forgotten,
#: with every entry that is older.
_MANY = 100_000

#: Seconds for which a commit waits for this region's Redis to confirm its purges; then they are
#: queued.
_COMMITTED = 0.25

#: Of the purges that this region's outbox has confirmed, as many of the last so many seconds are
#: sent once more, from here, if that Redis loses its history before it has relayed them.
_RECENT = 1000
_LATELY = 60.0

WaitFor = Literal["region", "workers", "all"]

logger = logging.getLogger("regionware")


class Purger:
    """Raises fences: in this process, in this region's Redis, and, relayed, in the others."""

    def __init__(
        self,
        *,
        prepared: Prepared,
        tier: RedisTier | None,
        here: Relay | None,
        relays: Sequence[Relay],
        outboxes: Sequence[OutboxRelay],
        retention: int,
        position: Callable[[], Position | None],
        aposition: Callable[[], Awaitable[Position | None]],
    ) -> None:
        """Prepare.

        Args:
            prepared: whose fences are raised.
            tier: this region's Redis.
            here: carries what this region's Redis did not confirm.
            relays: one for each other region with a Redis, for what has no outbox to be in.
            outboxes: one for each other region with a Redis, if this one has a Redis too.
            retention: microseconds after which no entry can be older than a fence.
            position: reads the primary's position, now.
            aposition: its async twin.
        """
        self._prepared = prepared
        self._tier = tier
        self._here = here
        self._relays = relays
        self._outboxes = outboxes
        self._recent: deque[tuple[float, Order]] = deque(maxlen=_RECENT)
        self._retention = retention
        self._position = position
        self._aposition = aposition

    def purge(
        self, names: Sequence[str], *, after: Position | None, wait: WaitFor, timeout: float
    ) -> Purged:
        """Purge now, or with the commit of the open write transaction.

        Raises:
            PurgeError: it is not confirmed; says what is queued where.
            ConfigurationError: nobody can wait for that.
        """
        if (deferred := self._defer(names, after, wait)) is not None:
            return deferred
        position, unknown = after or self._known(), None
        if position is None:
            try:
                position = self._position()
            except Unavailable as error:
                unknown = error
        order = self._order(names, position)
        try:
            stamp = (
                0 if self._tier is None else raise_here(self._tier, self._chunks(order), timeout)
            )
        except PurgeError as error:
            raise self._not_confirmed(order, error) from error
        confirmed = self._relay(order, stamp)
        if unknown is not None:
            raise self._without_position(unknown)
        if wait != "region" and (awaited := self._awaited(wait, stamp)) is not None:
            awaited.wait(timeout)
        elif wait == "all":
            self._await_all(order, timeout)
        return self._everywhere(confirmed) if wait == "all" else confirmed

    async def apurge(
        self,
        names: Sequence[str],
        *,
        after: Position | None,
        wait: WaitFor,
        timeout: float,  # noqa: ASYNC109
    ) -> Purged:
        """The async twin of `purge`.

        Raises:
            PurgeError: as `purge`.
            ConfigurationError: as `purge`.
        """
        if (deferred := self._defer(names, after, wait)) is not None:
            return deferred
        position, unknown = after or self._known(), None
        if position is None:
            try:
                position = await self._aposition()
            except Unavailable as error:
                unknown = error
        order = self._order(names, position)
        try:
            stamp = (
                0
                if self._tier is None
                else await araise_here(self._tier, self._chunks(order), timeout)
            )
        except PurgeError as error:
            raise self._not_confirmed(order, error) from error
        confirmed = self._relay(order, stamp)
        if unknown is not None:
            raise self._without_position(unknown)
        if wait != "region" and (awaited := self._awaited(wait, stamp)) is not None:
            await awaited.await_(timeout)
        elif wait == "all":
            await asyncio.to_thread(self._await_all, order, timeout)
        return self._everywhere(confirmed) if wait == "all" else confirmed

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
            self._relay(order, 0)
            return
        stamp = 0
        try:
            for chunk in self._chunks(order):
                stamp = self._tier.invalidate(chunk, ask.digests)
        finally:
            self._invalidated(order, stamp)

    async def ainvalidate(self, ask: Invalidate) -> None:
        """The async twin of `invalidate`."""
        order = self._order(ask.names, ask.position)
        if self._tier is None:
            self._relay(order, 0)
            return
        stamp = 0
        try:
            for chunk in self._chunks(order):
                stamp = await self._tier.ainvalidate(chunk, ask.digests)
        finally:
            # The client may go meanwhile; what its request has changed stands.
            self._invalidated(order, stamp)

    def _invalidated(self, order: Order, stamp: int) -> None:
        if stamp:
            self._relay(order, stamp)
        else:
            self._not_confirmed(order, PurgeError("not confirmed", queued={}))

    def _defer(self, names: Sequence[str], after: Position | None, wait: WaitFor) -> Purged | None:
        if wait not in {"region", "workers", "all"}:
            raise ConfigurationError(f'wait is "region", "workers" or "all", not {wait!r}')
        state = current()
        waiting = open_writes.get() or (state.deferred if state is not None else ())
        if not waiting and state is not None and state.joining is not None:
            joined = state.joining()
            waiting = () if joined is None else (joined,)
        if not waiting or after is not None:
            return None
        waiting[-1].append(tuple(names))
        return Purged(len(names), deferred=True)

    @staticmethod
    def _known() -> Position | None:
        state = current()
        return None if state is None else state.written

    def _orders(self, items: Iterable[Sequence[str]], position: Position | None) -> list[Order]:
        """All purges of one transaction are one."""
        names = tuple(dict.fromkeys(name for item in items for name in item))
        return [self._order(names, position)] if names else []

    def _order(self, names: Sequence[str], position: Position | None) -> Order:
        return Order(names, position, self._retention)

    def _chunks(self, order: Order) -> Chunks:
        return order.chunks(self._prepared.fences.stamp, onward=bool(self._outboxes))

    def _relay(self, order: Order, stamp: int) -> Purged:
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
            self._recent.append((self._prepared.clock(), order))
            for outbox in self._outboxes:
                outbox.start()
        else:
            self._send(order)
        self._prepared.events.emit(Event("purge"))
        return Purged(len(order.names), stamp, (self._prepared.topology.here.name,))

    def _send(self, order: Order) -> None:
        for relay in self._relays:
            relay.send(order)

    def resend(self) -> None:
        """This region's Redis has lost its history: perhaps it had not relayed the latest yet."""
        since = self._prepared.clock() - _LATELY
        for at, order in list(self._recent):
            if at > since:
                self._send(order)

    def forget(self) -> None:
        """After a fork: the parent sends its own once more."""
        self._recent.clear()

    def _not_confirmed(self, order: Order, error: PurgeError) -> PurgeError:
        """Purge here at once all the same, and queue the rest."""
        self._relay(order, 0)
        here = self._prepared.topology.here.name
        queued = {relay.region: IN_PROCESS for relay in self._relays}
        if self._here is not None:
            self._here.send(order)
            queued[here] = IN_PROCESS
        self._prepared.events.emit(Event("purge-queued", detail=here))
        return PurgeError(f"region {here}: {error}", queued=queued)

    def _without_position(self, error: Unavailable) -> PurgeError:
        """The fences are raised, but a lagging replica may still be asked for a refill."""
        here = self._prepared.topology.here.name
        return PurgeError(
            f"applied without a position, which only the primary knows: {error}",
            queued={here: "applied; the position is unknown"},
        )

    def _awaited(self, wait: WaitFor, stamp: int) -> Awaited | None:
        """Whom this region's Redis can be asked about; `None` if there is nobody."""
        if self._tier is None or (wait == "all" and not self._outboxes):
            return None
        regions = [outbox.region for outbox in self._outboxes] if wait == "all" else ()
        return Awaited(self._tier, stamp, self._prepared.topology.here.name, regions)

    def _await_all(self, order: Order, timeout: float) -> None:
        if missing := late(self._relays, order, timeout):
            raise PurgeError(
                f"not confirmed within {timeout} s by: {', '.join(missing)}",
                queued=dict.fromkeys(missing, IN_PROCESS),
            )

    def _everywhere(self, purged: Purged) -> Purged:
        regions = (*purged.regions, *(relay.region for relay in self._relays))
        return Purged(purged.names, purged.stamp, regions)
