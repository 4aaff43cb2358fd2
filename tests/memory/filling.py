"""Many URLs, or a large body, through a wrapped application; run by `test_bytes.py`.

`python -m tests.memory.filling urls|stream asgi|wsgi COUNT BOUND` prints what became of it as JSON.
"""

import asyncio
import gc
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from email.utils import formatdate
from typing import Any

import psutil  # type: ignore[import-untyped] # it has no types

from regionware import Regionware
from regionware.policies import Cache, Route

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: Octets of one answer, and of one part of a stream.
BODY, PART = 1024, 1 << 16


def rss() -> int:
    """Bytes of this process that are in memory."""
    return int(psutil.Process().memory_info().rss)


def fields(path: str) -> list[tuple[str, str]]:
    """What an application commonly says: eight fields, three of them its own for each URL."""
    return [
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", str(BODY)),
        ("cache-control", "public, max-age=600"),
        ("etag", f'"{hash(path) & 0xFFFFFFFFFFFFFFFF:016x}"'),
        ("last-modified", "Mon, 05 Jan 2026 10:00:00 GMT"),
        ("date", formatdate(usegmt=True)),
        ("server", "uvicorn"),
        ("x-content-type-options", "nosniff"),
    ]


def body(path: str) -> bytes:
    return path.encode().ljust(BODY, b".")


async def asgi_page(scope: Message, receive: Receive, send: Send) -> None:
    path = scope["path"]
    told = [(name.encode(), value.encode()) for name, value in fields(path)]
    await send({"type": "http.response.start", "status": 200, "headers": told})
    await send({"type": "http.response.body", "body": body(path)})


def wsgi_page(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    start_response("200 OK", fields(path))
    return [body(path)]


async def asgi_stream(scope: Message, receive: Receive, send: Send) -> None:
    headers = [(b"content-type", b"application/octet-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(int(scope["path"][1:]) // PART):
        await send({"type": "http.response.body", "body": bytes(PART), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def wsgi_stream(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterator[bytes]:
    start_response("200 OK", [("content-type", "application/octet-stream")])
    for _ in range(int(environ["PATH_INFO"][1:]) // PART):
        yield bytes(PART)


class Client:
    """Asks a wrapped application, and keeps nothing of what it hears but its length."""

    def __init__(self, protocol: str, rw: Regionware, *, streams: bool) -> None:
        self._protocol = protocol
        self._loop = asyncio.new_event_loop()
        self._asgi = rw.asgi(asgi_stream if streams else asgi_page)
        self._wsgi = rw.wsgi(wsgi_stream if streams else wsgi_page)
        self.octets = 0
        self.hits = 0
        self.largest_rss = 0

    def ask(self, *paths: str) -> None:
        if self._protocol == "asgi":
            self._loop.run_until_complete(self._many(paths))
            return
        for path in paths:
            self._one(path)

    async def _many(self, paths: Iterable[str]) -> None:
        for path in paths:
            await self._asgi(_scope(path), _receive, self._heard)

    async def _heard(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._head(message["headers"], b"cache-status", b"hit")
        else:
            self._part(message.get("body", b""))

    def _one(self, path: str) -> None:
        def start_response(_: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
            self._head(headers, "cache-status", "hit")
            return self._part

        answer = self._wsgi(_environ(path), start_response)
        for part in answer:
            self._part(part)
        close = getattr(answer, "close", None)
        if close is not None:
            close()

    def _head(self, headers: Iterable[tuple[Any, Any]], name: Any, word: Any) -> None:
        self.hits += any(field == name and word in value for field, value in headers)

    def _part(self, part: bytes) -> None:
        self.octets += len(part)
        if len(part) == PART:
            self.largest_rss = max(self.largest_rss, rss())

    def close(self) -> None:
        self._loop.close()


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _scope(path: str) -> Message:
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "headers": [(b"host", b"site.test"), (b"accept-encoding", b"gzip")],
        "client": ("192.0.2.9", 40000), "server": ("127.0.0.1", 80),
    }  # fmt: skip


def _environ(path: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "",
        "SERVER_NAME": "site.test", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.9", "HTTP_HOST": "site.test", "HTTP_ACCEPT_ENCODING": "gzip",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.multithread": True,
        "wsgi.multiprocess": True, "wsgi.run_once": False,
    }  # fmt: skip


def _warm(client: Client, rw: Regionware, path: Callable[[int], str]) -> int:
    """What every process holds once it has begun: modules, memos and arenas; its bytes."""
    client.ask(*map(path, range(2000)))
    rw.memory.clear()
    gc.collect()
    return rss()


def urls(protocol: str, number: int, bound: int) -> dict[str, Any]:
    """A thousand at a time, the last hundred of each again: some heads are prepared as well."""
    rw = Regionware(routes=[Route("/{path:path}", cache=Cache(ttl=600))], memory=bound)
    client = Client(protocol, rw, streams=False)
    before, highest = _warm(client, rw, lambda n: f"/warming/{n:08d}"), 0
    for start in range(0, number, 1000):
        client.ask(*(f"/products/{n:08d}" for n in range(start, start + 1000)))
        client.ask(*(f"/products/{n:08d}" for n in range(start + 900, start + 1000)))
        highest = max(highest, rw.memory.currsize)
    prepared = rw._parts.prepared
    found = {
        "highest": highest, "accounted": rw.memory.currsize, "growth": rss() - before,
        "entries": len(rw.memory), "flights": len(rw._parts.rim._flights), "hits": client.hits,
        "memo": len(prepared.table._memo), "counted": len(rw.counts()),
    }  # fmt: skip
    client.close()
    return found


def stream(protocol: str, size: int, bound: int) -> dict[str, Any]:
    """One large answer, a part at a time."""
    rw = Regionware(routes=[Route("/{path:path}", cache=Cache(ttl=600))], memory=bound)
    client = Client(protocol, rw, streams=True)
    before = _warm(client, rw, lambda n: f"/{PART * (n % 3)}")
    client.octets = client.largest_rss = 0
    client.ask(f"/{size}")
    found = {
        "octets": client.octets, "growth": client.largest_rss - before,
        "kept": sum(len(getattr(each, "body", b"")) for each in rw.memory.records()),
        "flights": len(rw._parts.rim._flights),
    }  # fmt: skip
    client.close()
    return found


if __name__ == "__main__":
    kind, protocol, count, bound = sys.argv[1:]
    run = urls if kind == "urls" else stream
    print(json.dumps(run(protocol, int(count), int(bound))))  # noqa: T201 - for who started it
