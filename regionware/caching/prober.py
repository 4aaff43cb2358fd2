"""Asks, in the background, the servers that nobody else may ask any more."""

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread
from time import monotonic

from regionware.caching.breaker import STEP, Breaker

logger = logging.getLogger("regionware")

#: Seconds between two probes of a server: at first, and at most; doubled in between. With the steps
#: of `breaker` a server that is back is used by all within 3 seconds, however long it was away.
FIRST = 0.25
LAST = 1.5
#: The share by which a pause is longer or shorter, so that processes do not probe in step.
_JITTER = 0.2
_JOIN = 1.0


class _Watched:
    """One server that is not worth asking."""

    __slots__ = ("due", "hopeful", "pause", "probe")

    def __init__(self, probe: Callable[[], bool], due: float) -> None:
        self.probe = probe
        self.pause = FIRST
        self.due = due
        #: The last probe was good.
        self.hopeful = False


class Prober:
    """One daemon thread, which exists while there is something to probe."""

    def __init__(self, random: Callable[[], float]) -> None:
        """Start nothing.

        Args:
            random: a number from 0 to 1, for the pauses.
        """
        self._random = random
        self.forget()

    def forget(self) -> None:
        """After a fork: the thread exists in the parent only."""
        self._watched: dict[Breaker, _Watched] = {}
        self._lock = Lock()
        self._news = Event()
        self._thread: Thread | None = None
        self._ended = False

    def watch(self, breaker: Breaker, probe: Callable[[], bool]) -> None:
        """Probe until the breaker is closed.

        Args:
            breaker: told of a good probe.
            probe: whether the server answers within the deadline of a request; raises nothing.
        """
        with self._lock:
            if breaker in self._watched or self._ended:
                return
            self._watched[breaker] = _Watched(probe, monotonic() + self._jittered(FIRST))
            self._wake()

    def _wake(self) -> None:
        """Start the thread, or tell it; where there can be no further thread, the next tries."""
        if self._thread is not None:
            self._news.set()
            return
        self._news = Event()
        thread = Thread(target=self._run, name="regionware-probe", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            logger.exception("no thread to probe Redis with")
        else:
            self._thread = thread

    def hint(self) -> None:
        """Something else has heard from a server: probe soon, not more often than at first."""
        if not self._watched:
            return
        soon = monotonic() + FIRST / 2
        with self._lock:
            for each in self._watched.values():
                each.due = min(each.due, soon)
            self._wake()

    def drop(self, breaker: Breaker) -> None:
        """Stop probing a server that is of no interest any more."""
        with self._lock:
            self._watched.pop(breaker, None)
            self._news.set()

    def start(self) -> None:
        """Be ready, again: `stop` was not the end."""
        self._ended = False

    def stop(self) -> None:
        """End the thread, and start none until `start`."""
        with self._lock:
            self._ended = True
            self._watched.clear()
            self._news.set()
            thread = self._thread
        if thread is not None:
            thread.join(_JOIN)

    @property
    def running(self) -> bool:
        """Whether there is a thread."""
        return self._thread is not None

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._watched:
                    self._thread = None
                    return
                news = self._news
                news.clear()
                wait = min(each.due for each in self._watched.values()) - monotonic()
            if wait > 0 and news.wait(wait):
                continue
            for breaker, each in list(self._watched.items()):
                if each.due <= monotonic():
                    self._advance(breaker, each)

    def _advance(self, breaker: Breaker, each: _Watched) -> None:
        """Probe what is open, and let what is half open close in time."""
        if breaker.state == "open":
            relapsed, each.hopeful = each.hopeful, False
            if relapsed or not each.probe():
                each.due = monotonic() + self._jittered(each.pause)
                each.pause = min(each.pause * 2, LAST)
                return
            each.hopeful = True
            breaker.probed()
        breaker.tick()
        each.due = monotonic() + STEP
        with self._lock:
            # Under the lock that `watch` takes: it may just have been opened again.
            if breaker.state == "closed":
                self._watched.pop(breaker, None)

    def _jittered(self, seconds: float) -> float:
        return seconds * (1 + _JITTER * (2 * self._random() - 1))
