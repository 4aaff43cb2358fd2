"""What this process has purged, and another region has not confirmed yet.

The purges are in the outbox of this region's Redis, which may lose them with all it has. So whoever
has made one keeps it until the other region has confirmed it, and a while longer: the word of it
may be that of a server which took over without the latest purges.
"""

from collections import deque
from collections.abc import Callable
from threading import Lock

from regionware.caching.coherence import EVERYTHING, mark
from regionware.caching.purging import Order, joined

#: Names that are kept; of more, the oldest purges become one of everything.
_MOST = 10_000
#: Seconds for which a purge is kept at least: a lost history is noticed long before.
_LATELY = 60.0


class Unconfirmed:
    """Purges for one other region, in their order."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Keep nothing yet.

        Args:
            clock: monotonic seconds.
        """
        self._clock = clock
        self._lock = Lock()
        #: The stamp of each, when it was made, and what it was.
        self._kept: deque[tuple[int, float, Order]] = deque()
        self._names = 0
        self._cursor = 0

    def add(self, stamp: int, order: Order) -> None:
        """Keep a purge that this region's Redis has confirmed."""
        with self._lock:
            self._kept.append((stamp, self._clock(), order))
            self._names += len(order.names)
            if self._names > _MOST:
                self._drop(0.0)
                self._shorten(order.retention)

    def confirm(self, cursor: int) -> None:
        """The region has applied everything up to a stamp."""
        with self._lock:
            self._cursor = cursor
            self._drop(_LATELY)

    def take(self) -> list[Order]:
        """What has to be sent once more, as few purges; it is kept no longer."""
        with self._lock:
            self._drop(_LATELY)
            orders = [order for *_, order in self._kept]
            self._kept.clear()
            self._names = 0
        known = [order for order in orders if order.position is not None]
        others = [order for order in orders if order.position is None]
        return [joined(alike) for alike in (known, others) if alike]

    def waiting(self) -> tuple[int, float]:
        """How many purges are not confirmed, and for how many seconds the oldest is not."""
        with self._lock:
            made = [at for stamp, at, _ in self._kept if stamp > self._cursor]
        return len(made), self._clock() - made[0] if made else 0.0

    def __len__(self) -> int:
        """How many purges are kept."""
        return len(self._kept)

    def _drop(self, age: float) -> None:
        """Let go of what is confirmed, and at least so many seconds old."""
        till = self._clock() - age
        while self._kept and self._kept[0][0] <= self._cursor and self._kept[0][1] <= till:
            self._pop()

    def _shorten(self, retention: int) -> None:
        """Instead of too much, everything: to know less is to purge more."""
        oldest = None
        while self._kept and self._names >= _MOST:
            oldest = self._pop()
        if oldest is not None:
            everything = Order((mark(EVERYTHING, soft=False),), None, retention)
            self._kept.appendleft((*oldest, everything))
            self._names += 1

    def _pop(self) -> tuple[int, float]:
        stamp, at, order = self._kept.popleft()
        self._names -= len(order.names)
        return stamp, at
