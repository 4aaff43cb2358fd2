"""Fences that a failover or an accident has lost bring nothing back."""

import pytest
import redis as redis_py

from regionware.caching.scripts import SNAPSHOT, Names
from regionware.parts.proxy import DelayProxy
from regionware.parts.redis import RedisServer
from tests.conformance.harness import until
from tests.purging.site import Item, again, changed, purge, tier, version, warm
from tests.rig import Rig

UNASKED = ("redis.pcall('INFO', 'server')", "nil")


def replicate(new: RedisServer, port: int) -> None:
    new.command(f"REPLICAOF 127.0.0.1 {port}")
    until(lambda: "master_link_status:up" in new.command("INFO replication"))


@pytest.mark.parametrize("checked", [True, False])
def test_a_purge_that_the_new_primary_has_not_heard_of(
    rig: Rig, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: nobody asks which server the fences are complete in."""
    if not checked:
        monkeypatch.setattr("regionware.caching.log.SNAPSHOT", changed(SNAPSHOT, *UNASKED))
    item = Item()
    with RedisServer() as old, RedisServer() as new, DelayProxy(old.port) as line:
        replicate(new, line.port)
        one = item.site(rig, old.url)
        warm(one)
        assert old.command("WAIT 1 10000") == "1"
        line.black_hole()
        item.version = 2
        assert purge(rig, one.rw).regions == ("here",)
        assert version(one) == 2
        old.kill()
        new.command("REPLICAOF NO ONE")
        late = item.site(rig, new.url)
        assert version(late) == (2 if checked else 1)
        for site in (one, late):
            rig.shut(site.rw)


def test_workers_that_live_through_a_failover(rig: Rig) -> None:
    """One address, as a service has it; what the workers know is older than the new epoch."""
    item = Item()
    with RedisServer() as old, RedisServer() as new, DelayProxy(old.port) as address:
        replicate(new, old.port)
        url = address.through(old.url)
        sites = [item.site(rig, url) for _ in range(2)]
        warm(*sites)
        before = [site.rw.backplane.epoch for site in sites if site.rw.backplane is not None]
        assert len(set(before)) == 1
        assert old.command("WAIT 1 10000") == "1"
        item.version = 2  # and a purge that is lost with its server, by somebody who is too
        new.command("REPLICAOF NO ONE")
        address.target_port = new.port
        address.cut()
        until(lambda: [site.rw.counts().get("epoch", 0) > 0 for site in sites] == [True, True])
        assert [version(site) for site in sites] == [2, 2]
        until(lambda: len({s.rw.backplane.epoch for s in sites if s.rw.backplane is not None}) == 1)
        for site in sites:
            until(lambda site=site: tier(site) == "memory")  # type: ignore[misc]
            rig.shut(site.rw)


@pytest.mark.parametrize("accident", ["FLUSHALL", "DEL {regionware}:fences"])
def test_an_accident_is_noticed_soon(
    rig: Rig, redis_server: RedisServer, redis_url: str, accident: str
) -> None:
    """By every worker that is there, without any purge after it."""
    item = Item()
    sites = [item.site(rig, redis_url) for _ in range(2)]
    warm(*sites)
    redis_server.command(accident)
    until(lambda: all(site.rw.counts().get("epoch", 0) > 0 for site in sites))
    item.version = 2
    until(lambda: [version(site) for site in sites] == [2, 2])


def test_a_restart_without_an_accident(rig: Rig, redis_server: RedisServer, redis_url: str) -> None:
    """The positive control: a connection that broke is no new epoch, and ends nothing."""
    item = Item()
    site = item.site(rig, redis_url)
    warm(site)
    for _ in range(3):
        redis_server.command("CLIENT KILL TYPE normal")
    item.version = 2
    until(lambda: again(site) == "redis")
    assert version(site) == 1
    assert "epoch" not in site.rw.counts()


@pytest.mark.parametrize("known", ["0", str(2**51)])
def test_the_new_epoch_is_later_than_all_that_anybody_knows(redis_url: str, known: str) -> None:
    """Also than what the second one knows who comes from the old server."""
    names = Names.of("regionware", "")
    keys = names.clock, names.fences, names.log, names.workers, names.wakes
    with redis_py.Redis.from_url(redis_url, protocol=2) as client:

        def snapshot(stamp: str, epoch: str) -> tuple[int, str]:
            stamped, _, pairs, _ = client.eval(
                SNAPSHOT.text, 5, *keys, stamp, epoch, "w", 60_000_000, 10**12
            )
            fences = dict(zip(pairs[::2], pairs[1::2], strict=True))
            assert int(fences[b"h*"][:16], 16) <= int(stamped, 16)
            return int(fences[b"h*"][:16], 16), fences[b"#"].decode()

        first, epoch = snapshot("0", "")
        client.hset(names.fences, "#", epoch[:17] + "0" * 40)
        elsewhere = epoch[:17] + "0" * 40
        second, epoch = snapshot(known, elsewhere)
        assert second > max(first, int(known))
        # Another comes from the old server: what it knows is older, or the epoch begins anew.
        assert snapshot(str(second - 1), elsewhere) == (second, epoch)
        third, again = snapshot(str(second + 10**9), elsewhere)
        assert third > second + 10**9
        # One who knows this server already knows stamps of this epoch.
        assert snapshot(str(third + 10**9), epoch) == (third, again)
