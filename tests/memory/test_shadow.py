"""Entries in memory are held against Redis: an indicator of consistency, and whether it works."""

from typing import Any

import pytest
import redis

from regionware.caching.coherence import Fences, Verdict
from regionware.caching.memory import Memory
from regionware.caching.shadow import Shadow
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from tests.conformance.application import counting
from tests.conformance.conftest import World
from tests.conformance.harness import Site, until

ROUTE = Route("/{path:path}", cache=Cache(ttl=60, tags=["all"]))


@pytest.fixture
def tier() -> str:
    """There is something to compare with."""
    return "redis"


def compared(site: Site, url: str, bound: float = 5.0) -> str:
    """One comparison, now."""
    parts, rim = site.rw._parts, site.rw._parts.rim
    assert rim.tier is not None
    shadow = Shadow(url, rim.tier, parts.prepared, rim.memory, 1.0, bound)
    with redis.Redis.from_url(url) as client:
        return shadow.compare(client)


def test_what_is_the_same(world: World, redis_url: str) -> None:
    site = world.site(counting(), ROUTE)
    site.get("/a")
    assert compared(site, redis_url) == ""  # nobody wanted it yet
    site.get("/a")
    assert compared(site, redis_url) == "same"
    assert site.rw.counts()["shadow:same"] == 1


def test_a_variant_is_found(world: World, redis_url: str) -> None:
    def handler(seen: Any) -> Any:
        answer = plain(seen)
        answer.headers = [("Vary", "X-A")]
        return answer

    plain = counting()
    site = world.site(handler, ROUTE)
    for _ in range(2):
        site.get("/a", headers={"X-A": "1"})
    assert compared(site, redis_url) == "same"


def test_what_redis_has_no_more(world: World, redis_url: str) -> None:
    site = world.site(counting(), ROUTE)
    site.get("/a")
    site.get("/a")
    with redis.Redis.from_url(redis_url) as client:
        client.delete(*client.keys("regionware:e:*"))
    assert compared(site, redis_url) == "missing"


def test_what_another_worker_has_made_anew(world: World, redis_url: str) -> None:
    """A reload elsewhere is no purge: ours may be served to the end of its lifetime."""
    site = world.site(counting(), ROUTE)
    site.get("/a")
    site.get("/a")
    other = world.behind(world.regionware(ROUTE), site.app)
    assert other.get("/a", headers={"Cache-Control": "no-cache"}).body == b"2"
    assert compared(site, redis_url, bound=0.0) == "replaced"


def test_what_a_purge_has_ended_is_not_served_and_not_older(world: World, redis_url: str) -> None:
    site = world.site(counting(), ROUTE)
    site.get("/a")
    site.get("/a")
    other = world.behind(world.regionware(ROUTE), site.app)
    other.rw.purge(tags=["all"])
    fences = site.rw._parts.prepared.fences
    until(lambda: "htall" in fences._table)
    assert compared(site, redis_url, bound=0.0) != "older"
    assert "shadow:older" not in site.rw.counts()


def test_a_fence_that_is_not_heeded_is_noticed(
    world: World, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positive control: the fences of this process say that everything is good."""
    site = world.site(counting(), ROUTE)
    site.get("/a")
    site.get("/a")
    world.behind(world.regionware(ROUTE), site.app).rw.purge(tags=["all"])
    monkeypatch.setattr(Fences, "judge", lambda *_: Verdict.GOOD)
    assert compared(site, redis_url, bound=0.0) == "older"
    assert site.rw.counts()["shadow:older"] == 1


def test_a_purge_within_the_bound_is_not_counted(
    world: World, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = world.site(counting(), ROUTE)
    site.get("/a")
    site.get("/a")
    world.behind(world.regionware(ROUTE), site.app).rw.purge(tags=["all"])
    monkeypatch.setattr(Fences, "judge", lambda *_: Verdict.GOOD)
    assert compared(site, redis_url, bound=1000.0) == "same"


def test_it_goes_on_by_itself_and_ends(world: World) -> None:
    site = world.site(counting(), ROUTE, shadow=10.0)
    site.get("/a")
    site.get("/a")
    until(lambda: site.rw.counts().get("shadow:same", 0) >= 2)
    (chore,) = site.rw._parts.rim._chores
    thread = chore._thread
    assert thread is not None
    site.rw.close()
    assert not thread.is_alive()


def test_trouble_is_no_finding(world: World, redis_server: RedisServer, redis_url: str) -> None:
    site = world.site(counting(), ROUTE, shadow=10.0)
    site.get("/a")
    site.get("/a")
    with redis.Redis.from_url(redis_url) as client:
        client.delete("{regionware}:fences")
        client.set("{regionware}:fences", "not a hash")
    before = site.rw.counts()
    redis_server.kill()
    until(lambda: any(name.startswith("redis-down") for name in site.rw.counts()))
    found = {name for name in site.rw.counts() if name.startswith("shadow:")}
    assert found <= {name for name in before if name.startswith("shadow:")} | {"shadow:same"}
    (chore,) = site.rw._parts.rim._chores
    assert chore._thread is not None
    assert chore._thread.is_alive()


def test_a_tier_without_wanted_entries_is_left_alone(world: World, redis_url: str) -> None:
    site = world.site(counting(), ROUTE)
    assert isinstance(site.rw.memory, Memory)
    assert compared(site, redis_url) == ""
