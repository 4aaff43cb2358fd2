"""What the servers of `test_uploads.py` serve: `tests.writes.uploads:asgi` and `:wsgi`.

`WRITES_HERE` is the region, `WRITES_URL` where the primary's region answers; with `WRITES_KEEP`
each request's content is kept in memory first, which is what must be noticed.
"""

import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from regionware import Region, Regionware, Topology
from regionware.policies import Route, Write
from tests.conformance.application import Receive, Scope, Send

#: Seconds for which the application stands still after each piece: it is slower than the client.
PAUSE = 0.0005

_write = Write.forward(timeout=60, connect_timeout=30, idle_timeout=60)
rw = Regionware(
    topology=Topology(
        here=os.environ.get("WRITES_HERE", "iad"),
        regions=[
            Region("iad", primary=True, url=os.environ.get("WRITES_URL", "http://iad.invalid")),
            Region("fra"),
        ],
    ),
    secret="a secret of the tests, long enough",
    routes=[Route("/{path:path}", write=_write)],
)


def peak() -> int:
    """The most memory that this process has had so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage tells began with the program that has started this one.
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _told(length: int, digest: str) -> bytes:
    return json.dumps(
        {"length": length, "digest": digest, "peak": peak(), "pid": os.getpid()}
    ).encode()


async def _asgi(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    digest, length, more = hashlib.sha256(), 0, True
    while more:
        message = await receive()
        chunk, more = message.get("body", b""), message.get("more_body", False)
        digest.update(chunk)
        length += len(chunk)
        time.sleep(PAUSE)  # noqa: ASYNC251 - the server is to stand still
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": _told(length, digest.hexdigest())})


def _wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    digest, length = hashlib.sha256(), 0
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left and (chunk := environ["wsgi.input"].read(min(left, 1 << 16))):
        digest.update(chunk)
        length += len(chunk)
        left -= len(chunk)
        time.sleep(PAUSE)
    start_response("200 OK", [])
    return [_told(length, digest.hexdigest())]


async def _keeping(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        await _forwarding(scope, receive, send)
        return
    kept, more = [], True
    while more:
        message = await receive()
        kept.append(message.get("body", b""))
        more = message.get("more_body", False)
    messages = [{"type": "http.request", "body": b"".join(kept), "more_body": False}]

    async def receiving() -> Any:
        return messages.pop() if messages else await receive()

    await _forwarding(scope, receiving, send)


def _wsgi_keeping(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return _wsgi_forwarding(
        {**environ, "wsgi.input": BytesIO(environ["wsgi.input"].read(length))}, start_response
    )


_forwarding = rw.asgi(_asgi)
_wsgi_forwarding = rw.wsgi(_wsgi)
_keeps = bool(os.environ.get("WRITES_KEEP"))
asgi: Any = _keeping if _keeps else _forwarding
wsgi: Any = _wsgi_keeping if _keeps else _wsgi_forwarding
