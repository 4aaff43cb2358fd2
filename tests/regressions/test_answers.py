"""What one request was told, or was refused, never comes into the answer to another."""

from collections.abc import Callable
from threading import Lock, Thread
from typing import Any

import pytest

import regionware
from regionware import Region, Regionware, Topology
from regionware.http.request import Request
from regionware.locate import Claim, Header
from regionware.observe import Event
from regionware.policies import Cache, Route
from tests.conformance.application import (
    DEADLINE,
    Application,
    Gate,
    Receive,
    Response,
    Scope,
    Seen,
    Send,
    counting,
    text,
)
from tests.conformance.conftest import Clock, World
from tests.conformance.harness import Ask, Call, until
from tests.conformance.harness import _environ as environ_of

DEBUG = "a value that nobody guesses"
REDIS = pytest.mark.parametrize("tier", ["redis"])
MEMORY = pytest.mark.parametrize("tier", ["memory"])


class BrokenError(Exception):
    """What the application fails with."""


def test_provenance_is_told_only_to_who_asked(world: World) -> None:
    """An entry filled by a debugging request carries nothing of its provenance."""
    site = world.site(counting(), debug=DEBUG)
    told = site.get("/a", headers={"Regionware-Debug": DEBUG})
    assert told["regionware-provenance"]
    for _ in range(3):
        answer = site.get("/a")
        assert answer["regionware-provenance"] == ""
        site.rw.memory.clear()
    again = site.get("/a", headers={"Regionware-Debug": DEBUG})
    assert len(again.all("regionware-provenance")) == 1


@MEMORY
def test_what_was_purged_meanwhile_rescues_nobody(world: World, clock: Clock) -> None:
    """An entry that the failing request itself has purged is not served stale."""
    route = Route("/{path:path}", cache=Cache(ttl=10, stale_if_error=600, tags=["t"]))
    handlers: list[Callable[[], Response]] = []
    site = world.site(lambda _: handlers[-1](), route, clock=clock)

    def fails() -> Response:
        raise BrokenError

    def purges() -> Response:
        site.rw.purge(tags=["t"])
        raise BrokenError

    handlers.append(lambda: text("old"))
    assert site.get("/a").body == b"old"
    clock.now += 20
    handlers.append(fails)
    assert site.get("/a").body == b"old"  # the positive control
    clock.now += 2  # until the application is asked again
    handlers.append(purges)
    with pytest.raises(BrokenError):
        site.get("/a")


#: Who leads, and who may go beside that.
FEW = 3


class Failing(Application):
    """It raises before its head: the first call when `first` opens, the others with `others`."""

    def __init__(self) -> None:
        super().__init__(lambda _: text())
        self.first, self.others = Gate(), Gate()
        self._lock, self._called = Lock(), False

    def _gate(self) -> Gate:
        with self._lock:
            called, self._called = self._called, True
        return self.others if called else self.first

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gate().await_()
        raise BrokenError

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Any:
        self._gate().wait()
        raise BrokenError


def test_a_failing_application_is_asked_by_a_few_at_a_time(world: World) -> None:
    """When the application raises, those who waited go on: one leads, and two go beside it."""
    app = Failing()
    route = Route("/{path:path}", cache=Cache(ttl=60))
    site = world.behind(world.regionware(route), app)
    calls = [site.start("/a")]
    app.first.reached()
    calls += [site.start("/a") for _ in range(9)]
    until(lambda: site.parked == 9)
    app.first.open()
    until(lambda: app.others.waiting == FEW and site.parked == 9 - FEW)
    app.others.open()
    for call in calls:
        with pytest.raises(BrokenError):
            call.result()


@MEMORY
def test_a_clients_region_is_in_no_shared_answer(world: World) -> None:
    """An answer that turns out to be storable late was not made for one client's region."""
    answers = iter(["no-store", "max-age=60", "max-age=60"])

    def handler(seen: Seen) -> Response:
        assert seen.state is not None
        return text(seen.state.region.name, cache_control=next(answers))

    regions = [Region("iad", primary=True), Region("fra")]
    rw = Regionware(
        topology=Topology(here="fra", regions=regions), region=[Header("X-Region")],
        trusted=["192.0.2.0/24"], routes=[Route("/{path:path}", cache=Cache(ttl=60))],
    )  # fmt: skip
    site = world.behind(rw, Application(handler))
    site.get("/a")
    for region in ("iad", "fra"):
        stored = site.get("/a", headers={"X-Region": region}).body
    assert stored == b"fra"


def test_a_provider_may_ask_for_the_request() -> None:
    """A provider that asks for the current request, as a selector of rows would, ends."""

    def provider(_: Request) -> Claim | None:
        regionware.current()
        return None

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        state = regionware.current()
        assert state is not None
        start_response("200 OK", [("content-type", "text/plain")])
        return [state.region.name.encode()]

    site = Regionware(region=[provider], routes=[Route("/a", cache=Cache(ttl=60, by="region"))])
    bodies: list[bytes] = []
    call = Call(Ask("/a"))

    def ask() -> None:
        answer = site.wsgi(app)(environ_of(call.ask), lambda *_: call.add)
        bodies.extend(answer)
        answer.close()  # type: ignore[attr-defined]

    thread = Thread(target=ask, daemon=True)  # one that hangs must not hold the tests
    thread.start()
    thread.join(DEADLINE)
    assert bodies == [b"local"]


def test_a_hit_is_told_in_one_word(world: World) -> None:
    """However an answer came to be one, its event can serve as a label."""
    events: list[Event] = []
    gate = Gate()
    fields = [("ETag", '"1"')]

    def handler(seen: Seen) -> Response:
        known = "if-none-match" in seen.headers
        return Response((), 304, fields) if known else Response([b"x"], 200, fields, gate)

    site = world.site(handler, sinks=[events.append])
    calls = [site.start("/a") for _ in range(2)]
    until(lambda: site.parked == 1)
    gate.open()
    for call in calls:
        call.result()
    site.get("/a")
    site.get("/a", headers={"Cache-Control": "no-cache"})
    assert [e.detail for e in events if e.name == "hit"] == ["collapsed", "memory", "validated"]


@REDIS
def test_what_was_stored_before_a_switch_is_not_served_after_it(world: World) -> None:
    """Entries from before a time without regionware are gone, those in Redis too."""
    site = world.site(counting())
    site.get("/a")
    site.rw.memory.clear()
    until(lambda: site.get("/a").hit)
    old = site.get("/a").body
    site.rw.mode = "off"
    site.rw.mode = "on"
    assert int(site.get("/a").body) > int(old)
