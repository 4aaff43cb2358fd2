"""The memory tier: a `cachetools.Cache` bounded by bytes, evicting by SIEVE.

A hit takes no lock: it reads one dict and sets one attribute. Everything that changes the
structure holds the lock. SIEVE keeps records in the order of insertion; a hand moves from the
oldest to the newest, spares what was visited since it last came by, and evicts the rest
(Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024).
"""

from threading import Lock

from cachetools import Cache

from regionware.caching.entry import Key, Record
from regionware.errors import ConfigurationError

#: An entry larger than this, or than 1/32 of the whole, is not kept in memory.
LARGEST = 1 << 20
_SHARE = 32
_SMALLEST = 1 << 16


class Memory(Cache[Key, Record]):
    """This process's tier. Its size is the accounted bytes of all records."""

    def __init__(self, maxsize: int) -> None:
        """Bound the tier.

        Args:
            maxsize: bytes, at least 65,536.

        Raises:
            ConfigurationError: fewer bytes.
        """
        if maxsize < _SMALLEST:
            raise ConfigurationError(f"memory is a number of bytes, at least {_SMALLEST}")
        super().__init__(maxsize, getsizeof=_size)
        self._lock = Lock()
        self._oldest: Record | None = None
        self._newest: Record | None = None
        self._hand: Record | None = None
        #: The largest record that is kept, in accounted bytes.
        self.largest = min(LARGEST, maxsize // _SHARE)

    def lookup(self, key: Key) -> Record | None:
        """The record of a key, and a mark that it was wanted; lock-free."""
        try:
            record = self[key]
        except KeyError:
            return None
        record.visited = True
        return record

    def put(self, record: Record) -> bool:
        """Keep a record, in place of an older one; `False` if it is too large."""
        if record.size > self.largest:
            return False
        with self._lock:
            self._discard(record.key)
            self[record.key] = record
            self._append(record)
        return True

    def discard(self, record: Record) -> None:
        """Drop a record, unless another has taken its place."""
        with self._lock:
            if super().get(record.key) is record:
                self._discard(record.key)

    def clear(self) -> None:
        """Empty the tier."""
        with self._lock:
            super().clear()
            self._oldest = self._newest = self._hand = None

    def popitem(self) -> tuple[Key, Record]:
        """Evict what SIEVE chooses; called by `cachetools` when room is needed.

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

    def renew_lock(self) -> None:
        """After a fork: nobody holds the lock in the child, and nothing can be trusted."""
        self._lock = Lock()
        self.clear()

    def _append(self, record: Record) -> None:
        record.newer, record.older = None, self._newest
        if self._newest is not None:
            self._newest.newer = record
        self._newest = record
        self._oldest = self._oldest or record

    def _discard(self, key: Key) -> None:
        record = super().get(key)
        if record is None:
            return
        del self[key]
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


def _size(record: Record) -> int:
    return record.size
