"""Two regions of one application, each behind a real server in a thread of this process."""

import http.client
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from werkzeug.serving import make_server

from regionware import Region, Regionware, Topology
from regionware.policies import Cache, Route, Write
from tests.conformance.application import DEADLINE, Receive, Scope, Send
from tests.conformance.harness import Flavour, until

SECRET = "a secret of the tests, long enough"
FORWARDS = Write.forward(timeout=DEADLINE, connect_timeout=DEADLINE, idle_timeout=DEADLINE)
Fields = Sequence[tuple[str, str]]


@dataclass
class Seen:
    """One request, as a bare application sees it."""

    method: str
    path: str
    query: str
    scheme: str
    client: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def of(self, name: str) -> list[str]:
        """The lines of a field."""
        return [value for field, value in self.headers if field == name]

    def facts(self) -> dict[str, Any]:
        """What must not depend on the way; the order of different fields says nothing."""
        headers = sorted(self.headers, key=lambda pair: pair[0])
        return {**self.__dict__, "headers": headers}


@dataclass
class Told:
    """What it answers; each step is a chunk, or a function that may wait, or raise."""

    status: int = 200
    headers: Fields = ()
    steps: Sequence[bytes | Callable[[], object]] = (b"done",)


class App:
    """Remembers every request, and answers as it is told."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.told: Callable[[Seen], Told] = lambda _: Told()
        self.reads = True

    def _answer(self, seen: Seen) -> Told:
        self.seen.append(seen)
        return self.told(seen)

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        body, more = b"", self.reads
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        client = scope["client"]
        seen = Seen(
            scope["method"], scope["path"], scope["query_string"].decode("latin-1"),
            scope["scheme"], client[0] if client else "",
            [(n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"]], body,
        )  # fmt: skip
        told = self._answer(seen)
        fields = [(n.lower().encode(), v.encode("latin-1")) for n, v in told.headers]
        await send({"type": "http.response.start", "status": told.status, "headers": fields})
        for step in told.steps:
            chunk = step if isinstance(step, bytes) else (await _aside(step)) or b""
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        length = environ.get("CONTENT_LENGTH")
        source = environ["wsgi.input"]
        body = b""
        if self.reads and (length or environ.get("wsgi.input_terminated")):
            body = source.read(int(length)) if length else source.read()
            if length and len(body) < int(length):
                return iter(())
        headers = [
            (key.removeprefix("HTTP_").lower().replace("_", "-"), value)
            for key, value in environ.items()
            if key.startswith("HTTP_") or (key in {"CONTENT_LENGTH", "CONTENT_TYPE"} and value)
        ]
        path = (environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"]).encode("latin-1")
        told = self._answer(
            Seen(
                environ["REQUEST_METHOD"], path.decode("utf-8", "replace"),
                environ["QUERY_STRING"], environ["wsgi.url_scheme"],
                environ.get("REMOTE_ADDR", ""), headers, body,
            )
        )  # fmt: skip
        start_response(f"{told.status} Told", list(told.headers))
        return (s if isinstance(s, bytes) else (s() or b"") for s in told.steps)  # type: ignore[misc] # a step returns a chunk, or nothing


async def _aside(step: Callable[[], object]) -> Any:
    import asyncio  # noqa: PLC0415 - of this line alone

    return await asyncio.to_thread(step)


class Server:
    """A server of one application, in a thread."""

    def __init__(self, flavour: Flavour, app: Any) -> None:
        self.flavour = flavour
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        if flavour == "asgi":
            config = uvicorn.Config(
                app, log_config=None, proxy_headers=False, ws="none", loop="asyncio",
                timeout_graceful_shutdown=5, interface="asgi3",
            )  # fmt: skip
            self._uvicorn = uvicorn.Server(config)
            run = lambda: self._uvicorn.run([self._socket])  # noqa: E731 - a thread's
        else:
            logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
            self._werkzeug = make_server(
                "127.0.0.1", self.port, app, threaded=True, fd=self._socket.fileno()
            )
            run = self._werkzeug.serve_forever
        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        if flavour == "asgi":
            until(lambda: self._uvicorn.started)

    def close(self) -> None:
        if self.flavour == "asgi":
            self._uvicorn.should_exit = True
        else:
            self._werkzeug.shutdown()
            self._werkzeug.server_close()
        self._thread.join(DEADLINE)
        self._socket.close()


@dataclass
class Answer:
    """What a client received over the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each.lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        return ", ".join(self.all(name))


@dataclass
class Place:
    """A region: its application, its regionware and its server."""

    name: str
    app: App
    rw: Regionware
    server: Server

    def ask(
        self,
        method: str = "POST",
        target: str = "/things",
        headers: Fields = (),
        body: bytes | Iterator[bytes] | None = None,
    ) -> Answer:
        """One request, sent as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=DEADLINE)
        try:
            connection.putrequest(
                method, target, skip_host=any(n.lower() == "host" for n, _ in headers),
                skip_accept_encoding=True,
            )  # fmt: skip
            for name, value in headers:
                connection.putheader(name, value)
            chunked = body is not None and not isinstance(body, bytes)
            if chunked:
                connection.putheader("Transfer-Encoding", "chunked")
            elif isinstance(body, bytes):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body, encode_chunked=chunked)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def count(self, event: str) -> int:
        """How often something has happened here."""
        return sum(n for name, n in self.rw.counts().items() if name.partition(":")[0] == event)


@dataclass
class Worlds:
    """Makes regions, and ends them."""

    flavour: Flavour
    _ends: list[Callable[[], None]] = field(default_factory=list)

    def place(
        self, here: str, regions: Sequence[Region], routes: Sequence[Route] = (), **options: Any
    ) -> Place:
        """One region."""
        app = App()
        options = {"secret": SECRET, **options}
        rw = Regionware(
            topology=Topology(here=here, regions=regions),
            routes=routes or [Route("/{path:path}", write=FORWARDS)], **options,
        )  # fmt: skip
        wrapped: Any = rw.asgi(app.asgi) if self.flavour == "asgi" else rw.wsgi(app.wsgi)
        server = Server(self.flavour, wrapped)
        self._ends += [rw.close, server.close]
        return Place(here, app, rw, server)

    def bare(self, app: App) -> Server:
        """An application without anything around it."""
        server = Server(self.flavour, app.asgi if self.flavour == "asgi" else app.wsgi)
        self._ends.append(server.close)
        return server

    def pair(self, routes: Sequence[Route] = (), **options: Any) -> tuple[Place, Place]:
        """The far region, and the primary's."""
        iad = Region("iad", primary=True, url="http://iad.invalid")
        near = self.place("iad", [iad, Region("fra")], routes, **options)
        return self.far(near.server.port, routes, **options), near

    def far(self, port: int, routes: Sequence[Route] = (), **options: Any) -> Place:
        """A far region, whose primary's region answers at this port."""
        url = f"http://127.0.0.1:{port}"
        regions = [Region("iad", primary=True, url=url), Region("fra")]
        return self.place("fra", regions, routes, **options)

    def close(self) -> None:
        while self._ends:
            self._ends.pop()()


def shown(seen: Seen) -> str:
    """What was seen, for a message."""
    return json.dumps(seen.facts(), default=str)


__all__ = [
    "FORWARDS",
    "SECRET",
    "Answer",
    "App",
    "Cache",
    "Place",
    "Seen",
    "Server",
    "Told",
    "Worlds",
]
