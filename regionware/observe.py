"""What happened, as frozen records, handed to whoever wants to know."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

logger = logging.getLogger("regionware")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        name: what: `hit`, `stored`, `refused`, `observed`, `rescued`, `refresh-failed`, `wait`,
            `spill`, `lease-lost`, `early-refresh`, `throttled`, `stripped`, `distrusted`,
            `unlisted-host`,
            `token-refused`, `orphaned`, `failover`, `fenced`, `database-down`, `database-up`,
            `primary-read`, `redis-down`, `redis-half-open`, `redis-up`, `redis-moved`,
            `pool-exhausted`, `purge`, `purge-queued`, `purge-dropped`, `relayed`, `relay-lag`,
            `read-write`, `backplane-lag`, `gap`, `epoch`, `damaged`, `repaired`, `unreadable`,
            `warmed`, `shadow`, `log-purge`, `region-down`, `region-up`, `geoip-reloaded`,
            `geoip-failed`, `pinned`, `pin-refused`, `edge-purged`, `edge-repeated`,
            `edge-purge-failed`, `edge-purge-dead`, `forwarded`, `forward-failed`, `replayed`,
            `hop-refused`.
        route: the template of the route, if the event is about a request.
        detail: more, from a small set of words where it can serve as a label.
        tier: `memory` or `redis`, where one answered.
        observed: the mode was `observe`: it would have happened.
        outcome: what came of it, where it is a wait.
        seconds: how long it took, or how late it came, where that is what the event tells.
    """

    name: str
    route: str = ""
    detail: str = ""
    tier: str = ""
    observed: bool = False
    seconds: float = 0.0
    outcome: str = ""


Sink = Callable[[Event], None]


class Events:
    """Counts events and hands them to the sinks. A sink that fails is logged, never felt.

    Attributes:
        wanted: somebody listens; hits are not even recorded otherwise.
    """

    def __init__(self, sinks: Sequence[Sink] = ()) -> None:
        """Begin at zero."""
        self._sinks = tuple(sinks)
        self._lock = Lock()
        self._counts: Counter[str] = Counter()
        self.wanted = bool(self._sinks)

    def emit(self, event: Event) -> None:
        """Count an event and hand it on."""
        with self._lock:
            self._counts[f"{event.name}:{event.detail}" if event.detail else event.name] += 1
        for sink in self._sinks:
            try:
                sink(event)
            except Exception:
                logger.exception("an event sink failed")

    def renew_lock(self) -> None:
        """After a fork: nobody holds the lock in the child."""
        self._lock = Lock()

    def counts(self) -> dict[str, int]:
        """How often each event happened in this process, by `name` or `name:detail`."""
        with self._lock:
            return dict(self._counts)
