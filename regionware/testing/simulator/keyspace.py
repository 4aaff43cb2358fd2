"""What a simulated Redis holds: values by key, and when they expire."""

from collections.abc import Callable
from typing import Any, TypeVar

from regionware.testing.simulator.replies import ReplyError

V = TypeVar("V")


class Hash(dict[bytes, bytes]):
    """Fields and values."""

    def copy(self) -> "Hash":
        """Another one with the same fields."""
        return Hash(self)


class SortedSet(dict[bytes, float]):
    """Members and scores."""

    def copy(self) -> "SortedSet":
        """Another one with the same members."""
        return SortedSet(self)

    def ordered(self) -> list[tuple[float, bytes]]:
        """By score, then by member."""
        return sorted((score, member) for member, score in self.items())


class Keyspace:
    """The keys of one server.

    Attributes:
        clock: the server's clock, microseconds since the epoch.
        run_id: 40 hexadecimal digits, new with every start of the server.
        appended: how often entries were appended to streams.
    """

    def __init__(self, clock: Callable[[], int], run_id: str = "0" * 40) -> None:
        """Begin empty."""
        self.clock = clock
        self.run_id = run_id
        self.appended = 0
        self.values: dict[bytes, Any] = {}
        self.expires: dict[bytes, int] = {}

    @property
    def now(self) -> int:
        """Milliseconds, as expiry counts them."""
        return self.clock() // 1000

    def get(self, key: bytes, kind: type[V]) -> V | None:
        """The value of a key that has not expired.

        Raises:
            ReplyError: it is of another kind.
        """
        if not self.exists(key):
            return None
        value = self.values[key]
        if not isinstance(value, kind):
            raise ReplyError("WRONGTYPE Operation against a key holding the wrong kind of value")
        return value

    def make(self, key: bytes, kind: type[V]) -> V:
        """The value of a key, made if there is none; see `get`."""
        value = self.get(key, kind)
        if value is None:
            value = self.values[key] = kind()
        return value

    def exists(self, key: bytes) -> bool:
        """Whether there is a value; one that has expired ends here."""
        if (end := self.expires.get(key)) is not None and end <= self.now:
            self.delete(key)
        return key in self.values

    def delete(self, key: bytes) -> bool:
        """Remove a key; whether there was one."""
        self.expires.pop(key, None)
        return self.values.pop(key, None) is not None

    def prune(self, key: bytes) -> None:
        """A hash or a sorted set without members does not exist."""
        if not self.values[key]:
            self.delete(key)

    def clear(self) -> None:
        """Remove everything."""
        self.values.clear()
        self.expires.clear()

    def copy(self) -> "tuple[dict[bytes, Any], dict[bytes, int]]":
        """What a replica has at this moment."""
        values = {
            key: value if isinstance(value, bytes) else value.copy()
            for key, value in self.values.items()
        }
        return values, dict(self.expires)
