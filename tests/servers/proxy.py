"""A reverse proxy behind a shared cache by the book: `tests.servers.proxy:asgi` and `:wsgi`.

`PROXY_ORIGIN` is the origin's URL; `PROXY_REDIS` the region's Redis, if there is one.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

import httpx

from regionware import Region, Regionware, Topology
from regionware.policies import Cache, Route
from tests.conformance.application import Receive, Scope, Send

rw = Regionware(
    topology=Topology(
        here="here",
        regions=[Region("here", primary=True, redis=os.environ.get("PROXY_REDIS") or None)],
    ),
    routes=[Route("/{path:path}", cache=Cache.standard())],
)

_ORIGIN = os.environ.get("PROXY_ORIGIN", "http://127.0.0.1:9")
_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "host"}
_client = httpx.Client(timeout=10, trust_env=False)
_aclient = httpx.AsyncClient(timeout=10, trust_env=False)


async def _asgi(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    content = (await receive()).get("body", b"")
    fields = [(n, v) for n, v in scope["headers"] if n.decode() not in _HOP]
    request = _aclient.build_request(
        scope["method"], _ORIGIN + scope["path"], headers=fields, content=content
    )
    response = await _aclient.send(request, stream=True)
    kept = [(n.lower(), v) for n, v in response.headers.raw if n.lower().decode() not in _HOP]
    start = {"type": "http.response.start", "status": response.status_code, "headers": kept}
    await send(start)
    async for chunk in response.aiter_raw():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await response.aclose()
    await send({"type": "http.response.body"})


def _wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    names = {n: n[5:].replace("_", "-").lower() for n in environ if n.startswith("HTTP_")}
    response = _client.request(
        environ["REQUEST_METHOD"],
        _ORIGIN + environ["PATH_INFO"],
        headers=[(name, environ[n]) for n, name in names.items() if name not in _HOP],
        content=environ["wsgi.input"].read(length),
    )
    kept = [(n.decode(), v.decode("latin-1")) for n, v in response.headers.raw]
    start_response(
        f"{response.status_code} Told", [(n, v) for n, v in kept if n.lower() not in _HOP]
    )
    return [response.content]


asgi = rw.asgi(_asgi)
wsgi = rw.wsgi(_wsgi)
