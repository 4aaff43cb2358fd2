"""The region's Redis: one script for a look-up, one for a fill, one for a purge.

Every call has a deadline of its own and is never retried: redis-py's defaults, measured, hold a
request for seconds. Whatever goes wrong is a miss. After a few failures in a row nobody asks any
more until the log's reader, which runs in the background, hears from Redis again.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry
from redis.asyncio.retry import Retry as AsyncRetry

from regionware.effects import Fill, Found, Lookup, Release

#: Seconds that one call may add to a request.
DEADLINE = 0.05
#: Failures in a row after which nobody asks until the background reader hears again.
FAILURES = 3
#: Milliseconds for which a lease holds without being renewed.
LEASE = 10_000
MAX_VARIANTS = 16
_POOL = 64

TROUBLE = (RedisError, OSError, TimeoutError, asyncio.TimeoutError, ValueError)


class Script(NamedTuple):
    """A script's text, and the digest under which Redis knows it."""

    text: str
    sha: str


def _script(name: str) -> Script:
    text = files("regionware.caching").joinpath(f"{name}.lua").read_text("utf-8")
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


LOOKUP, FILL, PURGE, SNAPSHOT = map(_script, ("lookup", "fill", "purge", "snapshot"))


class Names(NamedTuple):
    """The Redis keys of a namespace; those in braces share a slot."""

    entries: str
    clock: str
    fences: str
    ages: str
    log: str

    @classmethod
    def of(cls, namespace: str, release: str) -> "Names":
        """Entries belong to a release; fences, the clock and the log to the whole namespace."""
        shared = f"{{{namespace}}}"
        return cls(
            f"{namespace}:e:{release}:",
            *(f"{shared}:{n}" for n in ("clock", "fences", "ages", "log")),
        )


def options(deadline: float) -> dict[str, Any]:
    """Arguments for every client: deadlines, and no retries."""
    return {
        "socket_timeout": deadline,
        "socket_connect_timeout": deadline,
        "decode_responses": False,
        "protocol": 2,
    }


class Health:
    """Whether Redis is worth asking."""

    __slots__ = ("_failures", "closed", "on_change")

    def __init__(self, on_change: Callable[[bool], None]) -> None:
        """Begin hopeful."""
        self._failures = 0
        self.closed = True
        self.on_change = on_change

    def failed(self) -> None:
        """A call failed."""
        self._failures += 1
        if self.closed and self._failures >= FAILURES:
            self.closed = False
            self.on_change(False)

    def succeeded(self) -> None:
        """A call, or the background reader, was answered."""
        self._failures = 0
        if not self.closed:
            self.closed = True
            self.on_change(True)


class RedisTier:
    """The region's tier, for threads and for event loops."""

    def __init__(
        self,
        url: str,
        names: Names,
        *,
        on_change: Callable[[bool], None],
        deadline: float = DEADLINE,
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: `redis://`, `rediss://` or `unix://`.
            names: the keys.
            on_change: told when Redis is given up, and when it is back.
            deadline: seconds for one call.
        """
        self.names = names
        self.deadline = deadline
        self.health = Health(on_change)
        self._url = url
        self._sync: redis.Redis | None = None
        self._async: WeakKeyDictionary[asyncio.AbstractEventLoop, redis.asyncio.Redis] = (
            WeakKeyDictionary()
        )

    # Threads

    def client(self) -> redis.Redis:
        """This process's client for threads."""
        if self._sync is None:
            pool = redis.ConnectionPool.from_url(
                self._url,
                max_connections=_POOL,
                retry=Retry(NoBackoff(), 0),
                **options(self.deadline),
            )
            self._sync = redis.Redis(connection_pool=pool)
        return self._sync

    def call(
        self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int]
    ) -> Any:  # noqa: ANN401 - as Redis replies
        """Run a script, by its digest if Redis knows it."""
        client = self.client()
        try:
            return client.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

    def lookup(self, ask: Lookup) -> Found:
        """Find an entry or be granted the lease; unavailable rather than an error."""
        if not self.health.closed:
            return Found(available=False)
        token = secrets.token_hex(8)
        try:
            reply = self.call(LOOKUP, *self._lookup(ask, token))
            self.health.succeeded()
            return _found(reply, token)
        except TROUBLE:
            self.health.failed()
            return Found(available=False)

    def fill(self, ask: Fill) -> bool:
        """Store a frame; `False` if refused or unreachable."""
        return bool(self._try(FILL, *self._fill(ask)))

    def release(self, ask: Release) -> None:
        """Give the lease back."""
        self._try(FILL, (self._key(ask.digest),), (ask.lease, ask.leased))

    def _try(
        self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int]
    ) -> Any:  # noqa: ANN401
        try:
            return self.call(script, keys, arguments) if self.health.closed else None
        except TROUBLE:
            self.health.failed()
            return None

    # Event loops

    def aclient(self) -> redis.asyncio.Redis:
        """The running loop's client."""
        loop = asyncio.get_running_loop()
        client = self._async.get(loop)
        if client is None:
            pool = redis.asyncio.ConnectionPool.from_url(
                self._url,
                max_connections=_POOL,
                retry=AsyncRetry(NoBackoff(), 0),
                **options(self.deadline),
            )
            client = self._async[loop] = redis.asyncio.Redis(connection_pool=pool)
        return client

    async def acall(
        self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int]
    ) -> Any:  # noqa: ANN401
        """The async twin of `call`."""
        client = self.aclient()
        try:
            return await client.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

    async def alookup(self, ask: Lookup) -> Found:
        """The async twin of `lookup`."""
        if not self.health.closed:
            return Found(available=False)
        token = secrets.token_hex(8)
        try:
            reply = await self.acall(LOOKUP, *self._lookup(ask, token))
            self.health.succeeded()
            return _found(reply, token)
        except TROUBLE:
            self.health.failed()
            return Found(available=False)

    async def afill(self, ask: Fill) -> bool:
        """The async twin of `fill`."""
        return bool(await self._atry(FILL, *self._fill(ask)))

    async def arelease(self, ask: Release) -> None:
        """The async twin of `release`."""
        await self._atry(FILL, (self._key(ask.digest),), (ask.lease, ask.leased))

    async def _atry(
        self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int]
    ) -> Any:  # noqa: ANN401
        try:
            return await self.acall(script, keys, arguments) if self.health.closed else None
        except TROUBLE:
            self.health.failed()
            return None

    # Both

    def _key(self, digest: str) -> str:
        return self.names.entries + digest

    def _lookup(self, ask: Lookup, token: str) -> tuple[tuple[str, ...], tuple[str | int, ...]]:
        need = ask.need.hex if ask.need else ""
        return (self._key(ask.digest), self.names.clock), (
            need,
            f"{ask.floor:016x}",
            token,
            LEASE,
            ask.fields,
        )

    def _fill(self, ask: Fill) -> tuple[tuple[str, ...], tuple[str | bytes | int, ...]]:
        arguments = (
            ask.lease,
            ask.leased,
            ask.vary,
            ask.variant,
            ask.frame,
            ask.life,
            MAX_VARIANTS,
        )
        return (self._key(ask.digest),), arguments

    def close(self) -> None:
        """Close the client for threads."""
        client, self._sync = self._sync, None
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        """Close the running loop's client."""
        client = self._async.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def forget(self) -> None:
        """After a fork: the parent's sockets are not ours to use or to close."""
        self._sync = None
        self._async = WeakKeyDictionary()


def _found(reply: Any, token: str) -> Found:  # noqa: ANN401 - checked here
    stamp, frame, vary, granted = reply
    return Found(
        available=True,
        stamp=int(stamp, 16),
        frame=frame,
        vary=vary.decode(),
        lease=token if granted == 1 else "",
    )
