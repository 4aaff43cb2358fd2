"""Which entries a purge has overtaken. A stamp is a reading of the region's clock. No I/O here.

A purge raises a *fence* for each tag: a stamp, and a position when there is a database. An entry
that was begun before the stamp, or made from a database that had not reached the position, is
not served. There is no index from tags to entries anywhere, so a purge costs the same whether a
tag is on one entry or on a million.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from hashlib import sha1

from regionware.caching.entry import Entry, Key
from regionware.database.position import Position, merge
from regionware.database.timelines import NO_HISTORY, Timelines

EVERYTHING = "*"
NO_POSITION = "0" * 24

_LONGEST = 256

#: Microseconds; no clock reads later in two hundred years, and Lua's numbers are exact below.
_LATEST = 2**53
_is_stamp = re.compile("[0-9a-fA-F]{16}").fullmatch

#: Seconds for which a memory entry may be served after the last word from the region's log.
BOUND = 5.0


def read_stamp(text: str | bytes) -> int:
    """A reading of the region's clock, from its 16 hexadecimal digits.

    Raises:
        ValueError: it is none. `int` alone would read signs, spaces, `0x` and `_` as well.
    """
    digits = text.decode("latin-1") if isinstance(text, bytes) else text
    if not _is_stamp(digits) or (stamp := int(digits, 16)) >= _LATEST:
        raise ValueError("not a reading of the region's clock")
    return stamp


class Verdict(Enum):
    """What the fences say of an entry."""

    GOOD = "good"
    STALE = "stale"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Fence:
    """What an entry must have seen.

    Attributes:
        stamp: entries begun at this stamp or earlier are overtaken.
        position: entries must contain everything up to here; `None` without a database.
    """

    stamp: int
    position: Position | None = None

    def passes(self, entry: Entry, history: Timelines = NO_HISTORY) -> bool:
        """Whether the entry has seen what the purge was about."""
        if entry.created <= self.stamp:
            return False
        # After a failover both may be of the older timeline, or the fence alone.
        return entry.reached(self.position) or entry.reached(history.current_form(self.position))

    def join(self, other: "Fence") -> "Fence":
        """The fence that asks for what both ask for."""
        return Fence(max(self.stamp, other.stamp), merge(self.position, other.position))

    def encode(self) -> str:
        """40 hexadecimal digits: stamp and position; they sort by stamp."""
        return f"{self.stamp:016x}{self.position.hex if self.position else NO_POSITION}"

    @classmethod
    def decode(cls, text: str) -> "Fence":
        """The inverse of `encode`.

        Raises:
            ValueError: the text is not a fence.
        """
        if len(text) != 40:
            raise ValueError(f"not a fence: {text!r}")
        position = text[16:]
        return cls(
            read_stamp(text[:16]), None if position == NO_POSITION else Position.from_hex(position)
        )


def mark(name: str, *, soft: bool) -> str:
    """How a fence is named in the table and in the log: its kind, then what it is about."""
    return ("s" if soft else "h") + name


def tag_name(tag: str) -> str:
    """A tag among the names that fences carry."""
    return bounded("t" + tag)


def bounded(name: str) -> str:
    """A name of a fence, or of a long one its digest: clients choose how long a URL is."""
    if len(name) <= _LONGEST:
        return name
    return (
        name[0] + sha1(name.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
    )


def url_names(key: Key) -> tuple[str, str]:
    """The names by which a purge can mean a key's URL: with its origin, and without."""
    scheme, host, path, query = key[:4]
    target = f"{path}?{query}" if query else path
    return bounded(f"u{scheme}://{host}{target}"), bounded(f"u{target}")


def names_of(key: Key, tags: Iterable[str]) -> list[str]:
    """Every name by which a purge can mean an entry."""
    return [EVERYTHING, *url_names(key), *map(tag_name, tags)]


def latest(fences: Mapping[str, Fence]) -> int:
    """The latest stamp among fences; 0 of none."""
    return max((fence.stamp for fence in fences.values()), default=0)


class Fences:
    """The fences of the region, as far as this process has heard of them.

    The log's reader and callers of `purge` write, one at a time; everybody reads without a lock.

    Attributes:
        version: changes with every fence, and with the history.
        history: how the timelines of the database hang together.
        writing: held by whoever raises fences.
        horizon: entries begun at this stamp or earlier are refused: their fences are forgotten.
        unplaced: entries of a database begun at this stamp or earlier, whose position is unknown,
            may be of writes that were lost in a failover.
        stamp: the latest reading of the region's clock known here, in microseconds.
        told: the latest stamp of a fence that the region's Redis has given, likewise.
        heard_until: when the memory tier may no longer be trusted, monotonic seconds;
            infinite where no other process can purge.
    """

    __slots__ = (
        "_table", "heard_until", "history", "horizon", "stamp", "told", "unplaced", "version",
        "writing",
    )  # fmt: skip

    def __init__(self, *, alone: bool, writing: AbstractContextManager[object]) -> None:
        """Begin with no fence.

        Args:
            alone: there is no log to listen to.
            writing: held by whoever raises fences.
        """
        self.writing = writing
        self._table: dict[str, Fence] = {}
        self.version = 0
        self.stamp = self.told = 0
        self.history = NO_HISTORY
        self.unplaced = -1
        self.horizon = -1
        self.heard_until = float("inf") if alone else 0.0

    def raise_to(self, fences: Mapping[str, Fence]) -> None:
        """Raise fences as the region's Redis has given them; an older one never lowers a newer."""
        self._raise(fences, told=latest(fences))

    def _raise(self, fences: Mapping[str, Fence], *, told: int) -> None:
        with self.writing:
            self.told = max(self.told, told)
            for name, fence in fences.items():
                known = self._table.get(name)
                self._table[name] = fence if known is None else known.join(fence)
                self.stamp = max(self.stamp, fence.stamp)
            self.version += 1

    def hear(self, fences: Mapping[str, Fence]) -> None:
        """Raise what another worker has purged, above every stamp that was read here before.

        A region's clock may go back when its Redis fails over; the other worker does not know how
        far this one has read it. The price is a refill. What this worker has raised with the same
        stamp is its own; what others ask for beside it is joined.
        """
        new = {}
        for name, fence in fences.items():
            known = self._table.get(name)
            own = known is not None and known.stamp == fence.stamp
            # What is made without Redis is one later than what was read.
            new[name] = fence if own else Fence(max(fence.stamp, self.stamp + 1), fence.position)
        if new:
            self._raise(new, told=latest(fences))

    def see(self, stamp: int) -> None:
        """A reading of the region's clock: no entry of this process is later."""
        if stamp > self.stamp:
            with self.writing:
                self.stamp = max(self.stamp, stamp)

    def raise_alone(self, names: Iterable[str], position: Position | None) -> None:
        """Raise fences that no Redis has given a stamp: later than all that is known here."""
        with self.writing:
            self.stamp += 1
            for name in names:
                fence = Fence(self.stamp, position)
                known = self._table.get(name)
                self._table[name] = fence if known is None else known.join(fence)
            self.version += 1

    def prune(self, before: int) -> None:
        """Forget fences older than a stamp, and refuse every entry that is as old."""
        with self.writing:
            self.horizon = max(self.horizon, before - 1)
            for name in [n for n, fence in self._table.items() if fence.stamp < before]:
                del self._table[name]
            self.version += 1

    def learn(self, history: Timelines) -> None:
        """Note that the database has failed over: entries may be of writes that are lost."""
        with self.writing:
            if 0 < self.history.current < history.current:
                self.stamp += 1
                self.unplaced = self.stamp
            self.history = history
            self.version += 1

    def judge(self, entry: Entry) -> Verdict:
        """Whether purges have overtaken an entry, or a failover has."""
        verdict, history = Verdict.GOOD, self.history
        if entry.created <= self.horizon or not history.keeps(entry.lower, entry.upper):
            return Verdict.GONE
        if entry.lower is None and entry.host and entry.created <= self.unplaced:
            return Verdict.GONE
        if not self._table:
            return verdict
        for name in names_of(entry.key, entry.tags):
            hard = self._table.get("h" + name)
            if hard is not None and not hard.passes(entry, history):
                return Verdict.GONE
            soft = self._table.get("s" + name)
            if soft is not None and not soft.passes(entry, history):
                verdict = Verdict.STALE
        # Fences that were forgotten meanwhile have left the horizon behind.
        return Verdict.GONE if entry.created <= self.horizon else verdict

    def standing(self, key: Key, tags: Iterable[str], kinds: str = "hs") -> Iterable[Fence]:
        """The fences that a fill of this key must pass: hard ones (`h`), soft ones (`s`)."""
        for name in names_of(key, tags) if self._table else ():
            for kind in kinds:
                fence = self._table.get(kind + name)
                if fence is not None:
                    yield Fence(fence.stamp, self.history.current_form(fence.position))

    def __contains__(self, name: str) -> bool:
        """Whether this fence was raised."""
        return name in self._table

    def __len__(self) -> int:
        """How many fences are standing."""
        return len(self._table)
