"""The rim of one `Regionware`: performs effects, and owns what runs in the background."""

import asyncio
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from regionware.caching.flights import Flights
from regionware.caching.log import LogReader
from regionware.caching.memory import Memory
from regionware.caching.purging import Relay
from regionware.caching.redis import RedisTier
from regionware.effects import Effect, Fill, Found, Lookup, Release, Wait
from regionware.exchange import Exchange
from regionware.observe import Event
from regionware.prepared import Prepared

if TYPE_CHECKING:
    from regionware.database.connection import Databases

#: Seconds for which the first look-up of a process waits for the region's fences.
_SYNC = 0.25
_STEP = 0.002

logger = logging.getLogger("regionware")


class Rim:
    """What threads and event loops share.

    Attributes:
        prepared: the brain's parts.
        memory: this process's tier.
        tier: the region's Redis, if there is one.
        relays: one for each region with a Redis.
        databases: the selector's hosts, if there are any.
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
    ) -> None:
        """Start nothing yet: a server may fork after this."""
        self.prepared = prepared
        self.memory = memory
        self.tier = tier
        self.relays = relays
        self.databases = databases
        self._flights = flights
        self._log = log
        self._patient = True
        self._performers: dict[type[Effect[Any]], Callable[[Any], Any]] = {
            Lookup: self._lookup,
            Fill: self._fill,
            Release: self._release,
            Wait: self._wait,
        }
        self._aperformers: dict[type[Effect[Any]], Callable[[Any], Any]] = {
            Lookup: self._alookup,
            Fill: self._afill,
            Release: self._arelease,
            Wait: self._await,
        }
        forked = WeakMethod(self.forked)
        os.register_at_fork(after_in_child=lambda: (method := forked()) and method())

    def start(self) -> None:
        """Start the log's reader; costs nothing when it runs."""
        if self._log is not None:
            self._log.start()
        if self.databases is not None:
            self.databases.start()

    def close(self) -> None:
        """End every thread and connection of this process, delivering purges first."""
        for relay in self.relays:
            relay.stop()
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
        for part in (self.tier, self._log, *self.relays):
            if part is not None:
                part.forget()
        self._patient = True

    def perform(self, effect: Effect[Any]) -> Any:
        """Perform an effect on this thread."""
        return self._performers[type(effect)](effect)

    async def aperform(self, effect: Effect[Any]) -> Any:
        """Perform an effect in the running loop."""
        return await self._aperformers[type(effect)](effect)

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
            self._log.start()
            if not self._patient or not self._log.synced.wait(_SYNC):
                self._patient = False
                return Found(available=False)
        return self.tier.lookup(ask)

    def _fill(self, ask: Fill) -> bool:
        return self.tier is not None and self.tier.fill(ask)

    def _release(self, ask: Release) -> None:
        if self.tier is not None:
            self.tier.release(ask)

    def _wait(self, ask: Wait) -> str:
        return self._flights.wait(ask.flight, ask.timeout)

    # Event loops

    async def _alookup(self, ask: Lookup) -> Found:
        if self.tier is None or self._log is None:
            return Found(available=False)
        if not self._log.synced.is_set():
            self._log.start()
            if not await self._synced():
                return Found(available=False)
        return await self.tier.alookup(ask)

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

    async def _afill(self, ask: Fill) -> bool:
        return self.tier is not None and await self.tier.afill(ask)

    async def _arelease(self, ask: Release) -> None:
        if self.tier is not None:
            await self.tier.arelease(ask)

    async def _await(self, ask: Wait) -> str:
        return await self._flights.await_(ask.flight, ask.timeout)
