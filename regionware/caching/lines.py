"""Bare connections to one Redis for threads, for calls that a user waits for.

redis-py's clients spend most of a call's CPU on retries, hooks and pool bookkeeping that a look-up
with a deadline of its own does not want (measured: see `docs/performance.md`). A call is never
retried, and never queues for a connection. `loop_lines` is the same for event loops.
"""

import select
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, ResponseError

from regionware.caching.breaker import Breaker
from regionware.caching.dialing import Maker, dial, greeting, maker, remaining
from regionware.caching.replies import PoolExhausted, Unasked, checked, is_servers_fault, told

#: Connections of one process, or of one event loop, to one server.
LIMIT = 64
_PIECE = 65_536
_WHILE = 0.001
#: Seconds of rest after which a connection is looked at before it is used: servers close idle ones.
_RESTED = 1.0


class Line:
    """One connection.

    redis-py's own reader grants its timeout to every piece of a reply; here it holds for all.
    """

    __slots__ = ("_reader", "_socket", "_used", "has_more")

    def __init__(self, make: Maker, end: float) -> None:
        """Connect and log in before `end`.

        Raises:
            redis.RedisError: Redis refuses.
            OSError: it cannot be reached, or not in time.
            hiredis.HiredisError: what came is no reply.
        """
        connection = make()
        self._reader = hiredis.Reader()
        #: Whether something is left over that would answer the next call.
        self.has_more: Callable[[], bool] = self._reader.has_data
        self._used = monotonic()
        self._socket = dial(connection, end)
        try:
            self._greet(greeting(connection), end)
        except BaseException:
            self.close()
            raise

    def _greet(self, commands: list[bytes], end: float) -> None:
        """Say everything at once: one round trip, however much there is to say."""
        if commands:
            self._socket.settimeout(remaining(end))
            self._socket.sendall(b"".join(commands))
        for _ in commands:
            checked(self._receive(end))

    def call(self, command: bytes, end: float) -> Any:
        """Send a command and read its reply, before `end`.

        Raises:
            OSError: the connection broke, or the deadline has passed.
            hiredis.HiredisError: what came is no reply.
            ResponseError: Redis said so.
        """
        left = end - monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        self._socket.settimeout(left)
        self._socket.sendall(command)
        # To set a timeout is a system call: once is enough, unless sending has taken a while.
        if end - monotonic() < left - _WHILE:
            self._socket.settimeout(remaining(end))
        data = self._socket.recv(_PIECE)
        if not data:
            raise RedisConnectionError("Redis closed the connection")
        self._reader.feed(data)
        reply = self._reader.gets()
        self._used = monotonic()
        return checked(reply if reply is not False else self._receive(end))

    def calls(self, commands: bytes, many: int, end: float) -> list[Any]:
        """Send several commands at once, and read all replies; an error of one key is a reply.

        Raises:
            OSError: as `call`.
            hiredis.HiredisError: as `call`.
            ResponseError: Redis said of one that it answers none.
        """
        self._socket.settimeout(remaining(end))
        self._socket.sendall(commands)
        replies = [told(self._receive(end)) for _ in range(many)]
        self._used = monotonic()
        for reply in replies:
            if isinstance(reply, ResponseError) and is_servers_fault(reply):
                raise reply
        return replies

    def _receive(self, end: float) -> Any:
        """The next reply, of which some may have arrived."""
        reply: Any = self._reader.gets()
        while reply is False:
            self._socket.settimeout(remaining(end))
            data = self._socket.recv(_PIECE)
            if not data:
                raise RedisConnectionError("Redis closed the connection")
            self._reader.feed(data)
            reply = self._reader.gets()
        return reply

    def has_ended(self) -> bool:
        """Whether the server has closed it, or has said something unasked, while it was idle."""
        if monotonic() - self._used < _RESTED:
            return False
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return bool(waiting.poll(0))

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class Lines:
    """Connections to one server. Taking and returning one are single, atomic steps of a deque."""

    def __init__(
        self, url: str, deadline: float, *, keep: bool = True, breaker: Breaker | None = None
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: `redis://`, `rediss://` or `unix://`.
            deadline: seconds for a call, connecting included.
            keep: keep connections for further calls.
            breaker: asked before each call, and told what became of it.
        """
        #: Whether a connection that has served stays for the next call.
        self.keep = keep
        self._make = maker(url)
        self._deadline = deadline
        self._breaker = breaker
        self._idle: deque[Line] = deque()
        self._busy: deque[None] = deque(maxlen=LIMIT + 1)

    def call(
        self,
        command: bytes,
        deadline: float | None = None,
        key: str | None = None,  # noqa: ARG002 - one server has every key
        *,
        first: bytes | None = None,
        many: int = 0,
    ) -> Any:
        """Send a packed command and read the reply, by default within the deadline of all calls.

        Args:
            command: what is asked.
            deadline: seconds, connecting included.
            key: the key that decides which server is asked, where there are several.
            first: a command to send before, on the same connection, for its effect.
            many: so many commands it is, all sent at once: a list of replies, of which those of
                a key that has an error are that error.

        Raises:
            Unasked: the breaker is open, or every connection in use.
            redis.RedisError: anything went wrong; `ResponseError` if Redis said so.
            OSError: the connection broke, or the deadline has passed.
        """
        breaker = self._breaker
        if breaker is not None and breaker.shut and not breaker.admits():
            raise Unasked("the server is not asked at present")
        if len(self._busy) >= LIMIT:
            raise PoolExhausted(f"all {LIMIT} connections are in use")
        self._busy.append(None)
        try:
            reply = self._call(command, monotonic() + (deadline or self._deadline), first, many)
        except ResponseError as error:
            if breaker is not None:
                breaker.failed() if is_servers_fault(error) else breaker.succeeded()
            raise
        except Exception:
            if breaker is not None:
                breaker.failed()
            raise
        finally:
            self._busy.pop()
        if breaker is not None:
            breaker.succeeded()
        return reply

    def _take(self, end: float) -> Line:
        """An idle connection that the server has not closed meanwhile, or a new one."""
        while self._idle:
            with suppress(IndexError):  # another thread was quicker
                line = self._idle.pop()
                if not line.has_ended():
                    return line
                line.close()
        return Line(self._make, end)

    def calls(self, commands: Sequence[tuple[str, bytes]]) -> list[Any]:
        """Send several commands, each with its key, in one round trip; see `call`."""
        return list(self.call(b"".join(packed for _, packed in commands), many=len(commands)))

    def _call(self, command: bytes, end: float, first: bytes | None, many: int) -> Any:
        line = self._take(end)
        try:
            if first is not None:
                line.call(first, end)
            reply = line.calls(command, many, end) if many else line.call(command, end)
        except ReadOnlyError:
            # The server was demoted: no connection to it is of use.
            line.close()
            self.close()
            raise
        except ResponseError:
            self._return(line)
            raise
        except Exception:
            line.close()
            self.close()
            raise
        except BaseException:
            line.close()  # who has asked is gone: that says nothing of the other connections
            raise
        if self.keep and not line.has_more():
            self._idle.append(line)
        else:
            line.close()
        return reply

    def _return(self, line: Line) -> None:
        if self.keep and not line.has_more():
            self._idle.append(line)
        else:
            line.close()

    def probe(self, command: bytes) -> bool:
        """Whether the server answers within a request's deadline, over a connection of its own."""
        end = monotonic() + self._deadline
        try:
            line = Line(self._make, end)
            try:
                line.call(command, end)
            finally:
                line.close()
        except ResponseError as error:
            return not is_servers_fault(error)
        except Exception:  # noqa: BLE001 - whatever it is, that is no answer
            return False
        return True

    def close(self) -> None:
        """Close what is idle: when one connection broke, the others are no better."""
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:
                return
