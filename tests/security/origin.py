"""The application that is attacked: what it reads, it shows; answers name a version and a user."""

import gzip
import posixpath
import re
from collections.abc import Callable, Sequence
from urllib.parse import parse_qsl

from regionware.http.fields import parse_cookies
from tests.conformance.application import Response, Seen, Step, text

#: What some framework believes of whoever sends it.
REFLECTED = (
    "x-forwarded-host", "x-forwarded-scheme", "x-forwarded-prefix", "x-forwarded-proto",
    "x-original-url", "accept-language",
)  # fmt: skip
#: Bytes: what a front-end lets pass, and a server behind it does not.
LONGEST_FIELD = 8192


class Endless(Sequence[bytes]):
    """A body without an end; each chunk is a new one."""

    def __len__(self) -> int:
        return 1 << 60

    def __getitem__(self, _: object) -> bytes:  # type: ignore[override]  # iterated, never sliced
        return bytes(65_536)


def user(seen: Seen) -> str:
    """Whose request it is, by any of the ways of the web."""
    cookies = dict(parse_cookies(seen.headers.get("cookie", "")))
    told = seen.headers.get("authorization") or seen.headers.get("x-user")
    return cookies.get("sid") or told or "nobody"


class Origin:
    """A handler with the routes of the cases.

    Attributes:
        version: grows with every change of the data.
        broken: how many answers of `/st/500` are errors still.
    """

    def __init__(self) -> None:
        self.version = 1
        self.broken = 0
        self.response: Response | None = None

    def __call__(self, seen: Seen) -> Response:
        # As frameworks do that read a path in their own way.
        path = posixpath.normpath(re.split(r"[;\0#?]", seen.path)[0])
        for prefix, page in PAGES.items():
            if path.startswith(prefix):
                return page(self, seen)
        return self.page(seen)

    def stamp(self, seen: Seen) -> str:
        return f"v{self.version} {user(seen)} {seen.path}"

    def page(self, seen: Seen) -> Response:
        return text(self.stamp(seen), Cache_Control="public, max-age=60")

    def rule(self, seen: Seen) -> Response:
        """Silent: the route's policy alone makes it cacheable. A GET's form counts, too."""
        form = seen.body.decode()
        return text(f"{self.stamp(seen)} {form} {seen.query}")

    def query(self, seen: Seen) -> Response:
        """As those do for whom a semicolon separates parameters."""
        pairs = dict(parse_qsl(seen.query.replace(";", "&")))
        return text(f"v{self.version} x={pairs.get('x')}")

    def reflect(self, seen: Seen) -> Response:
        shown = {name: seen.headers[name] for name in REFLECTED if name in seen.headers}
        body = f"v{self.version} {shown}"
        return text(body, Vary="Accept-Language", Cache_Control="max-age=60")

    def host(self, seen: Seen) -> Response:
        return text(f"http://{seen.headers.get('x-forwarded-host', seen.headers['host'])}/login")

    def override(self, seen: Seen) -> Response:
        """Such a request is not allowed here; a cache may store that (RFC 9110, 15.5.6)."""
        wanted = seen.headers.get("x-http-method-override", "GET")
        return text("not allowed", 405) if wanted != "GET" else text("allowed")

    def strict(self, seen: Seen) -> Response:
        long = any(len(value) > LONGEST_FIELD for value in seen.headers.values())
        return text("too long", 400) if long else text("short enough")

    def account(self, seen: Seen) -> Response:
        """Whatever follows is ignored; no word on caching."""
        return text(f"<h1>account of {user(seen)}</h1>", Content_Type="text/html; charset=utf-8")

    def status(self, seen: Seen) -> Response:
        if self.broken:
            self.broken -= 1
            return text("broken", int(seen.path.rpartition("/")[2]))
        return text(f"well {self.version}")

    def fields(self, seen: Seen) -> Response:
        """What the query says; and whose it is."""
        return Response([self.stamp(seen).encode()], headers=parse_qsl(seen.query))

    def zipped(self, seen: Seen) -> Response:
        if "gzip" not in seen.headers.get("accept-encoding", ""):
            return text("plain", Vary="Accept-Encoding")
        body = gzip.compress(b"plain", mtime=0)
        return text(body, Vary="Accept-Encoding", Content_Encoding="gzip")

    def big(self, seen: Seen) -> Response:
        """Whole, or the first of the ranges that are asked for."""
        length = int(dict(parse_qsl(seen.query))["n"])
        body = (bytes(range(251)) * (length // 251 + 1))[:length]
        asked = re.match(r"bytes=(\d+)-(\d+)$", seen.headers.get("range", ""))
        if asked is None:
            return text(body)
        first, last = int(asked[1]), int(asked[2])
        return text(body[first : last + 1], 206, Content_Range=f"bytes {first}-{last}/{len(body)}")

    def stream(self, _: Seen) -> Response:
        return Response(Endless())

    def drop(self, seen: Seen) -> Response:
        """It announces 1,000 octets, and ends before."""
        after = int(dict(parse_qsl(seen.query))["after"])
        chunks: list[Step] = [b"x" * after]
        return Response(chunks, headers=[("Content-Length", "1000")])

    def scripted(self, seen: Seen) -> Response:
        """What a test has set."""
        assert self.response is not None, seen
        return self.response


PAGES: dict[str, Callable[[Origin, Seen], Response]] = {
    "/rule/": Origin.rule, "/q/": Origin.query, "/reflect": Origin.reflect, "/host": Origin.host,
    "/form": Origin.override, "/strict": Origin.strict, "/account": Origin.account,
    "/st/": Origin.status, "/hdr": Origin.fields, "/gz": Origin.zipped, "/big": Origin.big,
    "/stream": Origin.stream, "/drop": Origin.drop, "/scripted": Origin.scripted,
}  # fmt: skip
