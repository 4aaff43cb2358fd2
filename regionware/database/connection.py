"""`Databases`: the application's databases, as this process reaches them.

Nothing is connected before the first use, so that a server may fork its workers after the
application was made: what a parent had opened, a child forgets and opens for itself.
"""

import asyncio
import logging
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from time import monotonic
from typing import Any, Final, TypeVar

import psycopg

from regionware.context import Current
from regionware.database.allowance import Allowance
from regionware.database.conninfo import connection_string, urls_of
from regionware.database.escalating import Tell
from regionware.database.finding import View, ask_primary
from regionware.database.handle import Handle
from regionware.database.hands import ACommitted, AsyncHands, Committed, Hands
from regionware.database.health import Prober, Target
from regionware.database.known import Known
from regionware.database.latency import distance
from regionware.database.pools import Limits, Pools
from regionware.database.position import Position
from regionware.database.selector import Demand, Mark, Mode, Reason, Selection, Verify, demand
from regionware.database.survey import Survey
from regionware.database.timelines import Timelines
from regionware.database.waiters import Waiters
from regionware.drive import adrive, drive
from regionware.log_purges import LogPurges
from regionware.observe import Event
from regionware.policies.database import Access, Consistency, Database
from regionware.topology import Topology

logger = logging.getLogger("regionware.database")

R = TypeVar("R")

#: Outside a request nothing is declared, so the strongest holds.
_OUTSIDE: Final = Database.primary()


class _Rim:
    """What must be closed; apart from `Databases`, so that it can be when that is collected."""

    def __init__(self, pools: Pools) -> None:
        self.pools = pools
        self.prober: Prober | None = None

    def close(self) -> None:
        prober, self.prober = self.prober, None
        if prober is not None:
            prober.stop()
        self.pools.close()


class Databases:
    """Every server that the topology names, and which of them is what."""

    def __init__(
        self,
        topology: Topology,
        *,
        mode: Callable[[], Mode] = lambda: "on",
        limits: Limits | None = None,
        interval: float = 0.25,
        tell: Tell = lambda _: None,
        on_history: Callable[[Timelines], None] = lambda _: None,
        purges: LogPurges | None = None,
    ) -> None:
        """Know the hosts; nothing is connected.

        Args:
            topology: what stands where.
            mode: asked for every connection; anything but `on` reads from the primary.
            limits: what pools may use.
            interval: seconds between two questions of the prober to one host.
            tell: what is told of failovers, of hosts that come and go, and of every read that goes
                to the primary because no replica did, or that wrote.
            on_history: called on the prober's thread when more is known of the timelines.
            purges: takes purges from the log; started and ended together with the prober.

        Raises:
            ConfigurationError: the topology has no database.
        """
        self._topology = topology
        self._urls = urls_of(topology)
        self._region = topology.here.name
        self._mode = mode
        self._limits = limits or Limits()
        self._interval = interval
        self.tell, self._on_history = tell, on_history
        self._allowance = Allowance(self._limits.takeover)
        self.purges = purges
        self._lock = threading.Lock()
        self._unasked = self._survey().known
        pools = Pools(self._urls, self._region, self._limits, lambda: self.known.timelines.current)
        self._rim = _Rim(pools)
        weakref.finalize(self, self._rim.close)
        _LIVE.add(self)
        if len(self._urls) == 1:
            logger.warning("no replica anywhere: every read goes to %s", *self._urls)

    def start(self) -> None:
        """Begin to ask the hosts how they are. Called by the first connection, if not before."""
        if self._rim.prober is not None:
            return
        with self._lock:
            if self._rim.prober is None:
                if self.purges is not None:
                    self.purges.start()
                prober = Prober(
                    [Target(name, self._probing(name)) for name in self._urls],
                    self._survey(),
                    interval=self._interval,
                    on_turn=self._rim.pools.retire,
                    on_history=self._on_history,
                    reader=self.purges,
                )
                prober.start()
                self._rim.prober = prober

    def close(self) -> None:
        """Close what threads use; the pools of an event loop are closed there, by `aclose`."""
        self._rim.close()

    async def aclose(self) -> None:
        """Close the pools of the running event loop, and what threads use."""
        await self._rim.pools.aclose()
        await asyncio.to_thread(self._rim.close)

    @property
    def marks(self) -> Mapping[str, Mark]:
        """What is known of each host now, by name."""
        return self.known.marks

    @property
    def known(self) -> Known:
        """What is known now: the hosts, their roles, and how the timelines hang together."""
        prober = self._rim.prober
        return prober.known if prober is not None else self._unasked

    @property
    def cluster(self) -> str | None:
        """The name of the primary's cluster, as tokens carry it; `None` until it has answered."""
        prober = self._rim.prober
        return prober.cluster if prober is not None else None

    def connection(
        self,
        state: Current | None,
        *,
        access: Access | None = None,
        consistency: Consistency | None = None,
        snapshot: bool = False,
        committed: Committed | None = None,
        acommitted: ACommitted | None = None,
    ) -> Handle:
        """A connection to be entered with `with` or `async with`.

        Args:
            state: the request; `None` outside one, where a read is strong.
            access: overrides what the route and the method say.
            consistency: strengthens what the route promises.
            snapshot: all reads are of one repeatable-read transaction.
            committed: called after a commit with what waited for it in `state.deferred`, and the
                commit's position, `None` if its outcome is unknown.
            acommitted: the same for `async with`.

        Raises:
            ConfigurationError: the words are unknown, or weaker than the route's policy.
        """
        wanted = self.demand(state, access, consistency)
        return self._handle(wanted, state, snapshot, committed=committed, acommitted=acommitted)

    def choose(
        self,
        state: Current | None,
        *,
        access: Access | None = None,
        consistency: Consistency | None = None,
    ) -> Selection | Verify:
        """The decision that `connection` would make now, without connecting.

        Raises:
            ConfigurationError: the words are unknown, or weaker than the route's policy.
            ConsistencyUnavailable: no host gives what is wanted, and the policy says to fail.
        """
        view = replace(self._view(), afford=lambda: True)
        return view.choose(self.demand(state, access, consistency), {})

    @property
    def urls(self) -> Mapping[str, str]:
        """Every host's URL by its name."""
        return self._urls

    def settled(
        self,
        state: Current | None,
        access: Access | None,
        consistency: Consistency | None,
        tried: dict[str, Reason],
    ) -> tuple[Access, Selection]:
        """The decision for whoever brings a connection: what marks do not prove is not there.

        Args:
            state: as for `connection`.
            access: as for `connection`.
            consistency: as for `connection`.
            tried: hosts that are not to be chosen, with the reason; those that would have to be
                asked are added.

        Raises:
            ConfigurationError: as `choose`.
            Unavailable: as `connection`, on entering.
        """
        self.start()
        wanted, heard = self.demand(state, access, consistency), self._waiters.heard
        found = self._settle(wanted, tried)
        if found.host.role == "primary" and not heard.is_set():
            # Once for each process: before all were asked, an old primary may pass for the new one.
            heard.wait(self._limits.timeout)
            found = self._settle(wanted, tried)
        return wanted.access, found

    def _settle(self, wanted: Demand, tried: dict[str, Reason]) -> Selection:
        view = self._view()
        while isinstance(found := view.choose(wanted, tried), Verify):
            tried[found.host.name] = Reason.BEHIND
        return found

    def run_read(
        self,
        state: Current | None,
        function: Callable[["psycopg.Connection[Any]"], R],
        *,
        consistency: Consistency | None = None,
        snapshot: bool = False,
    ) -> R:
        """Call `function` with a read handle; once more, elsewhere, if its host was lost.

        The function may so run twice, and must do nothing but read. Lost is also a read that was
        cancelled by a conflict with what the replica had to replay.
        """
        wanted = self.demand(state, "read", consistency)
        handle = self._handle(wanted, state, snapshot)
        try:
            with handle as connection:
                return function(connection)
        except psycopg.OperationalError:
            if handle.lost is None:
                raise
        with self._handle(wanted, state, snapshot, tried=handle.lost) as connection:
            return function(connection)

    async def arun_read(
        self,
        state: Current | None,
        function: Callable[["psycopg.AsyncConnection[Any]"], Awaitable[R]],
        *,
        consistency: Consistency | None = None,
        snapshot: bool = False,
    ) -> R:
        """The async twin of `run_read`."""
        wanted = self.demand(state, "read", consistency)
        handle = self._handle(wanted, state, snapshot)
        try:
            async with handle as connection:
                return await function(connection)
        except psycopg.OperationalError:
            if handle.lost is None:
                raise
        async with self._handle(wanted, state, snapshot, tried=handle.lost) as connection:
            return await function(connection)

    def primary_position(self, timeout: float | None = None) -> Position:
        """Where the primary is now: everything committed before the call lies before it.

        Args:
            timeout: seconds for that, if fewer than for any other.

        Raises:
            PrimaryUnavailable: it does not answer.
        """
        self.start()
        asking = ask_primary(self._view(), self._patience(timeout))
        return drive(asking, Hands(self._rim.pools, self._waiters))

    async def aprimary_position(self, timeout: float | None = None) -> Position:  # noqa: ASYNC109 - the caller's
        """The async twin of `primary_position`."""
        self.start()
        asking = ask_primary(self._view(), self._patience(timeout))
        return await adrive(asking, AsyncHands(self._rim.pools, self._waiters))

    def _patience(self, timeout: float | None) -> float:
        limit = self._limits.timeout
        return limit if timeout is None else min(timeout, limit)

    def demand(
        self, state: Current | None, access: Access | None, consistency: Consistency | None
    ) -> Demand:
        """What a handle with these words must be able to do."""
        mode = self._mode()
        if state is None:
            policy = _OUTSIDE if consistency is None else Database(consistency=consistency)
            return demand(policy, route="read", access=access, mode=mode)
        if state.observing and mode == "on":
            mode = "observe"
        return demand(
            state.database, route=state.access, access=access, consistency=consistency,
            need=state.need, lost=state.lost, orphaned=state.orphaned, pin=state.pin,
            abreast=state.watching and (state.fills or bool(state.seen.pin)), mode=mode,
        )  # fmt: skip

    def _handle(
        self,
        wanted: Demand,
        state: Current | None,
        snapshot: bool,  # noqa: FBT001 - private, passed on
        *,
        committed: Committed | None = None,
        acommitted: ACommitted | None = None,
        tried: Mapping[str, Reason] | None = None,
    ) -> Handle:
        self.start()
        pools, timeout = self._rim.pools, self._limits.timeout
        waiters = self._waiters
        hands = Hands(pools, waiters, committed), AsyncHands(pools, waiters, acommitted)
        view = self._view()
        return Handle(
            view, wanted, state, hands, snapshot=snapshot, timeout=timeout, tried=tried,
            tell=self.tell,
        )  # fmt: skip

    def _view(self) -> View:
        table = self.purges.table if self.purges is not None else None
        return View(
            self.known, lambda: self.known, self._rim.pools.busy, self._afford, self._failed,
            self._fell, self._waiters.heard.is_set,
            table.name if table is not None and table.adds else None, self._rim.pools.full,
        )  # fmt: skip

    @property
    def _waiters(self) -> Waiters:
        prober = self._rim.prober
        return prober.waiters if prober is not None else Waiters()

    def _afford(self) -> bool:
        return self._allowance.take(monotonic())

    def _fell(self, reason: str) -> None:
        self.tell(Event("primary-read", detail=reason))

    def _failed(self, name: str) -> None:
        prober = self._rim.prober
        if prober is not None:
            prober.failed(name)

    def _survey(self) -> Survey:
        places = {region.name: region.location for region in self._topology.regions}
        here = places[self._region]
        distances = {name: distance(here, places[name.partition("/")[0]]) for name in self._urls}
        return Survey(list(self._urls), self._region, distances=distances, tell=self.tell)

    def _probing(self, name: str) -> str:
        application = f"regionware/{self._region}/prober"
        url = self._urls[name]
        return connection_string(url, application=application, access="read", probing=True)

    def _abandon(self) -> None:
        """In a child process: forget what the parent has opened."""
        self._lock = threading.Lock()
        self._rim.pools.abandon()
        _INHERITED.append(self._rim.prober)
        self._rim.prober = None


_LIVE: weakref.WeakSet[Databases] = weakref.WeakSet()
#: What processes inherited from their parents: kept, so that it is never finalised.
_INHERITED: list[Any] = []


def _after_fork() -> None:
    for databases in list(_LIVE):
        databases._abandon()  # noqa: SLF001 - of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
