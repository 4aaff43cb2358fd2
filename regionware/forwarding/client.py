"""Pooled HTTP/1.1 to other regions, for threads and, apart for each loop, for event loops.

httpcore is what httpx pools with; a request goes through it as it is: no cookies, redirections,
decoding, proxies of the environment, and nothing is ever sent twice (`retries=0`).
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

import h11
import httpcore

from regionware.forwarding.deadlines import Backend, Whole
from regionware.forwarding.gate import Gate
from regionware.forwarding.outgoing import ForwardFailed, Outgoing, Truncated
from regionware.observe import Event, Events
from regionware.policies.write import Write

#: Before any octet of a request has been written.
_UNREACHED: Final = (httpcore.ConnectError, httpcore.ConnectTimeout)
_BROKEN: Final = (httpcore.NetworkError, httpcore.ProtocolError, h11.ProtocolError, OSError)
_BROKE_OFF: Final = "the response of another region broke off"
#: What a process inherited from its parent: kept, so that it is never finalised.
_INHERITED: list[Any] = []


class Client:
    """Sends requests to other regions.

    Attributes:
        policy: the connections that may be open, and how long they are kept.
    """

    def __init__(self, writes: list[Write], events: Events) -> None:
        """Connect to nothing yet.

        Args:
            writes: the policies of all routes that forward; the most connections that one of them
                asks for may be open, and the shortest time for which one wants them kept holds.
            events: what is told of a region that cannot be reached.
        """
        self._most = max(write.connections for write in writes)
        self._keep = min(write.keep_alive for write in writes)
        self._events = events
        self._gates: dict[str, Gate] = {}
        self._context: ssl.SSLContext | None = None
        self.forget()

    def forget(self) -> None:
        """After a fork, and at first: connections are the parent's."""
        _INHERITED.append((self.__dict__.get("_pool"), self.__dict__.get("_pools")))
        self._pool: httpcore.ConnectionPool | None = None
        self._pools: dict[asyncio.AbstractEventLoop, httpcore.AsyncConnectionPool] = {}
        self._gates = {}

    def close(self) -> None:
        """Close the connections of threads."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    async def aclose(self) -> None:
        """Close those of the running loop."""
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.aclose()

    def send(self, call: Outgoing, content: Iterator[bytes]) -> httpcore.Response:
        """Send a request, and wait for the head of its response.

        Raises:
            ForwardFailed: there is none in time.
        """
        timeouts = _timeouts(call.write)
        # The head as a whole must be there in time, however slowly it comes.
        timeouts["read"] = Whole(call.write.timeout)
        with self._watching(call):
            response = self._threads().handle_request(_request(call, content, timeouts))
            timeouts["read"] = call.write.idle_timeout
            return _checked(response)

    async def asend(self, call: Outgoing, content: AsyncIterator[bytes]) -> httpcore.Response:
        """The async twin of `send`; the client's content has a deadline here, too."""
        with self._watching(call):
            async with asyncio.timeout(None) as deadline:
                timed = _timed(content, deadline, call.write)
                request = _request(call, timed, _timeouts(call.write))
                return _checked(await self._loops().handle_async_request(request))

    @staticmethod
    def pieces(response: httpcore.Response) -> Iterator[bytes]:
        """The content as it arrives.

        Raises:
            Truncated: it breaks off, or stands still for too long.
        """
        try:
            yield from response.iter_stream()
        except (httpcore.TimeoutException, *_BROKEN) as error:
            raise Truncated(_BROKE_OFF) from error

    @staticmethod
    async def apieces(response: httpcore.Response) -> AsyncGenerator[bytes, None]:
        """The async twin of `pieces`."""
        try:
            async for chunk in response.aiter_stream():
                yield chunk
        except (httpcore.TimeoutException, *_BROKEN) as error:
            raise Truncated(_BROKE_OFF) from error

    def _threads(self) -> httpcore.ConnectionPool:
        # Two threads may both make one here: the one that loses is unused, and has no connection.
        if self._pool is None:
            self._pool = httpcore.ConnectionPool(network_backend=Backend(), **self._options())
        return self._pool

    def _loops(self) -> httpcore.AsyncConnectionPool:
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None:
            # A connection keeps its loop alive: those of loops that have ended are let go here.
            self._pools = {each: kept for each, kept in self._pools.items() if not each.is_closed()}
            pool = self._pools[loop] = httpcore.AsyncConnectionPool(**self._options())
        return pool

    def _options(self) -> dict[str, Any]:
        if self._context is None:
            # What the system trusts, or SSL_CERT_FILE says.
            self._context = ssl.create_default_context()
        return {
            "ssl_context": self._context,
            "max_connections": self._most,
            "keepalive_expiry": self._keep,
            "retries": 0,
        }

    @contextmanager
    def _watching(self, call: Outgoing) -> Iterator[None]:
        """Translate what goes wrong, and remember what cannot be reached."""
        gate = self._gates.setdefault(call.region.name, Gate())
        if not gate.admits(monotonic()):
            raise ForwardFailed("closed", sent=False)
        try:
            yield
        except _UNREACHED as error:
            if gate.failed(monotonic()):
                self._events.emit(Event("region-down", detail=call.region.name))
            raise ForwardFailed("connect", sent=False) from error
        except httpcore.PoolTimeout as error:
            raise ForwardFailed("pool", sent=False) from error
        except httpcore.LocalProtocolError as error:
            raise ForwardFailed("unsendable", sent=True) from error
        except (TimeoutError, httpcore.TimeoutException) as error:
            raise ForwardFailed("timeout", sent=True) from error
        except _BROKEN as error:
            raise ForwardFailed("broken", sent=True) from error
        gate.passed()


async def _timed(
    content: AsyncIterator[bytes], deadline: asyncio.Timeout, write: Write
) -> AsyncIterator[bytes]:
    """The content, each piece of which must come in time; after it, the head of the response."""
    clock = asyncio.get_running_loop().time
    deadline.reschedule(clock() + write.idle_timeout)
    async for chunk in content:
        deadline.reschedule(None)  # to write it has a deadline of its own
        yield chunk
        deadline.reschedule(clock() + write.idle_timeout)
    deadline.reschedule(clock() + write.timeout)


def _timeouts(write: Write) -> dict[str, float]:
    """What httpcore calls them; of reading once the head is there."""
    return {
        "connect": write.connect_timeout,
        "pool": write.connect_timeout,
        "write": write.idle_timeout,
        "read": write.idle_timeout,
    }


def _request(call: Outgoing, content: Any, timeouts: dict[str, float]) -> httpcore.Request:
    url = httpcore.URL(scheme=call.scheme, host=call.host, port=call.port, target=call.target)
    return httpcore.Request(
        call.method, url, headers=call.headers, content=content,
        extensions={"timeout": timeouts},
    )  # fmt: skip


def _checked(response: httpcore.Response) -> httpcore.Response:
    """A response of a request; a switch to another protocol is none."""
    if not 200 <= response.status <= 999:
        raise httpcore.RemoteProtocolError(f"status {response.status}")
    return response
