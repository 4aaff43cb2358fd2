"""Purges that ride in the log: the table, how it is asked, and which rows are new. No I/O here.

A purge is a row of the transaction that changes the data, so it is replicated with it, and a row
that is visible on a host proves that the data is. Each region asks its own replicas, in the
question that the prober asks them anyway.

**Which rows are new.** The order of ids is not the order of commits: a reader that remembers the
largest id loses whatever commits later with a smaller one. A row carries the number (`xid8`) of
its transaction; numbers below the `xmin` of a snapshot have all ended, so what is visible of them
is all there will ever be. The reader keeps the xmin of its last question as its *floor*, asks for
the rows at or above it, and leaves out those it has seen. On a standby only xmin may be used: the
list of what is in progress is empty there.

Transactions may be numbered anew from a point in the past: after a crash, or a promotion that lost
the latest. Rows of these were written later than the last answer of before, so the first question
on a new connection, and on a new timeline, asks for what was *written* since then, too.

**What a refill must have reached.** On the primary: the insert position, read after the snapshot;
a commit is in the log before it is visible. On a replica a commit is visible a moment *before* the
replayed position covers it: the position moves when the record is done. So where all that was
received is replayed, nothing was being replayed, and the position is exact; otherwise it is one
above: the end of whatever record was at work, or a later one. The host itself gets there with the
next record that it replays; others of the region may lag and are asked once they have it, too.

**What was missed.** Whoever deletes old rows leaves one that says up to which number. A reader
whose floor is not above that purges everything.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from regionware.caching.coherence import EVERYTHING, mark, tag_name
from regionware.caching.named import names_for
from regionware.database.position import Position
from regionware.database.purge_sql import AROUND, FACTS, MARK, rows
from regionware.database.selector import Host
from regionware.errors import ConfigurationError

#: Rows of one answer.
BATCH: Final = 100
#: Rows that a reader without a cursor reads; of more than that it purges everything instead.
MOST: Final = 10_000
#: Seconds by which clocks of two servers may differ, and a row may be written after it was begun.
_SKEW: Final = 60.0

_CURSOR: Final = re.compile(r"([0-9]+):([0-9]+):([0-9]+):([0-9]+\.[0-9]+)\Z")
ALL: Final = (mark(EVERYTHING, soft=False),)


@dataclass(frozen=True, slots=True)
class Table:
    """The table of purges, and what a role may do with it.

    Attributes:
        name: qualified, and quoted where it must be.
        reads: rows may be read: purges are taken from the log.
        adds: rows may be added: purges ride in the log.
        deletes: rows may be deleted: they are pruned from here.
    """

    name: str
    reads: bool
    adds: bool
    deletes: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One purge.

    Attributes:
        mark: its own name among the fences.
        names: the fences that it raises.
        age: seconds since it was written, by the database's clocks.
        missed: earlier rows were deleted before they were read here.
    """

    mark: str
    names: tuple[str, ...]
    age: float
    missed: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A question for rows, and what its answer must be read with.

    Attributes:
        columns: to be appended to the select list.
        rows: rows are asked for, not only facts.
        since: see `Window`.
        by: who asked: the answer is for no other.
    """

    columns: str
    rows: bool = False
    since: float | None = None
    by: "Window | None" = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What is new.

    Attributes:
        rows: the new rows.
        need: what a refill must have reached.
        more: there may be more; ask again at once.
        cursor: what a reader that starts later may begin with, once the rows are applied.
    """

    rows: Sequence[Row]
    need: Position
    more: bool
    cursor: str


class Reader(Protocol):
    """What the prober asks hosts for, beside how they are."""

    def ask(self, host: Host, system: str) -> Asked:
        """What to append to the question."""

    def connected(self, host: Host) -> None:
        """There is a new connection to a host."""

    def answered(
        self, host: Host, asked: Asked, answer: Sequence[str], position: Position | None
    ) -> bool:
        """What came of it; whether to ask again at once."""

    def refused(self, host: Host, error: str) -> None:
        """The host has refused the question, and answers without it."""

    def pruning(self, host: Host) -> str | None:
        """What to execute on this host now, if anything."""


def read_facts(text: str) -> Table | None:
    """The table, from the column that a question always has; `None` if there is none."""
    return Table(*json.loads(text)) if text else None


class Window:
    """Which rows have been read.

    Attributes:
        floor: transactions numbered below it have ended, and are read; `None`: nothing is read.
        since: rows written from this time on are asked for too, seconds by the database's clock.
        timeline: the highest one on which rows were shown; 0 before that.
    """

    def __init__(self, system: str, cursor: str = "") -> None:
        """Begin with what another reader has left, or with every row that is there.

        Args:
            system: the identifier of the cluster.
            cursor: what `Taken` gave another; one of another cluster, or garbage, is none.
        """
        self.floor: int | None = None
        self.since: float | None = None
        self.system = system
        self.timeline = 0
        self._clock: float | None = None
        self._seen: dict[int, int] = {}
        self._read = 0
        found = _CURSOR.match(cursor)
        if found is not None and found[1] == system:
            self.timeline, self.floor = int(found[2]), int(found[3])
            self._clock = float(found[4])
            self.again()

    def again(self) -> None:
        """There is a new connection, or a new timeline."""
        if self._clock is not None:
            since = self._clock - _SKEW
            self.since = since if self.since is None else min(self.since, since)

    def vanished(self) -> None:
        """There is no table any more: another one counts from one again."""
        self._seen.clear()

    def ask(self, table: Table | None) -> Asked:
        """The columns that ask for the facts, and if the table may be read, for new rows."""
        if table is None or not table.reads:
            return Asked(f", {FACTS}")
        wanted = rows(table.name, self._condition(), BATCH)
        return Asked(f", {FACTS}, {AROUND}, {wanted}", rows=True, since=self.since, by=self)

    def _condition(self) -> str:
        parts = []
        if self.floor is not None:
            late = f" OR written >= to_timestamp({self.since!r})" if self.since is not None else ""
            parts.append(f"(xid >= '{self.floor}'::xid8{late})")
        if self._seen:
            seen = " OR ".join(f"id BETWEEN {a} AND {b}" for a, b in _ranges(self._seen))
            parts.append(f"NOT ({seen})")
        return " AND ".join(parts) or "true"

    def read(self, asked: Asked, answer: Sequence[str], position: Position, role: str) -> Taken:
        """Take an answer to `ask`: the columns after the facts.

        Raises:
            ValueError: it is no answer.
        """
        xmin, clock, received, text = answer
        need = _need(position, received) if role == "replica" else position
        if position.timeline < self.timeline:
            return Taken((), need, more=False, cursor="")
        if position.timeline > self.timeline:
            changed, self.timeline = self.timeline > 0, position.timeline
            if changed:
                self._seen.clear()
                self.again()
                return Taken((), need, more=True, cursor="")
        found, more = json.loads(text)
        fresh = [each for each in found if each[0] not in self._seen]
        new = [row for each in fresh if (row := self._row(each)) is not None]
        self._seen.update((each[0], int(each[2])) for each in fresh)
        self._read += len(fresh)
        if not more:
            self._complete(int(xmin), float(clock), asked)
        elif self._read > MOST:
            new = [Row("", ALL, 0.0, missed=True)]
            self._complete(int(xmin), float(clock), replace(asked, since=self.since))
        return Taken(new, need, more=more, cursor=self._cursor())

    def _complete(self, xmin: int, clock: float, asked: Asked) -> None:
        """Everything below xmin is read."""
        behind = asked.since is not None or self.floor is None
        self.floor = xmin if behind else max(self.floor or 0, xmin)
        if self.since == asked.since:
            self.since = None
        self._clock, self._read = clock, 0
        self._seen = {id_: xid for id_, xid in self._seen.items() if xid >= self.floor}

    def _cursor(self) -> str:
        if self.floor is None or self._clock is None or self.since is not None:
            return ""
        return f"{self.system}:{self.timeline}:{self.floor}:{self._clock}"

    def _row(self, told: list[Any]) -> Row | None:
        id_, salt, _, soft, everything, tags, urls, names, pruned, age = told
        key = f"{MARK}{id_:x}.{salt:x}"
        if pruned is not None:
            missed = self.floor is not None and int(pruned) >= self.floor
            return Row(key, ALL, age, missed=True) if missed else None
        found = _names(tags or (), urls or (), names, everything=everything, soft=soft)
        return Row(key, found, age) if found else None


def _names(
    tags: Sequence[Any], urls: Sequence[Any], names: str | None, *, everything: bool, soft: bool
) -> tuple[str, ...]:
    """The fences of a row; what cannot be read means everything."""
    try:
        found = tuple(mark(tag_name(tag), soft=soft) for tag in tags if tag)
        if urls or everything:
            texts = [url for url in urls if url]
            found += names_for((), texts, everything=everything, soft=soft)
        given = json.loads(names) if names else []
        if not all(isinstance(name, str) and name[:1] in {"h", "s"} for name in given):
            return ALL
        "".join(given).encode()  # no Redis can be told of half a character
    except (ConfigurationError, ValueError, TypeError, RecursionError):
        return ALL
    return tuple(dict.fromkeys((*found, *given)))


def _need(replayed: Position, received: str) -> Position:
    """What has been replayed once everything is that a replica showed; see above."""
    got = Position.parse(received, replayed.timeline) if received else None
    if got == replayed:
        return replayed
    return Position(replayed.timeline, replayed.lsn + 1)


def _ranges(ids: dict[int, int]) -> list[tuple[int, int]]:
    """Ids that follow each other, as ranges."""
    ranges: list[tuple[int, int]] = []
    for id_ in sorted(ids):
        if ranges and ranges[-1][1] == id_ - 1:
            ranges[-1] = ranges[-1][0], id_
        else:
            ranges.append((id_, id_))
    return ranges
