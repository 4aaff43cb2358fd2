"""Purges: raised in this region's Redis now, or queued until it, or another, confirms."""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, takewhile
from threading import Condition, Event
from time import monotonic
from typing import Protocol

from regionware.caching.clients import background
from regionware.caching.coherence import NO_POSITION, Fence
from regionware.caching.redis import TROUBLE, RedisTier, stamp_of
from regionware.caching.scripts import PURGE, Names, purge_keys
from regionware.caching.threaded import Threaded
from regionware.database.position import Position, merge
from regionware.errors import PurgeError

#: A relayed purge may cross an ocean: connecting takes several round trips.
FAR_DEADLINE = 5.0
_QUEUE = 10_000
_PAUSE = 0.2
_PAUSE_LIMIT = 2.0
#: Names in one call: Lua unpacks them on its stack.
_CHUNK = 1000
#: What the script may be told: see there.
ONCE, TO_EDGES, TO_REGIONS = 2, 4, 8
#: Purges that a far region is told in one call.
TOGETHER = 100

logger = logging.getLogger("regionware")


@dataclass(frozen=True, slots=True)
class Purged:
    """An acknowledged purge.

    Attributes:
        names: how many fences it raised.
        stamp: the region's clock at that moment, microseconds; 0 without a Redis.
        regions: the regions that have applied it.
        deferred: it waits for the commit of the open write transaction.
        edges: of each edge, where the purge is queued for it; none of those that have it.
    """

    names: int
    stamp: int = 0
    regions: tuple[str, ...] = ()
    deferred: bool = False
    edges: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Order:
    """One purge on its way.

    Attributes:
        names: the fences to raise.
        position: what an entry must have reached.
        retention: microseconds after which no entry can be older than the fence.
    """

    names: Sequence[str]
    position: Position | None
    retention: int
    done: dict[str, Event] = field(default_factory=dict)

    def chunks(
        self, known: int = 0, *, onward: bool = False, flags: int = 0
    ) -> list[tuple[str | int, ...]]:
        """Arguments for the script.

        Args:
            known: the latest stamp of the same region that is known here.
            onward: it goes to the outbox too, from which it is relayed to the other regions, and
                to edges.
            flags: more of what the script may be told.
        """
        position = self.position.hex if self.position else NO_POSITION
        return [
            (position, self.retention, known, flags | int(onward), *self.names[at : at + _CHUNK])
            for at in range(0, len(self.names), _CHUNK)
        ]

    def fences(self, stamp: int) -> Mapping[str, Fence]:
        """The fences as this process keeps them."""
        return dict.fromkeys(self.names, Fence(stamp, self.position))


Chunks = Sequence[tuple[str | int, ...]]


def raise_here(tier: RedisTier, chunks: Chunks, timeout: float) -> int:
    """Raise the fences in this region's Redis; the stamp.

    Raises:
        PurgeError: Redis did not confirm.
    """
    try:
        return max(tier.purge(chunk, timeout) for chunk in chunks)
    except TROUBLE as error:
        raise PurgeError(f"this region's Redis did not confirm: {error}", queued={}) from error


async def araise_here(tier: RedisTier, chunks: Chunks, timeout: float) -> int:  # noqa: ASYNC109 - the caller's
    """The async twin of `raise_here`.

    Raises:
        PurgeError: Redis did not confirm.
    """
    try:
        return max([await tier.apurge(chunk, timeout) for chunk in chunks])
    except TROUBLE as error:
        raise PurgeError(f"this region's Redis did not confirm: {error}", queued={}) from error


class Relay(Threaded):
    """Carries purges to one region, in order, again and again until it confirms.

    The queue lives in this process, so a purge that is still queued dies with it. It is the
    fall-back where this region's Redis, whose outbox is better, does not confirm.
    """

    def __init__(
        self,
        region: str,
        url: str,
        names: Names,
        on_drop: Callable[[str], None],
        on_applied: Callable[[Mapping[str, Fence]], None] = lambda _: None,
    ) -> None:
        """Start nothing yet.

        Args:
            region: its name.
            url: of its Redis.
            names: of the keys there.
            on_drop: told of the region where a purge is given up.
            on_applied: told of the fences of each purge, before it counts as applied.
        """
        super().__init__(f"regionware-relay-{region}")
        self.region = region
        self._url = url
        self._names = names
        self._on_drop, self._on_applied = on_drop, on_applied
        self._queue: deque[Order] = deque()
        self._wake = Condition()

    def send(self, order: Order) -> Event:
        """Queue a purge; the event is set once the region has applied it."""
        done = order.done.setdefault(self.region, Event())
        with self._wake:
            if len(self._queue) >= _QUEUE:
                self._queue.popleft()
                self._on_drop(self.region)
            self._queue.append(order)
            self.start()
            self._wake.notify_all()
        return done

    def stop(self, timeout: float = 2.0) -> None:
        """Deliver what can be delivered within `timeout` seconds, then end."""
        with self._wake:
            thread = self._ended()
            self._wake.notify_all()
        if thread is not None:
            thread.join(timeout)

    def forget(self) -> None:
        """After a fork: the parent delivers its own."""
        self._queue, self._wake = deque(), Condition()
        self._reset()

    def __len__(self) -> int:
        """How many purges are queued."""
        return len(self._queue)

    def _run(self, stop: Event) -> None:
        pause, together = _PAUSE, TOGETHER
        with background(self._url, FAR_DEADLINE) as client:
            while orders := self._next(stop, together):
                try:
                    for chunk in joined(orders).chunks():
                        keys = purge_keys(self._names)
                        stamp = stamp_of(client.eval(PURGE.text, len(keys), *keys, *chunk))
                except UnicodeError:
                    # One of them can never be sent: one by one, until it is found.
                    together = 1 if len(orders) > 1 else self._drop(orders[0])
                    continue
                except Exception as error:  # noqa: BLE001 - a reply may be anything; it goes on
                    logger.warning("purge for region %s waits: %s", self.region, error)
                    # One more try after the order to stop, and no further pause then.
                    if stop.is_set():
                        return
                    stop.wait(pause)
                    pause = min(pause * 2, _PAUSE_LIMIT)
                    continue
                pause = _PAUSE
                self._applied(orders, stamp)

    def _applied(self, orders: Sequence[Order], stamp: int) -> None:
        for order in orders:
            self._on_applied(order.fences(stamp))
            self._pop(order)
            order.done[self.region].set()

    def _drop(self, order: Order) -> int:
        self._pop(order)
        self._on_drop(self.region)
        return TOGETHER

    def _pop(self, order: Order) -> None:
        with self._wake:
            if self._queue and self._queue[0] is order:
                self._queue.popleft()

    def _next(self, stop: Event, most: int) -> list[Order]:
        """What goes together: a far region is told many purges in one round trip."""
        with self._wake:
            while not self._queue:
                if stop.is_set():
                    return []
                self._wake.wait()
            first = self._queue[0]
            alike = takewhile(lambda order: is_like(order, first), self._queue)
            return list(islice(alike, most))


class Waited(Protocol):
    """Who confirms a purge.

    Attributes:
        region: its name in `Order.done`.
    """

    region: str


def late(relays: Sequence[Waited], order: Order, timeout: float) -> list[str]:
    """Those who have not confirmed a queued purge within `timeout` seconds."""
    end = monotonic() + timeout
    waiting = ((relay.region, order.done[relay.region]) for relay in relays)
    return [region for region, done in waiting if not done.wait(max(end - monotonic(), 0))]


def is_like(left: Order, right: Order) -> bool:
    """Whether neither gets a position from the other that it was not given."""
    return (left.position is None) is (right.position is None)


def joined(orders: Sequence[Order]) -> Order:
    """One purge that asks for what all of them ask for."""
    position = None
    for order in orders:
        position = merge(position, order.position)
    names = tuple(dict.fromkeys(chain.from_iterable(order.names for order in orders)))
    return Order(names, position, orders[0].retention)
