"""Reads that wait until a replica has caught up, parked where the prober tells the news."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from regionware.database.position import Position
from regionware.database.selector import Mark


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """Somebody who waits for a host.

    Attributes:
        need: what the host must have reached.
        wake: called with the host's mark, once, on the prober's thread.
    """

    need: Position
    wake: Callable[[Mark], object]


class Waiters:
    """Who waits for which host.

    Attributes:
        heard: set once every host was asked: before, an old primary may pass for the new one.
    """

    def __init__(self, urge: Callable[[str], None] = lambda _: None) -> None:
        """Begin with nobody.

        Args:
            urge: called with a host's name when somebody begins to wait for it.
        """
        self.heard = threading.Event()
        self._urge = urge
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Waiter]] = {}

    def for_host(self, name: str) -> bool:
        """Whether somebody waits for this host."""
        return bool(self._waiting.get(name))

    def tell(self, name: str, mark: Mark) -> None:
        """A host has answered: wake those whose wait is over, also where it is in vain."""
        if not self._waiting.get(name):
            return
        with self._lock:
            waiting = self._waiting.get(name, [])
            ready = [w for w in waiting if not mark.reachable or _reached(mark, w.need)]
            self._waiting[name] = [w for w in waiting if w not in ready]
        for waiter in ready:
            with suppress(RuntimeError):  # its loop has closed meanwhile
                waiter.wake(mark)

    def wait(self, name: str, need: Position, seconds: float) -> Mark | None:
        """Block until the host has reached `need`; its mark then, `None` after `seconds`."""
        found: list[Mark] = []
        done = threading.Event()

        def wake(mark: Mark) -> None:
            found.append(mark)
            done.set()

        waiter = self._add(name, need, wake)
        try:
            done.wait(seconds)
        finally:
            self._remove(name, waiter)
        return found[0] if found else None

    async def await_(self, name: str, need: Position, seconds: float) -> Mark | None:
        """The async twin of `wait`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Mark] = loop.create_future()

        def arrived(mark: Mark) -> None:
            if not future.done():
                future.set_result(mark)

        def wake(mark: Mark) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(arrived, mark)

        waiter = self._add(name, need, wake)
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            return None
        finally:
            self._remove(name, waiter)

    def _add(self, name: str, need: Position, wake: Callable[[Mark], object]) -> Waiter:
        waiter = Waiter(need, wake)
        with self._lock:
            self._waiting.setdefault(name, []).append(waiter)
        self._urge(name)
        return waiter

    def _remove(self, name: str, waiter: Waiter) -> None:
        with self._lock:
            self._waiting[name] = [w for w in self._waiting.get(name, []) if w is not waiter]


def _reached(mark: Mark, need: Position) -> bool:
    return mark.position is not None and mark.position.reached(need)
