"""Delivers purges to one edge: fast enough, not too fast, and again until they are taken."""

import logging
import reprlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from threading import Lock
from typing import Final, Protocol

from regionware.adapters.edges.batches import UNKNOWN, batches, cannot, halves, meant
from regionware.adapters.edges.bucket import Bucket
from regionware.adapters.edges.protocol import (
    DONE,
    EdgeAnswer,
    EdgePurge,
    EdgePurger,
    EdgeRequest,
    Verdict,
)
from regionware.dice import DICE
from regionware.observe import Event
from regionware.vendors.tags import edge_tags

#: Seconds: pauses between tries begin with about the first and double up to the second; an edge may
#: ask for no longer one than the third.
_FIRST: Final = 0.5
_LONGEST: Final = 60.0
_ASKED: Final = 300.0
#: Seconds after which a purge that no edge takes is given up.
OLDEST: Final = 86_400.0

#: Waits so many seconds; false if there is to be no more waiting: the delivery is left to others.
Wait = Callable[[float], bool]

logger = logging.getLogger("regionware")


class TransportError(Exception):
    """No answer. Its text is the name of a class: what libraries say may quote a request."""


class Transport(Protocol):
    """What sends."""

    def send(self, request: EdgeRequest) -> EdgeAnswer:
        """Send a request, and follow no redirection.

        Raises:
            TransportError: there is no answer.
        """

    def close(self) -> None:
        """Close what is open."""


class Courier:
    """What all that delivers to one edge in this process shares.

    Attributes:
        edge: the edge.
    """

    def __init__(
        self,
        edge: EdgePurger,
        transport: Callable[[], Transport],
        *,
        tell: Callable[[Event], None],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        random: Callable[[], float] = DICE.random,
    ) -> None:
        """Connect to nothing yet.

        Args:
            edge: the edge.
            transport: makes what sends, in the process that does.
            tell: told of `edge-purge-failed` and `edge-purge-dead`.
            clock: monotonic seconds.
            wall: seconds since the epoch.
            random: from 0 to 1.
        """
        self.edge = edge
        self._make = transport
        #: What it cannot do, as far as that has been logged: a few words at most.
        self._said: set[str] = set()
        self._tell = tell
        self._clock, self._wall, self._random = clock, wall, random
        self.forget()

    def forget(self) -> None:
        """After a fork, and at first: connections are the parent's."""
        self._lock = Lock()
        self._bucket = Bucket(self.edge.capabilities.rate)
        self._transport: Transport | None = None

    def close(self) -> None:
        """Close the connections; they are opened again where need be."""
        with self._lock:
            transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def deliver(
        self,
        names: Iterable[str],
        wait: Wait,
        *,
        age: float = 0.0,
        lost: Callable[[], None] = lambda: None,
    ) -> bool:
        """Deliver what names of fences mean.

        Args:
            names: all of it; each name is delivered once.
            wait: waits between tries, and until the edge may be asked.
            age: seconds for which the oldest has been waiting.
            lost: called where the edge has not taken something and will not.

        Returns:
            Whether nothing is left of it: taken, or given up. Otherwise it is to be delivered
            again, all of it.
        """
        began, able, plan = self._clock() - age, self.edge.capabilities, meant(names)
        if plan.unknown:
            self._unable(UNKNOWN)
        pending: deque[EdgePurge] = deque()
        for purge in plan.purges:
            if lacking := [words for words in cannot(purge, able) if "soft" not in words]:
                self._unable(" and ".join(lacking))
            pending += batches(purge, able, self._written)
        while pending:
            left = self._batch(pending.popleft(), wait, began, lost)
            if left is None:
                return False
            pending.extendleft(reversed(left))
        return True

    def _written(self, tags: Sequence[str]) -> Iterable[str]:
        return edge_tags(self.edge.vendor, tags)

    def _batch(
        self, batch: EdgePurge, wait: Wait, began: float, lost: Callable[[], None]
    ) -> list[EdgePurge] | None:
        """Deliver a batch; what is left of one that was refused, or `None` if told to stop."""
        done: set[int] = set()
        tries = 0
        while True:
            verdict = self._round(batch, done, wait)
            if verdict is None or verdict.outcome == "done":
                return None if verdict is None else []
            if verdict.outcome == "refused" and (parts := halves(batch)):
                return parts
            late = self._clock() - began
            self._tell(Event("edge-purge-failed", detail=self.edge.name, seconds=max(late, 0.0)))
            if verdict.outcome == "refused" or late > OLDEST:
                self._dead(f"{verdict.reason}: {_shown(batch)}")
                lost()
                return []
            logger.warning("purges for edge %s wait: %s", self.edge.name, verdict.reason)
            tries += 1
            if not wait(self._pause(tries, verdict.after)):
                return None

    def _round(self, batch: EdgePurge, done: set[int], wait: Wait) -> Verdict | None:
        """Send each request of a batch that is not done; the worst verdict, `None` to stop."""
        try:
            requests = self.edge.requests(batch, self._wall())
        except Exception as error:  # noqa: BLE001 - a function that gives a secret may fail
            return Verdict("later", reason=f"no request can be made: {type(error).__name__}")
        worst = DONE
        for number, request in enumerate(requests):
            if number in done:
                continue
            while pause := self._take():
                if not wait(pause):
                    return None
            verdict = self._ask(request)
            if verdict.outcome == "done":
                done.add(number)
            elif worst.outcome == "done" or verdict.outcome == "later":
                worst = verdict  # while there is hope for one of them, nothing is given up
        return worst

    def _take(self) -> float:
        with self._lock:
            return self._bucket.take(self._clock())

    def _ask(self, request: EdgeRequest) -> Verdict:
        try:
            with self._lock:
                if self._transport is None:
                    self._transport = self._make()
                transport = self._transport
            return self.edge.judge(transport.send(request))
        except TransportError as error:
            return Verdict("later", reason=f"no answer: {error}")
        except Exception as error:  # noqa: BLE001 - an answer may hold anything
            return Verdict("later", reason=f"an answer nobody understands: {type(error).__name__}")

    def _pause(self, tries: int, asked: float | None) -> float:
        """Seconds until the next try: what the edge asks, or longer each time, never in step."""
        pause = min(_FIRST * 2.0 ** min(tries - 1, 16), _LONGEST)
        least = min(asked or 0.0, _ASKED)
        return max(pause, least) * (1.0 + self._random() / 2)

    def _unable(self, what: str) -> None:
        """It cannot do that: logged once, since clients may cause it again and again."""
        if what not in self._said:
            self._said.add(what)
            logger.error("edge %s cannot purge %s: they are left there", self.edge.name, what)
        self._tell(Event("edge-purge-dead", detail=self.edge.name))

    def _dead(self, reason: str) -> None:
        logger.error("a purge is given up at edge %s: %s", self.edge.name, reason)
        self._tell(Event("edge-purge-dead", detail=self.edge.name))


def _shown(batch: EdgePurge) -> str:
    """What is lost, shortened: tags and URLs are no secrets."""
    if batch.everything:
        return "everything"
    with suppress(Exception):
        return reprlib.repr([*batch.tags, *batch.urls])
    return "what cannot be written"
