"""What the servers serve, over both protocols: `tests.servers.application:asgi` and `:wsgi`.

`SERVERS_REDIS` is the region's Redis; `SERVERS_GATES` is a folder: a body that waits goes on when
a file with the last part of its path appears there.
"""

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from regionware import Region, Regionware, Topology
from regionware.policies import Cache, Route
from tests.conformance.application import Receive, Scope, Send

rw = Regionware(
    topology=Topology(
        here="here",
        regions=[Region("here", primary=True, redis=os.environ.get("SERVERS_REDIS"))],
    ),
    routes=[
        Route("/cached/{name}", cache=Cache(ttl=300, tags=["{name}"])),
        Route("/cached/waiting/{name}", cache=Cache(ttl=300)),
    ],
)

_GATES = Path(os.environ.get("SERVERS_GATES", "/nowhere"))
_CALLS = itertools.count()


def _body() -> bytes:
    """Never the same twice."""
    return f"{os.getpid()}/{next(_CALLS)}".encode()


def _fields(body: bytes) -> list[tuple[str, str]]:
    return [
        ("content-type", "text/plain"),
        ("content-length", str(len(body))),
        ("etag", f'"{body.decode()}"'),
    ]


async def _asgi(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    if "/waiting/" in scope["path"]:
        await _wait_and_send(scope["path"].rpartition("/")[2], send)
        return
    if scope["path"].startswith("/purge/"):
        await rw.apurge(tags=[scope["path"].rpartition("/")[2]])
    body = _body()
    fields = [(name.encode(), value.encode()) for name, value in _fields(body)]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    content = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": content})


async def _wait_and_send(name: str, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    for _ in _until_there(name):
        await asyncio.sleep(0.01)
    await send({"type": "http.response.body", "body": b"last"})


def _wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Any:
    path = environ["PATH_INFO"]
    if "/waiting/" in path:
        start_response("200 OK", [("content-type", "text/plain")])
        return _waiting(path.rpartition("/")[2])
    if path.startswith("/purge/"):
        rw.purge(tags=[path.rpartition("/")[2]])
    body = _body()
    start_response("200 OK", _fields(body))
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]


def _waiting(name: str) -> Iterator[bytes]:
    yield b"first"
    for _ in _until_there(name):
        time.sleep(0.01)
    yield b"last"


def _until_there(name: str) -> Iterator[None]:
    """Steps until the gate is open, a minute's at most."""
    for _ in range(6000):
        if (_GATES / name).exists():
            return
        yield


asgi = rw.asgi(_asgi)
wsgi = rw.wsgi(_wsgi)
