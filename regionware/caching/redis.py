"""The region's Redis: one script for a look-up, one for a fill, one for a purge.

Whatever goes wrong is a miss, within a deadline. A server that fails is left alone until a probe in
the background is answered as fast as a request needs it (`breaker`, `prober`).
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha1
from importlib.resources import files
from itertools import count
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError, RedisError

from regionware.caching import replies
from regionware.caching.dialing import maker
from regionware.caching.replies import Argument, pack
from regionware.caching.servers import Servers
from regionware.effects import Fill, Found, Lookup, Release
from regionware.errors import ConfigurationError
from regionware.http.fields import is_token
from regionware.redis_url import read_redis_url

#: Seconds that one call may add to a request.
DEADLINE = 0.05
#: Milliseconds for which a lease holds without being renewed.
LEASE = 10_000
MAX_VARIANTS = 16

#: What a call that was not answered as it should be may raise.
TROUBLE = replies.TROUBLE


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
    wakes: str
    outbox: str
    relayed: str
    workers: str

    @classmethod
    def of(cls, namespace: str, release: str) -> "Names":
        """Entries belong to a release; fences, the clock and the log to the whole namespace."""
        shared = f"{{{namespace}}}"
        rest = (f"{shared}:{name}" for name in cls._fields[1:])
        return cls(f"{namespace}:e:{release}:", *rest)


class RedisTier(Servers):
    """The region's tier, for threads and for event loops."""

    def __init__(
        self,
        url: str,
        names: Names,
        *,
        on_event: Callable[[str, str], None],
        deadline: float = DEADLINE,
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: any URL that `regionware.redis_url` reads.
            names: the keys.
            on_event: told the name and the detail of what happens; see `Servers`.
            deadline: seconds for one call, connecting included.
        """
        self.names = names
        super().__init__(url, names.clock, on_event=on_event, deadline=deadline)

    def forget(self) -> None:
        """After a fork, and at first: the parent's sockets are not ours to use or to close."""
        super().forget()
        self._leases = count()
        self._process = os.urandom(6).hex()

    # Threads

    def call(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a script, by its digest if Redis knows it."""
        try:
            return self._lines.call(_command("EVALSHA", script.sha, keys, arguments), None, keys[0])
        except NoScriptError:
            return self._lines.call(_command("EVAL", script.text, keys, arguments), None, keys[0])

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
            for key, command in self._unlinks(digests):
                self._attempt(partial(self._lines.call, command, None, key))
        return stamp

    async def ainvalidate(self, arguments: Sequence[Argument], digests: Sequence[str]) -> int:
        """The async twin of `invalidate`."""
        stamp = _stamp(await self._atry(PURGE, purge_keys(self.names), arguments))
        if stamp and digests:
            for key, command in self._unlinks(digests):
                await self._aattempt(partial(self._alines.call, command, None, key))
        return stamp

    def _unlinks(self, digests: Sequence[str]) -> list[tuple[str, bytes]]:
        """A key and a command for each trip: keys of several slots may not share one."""
        keys = [self.names.entries + digest for digest in digests]
        if self._finder is None:
            return [(keys[0], pack(("UNLINK", *keys)))]
        return [(key, pack(("UNLINK", key))) for key in keys]

    def _try(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        return self._attempt(lambda: self.call(script, keys, arguments))

    # Event loops

    async def acall(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]
    ) -> Any:
        """The async twin of `call`."""
        try:
            return await self._alines.call(
                _command("EVALSHA", script.sha, keys, arguments), None, keys[0]
            )
        except NoScriptError:
            return await self._alines.call(
                _command("EVAL", script.text, keys, arguments), None, keys[0]
            )

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


def check_url(url: str, region: str) -> None:
    """Refuse options that redis-py does not know, or reads in an unexpected way.

    Raises:
        ConfigurationError: naming the region, without the URL, which may hold a password.
    """
    try:
        read = read_redis_url(url)
        urls = [read.node(seed) for seed in read.seeds] or [url]
        urls += [read.sentinel(seed) for seed in read.seeds if read.kind == "sentinel"]
        for each in urls:
            maker(each)()
    except (ValueError, TypeError, RedisError) as error:
        raise ConfigurationError(f"region {region}: redis: {error}") from error


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
