"""What a region's Redis knows, put aside and brought back: protections that live in its data."""

from typing import Any, Self

import redis

from regionware.parts.redis import RedisServer

_ASIDE = b"aside:"


class Backup:
    """A copy of everything that regionware has stored; `restore` makes the server forget the rest.

    A purge is a fence in Redis; a lease is a field in Redis. Whoever wants to see what happens
    without them takes them away, whatever the scripts that wrote them look like.
    """

    def __init__(self, server: RedisServer) -> None:
        self._client: Any = redis.Redis.from_url(server.url)  # it answers with octets
        self._copy(self._keys(), b"", _ASIDE)

    def restore(self) -> None:
        """Bring the copy back."""
        for key in self._keys():
            self._client.delete(key)
        self._copy(self._client.keys(_ASIDE + b"*"), _ASIDE, b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _keys(self) -> list[bytes]:
        return [key for key in self._client.keys(b"*") if not key.startswith(_ASIDE)]

    def _copy(self, keys: list[bytes], cut: bytes, add: bytes) -> None:
        for key in keys:
            self._client.copy(key, add + key.removeprefix(cut), replace=True)
