"""Whether an answer was right: the judge of the demonstration.

It sees only what clients see. Every acknowledged PUT of every client in both regions goes into a
history, with the moments (of one clock, the clients') at which its answer had arrived; every read
is judged against it by the moment at which it was sent. So whatever the judge calls wrong is wrong
by any reading: a write in flight counts for nobody.
"""

from bisect import bisect_left, insort
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Fault = Literal["own write missed", "older than its lifetime", "older than a purge", "not that row"]


@dataclass(frozen=True, slots=True)
class Promise:
    """What a route declares about its answers.

    Attributes:
        own_writes: a client sees what it has written.
        lifetime: seconds for which a replaced version may still be answered, `None` for no limit.
        purged: a PUT purges it.
    """

    own_writes: bool
    lifetime: float | None
    purged: bool


@dataclass(order=True, frozen=True, slots=True)
class Write:
    """One acknowledged PUT.

    Attributes:
        version: what it made of the row.
        acknowledged: when its answer had arrived, in seconds; its commit and its purge were done.
        client: who sent it.
    """

    version: int
    acknowledged: float
    client: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """One wrong answer, in words that can be looked up in the logs."""

    fault: Fault
    key: str
    detail: str


@dataclass
class Checker:
    """Histories by row, and the count of what was judged.

    Attributes:
        bound: seconds after an acknowledged purge within which an older answer is no fault.
        checked: how many answers were judged.
        wrong: every fault found.
        longest: seconds for which a purged version was still answered, at most.
    """

    bound: float
    checked: int = 0
    wrong: list[Wrong] = field(default_factory=list)
    longest: float = 0.0
    _writes: dict[str, list[Write]] = field(default_factory=dict)

    def wrote(self, key: str, write: Write) -> None:
        """Enter an acknowledged PUT; they may arrive in any order."""
        insort(self._writes.setdefault(key, []), write)

    def read(self, versions: dict[str, int], promise: Promise, *, client: str, sent: float) -> None:
        """Judge one answer.

        Args:
            versions: the version of each row in the answer, by key.
            promise: what its route declares.
            client: who asked.
            sent: when the request was sent.
        """
        self.checked += 1
        for key, version in versions.items():
            fault = self._fault(key, version, promise, client, sent)
            if fault is not None:
                self.wrong.append(fault)
                return

    def mismatched(self, key: str, found: object) -> None:
        """Enter an answer about something else than what was asked for."""
        self.wrong.append(Wrong("not that row", key, f"answered {found!r}"))

    def faults(self) -> Counter[str]:
        """How many wrong answers there were of each kind."""
        return Counter(each.fault for each in self.wrong)

    def _fault(
        self, key: str, version: int, promise: Promise, client: str, sent: float
    ) -> Wrong | None:
        newer = self._newer(key, version, sent)
        own = next((write for write in newer if write.client == client), None)
        if promise.own_writes and own is not None:
            return _wrong("own write missed", key, version, own, sent)
        if not newer:
            return None
        first = min(newer, key=lambda write: write.acknowledged)
        if promise.lifetime is not None and sent - first.acknowledged > promise.lifetime:
            return _wrong("older than its lifetime", key, version, first, sent)
        if promise.purged:
            self.longest = max(self.longest, sent - first.acknowledged)
        if promise.purged and sent - first.acknowledged > self.bound:
            return _wrong("older than a purge", key, version, first, sent)
        return None

    def _newer(self, key: str, version: int, sent: float) -> list[Write]:
        """The writes past `version` that had been acknowledged when the request was sent."""
        writes = self._writes.get(key, [])
        start = bisect_left(writes, version + 1, key=lambda write: write.version)
        return [write for write in writes[start:] if write.acknowledged < sent]


def _wrong(fault: Fault, key: str, version: int, write: Write, sent: float) -> Wrong:
    age = (sent - write.acknowledged) * 1000
    return Wrong(
        fault,
        key,
        f"version {version}, asked {age:.0f} ms after {write.client} had version {write.version}",
    )
