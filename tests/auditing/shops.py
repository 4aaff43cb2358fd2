"""Applications that leak, each in its own way, and their repair; over both protocols."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from regionware import Regionware
from regionware.auditing.target import Target, rim_of
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Response, Seen, text
from tests.conformance.harness import Flavour

PAGE = (Route("/page/{id}", cache=Cache(ttl=60)),)


@dataclass(frozen=True)
class Shop:
    """What is audited.

    Attributes:
        handler: the application.
        routes: the policies.
        remembers: a layer around the middleware that keeps this of a request for the application.
    """

    handler: Callable[[Seen], Response]
    routes: Sequence[Route] = PAGE
    remembers: str = ""
    path: str = "/page/1"


def header(name: str, *fields: tuple[str, str]) -> Callable[[Seen], Response]:
    """Shows a field, and may say that it varies."""
    return lambda seen: Response([f"hello {seen.headers.get(name, 'you')}".encode()], 200, fields)


def address(seen: Seen) -> Response:
    """Shows what the layer around has kept."""
    return text(f"hello {seen.user or 'you'}")


def hidden(seen: Seen) -> Response:
    """Another page, which is for one only: who asks for it is given the common one."""
    if "x-tenant" in seen.headers:
        return text("one tenant's", Cache_Control="private")
    return text("everybody's")


def conditional(seen: Seen) -> Response:
    """A field of the answer, not its body."""
    dark = "sec-ch-prefers-color-scheme" in seen.headers
    return Response([b"hello"], headers=[("X-Theme", "dark")] if dark else [])


IGNORING = (Route("/page/{id}", cache=Cache(ttl=60, cookies="ignore", ignore_query=["utm_*"])),)
SHARED = (Route("/page/{id}", cache=Cache(ttl=60, allow_authorization=True, shared=True)),)

#: The category, the input that must be named, and the shop.
LEAKING: dict[str, tuple[str, str, Shop]] = {
    "a header": ("header", "X-User", Shop(header("x-user"))),
    "a header that is negotiated": ("header", "Accept-Language", Shop(header("accept-language"))),
    "a header in a field": ("header", "Sec-CH-Prefers-Color-Scheme", Shop(conditional)),
    "a header that makes it private": ("header", "X-Tenant", Shop(hidden)),
    "a parameter": ("query", "utm_source", Shop(address, IGNORING, "QUERY_STRING")),
    "a cookie": ("cookie", "session", Shop(address, IGNORING, "HTTP_COOKIE")),
    "the peer": ("peer", "203.0.113.7", Shop(address, IGNORING, "REMOTE_ADDR")),
    "an identity": ("identity", "identity A", Shop(header("authorization"), SHARED)),
}

_numbers = count()
#: Which are fine.
CLEAN = {
    "plain": Shop(lambda _: text("hello")),
    "a counter": Shop(lambda _: text(f"hello, {next(_numbers)} of all", X_Id=str(next(_numbers)))),
    "it varies, and says so": Shop(header("accept-language", ("Vary", "Accept-Language"))),
    "what is removed": Shop(header("x-forwarded-host")),
    "what is bypassed": Shop(header("authorization")),
    "cookies that are bypassed": Shop(header("cookie")),
    "parameters that count": Shop(lambda seen: text(seen.query)),
    "parameters that are removed": Shop(lambda seen: text(seen.query or "-"), IGNORING),
    "what is in the key": Shop(
        header("x-user"), (Route("/page/{id}", cache=Cache(ttl=60, by="x-user")),)
    ),
    "an error for one": Shop(
        lambda seen: text("no", 400) if len(str(seen.headers)) > 8000 else text("yes")
    ),
    "the host": Shop(header("host")),
}


def target(flavour: Flavour, shop: Shop, **options: Any) -> Target:
    """The application, wrapped; in one more layer if that remembers something."""
    rw = Regionware(routes=shop.routes, **options)
    return Target(wrapped(flavour, shop, rw), rim_of(None, None, rw), host="localhost")


def wrapped(flavour: Flavour, shop: Shop, rw: Regionware) -> Any:
    app = Application(shop.handler)
    if flavour == "asgi":
        inner = rw.asgi(app.asgi)

        async def remembering(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                raise NotImplementedError(scope["type"])
            await inner({**scope, "user": _asgi_part(scope, shop.remembers)}, receive, send)

        return remembering if shop.remembers else inner
    wsgi = rw.wsgi(app.wsgi)

    def remembering_too(environ: Any, start_response: Any) -> Any:
        return wsgi({**environ, "REMOTE_USER": environ.get(shop.remembers)}, start_response)

    return remembering_too if shop.remembers else wsgi


def _asgi_part(scope: Any, name: str) -> str | None:
    if name == "REMOTE_ADDR":
        return str(scope["client"][0])
    if name == "QUERY_STRING":
        return str(scope["query_string"].decode())
    return next((v.decode() for n, v in scope["headers"] if n == b"cookie"), None)
