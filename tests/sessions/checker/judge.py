"""Whether the answers kept their promises: read off the histories of all clients, afterwards.

The judge knows what clients know, and which writes a failover has lost. A write counts from the
moment at which its answer had arrived, a read by the moment at which it was sent; so whatever is
called a violation is one by any reading.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.sessions.checker.history import CACHED, SEEING, Op
from tests.sessions.checker.ledger import EPOCH, SNEAKED

Fault = Literal[
    "own write missed",
    "went back",
    "followed write missed",
    "cached answer older than the token",
    "older than a purge",
    "a read handle wrote",
    "strong read elsewhere",
    "written elsewhere",
    "lost write shown",
    "not told of lost writes",
    "not that row",
]


@dataclass(frozen=True)
class Failover:
    """What a failover has done.

    Attributes:
        killed: when the old primary was killed.
        known: when every worker had found the new one.
        port: the new primary's.
        survived: what was left of each counter.
        mourners: sessions that had a write lost, and asked for nothing until all knew.
    """

    killed: float
    known: float
    port: int
    survived: Mapping[int, int]
    mourners: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Violation:
    """A broken promise, with the answer, and what it should have been at least."""

    fault: Fault
    op: Op
    due: int = 0

    def __str__(self) -> str:
        op = self.op
        return (
            f"{self.fault}: {op.session or 'a stranger'} #{op.number} at {op.sent:.3f} read"
            f" {op.version} of /{op.route}/{op.item} instead of {self.due} from worker"
            f" {op.worker} ({op.region}, {'stored' if op.hit else op.port}, replica={op.replica},"
            f" {op.reasons}, {op.lower}, {op.token})"
        )


@dataclass
class Floors:
    """What one session must be shown of each counter: its own writes, and what it has seen."""

    own: dict[int, int] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)
    followed: dict[int, int] = field(default_factory=dict)


class Judge:
    """Judges a history.

    Attributes:
        violations: every promise that was broken.
    """

    def __init__(
        self, ops: Iterable[Op], *, bound: float, port: int, failover: Failover | None = None
    ) -> None:
        """Judge.

        Args:
            ops: of all clients, in any order.
            bound: seconds within which other workers may give what was purged.
            port: of the primary.
            failover: what has become of it.
        """
        self.ops = sorted(ops, key=lambda op: op.sent)
        self._bound = bound
        self._port = port
        self._failover = failover
        self._floors: defaultdict[str, Floors] = defaultdict(Floors)
        self._purges: defaultdict[int, list[Op]] = defaultdict(list)
        self._told: set[str] = set()
        self.violations: list[Violation] = []
        for op in self.ops:
            if op.writes and op.purge and op.version is not None:
                self._purges[op.item].append(op)
        for op in self.ops:
            self._judge(op)

    @property
    def faults(self) -> Counter[str]:
        """How often which promise was broken."""
        return Counter(each.fault for each in self.violations)

    @property
    def errors(self) -> Counter[str]:
        """Requests that were not answered, by what they were told."""
        return Counter(op.detail for op in self.ops if op.version is None and op.route != "sneak")

    def share(self, region: str) -> float:
        """Of the reads that a region's applications made for sessions, those from a replica."""
        made = [
            op.replica
            for op in self.ops
            if op.region == region and op.version is not None and not op.writes and not op.hit
            and op.route in SEEING | {"own"}
        ]  # fmt: skip
        return sum(made) / len(made) if made else 0.0

    def _judge(self, op: Op) -> None:
        if op.route == "sneak":
            if op.status == 200:
                self._accuse("a read handle wrote", op)
            return
        if op.version is None:
            return
        if op.version == SNEAKED:
            self._accuse("a read handle wrote", op)
        elif op.writes:
            self._note_write(op)
        else:
            self._judge_read(op)

    def _note_write(self, op: Op) -> None:
        assert op.version is not None
        if op.session:
            own = self._floors[op.session].own
            own[op.item] = max(op.version, own.get(op.item, 0))
        if op.port not in self._primaries(op):
            self._accuse("written elsewhere", op)

    def _judge_read(self, op: Op) -> None:
        if op.session:
            self._judge_session(op)
        if op.route == "strong" and (op.replica or op.port not in self._primaries(op)):
            self._accuse("strong read elsewhere", op)
        if op.route in CACHED:
            self._judge_purged(op)
        self._judge_lost(op)

    def _judge_session(self, op: Op) -> None:
        floors, item, version = self._floors[op.session], op.item, op.version
        assert version is not None
        watched = op.route in SEEING or (op.route == "strong" and op.token is not None)
        if op.route != "public":
            self._require("own write missed", op, floors.own.get(item, 0))
        if watched:
            self._require("went back", op, floors.seen.get(item, 0))
            self._require("followed write missed", op, floors.followed.get(item, 0))
            floors.seen[item] = max(version, floors.seen.get(item, 0))
            floors.followed[op.other] = max(op.seen, floors.followed.get(op.other, 0))
        older = op.lower is not None and op.token is not None
        if older and op.route in {"entry", "own"} and not self._covers(op):
            self._accuse("cached answer older than the token", op)

    @staticmethod
    def _covers(op: Op) -> bool:
        """Whether a stored answer was as new as the token demands; of other timelines, unknown."""
        assert op.lower is not None
        assert op.token is not None
        write = op.token.write
        same = write is not None and write.timeline == op.lower.timeline
        return not same or op.lower.reached(write)

    def _primaries(self, op: Op) -> set[int]:
        """Who may have been the primary while a request was answered."""
        failover = self._failover
        if failover is None or op.received < failover.killed:
            return {self._port}
        return {failover.port} if op.sent > failover.known else {self._port, failover.port}

    def _judge_purged(self, op: Op) -> None:
        """At once in the process that purged; elsewhere where it was promised, after the bound."""
        due = 0
        for purge in self._purges[op.item]:
            reach = purge.purged and (purge.purge == "all" or purge.region == op.region)
            promised = purge.purged or purge.purge == "inside"
            here = promised and purge.worker == op.worker and purge.received < op.sent
            if here or (reach and purge.received + self._bound < op.sent):
                due = max(due, purge.version or 0)
        self._require("older than a purge", op, due)

    def _judge_lost(self, op: Op) -> None:
        failover = self._failover
        if failover is None or op.version is None or op.sent < failover.known:
            return
        if self._is_lost(op.item, op.version):
            self._accuse("lost write shown", op)
        if op.session in failover.mourners and op.session not in self._told:
            self._told.add(op.session)
            if "orphaned" not in op.reasons:
                self._accuse("not told of lost writes", op)

    def _is_lost(self, item: int, version: int) -> bool:
        failover = self._failover
        if failover is None or version >= 2 * EPOCH:
            return False
        return version > failover.survived[item]

    def _require(self, fault: Fault, op: Op, due: int) -> None:
        failover = self._failover
        if failover is not None and self._is_lost(op.item, due) and op.received > failover.killed:
            due = failover.survived[op.item]
        if op.version is not None and op.version < due:
            self._accuse(fault, op, due)

    def _accuse(self, fault: Fault, op: Op, due: int = 0) -> None:
        self.violations.append(Violation(fault, op, due))
