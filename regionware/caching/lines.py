"""Bare connections to one Redis, for calls that a user waits for.

redis-py's clients spend most of a call's CPU on retries, hooks and pool bookkeeping that a look-up
with a deadline of its own does not want (measured: see `docs/performance.md`); its connections
and its parser are used as they are. A call is never retried, and never queues for a connection.
"""

import asyncio
from collections import deque
from functools import partial
from time import monotonic
from typing import Any

import hiredis
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.retry import Retry

#: Connections of one process, or of one event loop.
LIMIT = 64
_PIECE = 65_536

Argument = str | bytes | int


def pack(command: tuple[Any, ...]) -> bytes:
    """A command as Redis reads it."""
    packed: bytes = hiredis.pack_command(command)
    return packed


class Line:
    """One connection for threads: redis-py connects and authenticates, then this reads.

    redis-py's own reader grants its timeout to every piece of a reply; here it holds for all.
    """

    __slots__ = ("_connection", "_reader", "_socket")

    def __init__(self, connection: Any) -> None:
        """Connect.

        Raises:
            redis.RedisError: Redis cannot be reached, or refuses.
        """
        connection.connect()
        self._connection = connection
        self._socket = connection._sock  # noqa: SLF001 - there is no public way to the socket
        self._reader = hiredis.Reader()

    def call(self, command: bytes, deadline: float) -> Any:
        """Send a command and read its reply, within `deadline` seconds.

        Raises:
            OSError: the connection broke, or the deadline has passed.
            hiredis.HiredisError: what came is no reply.
            ResponseError: Redis said so.
        """
        end = monotonic() + deadline
        self._socket.settimeout(deadline)
        self._socket.sendall(command)
        reply: Any = False
        while reply is False:
            left = end - monotonic()
            if left <= 0:
                raise TimeoutError(f"no reply within {deadline} s")
            self._socket.settimeout(left)
            data = self._socket.recv(_PIECE)
            if not data:
                raise RedisConnectionError("Redis closed the connection")
            self._reader.feed(data)
            reply = self._reader.gets()
        return _checked(reply)

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()


class Lines:
    """Connections for threads. Taking and returning one are single, atomic steps of a deque."""

    def __init__(self, url: str, deadline: float, *, keep: bool = True) -> None:
        """Connect to nothing yet.

        Args:
            url: `redis://`, `rediss://` or `unix://`.
            deadline: seconds for a call, and for each step of connecting.
            keep: keep connections for further calls.
        """
        #: Whether a connection that has served stays for the next call.
        self.keep = keep
        pool: Any = redis.ConnectionPool.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=deadline,
            socket_connect_timeout=deadline,
            protocol=2,
        )
        self._make = partial(pool.connection_class, **pool.connection_kwargs)
        self._deadline = deadline
        self._idle: deque[Line] = deque()
        self._busy: deque[None] = deque(maxlen=LIMIT + 1)

    def call(self, command: bytes, deadline: float | None = None) -> Any:
        """Send a packed command and read the reply, by default within the deadline of all calls.

        Raises:
            redis.RedisError: anything went wrong; `ResponseError` if Redis said so.
            OSError: the connection broke, or the deadline has passed.
        """
        if len(self._busy) >= LIMIT:
            raise RedisConnectionError(f"all {LIMIT} connections are in use")
        self._busy.append(None)
        try:
            return self._call(command, deadline or self._deadline)
        finally:
            self._busy.pop()

    def _call(self, command: bytes, deadline: float) -> Any:
        try:
            line = self._idle.pop()
        except IndexError:
            line = Line(self._make())
        try:
            reply = line.call(command, deadline)
        except ResponseError:
            self._idle.append(line) if self.keep else line.close()
            raise
        except BaseException:
            line.close()
            self.close()
            raise
        if self.keep:
            self._idle.append(line)
        else:
            line.close()
        return reply

    def close(self) -> None:
        """Close what is idle: when one connection broke, the others are no better."""
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:
                return


class AsyncLine(asyncio.Protocol):
    """One connection in an event loop: redis-py connects and authenticates, then this takes over.

    Its transport speaks to this protocol from then on: a reply resolves one future, without
    streams, locks and tasks in between.
    """

    def __init__(self, connection: Any) -> None:
        """Take over a connected connection."""
        self._reader = hiredis.Reader()
        self._reply: asyncio.Future[Any] | None = None
        # There is no public way to the transport. The writer is kept, since it would close its
        # transport with itself; and redis-py is not to close, or to miss, what is ours from now.
        self._writer = connection._writer  # noqa: SLF001
        connection._writer = connection._reader = None  # noqa: SLF001
        self._transport = self._writer.transport
        self._transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        """Resolve the call that waits, once its reply is whole."""
        try:
            self._reader.feed(data)
            reply = self._reader.gets()
        except hiredis.HiredisError as error:
            self._fail(error)
            return
        if reply is not False and self._reply is not None and not self._reply.done():
            self._reply.set_result(reply)

    def connection_lost(self, _: Exception | None) -> None:
        """Fail the call that waits."""
        self._fail(RedisConnectionError("Redis closed the connection"))

    def _fail(self, error: Exception) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)

    async def call(self, command: bytes, deadline: float) -> Any:
        """Send a command and read its reply, within `deadline` seconds; see `Line.call`."""
        if self._transport.is_closing():
            raise RedisConnectionError("Redis closed the connection")
        loop = asyncio.get_running_loop()
        self._reply = loop.create_future()
        late = TimeoutError(f"no reply within {deadline} s")
        timer = loop.call_later(deadline, self._fail, late)
        try:
            self._transport.write(command)
            return _checked(await self._reply)
        finally:
            timer.cancel()
            self._reply = None

    def close(self) -> None:
        """Close the connection at once."""
        self._transport.abort()


class AsyncLines:
    """Connections for event loops, apart for each loop."""

    def __init__(self, url: str, deadline: float, *, keep: bool = True) -> None:
        """Connect to nothing yet; see `Lines`."""
        #: See `Lines`.
        self.keep = keep
        pool: Any = redis.asyncio.ConnectionPool.from_url(
            url,
            retry=AsyncRetry(NoBackoff(), 0),
            socket_timeout=None,
            socket_connect_timeout=deadline,
            protocol=2,
        )
        self._make = partial(pool.connection_class, **pool.connection_kwargs)
        self._deadline = deadline
        self._loops: dict[asyncio.AbstractEventLoop, deque[AsyncLine]] = {}
        self._busy = 0

    async def call(self, command: bytes, deadline: float | None = None) -> Any:
        """Send a packed command and read the reply; see `Lines.call`."""
        loop = asyncio.get_running_loop()
        idle = self._loops.get(loop)
        if idle is None:
            # A line keeps its loop alive: those of loops that have ended are let go here.
            for ended in [each for each in self._loops if each.is_closed()]:
                del self._loops[ended]
            idle = self._loops[loop] = deque()
        if self._busy >= LIMIT:
            raise RedisConnectionError(f"all {LIMIT} connections are in use")
        self._busy += 1
        try:
            return await self._call(command, idle, deadline or self._deadline)
        finally:
            self._busy -= 1

    async def _call(self, command: bytes, idle: deque[AsyncLine], deadline: float) -> Any:
        line = idle.pop() if idle else await self._connect()
        try:
            reply = await line.call(command, deadline)
        except ResponseError:
            idle.append(line) if self.keep else line.close()
            raise
        except BaseException:
            _close(idle, line)
            await asyncio.sleep(0)
            raise
        if self.keep:
            idle.append(line)
        else:
            _close(idle, line)
            await asyncio.sleep(0)
        return reply

    async def _connect(self) -> AsyncLine:
        connection: Any = self._make()
        try:
            async with asyncio.timeout(self._deadline):
                await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return AsyncLine(connection)

    async def aclose(self) -> None:
        """Close what is idle in the running loop."""
        _close(self._loops.pop(asyncio.get_running_loop(), deque()))
        await asyncio.sleep(0)


def _close(idle: deque[AsyncLine], *lines: AsyncLine) -> None:
    """Close connections; a caller grants the round of the loop in which their sockets close."""
    for line in (*idle, *lines):
        line.close()
    idle.clear()


def _checked(reply: Any) -> Any:
    if isinstance(reply, hiredis.ReplyError):
        text = str(reply)
        raise NoScriptError(text) if text.startswith("NOSCRIPT") else ResponseError(text)
    return reply
