"""One fill for a key, no queue for what cannot be stored, and the state of each request."""

import asyncio
import time
from dataclasses import replace
from threading import Lock
from typing import Any

import pytest

import regionware
from regionware import Region, Topology
from regionware.caching.filling import Filling
from regionware.locate import Header
from regionware.policies import Cache, Route
from tests.conformance.application import Gate, Response, Seen, counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import until

MANY = 50


def test_many_requests_for_a_cold_key_are_one_call(world: World) -> None:
    gate = Gate()
    site = world.site(lambda _: Response([b"made ", b"once"], hold=gate))
    calls = site.together([{"path": "/x"}] * MANY)
    until(lambda: site.parked == MANY - 1)
    gate.open()
    assert [call.result().body for call in calls] == [b"made once"] * MANY
    assert len(site.app.calls) == 1
    collapsed = [call for call in calls if "collapsed" in call.result().cache_status]
    assert len(collapsed) == MANY - 1


class Crowd:
    """An application that fails, and counts how many ask it at once."""

    def __init__(self, answer: Response) -> None:
        self.most = 0
        self._answer = answer
        self._now = 0
        self._lock = Lock()
        self.gate = Gate()

    def __call__(self, _: Seen) -> Response:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        return replace(self._answer, hold=self)  # type: ignore[arg-type] # it is passed like a gate

    def wait(self) -> None:
        self.gate.wait()
        time.sleep(0.002)
        self._leave()

    async def await_(self) -> None:
        await self.gate.await_()
        await asyncio.sleep(0.002)
        self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._now -= 1


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("fields", [{}, {"Cache_Control": "no-store"}], ids=["silent", "no-store"])
def test_an_application_that_fails_is_asked_by_a_few_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], guarded: bool
) -> None:
    """Those who wait for a fill that fails are not let loose on the application all at once."""
    if not guarded:
        monkeypatch.setattr(Filling, "_outcome", lambda *_: "uncacheable")
    crowd = Crowd(text("no", 503, **fields))
    site = world.site(crowd)
    calls = site.together([{"path": "/x"}] * MANY)
    until(lambda: site.parked == MANY - 1)
    crowd.gate.open()
    answers = [call.result() for call in calls]
    assert {(answer.status, answer.body) for answer in answers} == {(503, b"no")}
    assert len(site.app.calls) == MANY
    assert (crowd.most <= 4) is guarded  # the first has answered, and may not have left yet
    assert site.parked == 0
    assert not site.rw._parts.rim._flights._spills
    # Once it is well, one call is enough for all.
    site.app.handler = lambda _: text("well")
    assert {site.get("/x").body, site.get("/x").body} == {b"well"}
    assert len(site.app.calls) == MANY + 1


@pytest.mark.parametrize("guarded", [True, False])
def test_whoever_is_well_again_serves_all_who_wait(
    world: World, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """After a failure, the first answer that can be stored ends the wait of everybody."""
    if not guarded:
        monkeypatch.setattr(Filling, "_outcome", lambda *_: "uncacheable")
    crowd = Crowd(text("no", 503))
    site = world.site(crowd)
    first = site.start("/x")
    crowd.gate.reached()
    others = site.together([{"path": "/x"}] * 20)
    until(lambda: site.parked == 20)
    site.app.handler = lambda _: text("well")
    crowd.gate.open()
    assert first.result().status == 503
    assert {other.result().body for other in others} == {b"well"}
    assert (len(site.app.calls) <= 1 + 3) is guarded


def test_different_keys_do_not_wait_for_each_other(world: World) -> None:
    gate = Gate()
    site = world.site(lambda _: Response([b"x"], hold=gate))
    calls = site.together([{"path": f"/{number}"} for number in range(8)])
    until(lambda: gate.waiting == 8)
    gate.open()
    assert all(call.result().body == b"x" for call in calls)


def test_a_key_known_as_uncacheable_has_no_queue(world: World) -> None:
    gate = Gate()
    first = iter([text("x", Cache_Control="private")])
    waiting = Response([b"x"], headers=[("Cache-Control", "private")], hold=gate)
    site = world.site(lambda _: next(first, waiting))
    site.get("/x")
    calls = site.together([{"path": "/x"}] * 8)
    until(lambda: gate.waiting == 8)
    gate.open()
    assert all(call.result().body == b"x" for call in calls)


def test_nobody_waits_once_the_head_says_that_it_cannot_be_stored(world: World) -> None:
    gate = Gate()
    private = [("Cache-Control", "private")]
    answers = iter([Response([b"slow ", gate, b"stream"], headers=private)])
    site = world.site(lambda _: next(answers, text("mine", Cache_Control="private")))
    leader = site.start("/x")
    leader.received(b"slow ")
    follower = site.start("/x")
    try:
        until(lambda: len(site.app.calls) == 2, 5.0)  # long before it loses its patience
    finally:
        gate.open()
    assert follower.result().body == b"mine"
    assert leader.result().body == b"slow stream"


def test_everybody_gets_an_own_answer_when_it_turns_out_to_be_private(world: World) -> None:
    """P8: collapsed requests must not share what only its head declares private."""
    gate = Gate()

    def mine(seen: Seen) -> Response:
        return Response(
            [seen.headers["x-user"].encode()], headers=[("Cache-Control", "private")], hold=gate
        )

    site = world.site(mine)
    asks: list[dict[str, Any]] = [
        {"path": "/x", "headers": {"X-User": f"user-{number}"}} for number in range(20)
    ]
    calls = site.together(asks)
    until(lambda: site.parked == 19)
    gate.open()
    assert [call.result().body.decode() for call in calls] == [
        ask["headers"]["X-User"] for ask in asks
    ]


def test_different_variants_are_not_confused_when_they_collapse(world: World) -> None:
    """The key is one, the answers are two: whoever waited gets the own variant."""
    gate = Gate()
    site = world.site(
        lambda seen: Response([seen.headers["x-a"].encode()], headers=[("Vary", "X-A")], hold=gate)
    )
    calls = site.together(
        [{"path": "/x", "headers": {"X-A": str(number % 2)}} for number in range(20)]
    )
    until(lambda: site.parked == 19)
    gate.open()
    assert [call.result().body for call in calls] == [b"0", b"1"] * 10


# The state of a request


def test_current_is_the_request_in_the_handler_and_in_its_body(world: World) -> None:
    seen_in_body: list[regionware.Current | None] = []
    route = Route("/items/{item}", cache=Cache(ttl=60))
    site = world.site(
        lambda _: Response([b"one", lambda: seen_in_body.append(regionware.current()), b"two"]),
        route,
    )
    assert regionware.current() is None
    site.get("/items/7")
    assert regionware.current() is None
    state = site.app.calls[0].state
    assert state is not None
    assert seen_in_body == [state]
    assert (state.route, state.method, state.here.name) == ("/items/{item}", "GET", "here")
    assert state.region == state.here


@pytest.mark.parametrize("cached", [True, False])
def test_concurrent_requests_have_states_of_their_own(world: World, cached: bool) -> None:
    gate = Gate()
    states: dict[str, list[regionware.Current | None]] = {}

    def handler(seen: Seen) -> Response:
        mine = states.setdefault(seen.path, [seen.state])
        return Response([b"a", gate, lambda: mine.append(regionware.current())], hold=gate)

    site = world.site(handler, Route("/{path:path}", cache=Cache(ttl=60) if cached else None))
    calls = site.together([{"path": f"/{number}"} for number in range(8)])
    until(lambda: gate.waiting == 8)
    gate.open()
    for call in calls:
        call.result()
    assert all(len(found) == 2 and found[0] is found[1] for found in states.values())
    assert len({id(found[0]) for found in states.values()}) == 8
    assert all(found[0] is not None for found in states.values())


def test_tags_of_the_application_are_tags_of_the_entry(world: World) -> None:
    def tagging(seen: Seen) -> Response:
        assert seen.state is not None
        seen.state.tag("in the handler")
        state = seen.state
        answer = counting_handler(seen)
        return Response([*answer.chunks, lambda: state.tag("in the body")])

    counting_handler = counting()
    for tag in ("in the handler", "in the body"):
        site = world.site(tagging)
        before = site.get(f"/{tag[-4:]}").body
        assert site.get(f"/{tag[-4:]}").body == before
        site.rw.purge(tags=["another"])
        assert site.get(f"/{tag[-4:]}").body == before
        site.rw.purge(tags=[tag])
        assert site.get(f"/{tag[-4:]}").body != before


@pytest.mark.parametrize(("peer", "region"), [("10.1.1.1", "far"), ("192.0.2.1", "near")])
def test_the_region_of_a_client_is_believed_from_trusted_peers_only(
    world: World, peer: str, region: str
) -> None:
    rw = regionware.Regionware(
        topology=Topology(here="near", regions=[Region("near", primary=True), Region("far")]),
        region=[Header("X-Region")],
        trusted=["10.0.0.0/8"],
    )
    site = world.behind(rw, world.site(lambda _: text("x")).app)
    site.get("/x", headers={"X-Region": "far"}, peer=peer)
    state = site.app.calls[-1].state
    assert state is not None
    assert (state.region.name, state.here.name) == (region, "near")
