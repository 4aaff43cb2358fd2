"""Delivers purges to one edge from this process's memory: what is in no outbox.

That is where there is no Redis, or where it did not confirm. What is queued here ends with the
process, the second purge too.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Condition
from threading import Event as Flag
from time import monotonic

from regionware.adapters.edges.courier import Courier
from regionware.adapters.edges.outbox import COALESCE, Lag
from regionware.caching.coherence import EVERYTHING, mark
from regionware.caching.purging import Order
from regionware.caching.threaded import Threaded
from regionware.database.position import Position, merge
from regionware.observe import Event

#: Names that are queued; instead of more, everything.
_MOST = 10_000
#: Second purges that are queued; instead of more, the latest go together.
_LATE = 100
#: Seconds between two questions whether it is time for a second purge.
_LOOK = 0.5

logger = logging.getLogger("regionware")


@dataclass(slots=True)
class _Load:
    """What goes together.

    Attributes:
        since: when the first of it came, monotonic seconds.
        names: each once.
        position: what a new answer must have seen.
        placed: all of it has a position.
        done: set when it is delivered.
        again: it is the second time.
    """

    since: float
    names: dict[str, None] = field(default_factory=dict)
    position: Position | None = None
    placed: bool = True
    done: list[Flag] = field(default_factory=list)
    again: bool = False

    def add(self, order: Order, done: Flag) -> None:
        self._join(order.names, order.position, placed=order.position is not None)
        self.done.append(done)

    def absorb(self, other: "_Load") -> None:
        """Take a later one too; then it is time for both when it is for that."""
        self.since = max(self.since, other.since)
        self._join(other.names, other.position, placed=other.placed)

    def _join(self, names: Iterable[str], position: Position | None, *, placed: bool) -> None:
        self.names.update(dict.fromkeys(names))
        if len(self.names) > _MOST:
            self.names = {mark(EVERYTHING, soft=False): None}
        self.position = merge(self.position, position)
        self.placed = self.placed and placed


class EdgeSender(Threaded):
    """A queue in memory, and a thread that is started by the first purge.

    Attributes:
        region: the edge's cursor, as of an outbox: who waits asks for it.
    """

    def __init__(
        self,
        courier: Courier,
        key: str,
        *,
        lag: Lag,
        tell: Callable[[Event], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Start nothing yet.

        Args:
            courier: delivers.
            key: the edge's cursor.
            lag: when a second purge is due.
            tell: told of `edge-purged` and `edge-repeated`.
            clock: monotonic seconds.
        """
        super().__init__(f"regionware-edge-{courier.edge.name}")
        self.region = key
        self._courier = courier
        self._lag = lag
        self._tell = tell
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """After a fork, and at first: the parent delivers its own."""
        self._wake = Condition()
        self._first: _Load | None = None
        self._again: list[_Load] = []
        #: What is being delivered.
        self._going: _Load | None = None
        self._reset()

    def send(self, order: Order) -> Flag:
        """Queue a purge; the event is set once the edge has taken it."""
        done = order.done.setdefault(self.region, Flag())
        with self._wake:
            if self._first is None:
                self._first = _Load(self._clock())
            self._first.add(order, done)
            self.start()
            self._wake.notify_all()
        return done

    @property
    def waiting(self) -> tuple[int, float]:
        """How many names wait for their first purge, and for how many seconds."""
        going, load = self._going, self._first
        loads = [each for each in (going, load) if each is not None and not each.again]
        oldest = max((self._clock() - each.since for each in loads), default=0.0)
        return sum(len(each.names) for each in loads), oldest

    def end(self) -> Callable[[float], None]:
        """Tell the thread to end once it has tried; what is returned waits for that."""
        with self._wake:
            thread = self._ended()
            self._wake.notify_all()
        return lambda timeout: None if thread is None else thread.join(timeout)

    def _run(self, stop: Flag) -> None:
        while True:
            load = self._next(stop)
            if load is None:
                if stop.is_set():
                    return
                continue
            self._going = load
            try:
                self._deliver(load, stop)
            except Exception:
                # Nothing that a purge may hold should come to this; nobody waits for it for ever.
                logger.exception("a purge cannot be delivered to edge %s", self._courier.edge.name)
            finally:
                self._going = None

    def _next(self, stop: Flag) -> _Load | None:
        """What is due; it waits a while for something to be.

        What is due for the second time comes first: new purges may come without end, and of each
        there is one second purge.
        """
        with self._wake:
            if not stop.is_set() and (late := self._due()) is not None:
                return late
            if self._first is None and not stop.is_set():
                self._wake.wait(_LOOK if self._again else None)
            if self._first is not None and not stop.is_set():
                self._wake.wait_for(stop.is_set, COALESCE)
            load, self._first = self._first, None
            if load is not None or stop.is_set():
                return load
            return self._due()

    def _due(self) -> _Load | None:
        """All that is due for the second time."""
        now, found = self._clock(), None
        for late in [*self._again]:
            if self._lag.over(now - late.since, [late.position if late.placed else None]):
                self._again.remove(late)
                if found is None:
                    found = late
                else:
                    found.absorb(late)
        return found

    def _deliver(self, load: _Load, stop: Flag) -> None:
        age = self._clock() - load.since
        lost: list[bool] = []
        if not self._courier.deliver(
            load.names, lambda s: not stop.wait(s), age=age, lost=lambda: lost.append(True)
        ):
            logger.warning("purges for edge %s end with this process", self._courier.edge.name)
            return
        for done in load.done if not lost else ():
            done.set()
        name, late = self._courier.edge.name, max(self._clock() - load.since, 0.0)
        told = "edge-repeated" if load.again else "edge-purged"
        self._tell(Event(told, detail=name, seconds=late))
        if not load.again:
            more = _Load(load.since, load.names, load.position, placed=load.placed, again=True)
            if len(self._again) < _LATE:
                self._again.append(more)
            else:
                self._again[-1].absorb(more)
