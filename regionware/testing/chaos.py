"""A broken cache on purpose: the region's Redis fails, is slow, or lies, by a seed.

An application behind it must answer as it always does; only more slowly. Hold it against that.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from threading import Lock
from types import TracebackType
from typing import Any, Self

from regionware.caching.redis import RedisTier
from regionware.effects import Fill, Found, Lookup, Release
from regionware.errors import ConfigurationError
from regionware.middleware import Regionware

_UNAVAILABLE = Found(available=False)


class ChaosStore:
    """Stands between a `Regionware` and its region's Redis, while its `with` block lasts.

        with ChaosStore(rw, seed=7) as chaos:
            chaos.fail(0.3)

    Every look-up, fill, release and purge throws the dice, in the order in which they come: with
    one request at a time, a seed repeats itself exactly. Memory and the log are left alone.

    Attributes:
        counts: how often it has `failed`, `delayed`, `lied`, and `passed` a call on.
    """

    def __init__(self, rw: Regionware, *, seed: int = 0) -> None:
        """Change nothing yet.

        Args:
            rw: the middleware under test.
            seed: of the dice.

        Raises:
            ConfigurationError: its region has no Redis, so nothing could break.
        """
        tier = rw._parts.rim.tier  # noqa: SLF001 - the store is exchanged under the middleware
        if tier is None:
            raise ConfigurationError("ChaosStore: this region has no Redis that could break")
        self.counts: Counter[str] = Counter()
        self._rw = rw
        self._tier = tier
        self._dice = Random(seed)
        self._lock = Lock()
        self.calm()

    # What is to go wrong

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self._fails = self._lies = self._delays = 0.0
        self._seconds = (0.0, 0.0)

    def fail(self, probability: float) -> None:
        """Fail some calls, as if Redis had not answered: a probability from 0 to 1."""
        self._fails = _probability("fail", probability)

    def lie(self, probability: float) -> None:
        """Find nothing where there is something, and forget what is stored: from 0 to 1."""
        self._lies = _probability("lie", probability)

    def delay(self, least: float, most: float | None = None, *, probability: float = 1.0) -> None:
        """Let calls take longer.

        Args:
            least: seconds.
            most: seconds; by default exactly `least`.
            probability: of a call to be delayed, 0 to 1.
        """
        self._seconds = (least, least if most is None else most)
        self._delays = _probability("delay", probability)

    def down(self) -> None:
        """Fail every call."""
        self.fail(1.0)

    def up(self) -> None:
        """Fail no call."""
        self.fail(0.0)

    # Standing between

    def __enter__(self) -> Self:
        """Take the store's place."""
        self._put(_Chaotic(self._tier, self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the store its place back."""
        self._put(self._tier)

    def _put(self, tier: Any) -> None:
        parts = self._rw._parts  # noqa: SLF001 - see above
        parts.rim.tier = parts.purger._tier = tier  # noqa: SLF001 - likewise

    def throw(self) -> tuple[str, float]:
        """What becomes of the next call: `failed`, `lied` or `passed`; after how many seconds."""
        with self._lock:
            first, second, third = (self._dice.random() for _ in range(3))
            pause = self._dice.uniform(*self._seconds) if third < self._delays else 0.0
            what = "failed" if first < self._fails else "lied" if second < self._lies else "passed"
            self.counts[what] += 1
            self.counts["delayed"] += pause > 0
        return what, pause


class _Chaotic:
    """A tier that asks the dice first; everything else is the real one's."""

    def __init__(self, tier: RedisTier, chaos: ChaosStore) -> None:
        self._tier = tier
        self._chaos = chaos

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tier, name)

    def _next(self) -> str:
        what, pause = self._chaos.throw()
        if pause:
            time.sleep(pause)
        return what

    async def _anext(self) -> str:
        what, pause = self._chaos.throw()
        if pause:
            await asyncio.sleep(pause)
        return what

    def lookup(self, ask: Lookup) -> Found:
        what = self._next()
        return (
            _UNAVAILABLE if what == "failed" else _told(what, self._tier.lookup(_seen(what, ask)))
        )

    async def alookup(self, ask: Lookup) -> Found:
        what = await self._anext()
        if what == "failed":
            return _UNAVAILABLE
        return _told(what, await self._tier.alookup(_seen(what, ask)))

    def fill(self, ask: Fill) -> bool | None:
        what = self._next()
        return what == "lied" or (what == "passed" and self._tier.fill(ask))

    async def afill(self, ask: Fill) -> bool | None:
        what = await self._anext()
        return what == "lied" or (what == "passed" and await self._tier.afill(ask))

    def release(self, ask: Release) -> None:
        if self._next() == "passed":
            self._tier.release(ask)

    async def arelease(self, ask: Release) -> None:
        if await self._anext() == "passed":
            await self._tier.arelease(ask)

    def purge(self, arguments: Sequence[Any], timeout: float) -> int:
        if self._next() == "failed":
            raise TimeoutError("chaos")
        return self._tier.purge(arguments, timeout)

    async def apurge(self, arguments: Sequence[Any], timeout: float) -> int:  # noqa: ASYNC109 - the tier's
        if await self._anext() == "failed":
            raise TimeoutError("chaos")
        return await self._tier.apurge(arguments, timeout)

    def invalidate(self, arguments: Sequence[Any], digests: Sequence[str]) -> int:
        return 0 if self._next() == "failed" else self._tier.invalidate(arguments, digests)

    async def ainvalidate(self, arguments: Sequence[Any], digests: Sequence[str]) -> int:
        if await self._anext() == "failed":
            return 0
        return await self._tier.ainvalidate(arguments, digests)


def _seen(what: str, ask: Lookup) -> Lookup:
    """A liar asks without a lease: nobody shall wait for what it denies."""
    return replace(ask, token="", waits=False) if what == "lied" else ask


def _told(what: str, found: Found) -> Found:
    return replace(found, frame=b"") if what == "lied" else found


def _probability(option: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{option}: a probability is a number from 0 to 1, not {value!r}")
    return value
