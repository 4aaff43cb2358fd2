"""Purges of any list, parts behind another tier, and what an application says to edges alone."""

import time
import tracemalloc
from collections.abc import Callable

import pytest

from regionware.caching.named import names_for
from regionware.errors import ConfigurationError
from regionware.http.fields import vary_value
from regionware.policies import Cache, Cdn, Route
from regionware.policies.table import Table
from tests.conformance.application import Response, Seen, counting, text
from tests.conformance.conftest import World
from tests.conformance.standard import MEMORY, Time, cached

REDIS = pytest.mark.parametrize("tier", ["redis"], indirect=True)


def test_any_iterable_names_a_purge() -> None:
    names = names_for((tag for tag in ["a"]), (url for url in ["/b"]), everything=False, soft=False)
    assert names == ("hta", "hu/b")


@pytest.mark.parametrize(("tags", "urls"), [(["\udc80"], []), ([], ["/\udc80"])])
def test_what_redis_cannot_be_told_is_refused(tags: list[str], urls: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="UTF-8"):
        names_for(tags, urls, everything=False, soft=False)


@MEMORY
def test_a_tag_that_a_path_makes_can_be_purged(world: World) -> None:
    site = world.site(counting(), Route("/{p}", cache=Cache(ttl=60, tags=["t:{p}"])))
    assert [site.get("/a%C2%A0b").hit for _ in range(2)] == [False, True]
    site.rw.purge(tags=["t:a\xa0b"])
    assert not site.get("/a%C2%A0b").hit


@REDIS
def test_a_whole_answer_of_another_worker_ends_a_part(world: World) -> None:
    """RFC 9111, section 3.3: v2 was seen, so nothing of v1 is given any more."""
    version = "v1"

    def answer(seen: Seen) -> Response:
        if "range" in seen.headers:
            place = {"Content_Range": "bytes 0-1/4"}
            return text(version, 206, Cache_Control="max-age=600", **place)
        return text(f"{version}..", Cache_Control="max-age=1")

    one, other = cached(world, answer).all
    part = {"Range": "bytes=0-1"}
    assert one.get("/x", headers=part).body == b"v1"
    version = "v2"
    assert other.get("/x").body == b"v2.."
    assert one.get("/x").body == b"v2.."
    time.sleep(1.2)
    assert one.get("/x", headers=part).body == b"v2"


@MEMORY
def test_the_cookie_of_an_answer_that_nobody_has_confirmed_is_not_given(world: World) -> None:
    """A 304 about another answer leads to the stored one: its content, nobody's session."""
    clock = Time()
    stored = text("x", ETag='"1"', Cache_Control="max-age=10", Set_Cookie="session=alice")
    other = Response((), 304, [("ETag", '"2"')])
    site = cached(
        world, lambda seen: other if "if-none-match" in seen.headers else stored, **clock.options
    )
    assert [site.get()["set-cookie"] for _ in range(2)] == ["session=alice"] * 2
    clock.pass_(11)
    answer = site.get()
    assert (answer.body, answer["set-cookie"]) == (b"x", "")


@MEMORY
@pytest.mark.parametrize("name", ["CDN-Cache-Control", "Surrogate-Control"])
@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no-store", "private, no-store"), ("private", "private, no-store"),
        ("no-cache", "private, no-store"), ("max-age=0", "private, no-store"),
        ("max-age=5", "public, max-age=30, s-maxage=5"), ("max-age=600", "public, max-age=30"),
        ("", "public, max-age=30"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("control", ["max-age=60", None])
def test_edges_are_told_no_more_than_the_application_tells_them(
    world: World, name: str, said: str, told: str, control: str | None
) -> None:
    """The application may always tighten, whichever field it uses."""
    fields = [(name, said), *([("Cache-Control", control)] if control else [])]
    answer = Response([b"x"], headers=fields)
    site = world.site(lambda _: answer, Route("/{path:path}", cdn=Cdn(max_age=30)))
    assert site.get("/x")["cache-control"] == told


LONG = "a" * 16_000


@pytest.mark.parametrize(
    "remember",
    [
        lambda table, number: table.match("GET", number + LONG, "/"),
        lambda table, number: table.match(number + LONG, "host", "/"),
        lambda _, number: vary_value(number + LONG, "x"),
    ],
    ids=["host", "method", "field"],
)
def test_what_is_long_is_not_remembered(remember: Callable[[Table, str], object]) -> None:
    table = Table([Route("/{p:path}", hosts=["a.test"])])
    tracemalloc.start()
    try:
        for number in range(100):
            remember(table, str(number))
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()
