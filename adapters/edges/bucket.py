"""A token bucket: how fast requests may be sent. Time is given, and nothing waits here."""

from typing import Final

from regionware.adapters.edges.protocol import Rate

#: Of a token: whoever has waited as long as it was told is not told to wait for a rounding error.
_ROUNDING: Final = 1e-6


class Bucket:
    """Full at first. One thread at a time uses it."""

    def __init__(self, rate: Rate) -> None:
        """Begin full, at the first call.

        Args:
            rate: see there.
        """
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at: float | None = None

    def take(self, now: float) -> float:
        """Take a token.

        Args:
            now: monotonic seconds.

        Returns:
            0 if one was taken, otherwise the seconds until there will be one.
        """
        if self._at is not None:
            gained = max(now - self._at, 0.0) * self._rate.a_second
            self._tokens = min(self._tokens + gained, float(self._rate.burst))
        self._at = now
        if self._tokens >= 1.0 - _ROUNDING:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate.a_second
