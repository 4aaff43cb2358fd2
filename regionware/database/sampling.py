"""How far behind the primary a replica is, by this process's clock alone. No I/O here."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from regionware.database.position import Position

#: A sample of the primary older than this many seconds says nothing about now.
RECENT: Final = 2.0
#: Seventeen minutes of samples: a replica that lags more has no known lag.
HISTORY: Final = 4096


@dataclass(frozen=True, slots=True)
class Sample:
    """The primary's history as it was at `when`: logged so far, and of that flushed so far."""

    when: float
    logged: Position
    flushed: Position
    # Seconds for which an asynchronous commit may be visible and not yet flushed: three
    # times wal_writer_delay (PostgreSQL's documentation, "Asynchronous Commit").
    slack: float


class Samples:
    """What the primary was heard to say, of one timeline."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._samples: deque[Sample] = deque(maxlen=HISTORY)

    def add(self, sample: Sample) -> None:
        """Keep one; the first of another timeline forgets the others."""
        if self._samples and self._samples[-1].logged.timeline != sample.logged.timeline:
            self._samples.clear()
        self._samples.append(sample)

    def clear(self) -> None:
        """Forget all."""
        self._samples.clear()

    def name(self, now: float, timeline: int) -> bool:
        """Whether the primary, just asked, is on this timeline."""
        newest = self._samples[-1] if self._samples else None
        return (
            newest is not None and now - newest.when < RECENT and newest.logged.timeline == timeline
        )

    def lag(self, now: float, position: Position) -> tuple[float | None, float | None]:
        """Until when a replica at `position` has everything, and the lag in words for people.

        No clock but this process's is read, so there is no skew between clocks.
        """
        fresh: float | None = None
        for sample in reversed(self._samples):
            if position.reached(sample.logged):
                fresh = sample.when if fresh is None else max(fresh, sample.when)
                break
            if fresh is None and position.reached(sample.flushed):
                fresh = sample.when - sample.slack
        if fresh is None:
            return None, None
        newest = self._samples[-1]
        level = position.reached(newest.flushed) and now - newest.when < RECENT
        return fresh, 0.0 if level else max(now - fresh, 0.0)
