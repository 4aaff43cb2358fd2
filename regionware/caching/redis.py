"""The region's Redis: one script for a look-up, one for a fill, one for a purge.

Whatever goes wrong is a miss, within a deadline. After a few failures in a row nobody asks any
more until the log's reader, which runs in the background, hears from Redis again.
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha1
from importlib.resources import files
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from hiredis import HiredisError
from redis import connection as redis_connection
from redis.exceptions import NoScriptError, RedisError

from regionware.caching.health import Health
from regionware.caching.lines import Argument, AsyncLines, Lines, pack
from regionware.effects import Fill, Found, Lookup, Release
from regionware.errors import ConfigurationError
from regionware.http.fields import is_token

#: Seconds that one call may add to a request.
DEADLINE = 0.05
#: Seconds for each step of connecting, where a caller can wait.
PATIENT = 2.0
#: Milliseconds for which a lease holds without being renewed.
LEASE = 10_000
MAX_VARIANTS = 16

# Not typed by redis-py.
_parse: Callable[[str], Any] = redis_connection.parse_url

TROUBLE = (RedisError, HiredisError, OSError, ValueError)


class Script(NamedTuple):
    """A script's text, and the digest under which Redis knows it."""

    text: str
    sha: str


def _script(name: str) -> Script:
    text = files("regionware.caching").joinpath(f"{name}.lua").read_text("utf-8")
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


LOOKUP, FILL, PURGE, SNAPSHOT = map(_script, ("lookup", "fill", "purge", "snapshot"))
HOT = _script("hot")


class Names(NamedTuple):
    """The Redis keys of a namespace; those in braces share a slot."""

    entries: str
    clock: str
    fences: str
    ages: str
    log: str
    wakes: str
    outbox: str
    relayed: str
    workers: str
    hot: str

    @classmethod
    def of(cls, namespace: str, release: str) -> "Names":
        """What is stored belongs to a release; fences, clock and log to the whole namespace."""
        shared = f"{{{namespace}}}"
        rest = (f"{shared}:{name}" for name in cls._fields[1:-1])
        return cls._make((f"{namespace}:e:{release}:", *rest, f"{shared}:hot:{release}"))


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
        self.health = Health(on_change)
        self._url = url
        self._deadline = deadline
        self.forget()

    def forget(self) -> None:
        """After a fork, and at first: the parent's sockets are not ours to use or to close."""
        self._lines = Lines(self._url, self._deadline)
        self._alines = AsyncLines(self._url, self._deadline)
        # Nobody's page waits for a purge as it does for a look-up.
        self._patient = Lines(self._url, PATIENT, keep=False)
        self._apatient = AsyncLines(self._url, PATIENT, keep=False)
        self._leases = count()
        self._process = os.urandom(6).hex()

    # Threads

    def call(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a script, by its digest if Redis knows it."""
        try:
            return self._lines.call(_command("EVALSHA", script.sha, keys, arguments))
        except NoScriptError:
            return self._lines.call(_command("EVAL", script.text, keys, arguments))

    def purge(self, arguments: Sequence[Argument], timeout: float) -> int:
        """Raise fences; the stamp.

        Raises:
            ValueError: what came is no stamp.
            OSError: and the others of `TROUBLE`: it is not confirmed within `timeout` seconds.
        """
        command = _command("EVAL", PURGE.text, purge_keys(self.names), arguments)
        return stamp_of(self._patient.call(command, timeout))

    async def apurge(self, arguments: Sequence[Argument], timeout: float) -> int:  # noqa: ASYNC109 - the caller's
        """The async twin of `purge`."""
        command = _command("EVAL", PURGE.text, purge_keys(self.names), arguments)
        return stamp_of(await self._apatient.call(command, timeout))

    def lookup(self, ask: Lookup) -> Found:
        """Find an entry or be granted the lease; unavailable rather than an error."""
        token = self._lease() if ask.leases else ""
        reply = self._try(LOOKUP, *self._lookup(ask, token))
        return _found(reply, token)

    def fill(self, ask: Fill) -> bool:
        """Store a frame; `False` if refused or unreachable."""
        return bool(self._try(FILL, *self._fill(ask)))

    def release(self, ask: Release) -> None:
        """Give the lease back."""
        self._try(FILL, *self._release(ask))

    def invalidate(self, arguments: Sequence[Argument], digests: Sequence[str]) -> int:
        """Raise the fences of a response, within a request's deadlines; 0 if unconfirmed."""
        stamp = _stamp(self._try(PURGE, purge_keys(self.names), arguments))
        if stamp and digests:
            self._attempt(lambda: self._lines.call(self._unlink(digests)))
        return stamp

    async def ainvalidate(self, arguments: Sequence[Argument], digests: Sequence[str]) -> int:
        """The async twin of `invalidate`."""
        stamp = _stamp(await self._atry(PURGE, purge_keys(self.names), arguments))
        if stamp and digests:
            await self._aattempt(lambda: self._alines.call(self._unlink(digests)))
        return stamp

    def _unlink(self, digests: Sequence[str]) -> bytes:
        return pack(("UNLINK", *(self.names.entries + digest for digest in digests)))

    def _try(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        return self._attempt(lambda: self.call(script, keys, arguments))

    def _attempt(self, call: Callable[[], Any]) -> Any:
        if not self.health.closed:
            return None
        try:
            reply = call()
        except TROUBLE:
            self.health.failed()
            return None
        self.health.succeeded()
        return reply

    # Event loops

    async def acall(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]
    ) -> Any:
        """The async twin of `call`."""
        try:
            return await self._alines.call(_command("EVALSHA", script.sha, keys, arguments))
        except NoScriptError:
            return await self._alines.call(_command("EVAL", script.text, keys, arguments))

    async def alookup(self, ask: Lookup) -> Found:
        """The async twin of `lookup`."""
        token = self._lease() if ask.leases else ""
        reply = await self._atry(LOOKUP, *self._lookup(ask, token))
        return _found(reply, token)

    async def afill(self, ask: Fill) -> bool:
        """The async twin of `fill`."""
        return bool(await self._atry(FILL, *self._fill(ask)))

    async def arelease(self, ask: Release) -> None:
        """The async twin of `release`."""
        await self._atry(FILL, *self._release(ask))

    async def _atry(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]
    ) -> Any:
        return await self._aattempt(lambda: self.acall(script, keys, arguments))

    async def _aattempt(self, call: Callable[[], Awaitable[Any]]) -> Any:
        if not self.health.closed:
            return None
        try:
            reply = await call()
        except TROUBLE:
            self.health.failed()
            return None
        self.health.succeeded()
        return reply

    # Both

    def _lease(self) -> str:
        return f"{self._process}{next(self._leases):x}"

    def _lookup(self, ask: Lookup, token: str) -> tuple[tuple[str], tuple[Argument, ...]]:
        need = ask.need.hex if ask.need is not None else ""
        keys = (self.names.entries + ask.digest,)
        return keys, (need, f"{ask.floor:016x}", token, LEASE, ask.fields, ask.stamp)

    def _fill(self, ask: Fill) -> tuple[tuple[str], tuple[Argument, ...]]:
        what = (ask.lease, ask.leased, ask.vary, ask.variant, ask.frame, ask.life, MAX_VARIANTS)
        return (self.names.entries + ask.digest,), what

    def _release(self, ask: Release) -> tuple[tuple[str], tuple[Argument, ...]]:
        return (self.names.entries + ask.digest,), (ask.lease, ask.leased)

    def start(self) -> None:
        """Keep connections, again: this is not the end."""
        self._lines.keep = self._alines.keep = True

    def close(self) -> None:
        """Close the connections for threads; one that is busy closes when it has served."""
        self._lines.keep = self._alines.keep = False
        self._lines.close()
        self._patient.close()

    async def aclose(self) -> None:
        """Close the running loop's connections."""
        await self._alines.aclose()
        await self._apatient.aclose()


def check_url(url: str, region: str) -> None:
    """Refuse a URL that redis-py would read in an unexpected way.

    Raises:
        ConfigurationError: naming the region, without the URL, which may hold a password.
    """
    try:
        _parse(url)
    except ValueError as error:
        raise ConfigurationError(f"region {region}: redis: {error}") from error
    database = urlsplit(url).path.strip("/")
    if not url.startswith("unix:") and database and not database.isdecimal():
        raise ConfigurationError(f"region {region}: redis: the path is a database's number")


def purge_keys(names: Names) -> tuple[str, ...]:
    """The keys of the purge script, all in one slot."""
    return names.clock, names.fences, names.ages, names.log


def stamp_of(reply: Any) -> int:
    """The stamp that a purge was given.

    Raises:
        ValueError: the reply is something else.
    """
    if not isinstance(reply, bytes) or len(reply) != 16:
        raise ValueError("Redis did not confirm the purge")
    return int(reply, 16)


def _stamp(reply: Any) -> int:
    try:
        return stamp_of(reply)
    except ValueError:
        return 0


def _command(verb: str, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> bytes:
    return pack((verb, script, len(keys), *keys, *arguments))


def _found(reply: Any, token: str) -> Found:
    try:
        stamp, frame, vary, granted = reply
        names = vary.decode("ascii")
        if type(frame) is not bytes or not all(map(is_token, names.split(",") if names else ())):
            return Found(available=False)
        lease = token if granted == 1 else ""
        return Found(True, int(stamp, 16), frame, names, lease)  # noqa: FBT003
    except (TypeError, ValueError, AttributeError):
        return Found(available=False)
