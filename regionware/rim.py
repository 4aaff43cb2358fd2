"""The rim of one `Regionware`: owns what runs in the background, from its start to its end."""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from regionware.background import Background
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
from regionware.drive import drive
from regionware.effects import Capture, Plan, Release
from regionware.errors import Unavailable
from regionware.exchange import Exchange
from regionware.fencing import EdgeQueue
from regionware.observe import Event
from regionware.performing import Performer
from regionware.prepared import Prepared
from regionware.purger import Purger

if TYPE_CHECKING:
    from regionware.database.connection import Databases
    from regionware.forwarding.client import Client

#: Threads that refresh, and how many refreshes are under way or wait for one.
_REFRESHING = 4
_REFRESHES = 32
#: How many leases wait to be given back.
_RELEASES = 128

logger = logging.getLogger("regionware")


class Rim(Performer):
    """What threads and event loops share; see `Performer`.

    Attributes:
        memory: this process's tier.
        relays: one for each region with a Redis.
        outboxes: one for each other region with a Redis, if this one has a Redis too.
        databases: the selector's hosts, if there are any.
        client: sends requests to other regions, if a route forwards.
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
        watches: Sequence[Chore] = (),
        edges: Sequence[EdgeQueue] = (),
        client: "Client | None" = None,
    ) -> None:
        """Start nothing yet: a server may fork after this."""
        super().__init__(prepared, flights, tier, log, purger, leases, wakes)
        self.memory = memory
        self.relays = relays
        self.outboxes = outboxes
        self.databases = databases
        self.client = client
        self._chores = chores
        #: Wanted without a Redis too.
        self._watches = watches
        self._edges = edges
        self._starting = Lock()
        self._refreshes = Background("regionware-refresh", _REFRESHING, _REFRESHES)
        # Of its own: a refresh takes as long as the application does.
        self._releases = Background("regionware-release", 1, _RELEASES)
        self._performers[Capture], self._aperformers[Capture] = self._capture, self._acapture
        #: An event loop itself does not hold its tasks.
        self._beside: set[asyncio.Task[None]] = set()
        forked = WeakMethod(self.forked)
        os.register_at_fork(after_in_child=lambda: (method := forked()) and method())

    def start(self) -> None:
        """Start the log's reader; costs nothing when it runs."""
        # Purges come from the database too, also where nothing but hits is served.
        if self.databases is not None:
            self.databases.start()
        for watch in self._watches:
            watch.start()
        if self.tier is None or self._log is None:
            return
        with self._starting:
            self.tier.start()
            self._log.start()
            for outbox in self.outboxes:
                outbox.start()
            for edge in self._edges:
                edge.start()
            for chore in self._chores:
                chore.start()

    def close(self) -> None:
        """End every thread and connection of this process, delivering purges first."""
        self._releases.close()
        if self._refreshes.close():
            self._flights.renew()
        for chore in (*self._chores, *self._watches):
            chore.stop()
        for relay in self.relays:
            relay.stop()
        for outbox in self.outboxes:
            outbox.stop()
        for edge in self._edges:
            edge.stop()
        self.leases.close()
        if self._log is not None:
            self._log.stop()
            self._patient = True
        if self.tier is not None:
            self.tier.close()
        if self.databases is not None:
            self.databases.close()
        if self.client is not None:
            self.client.close()

    async def aclose(self) -> None:
        """The async twin of `close`."""
        await asyncio.to_thread(self.close)
        if self.tier is not None:
            await self.tier.aclose()
        if self.databases is not None:
            await self.databases.aclose()
        if self.client is not None:
            await self.client.aclose()

    def forked(self) -> None:
        """In a child: threads, sockets and locks belong to the parent."""
        self.memory.renew_lock()
        self._flights.renew()
        self.prepared.events.renew_lock()
        self.prepared.fences.writing, self._starting = Lock(), Lock()
        renew_lock()
        shared = self.tier, self._log, self.leases, self._wakes
        threads = self._refreshes, self._releases
        for part in (*threads, *shared, self.client, *self.relays, *self.outboxes):
            if part is not None:
                part.forget()
        for chore in (*self._chores, *self._watches):
            chore.forget()
        for edge in self._edges:
            edge.forget()
        self._patient = True

    @property
    def connects(self) -> bool:
        """Whether there may be connections of an event loop, to be closed before it ends."""
        return any(part is not None for part in (self.tier, self.databases, self.client))

    @property
    def backplane(self) -> Backplane | None:
        """How well this process hears of the region's purges; `None` without a Redis."""
        return None if self._log is None else self._log.backplane

    def refresh(self, work: Callable[[], None]) -> bool:
        """Refresh something on a thread of the background; `False` if there is no room."""
        return self._refreshes.submit(work)

    def release(self, effect: Release) -> None:
        """Give a lease back behind the caller's back; on its own thread if there is no other."""
        work = partial(self.perform, effect)
        if not self._releases.submit(work):
            work()

    def beside(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run something in the running loop, outside the request's context."""
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return task

    def entrust(self, token: str, plan: Callable[[], Plan[None]]) -> None:
        """Have a plan run that gives a lease back, should the request take its time to do it.

        Nothing is asked of Redis now; `reclaim` says that the request goes on itself.
        """
        self.leases.entrust(token, lambda: drive(plan(), self.perform))

    def _capture(self, _: Capture) -> Position | None:
        try:
            return None if self.databases is None else self.databases.primary_position()
        except Unavailable:
            return None

    async def _acapture(self, _: Capture) -> Position | None:
        try:
            return None if self.databases is None else await self.databases.aprimary_position()
        except Unavailable:
            return None

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
