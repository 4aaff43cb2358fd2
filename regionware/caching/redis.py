"""The region's Redis: one script for a look-up, one for a fill, one for a purge.

Whatever goes wrong is a miss, within a deadline. A server that fails is left alone until a probe in
the background is answered as fast as a request needs it (`breaker`, `prober`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha1
from typing import Any

from redis.exceptions import NoScriptError

from regionware.caching import replies
from regionware.caching.coherence import read_stamp
from regionware.caching.leases import LEASE
from regionware.caching.replies import Argument, pack
from regionware.caching.scripts import (
    FILL,
    LOOKUP,
    PURGE,
    RELEASE,
    RENEW,
    REPAIR,
    Names,
    Script,
    purge_keys,
)
from regionware.caching.servers import Servers
from regionware.effects import Fill, Found, Hold, Lookup, Release, Repair, Verdict
from regionware.http.fields import is_token

#: Seconds that one call may add to a request.
DEADLINE = 0.05
MAX_VARIANTS = 16
#: How many wake-ups the region remembers, about: a reader is never that far behind.
_WAKES = 1000
#: The reply of one who gives a lease back for whose end somebody waits.
_AWAITED = 2
#: What may stand before a number of milliseconds in the reply to a look-up.
_VERDICTS: dict[bytes, Verdict] = {b"w": "held", b"u": "uncacheable", b"f": "failing"}
#: In place of a reply that has not come in time.
_LATE = object()
#: The longest time that such a reply may speak of, in milliseconds.
_MOST = 600_000

#: What a call that was not answered as it should be may raise.
TROUBLE = replies.TROUBLE

#: Seconds for a question of one who waits for a purge to be applied elsewhere, and asks again.
_QUESTION = 1.0


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
        #: Seconds for which a lease holds without being renewed.
        self.lease = LEASE
        super().__init__(url, names.clock, on_event=on_event, deadline=deadline)

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

    def ask(self, *words: Argument) -> Any:
        """The reply to a plain command, for one who waits for longer than a request does.

        Raises:
            OSError: and the others of `TROUBLE`: there is none.
        """
        return self._patient.call(pack(words), _QUESTION)

    async def aask(self, *words: Argument) -> Any:
        """The async twin of `ask`."""
        return await self._apatient.call(pack(words), _QUESTION)

    def lookup(self, ask: Lookup) -> Found:
        """Find an entry or be granted the lease; unavailable rather than an error."""
        keys, arguments = self._lookup(ask)
        return _found(self._attempt(lambda: self.call(LOOKUP, keys, arguments), _LATE), ask.token)

    def fill(self, ask: Fill) -> bool | None:
        """Store a frame; `False` if the lease is lost, `None` if Redis is unreachable."""
        return self._woken(ask.digest, self._try(FILL, *self._fill(ask)))

    def release(self, ask: Release) -> None:
        """Give the lease back."""
        self._woken(ask.digest, self._try(RELEASE, *self._release(ask)))

    def renew(self, asks: Sequence[Hold]) -> list[bool | None]:
        """Renew leases, all at once; `False` for one that is lost, `None` if nobody says so."""
        trips = [self._renew(ask) for ask in asks]
        replies = self._together("EVALSHA", RENEW.sha, trips)
        if any(isinstance(reply, NoScriptError) for reply in replies):
            replies = self._together("EVAL", RENEW.text, trips)
        return [reply != 0 if isinstance(reply, int) else None for reply in replies]

    def _together(
        self, verb: str, script: str, trips: Sequence[tuple[tuple[str], tuple[Argument, ...]]]
    ) -> Sequence[Any]:
        commands = [(keys[0], _command(verb, script, keys, words)) for keys, words in trips]
        return self._attempt(lambda: self._lines.calls(commands)) or [None] * len(trips)

    def _woken(self, digest: str, reply: Any) -> bool | None:
        """Tell the region's workers if somebody has waited for this."""
        if reply == _AWAITED:
            self._attempt(lambda: self._lines.call(self._wake(digest)))
        return None if reply is None else reply != 0

    def repair(self, ask: Repair) -> bool:
        """Remove what cannot be read; whether it was still there."""
        return _is_one(self._try(REPAIR, *self._repair(ask)))

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
        keys, arguments = self._lookup(ask)
        reply = await self._aattempt(lambda: self.acall(LOOKUP, keys, arguments), _LATE)
        return _found(reply, ask.token)

    async def afill(self, ask: Fill) -> bool | None:
        """The async twin of `fill`."""
        return await self._awoken(ask.digest, await self._atry(FILL, *self._fill(ask)))

    async def arelease(self, ask: Release) -> None:
        """The async twin of `release`."""
        await self._awoken(ask.digest, await self._atry(RELEASE, *self._release(ask)))

    async def _awoken(self, digest: str, reply: Any) -> bool | None:
        if reply == _AWAITED:
            await self._aattempt(lambda: self._alines.call(self._wake(digest)))
        return None if reply is None else reply != 0

    async def arepair(self, ask: Repair) -> bool:
        """The async twin of `repair`."""
        return _is_one(await self._atry(REPAIR, *self._repair(ask)))

    async def _atry(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]
    ) -> Any:
        return await self._aattempt(lambda: self.acall(script, keys, arguments))

    # Both

    def _wake(self, digest: str) -> bytes:
        return pack(("XADD", self.names.wakes, "MAXLEN", "~", _WAKES, "*", "k", digest))

    def _lookup(self, ask: Lookup) -> tuple[tuple[str], tuple[Argument, ...]]:
        need = ask.need.hex if ask.need is not None else ""
        what = (
            need, f"{ask.floor:016x}", ask.token, int(self.lease * 1000), ask.fields, ask.stamp,
            f"{ask.gone:016x}", ask.waits + (ask.waits and ask.barred),
        )  # fmt: skip
        return (self.names.entries + ask.digest,), what

    def _fill(self, ask: Fill) -> tuple[tuple[str], tuple[Argument, ...]]:
        what = (ask.lease, ask.leased, ask.vary, ask.variant, ask.frame, ask.life, MAX_VARIANTS)
        return (self.names.entries + ask.digest,), what

    def _release(self, ask: Release) -> tuple[tuple[str], tuple[Argument, ...]]:
        first, last = ask.failed or (0, 0)
        marks = (int(ask.uncacheable * 1000), int(first * 1000), int(last * 1000))
        return (self.names.entries + ask.digest,), (ask.lease, ask.leased, *marks)

    def _renew(self, ask: Hold) -> tuple[tuple[str], tuple[Argument, ...]]:
        what = (ask.lease, ask.leased, int(self.lease * 1000))
        return (self.names.entries + ask.digest,), what

    def _repair(self, ask: Repair) -> tuple[tuple[str], tuple[Argument, ...]]:
        held = sha1(ask.held, usedforsecurity=False).hexdigest()
        return (self.names.entries + ask.digest,), (ask.field, held)


def stamp_of(reply: Any) -> int:
    """The stamp that a purge was given.

    Raises:
        ValueError: the reply is something else.
    """
    if not isinstance(reply, bytes) or len(reply) != 16:
        raise ValueError("Redis did not confirm the purge")
    return read_stamp(reply)


def _stamp(reply: Any) -> int:
    try:
        return stamp_of(reply)
    except ValueError:
        return 0


def _is_one(reply: Any) -> bool:
    return isinstance(reply, int) and reply == 1


def _command(verb: str, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> bytes:
    return pack((verb, script, len(keys), *keys, *arguments))


def _found(reply: Any, token: str) -> Found:
    try:
        stamp, frame, vary, granted, *clock = reply
        names = vary.decode("latin-1")
        if type(frame) is not bytes:
            return Found(available=False)
        garbled = not all(map(is_token, names.split(",") if names else ()))
        lease = token if granted == 1 else ""
        verdict, left = _verdict(granted)
        stamp = read_stamp(stamp)
        time = read_stamp(*clock) if clock else stamp
        return Found(
            True, stamp, frame, names, lease, verdict, left,  # noqa: FBT003 - what it is about
            garbled=garbled, clock=time,
        )  # fmt: skip
    except (TypeError, ValueError, AttributeError):
        return Found(available=False, late=reply is _LATE)


def _verdict(granted: Any) -> tuple[Verdict, float]:
    """What a look-up without a fresh frame says, and for how many seconds.

    Raises:
        ValueError: it says something else.
    """
    if not isinstance(granted, bytes):
        return "", 0.0
    left = int(granted[1:])
    if granted[:1] not in _VERDICTS or not 0 <= left <= _MOST:
        raise ValueError("Redis did not answer the look-up")
    return _VERDICTS[granted[:1]], left / 1000
