"""One fill for each key in this process; everybody else waits for it, on a thread or in a loop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock

from regionware.caching.entry import Entry, Key
from regionware.database.position import Position
from regionware.effects import Flight, Wait

#: How many requests for a key go to the application beside a fill at once: those that have waited
#: too long, or for a fill that has failed.
SPILL = 2

Wakers = list[Callable[[], None]]


class Waitable(Flight):
    """A flight that threads and tasks can wait for.

    Attributes:
        key: what is filled.
        keen: wakes those who would go to the application themselves, if there was room.
        patient: wakes the others.
    """

    __slots__ = ("keen", "key", "patient")

    def __init__(self, key: Key, need: Position | None, begun: int = 0) -> None:
        """Begin with nobody waiting."""
        super().__init__(need, begun)
        self.key = key
        self.keen: Wakers = []
        self.patient: Wakers = []

    @property
    def wakers(self) -> Wakers:
        """What wakes everybody who waits."""
        return [*self.keen, *self.patient]

    def take(self) -> Wakers:
        """The same, once: they wait no more."""
        wakers = self.wakers
        self.keen, self.patient = [], []
        return wakers


class Flights:
    """The fills in progress. `join` and `land` never block."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = Lock()
        self._flights: dict[Key, Waitable] = {}
        #: How many are at the application beside the fill of a key, or of those that failed.
        self._spills: dict[Key, int] = {}

    def join(
        self, key: Key, need: Position | None, floor: int = -1, stamp: int = 0
    ) -> tuple[Flight | None, bool]:
        """Join the fill of a key, or begin one.

        One that a purge has overtaken is of no use to who asks after the purge: the caller's takes
        its place, and who waits for it looks again, and finds that one.

        Args:
            key: what is filled.
            need: the position that it must reach.
            floor: a fill begun at or before this stamp is overtaken.
            stamp: of the beginning of the caller's own.

        Returns:
            The flight, and whether the caller leads it. `(None, False)` where a fill is under way
            that does not promise `need`: the caller goes alone.
        """
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and flight.begun > floor:
                promised = need is None or (flight.need is not None and flight.need.reached(need))
                return (flight, False) if promised else (None, False)
            own = self._flights[key] = Waitable(key, need, stamp)
        if flight is not None:
            self.land(key, flight, "abandoned")
        return own, True

    def land(self, key: Key, flight: Flight, outcome: str, result: Entry | None = None) -> None:
        """End a flight; only the first end counts."""
        with self._lock:
            if flight.outcome or not isinstance(flight, Waitable):
                return
            if self._flights.get(key) is flight:
                del self._flights[key]
            flight.result = result
            flight.outcome = outcome
            wakers = flight.take()
        for wake in wakers:
            wake()

    def spill(self, key: Key) -> bool:
        """Whether one who would go to the application beside a fill may do that now."""
        with self._lock:
            count = self._spills.get(key, 0)
            if count < SPILL:
                self._spills[key] = count + 1
            return count < SPILL

    def unspill(self, key: Key) -> None:
        """One of those has come back, and another may go: one who would, if there is one."""
        with self._lock:
            left = self._spills.pop(key, 1) - 1
            if left:
                self._spills[key] = left
            flight = self._flights.get(key)
            queue = [] if flight is None else flight.keen or flight.patient
            wake = queue.pop(0) if queue else None
        if wake is not None:
            wake()

    def nudge(self, flight: Flight) -> None:
        """Let those who wait look again: there is something that may do for them meanwhile."""
        with self._lock:
            wakers = flight.take() if isinstance(flight, Waitable) else []
        for wake in wakers:
            wake()

    def is_busy(self, key: Key) -> bool:
        """Whether a fill of a key is in progress."""
        return key in self._flights

    def _park(self, flight: Flight, wake: Callable[[], None], *, keen: bool) -> bool:
        """Ask to be woken; `False` if there is nothing to wait for any more."""
        with self._lock:
            if flight.outcome or not isinstance(flight, Waitable):
                return False
            if keen and self._spills.get(flight.key, 0) < SPILL:
                return False  # there is room since the caller asked
            (flight.keen if keen else flight.patient).append(wake)
            return True

    def _leave(self, flight: Flight, wake: Callable[[], None]) -> None:
        """Forget one who waits no more, so that nobody is woken in vain."""
        with self._lock:
            if isinstance(flight, Waitable):
                for queue in (flight.keen, flight.patient):
                    if wake in queue:
                        queue.remove(wake)

    def wait(self, ask: Wait) -> str:
        """Block until a flight ends, or until the time is over; the outcome, perhaps empty."""
        event, flight = Event(), ask.flight
        if self._park(flight, event.set, keen=ask.keen):
            event.wait(ask.timeout)
            self._leave(flight, event.set)
        return flight.outcome

    async def await_(self, ask: Wait) -> str:
        """The async twin of `wait`."""
        flight = ask.flight
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            # A loop that has been closed: nobody waits there any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_finish, future)

        if self._park(flight, wake, keen=ask.keen):
            try:
                await asyncio.wait((future,), timeout=ask.timeout)
            finally:
                future.cancel()
                self._leave(flight, wake)
        return flight.outcome

    def renew(self) -> None:
        """After a fork: no flight of the parent will ever land here."""
        self._lock = Lock()
        self._flights, self._spills = {}, {}

    def __len__(self) -> int:
        """How many fills are in progress."""
        return len(self._flights)


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
