"""What a region's Redis knows, put aside and brought back: protections that live in its data."""

import redis

from regionware.parts.redis import RedisServer

_ASIDE = "aside:"


class Backup:
    """A copy of everything that regionware has stored; `restore` makes the server forget the rest.

    A purge is a fence in Redis; a lease is a field in Redis. Whoever wants to see what happens
    without them takes them away, whatever the scripts that wrote them look like.
    """

    def __init__(self, server: RedisServer) -> None:
        self._client = redis.Redis.from_url(server.url)
        self._copy(self._keys(), "", _ASIDE)

    def restore(self) -> None:
        """Bring the copy back."""
        for key in self._keys():
            self._client.delete(key)
        self._copy(self._client.keys(f"{_ASIDE}*"), _ASIDE, "")
        self._client.close()

    def _keys(self) -> list[bytes]:
        return [key for key in self._client.keys("*") if not key.startswith(_ASIDE.encode())]

    def _copy(self, keys: list[bytes], cut: str, add: str) -> None:
        for key in keys:
            self._client.copy(key, add.encode() + key.removeprefix(cut.encode()), replace=True)
