"""Virtual time: one queue of what happens, and an event loop for each process in it.

Every process of a simulation has an asyncio loop of its own, so the code under test runs as it
is. But no loop waits for anything: what is to run later stands in the world's queue, and when
everything of this moment has run, the clock jumps to the next. The order of the queue is the only
order there is, so a seed repeats itself to the last step.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from contextvars import Context
from inspect import CORO_CREATED, getcoroutinestate
from itertools import count
from random import Random
from typing import Any, TypeVarTuple

Ts = TypeVarTuple("Ts")

#: Steps that the tasks of a killed process may take to end; none of them reaches anybody.
_BURIAL = 10_000


class World:
    """The clock, the queue, and the dice.

    Attributes:
        now: seconds since the beginning.
        random: dice; all of a simulation's.
        trace: what happened, in order.
        errors: exceptions that nobody handled; there must be none.
    """

    def __init__(self, seed: int) -> None:
        """Begin at zero."""
        self.now = 0.0
        self.random = Random(seed)
        self.trace: deque[str] = deque(maxlen=100_000)
        self.errors: list[str] = []
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._count = count()

    def at(self, when: float, call: Callable[[], object]) -> None:
        """Have something called at a time; what is due at once, in the order of these calls."""
        heapq.heappush(self._queue, (max(when, self.now), next(self._count), call))

    def after(self, delay: float, call: Callable[[], object]) -> None:
        """Have something called after `delay` seconds."""
        self.at(self.now + delay, call)

    def run(self, until: float) -> None:
        """Run what is due up to a time."""
        while self._queue and self._queue[0][0] <= until:
            self.now, _, call = heapq.heappop(self._queue)
            call()
        self.now = until

    def tell(self, who: str, what: str) -> None:
        """Note what happened."""
        self.trace.append(f"{self.now:9.4f} {who:10} {what}")

    def chance(self, probability: float) -> bool:
        """Throw the dice."""
        return self.random.random() < probability


class ProcessLoop(asyncio.BaseEventLoop):
    """The loop of one process, with a monotonic clock that may run a little fast or slow.

    Attributes:
        frozen_until: nothing of this process runs before.
        dead: nothing of it runs any more.
    """

    def __init__(self, world: World, name: str, *, rate: float = 1.0, start: float = 0.0) -> None:
        """Begin.

        Args:
            world: whose queue is used.
            name: for the trace.
            rate: seconds of this process's clock in a second of the world.
            start: what its clock showed when the world began.
        """
        super().__init__()
        self.world = world
        self.name = name
        self.frozen_until = 0.0
        self.dead = False
        self._rate = rate
        self._start = start
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._last_steps: deque[asyncio.Handle] = deque()

    # The life of a process

    def freeze(self, seconds: float) -> None:
        """Let nothing run for a while, as SIGSTOP or a long collection of garbage would."""
        self.frozen_until = max(self.frozen_until, self.world.now + seconds)

    def kill(self) -> None:
        """End it: nothing of it is seen any more.

        Its tasks are cancelled, with nobody listening, only so that the interpreter does not
        find them unfinished.
        """
        self.dead = True
        for task in list(self._tasks):
            work: Any = task.get_coro()
            if getcoroutinestate(work) == CORO_CREATED:
                work.close()
            task.cancel()
        for _ in range(_BURIAL):
            if not self._last_steps:
                break
            self._step(self._last_steps.popleft())
        self._tasks.clear()

    def _run(self, handle: asyncio.Handle) -> None:
        if self.dead:
            return
        if self.frozen_until > self.world.now:
            self.world.at(self.frozen_until, lambda: self._run(handle))
            return
        self._step(handle)

    def _step(self, handle: asyncio.Handle) -> None:
        if handle.cancelled():
            return
        before = asyncio._get_running_loop()  # noqa: SLF001 - offered to those who write a loop
        asyncio._set_running_loop(self)  # noqa: SLF001 - likewise
        try:
            handle._run()  # noqa: SLF001 - what any loop calls
        finally:
            asyncio._set_running_loop(before)  # noqa: SLF001 - likewise

    # What asyncio asks of a loop

    def time(self) -> float:
        """This process's monotonic clock."""
        return self._start + self.world.now * self._rate

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run something in this process, now."""
        handle = asyncio.Handle(callback, args, self, context)
        if self.dead:
            self._last_steps.append(handle)
        else:
            self.world.at(self.world.now, lambda: self._run(handle))
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """The same: one thread runs everything."""
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run something when this process's clock shows a time."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if self.dead:
            self._last_steps.append(handle)
        else:
            self.world.at((when - self._start) / self._rate, lambda: self._run(handle))
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run something after a while."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It stays in the queue, and does nothing when its time has come."""

    def create_task(  # type: ignore[override] # typeshed wants a generic coroutine
        self, coro: Any, *, name: str | None = None, context: Context | None = None
    ) -> "asyncio.Task[Any]":
        """A task of this process; it ends with it."""
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.pop(task, None)
        if self.dead or task.cancelled():
            return
        if (error := task.exception()) is not None:
            self.world.errors.append(f"{self.name}: {error!r}")

    def run_in_executor(self, *_: Any) -> Any:  # type: ignore[override] # never called with success
        """There are no threads here.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("a simulated process has no threads")

    def get_debug(self) -> bool:
        """Never."""
        return False

    def set_debug(self, enabled: bool) -> None:  # noqa: FBT001 - asyncio's
        """Never."""

    def is_running(self) -> bool:
        """Always, as seen from inside."""
        return True

    def is_closed(self) -> bool:
        """Whether the process has ended."""
        return self.dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what nobody handled."""
        if not self.dead:
            self.world.errors.append(f"{self.name}: {context.get('exception') or context}")
