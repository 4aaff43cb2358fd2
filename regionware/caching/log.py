"""Reads the region's purges: one thread for each process, with a cursor of its own.

The log is a Redis stream; there are no consumer groups and there is no pub/sub, whose losses
nobody notices. A reader that was away takes a snapshot of all fences first, so nothing that the
stream has forgotten can be missed. What is read means, `following` says.

Before a read the worker tells Redis how far it is, at least once a second. The moment at which
that was *sent* bounds how long this process's memory tier may be trusted, so Redis always knows
who may still trust it.
"""

import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Event
from typing import Any

import redis

from regionware.caching.clients import background
from regionware.caching.following import BATCH, Backplane, Follower, as_mapping
from regionware.caching.redis import TROUBLE, RedisTier
from regionware.caching.scripts import REGISTER, SNAPSHOT
from regionware.caching.threaded import Threaded, start_wanting

#: Milliseconds for which one read waits for news.
BLOCK = 1000
_CONNECT = 1.0
_PAUSE = 0.25
_PAUSE_LIMIT = 2.0
#: Seconds after which a worker that has nothing new says that all the same.
_WORD = 0.5
#: Seconds that a farewell may take.
_FAREWELL = 0.25
#: Microseconds of silence after which Redis forgets a worker: it has long stopped trusting.
_SILENCE = 60_000_000
#: Microseconds for which an event stays in the log at least. The script that writes it counts
#: events, not octets; one may have a thousand names. Whoever has not read it by then has long
#: stopped trusting its memory, and finds that something is missing.
_KEPT = 2 * _SILENCE
#: Seconds between two times when what is older is forgotten.
_TRIMMING = 60.0
_WOKEN = b"k"

logger = logging.getLogger("regionware")


class LogReader(Threaded):
    """Keeps the fences of this process up to date.

    Attributes:
        synced: set once the fences are those of the region.
        worker: the name by which Redis knows this worker.
    """

    def __init__(
        self,
        url: str,
        tier: RedisTier,
        follower: Follower,
        *,
        clock: Callable[[], float],
        on_wake: Callable[[str], None],
    ) -> None:
        """Start nothing yet.

        Args:
            url: the region's Redis.
            tier: told when Redis answers.
            follower: told what was read.
            clock: monotonic seconds.
            on_wake: told the digest of each key for which somebody in the region may wait no more.
        """
        super().__init__("regionware-log")
        self._url = url
        self._tier = tier
        self._follower = follower
        self._clock = clock
        self._on_wake = on_wake
        self._woken: bytes = b"$"
        self._client: redis.Redis | None = None
        # When word was last sent that Redis has confirmed, and what it said.
        self._told = 0.0, ""
        self._trimmed = float("-inf")
        self.synced = Event()
        self.worker = _name()

    @property
    def backplane(self) -> Backplane:
        """How well this process hears of purges."""
        return self._follower.status(self._clock())

    def stop(self) -> None:
        """End the thread: its connection is cut under the read that it waits in."""
        thread = self._ended()
        client, self._client = self._client, None
        if client is not None:
            client.connection_pool.disconnect()
        self.synced = Event()
        if thread is not None:
            thread.join(timeout=BLOCK / 1000 + _CONNECT)
            self._farewell()

    def forget(self) -> None:
        """After a fork: the thread exists in the parent only."""
        self._reset()
        self.synced = Event()
        self._follower.forget()
        self.worker = _name()

    def _farewell(self) -> None:
        """Trust memory no more, and then let nobody wait for this worker."""
        heard = self._follower.synced
        self._follower.forget()
        if heard:
            with suppress(*TROUBLE), background(self._url, _FAREWELL) as client:
                client.hdel(self._tier.names.workers, self.worker)

    def _run(self, stop: Event) -> None:
        pause = _PAUSE
        while not stop.is_set():
            try:
                with background(self._url, BLOCK / 1000 + _CONNECT) as client:
                    self._client = client
                    self._snapshot(client)
                    pause = _PAUSE
                    while not stop.is_set():
                        if not self._read(client, stop):
                            self._snapshot(client)
                        self._tend(client)
            except Exception as error:  # noqa: BLE001 - see below
                # Whatever a server may answer, the next snapshot is what counts. And a connection
                # that `stop` has cut says so in many ways.
                logger.debug("the region's log cannot be read: %s", error)
                self._tier.unheard()
                stop.wait(pause)
                pause = min(pause * 2, _PAUSE_LIMIT)

    def _tend(self, client: redis.Redis) -> None:
        """What else is due from time to time, in a process that hears of its region."""
        start_wanting()
        now, oldest = self._clock(), int(self._follower.applied, 16) - _KEPT
        if now - self._trimmed > _TRIMMING and oldest > 0:
            self._trimmed = now
            # Who may not trim reads all the same. The latest event stays: it is the one applied.
            with suppress(redis.ResponseError):
                client.xtrim(self._tier.names.log, minid=oldest, approximate=True)

    def _snapshot(self, client: redis.Redis) -> None:
        names, sent = self._tier.names, self._clock()
        keys = names.clock, names.fences, names.log, names.workers, names.wakes
        words = (*self._follower.asking(), self.worker, _SILENCE, self._follower.retention)
        reply: Any = client.eval(SNAPSHOT.text, len(keys), *keys, *words)
        self._follower.snapshot(reply, sent)
        self._woken = reply[3] if len(reply) > 3 else b"$"
        self._told = sent, self._follower.applied
        self._tier.heard()
        self.synced.set()

    def _read(self, client: redis.Redis, stop: Event) -> bool:
        """One read; `False` if a snapshot is needed."""
        log, wakes = self._tier.names.log.encode(), self._tier.names.wakes.encode()
        self._tell(client)
        reply: Any = client.xread(
            {log: self._follower.cursor, wakes: self._woken}, count=BATCH, block=BLOCK
        )
        if stop.is_set():
            return True  # whoever has stopped this has given up its trust, and that is to stay so
        streams = dict(reply or ())
        for position, fields in streams.get(wakes, ()):
            self._woken = position
            self._on_wake(as_mapping(fields)[_WOKEN].decode("ascii"))
        if not self._follower.follow(streams.get(log, ()), self._told[0]):
            return False
        self._tier.heard()
        return True

    def _tell(self, client: redis.Redis) -> None:
        """Say how far this worker is, where that is new, or was last said a while ago."""
        sent, applied = self._clock(), self._follower.applied
        if applied == self._told[1] and sent - self._told[0] < _WORD:
            return
        names = self._tier.names
        keys = names.workers, names.clock, names.fences
        reply: Any = client.eval(REGISTER.text, len(keys), *keys, self.worker, applied)
        self._told = sent, applied
        self._follower.registered(reply)


def _name() -> str:
    """Where the worker is found, and what tells it from another of the same number."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}"
