"""`rw.purge`: who may wait for what, and what is promised."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Literal

from regionware.caching.awaiting import IN_PROCESS, Awaited
from regionware.caching.purging import Order, Purged, Relay, araise_here, late, raise_here
from regionware.caching.redis import RedisTier
from regionware.caching.relaying import OutboxRelay
from regionware.context import current, open_writes
from regionware.database.position import Position
from regionware.errors import ConfigurationError, PurgeError, Unavailable
from regionware.fencing import EdgeQueue, Fencing
from regionware.kinds import instance, maybe, number, one_of
from regionware.prepared import Prepared

WaitFor = Literal["region", "workers", "all", "edges"]
_WAIT_FOR: Final = one_of("region", "workers", "all", "edges")
#: What has been queued for an edge and taken by it.
_TAKEN: Final = "purged"
#: More than this region.
_BEYOND: Final = frozenset({"all", "edges"})
_AFTER: Final = maybe(instance(Position))
_TIMEOUT: Final = number("seconds", 0, 86_400, above=True)


class Purger(Fencing):
    """Raises fences for somebody who waits until they are confirmed."""

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
        position: Callable[[float], Position | None],
        aposition: Callable[[float], Awaitable[Position | None]],
    ) -> None:
        """Prepare.

        Args:
            prepared: see `Fencing`, as for what follows.
            tier: see there.
            here: see there.
            relays: see there.
            outboxes: see there.
            edges: see there.
            retention: see there.
            position: reads the primary's position, now, within so many seconds.
            aposition: its async twin.
        """
        super().__init__(
            prepared=prepared, tier=tier, here=here, relays=relays, outboxes=outboxes,
            edges=edges, retention=retention,
        )  # fmt: skip
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
        if (deferred := self._defer(names, after, wait, timeout)) is not None:
            return deferred
        position, unknown = after or self._known(), None
        if position is None:
            try:
                with self._unconfirmed(self._order(names, None)):
                    position = self._position(timeout)
            except Unavailable as error:
                unknown = error
        order = self._order(names, position)
        stamp = 0
        if self._tier is not None:
            with self._unconfirmed(order):
                stamp = raise_here(self._tier, self._chunks(order), timeout)
        confirmed = self._relay(order, stamp)
        if unknown is not None:
            raise self._without_position(unknown)
        if wait != "region" and (awaited := self._awaited(wait, stamp)) is not None:
            awaited.wait(timeout)
        elif wait in _BEYOND:
            self._await_all(wait, order, timeout)
        return self._everywhere(wait, confirmed) if wait in _BEYOND else confirmed

    async def apurge(
        self,
        names: Sequence[str],
        *,
        after: Position | None,
        wait: WaitFor,
        timeout: float,  # noqa: ASYNC109
    ) -> Purged:
        """The async twin of `purge`. Cancelled, it queues what is not confirmed, then ends.

        Raises:
            PurgeError: as `purge`.
            ConfigurationError: as `purge`.
        """
        if (deferred := self._defer(names, after, wait, timeout)) is not None:
            return deferred
        position, unknown = after or self._known(), None
        if position is None:
            try:
                with self._unconfirmed(self._order(names, None)):
                    position = await self._aposition(timeout)
            except Unavailable as error:
                unknown = error
        order = self._order(names, position)
        stamp = 0
        if self._tier is not None:
            with self._unconfirmed(order):
                stamp = await araise_here(self._tier, self._chunks(order), timeout)
        confirmed = self._relay(order, stamp)
        if unknown is not None:
            raise self._without_position(unknown)
        if wait != "region" and (awaited := self._awaited(wait, stamp)) is not None:
            await awaited.await_(timeout)
        elif wait in _BEYOND:
            await asyncio.to_thread(self._await_all, wait, order, timeout)
        return self._everywhere(wait, confirmed) if wait in _BEYOND else confirmed

    @contextmanager
    def _unconfirmed(self, order: Order) -> Iterator[None]:
        """Whatever ends this before its end, the purge holds here, and is queued for the rest."""
        try:
            yield
        except Unavailable:
            raise  # it goes on without what it has asked for
        except PurgeError as error:
            raise self._not_confirmed(order, error) from error
        except BaseException:
            self._not_confirmed(order, PurgeError("interrupted", queued={}))
            raise

    def _defer(
        self, names: Sequence[str], after: Position | None, wait: WaitFor, timeout: float
    ) -> Purged | None:
        _AFTER.check("purge: after", after)
        _WAIT_FOR.check("purge: wait", wait)
        _TIMEOUT.check("purge: timeout", timeout)
        if wait == "edges" and not self._edges:
            raise ConfigurationError('purge: wait="edges": no edge is configured')
        for edge in self._edges:
            edge.check(names)
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
        # Of what was committed last the position may be unknown: then the primary is asked.
        return None if state is None or state.lost else state.written

    def _without_position(self, error: Unavailable) -> PurgeError:
        """The fences are raised, but a lagging replica may still be asked for a refill."""
        here = self._prepared.topology.here.name
        return PurgeError(
            f"applied without a position, which only the primary knows: {error}",
            queued={here: "applied; the position is unknown"},
        )

    def _awaited(self, wait: WaitFor, stamp: int) -> Awaited | None:
        """Whom this region's Redis can be asked about; `None` if there is nobody."""
        if self._tier is None:
            return None
        others = [outbox.region for outbox in self._outboxes] if wait in _BEYOND else []
        others += [edge.key for edge in self._edges] if wait == "edges" else []
        if wait in _BEYOND and not others:
            return None
        return Awaited(self._tier, stamp, self._prepared.topology.here.name, others)

    def _await_all(self, wait: WaitFor, order: Order, timeout: float) -> None:
        edges = [edge.sender for edge in self._edges] if wait == "edges" else []
        if missing := late([*self._relays, *edges], order, timeout):
            raise PurgeError(
                f"not confirmed within {timeout} s by: {', '.join(missing)}",
                queued=dict.fromkeys(missing, IN_PROCESS),
            )

    def _everywhere(self, wait: WaitFor, purged: Purged) -> Purged:
        regions = (*purged.regions, *(relay.region for relay in self._relays))
        edges = dict.fromkeys(purged.edges, _TAKEN) if wait == "edges" else purged.edges
        return replace(purged, regions=regions, edges=edges)
