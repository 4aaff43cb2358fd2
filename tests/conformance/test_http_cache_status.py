"""RFC 9211: every answer says what became of its request."""

from typing import Any

import http_sf
import pytest

from tests.conformance.application import Gate, Response, Seen, text
from tests.conformance.conftest import World
from tests.conformance.harness import Answer, until
from tests.conformance.standard import (
    KINDS,
    MEMORY,
    Kind,
    Lines,
    Time,
    cached,
    changing,
    honest,
    numbered,
    rows,
)

pytestmark = pytest.mark.volume

MINUTE = "Cache-Control: max-age=60"
OVER = ["Cache-Control: max-age=10", "Age: 20"]  # for ten seconds
TAG = 'ETag: "1"'


def members(answer: Answer) -> list[tuple[str, dict[str, Any]]]:
    """The field as what it is: a Structured Field, a List."""
    parsed: Any = http_sf.parse(answer["cache-status"].encode(), tltype="list")
    return [
        (str(name), {key: _plain(value) for key, value in words.items()}) for name, words in parsed
    ]


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value


def said(answer: Answer) -> dict[str, Any]:
    """Our member, without the reason for which something is not stored."""
    ((name, words),) = members(answer)
    assert name == "regionware"
    assert ("hit" in words) != ("fwd" in words)
    if words.get("fwd") in {"miss", "stale"} and "stored" not in words:
        words.pop("detail", None)
    return words


FIRST = [
    # name, section, kind, fields, the request, what is said
    ("stored", "RFC 9211, 2.2", "standard", [MINUTE], {}, {"fwd": "miss", "stored": True}),
    ("not stored", "RFC 9211, 2.4", "standard", ["Cache-Control: no-store"], {}, {"fwd": "miss"}),
    ("only a validator", "RFC 9211, 2.4", "standard", [TAG], {}, {"fwd": "miss", "stored": True}),
    ("stored, declared", "RFC 9211, 2.2", "declared", [], {}, {"fwd": "miss", "stored": True}),
    ("not stored, declared", "RFC 9211, 2.4", "declared", ["Set-Cookie: a=1"], {}, {"fwd": "miss"}),
    ("post", "RFC 9211, 2.2", "standard", [MINUTE], {"method": "POST"}, {"fwd": "method"}),
    ("delete, declared", "RFC 9211, 2.2",
     "declared", [MINUTE], {"method": "DELETE"}, {"fwd": "method"}),
    ("options", "RFC 9211, 2.2", "standard", [MINUTE], {"method": "OPTIONS"}, {"fwd": "method"}),
    ("no-store", "RFC 9211, 2.2",
     "standard", [MINUTE], {"lines": ["Cache-Control: no-store"]}, {"fwd": "request"}),
    ("no-store, declared", "RFC 9211, 2.2",
     "declared", [MINUTE], {"lines": ["Cache-Control: no-store"]}, {"fwd": "request"}),
    ("a precondition", "RFC 9211, 2.2", "standard", [MINUTE], {"lines": ["If-Match: *"]},
     {"fwd": "bypass", "detail": "precondition"}),
    ("a precondition, declared", "RFC 9211, 2.2", "declared", [MINUTE], {"lines": ["If-Match: *"]},
     {"fwd": "bypass", "detail": "precondition"}),
    ("a cookie, declared", "RFC 9211, 2.2", "declared", [MINUTE], {"lines": ["Cookie: a=1"]},
     {"fwd": "bypass", "detail": "cookie"}),
    ("a cookie", "RFC 9211, 2.2", "standard", [MINUTE], {"lines": ["Cookie: a=1"]},
     {"fwd": "miss", "stored": True}),
    ("credentials, declared", "RFC 9211, 2.2",
     "declared", [MINUTE], {"lines": ["Authorization: x"]},
     {"fwd": "bypass", "detail": "authorization"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "lines", "ask", "expected"), rows(FIRST))
def test_what_is_said_of_a_first_request(
    world: World, kind: Kind, *, lines: Lines, ask: dict[str, Any], expected: dict[str, Any]
) -> None:
    site = cached(world, numbered(lines), kind)
    assert said(site.get("/x", **ask)) == expected


SECOND = [
    # name, section, stored, the application's second answer, the request, what is said
    ("no-cache", "RFC 9211, 2.2", [MINUTE], [MINUTE], ["Cache-Control: no-cache"],
     {"fwd": "request", "stored": True}),
    ("max-age", "RFC 9211, 2.2", [MINUTE, "Age: 20"], [MINUTE], ["Cache-Control: max-age=9"],
     {"fwd": "request", "stored": True}),
    ("no-store", "RFC 9211, 2.2", [MINUTE], [MINUTE], ["Cache-Control: no-store"],
     {"fwd": "request"}),
    ("replaced", "RFC 9211, 2.2", [*OVER, 'ETag: "0"'], [MINUTE], [],
     {"fwd": "stale", "fwd-status": 200, "stored": True}),
    ("replaced by what is not stored", "RFC 9211, 2.4",
     [*OVER, 'ETag: "0"'], ["Cache-Control: no-store"], [], {"fwd": "stale", "fwd-status": 200}),
    ("validated", "RFC 9211, 2.3", [*OVER, TAG], [MINUTE, TAG], [],
     {"fwd": "stale", "fwd-status": 304, "stored": True}),
    ("validated for a condition", "RFC 9211, 2.3",
     [*OVER, TAG], [MINUTE, TAG], ['If-None-Match: "1"'],
     {"fwd": "stale", "fwd-status": 304, "stored": True}),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("stored", "second", "asked", "expected"), rows(SECOND))
def test_what_is_said_of_a_second_request(
    world: World,
    kind: Kind,
    *,
    stored: Lines,
    second: Lines,
    asked: Lines,
    expected: dict[str, Any],
) -> None:
    first = 'ETag: "0"' not in stored
    handler = honest(stored, second) if first and TAG in stored else changing(stored, second)
    site = cached(world, handler, kind)
    site.get()
    words = said(site.get(lines=asked))
    if expected.get("fwd-status") == 200:  # the answer's own, which need not be said
        words.setdefault("fwd-status", 200)
    assert words == expected


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_of_a_hit(world: World, kind: Kind) -> None:
    """RFC 9211, 2.1, 2.6 and 2.8."""
    site = cached(world, numbered([MINUTE, "Age: 20"]), kind)
    site.get()
    words = said(site.get())
    assert 37 <= words.pop("ttl") <= 40
    assert words == {"hit": True, "detail": world.tier}


@MEMORY
@pytest.mark.parametrize(("seconds", "ttl"), [(0, 60), (10, 50), (59, 1)])
def test_the_time_to_live(world: World, seconds: int, ttl: int) -> None:
    """RFC 9211, 2.6."""
    time = Time()
    site = cached(world, numbered([MINUTE]), **time.options)
    site.get()
    time.pass_(seconds)
    assert said(site.get()) == {"hit": True, "ttl": ttl, "detail": "memory"}


def test_the_time_to_live_of_a_stale_answer_is_negative(world: World) -> None:
    """RFC 9211, 2.6."""
    site = cached(world, numbered([*OVER, TAG]))
    site.get()
    words = said(site.get(lines=["Cache-Control: max-stale"]))
    assert words["hit"] is True
    assert -14 <= words["ttl"] <= -10


def test_what_is_said_of_a_304_from_the_store(world: World) -> None:
    """RFC 9211, 2.1."""
    site = cached(world, numbered([MINUTE, TAG]))
    site.get()
    answer = site.get(lines=['If-None-Match: "1"'])
    assert (answer.status, said(answer)["hit"]) == (304, True)


@pytest.mark.parametrize("status", [500, 503])
def test_what_is_said_when_a_stale_answer_covers_a_failure(world: World, status: int) -> None:
    """RFC 9211, 2.2 and 2.3."""
    plain = numbered([*OVER, TAG])
    site = cached(world, lambda seen: plain(seen) if len(site.app.calls) == 1 else text("", status))
    site.get()
    answer = site.get()
    ((_, words),) = members(answer)
    assert answer.status == 200
    assert "stored" not in words
    assert (words["fwd"], words.get("fwd-status", status)) == ("stale", status)


@pytest.mark.parametrize(
    ("stored", "asked", "fwd"),
    [
        ([], [], "miss"), ([*OVER, TAG], [], "stale"),
        ([MINUTE, TAG], ["Cache-Control: no-cache"], "request"),
    ],
    ids=["nothing stored", "stale", "a reload"],
)  # fmt: skip
def test_why_a_head_was_forwarded(world: World, *, stored: Lines, asked: Lines, fwd: str) -> None:
    """RFC 9211, 2.2."""
    site = cached(world, numbered(stored or [MINUTE, TAG]))
    if stored:
        site.get()
    assert said(site.get(lines=asked, method="HEAD"))["fwd"] == fwd


def test_what_is_said_of_another_variant(world: World) -> None:
    """RFC 9211, 2.2."""
    site = cached(world, numbered([MINUTE, "Vary: X-A"]))
    site.get(lines=["X-A: 1"])
    words = said(site.get(lines=["X-A: 2"]))
    assert words["fwd"] in {"miss", "vary-miss"}
    assert words["stored"] is True


def test_what_is_said_when_nobody_may_be_asked(world: World) -> None:
    """RFC 9211, 2: neither a hit nor forwarded."""
    answer = cached(world, numbered([MINUTE])).get(lines=["Cache-Control: only-if-cached"])
    assert answer.status == 504
    assert "hit" not in answer["cache-status"]
    assert "stored" not in answer["cache-status"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_that_waited_for_another_says_so(world: World, kind: Kind) -> None:
    """RFC 9211, 2.5."""
    gate, plain = Gate(), numbered([MINUTE])

    def slow(seen: Seen) -> Response:
        response = plain(seen)
        return Response(response.chunks, 200, response.headers, gate)

    site = cached(world, slow, kind).all[0]
    asked = site.together([{"path": "/x"}] * 3)
    until(lambda: site.parked == 2)
    gate.open()
    words = [said(each.result()) for each in asked]
    assert sorted(each.get("collapsed", False) for each in words) == [False, True, True]
    assert {each["fwd"] for each in words} == {"miss"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_inner_cache_says_comes_first(world: World, kind: Kind) -> None:
    """RFC 9211, 2: the first member is the one nearest to the origin."""
    site = cached(world, numbered([MINUTE, 'Cache-Status: "inner, one"; hit; ttl=5']), kind)
    found = members(site.get())
    assert [name for name, _ in found] == ["inner, one", "regionware"]
    assert found[0][1] == {"hit": True, "ttl": 5}
    assert found[1][1] == {"fwd": "miss", "stored": True}
    name, words = members(site.get())[-1]
    assert (name, words["hit"]) == ("regionware", True)


KEYS: list[tuple[str, dict[str, str], bool]] = [
    ("without debugging", {}, False),
    ("with another value", {"Regionware-Debug": "no"}, False),
    ("with the value", {"Regionware-Debug": "unguessable-value-for-tests"}, True),
]


@pytest.mark.parametrize(("headers", "told"), [each[1:] for each in KEYS], ids=[k[0] for k in KEYS])
def test_the_key_is_for_who_debugs(world: World, headers: dict[str, str], told: bool) -> None:
    """RFC 9211, 2.7 and 6."""
    site = cached(world, numbered([MINUTE]), debug="unguessable-value-for-tests")
    lines = [f"{name}: {value}" for name, value in headers.items()]
    for _ in range(2):
        assert ("key" in members(site.get(lines=lines))[-1][1]) is told
