"""Fences, clocks, and what is begun while a purge arrives: what a review has found.

A test whose protection cannot be switched off here has a control that shows what it depends on.
"""

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from threading import Event, Lock
from time import time

import pytest

from regionware.caching.claim import Claim
from regionware.caching.coherence import (
    EVERYTHING,
    NO_POSITION,
    Fence,
    Fences,
    Verdict,
    mark,
    read_stamp,
)
from regionware.caching.entry import Entry
from regionware.caching.purging import Order
from regionware.caching.relaying import OutboxRelay
from regionware.caching.scripts import Names
from regionware.caching.seal import CHECKSUM
from regionware.caching.warming import Warming
from regionware.database.position import Position
from regionware.database.timelines import Timelines
from regionware.effects import ANY, Lookup, Release
from regionware.observe import Event as Happened
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Gate, Response, counting
from tests.conformance.conftest import World
from tests.conformance.harness import Site, until
from tests.conformance.vault import Vault
from tests.regressions.rivals import GUARDED, MEMORY, REDIS, TAGGED, purge
from tests.regressions.test_fences import Late
from tests.rig import tier_of

BEHIND, THERE = Position(1, 10), Position(1, 20)
MANY = 50


def entry(created: int, lower: Position | None = None, host: str = "") -> Entry:
    """One that is tagged `x`."""
    return Entry(
        ("http", "h", "/", ""), status=200, headers=(), body=b"", tags=("x",), created=created,
        born=0, fresh_until=1, lower=lower, upper=lower, host=host,
    )  # fmt: skip


@pytest.fixture
def fences() -> Fences:
    """Those of a worker that has heard of nothing."""
    return Fences(alone=True, writing=Lock())


# What another worker has purged


@pytest.mark.parametrize("events", [[(90,), (100,)], [(100,)], [(90, 100)]], ids=str)
def test_a_position_is_joined_to_a_fence_of_the_same_stamp(
    fences: Fences, events: list[tuple[int, ...]]
) -> None:
    """This worker has purged without a position; the log says which the others ask for."""
    fences.raise_to({"htx": Fence(100)})
    assert fences.judge(entry(110, BEHIND)) is Verdict.GOOD  # the control: nobody asks for one yet
    for stamps in events:
        fences.hear({"htx": Fence(max(stamps), THERE)})
    assert fences._table["htx"].position == THERE
    assert fences.judge(entry(110, BEHIND)) is Verdict.GONE
    assert fences.judge(entry(110, THERE)) is Verdict.GOOD


@GUARDED
def test_each_purge_that_is_heard_is_above_what_was_read_before(
    fences: Fences, guarded: bool
) -> None:
    """The region's clock has gone back; another worker purges one name twice."""
    hear = fences.hear if guarded else fences.raise_to
    fences.see(200)
    hear({"htx": Fence(90)})
    fences.see(202)
    begun = entry(202)
    assert fences.judge(begun) is Verdict.GOOD
    hear({"htx": Fence(110)})
    assert fences.judge(begun) is (Verdict.GONE if guarded else Verdict.GOOD)


def test_what_was_made_without_redis_is_not_above_a_purge(fences: Fences) -> None:
    """It is one later than all that was read here, and the region's clock has gone back."""
    fences.see(200)
    alone = entry(fences.stamp + 1)
    assert fences.judge(alone) is Verdict.GOOD  # the control
    fences.hear({"htx": Fence(90)})
    assert fences.judge(alone) is Verdict.GONE


@GUARDED
def test_what_is_of_lost_writes_goes_although_nobody_knows_its_position(
    fences: Fences, guarded: bool
) -> None:
    fences.learn(Timelines(1))
    placeless = entry(fences.stamp + 1, host="iad/primary" if guarded else "")
    fences.learn(Timelines(2))
    assert fences.judge(placeless) is (Verdict.GONE if guarded else Verdict.GOOD)
    later = entry(fences.stamp + 1, host="fra/replica-1")
    assert fences.judge(later) is Verdict.GOOD


# The region's clock


def test_a_reading_never_lowers_the_clock(fences: Fences) -> None:
    for reading, known in ((5, 5), (3, 5), (9, 9), (0, 9)):
        fences.see(reading)
        assert fences.stamp == known


def test_a_later_reading_of_somebody_else_stays() -> None:
    """It comes between the look at the clock and the lock."""
    late = Late()
    fences = Fences(alone=True, writing=late)
    late.first = lambda: fences.raise_to({"htx": Fence(300)})
    fences.see(200)
    assert fences.stamp == 300


@pytest.mark.parametrize(
    "text", ["f" * 16, "0" * 200, "", "soon", "-1", "0" * 15, "0" * 17, "-" + "0" * 14 + "1"]
)
@pytest.mark.parametrize("octets", [False, True])
def test_what_is_no_stamp_is_refused(text: str, octets: bool) -> None:
    with pytest.raises(ValueError, match=r"clock"):
        read_stamp(text.encode() if octets else text)


@pytest.mark.parametrize(
    "text",
    ["0x00650000000000", "0X00650000000000", "+006500000000000", "-000000000000000",
     "0006_50000000000", " 006500000000000", "006500000000000 ", "006500000000000\n",
     "\t06500000000000\n", "\u0660006500000000000", "\uff10006500000000000"],
)  # fmt: skip
@pytest.mark.parametrize("octets", [False, True])
def test_what_only_a_lenient_reader_takes_is_refused(text: str, octets: bool) -> None:
    """Sixteen characters, of which Python's `int` makes a number; a script would compare text."""
    assert len(text) == 16
    assert int(text, 16) >= 0  # the control
    with pytest.raises(ValueError, match=r"clock"):
        read_stamp(text.encode() if octets else text)


def test_what_is_a_stamp_is_read() -> None:
    """The control of the one above."""
    assert read_stamp("0006500000000000") == read_stamp(b"0006500000000000") == 0x6500000000000


# Warm start


@REDIS
@pytest.mark.parametrize("first", ["purge", "warm"])
@GUARDED
def test_a_warm_start_knows_today_s_tags(
    world: World, monkeypatch: pytest.MonkeyPatch, first: str, guarded: bool
) -> None:
    """The entry was stored when its route had no tags; the purge means the tag of today."""
    if not guarded:
        monkeypatch.setattr("regionware.caching.warming.render", lambda *_: ())
    monkeypatch.setattr(Warming, "start", lambda _: None)  # it begins when the test says so
    untagged = Route("/{path:path}", cache=Cache(ttl=600))
    old = world.behind(world.regionware(untagged, warm=10), Application(counting()))
    assert old.bodies["/x", "/x"] == [b"1", b"1"]
    assert _warming(old).publish() == 1
    new = world.behind(world.regionware(TAGGED, warm=10), old.app)
    steps: list[Callable[[], object]]
    steps = [lambda: purge(new), lambda: _warming(new).fetch(Event())]
    for step in steps if first == "purge" else reversed(steps):
        step()
    assert len(new.rw.memory) == (first == "warm" or not guarded)
    assert new.get("/x").body == (b"2" if guarded else b"1")


def _warming(site: Site) -> Warming:
    (found,) = (each for each in site.rw._parts.rim._chores if isinstance(each, Warming))
    return found


# What a clock that has gone back leaves behind


@pytest.fixture
def vault(redis_url: str) -> Iterator[Vault]:
    """What the region's Redis holds."""
    vault = Vault(redis_url)
    yield vault
    vault.close()


def _begun(vault: Vault, seconds: int) -> None:
    """The stored entry was begun so many seconds from now, and is fresh for a minute more."""
    whole, micro = vault.client.time()
    now = whole * 1_000_000 + micro
    begun, fresh = now + seconds * 1_000_000, now + (max(seconds, 0) + 60) * 1_000_000
    record = vault.frame[:4] + b"%016x%016x" % (begun, fresh) + vault.frame[36 : -CHECKSUM.size]
    vault.frame = record + CHECKSUM.of(record)


AHEAD = pytest.mark.parametrize("seconds", [0, 30], ids=["control", "ahead"])


@REDIS
@AHEAD
def test_what_is_begun_later_than_now_is_not_found_fresh(
    world: World, vault: Vault, seconds: int
) -> None:
    """No purge would reach it: the script grants the lease as where nothing is stored."""
    site = world.site(counting(), TAGGED)
    assert site.get("/x").body == b"1"
    _begun(vault, seconds)
    tier = tier_of(site.rw)
    found = tier.lookup(Lookup(vault.key.rpartition(b":")[2].decode(), None, 0, "", 0, "0" * 32))
    assert bool(found.lease) is (seconds > 0)


@REDIS
@AHEAD
def test_what_is_begun_later_than_the_clock_reads_is_of_unknown_age(
    world: World, vault: Vault, seconds: int
) -> None:
    """Purges would reach it, but it would stay fresh until the clock has caught up."""
    site = world.site(counting(), TAGGED)
    assert site.get("/x").body == b"1"
    _begun(vault, seconds)
    tier = tier_of(site.rw)
    name, told = vault.key.rpartition(b":")[2].decode(), int((time() + 3600) * 1_000_000)
    found = tier.lookup(Lookup(name, None, 0, "", told, "0" * 32))
    assert found.stamp == told + 1
    assert bool(found.lease) is (seconds > 0)
    tier.release(Release(name, found.lease, ANY))
    site.rw.memory.clear()
    site.rw._parts.prepared.fences.told = told
    assert site.get("/x").body == (b"2" if seconds else b"1")


@REDIS
def test_what_is_begun_later_than_now_is_not_served_after_a_purge(
    world: World, vault: Vault
) -> None:
    site = world.site(counting(), TAGGED)
    assert site.get("/x").body == b"1"
    _begun(vault, 30)
    site.rw.memory.clear()
    purge(site)
    assert site.get("/x").body == b"2"


def _told(site: Site, seconds: int) -> None:
    """It knows of a purge of something else, so many seconds from now by the region's clock."""
    tier = tier_of(site.rw)
    now = tier.lookup(Lookup("0" * 40, None, 0, "", 0)).stamp
    site.rw._parts.prepared.fences.raise_to({"htother": Fence(now + seconds * 1_000_000)})


@REDIS
@AHEAD
@GUARDED
def test_what_is_begun_later_than_another_may_purge_is_not_stored(
    monkeypatch: pytest.MonkeyPatch, world: World, vault: Vault, seconds: int, guarded: bool
) -> None:
    """The region's clock has gone back, and who purges next has never read it as late as this one.

    The worker itself hears of that purge, so its own memory may have what the region may not.
    """
    if not guarded:
        monkeypatch.setattr(Claim, "_ahead", property(lambda _: False, lambda *_: None))
    site = world.site(counting(), TAGGED)
    _told(site, seconds)
    assert site.get("/x").body == b"1"
    assert site.get("/x").hit
    stored = sum(name[:1] == b"e" for key in vault.keys for name in vault.client.hkeys(key))
    assert stored == (0 if seconds and guarded else 1)


# Many who wait for one


@MEMORY
def test_a_purge_during_a_fill_sends_nobody_but_one_to_the_application(world: World) -> None:
    """What the leader brings is purged before it comes: those who wait need another leader."""
    first, second = Gate(), Gate()
    answers = chain([Response([b"old"], hold=first)], repeat(Response([b"new"], hold=second)))
    site = world.site(lambda _: next(answers), TAGGED)
    calls = [site.start("/x")]
    first.reached()
    calls += [site.start("/x") for _ in range(MANY - 1)]
    until(lambda: site.parked == MANY - 1)
    purge(site)
    first.open()
    assert calls[0].result().body == b"old"
    until(lambda: second.waiting + site.parked == MANY - 1)  # nobody is on the way any more
    assert second.waiting <= 3
    second.open()
    assert {call.result().body for call in calls[1:]} == {b"new"}
    assert len(site.app.calls) <= 4
    assert site.get("/x").hit


# An outbox without a past


@pytest.mark.parametrize(
    ("furthest", "before", "told", "gap"),
    [(0, 0, b"0", False), (9, 0, b"0", True), (5, 5, b"4", True), (5, 5, b"5", False)],
)
def test_what_a_lost_outbox_had_is_made_up_for(
    furthest: int, before: int, told: bytes, gap: bool
) -> None:
    """The outbox and its cursors are gone: whoever has seen it says that everything is purged."""
    events: list[Happened] = []
    relay = OutboxRelay(
        "far", near="redis://h", far="redis://i", names=Names.of("n", ""), retention=1,
        regions=["far"], tell=events.append,
    )  # fmt: skip
    relay._furthest = furthest
    orders: list[Order] = relay._orders({b"<": told, b"htx": NO_POSITION.encode()}, before)
    everything = [[mark(EVERYTHING, soft=False)]] if gap else []
    assert [list(each.names) for each in orders] == [*everything, ["htx"]]
    assert [each.name for each in events] == (["gap"] if gap else [])
