"""The leases that this process holds, renewed by one thread for as long as their requests live.

A lease is short, so that a process that dies delays nobody for long. It is renewed so that a slow
answer stays the only one; a request that never ends keeps it for a minute. Where all is there, and
only the client takes its time, the same thread gives the lease back in the request's place.
"""

import logging
import os
from collections.abc import Callable, Sequence
from itertools import count
from threading import Event, Lock
from time import monotonic

from regionware.caching.threaded import Threaded
from regionware.effects import Hold

logger = logging.getLogger("regionware")

#: Seconds for which a lease holds without being renewed.
LEASE = 2.0
#: Seconds for which one is renewed, at most.
LONGEST = 60.0
#: Parts of a lease: how often renewals are sent, and how old a lease is then at least.
_OFTEN = 3
_YOUNG = 6
#: Renewals that are sent at once: not more than a server answers within one call's deadline.
_TOGETHER = 100


class Leases(Threaded):
    """What is held, by token."""

    def __init__(
        self,
        renew: Callable[[Sequence[Hold]], Sequence[bool | None]],
        on_lost: Callable[[], None],
        *,
        life: float = LEASE,
        longest: float = LONGEST,
    ) -> None:
        """Start nothing yet.

        Args:
            renew: renews some in Redis, all at once: for each of them `False` if it is lost,
                `None` if nobody answers.
            on_lost: told of each that was lost.
            life: seconds for which one holds without being renewed.
            longest: seconds after which one is renewed no more.
        """
        self._renew = renew
        self._on_lost = on_lost
        self.life = life
        self.longest = longest
        super().__init__("regionware-leases")
        self.forget()

    def forget(self) -> None:
        """After a fork, and at first: what the parent holds is the parent's to renew."""
        self._reset()
        self._lock = Lock()
        #: Held while something that was entrusted is done.
        self._working = Lock()
        self._held: dict[str, tuple[Hold, float]] = {}
        self._entrusted: dict[str, tuple[Callable[[], None], float]] = {}
        self._wanted = Event()
        self._numbers = count()
        self._process = os.urandom(6).hex()

    def token(self) -> str:
        """A token that no other process and no other look-up has."""
        return f"{self._process}{next(self._numbers):x}"

    def hold(self, ask: Hold) -> None:
        """Renew a lease from now on."""
        with self._lock:
            self._held[ask.lease] = ask, monotonic()
            self.start()
        if not self._wanted.is_set():
            self._wanted.set()

    def drop(self, token: str) -> None:
        """Renew a lease no more: it is given back."""
        with self._lock:
            self._held.pop(token, None)

    def entrust(self, token: str, work: Callable[[], None]) -> None:
        """Do some work that gives a lease back, unless `reclaim` comes soon.

        Args:
            token: the lease's, which is held.
            work: done once, on the thread of the leases, within one of their lives.
        """
        with self._lock:
            self._entrusted[token] = work, monotonic()

    def reclaim(self, token: str) -> None:
        """Take back what was entrusted; if that is being done now, wait for its end."""
        with self._lock:
            mine = self._entrusted.pop(token, None)
        if mine is None:
            with self._working:
                pass

    def close(self) -> None:
        """End the thread; what is held ends by itself."""
        with self._lock:
            # Together: whoever takes a lease meanwhile gets a thread that goes on.
            thread = self._ended()
            self._held.clear()
        self._wanted.set()
        if thread is not None:
            thread.join(timeout=self.life)

    def __len__(self) -> int:
        """How many are held."""
        return len(self._held)

    def _run(self, stop: Event) -> None:
        while not stop.is_set():
            self._wanted.wait()
            stop.wait(self.life / _OFTEN)
            self._work_all(stop)
            self._renew_all(stop)
            with self._lock:
                if not self._held and not stop.is_set():
                    self._wanted.clear()

    def _work_all(self, stop: Event) -> None:
        """Do what was entrusted, unless it is as good as done."""
        young = monotonic() - self.life / _YOUNG
        with self._lock:
            due = [token for token, (_, since) in self._entrusted.items() if since <= young]
        for token in due:
            if stop.is_set():
                return
            with self._working:
                with self._lock:
                    work, _ = self._entrusted.pop(token, (None, 0.0))
                if work is not None:
                    _do(work)

    def _renew_all(self, stop: Event) -> None:
        now = monotonic()
        with self._lock:
            held = list(self._held.values())
        due = []
        for ask, since in held:
            if now - since > self.longest:
                self.drop(ask.lease)
            elif now - since >= self.life / _YOUNG:
                due.append(ask)
        # One after the other, however fast each is, many would take longer than they live.
        for some in (due[at : at + _TOGETHER] for at in range(0, len(due), _TOGETHER)):
            if stop.is_set():
                return
            for ask, renewed in zip(some, self._renew(some), strict=True):
                if renewed is False:
                    self._lost(ask)

    def _lost(self, ask: Hold) -> None:
        with self._lock:
            known = self._held.pop(ask.lease, None)
        # One that was given back while it was renewed is not lost.
        if known is not None:
            self._on_lost()


def _do(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        logger.exception("a lease could not be given back")
