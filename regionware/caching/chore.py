"""Something that a process does in the background, on a thread of its own, until it is closed."""

import logging
from threading import Event

from regionware.caching.threaded import Threaded

logger = logging.getLogger("regionware")

#: Seconds for which the end of a thread is waited for: longer than any of its calls takes.
_PATIENCE = 3.0


class Chore(Threaded):
    """A thread that is started on demand; a subclass says what it does in `run`."""

    def run(self, stop: Event) -> None:
        """Work until `stop` is set, and look at it often.

        Raises:
            Exception: whatever it may be, it ends the chore and is logged.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """End the thread."""
        if (thread := self._ended()) is not None:
            thread.join(_PATIENCE)

    def forget(self) -> None:
        """After a fork: the thread exists in the parent only."""
        self._reset()

    def _run(self, stop: Event) -> None:
        try:
            self.run(stop)
        except Exception:
            logger.exception("%s has ended", self._name)
