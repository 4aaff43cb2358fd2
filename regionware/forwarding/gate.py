"""Whether a region's application is worth a connection: a small circuit breaker. No I/O here.

Only failures to connect count: nothing was carried out, so a request itself can find out whether
it goes again. Who waits in vain for an answer says nothing of what others would get.
"""

from typing import Final

#: Connections in a row that cannot be made before nobody tries.
FAILURES: Final = 3
#: Seconds until the first one tries again, and the longest that this becomes.
SHORTEST: Final = 0.5
LONGEST: Final = 8.0


class Gate:
    """Counts what became of connections to one region.

    It takes no lock: two threads that count at once move a limit by one, and no more.

    Attributes:
        until: monotonic seconds before which nobody tries; 0 while it is open.
    """

    __slots__ = ("_failures", "_pause", "until")

    def __init__(self) -> None:
        """Begin open."""
        self._failures, self._pause, self.until = 0, SHORTEST, 0.0

    def admits(self, now: float) -> bool:
        """Whether a connection may be tried; when the time is up, one may, until it is known."""
        if not self.until:
            return True
        if now < self.until:
            return False
        self.until = now + self._pause
        return True

    def failed(self, now: float) -> bool:
        """A connection could not be made; whether nobody tries from now on."""
        self._failures += 1
        if self._failures < FAILURES:
            return False
        fresh = not self.until
        self._pause = SHORTEST if fresh else min(2 * self._pause, LONGEST)
        self.until = now + self._pause
        return fresh

    def passed(self) -> None:
        """The region has answered."""
        if self._failures:
            self._failures, self.until = 0, 0.0
