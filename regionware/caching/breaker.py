"""Whether a Redis is worth asking: a circuit breaker.

Closed, it counts: `FAILURES` failures in a row open it, or at least `CALLS` calls within `WINDOW`
seconds of which at least half failed. Open, nobody asks. Only a probe in the background moves it
on (`prober`), never a user's request: after a good one the share of calls that may ask grows from
an eighth to a quarter to a half, `STEP` seconds each, then it is closed; a failure on the way opens
it again. So a Redis that comes back is not met by everybody at once.

No clock is read and no thread is started here: the clock is injected, and so is the lock that
guards a change of state.
"""

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from typing import Final, Literal

#: Failures in a row that open it.
FAILURES = 5
#: The fewest calls within `WINDOW` of which a half may open it.
CALLS = 5
#: Seconds over which failures are compared with calls; counted in quarters, so the window's
#: length is between three and four of them.
WINDOW: Final = 1.0
#: Seconds for which each share of calls may ask, after a good probe.
STEP = 0.25
#: Of how many calls one may ask, step by step.
SHARES: Final = (8, 4, 2)
_QUARTER: Final = WINDOW / 4
#: How many quarters count besides the one that runs.
_PAST: Final = 3

State = Literal["closed", "open", "half-open"]
#: Told the state that was entered, and why it was opened: `failures`, `rate` or `relapse`.
OnChange = Callable[["Breaker", State, str], None]


class Breaker:
    """Counts what became of calls to one server.

    A success in the closed state takes no lock: numbers that two threads change at once may lose
    one of the changes, which moves the limit by one call and no more.

    Attributes:
        shut: not every call may ask: read before each call, and `admits` only if it is true.
    """

    __slots__ = (
        "_bad",
        "_clock",
        "_good",
        "_lock",
        "_next",
        "_on_change",
        "_past",
        "_row",
        "_since",
        "_state",
        "_turns",
        "shut",
    )

    def __init__(
        self,
        clock: Callable[[], float],
        lock: AbstractContextManager[object],
        on_change: OnChange,
    ) -> None:
        """Begin closed, hopeful.

        Args:
            clock: monotonic seconds.
            lock: guards a change of state.
            on_change: called after each change, without the lock.
        """
        self.shut = False
        self._clock = clock
        self._lock = lock
        self._on_change = on_change
        self._state: State = "closed"
        self._since = 0.0
        self._turns = count()
        self._next = 0.0
        self._past: deque[tuple[int, int]] = deque(maxlen=_PAST)
        self._start_counting()

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._state

    def admits(self) -> bool:
        """Whether one call may ask now; each question counts as a call."""
        if self._state == "half-open":
            share = self._share()
            return share is None or next(self._turns) % share == 0
        return self._state == "closed"

    def succeeded(self) -> None:
        """A call was answered in time."""
        if self.shut:
            return  # a call from before: what opened it is newer
        if self._clock() >= self._next:
            self._turn()
        self._good += 1
        self._row = 0

    def failed(self) -> None:
        """A call was not answered in time, or by what the server is to blame for."""
        with self._lock:
            why = self._judge()
            if why:
                self._enter("open")
        if why:
            self._on_change(self, "open", why)

    def probed(self) -> None:
        """A probe in the background was answered in time: calls may ask again, at first a few."""
        with self._lock:
            if self._state != "open":
                return
            self._enter("half-open")
        self._on_change(self, "half-open", "")

    def tick(self) -> None:
        """Close it, once the last share has been granted long enough."""
        with self._lock:
            if self._state != "half-open" or self._share() is not None:
                return
            self._start_counting()
            self._enter("closed")
        self._on_change(self, "closed", "")

    def _judge(self) -> str:
        """Count a failure; why the breaker opens, or nothing."""
        if self._state == "open":
            return ""
        if self._state == "half-open":
            return "relapse"
        if self._clock() >= self._next:
            self._turn()
        self._bad += 1
        self._row += 1
        bad = self._bad + sum(quarter[0] for quarter in self._past)
        good = self._good + sum(quarter[1] for quarter in self._past)
        if self._row >= FAILURES:
            return "failures"
        return "rate" if bad + good >= CALLS and bad >= good else ""

    def _enter(self, state: State) -> None:
        self._state, self._since = state, self._clock()
        self.shut = state != "closed"

    def _share(self) -> int | None:
        """Of how many calls one may ask; `None`: all may."""
        step = int((self._clock() - self._since) / STEP)
        return SHARES[step] if step < len(SHARES) else None

    def _start_counting(self) -> None:
        self._row = self._bad = self._good = 0
        self._past.clear()
        self._next = self._clock() + _QUARTER

    def _turn(self) -> None:
        """Begin another quarter, and forget those that have left the window."""
        passed = int((self._clock() - self._next) / _QUARTER) + 1
        self._past.append((self._bad, self._good))
        self._past.extend([(0, 0)] * min(passed - 1, _PAST))
        self._bad = self._good = 0
        self._next += passed * _QUARTER
