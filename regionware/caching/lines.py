"""Bare connections to one Redis, for calls that a user waits for.

redis-py's clients spend most of a call's CPU on retries, hooks and pool bookkeeping that a look-up
with a deadline of its own does not want (measured: see `docs/performance.md`); its connections
and its parser are used as they are. A call is never retried, and never queues for a connection.
"""

import asyncio
from collections import deque
from typing import Any
from weakref import WeakKeyDictionary

import hiredis
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.retry import Retry

#: Connections of one process, or of one event loop.
LIMIT = 64

Argument = str | bytes | int


def pack(command: tuple[Any, ...]) -> bytes:
    """A command as Redis reads it."""
    packed: bytes = hiredis.pack_command(command)
    return packed


class Lines:
    """Connections for threads. Taking and returning one are single, atomic steps of a deque."""

    def __init__(self, url: str, deadline: float) -> None:
        """Connect to nothing yet.

        Args:
            url: `redis://`, `rediss://` or `unix://`.
            deadline: seconds for connecting, and for each read.
        """
        pool: Any = redis.ConnectionPool.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=deadline,
            socket_connect_timeout=deadline,
            protocol=2,
        )
        self._make = pool.make_connection
        self._idle: deque[Any] = deque()
        self._busy: deque[None] = deque(maxlen=LIMIT + 1)

    def call(self, command: bytes) -> Any:
        """Send a packed command and read the reply.

        Raises:
            redis.RedisError: anything at all went wrong; `ResponseError` if Redis said so.
        """
        connection = self._take()
        try:
            connection.send_packed_command((command,), check_health=False)
            reply = connection.read_response()
        except ResponseError:
            self._idle.append(connection)
            raise
        except BaseException:
            connection.disconnect()
            self.close()
            raise
        finally:
            self._busy.pop()
        self._idle.append(connection)
        return reply

    def _take(self) -> Any:
        if len(self._busy) >= LIMIT:
            raise RedisConnectionError(f"all {LIMIT} connections are in use")
        self._busy.append(None)
        try:
            return self._idle.pop()
        except IndexError:
            return self._make()

    def close(self) -> None:
        """Close what is idle: when one connection broke, the others are no better."""
        while self._idle:
            try:
                self._idle.pop().disconnect()
            except IndexError:
                return


class AsyncLines:
    """Connections for event loops, apart for each loop."""

    def __init__(self, url: str, deadline: float) -> None:
        """Connect to nothing yet; see `Lines`."""
        pool: Any = redis.asyncio.ConnectionPool.from_url(
            url,
            retry=AsyncRetry(NoBackoff(), 0),
            socket_timeout=None,
            socket_connect_timeout=deadline,
            protocol=2,
        )
        self._make = pool.make_connection
        self._deadline = deadline
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, deque[Any]] = WeakKeyDictionary()
        self._busy = 0

    async def call(self, command: bytes) -> Any:
        """Send a packed command and read the reply, within the deadline.

        Raises:
            redis.RedisError: anything went wrong; `ResponseError` if Redis said so.
            TimeoutError: the deadline has passed.
        """
        loop = asyncio.get_running_loop()
        idle = self._loops.get(loop)
        if idle is None:
            idle = self._loops[loop] = deque()
        if self._busy >= LIMIT:
            raise RedisConnectionError(f"all {LIMIT} connections are in use")
        self._busy += 1
        connection: Any = idle.pop() if idle else self._make()
        try:
            async with asyncio.timeout(self._deadline):
                await connection.send_packed_command(command, check_health=False)
                reply = await connection.read_response()
        except ResponseError:
            idle.append(connection)
            raise
        except BaseException:
            await connection.disconnect(nowait=True)
            await self.aclose()
            raise
        finally:
            self._busy -= 1
        idle.append(connection)
        return reply

    async def aclose(self) -> None:
        """Close what is idle in the running loop."""
        idle = self._loops.get(asyncio.get_running_loop(), deque())
        while idle:
            await idle.pop().disconnect(nowait=True)
