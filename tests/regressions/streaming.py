"""Refreshes a Starlette application in the background; run by `test_refreshing.py`.

`python -m tests.regressions.streaming stream|middleware`. Ends with 0 if the event loop went on
and the new answer arrived; whoever started it sets the deadline.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route as Path

from regionware import Regionware
from regionware.policies import Cache, Route
from tests.conformance.conftest import Clock

_calls = iter(range(1, 1_000_000))


async def _streamed(_: Request) -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield b"answer "
        await asyncio.sleep(0.01)
        yield str(next(_calls)).encode()

    return StreamingResponse(body())


async def _plain(_: Request) -> Response:
    return PlainTextResponse(f"answer {next(_calls)}")


async def _pass(request: Request, call_next: RequestResponseEndpoint) -> Response:
    return await call_next(request)


def _application(kind: str) -> Starlette:
    if kind == "stream":
        return Starlette(routes=[Path("/x", _streamed)])
    between = Middleware(BaseHTTPMiddleware, dispatch=_pass)
    return Starlette(routes=[Path("/x", _plain)], middleware=[between])


async def _get(app: Any) -> bytes:
    body, asked = b"", False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.get_running_loop().create_future()
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal body
        body += message.get("body", b"")

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "method": "GET", "scheme": "http", "path": "/x", "raw_path": b"/x", "query_string": b"",
        "root_path": "", "headers": [(b"host", b"h")], "client": ("192.0.2.9", 1),
        "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await app(scope, receive, send)
    return body


async def _main(kind: str) -> None:
    clock = Clock()
    route = Route("/x", cache=Cache(ttl=10, stale_while_revalidate=100))
    rw = Regionware(routes=[route], clock=clock)
    app = rw.asgi(_application(kind))
    assert await _get(app) == b"answer 1"
    clock.now += 20
    assert await _get(app) == b"answer 1"
    while await _get(app) != b"answer 2":  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)
    await rw.aclose()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
