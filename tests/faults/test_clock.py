"""A server whose clock is behind takes over: what was to end ends all the same.

The order of fills and purges is kept by a stamp that stands still until such a clock has caught
up. What a lease, a lifetime or a silence lasts is measured by the clock itself.
"""

import time
from collections.abc import Callable

import pytest
import redis

from regionware.caching.awaiting import _SILENCE
from regionware.caching.keys import canonical, digest
from regionware.caching.scripts import LATE, LOOKUP, Script
from regionware.effects import Found, Hold, Lookup
from tests.conformance.application import Application, counting
from tests.conformance.harness import Site, until
from tests.faults.fleet import Fleet
from tests.purging.site import changed
from tests.regressions.rivals import GUARDED
from tests.rig import tier_of

HOUR = 3_600_000_000


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Time is what the stamp says, and stands still with it."""

    def switch() -> None:
        known = "if known >= now then now = known + 1 end\n"
        standing = changed(LOOKUP, known, f"{known}time = now\n")
        monkeypatch.setattr("regionware.caching.redis.LOOKUP", standing)

    return switch


def step_back(*sites: Site) -> int:
    """They have heard of a purge by a server whose clock is an hour ahead of today's; its stamp."""
    ahead = int(time.time() * 1_000_000) + HOUR
    for site in sites:
        fences = site.rw._parts.prepared.fences
        fences.told = fences.stamp = ahead
    return ahead


def from_redis(site: Site) -> bool:
    """Whether Redis answers when this process has forgotten everything."""
    site.rw.memory.clear()
    return site.get("/x").cache_status.get("detail") == "redis"


def look(site: Site, token: str, stamp: int) -> Found:
    """Ask for the lease of what was stored before a purge that is known."""
    name = digest(canonical(("http", "site.test", "/x", "")))
    floor = stamp + 5
    return tier_of(site.rw).lookup(
        Lookup(name, None, floor, "", stamp + 10, token, gone=floor, waits=True)
    )


@GUARDED
def test_the_lease_of_a_dead_holder_ends(
    fleet: Fleet, unmeasured: Callable[[], None], guarded: bool
) -> None:
    if not guarded:
        unmeasured()
    (site,) = fleet(Application(counting()), 1, life=1.0)
    until(lambda: from_redis(site))
    ahead = step_back(site)
    assert look(site, "dead", ahead).lease == "dead"
    assert look(site, "next", ahead).verdict == "held"
    if guarded:
        until(lambda: look(site, "next", ahead).lease == "next")
    else:
        time.sleep(1.5)
        assert look(site, "next", ahead).verdict == "held"


def test_the_lease_of_a_live_holder_is_renewed(fleet: Fleet) -> None:
    (site,) = fleet(Application(counting()), 1, life=30.0)
    until(lambda: from_redis(site))
    ahead = step_back(site)
    assert look(site, "live", ahead).lease == "live"
    before = look(site, "next", ahead).left
    time.sleep(0.3)
    name = digest(canonical(("http", "site.test", "/x", "")))
    assert tier_of(site.rw).renew([Hold(name, "live", "")])
    after = look(site, "next", ahead)
    assert after.verdict == "held"
    assert before - 0.3 < after.left <= 30.0


@GUARDED
def test_what_was_stored_before_keeps_its_age(
    fleet: Fleet, unmeasured: Callable[[], None], guarded: bool
) -> None:
    """By the stamp it would be an hour older, and over."""
    (site,) = fleet(Application(counting()), 1, ttl=1800)
    until(lambda: from_redis(site))
    if not guarded:
        unmeasured()
    step_back(site)
    site.rw.memory.clear()
    assert (site.get("/x").cache_status.get("detail") == "redis") is guarded


@GUARDED
def test_a_purge_reaches_what_was_begun_before_it(fleet: Fleet, guarded: bool) -> None:
    """Time goes on, and the order of fills and purges does not go with it."""
    one, other = fleet(Application(counting()), 2, ttl=300, tags=["t"])
    until(lambda: from_redis(one))
    step_back(one)
    known = one.get("/x").body
    time.sleep(0.1)
    # Another worker purges, which has not heard of the old clock.
    if guarded:
        stamp = other.rw.purge(tags=["t"]).stamp
        until(lambda: one.rw._parts.prepared.fences.told >= stamp)
        until(lambda: "htt" in one.rw._parts.prepared.fences)
    one.rw.memory.clear()
    assert (one.get("/x").body != known) is guarded


@GUARDED
def test_a_silent_worker_is_not_waited_for(redis_url: str, guarded: bool) -> None:
    """One that was heard of last by a clock that has gone back, and has died."""
    script: Script = LATE if guarded else changed(LATE, "if heard > now then", "if false then")
    silence = 200_000
    assert silence < _SILENCE
    with redis.Redis.from_url(redis_url) as client:
        heard = int(time.time() * 1_000_000) + HOUR
        client.hset("workers", "dead", f"{5:016x}{heard:016x}")
        client.hset("fences", "#", f"{1:016x}:server")
        words = "workers", "fences", f"{9:016x}", silence, f"{1:016x}", "forgotten"

        def late() -> list[bytes]:
            found: list[bytes] = client.eval(script.text, 2, *words)
            return found

        assert late() == [b"dead"]  # it may still trust its memory
        if guarded:
            until(lambda: not late())
        else:
            time.sleep(0.5)
            assert late() == [b"dead"]
