"""What answers the effects of a plan: this region's Redis, and who waits for whom.

Each effect has a performer for threads and one for event loops.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from regionware.caching.flights import Flights
from regionware.caching.leases import Leases
from regionware.caching.log import LogReader
from regionware.caching.redis import RedisTier
from regionware.caching.wakes import Wakes
from regionware.effects import (
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
from regionware.observe import Event
from regionware.prepared import Prepared
from regionware.purger import Purger

#: Seconds for which the first look-up of a process waits for the region's fences.
_SYNC = 0.25
_STEP = 0.002


class Performer(ABC):
    """Performs effects, on a thread or in an event loop.

    Attributes:
        prepared: the brain's parts.
        tier: the region's Redis, if there is one.
        leases: what this process holds.
    """

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        prepared: Prepared,
        flights: Flights,
        tier: RedisTier | None,
        log: LogReader | None,
        purger: Purger,
        leases: Leases,
        wakes: Wakes,
    ) -> None:
        """Perform nothing yet."""
        self.prepared = prepared
        self.tier = tier
        self.leases = leases
        self._flights = flights
        self._log = log
        self._wakes = wakes
        self._purger = purger
        #: It is still worth waiting for the fences.
        self._patient = True
        self._performers: dict[type[Effect[Any]], Callable[[Any], Any]] = {
            Lookup: self._lookup,
            Fill: self._fill,
            Release: self._release,
            Repair: self._repair,
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
            Invalidate: purger.ainvalidate,
            Hold: self._ahold,
            Wait: self._await,
            Park: wakes.await_,
        }

    @abstractmethod
    def start(self) -> None:
        """Start what reads purges, of the region and of the database; its owner knows how."""

    def perform(self, effect: Effect[Any]) -> Any:
        """Perform an effect on this thread."""
        return self._performers[type(effect)](effect)

    async def aperform(self, effect: Effect[Any]) -> Any:
        """Perform an effect in the running loop."""
        return await self._aperformers[type(effect)](effect)

    # Threads

    def _lookup(self, ask: Lookup) -> Found:
        if self.tier is None or self._log is None or self._purger.ahead:
            return Found(available=False)
        if not self._log.synced.is_set():
            self.start()
            if not self._patient or not self._log.synced.wait(_SYNC):
                self._patient = False
                return Found(available=False)
        heard = self._wakes.heard
        found = self.tier.lookup(ask)
        found.heard = heard
        return self._trusted(found)

    def _trusted(self, found: Found) -> Found:
        """What was found, unless a purge was made meanwhile that the region has not heard of.

        It may have granted the lease, which is given back as after a reply that came too late.
        """
        return Found(available=False, late=True) if self._purger.ahead else found

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
        return self._flights.wait(ask)

    # Event loops

    async def _alookup(self, ask: Lookup) -> Found:
        if self.tier is None or self._log is None or self._purger.ahead:
            return Found(available=False)
        if not self._log.synced.is_set():
            self.start()
            if not await self._synced():
                return Found(available=False)
        heard = self._wakes.heard
        found = await self.tier.alookup(ask)
        found.heard = heard
        return self._trusted(found)

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
        return await self._flights.await_(ask)
