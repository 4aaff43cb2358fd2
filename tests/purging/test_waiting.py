"""`wait="workers"`: all who may still trust their memory have applied the purge."""

import pytest

from regionware import ConfigurationError, PurgeError, Region, Regionware, Topology
from regionware.caching import awaiting
from regionware.caching.coherence import BOUND
from regionware.caching.scripts import LATE
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour, until
from tests.faults.test_purge import purge as purge_by
from tests.faults.test_purge import warm as warm_up
from tests.faults.workers import ITEMS, workers
from tests.purging.site import TAG, Item, changed, purge, version, warm
from tests.rig import Rig

ITEM_0 = "item:0"


def names(redis_server: RedisServer) -> int:
    """How many workers Redis knows."""
    return int(redis_server.command("HLEN {regionware}:workers"))


def test_workers_have_it_when_it_returns(rig: Rig, redis_url: str) -> None:
    item = Item()
    sites = [item.site(rig, redis_url) for _ in range(3)]
    warm(*sites)
    for number in range(2, 22):
        item.version = number
        purged = purge(rig, sites[0].rw, wait="workers")
        assert purged.regions == ("here",)
        assert [version(site) for site in sites] == [number] * 3


def test_a_frozen_worker(rig: Rig, redis_url: str) -> None:
    """It is named; once it cannot trust its memory any more, nobody waits for it."""
    with workers(rig.flavour, ("here", {"here": redis_url})) as origin:
        (frozen,) = origin.workers
        warm_up(frozen)
        purger = Item().site(rig, redis_url).rw
        purge(rig, purger, wait="workers")
        new = origin.change(0)
        frozen.freeze()
        with pytest.raises(PurgeError, match=str(frozen.pid)) as caught:
            purge(rig, purger, tags=[ITEM_0], wait="workers", timeout=0.5)
        assert list(caught.value.queued) == ["here"]
        assert "applied" in caught.value.queued["here"]
        assert purge(rig, purger, tags=[ITEM_0], wait="workers", timeout=60.0).regions == ("here",)
        frozen.thaw()
        assert frozen.version(0) == new


def test_a_frozen_worker_that_nobody_waits_for(
    rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: it has not applied the purge, and would trust its memory."""
    monkeypatch.setattr(awaiting, "_SILENCE", 0)
    with workers(rig.flavour, ("here", {"here": redis_url})) as origin:
        (frozen,) = origin.workers
        warm_up(frozen)
        purger = Item().site(rig, redis_url).rw
        frozen.do("trust_for_ever")
        old = origin.change(0) - 1
        frozen.freeze()
        purge(rig, purger, tags=[ITEM_0], wait="workers")
        frozen.thaw()
        assert frozen.version(0) == old


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_workers_that_have_ended(
    rig: Rig, redis_server: RedisServer, redis_url: str, how: str
) -> None:
    """One that was killed is waited for while it might live; one that has said farewell is not."""
    with workers(rig.flavour, *[("here", {"here": redis_url})] * 2) as origin:
        warm_up(*origin.workers)
        purger = Item().site(rig, redis_url).rw
        until(lambda: names(redis_server) == 3)
        purge(rig, purger, wait="workers")  # from here on Redis knows who is there
        for worker in origin.workers:
            getattr(worker, how)()
        if how == "stop":
            assert names(redis_server) == 1
        else:
            with pytest.raises(PurgeError, match="by: ") as caught:
                purge(rig, purger, wait="workers", timeout=0.5)
            assert "2 of its workers" in caught.value.queued["here"]
        purge(rig, purger, wait="workers", timeout=60.0 if how == "kill" else BOUND - 1)


@pytest.mark.parametrize("guarded", [True, False])
def test_a_redis_that_has_forgotten_who_is_there(
    rig: Rig, redis_server: RedisServer, redis_url: str, monkeypatch: pytest.MonkeyPatch,
    guarded: bool,
) -> None:  # fmt: skip
    """Nobody is known, and yet there is a worker that trusts its memory for a while."""
    if not guarded:
        asked = "if not epoch or string.sub(epoch, 1, 16) > ARGV[3] then"
        monkeypatch.setattr(awaiting, "LATE", changed(LATE, asked, "if false then"))
    with workers(rig.flavour, ("here", {"here": redis_url})) as origin:
        (frozen,) = origin.workers
        warm_up(frozen)
        purger = Item().site(rig, redis_url).rw
        until(lambda: names(redis_server) == 2)
        new = origin.change(0)
        frozen.freeze()
        redis_server.flush()
        if guarded:
            with pytest.raises(PurgeError, match="forgotten") as caught:
                purge(rig, purger, tags=[ITEM_0], wait="workers", timeout=0.5)
            assert "applied" in caught.value.queued["here"]
            purge(rig, purger, tags=[ITEM_0], wait="workers", timeout=60.0)
        else:
            purge(rig, purger, tags=[ITEM_0], wait="workers", timeout=0.5)
        frozen.thaw()
        if guarded:
            assert frozen.version(0) == new


def test_those_who_are_long_dead_are_forgotten(
    rig: Rig, redis_server: RedisServer, redis_url: str
) -> None:
    for number in range(20):
        redis_server.command(f"HSET {{regionware}}:workers dead{number} {'0' * 32}")
    Item().site(rig, redis_url)
    assert names(redis_server) == 1


def test_a_worker_of_its_own(rig: Rig) -> None:
    """Without a Redis there is nobody else."""
    rw = rig.worker(Topology(here="here", regions=[Region("here", primary=True)]))
    assert purge(rig, rw, wait="workers").regions == ("here",)


@pytest.mark.parametrize("wait", ["", "worker", "everybody", None])
def test_nobody_waits_for_something_else(rig: Rig, wait: str) -> None:
    rw = rig.worker(Topology(here="here", regions=[Region("here", primary=True)]))
    with pytest.raises(ConfigurationError, match="wait"):
        purge(rig, rw, wait=wait)


def test_a_redis_that_goes_while_somebody_waits(
    rig: Rig, redis_server: RedisServer, redis_url: str
) -> None:
    """The purge is applied there, and that is what is said."""
    with workers(rig.flavour, ("here", {"here": redis_url})) as origin:
        (frozen,) = origin.workers
        warm_up(frozen)
        purger = Item().site(rig, redis_url).rw
        frozen.freeze()
        rig.loop.loop.call_soon_threadsafe(rig.loop.loop.call_later, 0.5, redis_server.pause)
        with pytest.raises(PurgeError) as caught:
            purge(rig, purger, tags=[TAG], wait="workers", timeout=1.5)
        assert "applied" in caught.value.queued["here"]
        redis_server.resume()


@pytest.mark.timeout(180)
def test_under_load_nobody_who_was_waited_for_is_late(flavour: Flavour, redis_url: str) -> None:
    """What a worker answers after the purge is acknowledged is what was changed before."""
    with workers(flavour, *[("here", {"here": redis_url})] * 3) as origin:
        one, *others = origin.workers
        warm_up(*origin.workers)
        for number in range(40):
            item = number % ITEMS
            new = origin.change(item)
            assert purge_by(one, item, "workers") == {"here"}
            assert [worker.version(item) for worker in others] == [new, new]


def test_how_well_a_process_hears(rig: Rig, redis_url: str) -> None:
    rw: Regionware = rig.worker(redis_url)
    before = rw.backplane
    assert before is not None
    assert (before.synced, before.heard, before.epoch) == (False, float("inf"), "")
    site = Item().site(rig, redis_url)
    until(lambda: site.rw.backplane is not None and site.rw.backplane.synced)
    other = Item().site(rig, redis_url)
    purge(rig, other.rw)
    until(lambda: site.rw.counts().get("backplane-lag", 0) > 0)
    now = site.rw.backplane
    assert now is not None
    assert now.lag >= 0
    assert now.heard <= BOUND
    alone = rig.worker(Topology(here="here", regions=[Region("here", primary=True)]))
    assert alone.backplane is None
