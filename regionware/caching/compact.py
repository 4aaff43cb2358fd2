"""What an entry is made of, held in few objects, and what those cost. No I/O here.

The octets of a field are few; the objects of CPython around them are many. So an entry keeps the
names of its fields as one tuple, which all entries with the same names share, and the values as
one text. Everything that repeats (hosts, schemes, names) is shared through bounded tables: whoever
brings a new thing pays for it in the account, and whoever finds it there pays nothing.
"""

from collections.abc import Hashable, Iterator, Sequence
from sys import getsizeof
from typing import Generic, TypeVar

T = TypeVar("T")

#: The values of several fields: one text, or each by itself where one holds the separator.
Values = bytes | tuple[bytes, ...]

_SEPARATOR = b"\0"
#: CPython's own allocator takes over up to 512 octets, in steps of 16; above, the C library adds 8.
_SMALL = 512
_LONGEST = 128
#: The parts of a key that are rarely the same for two keys: path and query.
_OWN = frozenset({2, 3})


def held(thing: object) -> int:
    """The octets that CPython holds for an object, without what it refers to."""
    size = getsizeof(thing)
    return (size + 15 if size <= _SMALL else size + 23) & ~15


FLOAT = held(0.5)


class Pool(Generic[T]):
    """A bounded table of things that repeat. When it is full it begins anew."""

    __slots__ = ("_limit", "_table")

    def __init__(self, limit: int) -> None:
        """Keep at most `limit` things."""
        self._limit = limit
        self._table: dict[Hashable, T] = {}

    def known(self, name: Hashable, thing: T) -> tuple[T, bool]:
        """The thing that is known by this name, and whether it is new; safe on several threads."""
        known = self._table.get(name)
        if known is not None:
            return known, False
        if len(self._table) >= self._limit:
            self._table.clear()
        self._table[name] = thing
        return thing, True

    def __len__(self) -> int:
        """How many things are known."""
        return len(self._table)


_texts: Pool[str] = Pool(1024)
_names: Pool[tuple[bytes, ...]] = Pool(256)


def share_text(text: str) -> tuple[str, int]:
    """A short text as it is known here, and what is to be paid for it."""
    if len(text) < 2:
        return text, 0  # CPython has these once
    if len(text) > _LONGEST:
        return text, held(text)
    text, new = _texts.known(text, text)
    return text, held(text) if new else 0


def share_key(key: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    """A key whose parts are shared, but for path and query; and what is to be paid for it."""
    cost, parts = 0, []
    for place, text in enumerate(key):
        part, price = (text, held(text)) if place in _OWN and len(text) > 1 else share_text(text)
        parts.append(part)
        cost += price
    shared = tuple(parts)
    return shared, cost + held(shared)


def pack(fields: Sequence[tuple[bytes, bytes]]) -> tuple[tuple[bytes, ...], Values, int]:
    """The names of fields, their values, and what is to be paid for both."""
    found = tuple([name for name, _ in fields])
    names, new = _names.known(found, found)
    cost = held(names) + sum(map(held, names)) if new else 0
    parts = [value for _, value in fields]
    text = _SEPARATOR.join(parts)
    if text.count(_SEPARATOR) == max(len(parts) - 1, 0):
        return names, text, cost + held(text)
    return names, tuple(parts), cost + held(tuple(parts)) + sum(map(held, parts))


def unpack(names: tuple[bytes, ...], values: Values) -> Iterator[tuple[bytes, bytes]]:
    """The inverse of `pack`."""
    # Of no fields there is no name, and one empty value.
    if isinstance(values, bytes):
        return zip(names, values.split(_SEPARATOR))  # noqa: B905 - this is faster
    return zip(names, values)  # noqa: B905 - as above
