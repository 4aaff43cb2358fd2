"""RFC 9111, section 4.3, and RFC 9110, section 13: conditions of clients, and of our own."""

from collections.abc import Callable

import pytest

from tests.conformance.application import Response, Seen, text
from tests.conformance.conftest import World
from tests.conformance.standard import (
    KINDS,
    Kind,
    Lines,
    cached,
    fields,
    honest,
    numbered,
    rows,
    verdict,
)

pytestmark = pytest.mark.volume

MINUTE = "Cache-Control: max-age=60"
OVER = ["Cache-Control: max-age=10", "Age: 20"]  # for ten seconds
TAG = 'ETag: "1"'
WEAK = 'ETag: W/"1"'
DATE = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT"
EQUAL = "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER = "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT"

# What the application is asked

ASKED = [
    # name, section, stored, If-None-Match, If-Modified-Since
    ("a strong entity tag", "RFC 9111, 4.3.1", [TAG], '"1"', None),
    ("a weak entity tag", "RFC 9111, 4.3.1", [WEAK], 'W/"1"', None),
    ("a date", "RFC 9111, 4.3.1", [DATE], None, DATE[15:]),
    ("both", "RFC 9111, 4.3.1", [TAG, DATE], '"1"', DATE[15:]),
    ("nothing", "RFC 9111, 4.3.1", ["X-A: 1"], None, None),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("stored", "tags", "date"), rows(ASKED))
def test_what_is_asked_for_validation(
    world: World, kind: Kind, *, stored: Lines, tags: str | None, date: str | None
) -> None:
    site = cached(world, numbered([*OVER, *stored]), kind)
    site.get()
    site.get()
    seen = site.app.calls[1]
    assert (seen.method, seen.path) == ("GET", "/x")
    assert seen.headers.get("if-none-match") == tags
    assert seen.headers.get("if-modified-since") in {date, date if tags is None else None}


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_s_entity_tags_for_validation(world: World, kind: Kind) -> None:
    """RFC 9111, 4.3.2: they may be united with ours; a 304 could not say then which it means."""
    site = cached(world, numbered([*OVER, TAG]), kind)
    site.get()
    site.get(lines=['If-None-Match: "2", W/"3"'])
    assert site.app.calls[1].headers["if-none-match"] == '"1"'


# What the client gets after 304

CLIENTS = [
    # name, section, the request, status
    ("no condition", "RFC 9111, 4.3.4", [], 200),
    ("our entity tag", "RFC 9111, 4.3.2", ['If-None-Match: "1"'], 304),
    ("our entity tag, weak", "RFC 9110, 8.8.3.2", ['If-None-Match: W/"1"'], 304),
    ("our entity tag among others", "RFC 9111, 4.3.2", ['If-None-Match: "0", "1"'], 304),
    ("another entity tag", "RFC 9111, 4.3.2", ['If-None-Match: "0"'], 200),
    ("our date", "RFC 9111, 4.3.2", [EQUAL], 304),
    ("a later date", "RFC 9111, 4.3.2", [LATER], 304),
    ("an earlier date", "RFC 9111, 4.3.2", [EARLIER], 200),
    ("another entity tag and our date", "RFC 9110, 13.2.2", ['If-None-Match: "0"', EQUAL], 200),
    ("a range", "RFC 9110, 14.2", ["Range: bytes=0-0"], 206),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("asked", "status"), rows(CLIENTS))
def test_what_a_client_gets_after_a_validation(
    world: World, kind: Kind, asked: Lines, status: int
) -> None:
    site = cached(world, honest([*OVER, TAG, DATE]), kind)
    site.get()
    answer = site.get(lines=asked)
    assert len(site.app.calls) == 2
    assert '"1"' in site.app.calls[1].headers["if-none-match"]
    assert (answer.status, answer.body) == (status, b"" if status == 304 else b"1")
    assert answer["etag"] == '"1"'


@pytest.mark.parametrize("says", [True, False])
def test_the_client_has_a_newer_answer_than_we_do(world: World, says: bool) -> None:
    """RFC 9111, 4.3.4: a 304, even one that names nothing, is about what we have asked for."""

    def second(seen: Seen) -> Response:
        if len(site.app.calls) == 1:
            return text("old", ETag='"1"', Cache_Control="max-age=10", Age="20")
        if '"2"' in seen.headers.get("if-none-match", ""):
            return Response((), 304, fields([MINUTE, *(['ETag: "2"'] if says else [])]))
        return text("new", ETag='"2"', Cache_Control="max-age=60")

    site = cached(world, second)
    site.get()
    answer = site.get(lines=['If-None-Match: "2"'])
    assert (answer.status, answer["etag"], answer.body) == (200, '"2"', b"new")
    assert site.get().body == b"new"
    assert site.get(lines=['If-None-Match: "2"']).status == 304
    assert len(site.app.calls) == 2


# Freshening

FRESHENED = [
    # name, section, stored, the 304, a field, its value, as it is
    ("a new field", "RFC 9111, 3.2", [], ["X-A: 2"], "x-a", ["2"]),
    ("a changed field", "RFC 9111, 3.2", ["X-A: 1"], ["X-A: 2"], "x-a", ["2"]),
    ("all lines of it", "RFC 9111, 3.2", ["X-A: 1", "X-A: 1b"], ["X-A: 2", "X-A: 3"], "x-a",
     ["2", "3"]),
    ("one line for two", "RFC 9111, 3.2", ["X-A: 1", "X-A: 1b"], ["X-A: 2"], "x-a", ["2"]),
    ("another case of the name", "RFC 9110, 5.1", ["X-A: 1"], ["x-a: 2"], "x-a", ["2"]),
    ("a field that is not named", "RFC 9111, 3.2", ["X-A: 1"], ["X-B: 2"], "x-a", ["1"]),
    ("expires", "RFC 9111, 3.2", ["Expires: <-9>"], ["Expires: Sun, 01 Jan 2090 00:00:00 GMT"],
     "expires", ["Sun, 01 Jan 2090 00:00:00 GMT"]),
    ("cache-control", "RFC 9111, 3.2", [], ["X-A: 2"], "cache-control", ["max-age=60"]),
    ("last-modified", "RFC 9111, 3.2",
     [DATE], ["Last-Modified: Mon, 07 Nov 1994 08:49:37 GMT"],
     "last-modified", ["Mon, 07 Nov 1994 08:49:37 GMT"]),
    ("content-language", "RFC 9111, 3.2",
     ["Content-Language: de"], ["Content-Language: fr"], "content-language", ["fr"]),
    ("content-type", "RFC 9111, 3.2",
     ["Content-Type: text/a"], ["Content-Type: text/b"], "content-type", ["text/a"]),
    ("content-encoding", "RFC 9111, 3.2",
     ["Content-Encoding: x-a"], ["Content-Encoding: x-b"], "content-encoding", ["x-a"]),
    ("content-length", "RFC 9111, 3.2",
     ["Content-Length: 1"], ["Content-Length: 7"], "content-length", ["1"]),
    ("content-range", "RFC 9111, 3.2", [], ["Content-Range: bytes 0-1/9"], "content-range", []),
    ("connection", "RFC 9111, 3.1", ["X-A: 1"], ["Connection: x-b", "X-B: 2"], "x-b", []),
    ("proxy-authenticate", "RFC 9111, 3.1",
     [], ["Proxy-Authenticate: Basic"], "proxy-authenticate", []),
    ("a field named by private", "RFC 9111, 5.2.2.7",
     [], ['Cache-Control: private="x-b"', "X-B: 2"], "x-b", []),
]  # fmt: skip


def versions(first: Lines, second: Lines) -> Callable[[Seen], Response]:
    """A whole answer, and 304 with other fields for whoever has it."""
    whole, later = fields(first), fields(second)

    def answer(seen: Seen) -> Response:
        if {"if-none-match", "if-modified-since"} & seen.headers.keys():
            return Response((), 304, later)
        return Response([b"1"], headers=whole)

    return answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("stored", "new", "name", "value"), rows(FRESHENED))
def test_a_304_updates(
    world: World, kind: Kind, *, stored: Lines, new: Lines, name: str, value: list[str]
) -> None:
    handler = versions([*OVER, TAG, "X-Kept: 1", *stored], [MINUTE, TAG, *new])
    site = cached(world, handler, kind)
    site.get()
    validated = site.get()
    assert (validated.status, validated.body) == (200, b"1")
    for _ in range(2):
        hit = site.get()
        assert hit.hit
        assert (hit.status, hit.body, hit["x-kept"]) == (200, b"1", "1")
        assert hit.all(name) == value
    assert len(site.app.calls) == 2
    if name != "x-b":  # what is for one client only, this one may have
        assert validated.all(name) == value


LIVES = [
    # name, section, stored, the 304, the next request
    ("a new lifetime", "RFC 9111, 3.2", [*OVER, TAG], [MINUTE, TAG], "reused"),
    ("the old lifetime anew", "RFC 9111, 4.2.3", [*OVER, TAG], [TAG], "reused"),
    ("the old lifetime anew, by date", "RFC 9111, 4.2.3",
     [*OVER, DATE], [DATE, "Date: <0>"], "reused"),
    ("without a validator", "RFC 9111, 4.3.4", [*OVER, TAG], [MINUTE], "reused"),
    ("a weak entity tag", "RFC 9111, 4.3.4", [*OVER, WEAK], [MINUTE, WEAK], "reused"),
    ("no lifetime left", "RFC 9111, 4.2", [*OVER, TAG], ["Age: 20", TAG], "validated"),
    ("zero", "RFC 9111, 5.2.2.1", [*OVER, TAG], ["Cache-Control: max-age=0", TAG], "validated"),
    ("no-cache", "RFC 9111, 5.2.2.4",
     [*OVER, TAG], ["Cache-Control: no-cache, max-age=60", TAG], "validated"),
    ("always validated", "RFC 9111, 5.2.2.4", ["Cache-Control: no-cache", TAG], [TAG], "validated"),
    ("validated no more", "RFC 9111, 3.2",
     ["Cache-Control: no-cache", TAG], [MINUTE, TAG], "reused"),
    ("private", "RFC 9111, 5.2.2.7",
     [*OVER, TAG], ["Cache-Control: private, max-age=60", TAG], "forwarded"),
    ("no-store", "RFC 9111, 5.2.2.5",
     [*OVER, TAG], ["Cache-Control: no-store, max-age=60", TAG], "forwarded"),
    ("another strong entity tag", "RFC 9111, 4.3.4",
     [*OVER, TAG], [MINUTE, 'ETag: "2"'], "not reused"),
    ("another weak entity tag", "RFC 9111, 4.3.4",
     [*OVER, WEAK], [MINUTE, 'ETag: W/"2"'], "not reused"),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "new", "expected"), rows(LIVES))
def test_after_a_304(world: World, stored: Lines, new: Lines, expected: str) -> None:
    site = cached(world, versions(stored, new))
    site.get()
    answer = site.get()
    assert (answer.status, answer.body) == (200, b"1")
    found = verdict(site)
    assert found != "reused" if expected == "not reused" else found == expected


@pytest.mark.parametrize(
    ("directives", "expected"),
    [
        ("private", "forwarded"), ("no-store", "forwarded"), ("must-revalidate", "validated"),
        ("max-age=10", "stale"),
    ],
)  # fmt: skip
def test_a_304_says_what_may_be_served_stale(world: World, directives: str, expected: str) -> None:
    """RFC 9111, 3.2 and 4.3.4: its fields replace those that were stored."""
    line = f"Cache-Control: max-age=10, {directives}"
    site = cached(world, versions([*OVER, TAG], [line, "Age: 20", TAG]))
    site.get()
    site.get()
    assert verdict(site, lines=["Cache-Control: max-stale"]) == expected


@pytest.mark.parametrize("tag", ['"2"', 'W/"2"'])
def test_a_304_for_another_answer_adds_nothing_to_ours(world: World, tag: str) -> None:
    """RFC 9111, 4.3.4: and the client, who asked without a condition, gets a whole answer."""
    handler = versions([*OVER, 'ETag: "1"'], [MINUTE, f"ETag: {tag}", "X-New: 1"])
    site = cached(world, handler)
    site.get()
    for _ in range(2):
        answer = site.get()
        assert (answer.status, answer.body) == (200, b"1")
        assert (answer["etag"], answer["x-new"]) == ('"1"', "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_answer_replaces_ours(world: World, kind: Kind) -> None:
    """RFC 9111, 4.3.3."""
    answers = iter([Response([b"old"], headers=fields([*OVER, TAG, "X-Old: 1"]))])
    new = text("new", ETag='"2"', Cache_Control="max-age=60", X_New="1")
    site = cached(world, lambda _: next(answers, new), kind)
    site.get()
    for _ in range(3):
        answer = site.get()
        assert (answer.body, answer["x-old"], answer["x-new"]) == (b"new", "", "1")
    assert len(site.app.calls) == 2


@pytest.mark.parametrize("status", [404, 410, 301])
def test_another_status_replaces_ours(world: World, status: int) -> None:
    """RFC 9111, 4.3.3."""
    answers = iter([Response([b"old"], headers=fields([*OVER, TAG]))])
    site = cached(world, lambda _: next(answers, text("", status, Cache_Control="max-age=60")))
    site.get()
    assert [site.get().status for _ in range(2)] == [status, status]
    assert len(site.app.calls) == 2


# 304 from the store

CONDITIONS = [
    # name, section, stored, the request, status
    ("the entity tag", "RFC 9111, 4.3.2", [TAG], ['If-None-Match: "1"'], 304),
    ("a weak one for a strong one", "RFC 9110, 13.1.2", [TAG], ['If-None-Match: W/"1"'], 304),
    ("a strong one for a weak one", "RFC 9110, 13.1.2", [WEAK], ['If-None-Match: "1"'], 304),
    ("weak ones", "RFC 9110, 13.1.2", [WEAK], ['If-None-Match: W/"1"'], 304),
    ("one of many", "RFC 9110, 13.1.2", [TAG], ['If-None-Match: "0" , W/"2",,"1"'], 304),
    ("on the second line", "RFC 9110, 5.3",
     [TAG], ['If-None-Match: "0"', 'If-None-Match: "1"'], 304),
    ("any", "RFC 9110, 13.1.2", [TAG], ["If-None-Match: *"], 304),
    ("any, of what has no entity tag", "RFC 9110, 13.1.2", ["X-A: 1"], ["If-None-Match: *"], 304),
    ("a comma inside", "RFC 9110, 8.8.3", ['ETag: "1,2"'], ['If-None-Match: "0", "1,2"'], 304),
    ("a part of one with a comma", "RFC 9110, 8.8.3",
     ['ETag: "2"'], ['If-None-Match: "1, "2", 3"'], 200),
    ("another entity tag", "RFC 9111, 4.3.2", [TAG], ['If-None-Match: "2"'], 200),
    ("another case", "RFC 9110, 8.8.3.2", ['ETag: "a"'], ['If-None-Match: "A"'], 200),
    ("a prefix", "RFC 9110, 8.8.3.2", ['ETag: "11"'], ['If-None-Match: "1"'], 200),
    ("without quotes", "RFC 9110, 8.8.3", [TAG], ["If-None-Match: 1"], 200),
    ("empty", "RFC 9110, 13.1.2", [TAG], ["If-None-Match: "], 200),
    ("no entity tag here", "RFC 9110, 13.1.2", ["X-A: 1"], ['If-None-Match: "1"'], 200),
    ("the date", "RFC 9111, 4.3.2", [DATE], [EQUAL], 304),
    ("a later date", "RFC 9111, 4.3.2", [DATE], [LATER], 304),
    ("a date of the future", "RFC 9111, 4.3.2", [DATE], ["If-Modified-Since: <+9000>"], 304),
    ("an earlier date", "RFC 9111, 4.3.2", [DATE], [EARLIER], 200),
    ("the date in the form of RFC 850", "RFC 9110, 5.6.7",
     [DATE], ["If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"], 304),
    ("the date in the form of asctime", "RFC 9110, 5.6.7",
     [DATE], ["If-Modified-Since: Sun Nov  6 08:49:37 1994"], 304),
    ("not a date", "RFC 9110, 13.1.3", [DATE], ["If-Modified-Since: now"], 200),
    ("a date in another zone", "RFC 9110, 13.1.3",
     [DATE], ["If-Modified-Since: Sun, 06 Nov 2094 08:49:37 PST"], 200),
    ("two dates", "RFC 9110, 13.1.3", [DATE], [LATER, LATER], 200),
    ("later than its own date", "RFC 9111, 4.3.2",
     ["Date: <-5>"], ["If-Modified-Since: <-5>"], 304),
    ("earlier than its own date", "RFC 9111, 4.3.2",
     ["Date: <-5>"], ["If-Modified-Since: <-60>"], 200),
    ("its own date does not count", "RFC 9111, 4.3.2",
     ["Last-Modified: <-1>", "Date: <-40>"], ["If-Modified-Since: <-20>"], 200),
    ("the entity tag, an earlier date", "RFC 9110, 13.2.2",
     [TAG, DATE], ['If-None-Match: "1"', EARLIER], 304),
    ("another entity tag, a later date", "RFC 9110, 13.2.2",
     [TAG, DATE], ['If-None-Match: "2"', LATER], 200),
    ("an unreadable entity tag, a later date", "RFC 9110, 13.1.3",
     [TAG, DATE], ["If-None-Match: x", LATER], 200),
    ("the date of what also has an entity tag", "RFC 9110, 13.1.3", [TAG, DATE], [EQUAL], 304),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("stored", "asked", "status"), rows(CONDITIONS))
def test_a_condition_of_a_client(
    world: World, kind: Kind, *, stored: Lines, asked: Lines, status: int
) -> None:
    site = cached(world, numbered([MINUTE, *stored]), kind)
    site.get()
    for method in ("GET", "HEAD"):
        answer = site.get(lines=asked, method=method)
        assert answer.hit
        assert answer.status == status
        assert answer.body == (b"1" if (status, method) == (200, "GET") else b"")
    assert len(site.app.calls) == 1


@pytest.mark.parametrize("status", [301, 404, 410])
@pytest.mark.parametrize("asked", ['If-None-Match: "1"', LATER], ids=["entity tag", "date"])
def test_a_condition_is_for_what_is_ok(world: World, status: int, asked: str) -> None:
    """RFC 9110, 13.2.1; RFC 9111, 4.3.2."""
    site = cached(world, numbered([MINUTE, TAG, DATE], status))
    site.get()
    answer = site.get(lines=[asked])
    assert answer.hit
    assert answer.status == status


NOT_MODIFIED = [
    # name, section, field, sent
    ("cache-control", "RFC 9110, 15.4.5", "Cache-Control: max-age=60", True),
    ("content-location", "RFC 9110, 15.4.5", "Content-Location: /x.de", True),
    ("date", "RFC 9110, 15.4.5", "Date: <0>", True),
    ("etag", "RFC 9110, 15.4.5", TAG, True),
    ("expires", "RFC 9110, 15.4.5", "Expires: <+60>", True),
    ("vary", "RFC 9110, 15.4.5", "Vary: Accept", True),
    ("content-type", "RFC 9110, 15.4.5", "Content-Type: text/x", False),
    ("content-length", "RFC 9110, 8.6", "Content-Length: 1", False),
    ("content-encoding", "RFC 9110, 15.4.5", "Content-Encoding: x-a", False),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("line", "sent"), rows(NOT_MODIFIED))
def test_the_fields_of_a_304(world: World, kind: Kind, line: str, sent: bool) -> None:
    lines = dict.fromkeys([MINUTE, TAG, line])
    site = cached(world, numbered([*lines]), kind)
    whole = site.get()
    answer = site.get(lines=['If-None-Match: "1"'])
    assert (answer.status, answer.body) == (304, b"")
    assert len(answer.all("age")) == len(answer.all("cache-status")) == 1
    name = line.partition(":")[0].lower()
    assert answer.all(name) == (whole.all(name) if sent else [])


# Conditions that are not ours

PRECONDITIONS = [
    ('If-Match: "2"', "RFC 9110, 13.1.1"), ("If-Match: *", "RFC 9110, 13.1.1"),
    ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT", "RFC 9110, 13.1.4"),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("line", [line for line, _ in PRECONDITIONS])
def test_a_precondition_is_the_application_s(world: World, kind: Kind, line: str) -> None:
    """RFC 9111, 4.3.2."""
    name, _, value = line.partition(": ")
    failed = text("failed", 412)
    plain = numbered([MINUTE, TAG, DATE])
    site = cached(world, lambda seen: failed if name.lower() in seen.headers else plain(seen), kind)
    for stored in (False, True):
        if stored:
            site.get()
        answer = site.get(lines=[line])
        assert (answer.status, answer.body) == (412, b"failed")
        assert answer.cache_status == {"fwd": "bypass", "detail": "precondition"}
        assert site.app.calls[-1].headers[name.lower()] == value
    assert verdict(site) == "reused"


MISSES = [
    ("an entity tag", "RFC 9111, 4.3.2", 'If-None-Match: "1"'),
    ("any", "RFC 9111, 4.3.2", "If-None-Match: *"), ("a date", "RFC 9111, 4.3.2", EQUAL),
]  # fmt: skip


@pytest.mark.parametrize("line", rows(MISSES))
def test_a_client_s_condition_on_a_miss_is_the_application_s(world: World, line: str) -> None:
    """RFC 9111, 4.3.2: and its 304 is the client's, not ours."""
    name, _, value = line.partition(": ")
    whole, empty = fields([MINUTE, TAG, DATE]), fields([MINUTE, TAG])
    site = cached(
        world,
        lambda seen: (
            Response((), 304, empty)
            if name.lower() in seen.headers
            else Response([b"1"], headers=whole)
        ),
    )
    for _ in range(2):
        calls = len(site.app.calls)
        answer = site.get(lines=[line])
        assert (answer.status, answer["etag"]) == (304, '"1"')
        assert "stored" not in answer.cache_status
        assert len(site.app.calls) == calls + 1
        assert site.app.calls[-1].headers[name.lower()] == value
    assert (site.get().status, site.get().body, len(site.app.calls)) == (200, b"1", 3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_answer_to_a_condition_on_a_miss_is_stored(world: World, kind: Kind) -> None:
    """RFC 9111, 4.3.3."""
    site = cached(world, honest([MINUTE, TAG]), kind)
    assert site.get(lines=['If-None-Match: "0"']).status == 200
    assert verdict(site) == "reused"


@pytest.mark.parametrize("asked", ['If-None-Match: "1"', EQUAL], ids=["entity tag", "date"])
def test_a_declared_route_is_filled_for_everybody(world: World, asked: str) -> None:
    """The policy: a client's condition stays here."""
    site = cached(world, honest([MINUTE, TAG, DATE]), "declared")
    site.get(lines=[asked])
    assert not {"if-none-match", "if-modified-since"} & site.app.calls[0].headers.keys()
    assert verdict(site) == "reused"


# HEAD


@pytest.mark.parametrize("kind", KINDS)
def test_head_is_answered_from_a_stored_get(world: World, kind: Kind) -> None:
    """RFC 9110, 9.3.2."""
    lines = [MINUTE, TAG, "Content-Length: 1", "X-A: 1"]
    site = cached(world, numbered(lines), kind)
    site.get()
    by_get, by_head = site.get(), site.get(method="HEAD")
    assert by_head.hit
    assert (by_head.status, by_head.body) == (200, b"")
    names = ("etag", "x-a", "content-type", "content-length", "cache-control")
    assert [by_head.all(name) for name in names] == [by_get.all(name) for name in names]
    assert len(site.app.calls) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_leaves_no_empty_answer_behind(world: World, kind: Kind) -> None:
    """RFC 9111, 2."""
    site = cached(world, lambda _: text("whole", Cache_Control="max-age=60", ETag='"1"'), kind)
    assert [site.get(method="HEAD").body for _ in range(2)] == [b"", b""]
    assert [site.get().body for _ in range(2)] == [b"whole", b"whole"]


HEADS = [
    # name, section, stored, the answer to HEAD, updated
    ("the same entity tag", "RFC 9111, 4.3.5", [TAG], [TAG], True),
    ("the same date", "RFC 9111, 4.3.5", [DATE], [DATE], True),
    ("both the same", "RFC 9111, 4.3.5", [TAG, DATE], [TAG, DATE], True),
    ("the same length", "RFC 9111, 4.3.5", [TAG, "Content-Length: 1"], [TAG, "Content-Length: 1"],
     True),
    ("the length of the content", "RFC 9111, 4.3.5", [TAG], [TAG, "Content-Length: 1"], True),
    ("another entity tag", "RFC 9111, 4.3.5", [TAG], ['ETag: "2"'], False),
    ("another date", "RFC 9111, 4.3.5", [DATE], ["Last-Modified: Mon, 07 Nov 1994 08:49:37 GMT"],
     False),
    ("the same entity tag, another date", "RFC 9111, 4.3.5",
     [TAG, DATE], [TAG, "Last-Modified: Mon, 07 Nov 1994 08:49:37 GMT"], False),
    ("another length", "RFC 9111, 4.3.5", [TAG], [TAG, "Content-Length: 2"], False),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("why", ["a reload", "a stale answer"])
@pytest.mark.parametrize(("stored", "head", "updated"), rows(HEADS))
def test_what_the_application_says_to_head(
    world: World, kind: Kind, *, why: str, stored: Lines, head: Lines, updated: bool
) -> None:
    first = fields([MINUTE, *stored] if why == "a reload" else [*OVER, *stored])
    to_head = fields([MINUTE, "X-New: 1", *head])

    def answer(seen: Seen) -> Response:
        if seen.method == "HEAD":
            return Response((), headers=to_head)
        if len(site.app.calls) == 1:
            return Response([b"1"], headers=first)
        return text("2", Cache_Control="max-age=60", X_New="1")

    site = cached(world, answer, kind)
    site.get()
    reload = ["Cache-Control: no-cache"] if why == "a reload" else []
    assert site.get(lines=reload, method="HEAD").status == 200
    if site.app.calls[1].method == "GET":  # a whole new answer is better still
        assert site.get().body == b"2"
        return
    now = site.get()
    assert (now.body, now["x-new"]) == (b"1" if updated else b"2", "1")
    assert len(site.app.calls) == (2 if updated else 3)


def test_a_head_that_fails_changes_nothing(world: World) -> None:
    """RFC 9111, 4.3.5: only 200 speaks of the answer to GET."""
    plain = numbered([MINUTE, TAG])
    site = cached(world, lambda seen: text("", 500) if seen.method == "HEAD" else plain(seen))
    site.get()
    assert site.get(lines=["Cache-Control: no-cache"], method="HEAD").status == 500
    assert verdict(site) == "reused"


def test_a_304_to_head_freshens(world: World) -> None:
    """RFC 9111, 4.3.3."""
    site = cached(world, honest([*OVER, TAG], [MINUTE, TAG]))
    site.get()
    head = site.get(method="HEAD")
    assert (head.status, head.body) == (200, b"")
    answer = site.get()
    assert answer.body == b"1"
    assert answer.hit


@pytest.mark.parametrize("kind", KINDS)
def test_the_variant_that_was_asked_for_is_freshened(world: World, kind: Kind) -> None:
    """RFC 9111, 4.3.1 and 4.3.4."""
    later: set[str] = set()

    def answer(seen: Seen) -> Response:
        name = seen.headers["x-a"]
        tag = f'ETag: "{name}"'
        if f'"{name}"' in seen.headers.get("if-none-match", ""):
            later.add(name)
            return Response((), 304, fields([MINUTE, "Vary: X-A", tag]))
        return Response([name.encode()], headers=fields([*OVER, "Vary: X-A", tag]))

    site = cached(world, answer, kind)
    for name in "12":
        assert site.get(lines=[f"X-A: {name}"]).body == name.encode()
    assert site.get(lines=["X-A: 1"]).body == b"1"
    assert later == {"1"}
    assert verdict(site, lines=["X-A: 1"]) == "reused"
    assert verdict(site, lines=["X-A: 2"]) == "validated"
    assert site.get(lines=["X-A: 2"]).body == b"2"
