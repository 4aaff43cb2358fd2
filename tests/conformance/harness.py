"""Minimal drivers: a wrapped application is called in this process, without any server."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from io import BytesIO
from threading import Condition, Event, Thread
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from regionware import Regionware
from tests.conformance.application import DEADLINE, Application, Fields, Gate

Flavour = Literal["asgi", "wsgi"]


class HungUp(ConnectionResetError):
    """The client has gone; what a server raises in the application's `send`."""


def until(condition: Callable[[], object], seconds: float = DEADLINE) -> None:
    """Wait for what happens elsewhere; what takes long is asked for less and less often."""
    limit, pause = time.monotonic() + seconds, 0.002
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(pause)
        pause = min(pause * 1.1, 0.02)


@dataclass
class Ask:
    """One request, with the path as it is on the wire.

    Attributes:
        leave_after: how many chunks its client stays for.
        stalls: where its client stands when it has taken `takes` chunks.
    """

    path: str
    method: str = "GET"
    headers: Mapping[str, str] | Fields = ()
    query: str = ""
    body: bytes = b""
    host: str = "site.test"
    scheme: str = "http"
    peer: str = "192.0.2.9"
    port: int = 40000
    user: object = None
    leave_after: int | None = None
    stalls: Gate | None = None
    takes: int = 0

    def fields(self) -> list[tuple[str, str]]:
        given = self.headers.items() if isinstance(self.headers, Mapping) else self.headers
        fields = [("host", self.host), *((name.lower(), value) for name, value in given)]
        if self.body:
            fields.append(("content-length", str(len(self.body))))
        return fields


@dataclass
class Answer:
    """What the client received."""

    status: int
    headers: Fields
    chunks: Sequence[bytes]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def all(self, name: str) -> list[str]:
        return [value for field, value in self.headers if field.lower() == name]

    def __getitem__(self, name: str) -> str:
        """The field's lines joined; an empty string where it is absent."""
        return ", ".join(self.all(name))

    @property
    def cache_status(self) -> dict[str, str]:
        """Our member of `Cache-Status`, its parameters by name."""
        name, *parameters = [part.strip() for part in self["cache-status"].split(";")]
        assert name == "regionware", self["cache-status"]
        return {key: value for key, _, value in (each.partition("=") for each in parameters)}

    @property
    def hit(self) -> bool:
        return "hit" in self.cache_status


class Call:
    """One request on its way."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.status = 0
        self.headers: Fields = ()
        self.chunks: list[bytes] = []
        self.finished = Event()
        self.future: Future[None] = Future()
        self._changed = Condition()

    def begin(self, status: int, headers: Fields) -> None:
        with self._changed:
            self.status, self.headers = status, headers
            self._changed.notify_all()

    def add(self, chunk: bytes) -> None:
        with self._changed:
            if chunk:
                self.chunks.append(chunk)
                self._changed.notify_all()

    def took(self, chunk: bytes) -> bool:
        """Whether this was the last chunk that the client stayed for."""
        self.add(chunk)
        return self.left

    @property
    def stalled(self) -> Gate | None:
        """Where the client stands now instead of taking the next chunk."""
        return self.ask.stalls if len(self.chunks) == self.ask.takes else None

    @property
    def left(self) -> bool:
        return self.ask.leave_after is not None and len(self.chunks) >= self.ask.leave_after

    def received(self, *chunks: bytes) -> None:
        """Wait until exactly these chunks have arrived so far."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.chunks) >= len(chunks), DEADLINE)
        assert arrived
        assert self.chunks == list(chunks)

    def result(self) -> Answer:
        """The whole answer.

        Raises:
            Exception: what the server would have seen.
        """
        self.future.result(DEADLINE)
        return Answer(self.status, self.headers, self.chunks)


class Loop:
    """An event loop on a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = Thread(target=self.loop.run_forever, name="conformance-loop")
        self._thread.start()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


class Site:
    """An application behind a `Regionware`, and its clients."""

    def __init__(self, flavour: Flavour, rw: Regionware, app: Application, loop: Loop) -> None:
        self.flavour = flavour
        self.rw = rw
        self.app = app
        self._loop = loop.loop
        self._asgi = rw.asgi(app.asgi)
        self._wsgi = rw.wsgi(app.wsgi)
        self._threads = ThreadPoolExecutor(128, thread_name_prefix="client")

    def get(self, path: str, **ask: Any) -> Answer:
        """One request and its whole answer; the keywords are those of `Ask`."""
        if self.flavour == "asgi":
            return self.start(path, **ask).result()
        # Most of the cost of a request here would be to hand it to a thread, and to wait for it.
        call = Call(Ask(path, **ask))
        copy_context().run(self._drive_wsgi, call)
        return Answer(call.status, call.headers, call.chunks)

    def start(self, path: str, **ask: Any) -> Call:
        """Begin a request in the background."""
        call = Call(Ask(path, **ask))
        if self.flavour == "asgi":
            call.future = asyncio.run_coroutine_threadsafe(self._drive_asgi(call), self._loop)
        else:
            call.future = self._threads.submit(self._drive_wsgi, call)
        return call

    def together(self, asks: Iterable[Mapping[str, Any]]) -> list[Call]:
        return [self.start(**ask) for ask in asks]

    @property
    def parked(self) -> int:
        """How many requests wait for another's fill."""
        return sum(len(each.wakers) for each in self.rw._parts.rim._flights._flights.values())

    @property
    def bodies(self) -> "Bodies":
        return Bodies(self)

    def close(self) -> None:
        self._threads.shutdown()

    # ASGI

    async def _drive_asgi(self, call: Call) -> None:
        pending: list[dict[str, Any]] = [
            {"type": "http.request", "body": call.ask.body, "more_body": False}
        ]
        ended = False

        async def receive() -> Any:
            if pending:
                return pending.pop()
            return await asyncio.get_running_loop().create_future()  # until it is cancelled

        async def send(message: Any) -> None:
            nonlocal ended
            assert not ended, f"{message} after the end"
            if message["type"] == "http.response.start":
                assert not call.status, "a second head"
                fields = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in message["headers"]]
                assert all(name == name.lower() for name, _ in fields)
                call.begin(message["status"], fields)
            else:
                assert call.status, "a body before the head"
                if call.stalled is not None:
                    await call.stalled.await_()
                if call.left:
                    raise HungUp
                call.add(message.get("body", b""))
                ended = not message.get("more_body", False)

        try:
            await self._asgi(_scope(call.ask), receive, send)
            assert ended, "the response has no end"
        finally:
            call.finished.set()

    # WSGI

    def _drive_wsgi(self, call: Call) -> None:
        def start_response(status: str, headers: Fields, exc_info: Any = None) -> Any:
            if exc_info is not None and call.chunks:
                raise exc_info[1]
            assert exc_info is not None or not call.status, "a second head"
            call.begin(int(status[:3]), list(headers))
            return call.add

        result = None
        try:
            result = self._wsgi(_environ(call.ask), start_response)
            if not call.left:
                for chunk in result:
                    assert call.status, "a chunk before the head"
                    if call.stalled is not None:
                        call.stalled.wait()
                    if call.took(chunk):
                        break
            assert call.left or call.status, "no head"
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
            call.finished.set()


class Bodies:
    """`site.bodies[path, path, …]`: the bodies of requests made one after the other."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def __getitem__(self, paths: tuple[str, ...]) -> list[bytes]:
        return [self._site.get(path).body for path in paths]


def _scope(ask: Ask) -> dict[str, Any]:
    raw = ask.path.encode("latin-1")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": ask.method,
        "scheme": ask.scheme, "path": unquote_to_bytes(raw).decode("utf-8", "replace"),
        "raw_path": raw, "query_string": ask.query.encode("latin-1"), "root_path": "",
        "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in ask.fields()],
        "client": (ask.peer, ask.port), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    return scope if ask.user is None else {**scope, "user": ask.user}


def _environ(ask: Ask) -> dict[str, Any]:
    environ = {
        "REQUEST_METHOD": ask.method, "SCRIPT_NAME": "", "SERVER_NAME": "site.test",
        "PATH_INFO": unquote_to_bytes(ask.path.encode("latin-1")).decode("latin-1"),
        "RAW_URI": f"{ask.path}?{ask.query}" if ask.query else ask.path,
        "QUERY_STRING": ask.query, "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": ask.peer, "REMOTE_PORT": str(ask.port),
        "wsgi.version": (1, 0), "wsgi.url_scheme": ask.scheme,
        "wsgi.input": BytesIO(ask.body), "wsgi.errors": BytesIO(), "wsgi.multithread": True,
        "wsgi.multiprocess": True, "wsgi.run_once": False,
    }  # fmt: skip
    for name, value in ask.fields():
        key = name.upper().replace("-", "_")
        key = key if key in {"CONTENT_LENGTH", "CONTENT_TYPE"} else f"HTTP_{key}"
        joint = "; " if key == "HTTP_COOKIE" else ", "
        environ[key] = f"{environ[key]}{joint}{value}" if key in environ else value
    return environ if ask.user is None else {**environ, "REMOTE_USER": ask.user}
