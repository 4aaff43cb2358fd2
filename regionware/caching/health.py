"""Whether the region's Redis is worth asking."""

from collections.abc import Callable

#: Failures in a row after which nobody asks until the background reader hears again.
FAILURES = 3


class Health:
    """Whether Redis is worth asking."""

    __slots__ = ("_failures", "closed", "on_change")

    def __init__(self, on_change: Callable[[bool], None]) -> None:
        """Begin hopeful."""
        self._failures = 0
        self.closed = True
        self.on_change = on_change

    def failed(self) -> None:
        """A call failed."""
        self._failures += 1
        if self.closed and self._failures >= FAILURES:
            self.closed = False
            self.on_change(False)  # noqa: FBT003 - one meaning: it is up

    def succeeded(self) -> None:
        """A call, or the background reader, was answered."""
        if self._failures:
            self._failures = 0
        if not self.closed:
            self.closed = True
            self.on_change(True)  # noqa: FBT003 - one meaning: it is up
