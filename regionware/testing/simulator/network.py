"""The lines between simulated processes and simulated Redis servers, and what goes wrong there."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from regionware.caching.breaker import Breaker
from regionware.testing.simulator.replies import ReplyError, Words
from regionware.testing.simulator.server import Lost, Server
from regionware.testing.simulator.world import ProcessLoop, World

#: Seconds that a message travels: within a region, and between two.
NEAR = (0.0001, 0.002)
FAR = (0.03, 0.08)
#: Seconds within which a message that is sent twice comes again.
_AGAIN = 2.0


@dataclass(slots=True)
class Link:
    """How messages travel between one process and one server. Times are the world's.

    Attributes:
        delay: seconds for one direction, the least and the most.
        cut_until: nothing gets through before.
        lossy_until: messages are lost before, each direction apart.
        loss: how likely.
        slow_until: messages are late before.
        slow: by how many seconds at most.
        doubled: how likely a message is to come twice.
    """

    delay: tuple[float, float] = NEAR
    cut_until: float = 0.0
    lossy_until: float = 0.0
    loss: float = 0.0
    slow_until: float = 0.0
    slow: float = 0.0
    doubled: float = 0.0

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self.cut_until = self.lossy_until = self.slow_until = self.doubled = 0.0

    def loses(self, world: World) -> bool:
        """Whether a message is lost now."""
        if world.now < self.cut_until:
            return True
        return world.now < self.lossy_until and world.chance(self.loss)

    def travel(self, world: World) -> float:
        """Seconds that a message needs now."""
        late = world.random.uniform(0, self.slow) if world.now < self.slow_until else 0.0
        return world.random.uniform(*self.delay) + late


class SimulatedLines:
    """Takes the place of `AsyncLines`: each call is a message there, and one back.

    Like a connection, it does not know whether a command that went unanswered was executed.
    """

    def __init__(
        self,
        loop: ProcessLoop,
        server: Server,
        link: Link,
        deadline: float,
        breaker: Breaker | None = None,
    ) -> None:
        """Connect nothing.

        Args:
            loop: the process that asks.
            server: whom.
            link: how messages travel.
            deadline: seconds for a call.
            breaker: of this server, where not everything may ask.
        """
        self._breaker = breaker
        self.keep = True
        self._loop = loop
        self._world = loop.world
        self._server = server
        self._link = link
        self._deadline = deadline

    async def call(self, command: bytes, deadline: float | None = None, _: str = "") -> Any:
        """Send a packed command, if the breaker admits it; see `AsyncLines.call`.

        Raises:
            OSError: the deadline has passed.
            RedisError: the server has gone, or answers by an error.
        """
        breaker = self._breaker
        if breaker is None:
            return await self.ask(_unpack(command), deadline)
        if breaker.shut and not breaker.admits():
            raise RedisConnectionError("nobody asks now")
        try:
            reply = await self.ask(_unpack(command), deadline)
        except ResponseError:
            raise
        except (RedisError, OSError):
            breaker.failed()
            raise
        breaker.succeeded()
        return reply

    async def ask(self, words: Words, deadline: float | None = None) -> Any:
        """Send a command, word by word; see `call`."""
        if self._loop.dead:
            raise RedisConnectionError("this process has ended")
        future: asyncio.Future[Any] = self._loop.create_future()
        limit = deadline or self._deadline
        late = TimeoutError(f"no reply within {limit} s")
        timer = self._loop.call_later(limit, _settle, future, late)
        self._send(words, future)
        try:
            return _checked(await future)
        finally:
            timer.cancel()

    async def aclose(self) -> None:
        """There is nothing to close."""

    def _send(self, words: Words, future: "asyncio.Future[Any]") -> None:
        world, link = self._world, self._link
        if link.loses(world):
            return
        arrive = partial(self._server.execute, words, partial(self._answer, future))
        world.after(link.travel(world), arrive)
        if world.chance(link.doubled):
            again = partial(self._server.execute, words, lambda _: None)
            world.after(world.random.uniform(0, _AGAIN), again)

    def _answer(self, future: "asyncio.Future[Any]", reply: Any) -> None:
        if not self._link.loses(self._world):
            self._world.after(self._link.travel(self._world), partial(self._hand, future, reply))

    def _hand(self, future: "asyncio.Future[Any]", reply: Any) -> None:
        if not self._loop.dead:
            self._loop.call_soon(_settle, future, reply)

    def close(self) -> None:
        """There is nothing to close."""


def _settle(future: "asyncio.Future[Any]", reply: Any) -> None:
    if not future.done():
        future.set_result(reply)


def _checked(reply: Any) -> Any:
    if isinstance(reply, Lost):
        raise RedisConnectionError("Redis closed the connection")
    if isinstance(reply, ReplyError):
        text = str(reply)
        raise NoScriptError(text) if text.startswith("NOSCRIPT") else ResponseError(text)
    if isinstance(reply, Exception):
        raise reply
    return reply


def _unpack(command: bytes) -> Words:
    reader = hiredis.Reader()
    reader.feed(command)
    words: list[bytes] = reader.gets()
    return words
