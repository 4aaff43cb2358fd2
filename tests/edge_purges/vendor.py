"""A local server that plays a vendor, and an edge whose requests go there."""

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from regionware.adapters.edges import (
    Capabilities,
    EdgeAnswer,
    EdgePurge,
    EdgePurger,
    EdgeRequest,
    Fastly,
    Verdict,
)

TOKEN = "a-token-that-nobody-may-read"


@dataclass
class Asked:
    """A request that came."""

    method: str
    path: str
    fields: dict[str, str]
    body: bytes

    @property
    def tags(self) -> list[str]:
        """The surrogate keys of a request to Fastly."""
        found: list[str] = json.loads(self.body)["surrogate_keys"] if self.body else []
        return found


@dataclass
class Vendor:
    """Keeps what it was asked.

    Attributes:
        asked: the requests, in order.
        answer: gives status, fields and content for each.
    """

    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked], tuple[int, dict[str, str], bytes]] = lambda _: (200, {}, b"{}")

    def __enter__(self) -> Self:
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length", 0))
                asked = Asked("POST", self.path, dict(self.headers), self.rfile.read(size))
                vendor.asked.append(asked)
                status, fields, body = vendor.answer(asked)
                self.send_response(status)
                for name, value in {**fields, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """Who was killed has hung up."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def tags(self) -> list[list[str]]:
        """The tags of each request."""
        return [asked.tags for asked in self.asked]

    def count(self, tag: str) -> int:
        """How many requests have named a tag."""
        return sum(tag in tags for tags in self.tags())


@dataclass(frozen=True)
class Elsewhere:
    """An edge whose requests go to a local server instead, and which is as quick as that."""

    real: EdgePurger
    origin: str
    quick: bool = True

    @property
    def name(self) -> str:
        return self.real.name

    @property
    def vendor(self) -> str | None:
        return self.real.vendor

    @property
    def capabilities(self) -> Capabilities:
        able = self.real.capabilities
        return replace(able, propagation=0.0) if self.quick else able

    def requests(self, purge: EdgePurge, wall: float) -> Sequence[EdgeRequest]:
        def local(request: EdgeRequest) -> EdgeRequest:
            path = request.url.split("/", 3)[3]
            return replace(request, url=f"{self.origin}/{path}")

        return [local(request) for request in self.real.requests(purge, wall)]

    def judge(self, answer: EdgeAnswer) -> Verdict:
        return self.real.judge(answer)


def fastly(origin: str, **options: Any) -> Elsewhere:
    """A service of Fastly that is a local server."""
    return Elsewhere(Fastly(service="SU1Z0isxPaozGVKXdv0eY", token=TOKEN, **options), origin)


def flat(lists: Iterable[Iterable[str]]) -> list[str]:
    return [each for one in lists for each in one]
