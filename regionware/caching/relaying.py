"""Takes the purges of this region's outbox, and relays them to other regions, at least once.

The outbox is a stream in this region's Redis, written by the script that raises the fences: an
acknowledged purge is relayed although the process that made it has died. One worker of the region
at a time relays to a region, or another receiver; Redis says which, and keeps the cursor.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from threading import Event as Flag
from time import monotonic
from typing import Any

import redis

from regionware.caching.clients import background
from regionware.caching.coherence import EVERYTHING, NO_POSITION, mark
from regionware.caching.following import as_mapping
from regionware.caching.purging import FAR_DEADLINE, TOGETHER, Order, joined
from regionware.caching.redis import TROUBLE, stamp_of
from regionware.caching.scripts import PURGE, RELAY, Names, purge_keys
from regionware.caching.threaded import Threaded
from regionware.caching.unconfirmed import Unconfirmed
from regionware.database.position import Position
from regionware.observe import Event

#: Milliseconds for which the right to relay holds without being renewed.
_HOLDS = 5000
#: Milliseconds for which one read of the outbox waits.
_BLOCK = 500
#: Seconds after which a worker without the right asks for it again.
_TURN = 1.0
_PAUSE = 0.2
_PAUSE_LIMIT = 5.0
_SECOND = 1_000_000
_BEFORE = b"<"
#: Beside it where a purge is for `edges` alone, since each region hears of it by another way, or
#: for `regions` alone, since no edge keeps what it is about.
_ALONE = b">"

logger = logging.getLogger("regionware")


@dataclass(frozen=True, slots=True)
class Post:
    """What one read of the outbox gave.

    Attributes:
        orders: what is to be delivered.
        first: the stamp of the oldest of them.
        last: the stamp up to which the receiver has confirmed once that is done.
    """

    orders: Sequence[Order]
    first: int
    last: int


#: Delivers a post, given the region's clock; false where it was told to stop, and raises what goes
#: wrong.
Deliver = Callable[[Post, int], bool]


class OutboxReader(Threaded):
    """Takes the outbox's purges to one receiver, whenever this worker has the right to.

    Attributes:
        region: the receiver: another region, or something else that has a cursor.
    """

    #: Purges of one read, and names at which it is enough.
    _together = TOGETHER
    _names_together = 1_000_000
    #: Milliseconds for which the right holds.
    _holds = _HOLDS
    #: What it is, where purges are for some receivers alone.
    _kind = b"regions"
    #: Whether it begins with whatever is there, even if something came before.
    _joins = False

    def __init__(
        self,
        region: str,
        *,
        near: str,
        names: Names,
        retention: int,
        regions: Sequence[str],
        tell: Callable[[Event], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Start nothing yet.

        Args:
            region: the receiver.
            near: the URL of this region's Redis.
            names: the keys.
            retention: microseconds after which no entry can be older than a fence.
            regions: all receivers: what they have confirmed is dropped.
            tell: told of `gap`, and of what a subclass tells.
            clock: monotonic seconds.
        """
        super().__init__(f"regionware-outbox-{region}")
        self.region = region
        self._near = near
        self._names = names
        self._retention = retention
        self._regions = tuple(regions)
        self._tell = tell
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """After a fork, and at first: the thread and what was purged are the parent's."""
        self._reset()
        self._token = os.urandom(8).hex()
        #: The latest cursor that was seen here.
        self._furthest = 0
        self._unconfirmed = Unconfirmed(self._clock)

    def keep(self, order: Order, stamp: int) -> None:
        """A purge is in the outbox: keep it until the receiver confirms it, and see to that."""
        self._unconfirmed.add(stamp, order)
        self.start()

    def lost(self) -> list[Order]:
        """The outbox may have been lost: what this process must send itself."""
        return self._unconfirmed.take()

    @property
    def waiting(self) -> tuple[int, float]:
        """How many purges of this process are not confirmed, and for how many seconds."""
        return self._unconfirmed.waiting()

    def end(self) -> Callable[[float], None]:
        """Tell the thread to end once it has tried; what is returned waits for that."""
        thread = self._ended()
        return lambda timeout: None if thread is None else thread.join(timeout)

    def stop(self, timeout: float = 2.0) -> None:
        """Deliver what can be delivered within `timeout` seconds, then end."""
        self.end()(timeout)

    def _delivering(self, near: redis.Redis, stop: Flag) -> AbstractContextManager[Deliver]:
        """What is needed to deliver, for as long as the thread runs."""
        raise NotImplementedError

    def _done(self, post: Post, now: int) -> None:
        """The receiver has confirmed a post, which Redis knows now."""
        raise NotImplementedError

    def _run(self, stop: Flag) -> None:
        pause = _PAUSE
        with (
            background(self._near, FAR_DEADLINE) as near,
            self._delivering(near, stop) as deliver,
        ):
            while True:
                ending = stop.is_set()  # read first: once more round after the order to stop
                try:
                    busy = self._turn(near, deliver, stop, ending=ending)
                    pause = _PAUSE
                except Exception as error:  # noqa: BLE001 - a reply may be anything; it goes on
                    logger.debug("the outbox cannot be relayed to %s: %s", self.region, error)
                    busy = False
                    stop.wait(pause)
                    pause = min(pause * 2, _PAUSE_LIMIT)
                if ending and not busy:
                    return

    def _turn(self, near: redis.Redis, deliver: Deliver, stop: Flag, *, ending: bool) -> bool:
        """Take the right, and relay what one read gives; whether there was something."""
        held = self._hold(near)
        if held is None:
            self._look(near)
            stop.wait(_TURN)
            return False
        now, cursor = held
        self._furthest = max(self._furthest, cursor)
        post = self._next(near, now, cursor, ending=ending)
        if post is not None and deliver(post, now):
            held = self._hold(near, confirmed=post.last)
            if held is not None:
                self._done(post, held[0])
            return True
        if ending:
            self._hold(near, milliseconds=0)
        return False

    def _look(self, near: redis.Redis) -> None:
        """How far the worker is that has the right."""
        if self._unconfirmed:
            confirmed: Any = near.hget(self._names.relayed, self.region)
            self._unconfirmed.confirm(int(confirmed or 0))

    def _hold(
        self, near: redis.Redis, *, confirmed: int | None = None, milliseconds: int | None = None
    ) -> tuple[int, int] | None:
        """Take, keep or give back the right; the region's clock and the cursor, if it is ours."""
        keys = f"{self._names.relayed}:{self.region}", self._names.relayed, self._names.outbox
        news = "" if confirmed is None else confirmed
        holds = self._holds if milliseconds is None else milliseconds
        reply: Any = near.eval(
            RELAY.text, 3, *keys, self._token, holds, self.region, news, *self._regions
        )
        if not reply:
            return None
        now, cursor = int(reply[0]), int(reply[1])
        self._unconfirmed.confirm(cursor)
        return now, cursor

    def _next(self, near: redis.Redis, now: int, cursor: int, *, ending: bool) -> Post | None:  # noqa: ARG002 - for subclasses
        """What is to be delivered now; nobody is waited for by one who is about to end."""
        return self._read(near, cursor, block=None if ending else _BLOCK)

    def _read(
        self,
        near: redis.Redis,
        cursor: int,
        *,
        block: int | None,
        count: int | None = None,
        wanted: Callable[[int, Sequence[Order]], bool] = lambda *_: True,
    ) -> Post | None:
        """What comes after the cursor; if some of it is missing, everything is to be purged.

        Args:
            near: this region's Redis.
            cursor: the stamp up to which the receiver has confirmed.
            block: milliseconds to wait for something.
            count: purges at most.
            wanted: asked in turn; what comes after the first that is not is left for later.
        """
        outbox = self._names.outbox.encode()
        reply: Any = near.xread({outbox: f"{cursor}-0"}, count=count or self._together, block=block)
        orders: list[Order] = []
        stamps: list[int] = []
        size = 0
        for position, fields in dict(reply or ()).get(outbox, ()):
            stamp = int(position.partition(b"-")[0])
            some = self._orders(dict(as_mapping(fields)), stamps[-1] if stamps else cursor)
            if not wanted(stamp, some):
                break
            orders += some
            stamps.append(stamp)
            size += sum(len(order.names) for order in some)
            if size >= self._names_together:
                break
        return Post(orders, stamps[0], stamps[-1]) if stamps else None

    def _orders(self, told: dict[bytes, bytes], before: int) -> list[Order]:
        """A purge as it was made; after something that is missing, or unreadable, everything."""
        everything = Order((mark(EVERYTHING, soft=False),), None, self._retention)
        wanted = told.pop(_ALONE, self._kind) == self._kind
        try:
            lost = before == 0 and self._furthest > 0  # the outbox and its cursors are gone
            missing = int(told.pop(_BEFORE, b"0")) != before or lost
            if self._joins and before == self._furthest == 0:
                missing = False
            order = self._order(told)
        except ValueError:
            missing, order = True, everything
        if missing:
            self._missed()
        return [*([everything] if missing else []), *([order] if wanted else [])]

    def _missed(self) -> None:
        self._tell(Event("gap", detail=self.region))

    def _order(self, told: Mapping[bytes, bytes]) -> Order:
        """Its names, and the position that all of them have."""
        position = next(iter(told.values()), b"").decode()
        known = None if position == NO_POSITION else Position.from_hex(position)
        return Order([name.decode() for name in told], known, self._retention)


class OutboxRelay(OutboxReader):
    """Relays to one region."""

    def __init__(self, region: str, *, far: str, **rest: Any) -> None:
        """Start nothing yet.

        Args:
            region: which is relayed to.
            far: the URL of its Redis.
            rest: see `OutboxReader`. It is told of `relayed`, and of `relay-lag` where that does
                not succeed.
        """
        super().__init__(region, **rest)
        self._far = far

    @contextmanager
    def _delivering(self, near: redis.Redis, stop: Flag) -> Iterator[Deliver]:  # noqa: ARG002 - see there
        with background(self._far, FAR_DEADLINE) as far:
            yield partial(self._deliver, far)

    def _deliver(self, far: redis.Redis, post: Post, now: int) -> bool:
        """Raise the fences there; a purge keeps its position, and goes no further."""
        began, keys = monotonic(), purge_keys(self._names)
        try:
            for _, alike in groupby(post.orders, lambda order: order.position is None):
                for chunk in joined(list(alike)).chunks():
                    stamp_of(far.eval(PURGE.text, len(keys), *keys, *chunk))
        except TROUBLE as error:
            logger.warning("purges for region %s wait: %s", self.region, error)
            self._told("relay-lag", now - post.first + int((monotonic() - began) * _SECOND))
            raise
        return True

    def _done(self, post: Post, now: int) -> None:
        self._told("relayed", now - post.first)

    def _told(self, name: str, late: int) -> None:
        self._tell(Event(name, detail=self.region, seconds=max(late, 0) / _SECOND))
