"""For how long an entry is used, and what a client hears of it. The clock is the test's."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from regionware.policies import Cache, Route
from tests.conformance.application import Gate, Response, Seen, counting, text
from tests.conformance.conftest import Clock, World
from tests.conformance.harness import Site, until

OUTER: ContextVar[str] = ContextVar("outer", default="nothing")
Make = Callable[..., Site]
JANUARY = 1_577_836_800.0  # 2020


@pytest.fixture
def tier() -> str:
    """The clock of a region is its Redis's own, which no test can set."""
    return "memory"


@pytest.fixture
def make(world: World, clock: Clock) -> Make:
    """Makes a site with one cached route: an application, and the words of its `Cache`."""

    def site(handler: Callable[[Seen], Response], **cache: Any) -> Site:
        route = Route("/x", cache=Cache(**{"ttl": 60, **cache}))
        return world.site(handler, route, clock=clock, wall=lambda: JANUARY)

    return site


# What a client hears


def test_age_and_cache_status_of_a_miss_and_of_hits(make: Make, clock: Clock) -> None:
    site = make(counting())
    miss = site.get("/x")
    assert miss.cache_status == {"fwd": "miss", "stored": ""}
    for seconds, age, ttl in ((0.0, "0", "60"), (10.5, "10", "49"), (49.0, "59", "0")):
        clock.now += seconds
        hit = site.get("/x")
        assert hit["age"] == age
        assert hit.cache_status == {"hit": "", "ttl": ttl, "detail": "memory"}


def test_why_an_answer_was_not_stored_is_said(make: Make) -> None:
    status = make(lambda _: text("x", Cache_Control="no-store")).get("/x").cache_status
    assert status["fwd"] == "miss"
    assert "stored" not in status


def test_routes_without_a_cache_say_nothing(world: World) -> None:
    answer = world.site(counting(), Route("/other", cache=Cache(ttl=1))).get("/x")
    assert answer.all("cache-status") == answer.all("age") == []


def test_the_age_of_an_answer_from_a_cache_behind_us_goes_on(make: Make, clock: Clock) -> None:
    site = make(lambda _: text("x", Cache_Control="max-age=30", Age="20"))
    site.get("/x")
    clock.now += 9
    assert site.get("/x")["age"] == "29"
    clock.now += 2
    assert not site.get("/x").hit


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"1"', 304), ('W/"1"', 304), ('"0", "1"', 304), ("*", 304),
        ('"2"', 200), ("1", 200), ("", 200), ('"1', 200), ('"a,"1"', 200),
    ],
)  # fmt: skip
def test_if_none_match(make: Make, condition: str, status: int) -> None:
    site = make(lambda _: text("body", ETag='"1"', Cache_Control="max-age=60", Vary="Accept"))
    site.get("/x")
    for method in ("GET", "HEAD"):
        answer = site.get("/x", method=method, headers={"If-None-Match": condition})
        assert answer.status == status
        assert answer.hit
        assert answer.body == (b"body" if (status, method) == (200, "GET") else b"")
        for name in ("etag", "cache-control", "vary", "age"):
            assert answer[name]
        assert answer.all("content-type") == ([] if status == 304 else ["text/plain"])
    assert len(site.app.calls) == 1


# Lifetimes

LIFETIMES = [
    ("silent", {}, [], 60),
    ("tighter", {}, [("Cache-Control", "max-age=10")], 10),
    ("looser", {}, [("Cache-Control", "max-age=600")], 60),
    ("s-maxage", {}, [("Cache-Control", "s-maxage=10, max-age=30")], 10),
    ("repeated", {}, [("Cache-Control", "max-age=30"), ("Cache-Control", "max-age=10")], 10),
    ("quoted", {}, [("Cache-Control", 'max-age="10"')], 10),
    ("expires", {}, [("Date", "Wed, 01 Jan 2020 00:00:00 GMT"),
                     ("Expires", "Wed, 01 Jan 2020 00:00:10 GMT")], 10),
    ("max-age before expires", {}, [("Cache-Control", "max-age=10"), ("Expires", "0")], 10),
    ("old", {}, [("Cache-Control", "max-age=30"), ("Age", "20")], 10),
    ("override", {"override": True}, [("Cache-Control", "max-age=10")], 60),
    ("override expires", {"override": True}, [("Expires", "0")], 60),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cache", "fields", "seconds"),
    [each[1:] for each in LIFETIMES],
    ids=[each[0] for each in LIFETIMES],
)
def test_an_application_can_only_tighten(
    make: Make,
    clock: Clock,
    cache: dict[str, Any],
    fields: list[tuple[str, str]],
    seconds: int,
) -> None:
    site = make(lambda _: Response([b"x"], headers=fields), **cache)
    site.get("/x")
    clock.now += seconds - 0.5
    assert site.get("/x").hit
    clock.now += 1
    assert not site.get("/x").hit


@pytest.mark.parametrize("word", ["no-store", "private"])
def test_override_does_not_publish_what_the_application_calls_private(
    make: Make, word: str
) -> None:
    site = make(lambda _: text("x", Cache_Control=word), override=True)
    site.get("/x")
    assert not site.get("/x").hit


# Stale


def test_stale_is_served_while_one_request_refreshes(make: Make, clock: Clock) -> None:
    gate, numbers = Gate(), iter(range(1, 9))
    site = make(
        lambda _: Response(
            [str(number := next(numbers)).encode()], hold=gate if number == 2 else None
        ),
        stale_while_revalidate=30,
    )
    site.get("/x")
    clock.now += 75
    for _ in range(5):
        stale = site.get("/x")
        assert stale.body == b"1"
        assert (stale["age"], stale.cache_status["ttl"]) == ("75", "-15")
    gate.reached()
    gate.open()
    until(lambda: site.get("/x").body == b"2")
    assert len(site.app.calls) == 2
    assert site.get("/x")["age"] == "0"


def test_stale_while_revalidate_ends(make: Make, clock: Clock) -> None:
    site = make(counting(), stale_while_revalidate=30)
    site.get("/x")
    clock.now += 91
    assert site.get("/x").body == b"2"


def test_without_the_word_nothing_stale_is_served(make: Make, clock: Clock) -> None:
    site = make(counting())
    site.get("/x")
    clock.now += 61
    assert site.get("/x").body == b"2"


@pytest.mark.parametrize(
    "word", ["must-revalidate", "proxy-revalidate", "stale-while-revalidate=5"]
)
def test_an_application_tightens_stale_windows_too(make: Make, clock: Clock, word: str) -> None:
    site = make(
        counting(Cache_Control=f"max-age=60, {word}"), stale_while_revalidate=30, stale_if_error=30
    )
    site.get("/x")
    clock.now += 66
    assert site.get("/x").body == b"2"


def test_a_refresh_that_fails_is_tried_again(make: Make, clock: Clock) -> None:
    def failing_second(_: Seen) -> Response:
        if len(site.app.calls) == 2:
            raise KeyError("the refresh fails")
        return text(str(len(site.app.calls)))

    site = make(failing_second, stale_while_revalidate=30)
    site.get("/x")
    clock.now += 61
    assert site.get("/x").body == b"1"
    until(lambda: site.rw.counts().get("refresh-failed:KeyError"))
    assert len(site.app.calls) == 2
    clock.now += 2
    until(lambda: site.get("/x").body == b"3")


def test_a_refresh_carries_nothing_of_whoever_triggered_it(make: Make, clock: Clock) -> None:
    """L6."""
    numbers = iter("12")
    site = make(
        lambda _: text(next(numbers) + OUTER.get()),
        stale_while_revalidate=30, cookies="ignore", allow_authorization=True, shared=True,
    )  # fmt: skip
    first = site.get("/x").body
    clock.now += 61
    token = OUTER.set("the request's context")
    personal = {"Cookie": "sid=eve", "If-None-Match": '"1"', "Accept-Language": "de"}
    assert site.get("/x", headers=personal, user="eve").body == first
    OUTER.reset(token)
    until(lambda: len(site.app.calls) == 2)
    refresh = site.app.calls[1]
    assert (refresh.method, refresh.path, refresh.body) == ("GET", "/x", b"")
    assert not {"cookie", "authorization", "if-none-match"} & refresh.headers.keys()
    assert refresh.user is None
    assert refresh.state is not None
    until(lambda: site.get("/x").body == b"2nothing")


def test_head_on_a_stale_entry_leaves_a_whole_answer_behind(make: Make, clock: Clock) -> None:
    site = make(counting(), stale_while_revalidate=30)
    site.get("/x")
    clock.now += 61
    assert site.get("/x", method="HEAD").body == b""
    until(lambda: site.get("/x").body > b"1")


FAILURES: dict[str, Response | Exception] = {
    "an exception": KeyError("down"), "500": text("down", 500), "503": text("down", 503),
    "404": text("gone", 404), "an error in the body": Response([b"half", KeyError("down")]),
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
def test_stale_if_error(make: Make, clock: Clock, failure: str) -> None:
    answers: list[Response | Exception] = [text("well"), FAILURES[failure]]

    def handler(_: Seen) -> Response:
        answer = answers[min(len(site.app.calls), 2) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    site = make(handler, stale_if_error=600)
    site.get("/x")
    clock.now += 300
    if failure == "404":
        assert site.get("/x").status == 404
    elif failure == "an error in the body":  # the head is out: nothing can be served instead
        with pytest.raises(KeyError):
            site.get("/x")
    else:
        for age in ("300", "302"):  # the second attempt, when it is due
            rescued = site.get("/x")
            assert (rescued.status, rescued.body, rescued["age"]) == (200, b"well", age)
            assert rescued.cache_status["fwd"] == "stale"
            clock.now += 2
        assert len(site.app.calls) == 3


def test_stale_if_error_ends(make: Make, clock: Clock) -> None:
    answers = iter([text("well")])
    site = make(lambda _: next(answers, text("down", 503)), stale_if_error=600)
    site.get("/x")
    clock.now += 659
    assert site.get("/x").status == 200
    clock.now += 2
    assert site.get("/x").status == 503
