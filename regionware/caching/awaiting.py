"""Who is awaited by a purge that waits: the region's workers, or the other regions."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic, sleep
from typing import Any

from regionware.caching.coherence import BOUND
from regionware.caching.redis import TROUBLE, RedisTier
from regionware.caching.scripts import LATE
from regionware.errors import PurgeError

#: Seconds between two questions.
_POLL = 0.02
#: Microseconds of silence after which a worker does not count. Its trust in its memory ends `BOUND`
#: after it *sent* the last word of itself that Redis has, and Redis noted that later. (What it has
#: made itself since, without Redis, it may serve; no longer than `BOUND` either.) The rest is for
#: clocks that run at different speeds.
_SILENCE = int((BOUND + 0.5) * 1_000_000)

#: Beside those that are named: a Redis that has lost its data, or is new, knows only who has told
#: it of itself since.
_FORGOTTEN = "whoever Redis has forgotten"

#: Behind a receiver's name: the first and the last stamp of the latest purges of which it has not
#: taken all, and will not.
LOST = ":lost"

IN_PROCESS = "queued in this process"
IN_REDIS = "queued in this region's Redis"

Names = Sequence[str]


class Awaited:
    """Who has not confirmed a purge; made for one purge, and asked again and again."""

    def __init__(self, tier: RedisTier, stamp: int, here: str, regions: Names = ()) -> None:
        """Wait for what has this stamp.

        Args:
            tier: this region's Redis, which knows.
            stamp: the purge's.
            here: this region.
            regions: those that must have it; if none are named, this region's workers.
        """
        self._tier = tier
        self._stamp = stamp
        self._began = monotonic()
        self._here = here
        self._regions = regions

    def wait(self, timeout: float) -> None:
        """Wait until nobody is late, for at most `timeout` seconds.

        Raises:
            PurgeError: somebody is late, or it is not known who.
        """
        try:
            late = _settle(lambda: self._late(self._tier.ask(*self._question)), timeout)
        except TROUBLE as error:
            raise self._unknown(error) from error
        self._check(late, timeout)

    async def await_(self, timeout: float) -> None:  # noqa: ASYNC109 - the caller's
        """The async twin of `wait`.

        Raises:
            PurgeError: as `wait`.
        """

        async def ask() -> Names:
            return self._late(await self._tier.aask(*self._question))

        try:
            late = await _asettle(ask, timeout)
        except TROUBLE as error:
            raise self._unknown(error) from error
        self._check(late, timeout)

    def _check(self, late: Names, timeout: float) -> None:
        if not late:
            return
        who = ", ".join(late)
        queued = dict.fromkeys(self._regions and late, IN_REDIS) or {
            self._here: f"applied; not yet by {len(late)} of its workers: {who}"
        }
        raise PurgeError(f"not confirmed within {timeout} s by: {who}", queued=queued)

    def _unknown(self, error: Exception) -> PurgeError:
        """It is applied in this region's Redis, which then could not be asked any more."""
        said = {self._here: "applied; who else has, it cannot say"}
        return PurgeError(
            f"region {self._here} cannot say who has applied it: {error}",
            queued={**said, **dict.fromkeys(self._regions, IN_REDIS)},
        )

    @property
    def _question(self) -> tuple[str | int, ...]:
        names = self._tier.names
        if self._regions:
            lost = [name + LOST for name in self._regions]
            return ("HMGET", names.relayed, *self._regions, *lost)
        # By the region's stamps and the time since then: a server's clock may be set back.
        since = self._stamp + int((monotonic() - self._began) * 1_000_000) - _SILENCE
        keys = names.workers, names.fences
        what = f"{self._stamp:016x}", _SILENCE, f"{max(since, 0):016x}", _FORGOTTEN
        return "EVAL", LATE.text, len(keys), *keys, *what

    def _late(self, reply: Any) -> Names:
        if not isinstance(reply, list):
            raise ValueError("Redis does not know who has applied the purge")  # noqa: TRY004 - one of TROUBLE
        if self._regions:
            many = len(self._regions)
            self._refuse(reply[many:])
            confirmed = zip(self._regions, reply[:many], strict=True)
            return [name for name, stamp in confirmed if int(stamp or b"0") < self._stamp]
        return [worker.decode("utf-8", "replace") for worker in reply]

    def _refuse(self, lost: Sequence[Any]) -> None:
        """Nobody is told that a receiver has what it was sent together with what is given up."""
        known = zip(self._regions, lost, strict=True)
        spans = {name: [*map(int, span.split())] for name, span in known if span}
        gone = [name for name, span in spans.items() if span[0] <= self._stamp <= span[-1]]
        if gone:
            who = ", ".join(gone)
            raise PurgeError(
                f"given up, at least in part, at: {who}; the log says why",
                queued=dict.fromkeys(gone, "given up"),
            )


def _settle(ask: Callable[[], Names], timeout: float) -> Names:
    limit, late = monotonic() + timeout, None
    while True:
        try:
            late = ask()
        except TROUBLE:
            # Who was late when Redis last said so is late.
            if late is None and monotonic() >= limit:
                raise
        if late is not None and (not late or monotonic() >= limit):
            return late
        sleep(_POLL)


async def _asettle(ask: Callable[[], Awaitable[Names]], timeout: float) -> Names:  # noqa: ASYNC109 - the caller's
    limit, late = monotonic() + timeout, None
    while True:
        try:
            late = await ask()
        except TROUBLE:
            if late is None and monotonic() >= limit:
                raise
        if late is not None and (not late or monotonic() >= limit):
            return late
        await asyncio.sleep(_POLL)
