"""Waiting for another worker's fill, on a thread or in a loop.

The region's log tells which keys somebody waited for that need wait no more. That is for speed
alone: whoever waits here looks again when the lease may be over, whether it was told or not.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock

from regionware.effects import Park

#: How many keys are remembered that were heard of lately.
REMEMBERED = 4096


class Wakes:
    """Who waits for which key, and what was heard of lately. Nothing but `wait` blocks.

    Attributes:
        heard: how many wake-ups were heard so far; read before a look-up is sent, it tells
            whether one came meanwhile.
    """

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._lock = Lock()
        self._lately: OrderedDict[str, int] = OrderedDict()
        self._parked: dict[str, list[Callable[[], None]]] = {}
        self._released = 0
        self.heard = 0

    def release(self) -> None:
        """Wake everybody, and whoever is about to wait: nobody will be told of a fill's end."""
        with self._lock:
            self.heard += 1
            self._released = self.heard
            parked, self._parked = self._parked, {}
        for wakers in parked.values():
            for waker in wakers:
                waker()

    def wake(self, digest: str) -> None:
        """Wake who waits for a key, and whoever is about to."""
        with self._lock:
            self.heard += 1
            self._lately[digest] = self.heard
            self._lately.move_to_end(digest)
            if len(self._lately) > REMEMBERED:
                self._lately.popitem(last=False)
            wakers = self._parked.pop(digest, [])
        for waker in wakers:
            waker()

    def wait(self, ask: Park) -> None:
        """Block until the key is woken, or for `ask.timeout` seconds."""
        event = Event()
        if self._park(ask, event.set):
            event.wait(ask.timeout)
            self._leave(ask.digest, event.set)

    async def await_(self, ask: Park) -> None:
        """The async twin of `wait`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            # A loop that has been closed: nobody waits there any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_finish, future)

        if self._park(ask, wake):
            try:
                await asyncio.wait((future,), timeout=ask.timeout)
            finally:
                future.cancel()
                self._leave(ask.digest, wake)

    def _park(self, ask: Park, wake: Callable[[], None]) -> bool:
        """Ask to be woken; `False` if that has happened since the look-up was sent."""
        with self._lock:
            if max(self._lately.get(ask.digest, 0), self._released) > ask.heard:
                return False
            self._parked.setdefault(ask.digest, []).append(wake)
            return True

    def _leave(self, digest: str, wake: Callable[[], None]) -> None:
        with self._lock:
            parked = self._parked.get(digest)
            if parked is not None and wake in parked:
                parked.remove(wake)
                if not parked:
                    del self._parked[digest]

    def forget(self) -> None:
        """After a fork: those who wait do so in the parent."""
        self._lock = Lock()
        self._parked = {}

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._parked.values()))


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
