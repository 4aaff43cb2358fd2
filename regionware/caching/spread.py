"""Connections to several servers, of which each call goes to the one that has its key.

The same calls as those of `lines` and `loop_lines`. A call is redirected at most once, and within
its deadline; a moved slot is known from then on.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from time import monotonic
from typing import Any, Generic, TypeVar

from redis.exceptions import AskError, MovedError

from regionware.caching.breaker import Breaker
from regionware.caching.dialing import remaining
from regionware.caching.lines import Lines
from regionware.caching.loop_lines import AsyncLines
from regionware.caching.places import Finder
from regionware.caching.replies import TROUBLE, Unasked, pack
from regionware.redis_url import Address, RedisUrl

_ASKING = pack(("ASKING",))

L = TypeVar("L", Lines, AsyncLines)
BreakerOf = Callable[[Address], Breaker]


class _Spread(ABC, Generic[L]):
    """What threads and event loops share: which connections there are, and to whom."""

    def __init__(
        self,
        url: RedisUrl,
        finder: Finder,
        default: str,
        deadline: float,
        *,
        keep: bool = True,
        breaker_of: BreakerOf | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: of several servers.
            finder: knows where they are.
            default: the key that is meant where none is named.
            deadline: seconds for a call, a redirection and connecting included.
            keep: keep connections for further calls. Where none are kept somebody waits
                patiently, if need be until it is known where the servers are.
            breaker_of: the breaker of each server, if there are any.
        """
        self._keep = keep
        self._patient = not keep
        self._url = url
        self._finder = finder
        self._default = default
        self._deadline = deadline
        self._breaker_of = breaker_of
        self._nodes: dict[Address, L] = {}

    @property
    def keep(self) -> bool:
        """Whether a connection that has served stays for the next call."""
        return self._keep

    @keep.setter
    def keep(self, keep: bool) -> None:
        self._keep = keep
        for lines in list(self._nodes.values()):
            lines.keep = keep

    def at(self, address: Address) -> L:
        """The connections to one server."""
        lines = self._nodes.get(address)
        if lines is None:
            breaker = None if self._breaker_of is None else self._breaker_of(address)
            lines = self._nodes.setdefault(address, self._make(self._url.node(address), breaker))
        return lines

    def prune(self, known: Collection[Address]) -> None:
        """Let go of servers that are of no interest any more."""
        for address in list(self._nodes):
            if address not in known and (lines := self._nodes.pop(address, None)) is not None:
                self._let_go(lines)

    @abstractmethod
    def _make(self, url: str, breaker: Breaker | None) -> L:
        """Connections to one server; none is made yet."""

    @staticmethod
    @abstractmethod
    def _let_go(lines: L) -> None:
        """Close what is idle, and keep nothing any more."""

    def _known(self, key: str | None) -> Address | None:
        return self._finder.places.at(key or self._default)

    def _doubt(self) -> None:
        """Have the places asked for again: a call has failed as it does at the wrong server."""
        self._finder.doubt()

    def _unknown(self) -> Unasked:
        self._finder.doubt()
        return Unasked("it is not known which server has the key")

    @property
    def _asks_itself(self) -> bool:
        """Nobody in the background finds out: before a worker has started, and after its end."""
        return self._patient and not self._finder.running

    def _redirected(self, error: AskError, asked: Address) -> tuple[Address, bytes | None]:
        """Where to ask instead, and what to say before."""
        if isinstance(error, MovedError):
            self._finder.doubt()
            return self._finder.places.moved(error, asked), None
        return (error.host or asked[0], error.port), _ASKING


class SpreadLines(_Spread[Lines]):
    """For threads; see `Lines`."""

    def call(self, command: bytes, deadline: float | None = None, key: str | None = None) -> Any:
        """Send a packed command to the server that has the key; see `Lines.call`."""
        end = monotonic() + (deadline or self._deadline)
        address = self._known(key) or self._find(key)
        try:
            return self.at(address).call(command, remaining(end))
        except AskError as error:
            address, first = self._redirected(error, address)
            return self.at(address).call(command, remaining(end), first=first)
        except Unasked:
            raise
        except TROUBLE:
            self._doubt()
            if self._asks_itself:
                self._finder.ask()
            raise

    def calls(self, commands: Sequence[tuple[str, bytes]]) -> list[Any]:
        """Several commands, those of one server in one round trip; see `Lines.calls`.

        One that was not answered has an error, or nothing, as its reply.
        """
        replies: list[Any] = [None] * len(commands)
        parts: dict[Address, list[int]] = {}
        for number, (key, _) in enumerate(commands):
            parts.setdefault(self._known(key) or self._find(key), []).append(number)
        for address, numbers in parts.items():
            try:
                answers = self.at(address).calls([commands[number] for number in numbers])
            except TROUBLE:
                self._doubt()
                continue
            for number, answer in zip(numbers, answers, strict=True):
                replies[number] = self._again(*commands[number], answer)
        return replies

    def _again(self, key: str, command: bytes, answer: Any) -> Any:
        """What a redirection gives, where that is the answer."""
        if not isinstance(answer, AskError):
            return answer
        try:
            return self.call(command, None, key)
        except TROUBLE as error:
            return error

    def _find(self, key: str | None) -> Address:
        if self._patient:
            self._finder.ask()
        address = self._known(key)
        if address is None:
            raise self._unknown()
        return address

    def _make(self, url: str, breaker: Breaker | None) -> Lines:
        return Lines(url, self._deadline, keep=self._keep, breaker=breaker)

    @staticmethod
    def _let_go(lines: Lines) -> None:
        lines.keep = False
        lines.close()

    def close(self) -> None:
        """Close what is idle."""
        for lines in list(self._nodes.values()):
            lines.close()


class AsyncSpreadLines(_Spread[AsyncLines]):
    """For event loops; see `AsyncLines`."""

    async def call(
        self, command: bytes, deadline: float | None = None, key: str | None = None
    ) -> Any:
        """Send a packed command to the server that has the key; see `Lines.call`."""
        end = monotonic() + (deadline or self._deadline)
        address = self._known(key) or await self._find(key)
        try:
            return await self.at(address).call(command, remaining(end))
        except AskError as error:
            address, first = self._redirected(error, address)
            return await self.at(address).call(command, remaining(end), first=first)
        except Unasked:
            raise
        except TROUBLE:
            self._doubt()
            if self._asks_itself:
                await asyncio.to_thread(self._finder.ask)
            raise

    async def _find(self, key: str | None) -> Address:
        if self._patient:
            await asyncio.to_thread(self._finder.ask)
        address = self._known(key)
        if address is None:
            raise self._unknown()
        return address

    def _make(self, url: str, breaker: Breaker | None) -> AsyncLines:
        return AsyncLines(url, self._deadline, keep=self._keep, breaker=breaker)

    @staticmethod
    def _let_go(lines: AsyncLines) -> None:
        lines.retire()

    async def aclose(self) -> None:
        """Close what is idle in the running loop."""
        for lines in list(self._nodes.values()):
            await lines.aclose()
