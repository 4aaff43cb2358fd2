"""A simulated Redis' streams."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from regionware.testing.simulator.replies import Reply, ReplyError

#: Milliseconds and a number.
Id = tuple[int, int]

FIRST: Id = (0, 0)
LAST: Id = (2**64 - 1, 2**64 - 1)
#: Trimmed about, whole nodes of so many entries go.
_NODE = 100


class Stream:
    """Entries in the order of their ids.

    Attributes:
        ids: of all entries.
        fields: of each entry, names and values in turn.
        last: the highest id there ever was.
        added: how many entries there ever were.
        deleted: the highest id that was removed.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self.ids: list[Id] = []
        self.fields: list[list[bytes]] = []
        self.last = FIRST
        self.added = 0
        self.deleted = FIRST

    def copy(self) -> "Stream":
        """Another one with the same entries."""
        other = Stream()
        other.ids, other.fields = self.ids[:], self.fields[:]
        other.last, other.added, other.deleted = self.last, self.added, self.deleted
        return other

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self.ids)

    def __bool__(self) -> bool:
        """A stream stays when its entries have gone."""
        return True

    def add(self, identity: Id, fields: Sequence[bytes]) -> None:
        """Append an entry.

        Raises:
            ReplyError: its id is not above all others.
        """
        if identity <= self.last:
            raise ReplyError(
                "ERR The ID specified in XADD is equal or smaller than the target stream top item"
            )
        self.ids.append(identity)
        self.fields.append(list(fields))
        self.last = identity
        self.added += 1

    def drop(self, count: int) -> int:
        """Remove the oldest entries."""
        count = max(count, 0)
        if count and self.ids:
            self.deleted = max(self.deleted, self.ids[min(count, len(self.ids)) - 1])
        del self.ids[:count], self.fields[:count]
        return count

    def trim(self, most: int, *, about: bool) -> int:
        """Keep the latest `most` entries, or about as many; how many went."""
        over = max(len(self.ids) - most, 0)
        return self.drop(over - over % _NODE if about else over)

    def trim_before(self, identity: Id, *, about: bool) -> int:
        """Remove what is older than an id, or about that; how many went."""
        over = bisect_left(self.ids, identity)
        return self.drop(over - over % _NODE if about else over)

    def between(self, low: Id, high: Id) -> list[Reply]:
        """The entries from one id to another."""
        at = range(bisect_left(self.ids, low), bisect_right(self.ids, high))
        return [self.entry(index) for index in at]

    def entry(self, index: int) -> Reply:
        """One entry, as it is answered."""
        return [shown_id(self.ids[index]), list(self.fields[index])]


def shown_id(identity: Id) -> bytes:
    """An id, as Redis writes it."""
    return b"%d-%d" % identity


def read_id(word: bytes, missing: int = 0) -> Id:
    """An id, or the beginning of one.

    Raises:
        ReplyError: it is none.
    """
    head, dash, tail = word.partition(b"-")
    try:
        return int(head), int(tail) if dash else missing
    except ValueError:
        raise ReplyError("ERR Invalid stream ID specified as stream command argument") from None


def read_bound(word: bytes, *, high: bool) -> Id:
    """One end of a range: `-`, `+`, an id, or one that is left out.

    Raises:
        ReplyError: it is none.
    """
    if word in {b"-", b"+"}:
        return FIRST if word == b"-" else LAST
    missing = 2**64 - 1 if high else 0
    if word[:1] == b"(":
        milliseconds, rest = read_id(word[1:], missing)
        return (milliseconds, rest - 1) if high else (milliseconds, rest + 1)
    return read_id(word, missing)
