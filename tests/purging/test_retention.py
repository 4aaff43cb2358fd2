"""Fences belong to a namespace: who keeps entries for less long does not forget them for all."""

from typing import Any

import pytest
import redis

from regionware.caching.scripts import PURGE, SNAPSHOT
from regionware.policies import Cache, Route
from tests.conformance.application import Application, counting
from tests.conformance.harness import until
from tests.purging.site import changed, purge, ready
from tests.regressions.rivals import GUARDED
from tests.rig import Rig

LONG = Route("/{path:path}", cache=Cache(ttl=10 * 86_400, tags=["x"]))
SHORT = Route("/{path:path}", cache=Cache(ttl=60, tags=["x"]))
OTHER = Route("/elsewhere", cache=Cache(ttl=60))


@pytest.mark.parametrize("purger", ["long", "short"])
@GUARDED
def test_another_release_does_not_undo_a_purge(
    rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch, purger: str, guarded: bool
) -> None:
    """Also where the one that keeps entries for longer has never purged anything."""
    if not guarded:
        own = changed(PURGE, "if ARGV[2] * 1 > longest then", "longest = 0\nif true then")
        for module in ("redis", "relaying"):
            monkeypatch.setattr(f"regionware.caching.{module}.PURGE", own)
    app = Application(counting())
    long = rig.worker(redis_url, LONG, release="b")
    short = rig.worker(redis_url, SHORT, release="a")
    for each in (long, short):
        ready(each)
    site = rig.site(long, app)
    old = site.get("/x").body
    until(lambda: again(site))
    # As if a day had passed: a microsecond later, the one needs no fence any more.
    short._parts.purger._retention = 1
    purge(rig, {"long": long, "short": short}[purger], tags=["x"])
    purge(rig, short, tags=["other"])
    later = rig.worker(redis_url, LONG, release="b")
    ready(later)
    assert (rig.site(later, app).get("/x").body != old) is guarded


def again(site: Any) -> bool:
    """Whether Redis answers when this process has forgotten everything."""
    site.rw.memory.clear()
    return bool(site.get("/x").cache_status.get("detail") == "redis")


@GUARDED
def test_a_worker_says_for_how_long_it_needs_fences(
    rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """The longest counts, in whatever order they come."""
    if not guarded:
        silent = changed(SNAPSHOT, "if ARGV[5] * 1 > longest then", "if false then")
        monkeypatch.setattr("regionware.caching.log.SNAPSHOT", silent)
    workers = [rig.worker(redis_url, route) for route in (SHORT, LONG, OTHER)]
    for each in workers:
        ready(each)
    assert LONG.cache is not None
    names = workers[0]._parts.rim.tier.names  # type: ignore[union-attr] # there is one
    with redis.Redis.from_url(redis_url) as client:
        said = client.hget(names.fences, "%")
    assert said == (b"%d" % (2 * LONG.cache.longest * 1_000_000) if guarded else None)


def test_what_nobody_needs_any_more_is_forgotten(rig: Rig, redis_url: str) -> None:
    """The longest is not for ever."""
    rw = rig.worker(redis_url, SHORT)
    ready(rw)
    names = rw._parts.rim.tier.names  # type: ignore[union-attr] # there is one
    purge(rig, rw, tags=["x"])
    with redis.Redis.from_url(redis_url) as client:
        assert client.hexists(names.fences, "htx")
        client.hset(names.fences, "%", "1")
        rw._parts.purger._retention = 1
        purge(rig, rw, tags=["other"])
        assert not client.hexists(names.fences, "htx")
