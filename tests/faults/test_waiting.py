"""Whoever waits for another worker waits for nothing else: no slow client, no ghost, no crowd."""

import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from regionware.adapters import asgi_standing
from regionware.caching.claim import Claim
from regionware.caching.flights import Flights
from regionware.caching.leases import Leases
from regionware.caching.redis import RedisTier
from regionware.caching.wakes import Wakes
from regionware.effects import Found, Lookup, Wait
from regionware.parts.redis import RedisServer
from tests.conformance.application import DEADLINE, Application, Gate, Response, Seen, text
from tests.conformance.harness import until
from tests.faults.fleet import Fleet, bodies, held, waiting

GUARDED = pytest.mark.parametrize("guarded", [True, False])


# Slow clients


def taken_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The region hears of a response when its client has taken it."""

    def plainly(self: asgi_standing.Watched) -> Iterator[Any]:
        yield from self._awaitable.__await__()

    monkeypatch.setattr(asgi_standing.Watched, "__await__", plainly)
    monkeypatch.setattr(Leases, "_work_all", lambda *_: None)


@GUARDED
def test_the_region_does_not_wait_for_a_slow_client(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        taken_first(monkeypatch)
    hold, gate = Gate(), Gate()
    app = Application(lambda _: Response([b"made"], 200, [("Content-Length", "4")], hold=hold))
    one, other = fleet(app, 2, life=6.0)
    slow = one.start("/x", stalls=gate)
    hold.reached()
    waits = other.start("/x")
    until(lambda: waiting(other) == 1)
    hold.open()
    gate.reached()
    if guarded:
        assert waits.result().cache_status["detail"] == "redis"
        assert not slow.finished.is_set()
    else:
        time.sleep(4.0)  # longer than it takes with the protection
        assert not waits.finished.is_set()
    gate.open()
    assert bodies([slow, waits]) == {b"made"}
    assert len(app.calls) == 1
    assert held(one) == held(other) == 0
    assert "lease-lost" not in one.rw.counts()  # it was given back once


@GUARDED
def test_nor_for_the_client_of_a_validation(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        taken_first(monkeypatch)

    def handler(seen: Seen) -> Response:
        known = "if-none-match" in seen.headers
        return Response([] if known else [b"made"], 304 if known else 200, [("ETag", '"1"')])

    app = Application(handler)
    one, other = fleet(app, 2, life=6.0, ttl=1, stale_if_error=60)
    assert other.get("/x").body == b"made"
    assert one.get("/x").body == b"made"
    time.sleep(1.1)
    gate = Gate()
    slow = one.start("/x", stalls=gate)
    gate.reached()
    waits = other.start("/x")
    if guarded:
        assert waits.result().body == b"made"
        assert not slow.finished.is_set()
    else:
        until(lambda: waiting(other) == 1)
        time.sleep(1.0)
        assert not waits.finished.is_set()
    gate.open()
    assert bodies([slow, waits]) == {b"made"}
    until(lambda: held(one) == held(other) == 0)


def test_what_was_entrusted_is_done_once_and_may_be_taken_back() -> None:
    done: list[str] = []
    leases = Leases(lambda some: [True] * len(some), lambda: None, life=0.0)
    try:
        leases.entrust("a", lambda: done.append("a"))
        leases.entrust("b", lambda: done.append("b"))
        leases.entrust("c", lambda: 1 / 0)  # type: ignore[arg-type] # it fails
        leases.reclaim("b")
        leases._work_all(leases._stop)
        leases._work_all(leases._stop)
        leases.reclaim("a")
        assert done == ["a"]
    finally:
        leases.close()


# Applications that fail


@GUARDED
def test_an_application_that_fails_is_asked_by_a_few_of_each_worker(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """One for the region, and two of each worker beside it."""
    if not guarded:
        monkeypatch.setattr("regionware.caching.filling.Filling._outcome", lambda *_: "uncacheable")
    first, rest = Gate(), Gate()
    turn = iter([first])
    app = Application(lambda _: Response([b"no"], 503, hold=next(turn, rest)))
    one, other = fleet(app, 2, life=20.0)
    calls = one.together([{"path": "/x"}] * 10)
    until(lambda: one.parked == 9 and first.waiting == 1)
    calls += other.together([{"path": "/x"}] * 10)
    until(lambda: other.parked == 9 and waiting(other) == 1)
    first.open()
    if guarded:
        until(lambda: rest.waiting == 3)  # the other's leader has the lease, or this one's
        time.sleep(0.5)
        assert rest.waiting <= 1 + 2 * 2
    else:
        until(lambda: rest.waiting > 1 + 2 * 2)
    rest.open()
    assert {call.result().status for call in calls} == {503}
    assert len(app.calls) == 20


# Who is woken


@GUARDED
def test_a_place_beside_a_fill_is_for_who_has_lost_his_patience(guarded: bool) -> None:
    board, woken = Flights(), []
    flight, _ = board.join(("k",), None)
    assert flight is not None
    assert [board.spill(("k",)) for _ in range(3)] == [True, True, False]
    board._park(flight, lambda: woken.append("patient"), keen=False)
    board._park(flight, lambda: woken.append("keen"), keen=guarded)
    board.unspill(("k",))
    assert woken == (["keen"] if guarded else ["patient"])
    board.land(("k",), flight, "abandoned")
    assert sorted(woken) == ["keen", "patient"]


def test_a_place_beside_a_fill_outlives_the_fill() -> None:
    """Those beside a fill that failed count beside the next: there are never more of them."""
    board = Flights()
    flight, _ = board.join(("k",), None)
    assert flight is not None
    assert [board.spill(("k",)) for _ in range(2)] == [True, True]
    board.land(("k",), flight, "failed")
    again, leads = board.join(("k",), None)
    assert leads
    assert again is not flight
    assert not board.spill(("k",))
    board.unspill(("k",))
    assert board.spill(("k",))
    assert board.spill(("other",))


def test_a_flight_that_has_landed_is_not_waited_for() -> None:
    board = Flights()
    flight, _ = board.join(("k",), None)
    assert flight is not None
    board.land(("k",), flight, "failed")
    assert board.wait(Wait(flight, DEADLINE, keen=True)) == "failed"


# Ghosts


@GUARDED
def test_a_look_up_that_is_answered_too_late_leaves_no_lease(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer, guarded: bool
) -> None:
    """Its lease was granted, and nobody knew."""
    if not guarded:
        monkeypatch.setattr(Claim, "disowned", lambda _: None)
    app = Application(lambda _: text("x"))
    one, other = fleet(app, 2, life=20.0)
    tier: RedisTier | None = one.rw._parts.rim.tier
    assert tier is not None
    lookup, alookup = tier.lookup, tier.alookup

    def late(ask: Lookup) -> Found:
        assert lookup(ask).lease
        return Found(available=False, late=True)

    async def alate(ask: Lookup) -> Found:
        assert (await alookup(ask)).lease
        return Found(available=False, late=True)

    monkeypatch.setattr(tier, "lookup", late)
    monkeypatch.setattr(tier, "alookup", alate)
    assert one.get("/x").body == b"x"
    second = other.start("/x")
    if not guarded:
        until(lambda: waiting(other) == 1)
        redis_server.flush()
        wakes = other.rw._parts.rim._wakes
        wakes.wake(next(iter(wakes._parked)))
    assert second.result().body == b"x"
    assert ("wait:lease" in other.rw.counts()) is not guarded


@GUARDED
def test_who_waits_for_another_worker_goes_on_when_redis_is_gone(
    fleet: Fleet, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """Nobody will be told of the end of that fill, so the rest of its lease is not waited for."""
    if not guarded:
        monkeypatch.setattr(Wakes, "release", lambda _: None)
    gate = Gate()
    app = Application(
        lambda seen: Response([b"x"], hold=gate) if seen.path == "/x" else text("other")
    )
    one, other = fleet(app, 2, life=60.0)
    first = one.start("/x")
    until(lambda: gate.waiting == 1)
    second = other.start("/x")
    until(lambda: waiting(other) == 1)
    tier: RedisTier | None = other.rw._parts.rim.tier
    assert tier is not None
    tier.close()
    tier._deadline = 0.05
    tier.forget()
    paths = (f"/{number}" for number in count())
    redis_server.pause()
    try:
        until(lambda: bool(other.get(next(paths)).body) and "redis-down" in str(other.rw.counts()))
        if guarded:
            until(lambda: gate.waiting == 2)
        else:
            assert (waiting(other), gate.waiting) == (1, 1)
    finally:
        redis_server.resume()
        gate.open()
        other.rw._parts.rim._wakes.wake(next(iter(other.rw._parts.rim._wakes._parked), ""))
    assert bodies([first, second]) == {b"x"}


def test_a_redis_that_hangs_is_late_and_one_that_is_gone_is_not(
    fleet: Fleet, redis_server: RedisServer, free_port: int
) -> None:
    (site,) = fleet(Application(lambda _: text("x")), 1)
    tier: RedisTier | None = site.rw._parts.rim.tier
    assert tier is not None
    tier._deadline = 0.05
    tier.forget()
    ask = Lookup("d", None, 0, "", 0, "t")
    redis_server.pause()
    try:
        found = tier.lookup(ask)
    finally:
        redis_server.resume()
    assert (found.available, found.late) == (False, True)
    gone = RedisTier(f"redis://127.0.0.1:{free_port}/0", tier.names, on_event=lambda *_: None)
    found = gone.lookup(ask)
    assert (found.available, found.late) == (False, False)
    gone.close()


# Who may not be given what is stale


@GUARDED
@pytest.mark.parametrize(
    "fields", [{"Authorization": "Bearer me"}, {"Cache-Control": "max-age=30"}], ids=["who", "what"]
)
def test_who_may_not_be_given_what_is_stale_waits_for_the_refresh(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], guarded: bool
) -> None:
    """Another worker refreshes; that others are served meanwhile is of no use to this one."""
    if not guarded:
        monkeypatch.setattr(Claim, "barred", property(lambda _: False, lambda *_: None))
        monkeypatch.setattr("regionware.recall._is_barred", lambda *_: False)
    gate = Gate()
    answers = iter([text("old", Cache_Control="max-age=1")])
    app = Application(lambda _: next(answers, Response([b"new"], hold=gate)))
    one, other = fleet(
        app, 2, life=20.0, ttl=60, stale_while_revalidate=600, allow_authorization=True, shared=True
    )
    assert one.get("/x").body == b"old"
    until(lambda: one.get("/x").body == b"old" and gate.waiting == 1)
    asks = other.start("/x", headers=fields)
    if guarded:
        until(lambda: waiting(other) == 1)
    else:
        until(lambda: gate.waiting == 2)
    assert other.parked == 0
    gate.open()
    assert asks.result().body == b"new"
    assert len(app.calls) == (2 if guarded else 3)
