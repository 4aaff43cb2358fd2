"""Threads of the background for work that nobody waits for, and a bound on how much may wait."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock, Semaphore


class Background:
    """A few threads, started when there is something to do."""

    def __init__(self, name: str, threads: int, most: int) -> None:
        """Start nothing yet: a server may fork after this.

        Args:
            name: how the threads are called.
            threads: how many there are at most.
            most: how much may be under way or wait for one; more is not taken.
        """
        self._name = name
        self._threads = threads
        self._most = most
        self.forget()

    def forget(self) -> None:
        """After a fork, and at first: the threads, and what waits for them, are the parent's."""
        self._lock = Lock()
        self._room = Semaphore(self._most)
        self._executor: ThreadPoolExecutor | None = None

    def submit(self, work: Callable[[], None]) -> bool:
        """Have something done; `False` if there is no room for it, or no thread."""
        if not self._room.acquire(blocking=False):
            return False
        task = [work]
        try:
            future = self._started().submit(_do, task)
        except RuntimeError:  # the process may have no further thread, or is about to end
            return self._withdrawn(task)
        future.add_done_callback(self._done)
        return True

    def close(self) -> bool:
        """Take nothing on that waits; whether there were threads."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)
        return executor is not None

    def _started(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix=self._name)
            return self._executor

    def _withdrawn(self, task: list[Callable[[], None]]) -> bool:
        """An executor queues first, then starts a thread: those that run must not find it there."""
        self._room.release()
        try:
            task.pop()
        except IndexError:
            return True  # one of them has been faster
        return False

    def _done(self, _: "Future[None]") -> None:
        self._room.release()


def _do(task: list[Callable[[], None]]) -> None:
    try:
        work = task.pop()
    except IndexError:
        return
    work()
