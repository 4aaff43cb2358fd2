"""Answers that are not stored for the moment: nobody queues behind them, one after the other."""

import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from regionware.effects import Release
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Fields, Gate, Response, Seen
from tests.conformance.harness import Site, until
from tests.faults.fleet import WORKERS, Fleet, held, ready, waiting
from tests.rig import Rig

#: What is answered, and for what reason it is not stored.
ANSWERS: dict[str, tuple[int, Fields]] = {
    "found elsewhere": (302, [("Location", "/login")]),
    "forbidden": (403, []),
    "not to be processed": (422, []),
    "expired": (200, [("Cache-Control", "max-age=10"), ("Age", "20")]),
}


def never_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what can never be stored is remembered."""
    monkeypatch.setattr("regionware.caching.refusing.BRIEFLY", 0.0)


class Holding:
    """An application that holds the requests of each round at a gate of its own."""

    def __init__(self, status: int, fields: Fields) -> None:
        self._status, self._fields = status, fields
        self.gate = Gate()
        self.app = Application(self._answer)

    def _answer(self, _: Seen) -> Response:
        return Response([b"x"], self._status, self._fields, hold=self.gate)

    def next(self) -> Gate:
        """The gate until now; from now on requests are held at another."""
        before, self.gate = self.gate, Gate()
        return before


def in_two_rounds(
    holding: Holding, sites: list[Site], asks: Iterator[dict[str, Any]], *, guarded: bool
) -> None:
    """One is first, and the others wait for it; then they go all at once, now and the next time."""
    first, *others = sites
    calls = [first.start("/x", **next(asks))]
    holding.gate.reached()
    calls += [site.start("/x", **next(asks)) for site in others]
    until(lambda: waiting(*others) == len(others))
    holding.next().open()
    _gather(holding, len(others), guarded=guarded)
    holding.next().open()
    if not guarded:
        holding.gate.open()
    assert {call.result().body for call in calls} == {b"x"}
    assert [held(site) for site in sites] == [0] * len(sites)
    if guarded:
        calls = [site.start("/x", **next(asks)) for site in sites]
        _gather(holding, len(sites), guarded=True)
        holding.gate.open()
        assert {call.result().body for call in calls} == {b"x"}


def _gather(holding: Holding, count: int, *, guarded: bool) -> None:
    if guarded:
        until(lambda: holding.gate.waiting == count)
        return
    holding.gate.reached()
    time.sleep(0.5)
    assert holding.gate.waiting == 1


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_not_stored_for_the_moment_is_not_queued_for(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, answer: str, guarded: bool
) -> None:
    if not guarded:
        never_briefly(monkeypatch)
    holding = Holding(*ANSWERS[answer])
    sites = fleet(holding.app, WORKERS, life=20.0)
    in_two_rounds(holding, sites, iter(dict, None), guarded=guarded)


@pytest.mark.parametrize("guarded", [True, False])
def test_requests_with_credentials_do_not_queue_behind_each_other(
    rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        never_briefly(monkeypatch)
    holding = Holding(200, [("Cache-Control", "max-age=60")])
    route = Route("/{path:path}", cache=Cache.standard())
    sites = [rig.site(ready(rig, redis_url, route, 20.0), holding.app) for _ in range(WORKERS)]
    asks = ({"headers": {"Authorization": f"Bearer {number}"}} for number in count())
    in_two_rounds(holding, sites, asks, guarded=guarded)
    # It was no word on what others may have: their first answer is stored, and ends the note.
    assert "stored" in sites[0].get("/x").cache_status
    assert sites[0].get("/x").hit


def test_the_region_is_told_where_something_stale_stays_in_memory(fleet: Fleet) -> None:
    """It may be needed should the application fail: the note does not take its place."""
    holding = Holding(302, [("Location", "/login")])
    answers = iter([Response([b"first"])])
    app = Application(lambda seen: next(answers, None) or holding.app.handler(seen))
    sites = fleet(app, WORKERS, life=20.0, ttl=1, stale_if_error=600)
    for site in sites:
        assert site.get("/x").body == b"first"
    time.sleep(1.2)
    in_two_rounds(holding, sites, iter(dict, None), guarded=True)
    app.handler = lambda _: Response([b"failing"], 500)
    assert sites[0].get("/x").body == b"first"


def test_giving_a_lease_back_does_not_wait_for_refreshes(fleet: Fleet) -> None:
    """Refreshes that hang take every thread that refreshes; others learn of an answer all the same.

    Without a thread of its own the release would stand behind them.
    """
    refresh, gate = Gate(), Gate()
    held_up: set[str] = set()
    firsts = iter([gate])

    def answer(seen: Seen) -> Response:
        if seen.path == "/private":
            private = [("Cache-Control", "private")]
            return Response([b"p"], headers=private, hold=next(firsts, None))
        return Response([b"x"], hold=refresh if seen.path in held_up else None)

    one, other = fleet(Application(answer), 2, life=20.0, ttl=1, stale_while_revalidate=600)
    paths = {f"/{n}" for n in range(8)}
    for path in paths:
        one.get(path)
    time.sleep(1.2)
    held_up |= paths
    for path in paths:
        assert one.get(path).hit
    until(lambda: refresh.waiting >= 4)
    first = one.start("/private")
    gate.reached()
    second = other.start("/private")
    until(lambda: waiting(other) == 1)
    gate.open()
    # Long before the lease is over, or the patience of who waits.
    assert second.result().body == b"p"
    assert first.result().body == b"p"
    assert refresh.waiting >= 4
    refresh.open()


def test_a_client_does_not_wait_until_a_lease_is_given_back(fleet: Fleet) -> None:
    """Neither for the rest of its answer, nor in WSGI for the end of it."""
    release = Gate()
    private = [("Cache-Control", "private")]
    (one,) = fleet(Application(lambda _: Response([b"p"], headers=private)), 1)
    rim = one.rw._parts.rim
    rim._performers[Release] = lambda _: release.wait()
    rim._aperformers[Release] = lambda _: release.await_()
    call = one.start("/x")
    release.reached()
    call.received(b"p")
    release.open()
    call.result()
