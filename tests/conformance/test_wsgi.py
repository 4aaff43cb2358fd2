"""What PEP 3333 allows an application to do, besides returning an iterable."""

import sys
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest

from regionware import Regionware
from regionware.policies import Cache, Cdn, Route
from tests.conformance.harness import Ask, _environ

Start = Callable[..., Any]
Wsgi = Callable[[dict[str, Any], Start], Iterable[bytes]]
TEXT = [("Content-Type", "text/plain")]


class Server:
    """A WSGI server, down to the letter."""

    def __init__(self, app: Wsgi) -> None:
        rw = Regionware(routes=[Route("/{path:path}", cache=Cache(ttl=60))])
        self.calls = 0
        self.order: list[str] = []
        self._wrapped: Wsgi = validator(rw.wsgi(self._counted(app)))

    def _counted(self, app: Wsgi) -> Wsgi:
        def counted(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
            self.calls += 1
            return app(environ, start_response)

        return counted

    def get(self) -> tuple[str, bytes]:
        parts: list[bytes] = []
        status = ""

        def start_response(line: str, headers: object, exc_info: Any = None) -> Any:
            nonlocal status
            if exc_info is not None and parts:
                raise exc_info[1]
            status = line
            return parts.append

        environ = _environ(Ask("/x"))
        environ["wsgi.errors"] = sys.stderr
        result = self._wrapped(environ, start_response)
        try:
            parts.extend(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        return status, b"".join(parts)


def stumble() -> None:
    raise KeyError("stumbled")


def a_list(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return [b"one", b"two"]


def a_generator(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return (chunk for chunk in (b"one", b"two"))


def a_lazy_generator(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    yield b"one"
    yield b"two"


def writing(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    write = start_response("200 OK", TEXT)
    write(b"one")
    return [b"two"]


def only_writing(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    write = start_response("200 OK", TEXT)
    write(b"one")
    write(b"two")
    return []


def a_file(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return FileWrapper(BytesIO(b"onetwo"), 3)


def second_thoughts(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("500 Internal Server Error", TEXT)
    try:
        stumble()
    except KeyError:
        start_response("200 OK", TEXT, sys.exc_info())
    return [b"one", b"two"]


@pytest.mark.parametrize(
    "app", [a_list, a_generator, a_lazy_generator, writing, only_writing, a_file]
)
def test_every_kind_of_application_passes_and_is_stored(app: Wsgi) -> None:
    server = Server(app)
    assert [server.get() for _ in range(3)] == [("200 OK", b"onetwo")] * 3
    assert server.calls == 1


def test_a_head_that_was_replaced_is_what_the_server_gets() -> None:
    server = Server(second_thoughts)
    assert [server.get() for _ in range(2)] == [("200 OK", b"onetwo")] * 2


def test_an_error_page_after_a_head_that_was_replaced_is_not_stored() -> None:
    def failing(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", TEXT)
        try:
            stumble()
        except KeyError:
            start_response("500 Internal Server Error", TEXT, sys.exc_info())
        return [b"sorry"]

    server = Server(failing)
    assert [server.get()[1] for _ in range(2)] == [b"sorry"] * 2
    assert server.calls == 2


def test_a_head_that_was_replaced_is_judged_anew() -> None:
    """A replaced head must not slip past what the route's policies say about it."""

    def failing(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", TEXT)
        try:
            stumble()
        except KeyError:
            fields = [*TEXT, ("Set-Cookie", "sid=1")]
            start_response("500 Internal Server Error", fields, sys.exc_info())
        return [b"sorry"]

    rw = Regionware(routes=[Route("/x", cdn=Cdn(max_age=60))])
    heads: list[dict[str, str]] = []

    def start_response(_: str, fields: Any, *__: object) -> Any:
        heads.append(dict(fields))

    list(rw.wsgi(failing)(_environ(Ask("/x")), start_response))
    assert "no-store" in {n.lower(): v for n, v in heads[-1].items()}.get("cache-control", "")


def test_an_error_after_the_first_chunk_reaches_the_server() -> None:
    def failing(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b"one"
        try:
            stumble()
        except KeyError:
            start_response("500 Internal Server Error", TEXT, sys.exc_info())

    server = Server(failing)
    for _ in range(2):
        with pytest.raises(KeyError, match="stumbled"):
            server.get()
    assert server.calls == 2


class Closing:
    """A body that counts."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self.closed += 1


def broken() -> Iterator[bytes]:
    yield b"one"
    raise KeyError("half way")


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("take", [0, 1, 2, 3])
def test_close_is_passed_on_exactly_once(cached: bool, take: int) -> None:
    body = Closing([b"one", b"two"])

    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", TEXT)
        return body

    rw = Regionware(routes=[Route("/x", cache=Cache(ttl=60) if cached else None)])
    sent: list[bytes] = []
    result = rw.wsgi(app)(_environ(Ask("/x")), lambda *_: sent.append)
    chunks = iter(result)
    for _ in range(take):
        next(chunks, None)
    assert body.closed == 0
    result.close()  # type: ignore[attr-defined] # what PEP 3333 asks of a server
    assert body.closed == 1


def test_close_is_passed_on_after_an_error() -> None:
    body = Closing(broken())

    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", TEXT)
        return body

    server = Server(app)
    with pytest.raises(KeyError, match="half way"):
        server.get()
    assert body.closed == 1
