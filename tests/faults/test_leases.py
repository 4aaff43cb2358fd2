"""One call of the application for a key in a region, whatever becomes of who makes it.

Each protection is switched off once, to see that its test would notice.
"""

import asyncio
import time
from typing import Any

import pytest
import redis

from regionware.caching import leases as leases_module
from regionware.caching.redis import RedisTier
from regionware.effects import Found, Lookup, Park
from regionware.parts.redis import RedisServer
from tests.conformance.application import DEADLINE, Application, Gate, Response, Seen, text
from tests.conformance.harness import until
from tests.faults.fleet import MANY, WORKERS, Fleet, bodies, events, held, waiting
from tests.rig import Rig


def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is refused the lease goes to the application, as if nobody held it."""
    monkeypatch.setattr(
        "regionware.caching.redis._verdict", lambda granted: ("", 0.0), raising=True
    )


# Stampedes


@pytest.mark.parametrize("guarded", [True, False])
def test_a_stampede_on_a_cold_key_is_one_call(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        without_waiting(monkeypatch)
    gate = Gate()
    app = Application(lambda _: Response([b"made once"], hold=gate))
    sites = fleet(app, WORKERS)
    calls = [call for site in sites for call in site.together([{"path": "/x"}] * MANY)]
    if guarded:
        until(lambda: waiting(*sites) == WORKERS - 1)
    else:
        until(lambda: gate.waiting == WORKERS)
    gate.open()
    assert bodies(calls) == {b"made once"}
    assert len(app.calls) == (1 if guarded else WORKERS)


def test_with_redis_down_it_is_one_call_for_each_worker(rig: Rig, free_port: int) -> None:
    gate = Gate()
    app = Application(lambda _: Response([b"made"], hold=gate))
    sites = [rig.site(rig.worker(f"redis://127.0.0.1:{free_port}/0"), app) for _ in range(2)]
    calls = [call for site in sites for call in site.together([{"path": "/x"}] * MANY)]
    until(lambda: gate.waiting == 2 and all(site.parked == MANY - 1 for site in sites))
    gate.open()
    assert bodies(calls) == {b"made"}
    assert len(app.calls) == 2


def test_two_regions_are_two_calls(fleet: Fleet, redis_url: str, second_redis_url: str) -> None:
    gate = Gate()
    app = Application(lambda _: Response([b"made"], hold=gate))
    sites = [*fleet(app, 2), *fleet(app, 2, url=second_redis_url)]
    calls = [call for site in sites for call in site.together([{"path": "/x"}] * 5)]
    until(lambda: waiting(*sites) == 2)
    gate.open()
    assert bodies(calls) == {b"made"}
    assert len(app.calls) == 2


@pytest.mark.parametrize("told", [True, False])
def test_who_waits_is_told_and_otherwise_looks_again_when_the_lease_may_be_over(
    fleet: Fleet, told: bool
) -> None:
    gate = Gate()
    app = Application(lambda _: Response([b"made"], hold=gate))
    one, other = fleet(app, 2, life=2.0 if not told else 20.0)
    if not told:
        log = other.rw._parts.rim._log
        assert log is not None
        log._on_wake = lambda _: None
    seen = events(other)
    first = one.start("/x")
    gate.reached()
    second = other.start("/x")
    until(lambda: waiting(other) == 1)
    gate.open()
    assert first.result().body == second.result().body == b"made"
    assert second.result().cache_status["detail"] == "redis"
    waits = [event for event in seen if event.name == "wait"]
    assert {event.detail for event in waits} == {"lease"}
    assert waits[-1].outcome == ("woken" if told else "over")
    assert len(app.calls) == 1


def test_a_wake_up_between_the_look_up_and_the_wait_is_not_missed(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    app = Application(lambda _: Response([b"made"], hold=gate))
    one, other = fleet(app, 2, life=20.0)
    first = one.start("/x")
    gate.reached()
    wakes = other.rw._parts.rim._wakes
    wait, await_ = wakes.wait, wakes.await_

    # All that the other worker does comes before this one has begun to wait.
    def late(ask: Park) -> None:
        gate.open()
        until(lambda: wakes.heard > 0)
        wait(ask)

    async def alate(ask: Park) -> None:
        gate.open()
        await asyncio.to_thread(until, lambda: wakes.heard > 0)
        await await_(ask)

    rim = other.rw._parts.rim
    monkeypatch.setitem(rim._performers, Park, late)
    monkeypatch.setitem(rim._aperformers, Park, alate)
    assert other.get("/x").body == b"made"
    assert first.result().body == b"made"
    assert len(app.calls) == 1


def test_nothing_is_said_where_nobody_waits(fleet: Fleet, redis_server: RedisServer) -> None:
    app = Application(lambda _: text("x"))
    (one,) = fleet(app, 1)
    one.get("/x")
    assert redis_server.command("XLEN {regionware}:wakes") == "0"


# Holders


@pytest.mark.parametrize("guarded", [True, False])
def test_a_slow_fill_stays_the_only_one(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        monkeypatch.setattr(leases_module.Leases, "_renew_all", lambda *_: None)
    gate = Gate()
    app = Application(lambda _: Response([b"slow"], hold=gate))
    one, other = fleet(app, 2, life=2.0)
    first = one.start("/x")
    gate.reached()
    second = other.start("/x")
    if guarded:
        time.sleep(3 * 2.0)  # three lives of a lease
    else:
        until(lambda: gate.waiting == 2)
    gate.open()
    assert bodies([first, second]) == {b"slow"}
    assert len(app.calls) == (1 if guarded else 2)


def test_a_lease_ends_with_a_request_that_never_ends(fleet: Fleet) -> None:
    gate = Gate()
    app = Application(lambda _: Response([b"x"], hold=gate))
    one, other = fleet(app, 2, life=1.0)
    one.rw._parts.rim.leases.longest = 1.0
    calls = [one.start("/x")]
    gate.reached()
    calls.append(other.start("/x"))
    until(lambda: gate.waiting == 2)
    gate.open()
    assert bodies(calls) == {b"x"}


def test_a_holder_that_dies_delays_nobody_beyond_its_lease(fleet: Fleet) -> None:
    gate = Gate()
    app = Application(lambda _: Response([b"x"], hold=gate))
    one, other = fleet(app, 2, life=2.0)
    first = one.start("/x")
    gate.reached()
    one.rw._parts.rim.leases.close()  # what is left of a process that was killed
    second = other.start("/x")
    until(lambda: gate.waiting == 2)
    gate.open()
    assert bodies([first, second]) == {b"x"}


def test_the_fill_of_a_lost_lease_is_refused_and_told(
    fleet: Fleet, redis_server: RedisServer
) -> None:
    gates, made = [Gate(), Gate()], iter([b"old", b"new"])
    turn = iter(gates)
    app = Application(lambda _: Response([next(made)], hold=next(turn)))
    one, other = fleet(app, 2, life=1.0)
    seen = events(one)
    first = one.start("/x")
    gates[0].reached()
    one.rw._parts.rim.leases.close()
    second = other.start("/x")
    gates[1].reached()
    gates[0].open()
    assert first.result().body == b"old"
    until(lambda: any(event.name == "lease-lost" for event in seen))
    gates[1].open()
    assert second.result().body == b"new"
    until(lambda: held(other) == 0)
    one.rw.memory.clear()
    until(lambda: one.get("/x").body == b"new")


def test_a_renewal_that_comes_too_late_is_told(fleet: Fleet, redis_server: RedisServer) -> None:
    gate = Gate()
    app = Application(lambda _: Response([b"x"], hold=gate))
    (one,) = fleet(app, 1, life=1.0)
    call = one.start("/x")
    gate.reached()
    redis_server.flush()
    until(lambda: one.rw.counts().get("lease-lost", 0) == 1)
    assert held(one) == 0
    gate.open()
    assert call.result().body == b"x"


@pytest.mark.parametrize("how", ["error", "leaves"])
def test_a_request_that_fails_gives_its_lease_back(fleet: Fleet, how: str) -> None:
    gate = Gate()
    failing: Any = [b"a", gate, OSError("it broke")] if how == "error" else [b"a", gate, b"b"]
    answers = iter([Response(failing), text("good")])
    app = Application(lambda _: next(answers))
    one, other = fleet(app, 2, life=20.0)
    first = one.start("/x", leave_after=None if how == "error" else 1)
    if how == "error":
        gate.reached()
        second = other.start("/x")
        until(lambda: waiting(other) == 1)
        gate.open()
    else:
        first.received(b"a")
        gate.open()
        second = other.start("/x")
    assert second.result().body == b"good"
    first.finished.wait(DEADLINE)
    first.future.exception(DEADLINE)
    until(lambda: held(one) == held(other) == 0)


@pytest.mark.parametrize("guarded", [True, False])
def test_a_look_up_that_is_cancelled_leaves_no_lease(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer, guarded: bool
) -> None:
    if not guarded:
        monkeypatch.setattr("regionware.caching.claim.Claim.interrupted", lambda _: None)
    app = Application(lambda _: text("x"))
    one, other = fleet(app, 2, life=20.0)
    tier: RedisTier | None = one.rw._parts.rim.tier
    assert tier is not None
    lookup, alookup = tier.lookup, tier.alookup

    def broken(ask: Lookup) -> Found:
        lookup(ask)
        raise KeyboardInterrupt

    async def abroken(ask: Lookup) -> Found:
        await alookup(ask)
        raise asyncio.CancelledError

    monkeypatch.setattr(tier, "lookup", broken)
    monkeypatch.setattr(tier, "alookup", abroken)
    first = one.start("/x")
    assert first.finished.wait(DEADLINE)
    second = other.start("/x")
    if not guarded:
        until(lambda: waiting(other) == 1)
        wakes = other.rw._parts.rim._wakes
        redis_server.flush()
        wakes.wake(next(iter(wakes._parked)))
    assert second.result().body == b"x"
    assert ("wait:lease" in other.rw.counts()) is not guarded


# Nobody waits for ever


def test_who_loses_his_patience_goes_himself_two_at_a_time(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regionware.waiting.PATIENCE", 1.0)
    monkeypatch.setattr("regionware.waiting.PATIENCES", 1000)
    gate, stuck = Gate(), Gate()
    turn = iter([stuck])
    app = Application(lambda _: Response([b"x"], hold=next(turn, gate)))
    one, other = fleet(app, 2)
    first = one.start("/x")
    stuck.reached()
    calls = other.together([{"path": "/x"}] * 10)
    until(lambda: gate.waiting == 2)
    time.sleep(2.5)  # a few patiences more, and still two
    assert gate.waiting == 2
    assert waiting(other) <= 1
    gate.open()
    assert bodies(calls) == {b"x"}
    assert len(app.calls) == 3
    assert other.rw.counts()["spill"] == 2
    stuck.open()
    assert first.result().body == b"x"


def test_after_a_few_patiences_everybody_goes(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regionware.waiting.PATIENCE", 0.5)
    gate = Gate()
    app = Application(lambda _: Response([b"x"], hold=gate))
    one, other = fleet(app, 2)
    first = one.start("/x")
    gate.reached()
    calls = other.together([{"path": "/x"}] * 6)
    until(lambda: gate.waiting == 7)
    gate.open()
    assert bodies([first, *calls]) == {b"x"}


# What cannot be stored


@pytest.mark.parametrize("guarded", [True, False])
def test_what_turns_out_to_be_uncacheable_is_not_queued_for(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """The head says so; the body of the first answer may take as long as it likes."""
    if not guarded:
        monkeypatch.setattr("regionware.exchange.Exchange.released", lambda _: None)
    head, body, others = Gate(), Gate(), Gate()
    private = [("Cache-Control", "private")]
    # The first octet goes out before the gate: a WSGI server has the head only then.
    answers = iter([Response([b"a", body], headers=private, hold=head)])
    rest = Response([b"b", others], headers=private)
    app = Application(lambda _: next(answers, rest))
    one, *waiters = fleet(app, WORKERS, life=20.0)
    first = one.start("/x")
    head.reached()
    calls = [site.start("/x") for site in waiters]
    until(lambda: waiting(*waiters) == len(waiters))
    head.open()
    if guarded:
        until(lambda: others.waiting == len(waiters))  # all at once
        assert held(one) == 0
    else:
        body.reached()
        time.sleep(0.5)
        assert others.waiting == 0
    body.open()
    others.open()
    assert bodies(calls) == {b"b"}
    assert first.result().body == b"a"


def test_the_region_remembers_what_cannot_be_stored_only_if_somebody_waits(
    fleet: Fleet, redis_server: RedisServer
) -> None:
    gate, privately = Gate(), [("Cache-Control", "private")]
    gates = iter([gate])
    app = Application(lambda _: Response([b"x"], headers=privately, hold=next(gates, None)))
    one, other, third = fleet(app, 3, life=20.0)
    calls = [one.start("/waited-for")]
    gate.reached()
    calls.append(other.start("/waited-for"))
    until(lambda: waiting(other) == 1)
    gate.open()
    assert bodies(calls) == {b"x"}
    assert redis_server.command("DBSIZE") >= "1"
    assert third.get("/waited-for").cache_status["detail"] == "uncacheable"
    assert held(third) == 0
    # The first answer that can be stored ends that, for the region too.
    privately.clear()
    assert "stored" in third.get("/waited-for").cache_status
    until(lambda: fleet(app, 1)[0].get("/waited-for").cache_status.get("detail") != "uncacheable")

    redis_server.flush()
    privately.append(("Cache-Control", "private"))
    one.get("/alone")
    assert not keys(redis_server, ":e:")


def keys(server: RedisServer, what: str) -> list[str]:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        return [key for key in client.keys("*") if what in key]


# What fails


class Failing:
    """An application that works until it is told to fail."""

    def __init__(self) -> None:
        self.fails = ""
        self.app = Application(self._answer)

    def _answer(self, _: Seen) -> Response:
        if self.fails == "raises":
            raise OSError("it broke")
        return text("down", 503) if self.fails else text("good")


@pytest.mark.parametrize("how", ["raises", "503"])
@pytest.mark.parametrize("window", ["stale_while_revalidate", "stale_if_error"])
def test_after_a_failure_nobody_in_the_region_tries_at_once(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, how: str, window: str
) -> None:
    monkeypatch.setattr("regionware.caching.refusing.delays", lambda _: (15.0, 15.0))
    failing = Failing()
    one, other = fleet(failing.app, 2, ttl=1, **{window: 600})
    assert one.get("/x").body == other.get("/x").body == b"good"
    failing.fails = how
    time.sleep(1.1)
    one.get("/x")
    until(lambda: len(failing.app.calls) == 2 and held(one) == 0)
    answers = [site.get("/x") for site in (one, other) * 5]
    assert {answer.body for answer in answers} == {b"good"}
    assert len(failing.app.calls) == 2
    detail = window.replace("_", "-")
    assert {answer.cache_status["detail"] for answer in answers} == {detail}
    assert one.rw.counts()["throttled"] == other.rw.counts()["throttled"] == 5
    failing.fails = ""
    until(lambda: [other.get("/x"), other.get("/x").hit and other.get("/x")["age"]][1] == "0")
    assert len(failing.app.calls) >= 3


def test_without_the_mark_each_request_is_an_attempt(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above would see without its protection."""
    monkeypatch.setattr("regionware.caching.refusing.delays", lambda _: (0.0, 0.0))
    monkeypatch.setattr("regionware.caching.refusing.delay", lambda *_: 0.0)
    failing = Failing()
    one, other = fleet(failing.app, 2, ttl=1, stale_if_error=600)
    one.get("/x")
    failing.fails = "raises"
    time.sleep(1.1)
    for site in (one, other):
        assert site.get("/x").body == b"good"
    assert len(failing.app.calls) == 3
