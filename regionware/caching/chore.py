"""Something that a process does in the background, on a thread of its own, until it is closed."""

import logging
from threading import Event, Thread

logger = logging.getLogger("regionware")

#: Seconds for which the end of a thread is waited for: longer than any of its calls takes.
_PATIENCE = 3.0


class Chore:
    """A thread that is started on demand; a subclass says what it does in `run`."""

    def __init__(self, name: str) -> None:
        """Start nothing yet."""
        self._name = name
        self._stop = Event()
        self._thread: Thread | None = None

    def run(self, stop: Event) -> None:
        """Work until `stop` is set, and look at it often.

        Raises:
            Exception: whatever it may be, it ends the chore and is logged.
        """
        raise NotImplementedError

    def start(self) -> None:
        """Start the thread, once."""
        if self._thread is None:
            self._stop = stop = Event()
            self._thread = Thread(target=self._work, args=(stop,), name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_PATIENCE)

    def forget(self) -> None:
        """After a fork: the thread exists in the parent only."""
        self._thread = None

    def _work(self, stop: Event) -> None:
        try:
            self.run(stop)
        except Exception:
            logger.exception("%s has ended", self._name)
