"""One fill for each key in this process; everybody else waits for it, on a thread or in a loop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock

from regionware.caching.entry import Entry, Key
from regionware.database.position import Position
from regionware.effects import Flight

#: How many requests for a key go to the application at once when they have waited too long.
SPILL = 2


class Waitable(Flight):
    """A flight that threads and tasks can wait for."""

    __slots__ = ("wakers",)

    def __init__(self, need: Position | None) -> None:
        """Begin with nobody waiting."""
        super().__init__(need)
        self.wakers: list[Callable[[], None]] = []


class Flights:
    """The fills in progress. `join` and `land` never block."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = Lock()
        self._flights: dict[Key, Waitable] = {}

    def join(self, key: Key, need: Position | None) -> tuple[Flight | None, bool]:
        """Join the fill of a key, or begin one.

        Returns:
            The flight, and whether the caller leads it. `(None, False)` where a fill is under way
            that does not promise `need`: the caller goes alone.
        """
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                flight = self._flights[key] = Waitable(need)
                return flight, True
            promised = need is None or (flight.need is not None and flight.need.reached(need))
            return (flight, False) if promised else (None, False)

    def land(self, key: Key, flight: Flight, outcome: str, result: Entry | None = None) -> None:
        """End a flight; only the first end counts."""
        with self._lock:
            if flight.outcome or not isinstance(flight, Waitable):
                return
            if self._flights.get(key) is flight:
                del self._flights[key]
            flight.result = result
            flight.outcome = outcome
            wakers, flight.wakers = flight.wakers, []
        for wake in wakers:
            wake()

    def spill(self, flight: Flight) -> bool:
        """Whether one who has waited too long may go to the application beside a fill."""
        with self._lock:
            free = flight.spills < SPILL
            flight.spills += free
            return free

    def unspill(self, flight: Flight) -> None:
        """One of those has come back, and another may go."""
        with self._lock:
            flight.spills -= 1
            wakers = flight.wakers if isinstance(flight, Waitable) else []
            wake = wakers.pop(0) if wakers else None
        if wake is not None:
            wake()

    def nudge(self, flight: Flight) -> None:
        """Let those who wait look again: there is something that may do for them meanwhile."""
        with self._lock:
            wakers: list[Callable[[], None]] = []
            if isinstance(flight, Waitable):
                wakers, flight.wakers = flight.wakers, []
        for wake in wakers:
            wake()

    def is_busy(self, key: Key) -> bool:
        """Whether a fill of a key is in progress."""
        return key in self._flights

    def _park(self, flight: Flight, wake: Callable[[], None]) -> bool:
        """Ask to be woken; `False` if the flight has ended already."""
        with self._lock:
            if flight.outcome or not isinstance(flight, Waitable):
                return False
            flight.wakers.append(wake)
            return True

    def _leave(self, flight: Flight, wake: Callable[[], None]) -> None:
        """Forget one who waits no more, so that nobody is woken in vain."""
        with self._lock:
            if isinstance(flight, Waitable) and wake in flight.wakers:
                flight.wakers.remove(wake)

    def wait(self, flight: Flight, timeout: float) -> str:
        """Block until the flight ends, or for `timeout` seconds; the outcome, perhaps empty."""
        event = Event()
        if self._park(flight, event.set):
            event.wait(timeout)
            self._leave(flight, event.set)
        return flight.outcome

    async def await_(self, flight: Flight, timeout: float) -> str:  # noqa: ASYNC109 - the plan's
        """The async twin of `wait`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            # A loop that has been closed: nobody waits there any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_finish, future)

        if self._park(flight, wake):
            try:
                await asyncio.wait((future,), timeout=timeout)
            finally:
                future.cancel()
                self._leave(flight, wake)
        return flight.outcome

    def renew(self) -> None:
        """After a fork: no flight of the parent will ever land here."""
        self._lock = Lock()
        self._flights = {}

    def __len__(self) -> int:
        """How many fills are in progress."""
        return len(self._flights)


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
