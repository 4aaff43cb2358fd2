"""The rim of one `Regionware`: performs effects, and owns what runs in the background."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from regionware.caching.chore import Chore
from regionware.caching.flights import Flights
from regionware.caching.following import Backplane
from regionware.caching.leases import Leases
from regionware.caching.log import LogReader
from regionware.caching.memory import Memory
from regionware.caching.purging import Relay
from regionware.caching.redis import RedisTier
from regionware.caching.relaying import OutboxRelay
from regionware.caching.wakes import Wakes
from regionware.context import renew_lock
from regionware.database.position import Position
from regionware.effects import (
    Capture,
    Effect,
    Fill,
    Found,
    Hold,
    Invalidate,
    Lookup,
    Park,
    Release,
    Repair,
    Wait,
)
from regionware.errors import Unavailable
from regionware.exchange import Exchange
from regionware.observe import Event
from regionware.prepared import Prepared
from regionware.purger import Purger

if TYPE_CHECKING:
    from regionware.database.connection import Databases

#: Seconds for which the first look-up of a process waits for the region's fences.
_SYNC = 0.25
_STEP = 0.002
#: Threads of the background, and how much may wait for one.
_WORKERS = 4
_WAITING = 32

logger = logging.getLogger("regionware")


class Rim:
    """What threads and event loops share.

    Attributes:
        prepared: the brain's parts.
        memory: this process's tier.
        tier: the region's Redis, if there is one.
        relays: one for each region with a Redis.
        outboxes: one for each other region with a Redis, if this one has a Redis too.
        databases: the selector's hosts, if there are any.
        leases: what this process holds.
    """

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        prepared: Prepared,
        memory: Memory,
        flights: Flights,
        tier: RedisTier | None,
        log: LogReader | None,
        relays: list[Relay],
        databases: "Databases | None",
        purger: Purger,
        leases: Leases,
        wakes: Wakes,
        outboxes: Sequence[OutboxRelay] = (),
        chores: Sequence[Chore] = (),
    ) -> None:
        """Start nothing yet: a server may fork after this."""
        self.prepared = prepared
        self.memory = memory
        self.tier = tier
        self.relays = relays
        self.outboxes = outboxes
        self.databases = databases
        self._flights = flights
        self._log = log
        self.leases = leases
        self._wakes = wakes
        self._purger = purger
        self._chores = chores
        self._patient = True
        self._starting = Lock()
        self._workers: ThreadPoolExecutor | None = None
        self._waiting = 0
        self._performers: dict[type[Effect[Any]], Callable[[Any], Any]] = {
            Lookup: self._lookup,
            Fill: self._fill,
            Release: self._release,
            Repair: self._repair,
            Capture: self._capture,
            Invalidate: purger.invalidate,
            Hold: leases.hold,
            Wait: self._wait,
            Park: wakes.wait,
        }
        self._aperformers: dict[type[Effect[Any]], Callable[[Any], Any]] = {
            Lookup: self._alookup,
            Fill: self._afill,
            Release: self._arelease,
            Repair: self._arepair,
            Capture: self._acapture,
            Invalidate: purger.ainvalidate,
            Hold: self._ahold,
            Wait: self._await,
            Park: wakes.await_,
        }
        forked = WeakMethod(self.forked)
        os.register_at_fork(after_in_child=lambda: (method := forked()) and method())

    def start(self) -> None:
        """Start the log's reader; costs nothing when it runs."""
        self._start_tier()
        if self.databases is not None:
            self.databases.start()

    def _start_tier(self) -> None:
        if self.tier is None or self._log is None:
            return
        with self._starting:
            self.tier.start()
            self._log.start()
            for outbox in self.outboxes:
                outbox.start()
            for chore in self._chores:
                chore.start()

    def close(self) -> None:
        """End every thread and connection of this process, delivering purges first."""
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.shutdown(wait=False, cancel_futures=True)
            self._flights.renew()
        for chore in self._chores:
            chore.stop()
        for relay in self.relays:
            relay.stop()
        for outbox in self.outboxes:
            outbox.stop()
        self.leases.close()
        if self._log is not None:
            self._log.stop()
            self._patient = True
        if self.tier is not None:
            self.tier.close()
        if self.databases is not None:
            self.databases.close()

    async def aclose(self) -> None:
        """The async twin of `close`."""
        await asyncio.to_thread(self.close)
        if self.tier is not None:
            await self.tier.aclose()
        if self.databases is not None:
            await self.databases.aclose()

    def forked(self) -> None:
        """In a child: threads, sockets and locks belong to the parent."""
        self.memory.renew_lock()
        self._flights.renew()
        self.prepared.events.renew_lock()
        self.prepared.fences.writing, self._starting = Lock(), Lock()
        renew_lock()
        self._workers, self._waiting = None, 0
        shared = self.tier, self._log, self.leases, self._wakes, self._purger
        for part in (*shared, *self.relays, *self.outboxes, *self._chores):
            if part is not None:
                part.forget()
        self._patient = True

    @property
    def backplane(self) -> Backplane | None:
        """How well this process hears of the region's purges; `None` without a Redis."""
        return None if self._log is None else self._log.backplane

    def perform(self, effect: Effect[Any]) -> Any:
        """Perform an effect on this thread."""
        return self._performers[type(effect)](effect)

    async def aperform(self, effect: Effect[Any]) -> Any:
        """Perform an effect in the running loop."""
        return await self._aperformers[type(effect)](effect)

    def background(self, work: Callable[[], None]) -> bool:
        """Run something on a thread of the background; `False` if too much waits there already."""
        if self._waiting >= _WAITING:
            return False
        if self._workers is None:
            self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="regionware-refresh")
        self._waiting += 1
        self._workers.submit(work).add_done_callback(self._worked)
        return True

    def _worked(self, _: "Future[None]") -> None:
        self._waiting -= 1

    def refresh_failed(self, exchange: Exchange, error: Exception) -> None:
        """A background refresh raised; the stale answer has been given long ago."""
        logger.warning("a background refresh failed: %r", error)
        self.prepared.events.emit(
            Event("refresh-failed", exchange.plan.compiled.name, type(error).__name__)
        )

    def rescued(self, exchange: Exchange, error: BaseException) -> None:
        """The application failed, and the client was answered all the same: it must not be lost."""
        logger.error(
            "%s failed; answered all the same", exchange.plan.compiled.name, exc_info=error
        )
        self.prepared.events.emit(
            Event("rescued", exchange.plan.compiled.name, type(error).__name__)
        )

    # Threads

    def _lookup(self, ask: Lookup) -> Found:
        if self.tier is None or self._log is None:
            return Found(available=False)
        if not self._log.synced.is_set():
            self._start_tier()
            if not self._patient or not self._log.synced.wait(_SYNC):
                self._patient = False
                return Found(available=False)
        heard = self._wakes.heard
        found = self.tier.lookup(ask)
        found.heard = heard
        return found

    def _fill(self, ask: Fill) -> bool | None:
        self.leases.drop(ask.lease)
        if self.tier is None:
            return None
        return self._filled(self.tier.fill(ask))

    def _filled(self, stored: bool | None) -> bool | None:  # noqa: FBT001 - the store's reply
        if stored is False:
            self.lost()
        return stored

    def lost(self) -> None:
        """A lease was not ours any more: what it was for has been made twice, perhaps."""
        self.prepared.events.emit(Event("lease-lost"))

    def _release(self, ask: Release) -> None:
        self.leases.drop(ask.lease)
        if self.tier is not None:
            self.tier.release(ask)

    def _repair(self, ask: Repair) -> bool:
        return self.tier is not None and self.tier.repair(ask)

    def _wait(self, ask: Wait) -> str:
        return self._flights.wait(ask.flight, ask.timeout)

    def _capture(self, _: Capture) -> Position | None:
        try:
            return None if self.databases is None else self.databases.primary_position()
        except Unavailable:
            return None

    # Event loops

    async def _acapture(self, _: Capture) -> Position | None:
        try:
            return None if self.databases is None else await self.databases.aprimary_position()
        except Unavailable:
            return None

    async def _alookup(self, ask: Lookup) -> Found:
        if self.tier is None or self._log is None:
            return Found(available=False)
        if not self._log.synced.is_set():
            self._start_tier()
            if not await self._synced():
                return Found(available=False)
        heard = self._wakes.heard
        found = await self.tier.alookup(ask)
        found.heard = heard
        return found

    async def _synced(self) -> bool:
        """Wait once for the fences, without a thread of its own for a wait that is all but over."""
        if self._log is None or not self._patient:
            return False
        for _ in range(int(_SYNC / _STEP)):
            if self._log.synced.is_set():
                return True
            await asyncio.sleep(_STEP)
        self._patient = False
        return False

    async def _afill(self, ask: Fill) -> bool | None:
        self.leases.drop(ask.lease)
        if self.tier is None:
            return None
        return self._filled(await self.tier.afill(ask))

    async def _arelease(self, ask: Release) -> None:
        self.leases.drop(ask.lease)
        if self.tier is not None:
            await self.tier.arelease(ask)

    async def _ahold(self, ask: Hold) -> None:
        self.leases.hold(ask)

    async def _arepair(self, ask: Repair) -> bool:
        return self.tier is not None and await self.tier.arepair(ask)

    async def _await(self, ask: Wait) -> str:
        return await self._flights.await_(ask.flight, ask.timeout)
