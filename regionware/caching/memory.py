"""The memory tier: a `cachetools.Cache` bounded by real bytes, evicting by SIEVE.

A hit takes no lock: it reads one dict and sets one attribute. Everything that changes the
structure holds the lock, for `cachetools` has none. It counts the records; their bytes are counted
here, because it would keep the size of each beside it, which is 75 bytes for each. SIEVE keeps
records in the order of insertion; a hand moves from the oldest to the newest, spares what was
visited since it last came by, and evicts the rest (Zhang et al., "SIEVE is Simpler than LRU",
NSDI 2024).
"""

from sys import getsizeof
from threading import Lock
from typing import Any

from cachetools import Cache

from regionware.caching.dressed import Ring
from regionware.caching.entry import Entry, Key, Record
from regionware.errors import ConfigurationError

#: By default an entry larger than this, or than 1/32 of the whole, is not kept in memory.
LARGEST = 1 << 20
_SHARE = 32
_SMALLEST = 1 << 16
#: No record needs fewer bytes, so that bytes run out before this many records are kept.
_LEAST = 256


class Memory(Cache[Key, Record]):
    """This process's tier.

    Attributes:
        largest: the largest record that is kept, in accounted bytes.
    """

    def __init__(self, maxsize: int, largest: int | None = None) -> None:
        """Bound the tier.

        Args:
            maxsize: bytes, at least 65,536.
            largest: bytes of the largest record, at most 1/32 of `maxsize`; by default that, and
                at most 1 MiB.

        Raises:
            ConfigurationError: fewer bytes, or a larger record.
        """
        share = maxsize // _SHARE
        if maxsize < _SMALLEST:
            raise ConfigurationError(f"memory is a number of bytes, at least {_SMALLEST}")
        if largest is not None and not 1024 <= largest <= share:
            raise ConfigurationError(
                f"memory_entry is a number of bytes from 1024 to 1/{_SHARE} of memory: {share}"
            )
        super().__init__(maxsize // _LEAST)
        self._bound = maxsize
        # There is no public way to it; it is only measured.
        self._table: dict[Key, Record] = vars(self)["_Cache__data"]
        self.largest = min(LARGEST, share) if largest is None else largest
        self._lock = Lock()
        self._held = self._reserved = share
        self._ring = Ring(share)
        self._oldest: Record | None = None
        self._newest: Record | None = None
        self._hand: Record | None = None
        self._account()

    @property
    def maxsize(self) -> int:
        """Bytes that it may hold."""
        return self._bound

    @property
    def currsize(self) -> int:
        """Bytes that are accounted, never more than `maxsize`.

        The records, their table, and what is reserved for the heads that adapters prepare.
        """
        return self._size

    def lookup(self, key: Key) -> Record | None:
        """The record of a key, and a mark that it was wanted; lock-free."""
        try:
            record = self[key]
        except KeyError:
            return None
        record.visited = True
        return record

    def peek(self, key: Key) -> Record | None:
        """The record of a key, for who does not want it; lock-free."""
        return self._table.get(key)

    def records(self) -> list[Record]:
        """All records, as they are at this moment."""
        return list(self._table.values())

    def dress(self, entry: Entry, wire: tuple[object, int, Any]) -> tuple[object, int, Any]:
        """Keep the head that an adapter has prepared from an entry, if there is room; lock-free."""
        known = entry.wire
        if known is not None and known[0] is wire[0]:
            entry.wire = wire
        else:
            self._ring.enter(entry, wire)
        return wire

    def put(self, record: Record) -> bool:
        """Keep a record, in place of an older one; `False` if it is too large."""
        if record.size > self.largest:
            return False
        with self._lock:
            self._discard(record.key)
            self._make_room(record.size)
            self[record.key] = record
            self._append(record)
            self._held += record.size
            self._make_room(0)  # the table may have grown
            self._account()
        return True

    def discard(self, record: Record) -> None:
        """Drop a record, unless another has taken its place."""
        with self._lock:
            if self._table.get(record.key) is record:
                self._discard(record.key)
                self._account()

    def clear(self) -> None:
        """Empty the tier."""
        with self._lock:
            super().clear()
            self._oldest = self._newest = self._hand = None
            self._held = self._reserved
            self._account()

    def renew_lock(self) -> None:
        """After a fork: nobody holds the lock in the child, and nothing can be trusted."""
        self._lock = Lock()
        self.clear()

    def popitem(self) -> tuple[Key, Record]:
        """Evict what SIEVE chooses; `cachetools` calls it too, where it wants room.

        Raises:
            KeyError: the tier is empty.
        """
        record = self._hand or self._oldest
        while record is not None and record.visited:
            record.visited = False
            record = record.newer or self._oldest
        if record is None:
            raise KeyError("the memory tier is empty")
        self._hand = record.newer
        self._discard(record.key)
        return record.key, record

    def _account(self) -> None:
        self._size = self._held + getsizeof(self._table)

    def _make_room(self, size: int) -> None:
        while self._table and self._held + size + getsizeof(self._table) > self._bound:
            self.popitem()

    def _append(self, record: Record) -> None:
        record.newer, record.older = None, self._newest
        if self._newest is not None:
            self._newest.newer = record
        self._newest = record
        self._oldest = self._oldest or record

    def _discard(self, key: Key) -> None:
        record = self._table.get(key)
        if record is None:
            return
        del self[key]
        self._held -= record.size
        if self._hand is record:
            self._hand = record.newer
        if record.older is not None:
            record.older.newer = record.newer
        if record.newer is not None:
            record.newer.older = record.older
        if self._oldest is record:
            self._oldest = record.newer
        if self._newest is record:
            self._newest = record.older
        # Links keep neighbours alive, and a late reader of this record must not follow them.
        record.newer = record.older = None
