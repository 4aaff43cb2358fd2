"""Something with one thread of its own, started on demand, in the background of a process.

A process may be short of threads for a moment: a limit of its container, a crowd elsewhere. That
costs no request and nothing for good: what could not be started is started by the next who needs
it, or by the reader of the region's log at its next turn.
"""

import logging
from threading import Event, Lock, Thread

logger = logging.getLogger("regionware")


class Threaded:
    """A daemon thread that runs until it is told to stop; a subclass says what `_run` does."""

    def __init__(self, name: str) -> None:
        """Start nothing yet.

        Args:
            name: the thread's.
        """
        self._name = name
        self._reset()

    def _reset(self) -> None:
        """After a fork, and at first: the thread exists in the parent only."""
        self._starting = Lock()
        self._stop = Event()
        self._thread: Thread | None = None
        _wanting.discard(self)

    def start(self) -> None:
        """Start the thread, once; where there can be no further one now, it is started later."""
        if self._thread is None:
            with self._starting:
                self._start_once()

    def _start_once(self) -> None:
        if self._thread is not None:
            return  # somebody was quicker
        self._stop = stop = Event()
        thread = Thread(target=self._run, args=(stop,), name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            if self not in _wanting:
                logger.warning("%s is started later: %s", self._name, error)
            _wanting.add(self)
        else:
            self._thread = thread
            _wanting.discard(self)

    def _ended(self) -> Thread | None:
        """Tell the thread to stop; it is the caller's to wait for."""
        with self._starting:
            self._stop.set()
            thread, self._thread = self._thread, None
            _wanting.discard(self)
        return thread

    def _run(self, stop: Event) -> None:
        """Work until `stop` is set."""
        raise NotImplementedError


#: What could not be started, and was not stopped since.
_wanting: set[Threaded] = set()


def start_wanting() -> None:
    """Start what could not be started before; costs nothing where all could."""
    for each in _wanting.copy():
        each.start()
