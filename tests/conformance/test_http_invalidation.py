"""RFC 9111, section 4.4, and RFC 9875: what an unsafe request takes out of the store."""

import pytest

from regionware.policies import Cache, Route
from tests.conformance.application import Gate, Handler, Response, Seen, text
from tests.conformance.conftest import World
from tests.conformance.standard import (
    KINDS,
    Kind,
    Lines,
    Sites,
    cached,
    fields,
    numbered,
    rows,
    verdict,
)

pytestmark = pytest.mark.volume

MINUTE = "Cache-Control: max-age=60"
TAG = 'ETag: "1"'
SAFE = {"GET", "HEAD"}


def shop(status: int = 200, lines: Lines = (), stored: Lines = (MINUTE, TAG)) -> Handler:
    """Numbers its answers to GET, and always answers everything else in one way."""
    plain, other = numbered(stored), Response((), status, fields(lines))
    return lambda seen: plain(seen) if seen.method in SAFE else other


METHODS = [
    # name, section, gone
    ("POST", "RFC 9111, 4.4", True), ("PUT", "RFC 9111, 4.4", True),
    ("PATCH", "RFC 9111, 4.4", True), ("DELETE", "RFC 9111, 4.4", True),
    ("QUACK", "RFC 9111, 4.4", True), ("GET", "RFC 9110, 9.2.1", False),
    ("HEAD", "RFC 9110, 9.2.1", False), ("OPTIONS", "RFC 9110, 9.2.1", False),
    ("TRACE", "RFC 9110, 9.2.1", False),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("method", "gone"), [(each[0], each[2]) for each in METHODS])
def test_the_method_of_a_change(world: World, kind: Kind, method: str, gone: bool) -> None:
    site = cached(world, shop(), kind)
    site.get()
    site.get(method=method)
    assert verdict(site) == ("forwarded" if gone else "reused")
    assert verdict(site) == "reused"


STATUSES = [
    (200, True), (201, True), (202, True), (204, True), (299, True), (301, True), (302, True),
    (303, True), (307, True), (400, False), (403, False), (404, False), (409, False), (412, False),
    (500, False), (502, False), (503, False),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("status", "gone"), STATUSES)
def test_the_status_of_a_change(world: World, kind: Kind, status: int, gone: bool) -> None:
    """RFC 9111, 4.4: a non-error status is 2xx or 3xx."""
    site = cached(world, shop(status), kind)
    site.get()
    assert site.get(method="POST").status == status
    assert verdict(site) == ("forwarded" if gone else "reused")


def test_a_change_that_raises_is_none(world: World) -> None:
    """RFC 9111, 4.4."""
    plain = numbered([MINUTE])

    def answer(seen: Seen) -> Response:
        if seen.method == "POST":
            raise KeyError(seen.path)
        return plain(seen)

    site = cached(world, answer)
    site.get()
    with pytest.raises(KeyError):
        site.get(method="POST")
    assert verdict(site) == "reused"


# Where: POST to /shop/order. Every name is relative to it.

PLACES = [
    # name, section, field, the URL that was stored, gone
    ("the target itself", "RFC 9111, 4.4", "X-A: 1", "/shop/order", True),
    ("nothing else", "RFC 9111, 4.4", "X-A: 1", "/x", False),
    ("a path", "RFC 9111, 4.4", "Location: /x", "/x", True),
    ("another path", "RFC 9111, 4.4", "Location: /x", "/y", False),
    ("a longer path", "RFC 9111, 4.4", "Location: /x", "/x/y", False),
    ("a URL", "RFC 9111, 4.4", "Location: http://site.test/x", "/x", True),
    ("a URL in upper case", "RFC 9110, 4.2.3", "Location: HTTP://SITE.TEST/x", "/x", True),
    ("a URL with the usual port", "RFC 9110, 4.2.3", "Location: http://site.test:80/x", "/x", True),
    ("without a scheme", "RFC 3986, 4.2", "Location: //site.test/x", "/x", True),
    ("a relative path", "RFC 3986, 5.2", "Location: x", "/shop/x", True),
    ("a relative path from above", "RFC 3986, 5.2", "Location: ../x", "/x", True),
    ("with a fragment", "RFC 9110, 10.2.2", "Location: /x#part", "/x", True),
    ("with a query", "RFC 9111, 4.4", "Location: /x?a=1", "/x", False),
    ("encoded otherwise", "RFC 9110, 4.2.3", "Location: /%78", "/x", True),
    ("another host", "RFC 9111, 4.4", "Location: http://other.test/x", "/x", False),
    ("another host without a scheme", "RFC 9111, 4.4", "Location: //other.test/x", "/x", False),
    ("another scheme", "RFC 9111, 4.4", "Location: https://site.test/x", "/x", False),
    ("another port", "RFC 9111, 4.4", "Location: http://site.test:8080/x", "/x", False),
    ("a user's name", "RFC 9111, 4.4", "Location: http://site.test@other.test/x", "/x", False),
    ("a longer host", "RFC 9111, 4.4", "Location: http://site.test.other.test/x", "/x", False),
    ("no URL", "RFC 9111, 4.4", "Location: http://[site.test/x", "/x", False),
    ("a port that is none", "RFC 9111, 4.4", "Location: http://site.test:x/x", "/x", False),
    ("empty", "RFC 3986, 5.2", "Location: ", "/x", False),
    ("content-location", "RFC 9111, 4.4", "Content-Location: /x", "/x", True),
    ("content-location, a URL", "RFC 9111, 4.4",
     "Content-Location: http://site.test/x", "/x", True),
    ("content-location, another host", "RFC 9111, 4.4",
     "Content-Location: http://other.test/x", "/x", False),
    ("content-location, no URL", "RFC 9111, 4.4", "Content-Location: http://[", "/x", False),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("field", "path", "gone"), rows(PLACES))
def test_the_place_of_a_change(
    world: World, kind: Kind, *, field: str, path: str, gone: bool
) -> None:
    site = cached(world, shop(201, [field]), kind)
    site.get(path)
    assert site.get("/shop/order", method="POST").status == 201
    assert verdict(site, path) == ("forwarded" if gone else "reused")


@pytest.mark.parametrize("kind", KINDS)
def test_another_host_of_the_same_name_of_path_is_left_alone(world: World, kind: Kind) -> None:
    """RFC 9111, 4.4."""
    site = cached(world, shop(), kind)
    for host in ("site.test", "other.test"):
        site.get(host=host)
    site.get(method="POST", host="other.test")
    assert verdict(site, host="site.test") == "reused"
    assert verdict(site, host="other.test") == "forwarded"


@pytest.mark.parametrize("kind", KINDS)
def test_the_query_is_a_part_of_the_target(world: World, kind: Kind) -> None:
    """RFC 9111, 4.4."""
    site = cached(world, shop(201, ["Location: /y?b=2"]), kind)
    for path, query in (("/x", ""), ("/x", "a=1"), ("/y", ""), ("/y", "b=2")):
        site.get(path, query=query)
    site.get("/x", query="a=1", method="POST")
    assert verdict(site, "/x") == verdict(site, "/y") == "reused"
    assert verdict(site, "/x", query="a=1") == verdict(site, "/y", query="b=2") == "forwarded"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [404, 500])
def test_an_error_names_no_other_place(world: World, kind: Kind, status: int) -> None:
    """RFC 9111, 4.4."""
    site = cached(world, shop(status, ["Location: /x", "Content-Location: /x"]), kind)
    site.get()
    site.get("/shop/order", method="POST")
    assert verdict(site) == "reused"


@pytest.mark.parametrize("kind", KINDS)
def test_a_safe_request_names_no_other_place(world: World, kind: Kind) -> None:
    """RFC 9111, 4.4."""
    site = cached(world, numbered([MINUTE, "Location: /x", "Content-Location: /x"], 200), kind)
    site.get("/x")
    site.get("/shop/order")
    assert verdict(site) == "reused"


@pytest.mark.parametrize("kind", KINDS)
def test_all_variants_are_gone(world: World, kind: Kind) -> None:
    """RFC 9111, 4.4."""
    site = cached(world, shop(stored=[MINUTE, "Vary: X-A"]), kind)
    for value in ("X-A: 1", "X-A: 2"):
        site.get(lines=[value])
        assert verdict(site, lines=[value]) == "reused"
    site.get(method="DELETE")
    for value in ("X-A: 1", "X-A: 2"):
        assert verdict(site, lines=[value]) == "forwarded"


ALLOWED = [
    # name, section, stored, the request
    ("max-stale", "RFC 9111, 4.4", [MINUTE], ["Cache-Control: max-stale"]),
    ("stale-while-revalidate", "RFC 9111, 4.4",
     ["Cache-Control: max-age=60, stale-while-revalidate=600"], []),
    ("a validator", "RFC 9111, 4.4", [MINUTE, TAG], []),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "asked"), rows(ALLOWED))
def test_what_is_gone_is_not_served_stale(world: World, stored: Lines, asked: Lines) -> None:
    site = cached(world, shop(stored=stored))
    site.get()
    site.get(method="POST")
    assert verdict(site, lines=asked) == "forwarded"


def test_what_is_gone_does_not_come_back_when_the_application_fails(world: World) -> None:
    """RFC 9111, 4.4."""
    plain, down = numbered([MINUTE]), text("down", 503)
    posted: list[str] = []

    def answer(seen: Seen) -> Response:
        if seen.method == "POST":
            posted.append(seen.path)
            return Response((), 204)
        return down if posted else plain(seen)

    site = cached(world, answer)
    site.get()
    site.get(method="POST")
    assert site.get().status == 503


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_from_before_the_change_is_not_stored_after_it(world: World, kind: Kind) -> None:
    """RFC 9111, 4.4."""
    gate, plain = Gate(), numbered([MINUTE])

    def answer(seen: Seen) -> Response:
        if seen.method == "POST":
            return Response((), 204)
        response = plain(seen)
        return Response(response.chunks, 200, response.headers, gate)

    site = cached(world, answer, kind)
    old = site.turn().start("/x")
    gate.reached()
    site.get(method="POST")
    gate.open()
    assert old.result().body == b"1"
    assert [site.get().body for _ in range(2)] == [b"2", b"2"]


def test_every_change_is_seen_by_the_next_request(world: World) -> None:
    """RFC 9111, 4.4: also by another worker, who may not have heard of the fence yet."""
    site = cached(world, shop())
    late = []
    for number in range(100):
        before = site.get().body
        site.turn().get("/x", method="POST")
        if site.turn().get("/x").body == before:
            late.append(number)
    assert late == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [200, 303])
def test_a_change_counts_as_soon_as_the_client_hears_of_it(
    world: World, kind: Kind, status: int
) -> None:
    """RFC 9111, 4.4: when the status is received, not when the answer ends."""
    gate, plain = Gate(), numbered([MINUTE, TAG])
    change = Response([b"done", gate], status, fields(["Location: /y", "Content-Length: 4"]))
    site = cached(world, lambda seen: change if seen.method == "POST" else plain(seen), kind)
    for path in ("/x", "/y"):
        site.get(path)
    one = site.turn()
    posting = one.start("/x", method="POST")
    posting.received(b"done")
    try:
        assert [verdict(site, path) for path in ("/x", "/y")] == ["forwarded", "forwarded"]
    finally:
        gate.open()
        posting.result()
    # What was filled before a worker heard of the fence is filled again.
    site.settle(one)
    for path in ("/x", "/y"):
        site.get(path)
    assert [verdict(site, path) for path in ("/x", "/y")] == ["reused", "reused"]


# Routes

READING = [
    # name, section, the route of POST, gone
    ("without words", "the policy", Route("/{path:path}", methods=["POST"]), True),
    ("one that reads", "the policy", Route("/{path:path}", methods=["POST"], access="read"), False),
]  # fmt: skip


@pytest.mark.parametrize("policy", KINDS)
@pytest.mark.parametrize(("route", "gone"), rows(READING))
def test_the_route_of_the_change(world: World, policy: Kind, route: Route, gone: bool) -> None:
    cache = Cache.standard() if policy == "standard" else Cache(ttl=60)
    site = Sites(world, shop(), route, Route("/{path:path}", cache=cache))
    site.get()
    site.get(method="POST")
    assert verdict(site) == ("forwarded" if gone else "reused")


def test_a_declared_route_that_reads_is_left_alone(world: World) -> None:
    """The policy."""
    site = Sites(world, shop(), Route("/{path:path}", cache=Cache(ttl=60), access="read"))
    site.get()
    site.get(method="POST")
    assert verdict(site) == "reused"


# Groups

A = 'Cache-Groups: "a"'

GROUPS = [
    # name, section, stored, the change's field, gone
    ("the group", "RFC 9875, 3", [A], ['Cache-Group-Invalidation: "a"'], True),
    ("another group", "RFC 9875, 3", [A], ['Cache-Group-Invalidation: "b"'], False),
    ("no group", "RFC 9875, 2.1", [], ['Cache-Group-Invalidation: "a"'], False),
    ("no invalidation", "RFC 9875, 3", [A], ["X-A: 1"], False),
    ("one of two", "RFC 9875, 2.1",
     ['Cache-Groups: "b", "a"'], ['Cache-Group-Invalidation: "a"'], True),
    ("one of two invalidated", "RFC 9875, 3", [A], ['Cache-Group-Invalidation: "c", "a"'], True),
    ("two lines", "RFC 9651, 4.2",
     ['Cache-Groups: "b"', A],
     ['Cache-Group-Invalidation: "c"', 'Cache-Group-Invalidation: "a"'], True),
    ("a parameter", "RFC 9875, 2",
     ['Cache-Groups: "a";x=1'], ['Cache-Group-Invalidation: "a"'], True),
    ("a parameter of the invalidation", "RFC 9875, 3",
     [A], ['Cache-Group-Invalidation: "a";x'], True),
    ("another case", "RFC 9875, 2.1", [A], ['Cache-Group-Invalidation: "A"'], False),
    ("white space inside", "RFC 9875, 2.1", [A], ['Cache-Group-Invalidation: " a"'], False),
    ("a quoted pair", "RFC 9651, 3.3.3",
     [r'Cache-Groups: "a\"b"'], [r'Cache-Group-Invalidation: "a\"b"'], True),
    ("a comma inside", "RFC 9651, 3.3.3",
     ['Cache-Groups: "a,b"'], ['Cache-Group-Invalidation: "a,b"'], True),
    ("a part of one with a comma", "RFC 9651, 3.3.3",
     ['Cache-Groups: "a,b"'], ['Cache-Group-Invalidation: "a"'], False),
    ("unreadable", "RFC 9651, 4.2", ['Cache-Groups: "a'], ['Cache-Group-Invalidation: "a"'], False),
    ("an unreadable invalidation", "RFC 9651, 4.2", [A], ['Cache-Group-Invalidation: "a'], False),
    ("an unreadable list", "RFC 9651, 4.2", [A], ['Cache-Group-Invalidation: "a",'], False),
    ("a token", "RFC 9875, 2", ["Cache-Groups: a"], ['Cache-Group-Invalidation: "a"'], False),
    ("the invalidation of a token", "RFC 9875, 3", [A], ["Cache-Group-Invalidation: a"], False),
    ("an empty group", "RFC 9875, 2", ['Cache-Groups: ""'], ['Cache-Group-Invalidation: ""'], True),
    ("an empty invalidation", "RFC 9651, 3.1", [A], ["Cache-Group-Invalidation: "], False),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("stored", "change", "gone"), rows(GROUPS))
def test_a_group(world: World, kind: Kind, *, stored: Lines, change: Lines, gone: bool) -> None:
    site = cached(world, shop(200, change, [MINUTE, TAG, *stored]), kind)
    site.get()
    site.get("/other", method="POST")
    assert verdict(site) == ("forwarded" if gone else "reused")
    assert verdict(site) == "reused"


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_a_group_are_gone(world: World, kind: Kind) -> None:
    """RFC 9875, 2.2.2."""
    site = cached(world, shop(200, ['Cache-Group-Invalidation: "a"'], [MINUTE, A]), kind)
    for path in ("/1", "/2", "/3"):
        site.get(path)
    site.get("/other", method="PUT")
    assert [verdict(site, path) for path in ("/1", "/2", "/3")] == ["forwarded"] * 3
    assert [verdict(site, path) for path in ("/1", "/2", "/3")] == ["reused"] * 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "elsewhere",
    [{"host": "other.test"}, {"scheme": "https"}, {"host": "site.test:8080"}],
    ids=["host", "scheme", "port"],
)
def test_a_group_belongs_to_its_origin(world: World, kind: Kind, elsewhere: dict[str, str]) -> None:
    """RFC 9875, 2.1."""
    site = cached(world, shop(200, ['Cache-Group-Invalidation: "a"'], [MINUTE, A]), kind)
    site.get()
    site.get(**elsewhere)
    site.get("/other", method="POST", **elsewhere)
    assert verdict(site) == "reused"
    assert verdict(site, **elsewhere) == "forwarded"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("method", "status", "gone"),
    [
        ("POST", 200, True), ("DELETE", 204, True), ("QUACK", 200, True), ("POST", 303, True),
        ("POST", 400, False), ("POST", 500, False),
        ("GET", 200, False), ("HEAD", 200, False), ("OPTIONS", 200, False),
    ],
)  # fmt: skip
def test_who_invalidates_a_group(
    world: World, kind: Kind, *, method: str, status: int, gone: bool
) -> None:
    """RFC 9875, 3: MUST be ignored on responses to safe methods; by the policy, on errors too."""
    change = Response((), status, fields(['Cache-Group-Invalidation: "a"']))
    plain = numbered([MINUTE, A])
    site = cached(world, lambda seen: change if seen.path == "/other" else plain(seen), kind)
    site.get()
    site.get("/other", method=method)
    assert verdict(site) == ("forwarded" if gone else "reused")


def test_a_304_may_change_the_groups(world: World) -> None:
    """RFC 9111, 3.2: the field is updated as any other."""
    change = Response((), 200, fields(['Cache-Group-Invalidation: "b"']))

    def answer(seen: Seen) -> Response:
        if seen.path == "/other":
            return change
        if "if-none-match" in seen.headers:
            return Response((), 304, fields([MINUTE, TAG, 'Cache-Groups: "b"']))
        return Response([b"x"], headers=fields(["Cache-Control: max-age=10", "Age: 20", TAG, A]))

    site = cached(world, answer)
    assert [verdict(site), verdict(site), verdict(site)] == ["forwarded", "validated", "reused"]
    site.get("/other", method="POST")
    assert verdict(site) == "forwarded"


def test_a_group_is_not_a_tag(world: World) -> None:
    """The policy: what a response says does not reach tags that a route declares."""
    route = Route("/{path:path}", cache=Cache(ttl=60, tags=["a"]))
    site = Sites(world, shop(200, ['Cache-Group-Invalidation: "a"']), route)
    site.get()
    site.get("/other", method="POST")
    assert verdict(site) == "reused"
