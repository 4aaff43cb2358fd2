"""What many entries have alike, kept once for all of them. No I/O here.

A slot costs an entry eight octets, and a number 24 more. What is the same for all that one route
has answered, or is rarely there at all, is in one record behind one slot instead.
"""

from operator import attrgetter
from typing import Any, NamedTuple

from regionware.caching.compact import FLOAT, Pool, held
from regionware.database.position import Position


class Common(NamedTuple):
    """A part of an entry, never changed: whoever differs has another one.

    Attributes:
        names: those of the stored fields.
        host: see `Entry`, and so for what is not told here.
        revalidate: seconds of `stale-while-revalidate`.
        error: seconds of `stale-if-error`.
    """

    names: tuple[bytes, ...]
    host: str
    flags: int
    revalidate: float
    error: float
    lower: Position | None
    upper: Position | None
    packed: bytes
    failures: int = 0

    def shared(self) -> tuple["Common", int]:
        """The same as it is known here, and what is to be paid for it."""
        # No two entries have the same content: it would only fill the table.
        known, new = (self, True) if self.packed else _known.known(self, self)
        return known, known.octets() if new else 0

    def octets(self) -> int:
        """What CPython holds for it, but for names and host, which are shared by themselves."""
        places = {id(place): place for place in (self.lower, self.upper) if place is not None}
        positions = sum(held(place) + held(place.lsn) for place in places.values())
        packed = held(self.packed) if self.packed else 0
        return held(self) + 2 * FLOAT + positions + packed


_known: Pool[Common] = Pool(256)


def alike(name: str) -> Any:
    """An attribute of `Common`, to be read as one of the entry."""
    return property(attrgetter(f"_common.{name}"))
