"""How many reads the primary takes over from replicas that do not do. No I/O here.

When every replica is lost, all their reads would go to the primary, and bury it. So there is an
allowance for such reads: a token bucket that fills at twice the rate at which they came lately,
and never slower than a floor. Strong reads, writes, and reads of a region without any replica
never count.
"""

from typing import Final

#: How much more than usual is let through.
FACTOR: Final = 2.0
#: Seconds of the rate that may come at once.
BURST: Final = 2.0
#: Seconds over which the usual rate is averaged, while it is not exceeded.
USUAL: Final = 60.0


class Allowance:
    """One process's; not safe for threads: a lost update lets one read more or less through."""

    def __init__(self, floor: float) -> None:
        """Begin full.

        Args:
            floor: reads a second that are always let through; infinite for no bound at all.
        """
        self._floor = floor
        self._usual = 0.0
        self._left = max(1.0, floor * BURST)
        self._then: float | None = None

    @property
    def rate(self) -> float:
        """Reads a second that are let through."""
        return max(self._floor, FACTOR * self._usual)

    def take(self, now: float) -> bool:
        """Whether one more read may go to the primary, at this reading of a monotonic clock."""
        rate = self.rate
        if rate == float("inf"):
            return True
        passed = max(0.0, now - self._then) if self._then is not None else 0.0
        self._then = now
        self._left = min(max(1.0, rate * BURST), self._left + passed * rate)
        if self._left < 1:
            return False
        self._left -= 1
        # An average that decays: each read adds its share, so a steady rate is its own average.
        self._usual = self._usual * max(0.0, 1 - passed / USUAL) + 1 / USUAL
        return True
