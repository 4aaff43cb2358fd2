"""What the sessions of a drill were shown, and what it proves."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from tests.faults.drills.evidence import percentile
from tests.faults.drills.ledger import GUARANTEED

#: Reasons that say to a session that what it had written is not known to be there.
TOLD = ("orphaned", "outcome-unknown")


class Visit(NamedTuple):
    """One request of one session, and its answer.

    Attributes:
        began: when it was sent, on the clock that all processes share.
        seconds: how long it took.
        client: whose, unique among all processes.
        what: `write`, or the path of a read.
        item: what was asked for.
        sent: of a write, the value.
        status: the answer's status; 0 if there was an exception instead.
        value: the value in the answer; `None` if it is not an answer about this item.
        replica: whether a replica gave it; of a hit, whether one once did.
        port: where the server that gave it listens; 0 where there was none.
        reason: why that host was chosen; empty for a hit.
        error: what went wrong, by its type or its SQLSTATE.
        hit: it was stored.
        token: with it came a token.
        calls: how often the application was executed for it.
        pid: the process that answered.
    """

    began: float
    seconds: float
    client: int
    what: str
    item: int
    sent: int = 0
    status: int = 200
    value: int | None = None
    replica: bool = False
    port: int = 0
    reason: str = ""
    error: str = ""
    hit: bool = False
    token: bool = False
    calls: int = 0
    pid: int = 0

    @property
    def ended(self) -> float:
        """When the answer was there."""
        return self.began + self.seconds

    @property
    def good(self) -> bool:
        """Whether it is an answer."""
        return self.status == 200


@dataclass(frozen=True)
class Switchover:
    """A promotion, and what it lost.

    Attributes:
        known: when each process certainly knew of it, by process.
        old: the port of the primary before it.
        kept: the value of each item that the promoted server had.
    """

    known: Mapping[int, float]
    old: int
    kept: Mapping[int, int]

    def certain(self, visit: Visit) -> bool:
        """Whether the process certainly knew when it was asked."""
        return visit.began >= self.known[visit.pid]

    def written(self, visit: Visit) -> bool:
        """Whether the new primary has taken this write."""
        return visit.good and visit.what == "write" and visit.port != self.old

    def over(self, visit: Visit) -> bool:
        """Whether the answer may be one of the new history."""
        new = visit.good and not visit.replica and visit.port != self.old
        return new or visit.ended >= self.known[visit.pid]


@dataclass
class Visits:
    """All visits of a drill, in the order in which they began."""

    all: list[Visit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.all.sort()

    def __len__(self) -> int:
        return len(self.all)

    def __iter__(self) -> Iterator[Visit]:
        return iter(self.all)

    @classmethod
    def of_all(cls, parts: Iterable[Iterable[Visit]]) -> Self:
        """What several workers saw."""
        return cls([visit for part in parts for visit in part])

    def by(self, *pids: int) -> "Visits":
        """What these processes answered."""
        return Visits([visit for visit in self.all if visit.pid in pids])

    def only(self, *what: str) -> "Visits":
        """Visits of these kinds."""
        return Visits([visit for visit in self.all if visit.what in what])

    @property
    def reads(self) -> "Visits":
        """Everything but writes."""
        return Visits([visit for visit in self.all if visit.what != "write"])

    def since(self, moment: float) -> "Visits":
        """What was begun from this moment on."""
        return Visits([visit for visit in self.all if visit.began >= moment])

    def until(self, moment: float) -> "Visits":
        """What was begun before this moment."""
        return Visits([visit for visit in self.all if visit.began < moment])

    @property
    def errors(self) -> list[Visit]:
        """Answers that are none."""
        return [visit for visit in self.all if not visit.good]

    @property
    def foreign(self) -> list[Visit]:
        """Answers about something else."""
        return [visit for visit in self.all if visit.good and visit.value is None]

    @property
    def written_on_replicas(self) -> list[Visit]:
        """Writes that a server in recovery has answered."""
        return [visit for visit in self.all if visit.what == "write" and visit.replica]

    @property
    def slowest(self) -> float:
        """Seconds of the slowest answer."""
        return max((visit.seconds for visit in self.all), default=0.0)

    def percentile(self, percent: int) -> float:
        """Seconds within which so many percent were answered."""
        return percentile([visit.seconds for visit in self.all], percent)

    def sessions(self) -> dict[int, list[Visit]]:
        """The visits of each session."""
        found: dict[int, list[Visit]] = {}
        for visit in self.all:
            found.setdefault(visit.client, []).append(visit)
        return found

    def of_replicas_alone(self) -> "Visits":
        """Reads of sessions that owe nothing to the primary: no write, nothing seen there."""
        found: list[Visit] = []
        for visits in self.sessions().values():
            for visit in visits:
                if visit.what == "write" or (visit.good and not visit.replica):
                    break
                found.append(visit)
        return Visits(found)

    def going_back(self, switch: Switchover | None = None) -> list[Visit]:
        """Answers older than what the same session had written, or been shown, before."""
        lost = self._lost(switch) if switch is not None else set()
        each = self.sessions().values()
        return [visit for visits in each for visit in _older(visits, switch, lost)]

    def ghosts(self, switch: Switchover) -> list[Visit]:
        """Answers with values that were lost, given by a process that knew."""
        lost = self._lost(switch)
        return [
            visit for visit in self.reads
            if switch.certain(visit) and (visit.item, visit.value) in lost
        ]  # fmt: skip

    def unannounced(self, switch: Switchover) -> list[Visit]:
        """The first answers to sessions whose writes were lost, where they were not told so."""
        lost, found = self._lost(switch), []
        for visits in self.sessions().values():
            bereft = False
            for visit in visits:
                if not visit.good:
                    if bereft and visit.token:
                        break  # With its error came a token that asks for nothing that is lost.
                elif visit.what == "write" and (visit.item, visit.sent) in lost:
                    bereft = True
                elif bereft and (visit.reason in TOLD or switch.written(visit)):
                    break
                elif bereft and visit.what in GUARANTEED and switch.certain(visit):
                    found.append(visit)
                    break
        return found

    def bereft(self, switch: Switchover) -> set[int]:
        """Sessions with an acknowledged write that was lost."""
        lost = self._lost(switch)
        return {
            visit.client for visit in self.only("write")
            if visit.good and (visit.item, visit.sent) in lost
        }  # fmt: skip

    def _lost(self, switch: Switchover) -> set[tuple[int, int]]:
        writes = self.only("write")
        kept = {(v.item, v.sent) for v in writes if switch.written(v)}
        tried = {(v.item, v.sent) for v in writes if v.began < max(switch.known.values())}
        return {(i, sent) for i, sent in tried - kept if sent > switch.kept[i]}


def _older(
    visits: list[Visit], switch: Switchover | None, lost: set[tuple[int, int]]
) -> list[Visit]:
    """What one session should not have been shown."""
    found, floors = [], dict[int, int]()
    for visit in visits:
        if not visit.good or visit.value is None:
            continue
        floor = floors.get(visit.item, 0)
        if visit.what != "write" and switch is not None and switch.over(visit):
            # What was lost cannot be shown; what was kept must be.
            floor = switch.kept[visit.item] if (visit.item, floor) in lost else floor
            floors[visit.item] = floor
        if visit.what == "write":
            floors[visit.item] = max(floor, visit.sent)
        elif visit.what in GUARANTEED:
            if visit.value < floor:
                found.append(visit)
            floors[visit.item] = max(floor, visit.value)
    return found


def sound(visits: Visits, least: int = 1) -> None:
    """Assert that nobody has noticed anything: no error, nothing wrong, nothing older."""
    assert len(visits) >= least, "too few answers to prove anything"
    assert visits.errors[:3] == []
    right(visits)


def right(visits: Visits, switch: Switchover | None = None) -> None:
    """Assert that no answer is wrong, whichever requests were refused."""
    assert visits.foreign[:3] == []
    assert visits.written_on_replicas[:3] == []
    assert visits.going_back(switch)[:3] == []
