"""Whether a host may be used: up, suspect, down, and coming back. No I/O here.

One missed answer is a hiccup. Two, or three connections in a second that could not be made, make a
host suspect: it comes last. One more and it is down. It comes back after three good answers in a
row, once its lag is under half of what is admitted, and then with a growing share of the reads:
a cold cache must not meet all of them at once.
"""

from collections import deque
from typing import Final, Literal

State = Literal["up", "suspect", "down"]

SUSPECT: Final = 2
DOWN: Final = 3
#: Connections that could not be made, and the seconds within which they count.
FAILURES: Final = 3
WITHIN: Final = 1.0
#: Good answers in a row.
RETURN: Final = 3
#: Seconds in which the share of a host that came back grows from an eighth to the whole.
SLOW_START: Final = 10.0
_FIRST_SHARE: Final = 0.125


class Vitals:
    """One host's.

    Attributes:
        state: `up` before anybody has asked.
    """

    def __init__(self) -> None:
        """Begin without any news."""
        self.state: State = "up"
        self._missed = 0
        self._good = 0
        self._back = float("-inf")
        self._failures: deque[float] = deque(maxlen=FAILURES)

    def good(self, now: float, *, level: bool, at_once: bool = False) -> None:
        """It answered, as what it should be.

        Args:
            now: the monotonic clock.
            level: its lag is under half of what is admitted.
            at_once: there is no other to take its place: it need not prove itself.
        """
        self._missed = 0
        if self._failures and now - self._failures[-1] > WITHIN:
            self._failures.clear()
        self._good += 1
        if self.state == "down" and not at_once:
            if self._good < RETURN or not level:
                return
            self._back = now
        self.state = "suspect" if len(self._failures) == FAILURES else "up"

    def missed(self, answers: int = 1) -> None:
        """It did not answer; silence may have lasted for several answers."""
        self._good = 0
        self._missed += answers
        if self._missed >= DOWN:
            self.state = "down"
        elif self._missed >= SUSPECT and self.state == "up":
            self.state = "suspect"

    def condemn(self) -> None:
        """It answered, and is not what it should be."""
        self._good, self.state = 0, "down"

    def failed(self, now: float) -> None:
        """A connection to it could not be made, or was lost."""
        self._failures.append(now)
        recent = len(self._failures) == FAILURES and now - self._failures[0] <= WITHIN
        if recent and self.state == "up":
            self.state = "suspect"

    @property
    def missing(self) -> bool:
        """Whether it did not answer when it was asked last."""
        return self._missed > 0

    def share(self, now: float) -> float:
        """The share of its reads that it should get now, 0.125 to 1."""
        return min(1.0, max(_FIRST_SHARE, (now - self._back) / SLOW_START))
