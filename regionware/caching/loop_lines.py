"""The same as `lines` for event loops: bare connections to one Redis, apart for each loop."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from time import monotonic
from typing import Any

import hiredis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, ResponseError

from regionware.caching.breaker import Breaker
from regionware.caching.dialing import PROTOCOL, remaining
from regionware.caching.lines import LIMIT
from regionware.caching.replies import PoolExhausted, Unasked, checked, is_servers_fault


class AsyncLine(asyncio.Protocol):
    """One connection in an event loop: redis-py connects and authenticates, then this takes over.

    Its transport speaks to this protocol from then on: a reply resolves one future, without
    streams, locks and tasks in between.
    """

    def __init__(self, connection: Any) -> None:
        """Take over a connected connection."""
        self._reader = hiredis.Reader()
        #: See `Line`.
        self.has_more: Callable[[], bool] = self._reader.has_data
        self._reply: asyncio.Future[Any] | None = None
        # There is no public way to the transport. The writer is kept, since it would close its
        # transport with itself; and redis-py is not to close, or to miss, what is ours from now.
        self._writer = connection._writer  # noqa: SLF001
        connection._writer = connection._reader = None  # noqa: SLF001
        self._transport = self._writer.transport
        self._transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        """Resolve the call that waits, once its reply is whole."""
        if self._reply is None or self._reply.done():
            # Nobody asked: it would answer whoever asks next.
            self._transport.abort()
            return
        try:
            self._reader.feed(data)
            reply = self._reader.gets()
        except hiredis.HiredisError as error:
            self._fail(error)
            return
        if reply is not False:
            self._reply.set_result(reply)

    def connection_lost(self, _: Exception | None) -> None:
        """Fail the call that waits."""
        self._fail(RedisConnectionError("Redis closed the connection"))

    def _fail(self, error: Exception) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)

    async def call(self, command: bytes, end: float) -> Any:
        """Send a command and read its reply, before `end`; see `Line.call`."""
        if self._transport.is_closing():
            raise RedisConnectionError("Redis closed the connection")
        loop = asyncio.get_running_loop()
        left = remaining(end)
        self._reply = loop.create_future()
        timer = loop.call_later(left, self._fail, TimeoutError("no reply in time"))
        try:
            self._transport.write(command)
            return checked(await self._reply)
        finally:
            timer.cancel()
            self._reply = None

    def has_ended(self) -> bool:
        """Whether the server has closed it while it was idle."""
        return bool(self._transport.is_closing())

    def close(self) -> None:
        """Close the connection at once."""
        self._transport.abort()


class _Pool:
    """The connections of one event loop."""

    __slots__ = ("busy", "idle")

    def __init__(self) -> None:
        self.idle: deque[AsyncLine] = deque()
        self.busy = 0


@lru_cache(maxsize=32)
def _pool(url: str) -> Any:
    """What redis-py reads from a URL; see `dialing`."""
    return redis.asyncio.ConnectionPool.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=None,
        socket_connect_timeout=None,  # one deadline for all steps, see `_connect`
        **PROTOCOL,
    )


class AsyncLines:
    """Connections to one server for event loops, apart for each loop."""

    def __init__(
        self, url: str, deadline: float, *, keep: bool = True, breaker: Breaker | None = None
    ) -> None:
        """Connect to nothing yet; see `Lines`."""
        #: See `Lines`.
        self.keep = keep
        pool = _pool(url)
        self._make = partial(pool.connection_class, **pool.connection_kwargs)
        self._deadline = deadline
        self._breaker = breaker
        self._loops: dict[asyncio.AbstractEventLoop, _Pool] = {}

    async def call(
        self,
        command: bytes,
        deadline: float | None = None,
        key: str | None = None,  # noqa: ARG002 - one server has every key
        *,
        first: bytes | None = None,
    ) -> Any:
        """Send a packed command and read the reply; see `Lines.call`."""
        breaker = self._breaker
        if breaker is not None and breaker.shut and not breaker.admits():
            raise Unasked("the server is not asked at present")
        pool = self._loops.get(asyncio.get_running_loop()) or self._new_pool()
        if pool.busy >= LIMIT:
            raise PoolExhausted(f"all {LIMIT} connections are in use")
        pool.busy += 1
        try:
            end = monotonic() + (deadline or self._deadline)
            reply = await self._call(pool, command, end, first)
        except ResponseError as error:
            if breaker is not None:
                breaker.failed() if is_servers_fault(error) else breaker.succeeded()
            raise
        except Exception:
            if breaker is not None:
                breaker.failed()
            raise
        finally:
            pool.busy -= 1
        if breaker is not None:
            breaker.succeeded()
        return reply

    def _new_pool(self) -> _Pool:
        # A line keeps its loop alive: those of loops that have ended are let go here.
        for ended in [each for each in list(self._loops) if each.is_closed()]:
            self._loops.pop(ended, None)
        pool = self._loops[asyncio.get_running_loop()] = _Pool()
        return pool

    async def _call(self, pool: _Pool, command: bytes, end: float, first: bytes | None) -> Any:
        while pool.idle and pool.idle[-1].has_ended():
            pool.idle.pop().close()
        line = pool.idle.pop() if pool.idle else await self._connect(end)
        try:
            if first is not None:
                await line.call(first, end)
            reply = await line.call(command, end)
        except ReadOnlyError:
            await _close(pool, line)
            raise
        except ResponseError:
            await self._return(pool, line)
            raise
        except Exception:
            await _close(pool, line)
            raise
        except BaseException:
            line.close()  # who has asked is gone: that says nothing of the other connections
            raise
        if self.keep and not line.has_more():
            pool.idle.append(line)
        else:
            await self._return(pool, line)
        return reply

    async def _return(self, pool: _Pool, line: AsyncLine) -> None:
        if self.keep and not line.has_more():
            pool.idle.append(line)
            return
        line.close()
        await asyncio.sleep(0)

    async def _connect(self, end: float) -> AsyncLine:
        connection: Any = self._make()
        # It need not say which library it is (in newer and older versions): a trip less.
        connection.driver_info = connection.lib_name = connection.lib_version = None
        try:
            async with asyncio.timeout(remaining(end)):
                await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return AsyncLine(connection)

    def retire(self) -> None:
        """From any thread: keep nothing any more, and close what is idle in every loop."""
        self.keep = False
        for loop, pool in list(self._loops.items()):
            with suppress(RuntimeError):  # that loop has ended, and its connections with it
                loop.call_soon_threadsafe(_close_idle, pool)

    async def aclose(self) -> None:
        """Close what is idle in the running loop."""
        await _close(self._loops.pop(asyncio.get_running_loop(), _Pool()))


async def _close(pool: _Pool, *lines: AsyncLine) -> None:
    """Close these and what is idle, and grant the loop the round in which sockets close."""
    for line in lines:
        line.close()
    _close_idle(pool)
    await asyncio.sleep(0)


def _close_idle(pool: _Pool) -> None:
    while pool.idle:
        pool.idle.pop().close()
