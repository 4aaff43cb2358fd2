"""`rw.purge`: who may wait for what, and what is promised."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal

from regionware.caching.purging import Order, Purged, Relay, araise_here, raise_here
from regionware.caching.redis import RedisTier
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
        retention: int,
        position: Callable[[], Position | None],
        aposition: Callable[[], Awaitable[Position | None]],
    ) -> None:
        """Prepare.

        Args:
            prepared: whose fences are raised.
            tier: this region's Redis.
            here: carries what this region's Redis did not confirm.
            relays: one for each other region with a Redis.
            retention: microseconds after which no entry can be older than a fence.
            position: reads the primary's position, now.
            aposition: its async twin.
        """
        self._prepared = prepared
        self._tier = tier
        self._here = here
        self._relays = relays
        self._retention = retention
        self._position = position
        self._aposition = aposition

    def purge(
        self, names: Sequence[str], *, after: Position | None, wait: WaitFor, timeout: float
    ) -> Purged:
        """Purge now, or with the commit of the open write transaction.

        Raises:
            PurgeError: it is not confirmed; says what is queued where.
            ConfigurationError: `wait="workers"`, in this version.
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
                0
                if self._tier is None
                else raise_here(self._tier, order, self._prepared.fences.stamp, timeout)
            )
        except PurgeError as error:
            raise self._not_confirmed(order, error) from error
        confirmed = self._relay(order, stamp)
        if unknown is not None:
            raise self._without_position(unknown)
        if wait == "all":
            self._await_all(order, timeout)
        return confirmed if wait == "region" else self._everywhere(confirmed)

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
                else await araise_here(self._tier, order, self._prepared.fences.stamp, timeout)
            )
        except PurgeError as error:
            raise self._not_confirmed(order, error) from error
        confirmed = self._relay(order, stamp)
        if unknown is not None:
            raise self._without_position(unknown)
        if wait == "all":
            await asyncio.to_thread(self._await_all, order, timeout)
        return confirmed if wait == "region" else self._everywhere(confirmed)

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
                    else raise_here(self._tier, order, self._prepared.fences.stamp, _COMMITTED),
                )
            except PurgeError as error:
                logger.warning("%s", self._not_confirmed(order, error))

    async def acommitted(self, items: Iterable[Sequence[str]], position: Position | None) -> None:
        """The async twin of `committed`. Cancelled, it queues what is not confirmed, then ends."""
        for order in self._orders(items, position):
            try:
                stamp = 0
                if self._tier is not None:
                    stamp = await araise_here(
                        self._tier, order, self._prepared.fences.stamp, _COMMITTED
                    )
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
            for chunk in order.chunks(self._prepared.fences.stamp):
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
            for chunk in order.chunks(self._prepared.fences.stamp):
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
        if wait == "workers":
            raise ConfigurationError(
                'wait="workers" is not furnished in this version; use "region" or "all"'
            )
        if wait not in {"region", "all"}:
            raise ConfigurationError(f'wait is "region", "workers" or "all", not {wait!r}')
        state = current()
        waiting = open_writes.get() or (state.deferred if state is not None else ())
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
        for relay in self._relays:
            relay.send(order)
        self._prepared.events.emit(Event("purge"))
        return Purged(len(order.names), stamp, (self._prepared.topology.here.name,))

    def _not_confirmed(self, order: Order, error: PurgeError) -> PurgeError:
        """Purge here at once all the same, and queue the rest."""
        self._relay(order, 0)
        here = self._prepared.topology.here.name
        queued = {relay.region: "queued in this process" for relay in self._relays}
        if self._here is not None:
            self._here.send(order)
            queued[here] = "queued in this process"
        self._prepared.events.emit(Event("purge-queued", detail=here))
        return PurgeError(f"region {here}: {error}", queued=queued)

    def _without_position(self, error: Unavailable) -> PurgeError:
        """The fences are raised, but a lagging replica may still be asked for a refill."""
        here = self._prepared.topology.here.name
        return PurgeError(
            f"applied without a position, which only the primary knows: {error}",
            queued={here: "applied; the position is unknown"},
        )

    def _await_all(self, order: Order, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        late = [
            r.region
            for r in self._relays
            if not order.done[r.region].wait(max(deadline - time.monotonic(), 0))
        ]
        if late:
            raise PurgeError(
                f"not confirmed within {timeout} s by: {', '.join(late)}",
                queued=dict.fromkeys(late, "queued in this process"),
            )

    def _everywhere(self, purged: Purged) -> Purged:
        regions = (*purged.regions, *(relay.region for relay in self._relays))
        return Purged(purged.names, purged.stamp, regions)
