"""Where a real `Regionware` is held: its lines, its log, and its relays, which use threads else.

Everything that the simulator knows of the inside of a `Regionware` is here. The decisions stay
those of the real classes: only the waiting is done by tasks of a simulated process.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from threading import Event, Thread
from typing import Any

from redis.exceptions import RedisError

from regionware.caching.log import _BATCH as BATCH
from regionware.caching.log import BLOCK, LogReader
from regionware.caching.purging import Order, Relay, _joined
from regionware.caching.redis import (
    DEADLINE,
    PATIENT,
    PURGE,
    TROUBLE,
    purge_keys,
    stamp_of,
)
from regionware.errors import ConfigurationError
from regionware.middleware import Regionware
from regionware.testing.simulator.network import SimulatedLines
from regionware.testing.simulator.world import ProcessLoop

#: Seconds for a call of the background, and between two tries.
_BACKGROUND = BLOCK / 1000 + 1.0
_PAUSE = 0.25
_FAR = 5.0
_TOGETHER = 100

#: Makes lines to a region's Redis: its URL, the deadline, and whether it is for the background.
Connect = Callable[..., SimulatedLines]
#: Told of an order for a region: that it was given to a relay, that the region has confirmed.
Told = Callable[[str, Order], None]


def attach(
    rw: Regionware, loop: ProcessLoop, connect: Connect, sent: Told, delivered: Told
) -> None:  # fmt: skip
    """Put a worker into a simulated process.

    Args:
        rw: the worker, not started.
        loop: the process.
        connect: makes its lines.
        sent: told of each order that is given to a relay.
        delivered: told when one has been applied.

    Raises:
        ConfigurationError: its region has no Redis.
    """
    parts = rw._parts
    rim, purger = parts.rim, parts.purger
    tier, log = rim.tier, rim._log
    here = purger._here
    if tier is None or log is None or here is None:
        raise ConfigurationError("every simulated region has a Redis")
    url = log._url
    tier._alines = connect(url, DEADLINE, background=False)  # type: ignore[assignment] # in its place
    tier._apatient = connect(url, PATIENT, background=False)  # type: ignore[assignment] # in its place
    rim._log = SimulatedReader(log, loop, connect(url, _BACKGROUND, background=True))
    far = [SimulatedRelay(relay, loop, connect, sent, delivered) for relay in purger._relays]
    own = SimulatedRelay(here, loop, connect, sent, delivered)
    purger._relays, purger._here = far, own
    rim.relays = [*far, own]


class _Asked(Exception):
    """Carries the command that a decision begins with."""


class _Client:
    """Stands in for a client: tells what is asked, or hands over what was answered."""

    def __init__(self, reply: Any = None, *, asks: bool) -> None:
        self._reply = reply
        self._asks = asks

    def _hand(self, *words: Any) -> Any:
        if self._asks:
            raise _Asked(*words)
        return self._reply

    def eval(self, script: str, count: int, *words: Any) -> Any:
        return self._hand("EVAL", script, count, *words)

    def xread(self, streams: Mapping[Any, Any], count: int, block: int) -> Any:
        options = ("COUNT", count, "BLOCK", block, "STREAMS")
        return self._hand("XREAD", *options, *streams, *streams.values())


class _Once(Event):
    """A stop that comes after one round."""

    def is_set(self) -> bool:
        before = super().is_set()
        self.set()
        return before


class SimulatedReader(LogReader):
    """The log's reader, as a task."""

    def __init__(self, real: LogReader, loop: ProcessLoop, lines: SimulatedLines) -> None:
        """Take everything over from one that has not been started."""
        super().__init__(
            real._url, real._tier, real._fences, clock=lambda: self._sent,
            on_reset=real._on_reset, on_wake=real._on_wake, retention=real._retention,
        )  # fmt: skip
        self._loop = loop
        self._lines = lines
        self._sent = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task, once."""
        if self._task is None:
            self._task = self._loop.create_task(self._listen())

    async def _listen(self) -> None:
        while True:
            try:
                _, cursor = await self._answered(self._snapshot)
                while cursor is not None:
                    cursor = await self._read_on(cursor)
            except (*TROUBLE, TypeError, AttributeError):
                await asyncio.sleep(_PAUSE)

    async def _read_on(self, cursor: bytes) -> bytes | None:
        """One read; where it ended, or nothing if a snapshot is needed."""
        reply, _ = await self._answered(lambda client: self._follow(client, cursor, _Once()))
        events = dict(reply or ()).get(self._tier.names.log.encode(), ())
        if len(events) == BATCH:
            return None
        return events[-1][0] if events else cursor

    async def _answered(self, decide: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Let a decision ask, carry it there and back, and let it decide."""
        self._sent = self._loop.time()
        try:
            decide(_Client(asks=True))
        except _Asked as asked:
            reply = await self._lines.ask([_word(word) for word in asked.args])
        return reply, decide(_Client(reply, asks=False))


class SimulatedRelay(Relay):
    """A relay, as a task."""

    def __init__(
        self,
        real: Relay,
        loop: ProcessLoop,
        connect: Connect,
        sent: Told,
        delivered: Told,
    ) -> None:
        """Take everything over from one that has not been started."""
        super().__init__(real.region, real._url, real._names, real._on_drop)
        self._loop = loop
        self._lines = connect(self._url, _FAR, background=True)
        self._sent = sent
        self._delivered = delivered
        self._task: asyncio.Task[None] | None = None
        self._thread = Thread()  # never started: the task is in its place

    def send(self, order: Order) -> Event:
        """Queue a purge."""
        self._sent(self.region, order)
        done = super().send(order)
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._deliver())
        return done

    async def _deliver(self) -> None:
        while self._queue:
            orders = self._next(Event(), _TOGETHER)
            try:
                await self._tell(orders)
            except (RedisError, OSError, ValueError):
                await asyncio.sleep(_PAUSE)
                continue
            for order in orders:
                self._pop(order)
                self._delivered(self.region, order)

    async def _tell(self, orders: Sequence[Order]) -> None:
        keys = purge_keys(self._names)
        for chunk in _joined(orders).chunks():
            words = ("EVAL", PURGE.text, len(keys), *keys, *chunk)
            stamp_of(await self._lines.ask([_word(word) for word in words]))


def _word(word: Any) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogateescape")
