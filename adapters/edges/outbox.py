"""Takes the purges of this region's outbox to one edge; two readers, each with its own cursor.

The first sends a purge once this region's Redis has it, and those of the other regions if they
answer: an edge that asks earlier is given what the purge is about, once more. The second sends it
again when no region can give that any more: an edge that is purged forgets, and what it asks for
next may come from a replica that lags behind. That second purge lives in Redis as the first does,
so it comes although everybody who was there for the first is gone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Event as Flag
from time import monotonic
from typing import Any, Final

import redis

from regionware.adapters.edges.courier import Courier
from regionware.caching.awaiting import LOST
from regionware.caching.purging import Order, joined
from regionware.caching.relaying import Deliver, OutboxReader, Post
from regionware.database.position import Position
from regionware.observe import Event

#: Seconds within which purges go together.
COALESCE: Final = 0.25
#: Seconds for which the other regions are waited for: before the first purge, and the second.
_REGIONS: Final = 2.0
_REGIONS_AGAIN: Final = 60.0
#: Seconds between two questions whether it is time.
_LOOK: Final = 0.05
_LOOK_AGAIN: Final = 0.5
_SECOND: Final = 1_000_000
#: Purges of one read: whoever comes back after a while sends as few requests as possible.
_TOGETHER: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """When nobody can give an edge what was purged.

    Attributes:
        least: seconds after which that may be: workers have heard of the purge, and the edge has
            taken it everywhere.
        most: seconds after which that is so: no replica that lags further behind is read.
        reached: whether no replica of any region can show anything older than a position.
    """

    least: float
    most: float
    reached: Callable[[Position | None], bool]

    def over(self, age: float, positions: Sequence[Position | None]) -> bool:
        """Whether it is time for the second purge.

        Args:
            age: seconds since the purge.
            positions: of all that is purged.
        """
        return age >= self.most or (age >= self.least and all(map(self.reached, positions)))


class EdgeOutbox(OutboxReader):
    """Delivers for the first time."""

    _kind = b"edges"
    _joins = True
    _holds = 10_000

    def __init__(self, courier: Courier, others: Sequence[str], key: str, **rest: Any) -> None:
        """Start nothing yet.

        Args:
            courier: delivers.
            others: the other regions with a Redis.
            key: of the cursor.
            rest: see `OutboxReader`.
        """
        super().__init__(key, **rest)
        self._courier = courier
        self._others = tuple(others)
        able = courier.edge.capabilities
        # So much is asked of the edge without a rest: whoever dies on the way has lost little.
        self._together, self._names_together = _TOGETHER, max(able.tags, 1) * able.rate.burst

    @contextmanager
    def _delivering(self, near: redis.Redis, stop: Flag) -> Iterator[Deliver]:
        yield partial(self._deliver, near, stop)

    def _deliver(self, near: redis.Redis, stop: Flag, post: Post, now: int) -> bool:
        names = joined(post.orders).names if post.orders else ()
        wait, age = partial(self._wait, near, stop), (now - post.first) / _SECOND
        lost: list[bool] = []
        done = self._courier.deliver(names, wait, age=age, lost=lambda: lost.append(True))
        if done and lost:
            # Before the cursor: whoever waits for it must not take it for an answer.
            span = f"{post.first} {post.last}"
            near.hset(self._names.relayed, self.region + LOST, span)
        return done

    def _wait(self, near: redis.Redis, stop: Flag, seconds: float) -> bool:
        """Wait, and keep the right meanwhile; false if it is lost, or the thread is to end."""
        end = self._clock() + seconds
        while (rest := end - self._clock()) > 0:
            if stop.wait(min(rest, 1.0)) or self._hold(near) is None:
                return False
        return not stop.is_set()

    def _done(self, post: Post, now: int) -> None:
        self._tell(self._news(self._courier.edge.name, max(now - post.first, 0) / _SECOND))

    def _news(self, name: str, late: float) -> Event:
        return Event("edge-purged", detail=name, seconds=late)

    def _next(self, near: redis.Redis, now: int, cursor: int, *, ending: bool) -> Post | None:
        post = super()._next(near, now, cursor, ending=ending)
        if post is None or ending:
            return post
        self._stop.wait(COALESCE)
        post = self._read(near, cursor, block=None) or post
        limit = monotonic() + _REGIONS
        while self._confirmed(near) < post.last and monotonic() < limit:
            if self._stop.wait(_LOOK):
                break
        return post

    def _confirmed(self, near: redis.Redis) -> float:
        """The stamp up to which every other region has confirmed."""
        if not self._others:
            return float("inf")
        found: Any = near.hmget(self._names.relayed, list(self._others))
        return min(int(stamp or 0) for stamp in found)


class EdgeRepeat(EdgeOutbox):
    """Delivers for the second time, when the lag is over."""

    def __init__(
        self, courier: Courier, others: Sequence[str], key: str, *, lag: Lag, **rest: Any
    ) -> None:
        """Start nothing yet; see `EdgeOutbox`.

        Args:
            courier: delivers.
            others: the other regions with a Redis.
            key: of the cursor.
            lag: when it is time.
            rest: see `OutboxReader`.
        """
        super().__init__(courier, others, key, **rest)
        self._lag = lag

    def _next(self, near: redis.Redis, now: int, cursor: int, *, ending: bool) -> Post | None:
        confirmed, lag = self._confirmed(near), self._lag

        def due(stamp: int, orders: Sequence[Order]) -> bool:
            age = (now - stamp) / _SECOND
            patient = stamp > confirmed and age < lag.most + _REGIONS_AGAIN
            return not patient and lag.over(age, [order.position for order in orders])

        if self._read(near, cursor, block=None, wanted=due, count=1) is not None:
            return self._read(near, cursor, block=None, wanted=due)
        if not ending:
            self._stop.wait(_LOOK_AGAIN)
        return None

    def _news(self, name: str, late: float) -> Event:
        return Event("edge-repeated", detail=name, seconds=late)

    def _missed(self) -> None:
        """The first reader has told of it."""
