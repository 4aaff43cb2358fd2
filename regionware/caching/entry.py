"""What the memory tier holds: entries, and two kinds of notes beside them. No I/O here."""

from collections.abc import Hashable, Iterator, Sequence
from copy import copy
from typing import Any

from regionware.caching.chance import quiet_until
from regionware.caching.common import Common, alike
from regionware.caching.compact import (
    FLOAT,
    Pool,
    held,
    pack,
    share_key,
    share_text,
    unpack,
)
from regionware.database.position import Position

#: (scheme, host, path, query, further dimensions ...): everything an answer may depend on.
Key = tuple[str, ...]

Fields = tuple[tuple[bytes, bytes], ...]

_HEADS = 4
_edits: Pool[tuple[object, Any]] = Pool(256)

#: Octets are counted in the allocator's steps: so most counts are numbers that CPython has once.
_STEP = 16
_ONCE = 256
_COUNT = held(_ONCE + 1) // _STEP
_STAMP = held(1 << 50)
#: Trust is counted in these parts of a second, for the same reason; it is rounded down.
_TICKS = 16
#: A note's time, and its few pairs, which are shared.
_NOTE = FLOAT + held((None,) * _HEADS)

#: A request with `Authorization` may be answered from it (RFC 9111, section 3.5).
OPEN = 1
#: It may never be served stale (RFC 9111, section 4.2.4).
STRICT = 2
#: It was stored to be validated at each use: it never was fresh.
ALWAYS = 4
#: Its content may not be transformed on its way (RFC 9111, section 5.2.2.6).
AS_IS = 8
FLAGS = OPEN | STRICT | ALWAYS | AS_IS


class Record:
    """A thing in the memory tier, and its place in the order of eviction.

    Attributes:
        key: what it is kept under.
        visited: it was wanted since the hand of SIEVE came by.
        newer: its neighbour in the order of insertion.
        older: its other neighbour.
    """

    __slots__ = ("_steps", "key", "newer", "older", "visited")

    def __init__(self, key: Key, size: int) -> None:
        """Begin outside of any order, and not visited; `size` is that of what it refers to."""
        self.key, cost = share_key(key)
        steps = -(-(held(self) + cost + size) // _STEP)
        self._steps = steps if steps <= _ONCE else steps + _COUNT
        self.visited = False
        self.newer: Record | None = None
        self.older: Record | None = None

    @property
    def size(self) -> int:
        """The octets that CPython holds for it, but for its place in the tier's table."""
        return self._steps * _STEP


class Variants(Record):
    """The request fields that select among several entries of one key (RFC 9111, section 4.1)."""

    __slots__ = ("names",)

    def __init__(self, key: Key, names: tuple[str, ...]) -> None:
        """Keep the lower-case names, sorted."""
        super().__init__(key, held(names) + sum(map(held, names)))
        self.names = names


class Uncacheable(Record):
    """A key whose answers cannot be stored: nobody waits for one (Varnish's hit-for-miss)."""

    __slots__ = ("_heads", "reason", "until")

    def __init__(self, key: Key, reason: str, until: float) -> None:
        """Keep the reason, and the reading of the monotonic clock until which this holds."""
        super().__init__(key, _NOTE)
        self.reason = reason
        self.until = until
        self._heads: tuple[tuple[object, Any], ...] = ()

    def learned(self, signature: object) -> Any:
        """What is done to heads with this signature; `None` if nothing is known."""
        for known, edits in self._heads:
            if known == signature:
                return edits
        return None

    def learn(self, signature: object, what: Hashable, edits: object) -> None:
        """Keep what is done to one kind of head, once it has been seen before; a few are enough.

        A head that is like no other, with a cookie of its own perhaps, is not worth its memory.

        Args:
            signature: what of a head decides.
            what: all that is done to it; whatever is equal is kept once for all notes.
            edits: the same, for use.
        """
        pair, new = _edits.known((signature, what), (signature, edits))
        if not new and len(self._heads) < _HEADS:
            self._heads = (*self._heads, pair)


class Entry(Record):
    """One stored response.

    Very many are kept: there is a slot for what is an entry's own, or what a hit reads; the rest
    is in what it has in common with others.

    Times are readings of this process's monotonic clock in seconds; `created` is a stamp.

    Attributes:
        status: the status code.
        body: the whole content.
        tags: what a purge may name.
        created: the region's clock when the fill began, in microseconds.
        born: when the response was generated.
        fresh_until: the end of the freshness lifetime.
        quiet_until: nobody refreshes it earlier than this; not after `fresh_until`.
        cost: seconds that the application took; 0 where nothing is refreshed early.
        retry_at: when a refresh may be tried again.
        lower: everything up to here is certainly in the entry; `None` if unknown.
        upper: nothing after here is in the entry; `None` if unknown.
        flags: `OPEN`, `STRICT`, `ALWAYS` and `AS_IS`, added up.
        checked: the version of the fences against which the entry was last found good.
        host: the database host it was made from, for provenance.
        packed: the content compressed, for clients that take it so; empty where there is none.
        wire: what an adapter prepared from it, for one second of age; see `Memory.dress`.
    """

    __slots__ = (
        "__weakref__",
        "_common",
        "_trust",
        "_values",
        "body",
        "born",
        "checked",
        "cost",
        "created",
        "fresh_until",
        "quiet_until",
        "retry_at",
        "status",
        "tags",
        "wire",
    )

    host: str = alike("host")
    flags: int = alike("flags")
    lower: Position | None = alike("lower")
    upper: Position | None = alike("upper")
    packed: bytes = alike("packed")

    def __init__(
        self,
        key: Key,
        *,
        status: int,
        headers: Fields,
        body: bytes,
        tags: Sequence[str],
        created: int,
        born: float,
        fresh_until: float,
        revalidate: float = 0.0,
        error: float = 0.0,
        lower: Position | None = None,
        upper: Position | None = None,
        host: str = "",
        flags: int = 0,
        cost: float = 0.0,
        packed: bytes = b"",
    ) -> None:
        """Keep everything; nothing is checked yet.

        The stale windows, `revalidate` and `error`, are seconds after `fresh_until`.
        """
        names, self._values, fields = pack(headers)
        host, place = share_text(host)
        common = Common(names, host, flags, revalidate, error, lower, upper, packed)
        self._common, shared = common.shared()
        self.tags = tuple(tags)
        self.fresh_until = fresh_until
        self.cost = cost
        # Where nothing is refreshed early, both end at one moment: that is one number.
        self.quiet_until = quiet_until(fresh_until, cost) if cost else fresh_until
        super().__init__(key, fields + place + shared + held(body) + self._rest())
        self.status = status
        self.body = body
        self.created = created
        self.born = born
        self.checked = -1
        self.retry_at = 0.0
        self._trust = 0
        self.wire: tuple[object, int, Any] | None = None

    @property
    def revalidate_until(self) -> float:
        """The end of `stale-while-revalidate`."""
        return self.fresh_until + self._common.revalidate

    @property
    def error_until(self) -> float:
        """The end of `stale-if-error`."""
        return self.fresh_until + self._common.error

    @property
    def failures(self) -> int:
        """How many refreshes have failed in a row."""
        return self._common.failures

    @failures.setter
    def failures(self, failures: int) -> None:
        self._common, _ = self._common._replace(failures=failures).shared()

    @property
    def verified_until(self) -> float:
        """When it may no longer be served unless the log is alive."""
        return self.born + self._trust / _TICKS

    @property
    def headers(self) -> Fields:
        """The stored fields, made anew from what is kept of them."""
        return tuple(self.pairs())

    @headers.setter
    def headers(self, headers: Fields) -> None:
        names, self._values, _ = pack(headers)
        self._common = self._common._replace(names=names)

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """The stored fields one by one, for who makes a list of them."""
        return unpack(self._common.names, self._values)

    def _rest(self) -> int:
        """The octets of tags and times."""
        tags = held(self.tags) + sum(map(held, self.tags)) if self.tags else 0
        return (4 if self.cost else 2) * FLOAT + _STAMP + tags

    def head_size(self, head: int, field: int) -> int:
        """The octets of a head made from it: what CPython holds for it, and for each field."""
        values = self._values
        text = sum(map(len, values)) if isinstance(values, tuple) else len(values)
        return head + field * len(self._common.names) + text

    def verify(self, until: float) -> None:
        """Say until when it may be served without the log; before it is kept."""
        self._trust = max(int((until - self.born) * _TICKS), 0)
        if self._trust > _ONCE:
            self._steps += _COUNT

    def reached(self, need: Position | None) -> bool:
        """Whether everything up to `need` is certainly in the entry."""
        if need is None:
            return True
        lower = self._common.lower
        return lower is not None and lower.reached(need)

    def dressed(self, headers: Fields) -> "Entry":
        """The same with other fields, to answer from; it is never kept."""
        other = copy(self)
        other.headers = headers
        return other

    def field(self, name: bytes) -> str | None:
        """The value of a stored field, by its lower-case name; of several lines the first."""
        return self.first(name)[0]

    def first(self, *names: bytes) -> list[str | None]:
        """The values of several fields, in one pass; see `field`."""
        found = {name: value for name, value in reversed(self.headers) if name in names}
        return [found[name].decode("latin-1") if name in found else None for name in names]
