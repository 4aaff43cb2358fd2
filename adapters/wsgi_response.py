"""A response on its way out through WSGI.

A chunk is handed on before anything else happens, and what remains to be done is done in `close`,
which a server calls when everything has been sent. Only the last chunk is kept before, where it is
known to be the last: its client may take its time. The application, and every step of its iterator,
runs in the request's own copy of the context.
"""

from collections.abc import Callable, Iterable, Iterator
from contextvars import Context
from functools import partial
from http import HTTPStatus
from typing import Any

from regionware.adapters.wsgi_request import App, Environ, StartResponse, edited
from regionware.caching.freshness import DECIDING, of_connection
from regionware.context import bind
from regionware.drive import drive
from regionware.effects import Plan
from regionware.ending import failed
from regionware.errors import Unavailable
from regionware.exchange import Exchange
from regionware.heads import NO_EDITS, HeadEdits
from regionware.rim import Rim
from regionware.serving import Reply, unavailable

_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_NOTHING: Iterator[bytes] = iter(())
_NAMES: dict[bytes, str] = {}
_MOST = 1024


class Responder:
    """One response on its way out: a callable for the application, an iterable for the server."""

    __slots__ = (
        "_chunks", "_closed", "_complete", "_connection", "_context", "_entrusted", "_error",
        "_exchange", "_headers", "_instead", "_items", "_iterator", "_left", "_rest", "_result",
        "_rim", "_server", "_started", "_status",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, rim: Rim, context: Context) -> None:
        """Begin with nothing sent."""
        self._exchange = exchange
        self._rim = rim
        self._context = context
        self._server: StartResponse = nowhere
        self._started = False
        self._complete = False
        self._closed = False
        self._error: BaseException | None = None
        self._instead: Reply | None = None
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._connection: tuple[str, ...] = ()
        self._chunks: list[bytes] | None = None
        self._left = 0
        #: How many of the announced octets, and of the items of a list, are to come; negative
        #: where that is unknown.
        self._rest = self._items = -1
        #: The token of a lease that is given back in our place, should we take our time.
        self._entrusted = ""
        self._result: Iterable[bytes] = ()
        self._iterator: Iterator[bytes] = _NOTHING

    def run(self, app: App, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Call the application; what it returns, or this, which iterates over it."""
        self._server = start_response
        self._context.run(bind, self._exchange)
        try:
            if self._exchange.edits is not None:
                environ = edited(environ, self._exchange.edits)
            transparent = self._exchange.transparent
            self._result = self._context.run(
                app, environ, start_response if transparent else self.start_response
            )
            if isinstance(self._result, (list, tuple)):
                if transparent or self._nothing_left():
                    return self._result
                self._items = len(self._result)
            self._iterator = self._context.run(iter, self._result)
        except BaseException as error:
            if not self._failed(error):
                raise
        return self

    def _nothing_left(self) -> bool:
        """Whether no code has to run while, or after, the server sends the body."""
        return (
            self._started
            and self._instead is None
            and self._chunks is None
            and not self._exchange.pending
        )

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Take the head from the application (PEP 3333, "The start_response Callable")."""
        if self._started and exc_info is None:
            # An application may not do that; to say so is the server's part.
            return self._server(status, headers)
        self._started, self._chunks, self._instead = True, None, None
        values: dict[str, tuple[str, ...]] = {}
        for name, value in headers:
            if name.lower() in DECIDING:
                values[name.lower()] = (*values.get(name.lower(), ()), value)
        self._status = int(status[:3])
        edits = self._head(values, headers)
        if edits.reply is not None:
            return self._replace(edits.reply, exc_info)
        if edits is not NO_EDITS:
            headers = [pair for pair in headers if pair[0].lower() not in edits.remove] + edits.add
        write = (
            self._server(status, headers, exc_info) if exc_info else self._server(status, headers)
        )
        self._release()
        if edits.copy:
            self._headers = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers]
            self._chunks, self._left = [], edits.copy
            self._connection = of_connection(values)
            length = values.get("content-length", ("",))[0]
            self._rest = int(length) if length.isdecimal() else -1

        if not edits.copy:
            return write

        def copying(chunk: bytes) -> None:
            self._copy(chunk)
            write(chunk)

        return copying

    def _head(
        self, values: dict[str, tuple[str, ...]], headers: list[tuple[str, str]]
    ) -> HeadEdits:
        """What is done to the head, after what must be asked and raised before it goes out."""
        if self._exchange.owing:
            drive(self._exchange.capture(), self._rim.perform)
        edits = self._exchange.head(self._status, values, headers)
        if self._exchange.ending is not None:
            drive(self._exchange.invalidate(), self._rim.perform)
        return edits

    def _replace(self, reply: Reply, exc_info: Any = None) -> Callable[[bytes], object]:
        self._instead = reply
        self._started = True
        head = status_line(reply.status), text(reply.headers)
        self._server(*head, exc_info) if exc_info else self._server(*head)
        return lambda _: None

    def _failed(self, error: BaseException) -> bool:
        """Answer in place of an application that failed; `False` where nothing can be done."""
        self._error = error
        if self._exchange.transparent or self._started or not isinstance(error, Exception):
            self.close()
            return False
        is_unavailable = isinstance(error, Unavailable)
        reply = self._exchange.rescue(503 if is_unavailable else 500)
        if reply is None and isinstance(error, Unavailable):
            reply = unavailable(error, self._exchange.request)
        if reply is None:
            self.close()
            return False
        self._rim.rescued(self._exchange, error)
        try:
            self._replace(self._exchange.sealed(reply))
        except BaseException:
            self.close()
            raise
        return True

    def _copy(self, chunk: bytes) -> None:
        if self._chunks is None:
            return
        self._left -= len(chunk)
        self._rest -= len(chunk)
        if self._left < 0:
            self._chunks = None
            self._exchange.outgrown()
            self._release()
            return
        if chunk:
            self._chunks.append(bytes(chunk))
        if (self._rest == 0 or self._items == 0) and not self._exchange.kept:
            self._keep(self._chunks)

    def _keep(self, chunks: list[bytes]) -> None:
        """The content is all there: nobody else waits until its client has taken it."""
        body = b"".join(chunks)
        self._exchange.keep(self._status, self._headers, body, self._connection)
        self._entrust(self._exchange.store)

    def _entrust(self, plan: Callable[[], Plan[None]]) -> None:
        self._entrusted = self._exchange.lease
        if self._entrusted:
            self._rim.entrust(self._entrusted, plan)

    def _release(self) -> None:
        """What will not be stored keeps nobody in the region waiting for its end."""
        release = self._exchange.released()
        if release is not None:
            # Behind the back of the server, which has sent nothing yet.
            self._rim.release(release)

    def __iter__(self) -> Iterator[bytes]:
        """An iterable is its own iterator here: it is used once."""
        return self

    def __next__(self) -> bytes:
        """The next chunk, which the server sends before anything else happens."""
        try:
            chunk = b"" if self._instead is not None else self._context.run(next, self._iterator)
        except StopIteration:
            self._complete = True
            raise
        except Exception as error:
            if not self._failed(error):
                raise
            chunk = b""
        if self._instead is not None:
            return self._replacement(self._instead)
        self._items -= 1
        self._copy(chunk)
        return chunk

    def _replacement(self, reply: Reply) -> bytes:
        if self._complete:
            raise StopIteration
        self._complete, self._chunks = True, None
        self._exchange.give_way(self._error)
        self._entrust(partial(self._exchange.abandon, self._error))
        return reply.body

    def __len__(self) -> int:
        """How many chunks the application returned; a server may conclude the length from one."""
        if self._instead is not None:
            return 1
        return len(self._result)  # type: ignore[arg-type] # a TypeError is what the server expects

    def close(self) -> None:
        """Everything has been sent, or the client has gone: settle what remains."""
        if self._closed:
            return
        self._closed = True
        try:
            close = getattr(self._result, "close", None)
            if close is not None:
                self._context.run(close)
        finally:
            self._settle()

    def _settle(self) -> None:
        exchange = self._exchange
        if self._entrusted:
            self._rim.leases.reclaim(self._entrusted)
        if exchange.kept and failed(self._error):
            drive(exchange.retract(), self._rim.perform)
        complete = (
            self._complete
            or exchange.kept
            or (
                isinstance(self._result, (list, tuple)) and self._started and len(self._result) == 0
            )
        )
        if not complete or self._instead is not None:
            drive(exchange.abandon(self._error), self._rim.perform)
            return
        if self._chunks is None and not exchange.pending:
            return
        body = None if self._chunks is None else b"".join(self._chunks)
        plan = exchange.finish(self._status, self._headers, body, self._connection)
        drive(plan, self._rim.perform)


def status_line(code: int) -> str:
    """A status as WSGI wants it: the code and its reason phrase."""
    return _STATUS.get(code) or f"{code} Unknown"


def _name(name: bytes) -> str:
    """A field's name as text: there are not many, and responses share them."""
    if len(_NAMES) >= _MOST:
        _NAMES.clear()
    text = _NAMES[name] = name.decode("latin-1")
    return text


def text(headers: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Fields as WSGI wants them: octets as Latin-1."""
    return [(_NAMES.get(name) or _name(name), value.decode("latin-1")) for name, value in headers]


def answer(reply: Reply, start_response: StartResponse) -> Iterable[bytes]:
    """Give a reply that is complete."""
    start_response(status_line(reply.status), text(reply.headers))
    return (reply.body,) if reply.body else ()


def nowhere(
    _status: str, _headers: list[tuple[str, str]], _exc_info: Any = None
) -> Callable[[bytes], object]:
    """Where the response of a background refresh goes."""
    return lambda _: None
