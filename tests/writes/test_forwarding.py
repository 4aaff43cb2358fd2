"""A forwarded request is the same request, and its answer the same answer."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionware import Region
from regionware.forwarding import outgoing
from regionware.forwarding.fields import end_to_end
from regionware.policies import Cache, Route, Write
from tests.conformance.application import DEADLINE
from tests.conformance.harness import until
from tests.writes.served import FORWARDS, App, Place, Server, Told, Worlds, shown

WRITES = Route("/{path:path}", write=FORWARDS)


def test_a_write_is_carried_out_in_the_primarys_region(worlds: Worlds) -> None:
    far, near = worlds.pair()
    answer = far.ask(body=b"a=1")
    assert (answer.status, answer.body) == (200, b"done")
    assert (len(far.app.seen), len(near.app.seen)) == (0, 1)
    assert near.app.seen[0].body == b"a=1"
    assert answer["cache-control"] == "private, no-store"
    assert far.rw.counts()["forwarded:iad"] == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_what_is_safe_stays(worlds: Worlds, method: str) -> None:
    far, near = worlds.pair()
    far.ask(method)
    assert (len(far.app.seen), len(near.app.seen)) == (1, 0)


def test_access_decides_before_the_method(worlds: Worlds) -> None:
    routes = [
        Route("/search", access="read", write=FORWARDS),
        Route("/unsubscribe", access="write", write=FORWARDS),
    ]
    far, near = worlds.pair(routes)
    far.ask("POST", "/search")
    assert (len(far.app.seen), len(near.app.seen)) == (1, 0)
    far.ask("GET", "/unsubscribe")
    assert (len(far.app.seen), len(near.app.seen)) == (1, 1)


@pytest.mark.parametrize(
    "routes", [[Route("/{path:path}")], [Route("/{path:path}", write=Write.direct())]]
)
def test_without_the_policy_it_stays(worlds: Worlds, routes: list[Route]) -> None:
    far, near = worlds.pair(routes)
    far.ask()
    assert (len(far.app.seen), len(near.app.seen)) == (1, 0)


def test_the_primarys_region_carries_it_out_itself(worlds: Worlds) -> None:
    far, near = worlds.pair()
    assert near.ask().status == 200
    assert (len(far.app.seen), len(near.app.seen)) == (0, 1)
    assert near.count("forwarded") == 0


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_other_modes_change_nothing(worlds: Worlds, mode: Any) -> None:
    far, near = worlds.pair()
    far.rw.mode = mode
    answer = far.ask()
    assert (len(far.app.seen), len(near.app.seen)) == (1, 0)
    assert answer["cache-control"] == ""
    assert far.count("forwarded") == (mode == "observe")


def test_an_upgrade_is_not_carried_over(worlds: Worlds) -> None:
    far, near = worlds.pair()
    far.ask("POST", headers=[("Connection", "upgrade"), ("Upgrade", "something/1")])
    assert (len(far.app.seen), len(near.app.seen)) == (1, 0)


# What the application there sees

_PATHS = st.sampled_from(
    [
        "/",
        "/things",
        "/a%2Fb",
        "/a//b",
        "/a/./b",
        "/a/../b",
        "/%7Euser/~user",
        "/a%20b",
        "/%C3%BC",
        "/a;b=c",
        "/a:b@c",
        "/a+b",
        "/%41",
        "/a%3Fb",
        "/a%25b",
        "/*",
        "/a,b$c!",
        "/%e2%82%ac",
    ]
)
_QUERIES = st.sampled_from(
    ["", "a=1&a=2", "q=%20+%2B", "x=%FF", "a=b;c=d", "a", "=", "&&", "a=%C3%BC&b=?/"]
)
_VALUES = st.text("abcXYZ0189 ,;=\"'()/:é~", max_size=12).map(str.strip)
_NAMES = st.sampled_from(
    [
        "Accept",
        "Authorization",
        "Cookie",
        "X-Thing",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "Forwarded",
        "X-Forwarded-Host",
        "CDN-Loop",
        "Via",
        "Accept-Language",
        "If-Match",
        "Origin",
        "X-Real-IP",
    ]
)
_HEADERS = st.lists(st.tuples(_NAMES, _VALUES), max_size=8)
_BODIES = st.one_of(
    st.none(), st.binary(max_size=300), st.lists(st.binary(min_size=1, max_size=200), max_size=4)
)


def _same(far: Place, near: Place, bare: App, direct: Server, target: str, **ask: Any) -> None:
    body = ask.pop("body")
    copies = [iter(body) if isinstance(body, list) else body for _ in range(2)]
    headers = [("Host", "Shop.example:8080"), *ask.pop("headers")]
    alone = Place("bare", bare, far.rw, direct)
    expected = alone.ask(target=target, headers=headers, body=copies[0], **ask)
    got = far.ask(target=target, headers=headers, body=copies[1], **ask)
    assert (got.status, got.body) == (expected.status, expected.body)
    one, other = bare.seen.pop(), near.app.seen.pop()
    assert not bare.seen
    assert not near.app.seen
    assert one.facts() == other.facts(), f"{shown(one)}\n{shown(other)}"


def test_it_is_what_it_would_be_directly(worlds: Worlds) -> None:
    far, near = worlds.pair()
    bare = App()
    direct = worlds.bare(bare)

    @settings(max_examples=80, deadline=None)
    @given(
        st.sampled_from(["POST", "PUT", "PATCH", "DELETE", "PROPFIND"]),
        _PATHS, _QUERIES, _HEADERS, _BODIES,
    )  # fmt: skip
    def check(method: str, path: str, query: str, headers: Any, body: Any) -> None:
        target = f"{path}?{query}" if query else path
        _same(far, near, bare, direct, target, method=method, headers=headers, body=body)

    check()


def test_a_hop_that_is_not_read_is_noticed(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control of the above."""
    far, near = worlds.pair()
    bare = App()
    direct = worlds.bare(bare)
    monkeypatch.setattr("regionware.forwarding.arriving.arrived", lambda *_: None)
    for module in ("asgi_arriving", "wsgi_arriving"):
        monkeypatch.setattr(f"regionware.adapters.{module}.arrived", lambda *_: None)
    with pytest.raises(AssertionError):
        _same(far, near, bare, direct, "/x", method="POST", headers=[], body=b"")


def test_the_outer_scheme_host_and_client_are_restored(worlds: Worlds) -> None:
    """Whatever a proxy between the regions has added is taken away again."""
    far, near = worlds.pair()
    original = end_to_end

    def by_a_proxy(headers: Any, drop: Any = ()) -> Any:
        added = [
            (b"x-forwarded-proto", b"gopher"),
            (b"x-forwarded-for", b"10.9.9.9"),
            (b"via", b"1.1 p"),
        ]
        return [*original(headers, drop), *added]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outgoing, "end_to_end", by_a_proxy)
        far.ask(headers=[("Host", "shop.example"), ("X-Forwarded-For", "198.51.100.7")])
    seen = near.app.seen[0]
    assert seen.of("host") == ["shop.example"]
    assert seen.of("x-forwarded-for") == ["198.51.100.7"]
    assert (seen.of("x-forwarded-proto"), seen.of("via")) == ([], [])
    assert (seen.scheme, seen.client) == ("http", "127.0.0.1")
    assert seen.of("regionware-hop") == []


def test_fields_of_the_connection_end(worlds: Worlds) -> None:
    far, near = worlds.pair()
    far.ask(
        headers=[
            ("Connection", "keep-alive, X-Mine, Cookie"),
            ("X-Mine", "1"),
            ("Keep-Alive", "3"),
            ("TE", "trailers"),
            ("Proxy-Authorization", "Basic x"),
            ("Proxy-Connection", "y"),
            ("X-Other", "2"),
            ("Cookie", "a=1"),
        ]
    )
    names = {name for name, _ in near.app.seen[0].headers}
    assert {"x-other", "cookie"} <= names
    assert not names & {"x-mine", "keep-alive", "te", "proxy-authorization", "proxy-connection"}


def test_expect_is_answered_before_the_content_is_sent(worlds: Worlds) -> None:
    far, near = worlds.pair()
    with socket.create_connection(("127.0.0.1", far.server.port), timeout=DEADLINE) as line:
        line.sendall(
            b"POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n"
            b"Connection: close\r\n\r\n"
        )
        first = line.recv(1000)
        assert first.startswith(b"HTTP/1.1 100")
        line.sendall(b"body")
        rest = first
        while piece := line.recv(1000):
            rest += piece
    while rest.startswith(b"HTTP/1.1 100"):  # some servers say it twice
        rest = rest.partition(b"\r\n\r\n")[2]
    assert rest.startswith(b"HTTP/1.1 200")
    assert near.app.seen[0].body == b"body"


# What the client sees


def _told(place: Place, **told: Any) -> None:
    place.app.told = lambda _: Told(**told)


@pytest.mark.parametrize(
    "status", [200, 201, 202, 204, 205, 301, 303, 304, 307, 400, 404, 409, 422, 500, 503, 599]
)
def test_every_status(worlds: Worlds, status: int) -> None:
    far, near = worlds.pair()
    empty = status in {204, 205, 304}
    _told(near, status=status, headers=[("X-Is", "there")], steps=() if empty else (b"text",))
    answer = far.ask()
    assert (answer.status, answer.body) == (status, b"" if empty else b"text")
    assert answer["x-is"] == "there"
    assert answer["cache-control"] == "private, no-store"


def test_fields_of_the_answer(worlds: Worlds) -> None:
    far, near = worlds.pair()
    _told(
        near,
        headers=[
            ("Set-Cookie", "a=1; Path=/"),
            ("Set-Cookie", "b=2; Expires=Wed, 01 Jan 2031 00:00:00 GMT"),
            ("X-List", "1"),
            ("X-List", "2"),
            ("Location", "/there"),
            ("Content-Type", "text/html"),
            ("Cache-Control", "public, max-age=60"),
            ("Expires", "Wed, 01 Jan 2031 00:00:00 GMT"),
            ("CDN-Cache-Control", "max-age=60"),
            ("Content-Encoding", "gzip"),
        ],
        steps=(b"not really gzip",),
    )
    answer = far.ask()
    assert answer.all("set-cookie") == ["a=1; Path=/", "b=2; Expires=Wed, 01 Jan 2031 00:00:00 GMT"]
    assert answer.all("x-list") == ["1", "2"]
    assert (answer["location"], answer["content-encoding"]) == ("/there", "gzip")
    assert answer.all("cache-control") == ["private, no-store"]
    assert (answer["expires"], answer["cdn-cache-control"]) == ("", "")
    assert answer.body == b"not really gzip"
    assert (len(answer.all("date")), len(answer.all("server"))) == (1, 1)


def test_a_known_length_stays_known(worlds: Worlds) -> None:
    far, near = worlds.pair()
    _told(near, headers=[("Content-Length", "5")], steps=(b"12345",))
    answer = far.ask()
    assert (answer["content-length"], answer["transfer-encoding"]) == ("5", "")


def test_the_first_octets_come_before_the_last_are_made(worlds: Worlds) -> None:
    far, near = worlds.pair()
    passed = threading.Event()
    _told(near, steps=(b"first", lambda: passed.wait(DEADLINE) and b"", b"last"))
    with socket.create_connection(("127.0.0.1", far.server.port), timeout=DEADLINE) as line:
        line.sendall(
            b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        got = b""
        while b"first" not in got:
            got += line.recv(1000)
        assert b"last" not in got
        passed.set()
        while piece := line.recv(1000):
            got += piece
    assert b"last" in got


def test_the_content_is_sent_on_as_it_comes(worlds: Worlds) -> None:
    """The primary's application has the first piece before the client has sent the second."""
    _, near = worlds.pair()
    arrived = threading.Event()

    if worlds.flavour == "asgi":
        inner = near.app.asgi

        async def noticing(scope: Any, receive: Any, send: Any) -> None:
            async def receiving() -> Any:
                message = await receive()
                if message.get("body"):
                    arrived.set()
                return message

            await inner(scope, receiving, send)

        wrapped: Any = near.rw.asgi(noticing)
    else:

        def reading(environ: Any, start_response: Any) -> Any:
            source = environ["wsgi.input"]
            first = source.read(5)
            if first:
                arrived.set()
            source.read()
            start_response("200 OK", [])
            return [b"done"]

        wrapped = near.rw.wsgi(reading)
    server = Server(worlds.flavour, wrapped)
    worlds._ends.append(server.close)
    distant = worlds.far(server.port)

    def content() -> Iterator[bytes]:
        yield b"first" * 20_000
        assert arrived.wait(DEADLINE), "it was kept"
        yield b"second"

    assert distant.ask(body=content()).body == b"done"


def test_connections_are_used_again(worlds: Worlds) -> None:
    there = Server("asgi", App().asgi)  # the other one closes after each answer
    worlds._ends.append(there.close)
    far = worlds.far(there.port)
    for _ in range(5):
        assert far.ask(body=b"x" * 100).status == 200
    client = far.rw._parts.rim.client
    assert client is not None
    pools = [client._pool] if worlds.flavour == "wsgi" else list(client._pools.values())
    # A client may be back before its last request has given the connection back.
    assert 1 <= sum(len(pool.connections) for pool in pools if pool is not None) < 4


def test_an_answer_ends_what_is_stored_here(worlds: Worlds) -> None:
    """RFC 9111, section 4.4: as after a local write."""
    routes = [Route("/{path:path}", cache=Cache(ttl=300), write=FORWARDS)]
    far, near = worlds.pair(routes)
    far.app.told = lambda _: Told(steps=(b"%d" % len(far.app.seen),))
    assert [far.ask("GET").body for _ in range(2)] == [b"1", b"1"]
    _told(near, status=422)
    far.ask("POST")
    assert far.ask("GET").body == b"1"  # an error ends nothing
    _told(near, status=303)
    far.ask("POST")
    assert far.ask("GET").body == b"2"


def test_one_region_needs_nothing(worlds: Worlds) -> None:
    alone = worlds.place("here", [Region("here", primary=True)], secret=None)
    assert alone.ask().status == 200
    assert len(alone.app.seen) == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_the_limit_of_a_content(worlds: Worlds, chunked: bool) -> None:
    routes = [Route("/{path:path}", write=Write.forward(timeout=DEADLINE, body_limit=1000))]
    far, near = worlds.pair(routes)
    assert far.ask(body=b"x" * 1000).status == 200
    assert len(near.app.seen) == 1
    body = iter([b"x" * 600] * 2) if chunked else b"x" * 1001
    answer = far.ask(body=body)
    if chunked:
        # The application there was cut off before it had all of it.
        assert answer.status == 413
        assert (len(far.app.seen), len(near.app.seen)) == (0, 1)
    else:
        assert answer.status == 200
        assert (len(far.app.seen), len(near.app.seen)) == (1, 1)


def test_a_client_that_leaves_sends_nothing_whole(worlds: Worlds) -> None:
    far, near = worlds.pair()
    with socket.create_connection(("127.0.0.1", far.server.port), timeout=DEADLINE) as line:
        line.sendall(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome")
    until(lambda: far.rw.counts().get("forward-failed:gone"))
    assert near.app.seen == []


@pytest.mark.parametrize("stripped", [False, True])
def test_a_url_may_have_a_path(worlds: Worlds, stripped: bool) -> None:
    """A proxy of the primary's region takes it off, or leaves it there."""
    iad = Region("iad", primary=True, url="http://iad.invalid/inner/")
    near = worlds.place("iad", [iad, Region("fra")], [WRITES])
    url = f"http://127.0.0.1:{near.server.port}/inner/"
    if stripped:
        url = url.removesuffix("inner/")
    far = worlds.place("fra", [Region("iad", primary=True, url=url), Region("fra")], [WRITES])
    assert far.ask(target="/a%20b?q=1", headers=[("Host", "shop.example")]).status == 200
    seen = near.app.seen[0]
    assert seen.path == ("/a b" if stripped else "/inner/a b")
    assert seen.of("host") == ["shop.example"]
    assert near.count("hop-refused") == 0


def test_a_head_of_what_writes(worlds: Worlds) -> None:
    far, near = worlds.pair([Route("/{path:path}", access="write", write=FORWARDS)])
    _told(near, headers=[("Content-Length", "4")], steps=())
    answer = far.ask("HEAD")
    assert (answer.status, answer["content-length"], answer.body) == (200, "4", b"")
    assert (len(far.app.seen), len(near.app.seen)) == (0, 1)
