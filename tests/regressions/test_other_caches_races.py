"""Fills against purges, as other caches have lost them: the old answer comes back, and stays.

Each test is named after the cache and its issue; the docstring says what happened there.
"""

from itertools import count
from threading import Event, Lock, Thread
from typing import Any

import pytest

from regionware.caching.coherence import Fence, Fences
from regionware.caching.storing import from_frame
from regionware.effects import Lookup
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from tests.conformance.application import DEADLINE, Gate, Response, counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import Site, until
from tests.regressions.rivals import (
    GUARDED,
    REDIS,
    TAGGED,
    after,
    deafen,
    heard,
    in_redis,
    pair,
    purge,
    replaced,
    unfenced,
    unheard,
)

NAMES: dict[str, dict[str, Any]] = {
    "tag": {"tags": ["t"]},
    "url": {"urls": ["/x"]},
    "all": {"everything": True},
}
RELOAD = {"Cache-Control": "no-cache"}


@GUARDED
@pytest.mark.parametrize("by", NAMES)
@pytest.mark.parametrize("known", [False, True], ids=["cold", "known"])
def test_fusioncache_613_a_fetch_that_an_invalidation_overtakes(
    world: World, monkeypatch: pytest.MonkeyPatch, guarded: bool, by: str, known: bool
) -> None:
    """FusionCache #613 and #625: an invalidation during a load was lost, and the load was stored.

    Its repair compares times only while an older entry is in memory, hence both. The same race:
    dust #31576, utopia-php/cache #76, logto #9428, lakekeeper #1843, trino #22302, and Varnish,
    whose bans do "not prevent new content".
    """
    if not guarded:
        unfenced(monkeypatch)
    gate = Gate()
    answers = iter([*[text("older")] * known, Response([b"old"], hold=gate)])
    site = world.site(lambda _: next(answers, text("new")), TAGGED)
    if known:
        assert site.bodies["/x", "/x"] == [b"older", b"older"]
    filling = site.start("/x", headers=RELOAD if known else {})
    gate.reached()
    purge(site, **NAMES[by])
    gate.open()
    assert filling.result().body == b"old"
    kept = b"new" if guarded else b"old"
    assert site.bodies["/x", "/x"] == [kept, kept]
    if world.tier == "redis":
        site.rw.memory.clear()
        assert site.get("/x").body == kept


def test_hydracache_whoever_comes_after_a_purge_joins_no_older_load(world: World) -> None:
    """HydraCache wrote it down (ADR-0014): a load in flight may be older than its caller's purge.

    FusionCache, BentoCache and HybridCache give the answer of a load to whoever has joined it.
    """
    gate = Gate()
    answers = iter([Response([b"old"], hold=gate)])
    site = world.site(lambda _: next(answers, text("new")), TAGGED)
    leader = site.start("/x")
    gate.reached()
    early = site.start("/x")
    until(lambda: site.parked == 1)
    purge(site)
    late = site.start("/x")
    gate.open()
    assert leader.result().body == b"old"
    assert late.result().body == b"new"
    assert early.result().body in {b"old", b"new"}


@REDIS
@GUARDED
@pytest.mark.parametrize("when", ["before", "after"])
def test_cashews_a_read_that_races_an_invalidation(
    world: World, monkeypatch: pytest.MonkeyPatch, guarded: bool, when: str
) -> None:
    """In cashews 7.6 and async-hybrid-cache 0.5 memory kept what an invalidation had overtaken.

    It had been read from Redis before, and was put into memory after the invalidation had been
    handled there: in cashews without an end.
    """
    one, other = pair(world, counting())
    one.get("/x")
    in_redis(other, "/x")
    if not guarded:
        unfenced(monkeypatch)

    def meanwhile() -> None:
        purged = purge(one)
        if when == "before":
            heard(other, purged)

    after(other, Lookup, meanwhile)
    # Whoever has asked before the purge may be given what there was then.
    assert other.get("/x").body in {b"1", b"2"}
    heard(other, purge(one, tags=["another"]))  # so it has heard of the first as well
    assert (other.get("/x").body == b"1") is not guarded


@REDIS
@GUARDED
def test_cashews_two_writers_disagree(world: World, guarded: bool) -> None:
    """In cashews 7.6 two nodes that wrote one key disagreed for good, in half of all rounds.

    Each took the other's message for the echo of its own.
    """
    lock, versions, current = Lock(), count(1), [0]
    one, other = pair(world, lambda _: text(str(current[0])))
    for site in (one, other):
        site.get("/x")
    if not guarded:
        deafen(other)

    def write(site: Site) -> None:
        with lock:
            current[0] = next(versions)
        purge(site)
        site.get("/x")

    for _ in range(10):
        writers = [Thread(target=write, args=(site,)) for site in (one, other)[: 1 + guarded]]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        heard(one, purge(other if guarded else one, tags=["another"]))
        now = b"%d" % current[0]
        assert one.get("/x").body == now
        assert (other.get("/x").body == now) is guarded
    one.rw.memory.clear()
    assert one.get("/x").body == now


@REDIS
@GUARDED
def test_cashews_a_peers_word_soon_after_an_own_write(world: World, guarded: bool) -> None:
    """In cashews 7.6, for five seconds after an own write no invalidation of the key was heeded."""
    one, other = pair(world, counting())
    assert one.get("/x").body == b"1"
    if not guarded:
        deafen(one)
    purged = purge(other)
    if guarded:
        heard(one, purged)
    assert one.get("/x").body == (b"2" if guarded else b"1")


@REDIS
def test_bentocache_a_slow_writer_that_comes_last(world: World) -> None:
    """BentoCache, and any pub/sub beside a plain SET: the last to write wins, however old it is."""
    gate = Gate()
    answers = iter([Response([b"old"], hold=gate)])
    one, other = pair(world, lambda _: next(answers, text("new")))
    slow = one.start("/x")
    gate.reached()
    heard(one, purge(other))
    looked = Event()
    after(other, Lookup, looked.set)
    newer = other.start("/x")
    assert looked.wait(DEADLINE)
    gate.open()
    assert slow.result().body == b"old"
    assert newer.result().body == b"new"
    for site in (one, other):
        assert site.get("/x").body == b"new"
        site.rw.memory.clear()
        assert site.get("/x").body == b"new"


@REDIS
@GUARDED
def test_hybridcache_7771_a_purge_that_is_still_being_read(world: World, guarded: bool) -> None:
    """HybridCache #7771: what a tag had removed was served until its time had come from Redis.

    That was so in 97 % of all reads of a process that had just begun.
    """
    one, other = pair(world, counting())
    one.get("/x")
    in_redis(one, "/x")
    if guarded:
        unheard(other)
    else:
        deafen(other)
    purge(one)
    assert other.get("/x").body == (b"2" if guarded else b"1")


@REDIS
@GUARDED
def test_hybridcache_7411_a_tag_whose_time_was_read_once(world: World, guarded: bool) -> None:
    """HybridCache #7411: a process that had read the time of a tag never read it again."""
    one, other = pair(world, counting())
    for site in (one, other):
        assert site.get("/x").body == b"1"
    if not guarded:
        deafen(other)
    for number in (2, 3, 4):
        purged = purge(one)
        assert one.get("/x").body == b"%d" % number
        if guarded:
            heard(other, purged)
        assert other.get("/x").body == (b"%d" % number if guarded else b"1")


@REDIS
@GUARDED
def test_hybridcache_5824_memory_outlives_redis(
    world: World, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """HybridCache #5824: what memory took from Redis lived there for a whole lifetime once more.

    Repaired in #5987. In cashews, what memory has of Redis has no end at all.
    """
    if not guarded:
        replaced(monkeypatch, "from_frame", _reborn)
    one, other = pair(world, counting(), Route("/x", cache=Cache(ttl=60)))
    one.get("/x")
    in_redis(other, "/x")
    until(lambda: int(one.get("/x")["age"]) >= 2)
    if guarded:  # its own entry is a little older than what it has stored for the region
        until(lambda: _age_in_redis(other) >= 2)
    else:
        assert _age_in_redis(other) == 0
    hit = other.get("/x")
    assert hit.cache_status["detail"] == "memory"
    assert (int(hit.cache_status["ttl"]) <= 58) is guarded


def _age_in_redis(site: Site) -> int:
    """The age of what a worker takes from Redis, into its memory, now."""
    site.rw.memory.clear()
    return int(site.get("/x")["age"])


def _reborn(frame: Any, key: Any, **moment: Any) -> Any:
    """Forget that time has passed in Redis."""
    return from_frame(frame, key, **{**moment, "stamp": frame.created})


@REDIS
@GUARDED
def test_fusioncache_627_what_is_read_again_is_no_new_purge(
    world: World, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """FusionCache #627: a tag's mark that was loaded once more was told to all with a new time.

    What had been stored since was evicted everywhere.
    """
    one, other = pair(world, counting())
    one.get("/x")
    heard(other, purge(one))
    assert [one.get("/x").body, other.get("/x").body] == [b"2", b"2"]
    if not guarded:
        monkeypatch.setattr(Fences, "raise_to", _raise_anew)
    fences = other.rw._parts.prepared.fences
    version = fences.version
    redis_server.command("CLIENT KILL TYPE normal")
    until(lambda: fences.version > version)  # it has read all of them again
    assert (other.get("/x").body == b"2") is guarded
    assert (len(one.app.calls) == 2) is guarded


_raise_to = Fences.raise_to


def _raise_anew(self: Fences, fences: dict[str, Fence]) -> None:
    now = self.stamp + 1
    _raise_to(self, {name: Fence(now, fence.position) for name, fence in fences.items()})
