"""What a worker does on threads, as tasks of a simulated process: the log, the relays."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event, Thread
from typing import Any

from redis.exceptions import RedisError

from regionware.caching.log import BLOCK, LogReader
from regionware.caching.purging import Order, Relay, joined
from regionware.caching.redis import stamp_of
from regionware.caching.relaying import OutboxRelay
from regionware.caching.replies import TROUBLE
from regionware.caching.scripts import PURGE, purge_keys
from regionware.testing.simulator.carrying import Pause, as_word, carried
from regionware.testing.simulator.network import SimulatedLines
from regionware.testing.simulator.world import ProcessLoop

#: Seconds for a call of the background, and between two tries.
BACKGROUND = BLOCK / 1000 + 1.0
_PAUSE = 0.25
_FAR = 5.0
_TOGETHER = 100

#: Makes lines to a region's Redis: its URL, the deadline, and whether it is for the background.
Connect = Callable[..., SimulatedLines]
#: Told of an order for a region: that it was given to a relay, that the region has confirmed.
Told = Callable[[str, Order], None]
#: Told up to which stamp of this region another one has confirmed what was in the outbox.
Confirmed = Callable[[str, int], None]


class SimulatedReader(LogReader):
    """The log's reader, as a task."""

    def __init__(self, real: LogReader, loop: ProcessLoop, lines: SimulatedLines) -> None:
        """Take everything over from one that has not been started."""
        super().__init__(
            real._url, real._tier, real._follower, clock=lambda: self._now, on_wake=real._on_wake
        )
        self._loop = loop
        self._near = lines
        self._now = 0.0
        self._task: asyncio.Task[None] | None = None
        self.worker = loop.name

    def start(self) -> None:
        """Start the task, once."""
        if self._task is None:
            self._task = self._loop.create_task(self._listen())

    async def _listen(self) -> None:
        while True:
            try:
                await self._at_once(self._snapshot)
                while True:
                    await self._at_once(super()._tell)
                    if not await self._at_once(lambda client: self._read(client, Event())):
                        await self._at_once(self._snapshot)
            except (*TROUBLE, TypeError, AttributeError, IndexError):
                self._tier.unheard()
                await asyncio.sleep(_PAUSE)

    async def _at_once(self, decide: Callable[[Any], Any]) -> Any:
        """Decide by the clock of this moment, when nothing has been sent yet."""
        self._now = self._loop.time()
        return await carried(decide, self._near)

    def _tell(self, client: Any) -> None:
        """It is told before each read, apart from it."""


class SimulatedOutbox(OutboxRelay):
    """A relay from the outbox, as a task."""

    def __init__(
        self, real: OutboxRelay, loop: ProcessLoop, connect: Connect, confirmed: Confirmed
    ) -> None:
        """Take everything over from one that has not been started."""
        super().__init__(
            real.region, near=real._near, far=real._far, names=real._names,
            retention=real._retention, regions=real._regions, tell=real._tell,
            clock=loop.time,
        )  # fmt: skip
        self._loop = loop
        self._token = loop.name
        self._lines = tuple(connect(url, _FAR, background=True) for url in (real._near, real._far))
        self._confirmed = confirmed
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task, once."""
        if self._task is None:
            self._task = self._loop.create_task(self._go_on())

    async def _go_on(self) -> None:
        while True:
            pause = Pause()
            try:
                await carried(partial(self._pass_on, pause), *self._lines)
            except TROUBLE:
                pause.wait(_PAUSE)
            await asyncio.sleep(pause.seconds)

    def _pass_on(self, pause: Any, near: Any, far: Any) -> bool:
        return self._turn(near, partial(self._deliver, far), pause, ending=False)

    def _hold(
        self, near: Any, *, confirmed: int | None = None, milliseconds: int | None = None
    ) -> Any:
        held = super()._hold(near, confirmed=confirmed, milliseconds=milliseconds)
        if held is not None:
            self._confirmed(self.region, held[1])
        return held


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
        super().__init__(real.region, real._url, real._names, real._on_drop, real._on_applied)
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
                stamp = await self._tell(orders)
            except (RedisError, OSError, ValueError):
                await asyncio.sleep(_PAUSE)
                continue
            self._applied(orders, stamp)
            for order in orders:
                self._delivered(self.region, order)

    async def _tell(self, orders: Sequence[Order]) -> int:
        keys, stamp = purge_keys(self._names), 0
        for chunk in joined(orders).chunks():
            words = ("EVAL", PURGE.text, len(keys), *keys, *chunk)
            stamp = stamp_of(await self._lines.ask([as_word(word) for word in words]))
        return stamp
