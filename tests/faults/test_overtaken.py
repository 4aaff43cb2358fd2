"""Who asks after a purge does not wait for a fill from before it: it can be of no use to him."""

from itertools import chain, repeat
from typing import Any

import pytest

from regionware.caching.flights import Flights
from regionware.caching.scripts import LOOKUP
from tests.conformance.application import Application, Gate, Response
from tests.conformance.harness import until
from tests.faults.fleet import MANY, Fleet, bodies, waiting
from tests.purging.site import changed
from tests.regressions.rivals import GUARDED

KEY = ("http", "site.test", "/x", "")


def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever a fill has begun, it is waited for."""
    real = Flights.join
    monkeypatch.setattr(Flights, "join", lambda self, key, need, *_: real(self, key, need))
    begun = "(string.sub(lease, 42, 57) > ARGV[2] or ARGV[2] >= hexnow)"
    monkeypatch.setattr("regionware.caching.redis.LOOKUP", changed(LOOKUP, begun, "true"))


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("where", ["same", "other"])
@GUARDED
def test_who_asks_after_a_purge_waits_for_no_fill_from_before(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, where: str, soft: bool, guarded: bool
) -> None:
    if not guarded:
        patient(monkeypatch)
    gate = Gate()
    answers = chain([Response([b"old"], hold=gate)], repeat(Response([b"new"])))
    one, other = fleet(Application(lambda _: next(answers)), 2, life=30.0, tags=["t"])
    slow = one.start("/x")
    gate.reached()
    stamp = one.rw.purge(tags=["t"], soft=soft).stamp
    until(lambda: other.rw._parts.prepared.fences.told >= stamp)
    site = one if where == "same" else other
    call = site.start("/x")
    if not guarded:
        until(lambda: one.parked == 1 or waiting(other) == 1)
        gate.open()
        call.result()
        return
    assert call.result().body == b"new"
    gate.open()
    assert slow.result().body == b"old"
    # What was begun before the purge has not taken the place of what was begun after it.
    for each in (one, other):
        each.rw.memory.clear()
        assert each.get("/x").body == b"new"


def test_all_who_ask_after_a_purge_are_one_call(fleet: Fleet) -> None:
    old, new = Gate(), Gate()
    answers = chain([Response([b"old"], hold=old)], repeat(Response([b"new"], hold=new)))
    app = Application(lambda _: next(answers))
    (site,) = fleet(app, 1, life=30.0, tags=["t"])
    slow = site.start("/x")
    old.reached()
    site.rw.purge(tags=["t"])
    calls = site.together([{"path": "/x"}] * MANY)
    until(lambda: site.parked == MANY - 1)
    new.open()
    assert bodies(calls) == {b"new"}
    assert len(app.calls) == 2
    old.open()
    assert slow.result().body == b"old"
    assert site.get("/x").body == b"new"


def joined(board: Flights, floor: int, stamp: int) -> tuple[Any, bool]:
    return board.join(KEY, None, floor, stamp)


def test_a_flight_that_is_overtaken_gives_its_place() -> None:
    """Those who wait for it look again."""
    board, woken = Flights(), []
    old, leads = joined(board, 0, 5)
    assert leads
    assert joined(board, 4, 6) == (old, False)
    board._park(old, lambda: woken.append(1), keen=False)
    new, leads = joined(board, 5, 6)
    assert leads
    assert new is not old
    assert (old.outcome, woken) == ("abandoned", [1])
    # Its end is nobody's any more, and the other one stands.
    board.land(KEY, old, "entry")
    assert (old.outcome, new.outcome, board.is_busy(KEY)) == ("abandoned", "", True)
    assert joined(board, 5, 9) == (new, False)
