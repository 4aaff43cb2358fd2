"""RFC 9111, section 3: what a shared cache stores of a response, and what it does not."""

from typing import Any

import pytest

from regionware.policies import Cache
from tests.conformance.application import Gate, Handler, Response, Seen, counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import until
from tests.conformance.standard import (
    KINDS,
    Kind,
    Lines,
    cached,
    dispatch,
    numbered,
    rows,
    verdict,
)

pytestmark = pytest.mark.volume

MINUTE = "Cache-Control: max-age=60"
TAG = 'ETag: "1"'
LONG_AGO = "Last-Modified: <-100000>"

# The response's directives. Every row has a twin that differs in what forbids, and is reused.

REFUSED = [
    # name, section, refused, twin
    ("no-store", "RFC 9111, 5.2.2.5",
     ["Cache-Control: no-store, max-age=60"], [MINUTE]),
    ("no-store in upper case", "RFC 9111, 5.2",
     ["Cache-Control: max-age=60, NO-STORE"], ["Cache-Control: MAX-AGE=60"]),
    ("no-store among white space", "RFC 9110, 5.6.1",
     ["Cache-Control: max-age=60 ,\t no-store ,,"], ["Cache-Control: max-age=60 ,\t ,,"]),
    ("no-store on the first line", "RFC 9110, 5.3",
     ["Cache-Control: no-store", MINUTE], ["Cache-Control: public", MINUTE]),
    ("no-store on the second line", "RFC 9110, 5.3",
     [MINUTE, "Cache-Control: no-store"], [MINUTE, "Cache-Control: public"]),
    ("no-store beside public", "RFC 9111, 5.2.2.9",
     ["Cache-Control: public, s-maxage=60, no-store"], ["Cache-Control: public, s-maxage=60"]),
    ("no-store beside immutable", "RFC 8246, 2",
     ["Cache-Control: max-age=60, immutable, no-store"],
     ["Cache-Control: max-age=60, immutable"]),
    ("no-store after an extension", "RFC 9111, 5.2.3",
     ['Cache-Control: max-age=60, new="a, b", no-store'],
     ['Cache-Control: max-age=60, new="a, no-store", no-store-x']),
    ("no-store after a quoted pair", "RFC 9110, 5.6.4",
     [r'Cache-Control: max-age=60, new="\"", no-store, x="a"'],
     [r'Cache-Control: max-age=60, new="\", no-store, \""']),
    ("private", "RFC 9111, 5.2.2.7",
     ["Cache-Control: private, max-age=60"], [MINUTE]),
    ("private beside public", "RFC 9111, 4.2.1",
     ["Cache-Control: public, Private, max-age=60"], ["Cache-Control: public, max-age=60"]),
    ("private beside s-maxage", "RFC 9111, 3",
     ["Cache-Control: s-maxage=60, private"], ["Cache-Control: s-maxage=60"]),
    ("private for a community", "RFC 9111, 5.2.3",
     ['Cache-Control: private, max-age=60, community="UCI"'],
     ['Cache-Control: max-age=60, community="UCI"']),
    ("private beside a qualified one", "RFC 9111, 5.2.2.7",
     ['Cache-Control: private="x-a", private, max-age=60'],
     ['Cache-Control: private="x-a", max-age=60']),
    ("a directive that cannot be read", "RFC 9111, 4.2.1",
     ['Cache-Control: max-age=60, new="no end'], ['Cache-Control: max-age=60, new="an end"']),
    ("vary by cookie", "RFC 9111, 4.1",
     [MINUTE, "Vary: Accept, cookie"], [MINUTE, "Vary: Accept"]),
    ("vary by authorization", "RFC 9111, 4.1",
     [MINUTE, "Vary: Authorization"], [MINUTE, "Vary: Accept-Language"]),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("refused", "twin"), rows(REFUSED))
def test_it_is_not_stored(world: World, kind: Kind, refused: Lines, twin: Lines) -> None:
    handler = dispatch(refused=numbered([*refused, TAG]), twin=numbered([*twin, TAG]))
    site = cached(world, handler, kind)
    assert [verdict(site, "/refused"), verdict(site, "/twin")] == ["forwarded"] * 2
    assert [verdict(site, "/refused"), verdict(site, "/twin")] == ["forwarded", "reused"]


# The status

FINAL = [
    200, 201, 202, 203, 204, 226, 299, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410,
    414, 429, 451, 499, 500, 501, 502, 503, 504, 599,
]  # fmt: skip


@pytest.mark.parametrize("status", FINAL)
def test_any_final_status_is_stored_with_a_lifetime(world: World, status: int) -> None:
    """RFC 9111, 3."""
    site = cached(world, numbered([MINUTE], status))
    assert [site.get().status, site.get().status] == [status, status]
    assert verdict(site) == "reused"


HEURISTIC = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]
OTHERS = [201, 202, 226, 299, 302, 303, 307, 400, 401, 403, 429, 499, 500, 502, 503, 504]


@pytest.mark.parametrize("status", [*HEURISTIC, *OTHERS])
def test_heuristics_are_for_some_statuses(world: World, status: int) -> None:
    """RFC 9111, 3 and 4.2.2; RFC 9110, 15.1."""
    site = cached(world, numbered([LONG_AGO], status))
    site.get()
    assert verdict(site) == ("reused" if status in HEURISTIC else "forwarded")


@pytest.mark.parametrize("status", OTHERS)
def test_public_admits_heuristics_for_any_status(world: World, status: int) -> None:
    """RFC 9111, 5.2.2.9."""
    site = cached(world, numbered([LONG_AGO, "Cache-Control: public"], status))
    site.get()
    assert verdict(site) == "reused"


PERMISSION = [
    # name, section, status, fields, the second request
    ("silent 200 with a validator", "RFC 9111, 3", 200, [TAG], "validated"),
    ("silent 302 with a validator", "RFC 9111, 3", 302, [TAG], "forwarded"),
    ("silent 503 with a validator", "RFC 9111, 3", 503, [TAG], "forwarded"),
    ("no-cache 200 with a validator", "RFC 9111, 5.2.2.4",
     200, [TAG, "Cache-Control: no-cache"], "validated"),
    ("no-cache 302 with a validator", "RFC 9111, 3",
     302, [TAG, "Cache-Control: no-cache"], "forwarded"),
    ("must-revalidate 302 with a validator", "RFC 9111, 3",
     302, [TAG, "Cache-Control: must-revalidate"], "forwarded"),
    ("302 that expires", "RFC 9111, 3", 302, ["Expires: <+60>"], "reused"),
    ("302 for shared caches", "RFC 9111, 3", 302, ["Cache-Control: s-maxage=60"], "reused"),
    ("silent", "RFC 9111, 3", 200, [], "forwarded"),
    ("no-cache without a validator", "RFC 9111, 5.2.2.4",
     200, ["Cache-Control: no-cache, max-age=60"], "forwarded"),
    ("last-modified alone, just now", "RFC 9111, 4.2.2", 200, ["Last-Modified: <-1>"], "validated"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "lines", "expected"), rows(PERMISSION))
def test_something_must_permit_storage(
    world: World, status: int, lines: Lines, expected: str
) -> None:
    site = cached(world, numbered(lines, status))
    assert verdict(site) == "forwarded"
    assert verdict(site) == expected


UNDERSTOOD = [
    # name, section, status, fields, stored
    ("known", "RFC 9111, 5.2.2.3", 200, ["Cache-Control: must-understand, max-age=60"], True),
    ("known error", "RFC 9111, 5.2.2.3",
     404, ["Cache-Control: must-understand, max-age=60"], True),
    ("known, with no-store", "RFC 9111, 5.2.2.3",
     200, ["Cache-Control: must-understand, no-store, max-age=60"], True),
    ("known, with private", "RFC 9111, 5.2.2.3",
     200, ["Cache-Control: must-understand, private, max-age=60"], False),
    ("unknown", "RFC 9111, 3", 299, ["Cache-Control: must-understand, max-age=60"], False),
    ("unknown error", "RFC 9111, 3", 499, ["Cache-Control: must-understand, max-age=60"], False),
    ("unknown, with no-store", "RFC 9111, 3",
     299, ["Cache-Control: must-understand, no-store, max-age=60"], False),
    ("unknown, without it", "RFC 9111, 3", 299, ["Cache-Control: max-age=60"], True),
]  # fmt: skip


@pytest.mark.parametrize(("status", "lines", "stored"), rows(UNDERSTOOD))
def test_must_understand(world: World, status: int, lines: Lines, stored: bool) -> None:
    site = cached(world, numbered([*lines, TAG], status))
    site.get()
    assert verdict(site) == ("reused" if stored else "forwarded")


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_is_not_stored(world: World, kind: Kind) -> None:
    """RFC 9111, 3.3."""
    part = Response(
        [b"ab"], 206, [("Cache-Control", "max-age=60"), ("Content-Range", "bytes 0-1/9")]
    )
    site = cached(world, lambda seen: part if "range" in seen.headers else text("abcdefghi"), kind)
    asked = site.get(lines=["Range: bytes=0-1"])
    assert (asked.status, asked.body) == (206, b"ab")
    assert (site.get().status, site.get().body) == (200, b"abcdefghi")


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_that_nobody_asked_for_is_not_stored(world: World, kind: Kind) -> None:
    """RFC 9111, 3.3."""
    site = cached(world, numbered([MINUTE, TAG, "Content-Range: bytes 0-0/9"], 206), kind)
    assert [verdict(site), verdict(site)] == ["forwarded", "forwarded"]


# The method

METHODS = [
    ("GET", "RFC 9111, 2", True), ("HEAD", "RFC 9110, 9.3.2", False),
    ("POST", "RFC 9110, 9.3.3", False), ("PUT", "RFC 9110, 9.3.4", False),
    ("PATCH", "RFC 5789, 2", False), ("DELETE", "RFC 9110, 9.3.5", False),
    ("OPTIONS", "RFC 9110, 9.3.7", False), ("TRACE", "RFC 9110, 9.3.8", False),
    ("QUACK", "RFC 9111, 3", False),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("method", "stored"), [(each[0], each[2]) for each in METHODS])
def test_the_method_decides(world: World, kind: Kind, method: str, stored: bool) -> None:
    """RFC 9111, 3: what is not understood is not stored, and a GET is answered with a GET's."""
    site = cached(world, numbered([MINUTE, "Content-Location: /x"]), kind)
    site.get(method=method)
    assert site.get().body == (b"1" if stored else b"2")
    assert site.get().body == (b"1" if stored else b"2")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "QUACK"])
def test_an_unsafe_request_is_written_through(world: World, kind: Kind, method: str) -> None:
    """RFC 9111, 4."""
    site = cached(world, numbered([MINUTE]), kind)
    site.get()
    assert [site.get(method=method).body for _ in range(2)] == [b"2", b"3"]


# The fields

DROPPED = [
    ("Connection", "RFC 9110, 7.6.1", "X-Hop"), ("X-Hop", "RFC 9110, 7.6.1", "1"),
    ("Keep-Alive", "RFC 9110, 7.6.1", "timeout=5"),
    ("Proxy-Connection", "RFC 9110, 7.6.1", "close"), ("TE", "RFC 9110, 7.6.1", "trailers"),
    ("Upgrade", "RFC 9110, 7.6.1", "websocket"),
    ("Proxy-Authenticate", "RFC 9111, 3.1", "Basic"),
    ("Proxy-Authentication-Info", "RFC 9111, 3.1", "nextnonce=1"),
    ("Proxy-Authorization", "RFC 9111, 3.1", "Basic eDp4"),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "value"), [pytest.param(name, value, id=name) for name, _, value in DROPPED]
)
def test_fields_of_one_connection_or_proxy_are_not_stored(
    world: World, kind: Kind, name: str, value: str
) -> None:
    lines = ["Connection: x-hop, close", f"{name}: {value}", "X-Kept: 1", MINUTE]
    site = cached(world, numbered(lines), kind)
    site.get()
    answer = site.get()
    assert answer.hit
    assert answer["x-kept"] == "1"
    assert answer.all(name.lower()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_all_other_fields_are_stored(world: World, kind: Kind) -> None:
    """RFC 9111, 3.1."""
    lines = [
        MINUTE, "X-Unheard-Of: a", "X-Twice: 1", "Link: </a>", "X-Twice: 2", "Content-Language: de",
        "Content-Encoding: gzip", "Last-Modified: <-100>", TAG, "Server: s", "Accept-Ranges: bytes",
        "Content-Location: /x.de", "Via: 1.1 other", "X-Empty: ", "Retry-After: 5", "Date: <-1>",
    ]  # fmt: skip
    site = cached(world, numbered(lines), kind)
    first, second = site.get(), site.get()
    assert second.hit
    ours = {"cache-status", "age", "content-length"}
    sent, kept = (
        sorted((name.lower(), value) for name, value in each.headers if name.lower() not in ours)
        for each in (first, second)
    )
    assert kept == sent
    assert len(kept) == len(lines) + 1  # the type
    assert second.all("x-twice") == ["1", "2"]


QUALIFIED = [
    # name, section, directive, dropped
    ("private", "RFC 9111, 5.2.2.7", 'private="x-a"', ["x-a"]),
    ("two names", "RFC 9111, 5.2.2.7", 'private="x-a, X-B"', ["x-a", "x-b"]),
    ("white space", "RFC 9111, 5.2.2.7", 'private=" X-A ,x-b "', ["x-a", "x-b"]),
    ("no-cache", "RFC 9111, 5.2.2.4", 'no-cache="x-a"', ["x-a"]),
    ("both", "RFC 9111, 5.2.2.4", 'no-cache="x-a", private="x-b"', ["x-a", "x-b"]),
    ("twice", "RFC 9111, 5.2.2.7", 'private="x-a", private="x-b"', ["x-a", "x-b"]),
    ("a field that is not there", "RFC 9111, 5.2.2.7", 'private="x-other"', []),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("directive", "dropped"), rows(QUALIFIED))
def test_named_fields_are_not_stored(
    world: World, kind: Kind, directive: str, dropped: list[str]
) -> None:
    lines = [f"Cache-Control: max-age=60, {directive}", "X-A: 1", "X-B: 1", "X-C: 1"]
    site = cached(world, numbered(lines), kind)
    first, second = site.get(), site.get()
    assert second.hit
    assert [first[name] for name in ("x-a", "x-b", "x-c")] == ["1", "1", "1"]
    assert [name for name in ("x-a", "x-b", "x-c") if not second.all(name)] == dropped


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("directive", ["private=x-a", "no-cache=x-a"])
def test_the_form_without_quotes_is_not_looser(world: World, kind: Kind, directive: str) -> None:
    """RFC 9111, 5.2.2.4 and 5.2.2.7: both forms are accepted, or the whole is refused."""
    site = cached(world, numbered([f"Cache-Control: max-age=60, {directive}", "X-A: 1"]), kind)
    site.get()
    second = site.get()
    assert not (second.hit and second.all("x-a"))


COOKIES = [
    # name, section, kind, fields, stored
    ("with a lifetime", "RFC 9111, 7.3", "standard", [MINUTE], True),
    ("public, with a lifetime", "RFC 9111, 7.3",
     "standard", ["Cache-Control: public, max-age=60"], True),
    ("that expires", "RFC 9111, 7.3", "standard", ["Expires: <+60>"], True),
    ("without a lifetime", "RFC 9111, 7.3", "standard", [LONG_AGO], False),
    ("private", "RFC 9111, 7.3", "standard", ["Cache-Control: private, max-age=60"], False),
    ("a field named by private", "RFC 9111, 5.2.2.7",
     "standard", ['Cache-Control: max-age=60, private="set-cookie"'], True),
    ("declared", "the policy", "declared", [MINUTE], False),
    ("declared and public", "the policy",
     "declared", ["Cache-Control: public, max-age=60"], False),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "lines", "stored"), rows(COOKIES))
def test_a_response_with_a_cookie(world: World, kind: Kind, lines: Lines, stored: bool) -> None:
    site = cached(world, numbered(["Set-Cookie: a=1", "Set-Cookie: b=2", *lines]), kind)
    first, second = site.get(), site.get()
    assert second.hit is stored
    assert first.all("set-cookie") == ["a=1", "b=2"]
    if stored:
        named = any("set-cookie" in line for line in lines)
        assert second.all("set-cookie") == ([] if named else ["a=1", "b=2"])


# The content

INCOMPLETE: dict[str, Handler] = {
    "shorter than announced": lambda _: Response(
        [b"four"], headers=[("Cache-Control", "max-age=60"), ("Content-Length", "5")]
    ),
    "broken off": lambda _: Response(
        [b"four", KeyError("broken off")], headers=[("Cache-Control", "max-age=60")]
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", INCOMPLETE)
def test_an_incomplete_response_is_not_used(world: World, kind: Kind, name: str) -> None:
    """RFC 9111, 3.3."""
    whole = numbered([MINUTE, "Content-Length: 1"])
    site = cached(world, dispatch(incomplete=INCOMPLETE[name], whole=whole), kind)
    for _ in range(2):
        calls = len(site.app.calls)
        try:
            site.get("/incomplete")
        except (KeyError, AssertionError):
            assert name == "broken off"
        assert len(site.app.calls) == calls + 1
    assert [verdict(site, "/whole"), verdict(site, "/whole")] == ["forwarded", "reused"]


@pytest.mark.parametrize("kind", KINDS)
def test_content_is_replayed_byte_for_byte(world: World, kind: Kind) -> None:
    """RFC 9111, 5.2.2.6."""
    content = [bytes(range(256)), b"", b"\0\r\n" * 3000]
    lines = [("Cache-Control", "max-age=60, no-transform"), ("Content-Encoding", "x-own")]
    site = cached(world, lambda _: Response(content, headers=lines), kind)
    assert site.get().body == site.get().body == b"".join(content)
    assert len(site.app.calls) == 1


# The target

TARGETS = [
    # name, section, the second request, reused
    ("the same", "RFC 9111, 4", {}, True),
    ("another path", "RFC 9111, 4", {"path": "/X"}, False),
    ("a deeper path", "RFC 9111, 4", {"path": "/x/"}, False),
    ("another query", "RFC 9111, 4", {"query": "a=1&b=3"}, False),
    ("another order of the query", "RFC 9111, 4", {"query": "b=2&a=1"}, False),
    ("no query", "RFC 9111, 4", {"query": ""}, False),
    ("another host", "RFC 9111, 4", {"host": "other.test"}, False),
    ("the host in upper case", "RFC 9110, 4.2.3", {"host": "SITE.TEST"}, True),
    ("another scheme", "RFC 9111, 4", {"scheme": "https"}, False),
    ("another port", "RFC 9111, 4", {"host": "site.test:8080"}, False),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("other", "reused"), rows(TARGETS))
def test_the_target_decides(world: World, kind: Kind, other: dict[str, Any], reused: bool) -> None:
    site = cached(world, numbered([MINUTE]), kind)
    ask: dict[str, Any] = {"path": "/x", "query": "a=1&b=2"}
    site.get(**ask)
    assert verdict(site, **ask) == "reused"
    assert verdict(site, **{**ask, **other}) == ("reused" if reused else "forwarded")


VARIATIONS = [
    # name, section, value, one query, another, the same
    ("key-order", "No-Vary-Search, 2.1", "key-order", "a=1&b=2", "b=2&a=1", True),
    ("key-order, other values", "No-Vary-Search, 2.1", "key-order", "a=1&b=2", "b=1&a=2", False),
    ("key-order, repeated", "No-Vary-Search, 2.1", "key-order", "a=1&a=2", "a=2&a=1", False),
    ("key-order false", "No-Vary-Search, 2.1", "key-order=?0", "a=1&b=2", "b=2&a=1", False),
    ("a named one", "No-Vary-Search, 2.1", 'params=("u" "g")', "a=1&u=1", "u=2&a=1&g=3", True),
    ("another one", "No-Vary-Search, 2.1", 'params=("u" "g")', "a=1&u=1", "a=2&u=1", False),
    ("the order of the rest", "No-Vary-Search, 2.1", 'params=("u")', "a=1&b=2", "b=2&a=1", False),
    ("all", "No-Vary-Search, 2.1", "params", "a=1", "b=2", True),
    ("all but one", "No-Vary-Search, 2.1", 'params, except=("a")', "a=1&b=1", "b=2&a=1", True),
    ("that one", "No-Vary-Search, 2.1", 'params, except=("a")', "a=1&b=1", "a=2&b=1", False),
    ("both", "No-Vary-Search, 2.1", 'key-order, params=("u")', "a=1&b=2&u=1", "b=2&a=1", True),
    ("encoded", "No-Vary-Search, 3", 'params=("u x")', "a=1&u+x=1", "a=1&u%20x=2", True),
]  # fmt: skip


@pytest.mark.parametrize(("value", "one", "other", "same"), rows(VARIATIONS))
def test_a_policy_speaks_no_vary_search(
    world: World, value: str, one: str, other: str, same: bool
) -> None:
    site = cached(world, counting(), Cache(ttl=60, query=value))
    site.get(query=one)
    assert verdict(site, query=one) == "reused"
    assert verdict(site, query=other) == ("reused" if same else "forwarded")


# Nothing of others


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("line", "calls"),
    [(MINUTE, 1), ("Cache-Control: private, max-age=60", 2)],
    ids=["stored", "private"],
)
def test_requests_are_collapsed_only_if_the_answer_is_for_all(
    world: World, kind: Kind, line: str, calls: int
) -> None:
    """RFC 9111, 4."""
    gate, plain = Gate(), numbered([line])

    def handler(seen: Seen) -> Response:
        response = plain(seen)
        return Response(response.chunks, 200, response.headers, gate)

    site = cached(world, handler, kind).all[0]
    asked = site.together([{"path": "/x"}] * 2)
    until(lambda: site.parked == 1)
    gate.open()
    bodies = {each.result().body for each in asked}
    assert len(bodies) == len(site.app.calls) == calls


def test_the_request_is_left_as_it_is(world: World) -> None:
    """The policy: by the book, the application sees what the client sent."""
    sent = [
        "Cookie: a=1", "X-Own: 1", "Accept-Encoding: br, gzip",
        'If-None-Match: "9"', "Authorization: Bearer x", "Range: bytes=0-1", "Accept: */*",
    ]  # fmt: skip
    site = cached(world, numbered([MINUTE]))
    site.get(lines=sent, query="utm_source=1;b&a")
    seen = site.app.calls[0]
    for line in sent:
        name, _, value = line.partition(": ")
        assert seen.headers[name.lower()] == value
    assert seen.headers.keys() == {"host", *(line.partition(":")[0].lower() for line in sent)}
    assert seen.query == "utm_source=1;b&a"


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X-Original-URL", "X-HTTP-Method-Override"])
def test_a_request_that_a_stranger_rewrites_bypasses(world: World, name: str) -> None:
    """The policy: nothing that it could have changed is stored or reused."""
    site = cached(world, numbered([MINUTE]))
    for path in ("/cold", "/x"):
        if path == "/x":
            site.get(path)
        assert verdict(site, path, [f"{name}: evil.test"]) == "forwarded"
        assert site.app.calls[-1].headers[name.lower()] == "evil.test"
        assert verdict(site, path) == ("reused" if path == "/x" else "forwarded")


@pytest.mark.parametrize("status", [200, 404])
def test_nothing_is_added_to_the_answer_but_where_it_came_from(world: World, status: int) -> None:
    """The policy: by the book, a silent application stays silent."""
    site = cached(world, numbered([LONG_AGO, "X-Own: 1"], status))
    own = {"last-modified", "x-own", "content-type", "cache-status"}
    assert {name.lower() for name, _ in site.get().headers} == own
    assert {name.lower() for name, _ in site.get().headers} - {"content-length"} == own | {"age"}
