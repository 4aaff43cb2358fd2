"""Requests for an application in this process, over ASGI or WSGI, and its answers."""

import asyncio
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Literal
from urllib.parse import unquote

Protocol = Literal["asgi", "wsgi"]
_ORIGIN = "test"


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        path: the path, with its query.
        method: the method.
        headers: fields.
        body: the content.
        peer: the address that it comes from.
    """

    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: str = "127.0.0.1"

    @property
    def identity(self) -> tuple[object, ...]:
        """Everything that an answer may depend on."""
        return self.path, self.method, tuple(sorted(self.headers.items())), self.body, self.peer


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        status: the status code.
        headers: fields, by lower-case name, in order.
        body: the whole content.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """The values of a field."""
        return [value for known, value in self.headers if known == name]


async def call_asgi(app: Any, request: Request) -> Answer:
    """Ask an ASGI application."""
    path, _, query = request.path.partition("?")
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
        "method": request.method, "path": unquote(path), "raw_path": path.encode(),
        "root_path": "", "query_string": query.encode(), "client": (request.peer, 1),
        "server": (_ORIGIN, 80),
        "headers": [(n.lower().encode(), v.encode("latin-1")) for n, v in _fields(request)],
    }  # fmt: skip
    waiting = [{"type": "http.request", "body": request.body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = next(each for each in sent if each["type"] == "http.response.start")
    body = b"".join(each.get("body", b"") for each in sent if each["type"] == "http.response.body")
    headers = ((n.decode("latin-1"), v.decode("latin-1")) for n, v in start.get("headers", ()))
    return Answer(start["status"], _lowered(headers), _content(request, body))


def call_wsgi(app: Any, request: Request) -> Answer:
    """Ask a WSGI application."""
    path, _, query = request.path.partition("?")
    started: list[Any] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
        started[:] = [int(status.split(maxsplit=1)[0]), headers]
        return written.append

    environ = {
        "REQUEST_METHOD": request.method, "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, "latin-1"), "QUERY_STRING": query, "SERVER_NAME": _ORIGIN,
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": request.peer,
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": BytesIO(request.body),
        "wsgi.errors": BytesIO(), "wsgi.multithread": True, "wsgi.multiprocess": True,
        "wsgi.run_once": False, "CONTENT_LENGTH": str(len(request.body)),
        **{_cgi(name): value for name, value in _fields(request)},
    }  # fmt: skip
    chunks = app(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    body = b"".join(written) + body
    return Answer(started[0], _lowered(started[1]), _content(request, body))


def protocol_of(app: Any) -> Protocol:
    """Which protocol an application speaks: ASGI ones are coroutine functions."""
    call = app if inspect.isroutine(app) else type(app).__call__
    return "asgi" if inspect.iscoroutinefunction(call) else "wsgi"


def _content(request: Request, body: bytes) -> bytes:
    """What a server would send: nothing after the fields of a HEAD."""
    return b"" if request.method == "HEAD" else body


def _fields(request: Request) -> list[tuple[str, str]]:
    named = {name.lower() for name in request.headers}
    host = [] if "host" in named else [("host", _ORIGIN)]
    length = [("content-length", str(len(request.body)))] if request.body else []
    return [*host, *length, *request.headers.items()]


def _cgi(name: str) -> str:
    name = name.upper().replace("-", "_")
    return name if name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{name}"


def _lowered(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, value in headers)
