"""HTTP, as caches of functions and views know it: whose answer, under which name, of which age.

Each test is named after the cache and its issue; the docstring says what happened there.
"""

from typing import Any

import pytest

from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from tests.conformance.application import Gate, Response, Seen, counting, text
from tests.conformance.conftest import Clock, World
from tests.conformance.harness import until
from tests.regressions.rivals import (
    MEMORY,
    REDIS,
    commands,
    detail,
    in_redis,
    pair,
)

LANGUAGES = ("de", "fr", "ja")


def again(world: World, site: Any, path: str, **ask: Any) -> list[bytes]:
    """The body from the application, then from each tier."""
    found = [site.get(path, **ask).body, site.get(path, **ask).body]
    if world.tier == "redis":
        site.rw.memory.clear()
        found.append(site.get(path, **ask).body)
    return found


@pytest.mark.parametrize("field", ["Accept-Language", "X-Tenant", "Cookie"])
def test_flask_caching_the_wrong_variant(world: World, field: str) -> None:
    """Flask-Caching and fastapi-cache2 know no `Vary`: all get what the first one asked for."""
    by = ["choice"] if field == "Cookie" else []
    route = Route("/{path:path}", cache=Cache(ttl=60, cookies=by or "bypass"))

    def handler(seen: Seen) -> Response:
        return text(seen.headers.get(field.lower(), "-"), vary=field)

    site = world.site(handler, route)
    for language in LANGUAGES:
        value = f"choice={language}" if by else language
        bodies = again(world, site, "/x", headers={field: value})
        assert set(bodies) == {value.encode()}
    assert site.get("/x").body == b"-"


@pytest.mark.parametrize("cookie", ["session=alice; HttpOnly", "csrftoken=1"])
def test_flask_caching_a_cookie_is_handed_out_again(world: World, cookie: str) -> None:
    """Flask-Caching, and Django without `Vary: Cookie`: one's cookie was sent to the next."""
    first = [("Set-Cookie", cookie), ("Cache-Control", "public, max-age=60")]
    answers = iter([Response([b"alice"], headers=first)])
    site = world.site(lambda _: next(answers, text("anybody")))
    assert site.get("/x").all("set-cookie") == [cookie]
    for _ in range(2):
        answer = site.get("/x")
        assert (answer.body, answer.all("set-cookie")) == (b"anybody", [])
        site.rw.memory.clear()


@pytest.mark.parametrize("status", [201, 202, 400, 401, 403, 429, 500, 503])
def test_fastapi_cache_a_failure_is_kept(world: World, status: int) -> None:
    """fastapi-cache2 keeps what a function returned, whatever the status and the fields were."""
    answers = iter([text("no", status)])
    site = world.site(lambda _: next(answers, text("yes")))
    assert site.get("/x").status == status
    assert site.bodies["/x", "/x"] == [b"yes", b"yes"]


@REDIS
def test_fastapi_cache_400_a_tag_of_one_process(world: World) -> None:
    """fastapi-cache2 #400: the `ETag` was `hash(bytes)`, another one in each process.

    A tag is the application's, or there is none: any process knows it again.
    """
    made = iter(["", '"v1"'])

    def handler(_: Seen) -> Response:
        tag = next(made, '"v2"')
        return Response([b"same"], headers=[("ETag", tag)] if tag else [])

    one, other = pair(world, handler)
    assert one.get("/without").all("etag") == other.get("/without").all("etag") == []
    tag = one.get("/with")["etag"]
    in_redis(other, "/with")
    for site in (other, other, one):
        assert site.get("/with")["etag"] == tag == '"v1"'
        assert site.get("/with", headers={"If-None-Match": tag}).status == 304
        assert site.get("/with", headers={"If-None-Match": '"other"'}).status == 200


FORBIDDING = [
    "No-Store", "max-age=60, no-store", "PRIVATE", "private,max-age=60", "max-age=60 ,  private",
    "no-cache", "s-maxage=0, max-age=60", "max-age=0", 'x="a, public", no-store',
]  # fmt: skip


@pytest.mark.parametrize("value", FORBIDDING)
def test_cashews_directives_are_no_text(world: World, value: str) -> None:
    """In cashews `Cache-Control` is compared with whole texts: `no-store, max-age=0` is kept."""
    site = world.site(lambda _: text(str(len(site.app.calls)), cache_control=value))
    assert len({*again(world, site, "/x")}) >= 2


def test_cashews_directives_in_several_lines(world: World) -> None:
    """The same in two lines."""
    fields = [("Cache-Control", "max-age=60"), ("cache-control", "no-store")]
    site = world.site(lambda _: Response([b"%d" % len(site.app.calls)], headers=fields))
    assert site.bodies["/x", "/x"] == [b"1", b"2"]


@MEMORY
def test_cashews_age_is_no_time_to_live(world: World, clock: Clock) -> None:
    """Cashews' middleware sends what is left of the lifetime as `Age`."""
    site = world.site(counting(), Route("/x", cache=Cache(ttl=60)), clock=clock)
    site.get("/x")
    for age in (0, 10, 59):
        clock.now = 1000.0 + age
        assert site.get("/x")["age"] == str(age)


def test_django_a_streamed_answer_is_not_kept(world: World) -> None:
    """Django skips streams; hishel and Souin read all of an answer before any of it is sent."""
    gate = Gate()
    site = world.site(lambda _: Response([b"one, ", gate, b"two"]))
    first = site.start("/x")
    first.received(b"one, ")
    gate.open()
    assert first.result().body == b"one, two"
    hit = site.get("/x")
    assert (hit.hit, hit.body) == (True, b"one, two")


@REDIS
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_django_two_reads_for_a_hit(world: World, redis_server: RedisServer, method: str) -> None:
    """Django reads the list of selecting fields, then the page; and for HEAD once more."""
    site = world.site(lambda seen: text(seen.headers.get("x-a", "-"), vary="X-A, Accept"))
    for value in "abc":
        site.get("/x", headers={"X-A": value})
    until(lambda: _found(site, {"X-A": "b"}))
    site.rw.memory.clear()
    before = commands(redis_server, "evalsha")
    answer = site.get("/x", method=method, headers={"X-A": "b"})
    assert answer.cache_status["detail"] == "redis"
    assert commands(redis_server, "evalsha") == before + 1


def _found(site: Any, fields: dict[str, str]) -> bool:
    site.rw.memory.clear()
    return detail(site, "/x", headers=fields) == "redis"


def test_souin_variants_are_told_apart_after_sharing(world: World) -> None:
    """Souin looks again at `Vary` when it shares a collapsed answer; else variants are mixed."""
    gate = Gate()

    def handler(seen: Seen) -> Response:
        return Response([seen.headers["x-a"].encode()], headers=[("Vary", "X-A")], hold=gate)

    site = world.site(handler)
    calls = [site.start("/x", headers={"X-A": str(number % 3)}) for number in range(12)]
    until(lambda: site.parked == 11)
    gate.open()
    assert [call.result().body for call in calls] == [b"0", b"1", b"2"] * 4


def test_varnish_what_cannot_be_kept_is_not_queued(world: World) -> None:
    """Varnish had to invent hit-for-miss: requests for what cannot be stored stood one by one."""
    gate, private = Gate(), [("Cache-Control", "private")]
    answers = iter([text("first", cache_control="private")])
    site = world.site(lambda _: next(answers, Response([b"own"], headers=private, hold=gate)))
    site.get("/x")
    calls = [site.start("/x") for _ in range(8)]
    until(lambda: gate.waiting == 8)
    gate.open()
    assert {call.result().body for call in calls} == {b"own"}


def test_hybridcache_a_leader_that_leaves(world: World) -> None:
    """HybridCache ends a shared load only when all have left: one client's end is no other's."""
    gate = Gate()
    answers = iter([Response([b"a", b"b", gate, b"c"])])
    site = world.site(lambda _: next(answers, text("abc")))
    leader = site.start("/x", leave_after=1)
    leader.received(b"a")
    followers = [site.start("/x") for _ in range(3)]
    gate.open()
    assert {call.result().body for call in followers} == {b"abc"}
