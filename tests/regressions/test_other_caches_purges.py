"""Purges that other caches undo: by their fail-safe, by a 304, by a clock, by a trimmed log.

Each test is named after the cache and its issue; the docstring says what happened there.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from regionware.caching.coherence import Fence, Fences
from regionware.effects import Lookup
from regionware.parts.proxy import DelayProxy
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Gate, Response, Seen, counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import until
from tests.regressions.rivals import (
    GUARDED,
    REDIS,
    TAGGED,
    altered,
    commands,
    deafen,
    detail,
    direct,
    heard,
    in_redis,
    pair,
    purge,
    unfenced,
)
from tests.rig import Rig

LENIENT = Route("/{path:path}", cache=Cache(ttl=1, stale_if_error=600, tags=["t"]))
LONG = Route("/{path:path}", cache=Cache(ttl=600, stale_if_error=600, tags=["t"]))
ONLY_STORED = {"Cache-Control": "only-if-cached"}
RELOAD = {"Cache-Control": "no-cache"}
QUARTER = 900_000_000  # of an hour, in microseconds


class BrokenError(Exception):
    """What the application fails with."""


class Failing:
    """Numbers its answers, until it fails."""

    def __init__(self) -> None:
        self.fails = False
        self._answer = counting()

    def __call__(self, seen: Seen) -> Response:
        if self.fails:
            raise BrokenError
        return self._answer(seen)


@GUARDED
@pytest.mark.parametrize("names", [{"everything": True}, {"tags": ["t"]}], ids=["all", "tag"])
def test_fusioncache_648_what_was_cleared_is_no_fail_safe(
    world: World, monkeypatch: pytest.MonkeyPatch, guarded: bool, names: dict[str, Any]
) -> None:
    """FusionCache #648: after a hard clear the fail-safe served what had expired in Redis."""
    handler = Failing()
    site = world.site(handler, LENIENT)
    site.get("/x")
    if world.tier == "redis":
        in_redis(site, "/x")
    handler.fails = True
    until(lambda: detail(site, "/x") == "stale-if-error")
    if not guarded:
        unfenced(monkeypatch)
    purge(site, **names)
    if guarded:
        for _ in range(2):
            with pytest.raises(BrokenError):
                site.get("/x")
            site.rw.memory.clear()
    else:
        assert detail(site, "/x") == "stale-if-error"


@REDIS
@pytest.mark.parametrize("ask", [{"headers": ONLY_STORED}, {"method": "HEAD"}], ids=str)
def test_fusioncache_553_a_look_takes_no_fail_safe_away(
    world: World, ask: Mapping[str, Any]
) -> None:
    """FusionCache #553: a read that cannot load removed what a tag had made stale from Redis.

    The other nodes then had nothing to fall back to.
    """
    handler = Failing()
    one, other = pair(world, handler, LONG)
    one.get("/x")
    in_redis(one, "/x")
    heard(other, purge(one, tags=["t"], soft=True))
    handler.fails = True
    with suppress(BrokenError):
        other.get("/x", **ask)
    for site in (one, other):
        site.rw.memory.clear()
        assert site.get("/x").body == b"1"


@GUARDED
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_fusioncache_638_not_modified_revives_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, guarded: bool, when: str
) -> None:
    """FusionCache #638: "not modified" gave a new life to what its tag had removed."""
    gate = Gate()

    def handler(seen: Seen) -> Response:
        if "if-none-match" in seen.headers:
            return Response((), 304, [("ETag", '"1"')], gate if when == "meanwhile" else None)
        return text("1" if len(site.app.calls) == 1 else "2", etag=f'"{len(site.app.calls)}"')

    site = world.site(handler, TAGGED)
    assert site.bodies["/x", "/x"] == [b"1", b"1"]
    if not guarded:
        unfenced(monkeypatch)
    if when == "before":
        purge(site)
        assert site.get("/x", headers=RELOAD).body == (b"2" if guarded else b"1")
    else:
        reload = site.start("/x", headers=RELOAD)
        gate.reached()
        purge(site)
        gate.open()
        assert reload.result().body == b"1"
    assert site.get("/x").body == (b"2" if guarded else b"1")


@REDIS
@GUARDED
def test_fusioncache_319_a_node_whose_clock_is_behind(
    world: World, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """FusionCache #319: a node whose clock was 15 minutes behind could remove nothing."""
    handler = counting()
    one = world.site(handler, TAGGED)
    behind = world.regionware(TAGGED, wall=lambda: time.time() - QUARTER / 1e6)
    other = world.behind(behind, one.app)
    if not guarded:
        real = Fences._raise

        def late(self: Fences, fences: Mapping[str, Fence], *, told: int) -> None:
            real(self, _earlier(fences), told=told)

        monkeypatch.setattr(Fences, "_raise", late)
    number = 1
    for purger in (other, one, other):
        for site in (one, other):
            assert site.get("/x").body == b"%d" % number
            assert site.get("/x").hit
        number += guarded
        purged = purge(purger)
        if guarded:
            heard(one, purged)
            heard(other, purged)


def _earlier(fences: Mapping[str, Fence]) -> dict[str, Fence]:
    return {n: Fence(max(f.stamp - QUARTER, 0), f.position) for n, f in fences.items()}


@REDIS
@GUARDED
def test_dialcache_redis_time_goes_back(
    world: World, redis_server: RedisServer, guarded: bool
) -> None:
    """DialCache warns of it: after a failover Redis's TIME may be behind its own last marks.

    What is made then would count as older than the purge before it, for as long. It is kept by
    whoever made it, and not in Redis, where the next purge may be stamped earlier.
    """
    one, other = pair(world, counting())
    one.get("/x")
    redis_server.command(f"SET {{regionware}}:clock {int((time.time() + 3600) * 1e6)}")
    heard(other, purge(one))
    if not guarded:
        altered(one, Lookup, _without_stamp)
    second = one.get("/x").body
    assert second == b"2"
    assert one.get("/x").hit is guarded
    if guarded:
        third = other.get("/x").body
        assert third == b"3"
        assert other.get("/x").hit
        heard(other, purge(one))
        assert other.get("/x").body not in {second, third}


def _without_stamp(ask: Lookup) -> Lookup:
    ask.stamp = 0
    return ask


@REDIS
def test_dialcache_evicted_marks(world: World, redis_server: RedisServer) -> None:
    """DialCache warns of it: with the marks that Redis evicts, what they removed comes back."""
    one, _ = pair(world, counting())
    old = one.get("/x").body
    in_redis(one, "/x")
    purge(one)
    with direct(redis_server) as client:
        client.delete("{regionware}:fences", "{regionware}:ages", "{regionware}:clock")
    late = world.behind(world.regionware(TAGGED), one.app)
    assert late.get("/x").body != old


# What a listener misses


@GUARDED
@pytest.mark.parametrize("trimmed", [False, True], ids=["kept", "trimmed"])
def test_redis_py_a_listener_that_was_away(
    rig: Rig, redis_server: RedisServer, redis_url: str, guarded: bool, trimmed: bool
) -> None:
    """redis-py's PubSub connects again and says nothing: what was told meanwhile is lost, unseen.

    FusionCache's auto-recovery repairs what could not be sent, not what was not heard. HydraCache's
    listeners know when they `FellBehind`: here the log is trimmed as well.
    """
    app = Application(counting())
    with DelayProxy(redis_server.port) as line:
        one, other = (
            rig.site(rig.worker(url, TAGGED), app) for url in (redis_url, line.through(redis_url))
        )
        for site in (one, other):
            site.rw.start()
            until(lambda site=site: detail(site, "/x") == "memory")  # type: ignore[misc] # bound now
        old = other.get("/x").body
        if not guarded:
            deafen(other)
        line.refuse()
        purge(one)
        if trimmed:
            with direct(redis_server) as client:
                client.xtrim("{regionware}:log", maxlen=0, approximate=False)
        assert other.get("/x").body == old or guarded
        line.heal()
        if guarded:
            until(lambda: other.get("/x").body != old, other.rw.staleness_bound + 15)
        else:
            assert other.get("/x").body == old
        rig.shut(other.rw)


def test_redisson_4653_deaf_after_a_failover(rig: Rig) -> None:
    """Redisson #4653, #5194, #4034, #5208: after a failover of Redis nothing was heard any more."""
    app = Application(counting())
    with RedisServer() as server:
        one, other = (rig.site(rig.worker(server.url, TAGGED), app) for _ in range(2))
        for site in (one, other):
            until(lambda site=site: detail(site, "/x") == "memory")  # type: ignore[misc] # bound now
        server.kill()
        server.start()
        for site in (one, other):
            until(lambda site=site: detail(site, "/x") == "redis" or _forgotten(site))  # type: ignore[misc] # bound now
        for _ in range(2):
            until(lambda: one.get("/x").body == other.get("/x").body)
            old = other.get("/x").body
            purge(one)
            until(lambda old=old: other.get("/x").body != old)  # type: ignore[misc] # bound now
        for site in (one, other):
            rig.shut(site.rw)


def _forgotten(site: Any) -> bool:
    site.rw.memory.clear()
    return False


@REDIS
def test_fusioncache_611_a_purge_is_no_storm(world: World, redis_server: RedisServer) -> None:
    """FusionCache #442, #611: whoever heard of a change read it from Redis at once.

    Every node did, wanted or not, and Redis timed out under it.
    """
    keys, sites = 40, pair(world, counting())
    for site in sites:
        for number in range(keys):
            site.get(f"/{number}")
    before = commands(redis_server, "hmget")
    assert before >= 2 * keys  # each look-up is one
    purged = purge(sites[0])
    for site in sites:
        heard(site, purged)
    time.sleep(0.2)
    assert commands(redis_server, "hmget") - before < keys / 4
