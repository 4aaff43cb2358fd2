"""What the clients of a drill saw, and what it proves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import NamedTuple, Self


class Read(NamedTuple):
    """One answer.

    Attributes:
        began: when the request was sent, on the clock that all processes share.
        item: what was asked for.
        status: the answer's status; 0 if there was an exception instead.
        version: the version in the answer; `None` if it is not a whole answer about this item.
        seconds: how long it took.
        detail: what `Cache-Status` says in `detail`, or how it was forwarded; of an exception, its
            text.
        pid: the process that answered.
    """

    began: float
    item: int
    status: int
    version: int | None
    seconds: float
    detail: str
    pid: int


@dataclass
class Purges:
    """Versions whose purge was acknowledged, by item: when, and which.

    A drill notes the moment at which it heard of the acknowledgement, which is never too early.
    """

    acknowledged: dict[int, list[tuple[float, int]]] = field(default_factory=dict)

    def note(self, item: int, version: int, at: float) -> None:
        """A purge of this version was acknowledged."""
        self.acknowledged.setdefault(item, []).append((at, version))

    def due(self, item: int, moment: float) -> int:
        """The version that must be seen by whoever asks at this moment, or later."""
        return max((v for at, v in self.acknowledged.get(item, ()) if at <= moment), default=0)

    def __len__(self) -> int:
        return sum(map(len, self.acknowledged.values()))


@dataclass
class Evidence:
    """All answers of a drill."""

    reads: list[Read]

    @classmethod
    def of_all(cls, parts: Iterable[Iterable[Read]]) -> Self:
        """What several workers answered."""
        return cls([read for part in parts for read in part])

    def __len__(self) -> int:
        return len(self.reads)

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(self.reads + other.reads)

    def of(self, *pids: int) -> "Evidence":
        """What these processes answered."""
        return Evidence([read for read in self.reads if read.pid in pids])

    def since(self, moment: float) -> "Evidence":
        """What was asked from this moment on."""
        return Evidence([read for read in self.reads if read.began >= moment])

    def until(self, moment: float) -> "Evidence":
        """What was asked before this moment."""
        return Evidence([read for read in self.reads if read.began < moment])

    @property
    def errors(self) -> list[Read]:
        """Answers with a status that the application has not given, and exceptions."""
        return [read for read in self.reads if read.status != 200]

    @property
    def wrong(self) -> list[Read]:
        """Answers about something else, or not whole."""
        return [read for read in self.reads if read.status == 200 and read.version is None]

    def stale(self, purges: Purges, bound: float) -> list[Read]:
        """Answers older than a purge that was acknowledged more than `bound` seconds before."""
        return [
            read
            for read in self.reads
            if read.version is not None and read.version < purges.due(read.item, read.began - bound)
        ]

    def lag(self, purges: Purges) -> float:
        """The longest time after an acknowledgement at which an older answer was still given."""
        worst = 0.0
        for read in self.stale(purges, 0.0):
            missed = [at for at, v in purges.acknowledged[read.item] if v > (read.version or 0)]
            worst = max(worst, read.began - min(missed))
        return worst

    @property
    def slowest(self) -> float:
        """Seconds of the slowest answer."""
        return max((read.seconds for read in self.reads), default=0.0)

    def percentile(self, percent: int) -> float:
        """Seconds within which so many percent were answered."""
        return percentile([read.seconds for read in self.reads], percent)

    def count(self, detail: str) -> int:
        """How many answers had this detail."""
        return sum(read.detail == detail for read in self.reads)


def percentile(seconds: Sequence[float], percent: int) -> float:
    """Seconds within which so many percent of these lie."""
    if len(seconds) < 2:
        return max(seconds, default=0.0)
    return quantiles(seconds, n=100)[percent - 1]


def going_back(reads: Iterable[Read]) -> list[Read]:
    """Answers older than one that the same process had given before, for the same item."""
    found, seen = [], dict[tuple[int, int], tuple[float, int]]()
    for read in sorted(reads, key=lambda read: read.began):
        if read.version is None:
            continue
        ended, version = seen.get((read.pid, read.item), (0.0, 0))
        if read.version < version and read.began > ended:
            found.append(read)
        if read.version > version:
            seen[read.pid, read.item] = read.began + read.seconds, read.version
    return found


def sound(evidence: Evidence, least: int = 1) -> None:
    """Assert that nobody has noticed anything: no error, and nothing wrong."""
    assert len(evidence) >= least, "too few answers to prove anything"
    assert evidence.errors[:3] == []
    assert evidence.wrong[:3] == []


def milliseconds(seconds: float) -> str:
    """For people."""
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"
