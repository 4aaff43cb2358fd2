"""Both protocols without a server: the same application, the same request, called in this process.

What a server does for each request, a fresh scope or environ, is done here too, and is part of
every figure, of the bare application's as well.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Any, ClassVar, Literal, Protocol

import redis
import redis.asyncio

from regionware import Regionware

Protocols = Literal["asgi", "wsgi"]
Message = MutableMapping[str, Any]
AsgiApp = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]
WsgiApp = Callable[[dict[str, Any], Callable[..., Callable[[bytes], object]]], Iterable[bytes]]

#: What a browser sends, as far as every browser sends it.
BROWSER = {
    "host": "site.test",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language": "en-GB,en;q=0.5",
    "accept-encoding": "gzip, deflate, br, zstd",
}


_SCOPE: dict[str, Any] = {
    "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
    "scheme": "http", "server": ("127.0.0.1", 80), "client": ("192.0.2.9", 50000), "root_path": "",
    "query_string": b"",
}  # fmt: skip
_ENVIRON: dict[str, Any] = {
    "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "192.0.2.9", "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http", "wsgi.errors": StringIO(), "wsgi.multithread": True,
    "wsgi.multiprocess": True, "wsgi.run_once": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What the application answers to everything."""

    body: bytes
    fields: Mapping[str, str]
    status: int = 200

    def all_fields(self) -> list[tuple[str, str]]:
        return [*self.fields.items(), ("content-length", str(len(self.body)))]


class Ask:
    """One request, as a parser hands it over."""

    __slots__ = ("fields", "method", "path", "raw_fields", "raw_path")

    def __init__(self, path: str, method: str = "GET", **fields: str) -> None:
        """Take further fields by name, with underscores for hyphens."""
        self.path = path
        self.raw_path = path.encode()
        self.method = method
        more = {name.replace("_", "-"): value for name, value in fields.items()}
        self.fields = list((BROWSER | more).items())
        self.raw_fields = [(name.encode(), value.encode()) for name, value in self.fields]


@dataclass(slots=True)
class Seen:
    """The last response of a batch."""

    status: int
    fields: dict[str, str]
    body: bytes


class Side(Protocol):
    """One protocol: applications made for it, wrapped and driven."""

    name: Protocols

    def application(self, answer: Answer) -> Any: ...
    def wrap(self, rw: Regionware, app: Any) -> Any: ...
    def run(self, app: Any, asks: Sequence[Ask]) -> Seen: ...
    def gets(self, url: str, key: str) -> Callable[[int], None]: ...
    def close(self, rw: Regionware | None = None) -> None: ...


class AsgiApplication:
    """The least an ASGI application can do: two messages that were prepared."""

    def __init__(self, answer: Answer) -> None:
        self.calls = 0
        self._status = answer.status
        self._body = answer.body
        self._headers = [(n.encode(), v.encode()) for n, v in answer.all_fields()]

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        self.calls += 1
        await send(
            {
                "type": "http.response.start",
                "status": self._status,
                "headers": list(self._headers),
            }
        )
        await send({"type": "http.response.body", "body": self._body})


class WsgiApplication:
    """The least a WSGI application can do."""

    _REASONS: ClassVar = {200: "200 OK", 304: "304 Not Modified"}

    def __init__(self, answer: Answer) -> None:
        self.calls = 0
        self._status = self._REASONS[answer.status]
        self._body = answer.body
        self._headers = answer.all_fields()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.calls += 1
        start_response(self._status, list(self._headers))
        return [self._body]


class Asgi:
    """ASGI, in an event loop of its own: uvloop's where that is installed."""

    name: Protocols = "asgi"

    def __init__(self) -> None:
        self._loop, self.loop_name = _new_loop()
        self._clients: list[redis.asyncio.Redis] = []

    def application(self, answer: Answer) -> AsgiApplication:
        return AsgiApplication(answer)

    def wrap(self, rw: Regionware, app: AsgiApp) -> AsgiApp:
        return rw.asgi(app)

    def run(self, app: AsgiApp, asks: Sequence[Ask]) -> Seen:
        messages = self._loop.run_until_complete(self._run(app, asks))
        fields = {n.decode(): v.decode() for n, v in messages[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in messages[1:])
        return Seen(messages[0]["status"], fields, body)

    @staticmethod
    async def _run(app: AsgiApp, asks: Sequence[Ask]) -> list[Message]:
        messages: list[Message] = []

        async def send(message: Message) -> None:
            messages.append(message)

        for ask in asks:
            messages.clear()
            await app(scope_of(ask), _receive, send)
        return messages

    def gets(self, url: str, key: str) -> Callable[[int], None]:
        client = redis.asyncio.Redis.from_url(url, protocol=2)
        self._clients.append(client)

        async def several(count: int) -> None:
            for _ in range(count):
                assert await client.get(key)

        return lambda count: self._loop.run_until_complete(several(count))

    def close(self, rw: Regionware | None = None) -> None:
        if rw is not None:
            self._loop.run_until_complete(rw.aclose())
            return
        for client in self._clients:
            self._loop.run_until_complete(client.aclose())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


class Wsgi:
    """WSGI, on this thread."""

    name: Protocols = "wsgi"
    loop_name = ""

    def __init__(self) -> None:
        self._clients: list[redis.Redis] = []

    def application(self, answer: Answer) -> WsgiApplication:
        return WsgiApplication(answer)

    def wrap(self, rw: Regionware, app: WsgiApp) -> WsgiApp:
        return rw.wsgi(app)

    def run(self, app: WsgiApp, asks: Sequence[Ask]) -> Seen:
        head: list[Any] = []
        body = b""

        def start_response(status: str, fields: Any, error: Any = None) -> Callable[[bytes], None]:
            head[:] = status, fields
            return _write

        for ask in asks:
            result = app(_environ(ask), start_response)
            body = b"".join(result)
            close = getattr(result, "close", None)
            if close is not None:
                close()
        return Seen(int(head[0][:3]), dict(head[1]), body)

    def gets(self, url: str, key: str) -> Callable[[int], None]:
        client = redis.Redis.from_url(url, protocol=2)
        self._clients.append(client)

        def several(count: int) -> None:
            for _ in range(count):
                assert client.get(key)

        return several

    def close(self, rw: Regionware | None = None) -> None:
        if rw is not None:
            rw.close()
            return
        for client in self._clients:
            client.close()


def _new_loop() -> tuple[asyncio.AbstractEventLoop, str]:
    try:
        import uvloop  # noqa: PLC0415 - it exists for some systems only
    except ImportError:
        return asyncio.new_event_loop(), "asyncio"
    return uvloop.new_event_loop(), "uvloop"


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _write(_: bytes) -> None:
    """What PEP 3333 calls `write`; nobody uses it here."""


def scope_of(ask: Ask) -> dict[str, Any]:
    """What a server makes of a request (ASGI 3)."""
    return _SCOPE | {
        "method": ask.method,
        "path": ask.path,
        "raw_path": ask.raw_path,
        "headers": ask.raw_fields.copy(),
        "state": {},
    }


def _environ(ask: Ask) -> dict[str, Any]:
    """What a server makes of a request (PEP 3333)."""
    environ = _ENVIRON.copy()
    environ["REQUEST_METHOD"] = ask.method
    environ["PATH_INFO"] = ask.path
    environ["wsgi.input"] = BytesIO()
    for name, value in ask.fields:
        environ["HTTP_" + name.upper().replace("-", "_")] = value
    return environ
