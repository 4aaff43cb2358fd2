"""What no other table of the HTTP standards holds: single clauses, and what lies between them."""

import asyncio
from typing import Any

import pytest

from regionware import Regionware
from regionware.policies import Cache, Cdn, Route
from tests.conformance.application import (
    Handler,
    Receive,
    Response,
    Scope,
    Seen,
    Send,
    counting,
    text,
)
from tests.conformance.conftest import World
from tests.conformance.harness import Ask, _scope
from tests.conformance.standard import (
    KINDS,
    MEMORY,
    Kind,
    Lines,
    Sites,
    Time,
    cached,
    changing,
    fields,
    numbered,
    rows,
    verdict,
)

pytestmark = pytest.mark.volume

MINUTE = "Cache-Control: max-age=60"
OVER = ["Cache-Control: max-age=10", "Age: 20"]
TAG = 'ETag: "1"'
DATE = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"
LETTERS = b"abcdefghijklmnopqrstuvwxyz"
SAFE = {"GET", "HEAD"}

# Storing


@pytest.mark.parametrize("policy", [Cache.standard(), Cache(ttl=60)], ids=KINDS)
@pytest.mark.parametrize(("trailers", "calls"), [(False, 1), (True, 2)])
def test_what_has_trailers_is_not_stored(policy: Cache, trailers: bool, calls: int) -> None:
    """RFC 9111, 3.1: their fields would have to be kept apart."""
    asked: list[Scope] = []
    last = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope)
        headers = [(b"cache-control", b"max-age=60"), *([(b"trailer", b"x-sum")] * trailers)]
        start = {"type": "http.response.start", "status": 200, "headers": headers}
        await send({**start, "trailers": trailers})
        await send({"type": "http.response.body", "body": b"1"})
        if trailers:
            await send(last)

    async def twice() -> None:
        wrapped = Regionware(routes=[Route("/{path:path}", cache=policy)]).asgi(app)
        for _ in range(2):
            sent: list[Any] = []

            async def send(message: Any, sent: list[Any] = sent) -> None:
                sent.append(message)

            await wrapped(_scope(Ask("/x")), None, send)  # type: ignore[arg-type] # never called
            assert b"x-sum" not in dict(sent[0]["headers"])
            assert sent[1]["body"] == b"1"
            assert sent[2:] == ([last] if trailers else [])

    asyncio.run(asyncio.wait_for(twice(), 5))
    assert len(asked) == calls


RANGED = [
    # name, section, status, fields, the request, stored
    ("200", "RFC 9110, 14.2", 200, [MINUTE], ["Range: bytes=0-1"], True),
    ("404", "the policy", 404, [MINUTE], ["Range: bytes=0-1"], False),
    ("404 without a range", "RFC 9111, 3", 404, [MINUTE], [], True),
    ("416", "RFC 9110, 15.5.17", 416, [MINUTE], ["Range: bytes=9-"], False),
    ("416 without a range", "RFC 9111, 3", 416, [MINUTE], [], True),
]  # fmt: skip


@pytest.mark.parametrize(("status", "lines", "asked", "stored"), rows(RANGED))
def test_what_is_said_of_a_range_is_not_said_of_the_whole(
    world: World, *, status: int, lines: Lines, asked: Lines, stored: bool
) -> None:
    site = cached(world, numbered(lines, status))
    site.get(lines=asked)
    assert verdict(site) == ("reused" if stored else "forwarded")


# Variants


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("vary", "expected"), [(["Vary: X-A"], "forwarded"), ([], "reused")])
def test_a_vary_that_is_left_out_later_still_selects(
    world: World, kind: Kind, vary: Lines, expected: str
) -> None:
    """RFC 9111, 4.1: of several answers, one that has the field should be chosen."""
    site = cached(world, changing([MINUTE, *vary], [MINUTE]), kind)
    assert site.get(lines=["X-A: 1"]).body == b"1"
    assert site.get(lines=["X-A: 2"]).body == (b"2" if vary else b"1")
    assert verdict(site, lines=["X-A: 1"]) == "reused"
    assert verdict(site, lines=["X-A: 2"]) == "reused"
    assert site.get(lines=["X-A: 1"]).body == b"1"
    assert verdict(site, lines=["X-A: 3"]) == expected


NORMAL = [
    # name, section, the field, the first value, the second, the same
    ("around commas", "RFC 9110, 5.6.1", "X-A", "a, b", "a ,b", True),
    ("inside a member", "RFC 9111, 4.1", "X-A", "a b", "ab", False),
    ("around commas inside quotes", "RFC 9110, 5.6.4", "X-A", '"a, b"', '"a,b"', False),
    ("two spaces inside quotes", "RFC 9110, 5.6.4", "X-A", '"a  b"', '"a b"', False),
    ("weights in their order", "RFC 9110, 12.5.1", "Accept",
     "text/html, text/plain;q=0.5", "text/plain;q=0.5, text/html", True),
    ("other weights", "RFC 9110, 12.5.1", "Accept",
     "text/html, text/plain;q=0.5", "text/html, text/plain;q=0.4", False),
    ("one weight, another order", "the policy", "Accept",
     "text/html, text/plain", "text/plain, text/html", False),
    ("a weight of one", "RFC 9110, 12.4.2", "Accept-Language", "de;q=1.0, en;q=0.5",
     "de, en;q=0.5", True),
    ("the case of a language", "RFC 5646, 2.1.1", "Accept-Language", "de-AT", "DE-at", True),
    ("another language", "RFC 9110, 12.5.4", "Accept-Language", "de-AT", "de-DE", False),
    ("the case of a charset", "RFC 9110, 8.3.2", "Accept-Charset", "UTF-8", "utf-8", True),
    ("the case of a type's parameter", "RFC 9110, 8.3.1", "Accept", "a/b;c=D", "a/b;c=d", False),
    ("weights of a field without any", "RFC 9111, 4.1", "X-A", "a;q=0.5, b", "b, a;q=0.5", False),
    ("weights of codings", "the policy", "Accept-Encoding", "br;q=0.5, gzip", "gzip, br", True),
]  # fmt: skip


@pytest.mark.parametrize(("name", "first", "second", "same"), rows(NORMAL))
def test_values_that_certainly_mean_the_same(
    world: World, *, name: str, first: str, second: str, same: bool
) -> None:
    site = cached(world, numbered([MINUTE, f"Vary: {name}"]))
    site.get(lines=[f"{name}: {first}"])
    assert verdict(site, lines=[f"{name}: {first}"]) == "reused"
    assert verdict(site, lines=[f"{name}: {second}"]) == ("reused" if same else "forwarded")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "expected"), [("Proxy-Authorization", "forwarded"), ("Proxy-Connection", "reused")]
)
def test_what_varies_on_credentials_for_a_proxy_is_not_stored(
    world: World, kind: Kind, name: str, expected: str
) -> None:
    """The policy: as with `Authorization`."""
    site = cached(world, numbered([MINUTE, f"Vary: {name}"]), kind)
    site.get()
    assert verdict(site) == expected


# What the application is asked


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("asked", [[], ['If-None-Match: "0"']], ids=["nobody's", "a client's"])
def test_a_date_is_asked_for_beside_an_entity_tag(world: World, kind: Kind, asked: Lines) -> None:
    """RFC 9111, 4.3.1: some applications know only the one."""
    site = cached(world, numbered([*OVER, TAG, DATE]), kind)
    site.get()
    first, validating = site.app.calls[0], (site.get(lines=asked), site.app.calls[1])[1]
    assert not {"if-none-match", "if-modified-since"} & first.headers.keys()
    assert validating.headers["if-none-match"] == '"1"'
    assert validating.headers["if-modified-since"] == DATE.partition(": ")[2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "line",
    ["Cache-Control: no-cache, X-Own=1", "Cache-Control: max-age=0", "Pragma: no-cache"],
)
def test_directives_of_a_request_reach_the_application(world: World, kind: Kind, line: str) -> None:
    """RFC 9111, 5.2: they are passed on, whether a cache follows them or not."""
    site = cached(world, numbered([MINUTE]), kind)
    name, _, value = line.partition(": ")
    for calls in (1, 2):
        site.get(lines=[line])
        assert len(site.app.calls) == calls
        assert site.app.calls[-1].headers[name.lower()] == value


ONLY = [
    # name, section, kind, the request, status
    ("no-store", "RFC 9111, 5.2.1.7", "standard", ["Cache-Control: only-if-cached, no-store"], 504),
    ("a precondition", "RFC 9111, 5.2.1.7", "standard",
     ["Cache-Control: only-if-cached", 'If-Match: "1"'], 504),
    ("a cookie", "RFC 9111, 5.2.1.7", "declared",
     ["Cache-Control: only-if-cached", "Cookie: a=1"], 504),
    ("a cookie alone", "the policy", "declared", ["Cookie: a=1"], 200),
    ("neither", "RFC 9111, 5.2.1.7", "declared", ["Cache-Control: only-if-cached"], 200),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "asked", "status"), rows(ONLY))
def test_who_bypasses_the_cache_may_want_nothing_else_too(
    world: World, kind: Kind, asked: Lines, status: int
) -> None:
    site = cached(world, numbered([MINUTE, TAG]), kind)
    site.get()
    answer = site.get(lines=asked)
    assert answer.status == status
    assert len(site.app.calls) == (2 if "a=1" in str(asked) and status == 200 else 1)


def test_who_may_not_see_what_is_stored_may_want_nothing_else_too(world: World) -> None:
    """RFC 9111, 5.2.1.7."""
    cache = Cache(ttl=60, authorize=lambda request: request.header("x-may") is not None)
    site = cached(world, numbered([MINUTE]), cache)
    site.get()
    only = "Cache-Control: only-if-cached"
    assert [site.get(lines=[only, *more]).status for more in ([], ["X-May: 1"])] == [504, 200]
    assert len(site.app.calls) == 1


# Freshness

IMMUTABLE = [
    # name, section, directives, the second request, its directive
    ("as it is", "RFC 8246, 2", "max-age=60, immutable", "reused", []),
    ("an argument", "RFC 8246, 2", "max-age=60, immutable=5", "reused", []),
    ("a quoted argument", "RFC 8246, 2", 'max-age=60, immutable="0"', "reused", []),
    ("twice", "RFC 8246, 2", "max-age=60, immutable, immutable=1", "reused", []),
    ("in the request", "RFC 8246, 2", "max-age=60", "reused", ["Cache-Control: immutable"]),
    ("a reload", "RFC 8246, 2", "max-age=60, immutable=5", "validated",
     ["Cache-Control: no-cache"]),
    ("without a lifetime", "RFC 8246, 2", "immutable=60", "validated", []),
    ("a lifetime of zero", "RFC 8246, 2", "max-age=0, immutable=60", "validated", []),
]  # fmt: skip


@pytest.mark.parametrize(("directives", "expected", "asked"), rows(IMMUTABLE))
def test_an_argument_of_immutable_means_nothing(
    world: World, directives: str, expected: str, asked: Lines
) -> None:
    site = cached(world, numbered([f"Cache-Control: {directives}", TAG]))
    site.get()
    assert verdict(site, lines=asked) == expected


NEVER = [
    # name, section, stored, the request, verdict
    ("a lifetime that is over", "RFC 9111, 5.2.1.2", [*OVER, TAG], "stale"),
    ("no lifetime at all", "the policy", ["Cache-Control: max-age=0", TAG], "validated"),
    ("silence", "the policy", [TAG], "validated"),
    ("with a cookie", "the policy", [*OVER, TAG, "Set-Cookie: a=1"], "validated"),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "expected"), rows(NEVER))
def test_what_was_never_fresh_is_never_served_stale(
    world: World, stored: Lines, expected: str
) -> None:
    site = cached(world, numbered(stored))
    site.get()
    assert verdict(site, lines=["Cache-Control: max-stale"]) == expected


COOKIES = [
    # name, section, fields, stored
    ("a lifetime", "RFC 9111, 7.3", [MINUTE], True),
    ("a lifetime of zero", "the policy", ["Cache-Control: max-age=0"], False),
    ("no-cache", "the policy", ["Cache-Control: no-cache, max-age=60"], False),
    ("public and no-cache", "the policy", ["Cache-Control: public, no-cache"], False),
    ("no-cache without a cookie", "RFC 9111, 5.2.2.4", ["Cache-Control: no-cache"], None),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "stored"), rows(COOKIES))
def test_a_cookie_needs_a_lifetime(world: World, lines: Lines, stored: bool | None) -> None:
    cookie = [] if stored is None else ["Set-Cookie: a=1"]
    site = cached(world, numbered([*lines, *cookie, TAG]))
    site.get()
    assert verdict(site) == {True: "reused", False: "forwarded", None: "validated"}[stored]


def test_a_cookie_does_not_survive_a_validation(world: World) -> None:
    """The policy: it was given with an earlier answer; that of the 304 reaches its client."""
    first = fields([*OVER, TAG, "Set-Cookie: a=1", "X-A: 1"])

    def answer(seen: Seen) -> Response:
        if "if-none-match" not in seen.headers:
            return Response([b"x"], headers=first)
        new = ["Set-Cookie: b=2"] if seen.headers.get("x-new") else []
        return Response((), 304, fields([MINUTE, TAG, *new]))

    for asked, cookies in (([], []), (["X-New: 1"], ["b=2"])):
        site = cached(world, answer)
        assert site.get().all("set-cookie") == ["a=1"]
        validated = site.get(lines=asked)
        assert (validated.body, validated["x-a"]) == (b"x", "1")
        assert validated.all("set-cookie") == cookies


MERGED = [
    # name, section, stored, the 304, fresh after 15 seconds
    ("a silent 304", "RFC 9111, 3.2", ["Cache-Control: max-age=10", TAG], [TAG], False),
    ("a longer lifetime", "RFC 9111, 3.2", ["Cache-Control: max-age=10", TAG], [MINUTE, TAG], True),
    ("a shorter lifetime", "RFC 9111, 3.2",
     [MINUTE, TAG], ["Cache-Control: max-age=10", TAG], False),
    ("silence in both", "the policy", [TAG], [TAG], True),
    ("a lifetime after silence", "RFC 9111, 3.2",
     [TAG], ["Cache-Control: max-age=10", TAG], False),
]  # fmt: skip


@MEMORY
@pytest.mark.parametrize(("stored", "new", "fresh"), rows(MERGED))
def test_a_304_is_read_together_with_what_is_stored(
    world: World, stored: Lines, new: Lines, fresh: bool
) -> None:
    time = Time()

    def answer(seen: Seen) -> Response:
        if "if-none-match" in seen.headers:
            return Response((), 304, fields(new))
        return Response([b"1"], headers=fields(stored))

    site = cached(world, answer, Cache(ttl=30), **time.options)
    site.get()
    time.pass_(65)
    assert verdict(site) == "validated"
    time.pass_(15)
    assert verdict(site) == ("reused" if fresh else "validated")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("directive", "kept"), [('private="x-a"', ""), ('no-cache="x-a"', ""), ('private="x-b"', "1")]
)
def test_a_304_takes_stored_fields_back(
    world: World, kind: Kind, directive: str, kept: str
) -> None:
    """RFC 9111, 5.2.2.4 and 5.2.2.7."""

    def answer(seen: Seen) -> Response:
        if "if-none-match" in seen.headers:
            return Response((), 304, fields([f"Cache-Control: max-age=60, {directive}", TAG]))
        return Response([b"1"], headers=fields([*OVER, TAG, "X-A: 1"]))

    site = cached(world, answer, kind)
    assert [verdict(site), verdict(site)] == ["forwarded", "validated"]
    hit = site.get()
    assert (hit.hit, hit.body, hit["x-a"]) == (True, b"1", kept)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "control", "expected"),
    [
        (200, "max-age=60", "reused"), (200, "no-store", "forwarded"),
        (200, "private, max-age=60", "forwarded"), (404, "no-store", "reused"),
    ],
)  # fmt: skip
def test_a_head_may_end_what_is_stored(
    world: World, kind: Kind, status: int, control: str, expected: str
) -> None:
    """RFC 9111, 4.3.5; only 200 speaks of a stored 200."""
    plain, head = numbered([MINUTE, TAG]), fields([f"Cache-Control: {control}", TAG])
    site = cached(
        world,
        lambda seen: Response((), status, head) if seen.method == "HEAD" else plain(seen),
        kind,
    )
    site.get()
    site.get(lines=["Cache-Control: no-cache"], method="HEAD")
    assert verdict(site) == expected


# Parts


def piece(seen: Seen) -> Response:
    """An application that knows ranges; the whole is stale sooner than a part."""
    if "range" in seen.headers:
        lines = [MINUTE, TAG, "Content-Range: bytes 0-4/26"]
        return Response([LETTERS[:5]], 206, fields(lines))
    return text(LETTERS, Cache_Control="max-age=10", ETag='"1"')


@MEMORY
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("whole", [True, False])
def test_a_whole_answer_takes_the_place_of_a_part(world: World, kind: Kind, whole: bool) -> None:
    """RFC 9111, 4: the more recent of two answers is used."""
    time = Time()
    site = cached(world, piece, kind, **time.options)
    site.get(lines=["Range: bytes=0-4"])
    if whole:
        assert site.get().body == LETTERS
    calls = len(site.app.calls)
    time.pass_(20)
    assert site.get(lines=["Range: bytes=1-3"]).status == 206
    assert len(site.app.calls) == calls + whole


@MEMORY
@pytest.mark.parametrize(
    ("line", "calls"),
    [("X-A: 1", 1), ('If-None-Match: "1"', 2), ("If-Modified-Since: " + DATE[15:], 2)],
)
def test_a_part_is_not_for_a_request_with_conditions(world: World, line: str, calls: int) -> None:
    """RFC 9110, 13.2.2: they come before the range, and are about the whole."""
    site = cached(world, piece)
    site.get(lines=["Range: bytes=0-4"])
    site.get(lines=["Range: bytes=0-4", line])
    assert len(site.app.calls) == calls


RANGES = [
    # name, section, Accept-Ranges, status
    ("none", "RFC 9110, 14.3", ["Accept-Ranges: none"], 200),
    ("bytes", "RFC 9110, 14.3", ["Accept-Ranges: bytes"], 206),
    ("absent", "RFC 9110, 14.3", [], 206),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("lines", "status"), rows(RANGES))
def test_who_accepts_no_ranges_is_not_cut(
    world: World, kind: Kind, lines: Lines, status: int
) -> None:
    site = cached(world, lambda _: Response([LETTERS], headers=fields([MINUTE, *lines])), kind)
    site.get()
    answer = site.get(lines=["Range: bytes=0-4"])
    assert answer.hit
    assert (answer.status, answer.body) == (status, LETTERS if status == 200 else LETTERS[:5])


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_has_all_fields_beside_if_range_too(world: World, kind: Kind) -> None:
    """RFC 9110, 15.3.7: departs; more than is needed does no harm."""
    lines = [MINUTE, TAG, "Content-Language: de", "X-A: 1"]
    site = cached(world, lambda _: Response([LETTERS], headers=fields(lines)), kind)
    site.get()
    plain = site.get(lines=["Range: bytes=0-4"])
    beside = site.get(lines=["Range: bytes=0-4", 'If-Range: "1"'])
    assert (plain.status, beside.status) == (206, 206)
    assert [name for name, _ in plain.headers] == [name for name, _ in beside.headers]
    assert (beside["content-language"], beside["x-a"]) == ("de", "1")


# What is passed on


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("inner", "expected"),
    [([], []), (["inner; hit"], ["inner; hit"]), (["a; fwd=miss", "b"], ["a; fwd=miss", "b"])],
)
def test_members_of_an_inner_cache_are_stored(
    world: World, kind: Kind, inner: list[str], expected: list[str]
) -> None:
    """RFC 9211, 2: they should be preserved; ours comes last, and once."""
    site = cached(world, numbered([MINUTE, *(f"Cache-Status: {each}" for each in inner)]), kind)
    for reused in (False, True, True):
        *others, ours = site.get().all("cache-status")
        assert others == expected
        assert ours.startswith("regionware; hit" if reused else "regionware; fwd=miss")


SEARCH = [
    # name, section, the policy, the application's field, what is sent
    ("a list", "No-Vary-Search, 2.1", {"query": ["a"]}, [], ['params, except=("a")']),
    ("a text", "No-Vary-Search, 2.1",
     {"query": 'key-order, params=("u")'}, [], ['key-order, params=("u")']),
    ("the application's own", "the policy",
     {"query": ["a"]}, ["No-Vary-Search: key-order"], ["key-order"]),
    ("patterns", "the policy", {"ignore_query": ["utm_*"]}, [], []),
    ("nothing", "the policy", {}, [], []),
    ("the application's own alone", "the policy",
     {}, ["No-Vary-Search: params"], ["params"]),
]  # fmt: skip


@pytest.mark.parametrize(("words", "lines", "expected"), rows(SEARCH))
def test_a_response_says_which_parameters_count(
    world: World, words: dict[str, Any], lines: Lines, expected: list[str]
) -> None:
    site = cached(world, numbered(lines), Cache(ttl=60, **words))
    for hit in (False, True, True):
        answer = site.get(query="a=1&b=2")
        assert answer.hit is hit
        assert answer.all("no-vary-search") == expected


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_response_says_of_parameters_is_for_others(world: World, kind: Kind) -> None:
    """No-Vary-Search, of a stored response: refused."""
    site = cached(world, numbered([MINUTE, "No-Vary-Search: params"]), kind)
    site.get(query="a=1")
    assert verdict(site, query="a=1") == "reused"
    assert verdict(site, query="a=2") == "forwarded"


EDGES = [
    # name, section, the policy, the application's field, what Cache-Control says
    ("no-store", "RFC 9213, 2.2", Cdn(max_age=60), "no-store", "private, no-store"),
    ("private", "RFC 9213, 2.2", Cdn(max_age=60), "private", "private, no-store"),
    ("a lifetime", "RFC 9213, 2.2", Cdn(max_age=60), "max-age=90", "public, max-age=60"),
    ("unreadable: some edges read it all the same", "RFC 9213, 2.1",
     Cdn(max_age=60), "no-store,,", "private, no-store"),
    ("no-store, of a private one", "RFC 9213, 2.2",
     Cdn.private(max_age=60), "no-store", "private, no-store"),
]  # fmt: skip


@pytest.mark.parametrize(("cdn", "targeted", "expected"), rows(EDGES))
def test_what_is_forbidden_to_edges_is_told_to_all(
    world: World, cdn: Cdn, targeted: str, expected: str
) -> None:
    site = world.site(counting(CDN_Cache_Control=targeted), Route("/x", cdn=cdn))
    answer = site.get("/x")
    assert answer["cache-control"] == expected
    assert "no-store" not in answer["cdn-cache-control"]


@pytest.mark.parametrize(
    ("control", "expected"),
    [("max-age=5", 5), ("max-age=90", 60), ("max-age=5, s-maxage=90", 5), ("x", 60)],
)
def test_a_lifetime_of_the_application_bounds_a_private_one(
    world: World, control: str, expected: int
) -> None:
    site = world.site(counting(Cache_Control=control), Route("/x", cdn=Cdn.private(max_age=60)))
    assert site.get("/x")["cache-control"] == f"private, max-age={expected}"


# Invalidation


def shop(lines: Lines = (), stored: Lines = (MINUTE, TAG)) -> Handler:
    """Numbers its answers to GET, and always answers everything else in one way."""
    plain, other = numbered(stored), Response((), 200, fields(lines))
    return lambda seen: plain(seen) if seen.method in SAFE else other


A = 'Cache-Groups: "a"'
SHOP = ["X-Forwarded-Host: shop.test", "X-Forwarded-Proto: https"]
STRANGER = "198.51.100.7"

PROXIED = [
    # name, section, the change: its fields, its peer, its response's field; gone
    ("the same origin", "RFC 9111, 4.4", SHOP, "192.0.2.9", "X-A: 1", True),
    ("in another case", "RFC 9110, 4.2.3",
     ["X-Forwarded-Host: SHOP.test", "X-Forwarded-Proto: HTTPS"], "192.0.2.9", "X-A: 1", True),
    ("of a list", "the policy",
     ["X-Forwarded-Host: evil.test, shop.test", SHOP[1]], "192.0.2.9", "X-A: 1", True),
    ("another host", "RFC 9111, 4.4",
     ["X-Forwarded-Host: other.test", SHOP[1]], "192.0.2.9", "X-A: 1", False),
    ("another scheme", "RFC 9111, 4.4", SHOP[:1], "192.0.2.9", "X-A: 1", False),
    ("the proxy itself", "RFC 9111, 4.4", [], "192.0.2.9", "X-A: 1", False),
    ("a stranger", "the policy", SHOP, STRANGER, "X-A: 1", False),
]  # fmt: skip

PLACES = [
    ("a path elsewhere", "RFC 9111, 4.4", SHOP, "192.0.2.9", "Location: /x", True),
    ("a URL elsewhere", "RFC 9111, 4.4", SHOP, "192.0.2.9", "Location: https://shop.test/x", True),
    ("with the usual port", "RFC 9110, 4.2.3",
     SHOP, "192.0.2.9", "Content-Location: https://shop.test:443/x", True),
    ("a URL of the inner host", "RFC 9111, 4.4",
     SHOP, "192.0.2.9", "Location: http://site.test/x", False),
    ("a path, of a stranger", "the policy", SHOP, STRANGER, "Location: /x", False),
    ("a group", "RFC 9875, 3", SHOP, "192.0.2.9", 'Cache-Group-Invalidation: "a"', True),
    ("another group", "RFC 9875, 3", SHOP, "192.0.2.9", 'Cache-Group-Invalidation: "b"', False),
    ("a group of another host", "RFC 9875, 2.1",
     ["X-Forwarded-Host: other.test", SHOP[1]], "192.0.2.9", 'Cache-Group-Invalidation: "a"',
     False),
    ("a group of the inner host", "RFC 9875, 2.1",
     [], "192.0.2.9", 'Cache-Group-Invalidation: "a"', False),
    ("a group, of a stranger", "the policy",
     SHOP, STRANGER, 'Cache-Group-Invalidation: "a"', False),
]  # fmt: skip


def proxied(world: World, kind: Kind, path: str, *, asked: Lines, peer: str, line: str) -> str:
    """What becomes of a stored answer of shop.test after a change."""
    site = cached(world, shop([line], [MINUTE, TAG, A]), kind, trusted=["192.0.2.0/24"])
    assert [verdict(site, lines=SHOP) for _ in range(2)] == ["forwarded", "reused"]
    site.get(path, asked, peer=peer, method="POST")
    return verdict(site, lines=SHOP)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("asked", "peer", "line", "gone"), rows(PROXIED))
def test_a_change_through_a_proxy(
    world: World, kind: Kind, *, asked: Lines, peer: str, line: str, gone: bool
) -> None:
    found = proxied(world, kind, "/x", asked=asked, peer=peer, line=line)
    assert found == ("forwarded" if gone else "reused")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("asked", "peer", "line", "gone"), rows(PLACES))
def test_what_a_change_through_a_proxy_names(
    world: World, kind: Kind, *, asked: Lines, peer: str, line: str, gone: bool
) -> None:
    found = proxied(world, kind, "/other", asked=asked, peer=peer, line=line)
    assert found == ("forwarded" if gone else "reused")


QUERIES = [
    # name, section, the policy, stored, the change, gone
    ("ignored parameters", "the policy",
     {"ignore_query": ["utm_*"]}, "a=1&utm_x=1", "utm_x=2&a=1", True),
    ("without them", "the policy", {"ignore_query": ["utm_*"]}, "a=1&utm_x=1", "a=1", True),
    ("another value", "the policy", {"ignore_query": ["utm_*"]}, "a=1&utm_x=1", "a=2", False),
    ("parameters that count", "the policy", {"query": ["a"]}, "a=1&b=1", "b=2&a=1", True),
    ("those that count differ", "the policy", {"query": ["a"]}, "a=1&b=1", "a=2&b=1", False),
    ("another order", "No-Vary-Search, 2.1",
     {"query": "key-order"}, "a=1&b=1", "b=1&a=1", True),
    ("an order that counts", "No-Vary-Search, 2.1",
     {"query": 'params=("u")'}, "a=1&b=1", "b=1&a=1", False),
    ("all count", "RFC 9111, 4.4", {}, "a=1&utm_x=1", "a=1", False),
]  # fmt: skip


@pytest.mark.parametrize(("words", "stored", "change", "gone"), rows(QUERIES))
def test_a_change_where_not_all_parameters_count(
    world: World, words: dict[str, Any], stored: str, change: str, gone: bool
) -> None:
    site = cached(world, shop(), Cache(ttl=60, **words))
    assert [verdict(site, query=stored) for _ in range(2)] == ["forwarded", "reused"]
    site.get(method="POST", query=change)
    assert verdict(site, query=stored) == ("forwarded" if gone else "reused")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("host", ["site.test", "site.test:80"])
def test_a_port_that_the_scheme_implies_makes_another_key(
    world: World, kind: Kind, host: str
) -> None:
    """RFC 9110, 4.2.3: departs; a change is found by its host as it is spelled."""
    site = cached(world, shop(), kind)
    site.get(host="site.test")
    assert verdict(site, host="site.test:80") == "forwarded"
    site.get(method="POST", host=host)
    for each in ("site.test", "site.test:80"):
        assert verdict(site, host=each) == ("forwarded" if each == host else "reused")


def named(number: int) -> str:
    """A group of 32 characters."""
    return f"group-{number:026}"


MANY = [
    # name, section, how many groups, the one that is invalidated, gone
    ("the first of 32", "RFC 9875, 2", 32, 0, True),
    ("the last of 32", "RFC 9875, 2", 32, 31, True),
    ("none of 32", "RFC 9875, 2", 32, 32, False),
    ("the last of 128", "the policy", 128, 127, True),
    ("the last of 129", "the policy", 129, 128, False),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("count", "number", "gone"), rows(MANY))
def test_many_groups(world: World, kind: Kind, *, count: int, number: int, gone: bool) -> None:
    groups = ", ".join(f'"{named(each)}"' for each in range(count))
    change = f'Cache-Group-Invalidation: "{named(number)}"'
    site = cached(world, shop([change], [MINUTE, f"Cache-Groups: {groups}"]), kind)
    site.get()
    site.get("/other", method="POST")
    assert verdict(site) == ("forwarded" if gone else "reused")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("line", "expected"), [("X-A: 1", "reused"), ('Cache-Group-Invalidation: "a"', "forwarded")]
)
def test_the_end_of_one_leaves_its_group_alone(
    world: World, kind: Kind, line: str, expected: str
) -> None:
    """RFC 9875, 2.2.1: who invalidates an answer may invalidate its group; refused."""
    site = cached(world, shop([line], [MINUTE, A]), kind)
    for path in ("/1", "/2"):
        site.get(path)
    site.get("/1", method="POST")
    assert verdict(site, "/1") == "forwarded"
    assert verdict(site, "/2") == expected


def test_a_route_of_another_kind_keeps_its_groups(world: World) -> None:
    """RFC 9875, 2.1: a group is of an origin, whatever the routes are."""
    site = Sites(
        world,
        shop(['Cache-Group-Invalidation: "a"'], [MINUTE, A]),
        Route("/1", cache=Cache(ttl=60)),
        Route("/2", cache=Cache.standard()),
    )
    for path in ("/1", "/2"):
        assert [verdict(site, path), verdict(site, path)] == ["forwarded", "reused"]
    site.get("/other", method="POST")
    assert [verdict(site, path) for path in ("/1", "/2")] == ["forwarded"] * 2
