"""Which entries keep the head that an adapter has prepared: a ring, and the last ones stand in it.

A prepared head is as large as the fields themselves, several times over, so not every entry that
was ever hit can keep one. The ring has a place for each KiB that is reserved for heads; who needs
places takes the next ones, and whoever stood there loses its head, which is made again at the
next hit. Nothing here takes a lock: a hit must not.
"""

from itertools import count
from typing import Any
from weakref import ReferenceType, ref

from regionware.caching.entry import Entry

#: Octets for which one place stands.
PLACE = 1024
#: A head, and each of its fields, without their octets: CPython's objects.
_HEAD, _FIELD = 320, 144


class Ring:
    """The entries that keep a prepared head."""

    __slots__ = ("_next", "_places")

    def __init__(self, size: int) -> None:
        """Reserve `size` octets."""
        self._places: list[ReferenceType[Entry] | None] = [None] * max(size // PLACE, 1)
        self._next = count()

    def enter(self, entry: Entry, wire: tuple[object, int, Any]) -> None:
        """Keep an entry's head, in the place of others'."""
        needed = -(-entry.head_size(_HEAD, _FIELD) // PLACE)
        if needed * 4 > max(len(self._places), 4):
            return  # most others would lose theirs
        entry.wire = wire
        mine = ref(entry)
        for _ in range(needed):
            place = next(self._next) % len(self._places)
            before, self._places[place] = self._places[place], mine
            other = before() if before is not None else None
            if other is not None and other is not entry:
                other.wire = None
