"""Reads the region's purges: one thread for each process, with a cursor of its own.

The log is a Redis stream; there are no consumer groups and there is no pub/sub, whose losses
nobody notices. A reader that was away takes a snapshot of all fences first, so nothing that the
stream has forgotten can be missed. The moment at which a successful read was *sent* bounds how
long this process's memory tier may be trusted.
"""

import logging
from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import Any

import redis

from regionware.caching.clients import background
from regionware.caching.coherence import BOUND, Fence, Fences
from regionware.caching.redis import SNAPSHOT, RedisTier

#: Milliseconds for which one read waits for news.
BLOCK = 1000
_CONNECT = 1.0
_PAUSE = 0.25
#: Beside the fences: since when they are known, and up to when they are forgotten.
_HORIZON = b"~"
_NOTES = (b"#", _HORIZON)
_BATCH = 1000
_WOKEN = b"k"
#: Seconds between two sweeps of fences that nobody needs any more.
_PRUNING = 60.0
_PAUSE_LIMIT = 2.0

logger = logging.getLogger("regionware")


class LogReader:
    """Keeps the fences of this process up to date."""

    def __init__(
        self,
        url: str,
        tier: RedisTier,
        fences: Fences,
        *,
        clock: Callable[[], float],
        on_reset: Callable[[], None],
        on_wake: Callable[[str], None],
        retention: int,
    ) -> None:
        """Start nothing yet.

        Args:
            url: the region's Redis.
            tier: told when Redis answers.
            fences: what is kept up to date.
            clock: monotonic seconds.
            retention: microseconds after which no entry can be older than a fence.
            on_reset: called when Redis has lost its history, so that memory cannot be compared.
            on_wake: told the digest of each key for which somebody in the region may wait no more.
        """
        self._url = url
        self._tier = tier
        self._fences = fences
        self._clock = clock
        self._on_reset = on_reset
        self._on_wake = on_wake
        self._retention = retention
        self._pruned = 0.0
        self._stop = Event()
        self._thread: Thread | None = None
        self._client: redis.Redis | None = None
        #: Set once the fences are those of the region.
        self.synced = Event()

    def start(self) -> None:
        """Start the thread, once."""
        if self._thread is None:
            self._stop = Event()
            self._thread = Thread(
                target=self._run, args=(self._stop,), name="regionware-log", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """End the thread: its connection is cut under the read that it waits in."""
        self._stop.set()
        client, self._client = self._client, None
        if client is not None:
            client.connection_pool.disconnect()
        thread, self._thread = self._thread, None
        self.synced = Event()
        if thread is not None:
            thread.join(timeout=BLOCK / 1000 + _CONNECT)

    def forget(self) -> None:
        """After a fork: the thread exists in the parent only."""
        self._thread = None
        self.synced = Event()
        self._fences.heard_until = 0.0

    def _run(self, stop: Event) -> None:
        pause = _PAUSE
        while not stop.is_set():
            try:
                with self._connect() as client:
                    self._client = client
                    self._follow(client, self._snapshot(client), stop)
                pause = _PAUSE
            except Exception as error:  # noqa: BLE001 - see below
                # Whatever a server may answer, the next snapshot is what counts. And a connection
                # that `stop` has cut says so in many ways.
                logger.debug("the region's log cannot be read: %s", error)
                # Where Redis is absent from the start, no request asks it: somebody has to say so.
                self._tier.health.failed()
                stop.wait(pause)
                pause = min(pause * 2, _PAUSE_LIMIT)

    def _connect(self) -> redis.Redis:
        return background(self._url, BLOCK / 1000 + _CONNECT)

    def _snapshot(self, client: redis.Redis) -> bytes:
        names, sent = self._tier.names, self._clock()
        stamp, last, pairs = client.eval(SNAPSHOT.text, 3, names.clock, names.fences, names.log)
        if int(stamp, 16) < self._fences.stamp:
            self._on_reset()
        known = dict(zip(pairs[::2], pairs[1::2], strict=True))
        self._fences.raise_to(_fences(known))
        self._forget(known)
        self._fences.stamp = max(self._fences.stamp, int(stamp, 16))
        self._heard(sent)
        self.synced.set()
        cursor: bytes = last
        return cursor

    def _follow(self, client: redis.Redis, cursor: bytes, stop: Event) -> None:
        log, wakes = self._tier.names.log.encode(), self._tier.names.wakes.encode()
        woken: bytes = b"$"
        while not stop.is_set():
            sent = self._clock()
            reply: Any = client.xread({log: cursor, wakes: woken}, count=_BATCH, block=BLOCK)
            streams = dict(reply or ())
            for woken, fields in streams.get(wakes, ()):  # noqa: B007 - the next read goes on there
                self._on_wake(_mapping(fields)[_WOKEN].decode("ascii"))
            events = streams.get(log, ())
            for position, fields in events:
                told = _mapping(fields)
                self._fences.hear(_fences(told))
                self._forget(told)
                cursor = position
            if len(events) == _BATCH:
                return  # so far behind that the stream may have lost some: a snapshot tells
            self._heard(sent)

    def _forget(self, told: Mapping[bytes, bytes]) -> None:
        """Forget what the region has forgotten, with all that is as old."""
        if _HORIZON in told:
            self._fences.prune(int(told[_HORIZON], 16) + 1)

    def _heard(self, sent: float) -> None:
        self._fences.heard_until = sent + BOUND
        if sent - self._pruned > _PRUNING:
            self._pruned = sent
            self._fences.prune(self._fences.stamp - self._retention)
        self._tier.health.succeeded()


def _mapping(fields: Any) -> Mapping[bytes, bytes]:
    return (
        fields if isinstance(fields, Mapping) else dict(zip(fields[::2], fields[1::2], strict=True))
    )


def _fences(raw: Mapping[bytes, bytes]) -> dict[str, Fence]:
    fences = {}
    for name, value in raw.items():
        if name in _NOTES:
            continue
        try:
            fences[name.decode()] = Fence.decode(value.decode())
        except ValueError:
            logger.warning("an unreadable fence in the region's Redis is ignored")
    return fences
