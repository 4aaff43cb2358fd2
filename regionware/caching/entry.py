"""What the memory tier holds: entries, and two kinds of notes beside them. No I/O here."""

from collections.abc import Sequence
from copy import copy
from itertools import chain
from typing import Any

from regionware.caching.chance import quiet_until
from regionware.database.position import Position

#: (scheme, host, path, query, further dimensions ...): everything an answer may depend on.
Key = tuple[str, ...]

Fields = tuple[tuple[bytes, bytes], ...]

#: What CPython itself needs for a record, its slots and its place in the table, in bytes.
OVERHEAD = 600
#: And for each stored field, its two texts and their pair.
FIELD = 130
_HEADS = 4

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
    """A thing in the memory tier, and its place in the order of eviction."""

    __slots__ = ("key", "newer", "older", "size", "visited")

    def __init__(self, key: Key, size: int) -> None:
        """Begin outside of any order, and not visited."""
        self.key = key
        self.size = size + OVERHEAD
        self.visited = False
        self.newer: Record | None = None
        self.older: Record | None = None


class Variants(Record):
    """The request fields that select among several entries of one key (RFC 9111, section 4.1)."""

    __slots__ = ("names",)

    def __init__(self, key: Key, names: tuple[str, ...]) -> None:
        """Keep the lower-case names, sorted."""
        super().__init__(key, sum(map(len, names)))
        self.names = names


class Uncacheable(Record):
    """A key whose answers cannot be stored: nobody waits for one (Varnish's hit-for-miss)."""

    __slots__ = ("heads", "reason", "until")

    def __init__(self, key: Key, reason: str, until: float) -> None:
        """Keep the reason, and the reading of the monotonic clock until which this holds."""
        super().__init__(key, 0)
        self.reason = reason
        self.until = until
        #: What is done to response heads, by their signature: they are mostly alike.
        self.heads: dict[object, Any] = {}

    def learn(self, signature: object, edits: object) -> None:
        """Keep what is done to one kind of head; a few kinds are enough."""
        if len(self.heads) < _HEADS:
            self.heads[signature] = edits


class Entry(Record):
    """One stored response.

    Times are readings of this process's monotonic clock in seconds; `created` is a stamp.

    Attributes:
        status: the status code.
        headers: the stored fields, without `Age` and `Cache-Status`.
        body: the whole content.
        tags: what a purge may name.
        created: the region's clock when the fill began, in microseconds.
        born: when the response was generated.
        fresh_until: the end of the freshness lifetime.
        quiet_until: nobody refreshes it earlier than this; not after `fresh_until`.
        cost: seconds that the application took; 0 where nothing is refreshed early.
        failures: how many refreshes have failed in a row.
        retry_at: when the next may be tried.
        revalidate_until: the end of `stale-while-revalidate`.
        error_until: the end of `stale-if-error`.
        lower: everything up to here is certainly in the entry; `None` if unknown.
        upper: nothing after here is in the entry; `None` if unknown.
        flags: `OPEN`, `STRICT`, `ALWAYS` and `AS_IS`, added up.
        checked: the version of the fences against which the entry was last found good.
        verified_until: when the entry may no longer be served unless the log is alive.
        host: the database host it was made from, for provenance.
        packed: the content compressed, for clients that take it so; empty where there is none.
        wire: what an adapter prepared from it, for one second of age.
    """

    __slots__ = (
        "body",
        "born",
        "checked",
        "cost",
        "created",
        "error_until",
        "failures",
        "flags",
        "fresh_until",
        "headers",
        "host",
        "lower",
        "packed",
        "quiet_until",
        "retry_at",
        "revalidate_until",
        "status",
        "tags",
        "upper",
        "verified_until",
        "wire",
    )

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
        revalidate_until: float,
        error_until: float,
        lower: Position | None = None,
        upper: Position | None = None,
        host: str = "",
        flags: int = 0,
        cost: float = 0.0,
        packed: bytes = b"",
        size: int | None = None,
    ) -> None:
        """Keep everything; nothing is checked yet. `size` is the octets of it all, if known."""
        if size is None:
            size = (
                len(body)
                + len(packed)
                + sum(map(len, chain.from_iterable(headers)))
                + sum(map(len, key))
                + sum(map(len, tags))
                + FIELD * len(headers)
            )
        super().__init__(key, size)
        self.status = status
        self.headers = headers
        self.body = body
        self.tags = tuple(tags)
        self.created = created
        self.born = born
        self.fresh_until = fresh_until
        self.revalidate_until = revalidate_until
        self.error_until = error_until
        self.lower = lower
        self.upper = upper
        self.host = host
        self.flags = flags
        self.packed = packed
        self.checked = -1
        self.cost = cost
        self.quiet_until = quiet_until(fresh_until, cost)
        self.failures = 0
        self.retry_at = 0.0
        self.verified_until = 0.0
        self.wire: tuple[object, int, Any] | None = None

    def reached(self, need: Position | None) -> bool:
        """Whether everything up to `need` is certainly in the entry."""
        return need is None or (self.lower is not None and self.lower.reached(need))

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
