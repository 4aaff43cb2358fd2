"""An application described once, and spoken over both protocols.

A handler is a plain function of what the application saw; it returns a `Response`, or raises.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any

import regionware

#: Seconds after which a test that waits for something has failed.
DEADLINE = 20.0

_WAITERS = ThreadPoolExecutor(128, thread_name_prefix="gate")

Fields = Sequence[tuple[str, str]]


class Gate:
    """A place where the application waits until the test lets it pass."""

    def __init__(self) -> None:
        self._opened = Event()
        self._lock = Lock()
        self._reached = Event()
        self.waiting = 0

    def wait(self) -> None:
        with self._lock:
            self.waiting += 1
        self._reached.set()
        assert self._opened.wait(DEADLINE), "nobody opened the gate"

    async def await_(self) -> None:
        await asyncio.get_running_loop().run_in_executor(_WAITERS, self.wait)

    def open(self) -> None:
        self._opened.set()

    def reached(self) -> None:
        """Wait until the application stands here."""
        assert self._reached.wait(DEADLINE), "the application never came to the gate"


Step = bytes | Gate | Exception | Callable[[], object]


@dataclass
class Response:
    """What the application answers.

    Attributes:
        chunks: the body: chunks to send, gates to wait at, errors to raise, functions to call.
        hold: a gate before the head.
    """

    chunks: Sequence[Step] = ()
    status: int = 200
    headers: Fields = ()
    hold: Gate | None = None

    @property
    def fields(self) -> list[tuple[str, str]]:
        if self.status in {204, 304} or any(n.lower() == "content-type" for n, _ in self.headers):
            return list(self.headers)
        return [("Content-Type", "text/plain"), *self.headers]


@dataclass
class Seen:
    """One request as the application saw it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    user: object
    state: regionware.Current | None = field(default_factory=regionware.current)


Handler = Callable[[Seen], Response]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Application:
    """Speaks for a handler, and remembers every call."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.calls: list[Seen] = []
        self.closed = 0

    def _answer(self, seen: Seen) -> Response:
        self.calls.append(seen)
        return self.handler(seen)

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        response = self._answer(
            Seen(
                scope["method"], scope["path"], scope["query_string"].decode("latin-1"),
                {n.decode(): v.decode("latin-1") for n, v in scope["headers"]}, body,
                scope.get("user"),
            )
        )  # fmt: skip
        if response.hold is not None:
            await response.hold.await_()
        fields = [(n.lower().encode(), v.encode("latin-1")) for n, v in response.fields]
        await send({"type": "http.response.start", "status": response.status, "headers": fields})
        steps = () if scope["method"] == "HEAD" else response.chunks
        if len(steps) == 1 and isinstance(steps[0], bytes):  # as most frameworks do
            await send({"type": "http.response.body", "body": steps[0]})
            return
        async for chunk in _asteps(steps):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})

    def wsgi(
        self, environ: dict[str, Any], start_response: Callable[..., object]
    ) -> Iterator[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        headers = {
            name.removeprefix("HTTP_").lower().replace("_", "-"): value
            for name, value in environ.items()
            if name.startswith("HTTP_") or name in {"CONTENT_LENGTH", "CONTENT_TYPE"}
        }
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        response = self._answer(
            Seen(
                environ["REQUEST_METHOD"], path, environ["QUERY_STRING"], headers,
                environ["wsgi.input"].read(length), environ.get("REMOTE_USER"),
            )
        )  # fmt: skip
        if response.hold is not None:
            response.hold.wait()
        start_response(f"{response.status} Whatever", response.fields)
        return Body(self, () if environ["REQUEST_METHOD"] == "HEAD" else response.chunks)


class Body(Iterator[bytes]):
    """A WSGI body that counts how often it is closed."""

    def __init__(self, application: Application, steps: Sequence[Step]) -> None:
        self._application = application
        self._steps = _steps(steps)

    def __next__(self) -> bytes:
        return next(self._steps)

    def close(self) -> None:
        self._application.closed += 1


def _steps(steps: Sequence[Step]) -> Iterator[bytes]:
    for step in steps:
        if isinstance(step, bytes):
            yield step
        elif isinstance(step, Gate):
            step.wait()
        elif isinstance(step, Exception):
            raise step
        else:
            step()


async def _asteps(steps: Sequence[Step]) -> AsyncIterator[bytes]:
    for step in steps:
        if isinstance(step, Gate):
            await step.await_()
        else:
            for chunk in _steps((step,)):
                yield chunk


def text(body: str | bytes = b"", status: int = 200, **headers: str) -> Response:
    """A response in one chunk; header names are written with underscores."""
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Response([body.encode() if isinstance(body, str) else body], status, fields)


def counting(status: int = 200, **headers: str) -> Handler:
    """A handler whose answers are "1", "2", and so on: two equal ones came from a cache."""
    calls = iter(range(1, 1_000_000))
    return lambda _: text(str(next(calls)), status, **headers)


class Layered(Application):
    """One without a handler, that asks the layer around it: a subclass speaks both protocols."""

    def __init__(self) -> None:
        super().__init__(lambda _: (_ for _ in ()).throw(NotImplementedError))
        self.rw: regionware.Regionware | None = None

    @property
    def layer(self) -> regionware.Regionware:
        """What is around it, once it was said."""
        assert self.rw is not None
        return self.rw
