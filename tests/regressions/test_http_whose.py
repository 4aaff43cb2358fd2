"""By the book, too: an answer is given to those only for whom it was made, and as it was made."""

from collections.abc import Sequence

import pytest

from regionware.policies import Cache, Cdn, Route
from tests.conformance.application import Gate, Handler, Response, Seen, text
from tests.conformance.conftest import World
from tests.conformance.harness import Ask
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
    verdict,
)

TAG = 'ETag: "1"'
MINUTE = "Cache-Control: max-age=60"
TEN = "Cache-Control: max-age=10"
#: Stale as it arrives, with `TEN`.
OLD = "Age: 20"
STALE_WELCOME = ["Cache-Control: max-stale"]
#: Keeps what is stale as it arrives, as `Cache.standard()` does.
PATIENT = Cache(ttl=60, stale_if_error=60)


def kept(kind: Kind) -> Kind | Cache:
    return PATIENT if kind == "declared" else kind


def says(body: str | None, *lines: str) -> Response:
    return Response([str(body).encode()], headers=fields(lines))


def validated(first: Lines, then: Lines) -> Handler:
    """An answer, and a 304 for whoever asks whether it still holds."""

    def answer(seen: Seen) -> Response:
        if "if-none-match" in seen.headers:
            return Response((), 304, fields(then))
        return says("x", *first)

    return answer


# What is stored to be validated at each use

NEVER_FRESH: list[Lines] = [(), ["Cache-Control: max-age=0"], ["Expires: 0"]]


@pytest.mark.parametrize("ask", ["Cache-Control: max-stale", "X-Fail: 1"])
@pytest.mark.parametrize("lines", [*NEVER_FRESH, [TEN, OLD]], ids=["silent", "0", "then", "10"])
def test_what_never_was_fresh_is_always_asked_about(world: World, lines: Lines, ask: str) -> None:
    """Neither a client that takes what is stale nor a failure shows somebody's page to another."""

    def own_page(seen: Seen) -> Response:
        if "x-fail" in seen.headers:
            return text("sorry", 500)
        user = seen.headers["cookie"]
        return says(user, f'ETag: "{user}"', *lines)

    site = cached(world, own_page)
    assert site.get(lines=["Cookie: alice"]).body == b"alice"
    was_fresh = lines == [TEN, OLD]
    assert (site.get(lines=["Cookie: bob", ask]).body == b"alice") == was_fresh


COOKIES: list[Lines] = [
    ["Cache-Control: max-age=0"],
    ["Expires: 0", "Cache-Control: no-cache"],
    ["Cache-Control: no-cache, max-age=60"],
]


@pytest.mark.parametrize("sets", [True, False])
@pytest.mark.parametrize("lines", COOKIES)
def test_a_validated_answer_hands_out_nobodys_cookie(
    world: World, lines: Lines, sets: bool
) -> None:
    """An answer without lifetime that sets a cookie is not stored at all."""

    def application(seen: Seen) -> Response:
        if "if-none-match" in seen.headers:
            return Response((), 304, fields([TAG, *lines]))
        login = sets and "cookie" not in seen.headers
        return says("x", TAG, *lines, *(["Set-Cookie: session=alice"] if login else []))

    site = cached(world, application)
    assert site.get()["set-cookie"] == ("session=alice" if sets else "")
    answer = site.get(lines=["Cookie: session=bob"])
    assert answer["set-cookie"] == ""
    assert ("if-none-match" in site.app.calls[1].headers) != sets


@MEMORY
@pytest.mark.parametrize(
    ("status", "then"), [(304, TEN), (304, "Cache-Control: private, max-age=10"), (500, TAG)]
)
def test_a_stored_cookie_ends_with_the_lifetime(world: World, status: int, then: str) -> None:
    """An explicit lifetime says that a cookie may be shared so long, and no longer."""
    time = Time()
    cookie = "Set-Cookie: session=alice"
    site = cached(world, changing([TAG, TEN, cookie], now=time.wall.now), **time.options)
    site.get()
    assert site.get()["set-cookie"] == "session=alice"
    site.app.handler = lambda _: Response((), status, fields([TAG, then]))
    time.pass_(11)
    assert site.get(lines=["Cookie: session=bob"])["set-cookie"] == ""


# Variants


@pytest.mark.parametrize("value", ["1", None])
def test_the_names_of_variants_count(world: World, value: str | None) -> None:
    """RFC 9111, section 4.1: the same values of other fields are another variant."""

    def application(seen: Seen) -> Response:
        vary = "X-B" if "x-b" in seen.headers else "X-A"
        told = f"a={seen.headers.get('x-a')} b={seen.headers.get('x-b')}"
        return says(told, MINUTE, f"Vary: {vary}")

    def own(name: str) -> list[str]:
        return [] if value is None else [f"{name}: {value}"]

    site = cached(world, application)
    site.get(lines=own("X-A"))
    site.get(lines=["X-A: 2", "X-B: 2"])
    assert site.get(lines=["X-A: 3", "X-B: 2"]).hit
    assert site.get(lines=["X-A: 4", *own("X-B")]).body == f"a=4 b={value}".encode()


@MEMORY
@pytest.mark.parametrize("cdn", [None, Cdn(max_age=5)])
def test_a_validated_variant_stays_one(world: World, cdn: Cdn | None) -> None:
    """RFC 9111, section 4.1: a 304 without `Vary`, when what had said so is forgotten."""
    gate, time = Gate(), Time()

    def application(seen: Seen) -> Response:
        language = seen.headers["accept-language"]
        if language == "fr":
            return says("fr", "Cache-Control: private")
        if "if-none-match" in seen.headers:
            return Response((), 304, fields([MINUTE, 'ETag: "en"']), hold=gate)
        return says(language, TEN, f'ETag: "{language}"', "Vary: Accept-Language")

    route = Route("/{path:path}", cache=Cache.standard(consistency="eventual"), cdn=cdn)
    site = Sites(world, application, route, **time.options).all[0]
    site.get("/x", headers={"Accept-Language": "en"})
    time.pass_(11)
    call = site.start("/x", headers={"Accept-Language": "en"})
    gate.reached()
    site.get("/x", headers={"Accept-Language": "fr", "Cache-Control": "no-cache"})
    gate.open()
    assert call.result().body == b"en"
    assert site.get("/x", headers={"Accept-Language": "de"}).body == b"de"
    assert site.get("/x", headers={"Accept-Language": "en"}).hit


@pytest.mark.parametrize(("name", "shared"), [("Proxy-Authorization", False), ("X-User", True)])
def test_what_varies_on_credentials_is_for_one(world: World, name: str, shared: bool) -> None:
    site = cached(world, lambda seen: says(seen.headers[name.lower()], MINUTE, f"Vary: {name}"))
    site.get(lines=[f"{name}: alice"])
    assert site.get(lines=[f"{name}: bob"]).body == b"bob"
    assert site.get(lines=[f"{name}: alice"]).hit == shared


# What one client asks for in its own way


@pytest.mark.parametrize("noted", [False, True])
@pytest.mark.parametrize("status", [400, 404, 416])
def test_an_error_for_a_range_is_nobody_elses(world: World, status: int, noted: bool) -> None:
    """Also where a note says that nothing can be stored, until something can."""
    first = ["Cache-Control: private"] if noted else [MINUTE]

    def application(seen: Seen) -> Response:
        if "range" in seen.headers:
            return Response([b"bad"], status, fields([MINUTE]))
        return says("whole", *(first if len(site.app.calls) == 1 else [MINUTE]))

    site = cached(world, application)
    if noted:
        site.get()
    assert site.get(lines=["Range: bytes=999-"]).status == status
    assert site.get().status == 200
    assert verdict(site) == "reused"


def test_a_304_for_the_clients_own_tag_is_not_about_ours(world: World) -> None:
    """RFC 9111, section 4.3.4: a 304 without validators may mean what the client has."""
    version = ["v1"]

    def application(seen: Seen) -> Response:
        tag = f'"{version[0]}"'
        if tag in seen.headers.get("if-none-match", ""):
            return Response((), 304, fields([MINUTE]))
        return says(version[0], f"ETag: {tag}", TEN, OLD)

    site = cached(world, application)
    site.get()
    version[0] = "v2"
    assert site.get(lines=['If-None-Match: "v2"']).body in {b"", b"v2"}
    assert site.get().body == b"v2"


@MEMORY
@pytest.mark.parametrize("flavour", ["asgi"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_content_is_hidden_wherever_the_answer_may_be_kept(
    world: World, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a GET where a note stands, and of a HEAD, which freshens what is stored."""
    # HTTP/2 announces no length.
    monkeypatch.setattr(Ask, "fields", lambda ask: [("host", ask.host)])
    first = ["Cache-Control: private"] if method == "GET" else [TEN, OLD]

    def application(seen: Seen) -> Response:
        lines = first if len(site.app.calls) == 1 else [MINUTE]
        return says("x", TAG, f"X-Got: {seen.body.decode()}", *lines)

    site = cached(world, application)
    site.get()
    site.get(method=method, body=b"evil")
    answer = site.get()
    assert answer.hit
    assert answer["x-got"] == ""


# What a 304 says


@MEMORY
def test_our_word_to_edges_is_not_the_applications(world: World) -> None:
    """A 304 without a word leaves it at what the application had said: nothing."""
    time = Time()

    def application(seen: Seen) -> Response:
        if "if-none-match" in seen.headers:
            return Response((), 304, fields([TAG]))
        modified = fields(["Last-Modified: <-100>"], time.wall.now)
        user = seen.headers.get("authorization", "nobody")
        return Response([user.encode()], headers=[*fields([TAG]), *modified])

    route = Route(
        "/{path:path}", cache=Cache.standard(consistency="eventual"), cdn=Cdn(max_age=3600)
    )
    site = Sites(world, application, route, **time.options)
    assert site.get()["cache-control"] == "public, max-age=3600"
    assert site.get().hit
    time.pass_(11)
    assert verdict(site) == "validated"
    time.pass_(60)
    assert not site.get().hit
    assert site.get(lines=["Authorization: alice"]).body == b"alice"


@MEMORY
@pytest.mark.parametrize("cdn", [Cdn.private(), Cdn.no_store()], ids=["private", "no-store"])
def test_a_304_opens_nothing_to_edges(world: World, cdn: Cdn) -> None:
    time = Time()
    words = "Cache-Control: public, max-age=10"
    handler = validated([TAG, words], [TAG, words])
    route = Route("/{path:path}", cache=Cache.standard(), cdn=cdn)
    site = Sites(world, handler, route, **time.options)
    first = site.get()["cache-control"]
    time.pass_(11)
    for _ in range(2):  # validated, then reused
        assert site.get()["cache-control"] == first
    assert "private" in first
    assert len(site.app.calls) == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("word", "stays"), [('private="x-user"', False), ('no-cache="x-user"', False), ("public", True)]
)
def test_a_304_may_take_fields_back(world: World, kind: Kind, word: str, stays: bool) -> None:
    """RFC 9111, sections 5.2.2.4 and 5.2.2.7."""
    handler = validated([TAG, TEN, OLD, "X-User: alice"], [TAG, f"{MINUTE}, {word}"])
    site = cached(world, handler, kept(kind))
    site.get()
    site.get()
    answer = site.get()
    assert answer.hit
    assert answer["x-user"] == ("alice" if stays else "")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("then", [[TAG, OLD], [TAG, OLD, "Expires: <+10>"]])
def test_a_silent_304_keeps_must_revalidate(
    world: World, kind: Kind, strict: bool, then: Lines
) -> None:
    """RFC 9111, section 3.2: what a 304 does not name stays as it is stored."""
    word = f"{TEN}, must-revalidate" if strict else TEN
    site = cached(world, validated([TAG, word, OLD], then), kept(kind))
    site.get()
    site.get()
    assert site.get(lines=STALE_WELCOME).hit != strict


BROUGHT: list[tuple[Sequence[str], str]] = [
    (["Set-Cookie: csrf=1", MINUTE], "csrf=1"),
    (["Set-Cookie: csrf=1", "Cache-Control: private"], "csrf=1"),
    (["Set-Cookie: other=1", MINUTE], "other=1"),
]


@pytest.mark.parametrize("cookies", [["csrf"], ["csrf", "other"]])
@pytest.mark.parametrize(("then", "cookie"), BROUGHT)
def test_the_cookie_of_a_304_reaches_its_client(
    world: World, cookies: Sequence[str], then: Lines, cookie: str
) -> None:
    """Whether or not it may be stored."""
    policy = Cache(ttl=60, stale_if_error=60, allow_set_cookie=cookies)
    first = [TAG, TEN, OLD, "Set-Cookie: csrf=0"]
    site = cached(world, validated(first, [TAG, *then]), policy)
    site.get()
    answer = site.get()
    assert answer.cache_status["fwd-status"] == "304"
    assert answer.all("set-cookie") == [cookie]


def test_the_named_fields_of_a_304_reach_its_client(world: World) -> None:
    """RFC 9111, section 5.2.2.7: `private="x-user"` is about storing."""
    then = [TAG, f'{MINUTE}, private="x-user"', "X-User: bob"]
    site = cached(world, validated([TAG, TEN, OLD, "X-User: alice"], then))
    users = [site.get()["x-user"] for _ in range(3)]
    assert users == ["alice", "bob", ""]
