"""Applications behind real servers on threads of this process: uvicorn for ASGI, werkzeug for WSGI.

One server of each kind serves all tests of a module, and the edges stand in front of it: which
application answers is told by `Host`, which is part of every edge's cache key.
"""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterable
from http.client import HTTPConnection, HTTPResponse, RemoteDisconnected
from typing import Any, Self

import httpx
import uvicorn
from werkzeug.serving import WSGIRequestHandler, make_server

from regionware import Regionware
from regionware.parts.process import free_port
from tests.conformance.application import DEADLINE, Application, Handler, Receive, Scope, Send
from tests.conformance.harness import Flavour, until

_HOSTS = itertools.count()
_PATHS = itertools.count()


class Quiet(WSGIRequestHandler):
    """Keeps connections, as the servers that people deploy do, and logs nothing."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Say nothing."""


class Origin:
    """One real server; `mount` gives an application a host name of its own.

    Attributes:
        port: where it listens on 127.0.0.1.
        loop: where the ASGI applications run.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(self, flavour: Flavour) -> None:
        self.flavour = flavour
        self.port = free_port()
        self._mounted: dict[str, tuple[Mounted, Any]] = {}
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"origin-{flavour}")
        self._stop: Callable[[], object] = lambda: None

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(DEADLINE)
        until(lambda: httpx.get(f"http://127.0.0.1:{self.port}/", trust_env=False).is_error)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stop()
        self._thread.join(DEADLINE)

    def mount(self, handler: Handler, rw: Regionware | None = None) -> "Mounted":
        """Serve a handler, behind regionware or bare."""
        app = Application(handler)
        bare = app.asgi if self.flavour == "asgi" else app.wsgi
        served: Any = bare
        if rw is not None:
            served = rw.asgi(app.asgi) if self.flavour == "asgi" else rw.wsgi(app.wsgi)
        site = Mounted(f"t{next(_HOSTS)}.test", app, rw)
        self._mounted[site.host] = site, served
        return site

    def _run(self) -> None:
        if self.flavour == "asgi":
            self._run_asgi()
        else:
            self._run_wsgi()

    def _run_asgi(self) -> None:
        config = uvicorn.Config(
            self._asgi,
            interface="asgi3",
            port=self.port,
            lifespan="off",
            log_level="error",
            proxy_headers=False,
        )
        server = uvicorn.Server(config)
        self._stop = lambda: setattr(server, "should_exit", True)
        self.loop = asyncio.new_event_loop()
        self._started.set()
        self.loop.run_until_complete(server.serve())
        self.loop.close()

    def _run_wsgi(self) -> None:
        server = make_server(
            "127.0.0.1", self.port, self._wsgi, threaded=True, request_handler=Quiet
        )
        self._stop = server.shutdown
        self._started.set()
        server.serve_forever()
        server.server_close()

    async def _asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._mounted.get(dict(scope["headers"]).get(b"host", b"").decode())
        if found is not None:
            found[0].asked += 1
            await found[1](scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 421, "headers": []})
        await send({"type": "http.response.body"})

    def _wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        found = self._mounted.get(environ.get("HTTP_HOST", ""))
        if found is not None:
            found[0].asked += 1
            answer: Iterable[bytes] = found[1](environ, start_response)
            return answer
        start_response("421 Misdirected Request", [("Content-Length", "0")])
        return []


class Mounted:
    """An application of an origin, and what it has seen.

    Attributes:
        host: the host name that it answers to.
        asked: how many requests have come through, whoever answered them then.
    """

    def __init__(self, host: str, app: Application, rw: Regionware | None) -> None:
        self.host = host
        self.app = app
        self.rw = rw
        self.asked = 0

    @property
    def calls(self) -> int:
        """How often the application itself has answered."""
        return len(self.app.calls)


def new_path(prefix: str = "") -> str:
    """A path that nobody has asked for."""
    return f"{prefix}/p{next(_PATHS)}"


class Answer:
    """What a client received.

    Attributes:
        status: the status code.
        headers: the fields; `headers["age"]` is `None` where there is none.
        body: the content.
    """

    def __init__(self, response: HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self) -> str:
        return self.body.decode()


class Browser:
    """A client without a cache of its own, that asks an edge over one connection."""

    def __init__(self, edge: str) -> None:
        self._host = edge.removeprefix("http://")
        self._connection = HTTPConnection(self._host, timeout=DEADLINE * 2)

    def ask(self, site: Mounted | str, path: str, method: str = "GET", **fields: str) -> Answer:
        """One request; names of fields are written with underscores."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        headers["Host"] = site if isinstance(site, str) else site.host
        try:
            return self._ask(method, path, headers)
        except (ConnectionError, RemoteDisconnected):  # The server has closed what was idle.
            self._connection.close()
            return self._ask(method, path, headers)

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        self._connection.request(method, path, headers=headers)
        return Answer(self._connection.getresponse())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
