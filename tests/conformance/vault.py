"""What workers have stored in a real Redis, for tests that break it."""

import asyncio
from typing import Any

import redis

from regionware import Regionware
from regionware.effects import Repair
from tests.conformance.conftest import World


class Vault:
    """The entries in a Redis. A context manager."""

    def __init__(self, url: str) -> None:
        # Its answers are octets, whatever the library's annotations allow for.
        self.client: Any = redis.Redis.from_url(url, protocol=2)

    @property
    def keys(self) -> list[bytes]:
        return sorted(self.client.keys("*:e:*"))

    @property
    def key(self) -> bytes:
        """The only key."""
        (key,) = self.keys
        return key

    @property
    def field(self) -> bytes:
        """The field of the only frame."""
        (field,) = self.fields
        return field

    @property
    def fields(self) -> list[bytes]:
        """Those of all frames of the only key."""
        return sorted(name for name in self.client.hkeys(self.key) if name[:1] == b"e")

    @property
    def frame(self) -> bytes:
        found: bytes = self.client.hget(self.key, self.field)
        return found

    @frame.setter
    def frame(self, frame: bytes) -> None:
        self.client.hset(self.key, self.field, frame)

    def close(self) -> None:
        self.client.close()


def repair(world: World, rw: Regionware, ask: Repair) -> bool:
    """Perform one effect, over the world's protocol."""
    rim = rw._parts.rim
    if world.flavour == "wsgi":
        return bool(rim.perform(ask))
    work = asyncio.run_coroutine_threadsafe(rim.aperform(ask), world._loop.loop)
    return bool(work.result(20))
