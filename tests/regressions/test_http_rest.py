"""Whatever a client or an application does, later requests are answered, and soon."""

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from regionware.caching.variants import fields_of
from regionware.http.fields import vary_value
from regionware.http.request import Request
from regionware.policies import Cache, Cdn, Route
from regionware.policies.route import Mode
from regionware.policies.table import Table
from tests.conformance.application import Application, Gate, Response, Seen, counting, text
from tests.conformance.conftest import Clock, World
from tests.conformance.harness import Ask, HungUp, until
from tests.conformance.harness import _environ as environ_of
from tests.conformance.standard import MEMORY, Lines, Time, cached, fields, numbered

TAG = 'ETag: "1"'
MINUTE = "Cache-Control: max-age=60"
RESCUING = Route("/{path:path}", cache=Cache(ttl=10, stale_if_error=100))


class BrokenError(Exception):
    """What the application fails with."""


# Odd answers


@pytest.mark.parametrize("lines", [["Date: Mon, 01 Jan 0001 00:00:00 GMT"], ["Age: 99999999999"]])
def test_an_answer_older_than_any_frame_has_room_for(world: World, lines: Lines) -> None:
    site = cached(world, numbered([TAG, MINUTE, *lines]))
    assert [site.get().status for _ in range(3)] == [200] * 3


def test_a_field_that_wsgi_keeps_apart_selects_too(world: World) -> None:
    """PEP 3333: `Content-Type` is no variable among those of the other fields."""

    def application(seen: Seen) -> Response:
        told = seen.headers.get("content-type", "none")
        return Response([told.encode()], headers=fields([MINUTE, "Vary: Content-Type"]))

    site = cached(world, application)
    for kind in (["Content-Type: a"], [], ["Content-Type: b"]):
        told = site.get(lines=kind).body
        assert told == (kind[0].partition(": ")[2].encode() if kind else b"none")
        assert site.get(lines=kind).hit


# Clients that go, and applications that change their minds


@MEMORY
def test_a_rescued_answer_that_nobody_takes(world: World, clock: Clock) -> None:
    """The next request does not wait for it."""

    def application(_: Seen) -> Response:
        if len(site.app.calls) > 1:
            raise BrokenError
        return text("old")

    def gone(*_: object) -> Callable[[bytes], object]:
        raise HungUp

    def leave() -> None:
        if world.flavour == "wsgi":
            site._wsgi(environ_of(Ask("/x")), gone)
        else:
            site.get("/x", leave_after=0)

    site = world.site(application, RESCUING, clock=clock)
    site.get("/x")
    clock.now += 20
    with pytest.raises(HungUp):
        leave()
    assert len(site.rw._parts.rim._flights) == 0
    assert site.get("/x").body == b"old"


class Hesitant(Application):
    """Its first answer is good; then it begins one way, and ends in another."""

    def __init__(self, status: str) -> None:
        super().__init__(counting())
        self.status = status

    def wsgi(
        self, environ: dict[str, Any], start_response: Callable[..., object]
    ) -> Iterator[bytes]:
        if not self.calls:
            return super().wsgi(environ, start_response)
        start_response(self.status, [("ETag", '"1"')])
        error = BrokenError()
        start_response("404 Not Found", [("Content-Length", "4")], (BrokenError, error, None))
        return iter([b"gone"])


@MEMORY
@pytest.mark.parametrize("flavour", ["wsgi"])
@pytest.mark.parametrize("status", ["304 Not Modified", "500 Oops"])
def test_a_second_head_after_ours(world: World, clock: Clock, status: str) -> None:
    """PEP 3333: until something is sent an application may begin anew, and is believed."""
    app = Hesitant(status)
    app.handler = lambda _: text("stored content", ETag='"1"')
    site = world.behind(world.regionware(RESCUING, clock=clock), app)
    site.get("/x")
    clock.now += 20
    answer = site.get("/x")
    assert (answer.status, answer.body) == (404, b"gone")


@MEMORY
@pytest.mark.parametrize("flavour", ["asgi"])
@pytest.mark.parametrize(("mode", "seen"), [("observe", b"hello"), ("off", b"hello"), ("on", b"")])
def test_only_what_is_on_hides_content(
    world: World, mode: Mode, seen: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`observe` changes nothing: neither answers nor requests."""
    # HTTP/2 announces no length.
    monkeypatch.setattr(Ask, "fields", lambda ask: [("host", ask.host)])
    site = world.site(lambda seen: text(seen.body), mode=mode)
    assert site.get("/x", body=b"hello").body == seen


# What is remembered


@MEMORY
def test_that_a_url_is_personal_now_is_remembered(world: World) -> None:
    """Nobody queues for another's head where answers have varied before."""
    gate, time = Gate(), Time()
    answers = [
        Response([b"x"], headers=fields(["Cache-Control: max-age=10", "Vary: X-A"])),
        Response([b"x"], headers=fields(["Cache-Control: private"])),
    ]
    held = Response([b"x"], headers=fields(["Cache-Control: private"]), hold=gate)
    site = cached(world, lambda _: answers.pop(0) if answers else held, **time.options).all[0]
    site.get("/x")
    assert site.get("/x").hit
    time.pass_(11)
    site.get("/x")
    calls = [site.start("/x") for _ in range(3)]
    try:
        until(lambda: gate.waiting == 3, 5)
    finally:
        gate.open()
    for call in calls:
        call.result()


class Fields(Request):
    """A request of one field."""

    def __init__(self, value: str) -> None:
        self.value = value

    def header(self, name: str) -> str | None:
        return self.value if name == "x-own" else None

    def headers(self) -> Iterator[tuple[str, str]]:
        return iter([("x-own", self.value)])


TABLE = Table([RESCUING])
MEMOS: dict[str, Callable[[str], object]] = {
    "a field": lambda text: vary_value("x-own", text),
    "all fields": lambda text: fields_of(Fields(text)),
    "a path": lambda text: TABLE.match("GET", "site.test", f"/{text}"),
}


@pytest.mark.parametrize("memo", MEMOS)
def test_what_is_long_is_not_remembered(memo: str) -> None:
    """What clients send fills no memory beside the one that is bounded by `memory=`."""
    remember = MEMOS[memo]
    tracemalloc.start()
    try:
        for number in range(100):
            remember(f"{number} " + "a" * 20_000)
        assert tracemalloc.get_traced_memory()[0] < 200_000
    finally:
        tracemalloc.stop()


# What the application says to edges


@MEMORY
@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("max-age=5, s-maxage=600", "private, max-age=5"),
        ("max-age=600, s-maxage=5", "private, max-age=60"),
        ("s-maxage=5", "private, max-age=5"),
    ],
)
def test_a_browsers_lifetime_is_tightened_by_its_own(world: World, said: str, told: str) -> None:
    """RFC 9111, section 5.2.2.10: `s-maxage` is for shared caches."""
    route = Route("/{path:path}", cdn=Cdn.private(max_age=60))
    site = world.site(lambda _: text("x", Cache_Control=said), route)
    assert site.get("/x")["cache-control"] == told


@MEMORY
@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("no-store", "private, no-store"),
        ("private", "private, no-store"),
        ("max-age=600", "public, max-age=30"),
    ],
)
def test_what_is_kept_from_edges_is_kept_from_them_all(world: World, word: str, told: str) -> None:
    """RFC 9213: a targeted field is removed, and what it forbids is said where all can read it."""
    answer = text("x", Cache_Control="max-age=60", CDN_Cache_Control=word)
    site = world.site(lambda _: answer, Route("/{path:path}", cdn=Cdn(max_age=30)))
    found = site.get("/x")
    assert (found["cache-control"], found["cdn-cache-control"]) == (told, "")


@pytest.mark.parametrize("by", ["authorization", "x-user"])
def test_a_field_that_we_vary_on_stays_ours_after_a_304(world: World, by: str) -> None:
    """RFC 9111, section 3.5: the policy keys on the identity, and tells browsers so."""
    stale = text("mine", ETag='"1"', Cache_Control="max-age=10", Age="20")
    fresh = Response((), 304, [("ETag", '"1"'), ("Cache-Control", "max-age=60")])
    cache = Cache(ttl=60, by=by, allow_authorization=True)
    site = world.site(
        lambda seen: fresh if "if-none-match" in seen.headers else stale,
        Route("/{path:path}", cache=cache),
    )
    asked = {by: "a", "Authorization": "a"}
    for _ in range(2):
        assert site.get("/x", headers=asked).body == b"mine"
    assert site.get("/x", headers=asked).hit
    assert len(site.app.calls) == 2
    site.get("/x", headers={by: "b", "Authorization": "b"})
    assert len(site.app.calls) == 3
