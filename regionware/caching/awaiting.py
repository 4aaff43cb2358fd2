"""Who is awaited by a purge that waits: the region's workers, or the other regions."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic, sleep
from typing import Any

from regionware.caching.coherence import BOUND
from regionware.caching.redis import LATE, TROUBLE, RedisTier

#: Seconds between two questions.
_POLL = 0.02
#: Microseconds of silence after which a worker does not count. Its trust in its memory ends `BOUND`
#: after it *sent* the last word of itself that Redis has, and Redis noted that later. (What it has
#: made itself since, without Redis, it may serve; no longer than `BOUND` either.) The rest is for
#: clocks that run at different speeds.
_SILENCE = int((BOUND + 0.5) * 1_000_000)

Names = Sequence[str]


class Awaited:
    """Who has not confirmed a purge; made for one purge, and asked again and again."""

    def __init__(self, tier: RedisTier, stamp: int, regions: Names = ()) -> None:
        """Wait for what has this stamp.

        Args:
            tier: this region's Redis, which knows.
            stamp: the purge's.
            regions: those that must have it; if none are named, this region's workers.
        """
        self._tier = tier
        self._stamp = stamp
        self._regions = regions

    def wait(self, timeout: float) -> Names:
        """Who is late after `timeout` seconds.

        Raises:
            OSError: and the others of `TROUBLE`: it is not known.
        """
        return _settle(lambda: self._late(self._tier.ask(*self._question)), timeout)

    async def await_(self, timeout: float) -> Names:  # noqa: ASYNC109 - the caller's
        """The async twin of `wait`."""

        async def ask() -> Names:
            return self._late(await self._tier.aask(*self._question))

        return await _asettle(ask, timeout)

    @property
    def _question(self) -> tuple[str | int, ...]:
        names = self._tier.names
        if self._regions:
            return ("HMGET", names.relayed, *self._regions)
        return "EVAL", LATE.text, 1, names.workers, f"{self._stamp:016x}", _SILENCE

    def _late(self, reply: Any) -> Names:
        if not isinstance(reply, list):
            raise ValueError("Redis does not know who has applied the purge")  # noqa: TRY004 - one of TROUBLE
        if self._regions:
            confirmed = zip(self._regions, reply, strict=True)
            return [name for name, stamp in confirmed if int(stamp or b"0") < self._stamp]
        return [worker.decode("utf-8", "replace") for worker in reply]


def _settle(ask: Callable[[], Names], timeout: float) -> Names:
    limit = monotonic() + timeout
    while True:
        try:
            late = ask()
        except TROUBLE:
            if monotonic() >= limit:
                raise
        else:
            if not late or monotonic() >= limit:
                return late
        sleep(_POLL)


async def _asettle(ask: Callable[[], Awaitable[Names]], timeout: float) -> Names:  # noqa: ASYNC109 - the caller's
    limit = monotonic() + timeout
    while True:
        try:
            late = await ask()
        except TROUBLE:
            if monotonic() >= limit:
                raise
        else:
            if not late or monotonic() >= limit:
                return late
        await asyncio.sleep(_POLL)
