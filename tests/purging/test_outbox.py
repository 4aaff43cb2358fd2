"""An acknowledged purge reaches the other regions, whatever becomes of who has made it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis as redis_py

from regionware import PurgeError, Region, Regionware, Topology
from regionware.caching import relaying, unconfirmed
from regionware.caching.coherence import EVERYTHING, mark
from regionware.caching.purging import Order
from regionware.caching.scripts import Names
from regionware.database.position import Position
from regionware.parts.proxy import DelayProxy
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour, until
from tests.faults.test_purge import far_line, purge, regions, warm
from tests.faults.workers import Origin, workers
from tests.purging.site import Item, ready, version
from tests.purging.site import purge as purge_by
from tests.rig import Rig

NAMES = Names.of("regionware", "")


@contextmanager
def two_regions(flavour: Flavour, near: str, far: str) -> Iterator[tuple[Origin, DelayProxy]]:
    """Two workers here, one there, and the line from here to there."""
    with far_line(far) as line:
        here, there = regions(line, near, far)
        with workers(flavour, here, here, there) as origin:
            warm(*origin.workers)
            yield origin, line


def test_a_purge_outlives_who_made_it(
    flavour: Flavour, redis_url: str, second_redis_url: str
) -> None:
    """It was killed directly after the acknowledgement, and the other region was away."""
    with two_regions(flavour, redis_url, second_redis_url) as (origin, line):
        one, _, there = origin.workers
        line.refuse()
        new = origin.change(0)
        assert purge(one, 0) == {"here"}
        one.kill()
        assert there.version(0) == new - 1
        line.heal()
        until(lambda: there.version(0) == new)


def test_a_purge_that_dies_with_who_made_it(
    flavour: Flavour, redis_url: str, second_redis_url: str
) -> None:
    """The positive control: without an outbox."""
    with two_regions(flavour, redis_url, second_redis_url) as (origin, line):
        one, other, there = origin.workers
        one.do("keep_purges_to_itself")
        line.refuse()
        new = origin.change(0)
        assert purge(one, 0) == {"here"}
        one.kill()
        line.heal()
        assert purge(other, 1, "all") == {"here", "there"}
        assert there.version(0) == new - 1


def holder(url: str) -> bytes | None:
    """Who has the right to relay."""
    with redis_py.Redis.from_url(url, protocol=2) as client:
        held: bytes | None = client.get(f"{NAMES.relayed}:there")
        return held


def test_who_relays_is_killed(flavour: Flavour, redis_url: str, second_redis_url: str) -> None:
    """Another takes over, once its right has run out."""
    with two_regions(flavour, redis_url, second_redis_url) as (origin, _):
        one, other, there = origin.workers
        until(lambda: holder(redis_url))
        for worker in (one, other):
            worker.do("relays")
        first = one if one.do("relays") == holder(redis_url) else other
        rest = other if first is one else one
        first.kill()
        new = origin.change(0)
        assert purge(rest, 0) == {"here"}
        until(lambda: there.version(0) == new)
        until(lambda: holder(redis_url) == rest.do("relays"))


def test_who_relays_says_farewell(rig: Rig, redis_url: str, second_redis_url: str) -> None:
    """Nobody waits for its right to run out."""
    topology = near_and_far(redis_url, second_redis_url)
    one, other = (rig.worker(topology) for _ in range(2))
    ready(one)
    until(lambda: holder(redis_url))
    ready(other)
    rig.shut(one)
    assert holder(redis_url) != one._parts.rim.outboxes[0]._token.encode()
    assert purge_by(rig, other, wait="all").regions == ("here", "there")


def near_and_far(near: str, far: str) -> Topology:
    places = [Region("here", primary=True, redis=near), Region("there", redis=far)]
    return Topology(here="here", regions=places)


def fences(url: str) -> dict[bytes, bytes]:
    """What has been purged in a region."""
    with redis_py.Redis.from_url(url, protocol=2) as client:
        found: dict[bytes, bytes] = client.hgetall(NAMES.fences)
        return found


def test_a_purge_goes_no_further(rig: Rig, redis_url: str, second_redis_url: str) -> None:
    """Each region relays what it was told by its own; nothing comes back."""
    near = Topology(
        here="here",
        regions=[
            Region("here", primary=True, redis=redis_url), Region("there", redis=second_redis_url),
        ],
    )  # fmt: skip
    far = Topology(here="there", regions=near.regions)
    one, other = (rig.worker(topology, namespace="alone") for topology in (near, far))
    for rw in (one, other):
        ready(rw)
    names = Names.of("alone", "")
    for number in range(5):
        purge_by(rig, one, tags=[f"one{number}"], wait="all")
        purge_by(rig, other, tags=[f"other{number}"], wait="all")
    time.sleep(0.5)
    for rw in (one, other):
        counts = rw.counts()
        assert sum(n for name, n in counts.items() if name.startswith("relayed:")) == 5
    for url in (redis_url, second_redis_url):
        with redis_py.Redis.from_url(url, protocol=2) as client:
            assert client.xlen(names.log) == 11  # the first began the history
            assert client.xlen(names.outbox) == 0


def test_a_purge_keeps_its_position(rig: Rig, redis_url: str, second_redis_url: str) -> None:
    rw = rig.worker(near_and_far(redis_url, second_redis_url))
    after = Position(3, 0x1234)
    purge_by(rig, rw, tags=["with"], after=after, wait="all")
    purge_by(rig, rw, tags=["without"], wait="all")
    for url in (redis_url, second_redis_url):
        assert fences(url)[b"htwith"][16:] == after.hex.encode()
        assert fences(url)[b"htwithout"][16:] == b"0" * 24


def test_an_outbox_that_has_lost_purges(
    rig: Rig, redis_server: RedisServer, redis_url: str, second_redis_url: str
) -> None:
    """Nobody knows what they were: everything is purged there."""
    with far_line(second_redis_url) as line:
        rw = rig.worker(near_and_far(redis_url, line.through(second_redis_url)))
        purge_by(rig, rw, tags=["first"], wait="all")
        before = fences(second_redis_url).get(b"h*", b"")
        line.refuse()
        purge_by(rig, rw, tags=["lost"])
        redis_server.command(f"DEL {NAMES.outbox}")
        purge_by(rig, rw, tags=["second"])
        line.heal()
        until(lambda: b"htsecond" in fences(second_redis_url))
        assert fences(second_redis_url)[b"h*"] > before
        assert b"htlost" not in fences(second_redis_url)
        assert rw.counts()["gap:there"] >= 1


@pytest.mark.parametrize(
    "garbage", ["ht\\xff 0", "htx nothing", "htx 000000010000000000001234 < soon"]
)
def test_an_outbox_that_cannot_be_read(
    rig: Rig, redis_server: RedisServer, redis_url: str, second_redis_url: str, garbage: str
) -> None:
    """It is in nobody's way: everything is purged there, and what comes later is relayed."""
    rw = rig.worker(near_and_far(redis_url, second_redis_url))
    purge_by(rig, rw, tags=["first"], wait="all")
    before = fences(second_redis_url).get(b"h*", b"")
    words = garbage.split()
    with redis_py.Redis.from_url(redis_url, protocol=2) as client:
        pairs = {
            a.encode().decode("unicode_escape").encode("latin-1"): b
            for a, b in zip(words[::2], words[1::2], strict=True)
        }
        client.xadd(NAMES.outbox, pairs)
    until(lambda: fences(second_redis_url).get(b"h*", b"") > before)


def test_what_the_region_does_not_confirm_in_time(
    rig: Rig, redis_url: str, second_redis_url: str
) -> None:
    """It says where it is queued: not in this process, which may die."""
    with far_line(second_redis_url) as line:
        rw = rig.worker(near_and_far(redis_url, line.through(second_redis_url)))
        ready(rw)
        line.refuse()
        with pytest.raises(PurgeError, match="there") as caught:
            purge_by(rig, rw, wait="all", timeout=0.3)
        assert caught.value.queued == {"there": "queued in this region's Redis"}
        until(lambda: rw.counts().get("relay-lag:there", 0) > 0)
        line.heal()
        until(lambda: rw.counts().get("relayed:there", 0) > 0)


def lose_history(server: RedisServer, rw: Regionware) -> None:
    """The region's Redis dies with all it had, and the worker notices."""
    server.kill()
    server.start()
    until(lambda: rw.counts().get("epoch", 0) > 0)


def test_a_redis_that_dies_before_it_has_relayed(
    rig: Rig, redis_server: RedisServer, redis_url: str, second_redis_url: str
) -> None:
    """Who made the purge sends it once more, when it notices."""
    with far_line(second_redis_url) as line:
        rw = rig.worker(near_and_far(redis_url, line.through(second_redis_url)))
        ready(rw)
        line.refuse()
        purge_by(rig, rw, tags=["precious"])
        lose_history(redis_server, rw)
        line.heal()
        until(lambda: b"htprecious" in fences(second_redis_url))


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "control"])
@pytest.mark.parametrize("first", [True, False], ids=["seen before", "never seen"])
def test_a_redis_that_dies_after_a_longer_partition(  # noqa: PLR0917 - fixtures
    rig: Rig, redis_server: RedisServer, redis_url: str, second_redis_url: str,
    monkeypatch: pytest.MonkeyPatch, first: bool, kept: bool,
) -> None:  # fmt: skip
    """However long the other region was away, it gets what was acknowledged."""
    monkeypatch.setattr(unconfirmed, "_LATELY", 0.5)  # stands for a minute
    if not kept:
        confirm = unconfirmed.Unconfirmed.confirm
        # By its age alone, as if the other region had confirmed all that was ever purged.
        monkeypatch.setattr(
            unconfirmed.Unconfirmed, "confirm", lambda self, _: confirm(self, 2**62)
        )
    with far_line(second_redis_url) as line:
        rw = rig.worker(near_and_far(redis_url, line.through(second_redis_url)))
        ready(rw)
        if first:
            purge_by(rig, rw, tags=["first"], wait="all")
        before = fences(second_redis_url).get(b"h*", b"")
        line.refuse()
        purge_by(rig, rw, tags=["precious"])
        time.sleep(1.0)
        lose_history(redis_server, rw)
        line.heal()

        def has_it() -> bool:
            now = fences(second_redis_url)
            return b"htprecious" in now or now.get(b"h*", b"") > before

        if kept:
            until(has_it)
        else:
            time.sleep(5.0)
            assert not has_it()


def test_more_purges_than_are_kept(
    rig: Rig, redis_server: RedisServer, redis_url: str, second_redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Of the oldest nobody knows what they were, so that everything is purged there."""
    monkeypatch.setattr(unconfirmed, "_MOST", 100)
    with far_line(second_redis_url) as line:
        rw = rig.worker(near_and_far(redis_url, line.through(second_redis_url)))
        ready(rw)
        purge_by(rig, rw, tags=["first"], wait="all")
        before = fences(second_redis_url).get(b"h*", b"")
        line.refuse()
        for number in range(150):
            purge_by(rig, rw, tags=[f"t{number}"])
        lose_history(redis_server, rw)
        line.heal()
        until(lambda: b"htt149" in fences(second_redis_url))
        assert b"htt0" not in fences(second_redis_url)
        until(lambda: fences(second_redis_url).get(b"h*", b"") > before)


def test_as_many_purges_as_are_kept(
    rig: Rig, redis_server: RedisServer, redis_url: str, second_redis_url: str
) -> None:
    """Each of them comes through, however many at once."""
    with far_line(second_redis_url) as line:
        rw = rig.worker(near_and_far(redis_url, line.through(second_redis_url)))
        ready(rw)
        line.refuse()
        for number in range(1500):
            rw.purge(tags=[f"t{number}"])
        lose_history(redis_server, rw)
        line.heal()
        until(lambda: b"htt1499" in fences(second_redis_url))
        assert {b"htt%d" % number for number in range(1500)} <= fences(second_redis_url).keys()


def test_what_was_confirmed_is_not_kept(
    rig: Rig, redis_url: str, second_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by who relays nor by a worker that does not."""
    monkeypatch.setattr(unconfirmed, "_LATELY", 0.0)
    topology = near_and_far(redis_url, second_redis_url)
    one, other = (rig.worker(topology) for _ in range(2))
    for rw in (one, other):
        ready(rw)
        purge_by(rig, rw, tags=["x"], wait="all")
    for rw in (one, other):
        (outbox,) = rw._parts.rim.outboxes
        until(lambda outbox=outbox: len(outbox._unconfirmed) == 0)  # type: ignore[misc]


def order(name: str, position: Position | None = None) -> Order:
    return Order((name,), position, 7)


def test_what_is_kept_is_sent_as_few_purges(monkeypatch: pytest.MonkeyPatch) -> None:
    """One without a position is given none; the oldest of too many become everything."""
    monkeypatch.setattr(unconfirmed, "_MOST", 3)
    now = [0.0]
    kept = unconfirmed.Unconfirmed(lambda: now[0])
    kept.add(1, order("a"))
    kept.add(2, order("b", Position(1, 5)))
    kept.add(3, order("c"))
    known, others = kept.take()
    assert (known.names, known.position) == (("b",), Position(1, 5))
    assert (others.names, others.position) == (("a", "c"), None)
    assert kept.take() == []
    for stamp, name in enumerate("abcd", 1):
        kept.add(stamp, order(name))
    (found,) = kept.take()
    assert found.names == (mark(EVERYTHING, soft=False), "c", "d")
    assert found.retention == 7


def test_what_is_kept_although_it_was_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a while: who says so may be a server that took over without the latest purges."""
    now = [0.0]
    kept = unconfirmed.Unconfirmed(lambda: now[0])
    kept.add(1, order("a"))
    kept.add(5, order("b"))
    kept.confirm(4)
    assert len(kept) == 2
    now[0] = unconfirmed._LATELY
    kept.confirm(4)
    assert len(kept) == 1
    now[0] *= 100
    kept.confirm(4)
    assert [each.names for each in kept.take()] == [("b",)]


def test_a_worker_ends_with_its_relays(rig: Rig, redis_url: str, second_redis_url: str) -> None:
    """What can be delivered is; threads and connections go."""
    rw = rig.worker(near_and_far(redis_url, second_redis_url))
    ready(rw)
    threads = [outbox._thread for outbox in rw._parts.rim.outboxes]
    purge_by(rig, rw, tags=["last"])
    rig.shut(rw)
    assert b"htlast" in fences(second_redis_url)
    assert not any(thread is not None and thread.is_alive() for thread in threads)


def test_a_region_that_is_served_again(rig: Rig, redis_url: str, second_redis_url: str) -> None:
    """The workers there answer anew once the relay has come through."""
    item = Item()
    far = Topology(here="there", regions=near_and_far(redis_url, second_redis_url).regions)
    there = item.site(rig, far)
    assert version(there) == 1
    rw: Regionware = rig.worker(near_and_far(redis_url, second_redis_url))
    item.version = 2
    purge_by(rig, rw, wait="all")
    until(lambda: version(there) == 2)


def test_the_right_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was killed delays purges by no more than a few seconds."""
    assert relaying._HOLDS / 1000 + relaying._TURN <= 6.0
