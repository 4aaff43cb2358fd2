"""Many requests for one thing, as other caches have let them through, or left them standing.

Each test is named after the cache and its issue; the docstring says what happened there.
"""

import multiprocessing
import time
from typing import Any

import pytest

from regionware import Region, Regionware, Topology
from regionware.policies import Cache, Route
from tests.conformance.application import DEADLINE, Application, Gate, Response, Seen, text
from tests.conformance.conftest import World
from tests.conformance.harness import Ask, Site, _environ, until
from tests.regressions.rivals import (
    GUARDED,
    MEMORY,
    REDIS,
    TAGGED,
    direct,
    entry_key,
    pair,
    patient,
    purge,
    replaced,
    uncollapsed,
)
from tests.rig import Rig

MANY = 20
LAZY = Route("/{path:path}", cache=Cache(ttl=1, stale_while_revalidate=600))


def waiting(gate: Gate, *sites: Site) -> int:
    """How many requests stand at a gate, or wait for one that does."""
    return gate.waiting + sum(site.parked for site in sites)


@REDIS
@GUARDED
def test_hybridcache_6759_no_more_than_one_call_of_each_process(
    world: World, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """HybridCache #6759, aiocache, fastapi-cache2 #203: a cold key is made by whoever asks.

    fastapi-cache2, Flask-Caching and Django collapse nothing. aiocache's waiters wait for an event
    of their own process, so those of another go on at once; cachebox #61 ran its function twice.
    """
    if not guarded:
        uncollapsed(monkeypatch)
    gate = Gate()
    one, other = pair(world, lambda _: Response([b"made"], hold=gate))
    calls = [site.start("/x") for site in (one, other) for _ in range(MANY)]
    leading = 2 if guarded else 2 * MANY
    until(lambda: one.parked + other.parked == 2 * MANY - leading)
    if not guarded:
        until(lambda: gate.waiting == leading)
    gate.open()
    assert {call.result().body for call in calls} == {b"made"}
    assert (len(one.app.calls) <= 2) is guarded


@GUARDED
def test_fusioncache_574_a_hot_key_that_is_purged(
    world: World, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """FusionCache #574, #575: the removal of what everybody reads sends everybody to the origin."""
    gate = Gate()
    answers = iter([text("old")])
    site = world.site(lambda _: next(answers, Response([b"new"], hold=gate)), TAGGED)
    assert site.bodies["/x", "/x"] == [b"old", b"old"]
    if not guarded:
        uncollapsed(monkeypatch)
    purge(site)
    calls = [site.start("/x") for _ in range(MANY)]
    until(lambda: waiting(gate, site) == MANY)
    gate.open()
    assert {call.result().body for call in calls} == {b"new"}
    assert len(site.app.calls) == 1 + (1 if guarded else MANY)


@REDIS
@GUARDED
def test_bentocache_one_node_refreshes(world: World, guarded: bool) -> None:
    """BentoCache and FusionCache (before its distributed locks): each node refreshes what is stale.

    The control has two regions' worth of leases.
    """
    gate = Gate()
    answers = iter([text("1"), text("1")][guarded:])

    def handler(_: Seen) -> Response:
        return next(answers, Response([b"2"], hold=gate))

    names = ["blue", "blue" if guarded else "green"]
    one = world.site(handler, LAZY, namespace=names[0])
    other = world.behind(world.regionware(LAZY, namespace=names[1]), one.app)
    for site in (one, other):
        assert site.get("/x").body == b"1"
    for site in (one, other):
        until(lambda site=site: _is_stale(site))  # type: ignore[misc] # bound now
    expected = 1 if guarded else 2
    until(lambda: gate.waiting == expected)
    for _ in range(MANY):
        assert [site.get("/x").body for site in (one, other)] == [b"1", b"1"]
    time.sleep(0.1)
    assert gate.waiting == expected
    gate.open()


def _is_stale(site: Site) -> bool:
    return site.get("/x").cache_status.get("detail") == "stale-while-revalidate"


@MEMORY
def test_symfony_nobody_is_sent_away_for_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symfony's HttpCache answers 503 to whoever has waited for five seconds.

    FusionCache's locks (#608) have no end of their own.
    """
    replaced(monkeypatch, "PATIENCE", 0.2)
    gate = Gate()
    answers = iter([Response([b"slow"], hold=gate)])
    site = world.site(lambda _: next(answers, text("quick")))
    leader = site.start("/x")
    gate.reached()
    followers = [site.start("/x") for _ in range(5)]
    assert [(each.result().status, each.result().body) for each in followers] == [
        (200, b"quick")
    ] * 5
    gate.open()
    assert leader.result().body == b"slow"


def test_dogpile_the_holder_of_the_lock_dies(rig: Rig, redis_url: str, redis_server: Any) -> None:
    """dogpile.cache's lock in Redis has no end by default: its holder dies, and all wait."""
    spawn = multiprocessing.get_context("spawn")
    standing = spawn.Event()
    holder = spawn.Process(target=_stand, args=(redis_url, standing), daemon=True)
    holder.start()
    try:
        assert standing.wait(60)
    finally:
        holder.kill()
        holder.join()
    with direct(redis_server) as client:
        assert client.hlen(entry_key(redis_server)) > 0  # its lease
    app = Application(lambda _: text("answered"))
    site = rig.site(patient(rig.worker(redis_url, TAGGED)), app)
    calls = [site.start("/x") for _ in range(5)]
    assert {call.result().body for call in calls} == {b"answered"}
    until(lambda: site.get("/x").hit)


def _stand(url: str, standing: Any) -> None:
    """Take the lease of a key, and do nothing more."""

    def app(_: Any, __: Any) -> list[bytes]:
        standing.set()
        time.sleep(10 * DEADLINE)
        return []

    here = Region("here", primary=True, redis=url)
    rw = Regionware(topology=Topology(here="here", regions=[here]), routes=[TAGGED])
    list(patient(rw).wsgi(app)(_environ(Ask("/x")), lambda *_: lambda _: None))
