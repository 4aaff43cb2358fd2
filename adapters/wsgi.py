"""WSGI (PEP 3333), over the four moments.

Bodies stream: a chunk is handed on before it is copied, and what remains to be done is done in
`close`, which a server calls when everything has been sent. The application, and every step of
its iterator, runs in the request's own copy of the context.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from http import HTTPStatus
from io import BytesIO
from typing import Any

from regionware.caching.entry import Entry
from regionware.caching.freshness import DECIDING
from regionware.context import bind
from regionware.drive import drive
from regionware.errors import Unavailable
from regionware.exchange import Exchange, begin
from regionware.heads import NO_EDITS
from regionware.http.paths import is_odd_raw
from regionware.http.request import Request, RequestEdits
from regionware.rim import Rim
from regionware.serving import Reply, hit_headers

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

_DECIDING = DECIDING | {"connection"}
_UNPREFIXED = {"content-length": "CONTENT_LENGTH", "content-type": "CONTENT_TYPE"}
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_PERSONAL = (
    "HTTP_AUTHORIZATION",
    "HTTP_PROXY_AUTHORIZATION",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_RANGE",
    "HTTP_IF_RANGE",
    "HTTP_REGIONWARE_SESSION",
    "HTTP_REGIONWARE_DEBUG",
)
#: What PEP 3333 and RFC 3875 define; what is around us may have put an identity elsewhere.
_STANDARD = ("HTTP_", "wsgi.", "SERVER_")
_NAMES = frozenset(
    {"SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "RAW_URI", "REQUEST_URI", "REMOTE_ADDR"}
)
_REFRESHES = 4
_QUEUED = 32


def variable(name: str) -> str:
    """The environ variable of a field (PEP 3333, "environ Variables")."""
    return _UNPREFIXED.get(name) or "HTTP_" + name.upper().replace("-", "_")


class WsgiRequest(Request):
    """A view of a WSGI environ."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Environ, names: Mapping[str, str]) -> None:
        """Read what every request needs; the rest when it is asked for."""
        self._environ = environ
        self.method = environ["REQUEST_METHOD"]
        self.scheme = environ["wsgi.url_scheme"]
        self.query = environ.get("QUERY_STRING", "")
        self.root = environ.get("SCRIPT_NAME", "")
        path = environ.get("PATH_INFO", "") or "/"
        # PEP 3333 hands over octets as Latin-1; ASGI servers decode UTF-8. One spelling for both.
        self.path = path if path.isascii() else path.encode("latin-1").decode("utf-8", "replace")
        raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
        self.odd = "%" in raw and is_odd_raw(raw.partition("?")[0].encode("latin-1", "replace"))
        self.peer = environ.get("REMOTE_ADDR") or None
        self.special = {
            names[key]: environ[key]
            for key in environ
            if key in names and (environ[key] or key != "CONTENT_LENGTH")
        }
        self.host = self.special["host"].lower() if "host" in self.special else ""

    def header(self, name: str) -> str | None:
        """See `Request`."""
        return self._environ.get(variable(name))

    def headers(self) -> Iterator[tuple[str, str]]:
        """See `Request`."""
        for key, value in self._environ.items():
            if key.startswith("HTTP_"):
                yield key[5:].lower().replace("_", "-"), value


class WsgiMiddleware:
    """A WSGI application, wrapped."""

    def __init__(self, app: App, rim: Rim) -> None:
        """Prepare the names that a request is searched for."""
        self.app = app
        self._rim = rim
        self._prepared = rim.prepared
        self._names = {variable(name): name for name in rim.prepared.names()}
        self._pool: ThreadPoolExecutor | None = None
        self._queued = 0

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or let the application answer it."""
        found = begin(self._prepared, WsgiRequest(environ, self._names))
        if type(found) is Entry:
            status, headers = self._wire(found)
            start_response(status, headers.copy())
            return (found.body,)
        if isinstance(found, Exchange):
            return self._carry(found, environ, start_response)
        if isinstance(found, Reply):
            return _answer(found, start_response)
        return self.app(environ, start_response)

    def _wire(self, entry: Entry) -> tuple[str, list[tuple[str, str]]]:
        """An entry's head, prepared once for each second of its age."""
        now = self._prepared.clock()
        second, wire = int(now), entry.wire
        if wire is None or wire[0] is not self or wire[1] != second:
            entry.wire = wire = (
                self,
                second,
                (_status(entry.status), _text(hit_headers(entry, now))),
            )
        head: tuple[str, list[tuple[str, str]]] = wire[2]
        return head

    def _carry(
        self, exchange: Exchange, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        if exchange.filling is not None and not exchange.bypass:
            reply = drive(exchange.recall(), self._rim.perform)
            if reply is not None:
                if reply.refresh is not None:
                    self._refresh(reply.refresh, environ)
                return _answer(reply, start_response)
        if exchange.edits is not None:
            environ = _edited(environ, exchange.edits)
        return Responder(exchange, self._rim, copy_context()).run(self.app, environ, start_response)

    def _refresh(self, exchange: Exchange, environ: Environ) -> None:
        """Carry out an exchange in the background, for nobody: no identity, no context."""
        if self._queued >= _QUEUED:
            drive(exchange.abandon(), self._rim.perform)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_REFRESHES, thread_name_prefix="regionware-refresh")
        self._queued += 1
        environ = {key: value for key, value in environ.items() if _is_impersonal(key)}
        self._pool.submit(self._carry_out, exchange, environ)

    def _carry_out(self, exchange: Exchange, environ: Environ) -> None:
        try:
            exchange.impersonal()
            if exchange.edits is not None:
                environ = _edited(environ, exchange.edits)
            environ["wsgi.input"] = BytesIO()
            environ["REQUEST_METHOD"] = "GET"
            body = Responder(exchange, self._rim, Context()).run(self.app, environ, _nowhere)
            try:
                for _ in body:
                    pass
            finally:
                close = getattr(body, "close", None)
                if close is not None:
                    close()
        except Exception as error:  # noqa: BLE001 - reported; nobody waits for it
            self._rim.refresh_failed(exchange, error)
        finally:
            self._queued -= 1


_NOTHING: Iterator[bytes] = iter(())


class Responder:
    """One response on its way out: a callable for the application, an iterable for the server."""

    __slots__ = (
        "_chunks", "_closed", "_complete", "_connection", "_context", "_exchange", "_headers",
        "_instead", "_iterator", "_left", "_result", "_rim", "_server", "_started", "_status",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, rim: Rim, context: Context) -> None:
        """Begin with nothing sent."""
        self._exchange = exchange
        self._rim = rim
        self._context = context
        self._server: StartResponse = _nowhere
        self._started = False
        self._complete = False
        self._closed = False
        self._instead: Reply | None = None
        self._status = 0
        self._headers: list[tuple[str, str]] = []
        self._connection: tuple[str, ...] = ()
        self._chunks: list[bytes] | None = None
        self._left = 0
        self._result: Iterable[bytes] = ()
        self._iterator: Iterator[bytes] = _NOTHING

    def run(self, app: App, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Call the application; what it returns, or this, which iterates over it."""
        self._server = start_response
        self._context.run(bind, self._exchange)
        try:
            transparent = self._exchange.transparent
            self._result = self._context.run(
                app, environ, start_response if transparent else self.start_response
            )
            if isinstance(self._result, (list, tuple)) and (transparent or self._nothing_left()):
                return self._result
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
        self._started, self._chunks = True, None
        values: dict[str, tuple[str, ...]] = {}
        for name, value in headers:
            if name.lower() in _DECIDING:
                values[name.lower()] = (*values.get(name.lower(), ()), value)
        self._status = int(status[:3])
        edits = self._exchange.head(self._status, values)
        if edits.reply is not None:
            return self._replace(edits.reply, exc_info)
        if edits is not NO_EDITS:
            headers = [pair for pair in headers if pair[0].lower() not in edits.remove] + edits.add
        write = (
            self._server(status, headers, exc_info) if exc_info else self._server(status, headers)
        )
        if edits.copy:
            self._headers, self._chunks, self._left = headers, [], edits.copy
            self._connection = tuple(
                n.strip().lower() for line in values.get("connection", ()) for n in line.split(",")
            )

        if not edits.copy:
            return write

        def copying(chunk: bytes) -> None:
            write(chunk)
            self._copy(chunk)

        return copying

    def _replace(self, reply: Reply, exc_info: Any = None) -> Callable[[bytes], object]:
        self._instead = reply
        self._started = True
        head = _status(reply.status), _text(reply.headers)
        self._server(*head, exc_info) if exc_info else self._server(*head)
        return lambda _: None

    def _failed(self, error: BaseException) -> bool:
        """Answer in place of an application that failed; `False` where nothing can be done."""
        if self._started or not isinstance(error, Exception):
            self.close()
            return False
        unavailable = isinstance(error, Unavailable)
        reply = self._exchange.rescue(503 if unavailable else 500)
        if reply is None and isinstance(error, Unavailable):
            reply = self._exchange.unavailable(error)
        if reply is None:
            self.close()
            return False
        self._rim.rescued(self._exchange, error)
        self._replace(reply)
        return True

    def _copy(self, chunk: bytes) -> None:
        if self._chunks is None:
            return
        self._left -= len(chunk)
        if self._left < 0:
            self._chunks = None
        elif chunk:
            self._chunks.append(bytes(chunk))

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
        self._copy(chunk)
        return chunk

    def _replacement(self, reply: Reply) -> bytes:
        if self._complete:
            raise StopIteration
        self._complete, self._chunks = True, None
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
        complete = self._complete or (
            isinstance(self._result, (list, tuple)) and self._started and len(self._result) == 0
        )
        if not complete or self._instead is not None:
            drive(exchange.abandon(), self._rim.perform)
            return
        if self._chunks is None and not exchange.pending:
            return
        body = None if self._chunks is None else b"".join(self._chunks)
        headers = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in self._headers
        ]
        drive(exchange.finish(self._status, headers, body, self._connection), self._rim.perform)


def _is_impersonal(key: str) -> bool:
    """Whether a background refresh carries a variable: no identity, nothing from around us."""
    return (key.startswith(_STANDARD) or key in _NAMES) and key not in _PERSONAL


def _status(code: int) -> str:
    return _STATUS.get(code) or f"{code} Unknown"


def _text(headers: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _edited(environ: Environ, edits: RequestEdits) -> Environ:
    removed = {variable(name) for name in edits.remove}
    if edits.cookie is not None:
        removed.add("HTTP_COOKIE")
    edited = {key: value for key, value in environ.items() if key not in removed}
    if edits.cookie:
        edited["HTTP_COOKIE"] = edits.cookie
    if edits.query is not None:
        edited["QUERY_STRING"] = edits.query
    return edited


def _answer(reply: Reply, start_response: StartResponse) -> Iterable[bytes]:
    start_response(_status(reply.status), _text(reply.headers))
    return (reply.body,) if reply.body else ()


def _nowhere(
    _status: str, _headers: list[tuple[str, str]], _exc_info: Any = None
) -> Callable[[bytes], object]:
    """Where the response of a background refresh goes."""
    return lambda _: None
