"""The servers of one region's Redis: connections to them, and whether they are worth asking."""

from collections.abc import Awaitable, Callable
from functools import partial
from threading import Lock
from time import monotonic
from typing import Any, Final

from regionware.caching.breaker import Breaker, State
from regionware.caching.lines import Lines
from regionware.caching.loop_lines import AsyncLines
from regionware.caching.places import Finder
from regionware.caching.prober import Prober
from regionware.caching.replies import TROUBLE, PoolExhausted, pack
from regionware.caching.spread import AsyncSpreadLines, SpreadLines
from regionware.dice import DICE
from regionware.redis_url import Address, read_redis_url

#: Seconds for each call of somebody who can wait.
PATIENT = 2.0
#: What becomes of a server, as an event.
_EVENTS: Final[dict[State, str]] = {
    "open": "redis-down",
    "half-open": "redis-half-open",
    "closed": "redis-up",
}
#: Stands for the one server of a URL that names one.
_SOLE: Final[Address] = ("", 0)


class Servers:
    """One server, a master that sentinels name, or a cluster; for threads and for event loops."""

    def __init__(
        self, url: str, key: str, *, on_event: Callable[[str, str], None], deadline: float
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: any URL that `regionware.redis_url` reads.
            key: of the slot that a call means which names no key.
            on_event: told the name and the detail of what happens: `redis-down` with why,
                `redis-half-open`, `redis-up`, `redis-moved`, `pool-exhausted`. From any thread.
            deadline: seconds for one call, connecting included.
        """
        self._url = url
        self._where = read_redis_url(url)
        self._key = key
        self._deadline = deadline
        self._on_event = on_event
        self._prober = Prober(DICE.random)
        self._finder: Finder | None = None
        if self._where.kind != "one":
            self._finder = Finder(self._where, on_news=self._found, random=DICE.random)
        self.forget()

    def forget(self) -> None:
        """After a fork, and at first: the parent's sockets are not ours to use or to close."""
        self._prober.forget()
        self._known: frozenset[Address] = frozenset()
        self._breakers: dict[Address, Breaker] = {}
        self._connect()

    def _connect(self) -> None:
        """Make what makes connections: where one server has every key, nothing else is asked."""
        # Nobody's page waits for a purge as it does for a look-up.
        if self._finder is None:
            url, sole = self._where.text, self._breaker_of(_SOLE)
            self._lines: Lines | SpreadLines = Lines(url, self._deadline, breaker=sole)
            self._alines: AsyncLines | AsyncSpreadLines = AsyncLines(
                url, self._deadline, breaker=sole
            )
            self._patient: Lines | SpreadLines = Lines(url, PATIENT, keep=False)
            self._apatient: AsyncLines | AsyncSpreadLines = AsyncLines(url, PATIENT, keep=False)
            return
        self._finder.forget()
        given = self._where, self._finder, self._key
        self._lines = SpreadLines(*given, self._deadline, breaker_of=self._breaker_of)
        self._alines = AsyncSpreadLines(*given, self._deadline, breaker_of=self._breaker_of)
        self._patient = SpreadLines(*given, PATIENT, keep=False)
        self._apatient = AsyncSpreadLines(*given, PATIENT, keep=False)

    def heard(self) -> None:
        """Somebody in the background was answered, however slowly: a probe may be worth it."""
        self._prober.hint()

    def unheard(self) -> None:
        """Nobody in the background is answered: requests may not even ask, so it is said here."""
        if self._finder is None:
            self._breaker_of(_SOLE).failed()

    def _breaker_of(self, address: Address) -> Breaker:
        breaker = self._breakers.get(address)
        if breaker is None:
            made = Breaker(monotonic, Lock(), partial(self._changed, address))
            breaker = self._breakers.setdefault(address, made)
        return breaker

    def _changed(self, address: Address, breaker: Breaker, state: State, why: str) -> None:
        self._on_event(_EVENTS[state], why)
        if state == "open" and self._breakers.get(address) is breaker:
            self._watch(address, breaker)

    def _watch(self, address: Address, breaker: Breaker) -> None:
        # A small write: a server that was demoted answers nothing else as it will answer us.
        probe = pack(("UNLINK", self._key + ":probe"))
        lines = self._lines if isinstance(self._lines, Lines) else self._lines.at(address)
        self._prober.watch(breaker, partial(lines.probe, probe))

    def _found(self) -> None:
        """It is known where the servers are: let go of the others, and use these."""
        known = frozenset(() if self._finder is None else self._finder.places.nodes())
        if self._known and self._known != known:
            self._on_event("redis-moved", "")
        self._known = known
        for address in list(self._breakers):
            if address not in known:
                self._prober.drop(self._breakers.pop(address))
        for lines in (self._lines, self._alines, self._patient, self._apatient):
            if isinstance(lines, (SpreadLines, AsyncSpreadLines)):
                lines.prune(known)

    def _attempt(self, call: Callable[[], Any], late: Any = None) -> Any:
        """The reply, `late` if there is none in time, `None` if there is none at all."""
        try:
            return call()
        except PoolExhausted:
            self._on_event("pool-exhausted", "")
        except TimeoutError:
            return late
        except TROUBLE:
            pass  # counted by the server's breaker
        return None

    async def _aattempt(self, call: Callable[[], Awaitable[Any]], late: Any = None) -> Any:
        """The async twin of `_attempt`."""
        try:
            return await call()
        except PoolExhausted:
            self._on_event("pool-exhausted", "")
        except TimeoutError:
            return late
        except TROUBLE:
            pass  # counted by the server's breaker
        return None

    def start(self) -> None:
        """Keep connections, again, and find out in the background what is to be known there."""
        self._lines.keep = self._alines.keep = True
        if self._finder is not None:
            self._finder.start()
        self._prober.start()
        for address, breaker in list(self._breakers.items()):
            if breaker.shut:
                self._watch(address, breaker)

    def close(self) -> None:
        """End the threads, close the connections; one that is busy closes when it has served."""
        self._prober.stop()
        if self._finder is not None:
            self._finder.stop()
        self._lines.keep = self._alines.keep = False
        self._lines.close()
        self._patient.close()

    async def aclose(self) -> None:
        """Close the running loop's connections."""
        await self._alines.aclose()
        await self._apatient.aclose()
