"""A client that does not take the end of its response keeps nobody else waiting for it.

Each test has its control: what the others would see if the end were kept when it has been taken.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from regionware.adapters import asgi_response, asgi_standing, wsgi_response
from regionware.caching.filling import Filling
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Gate, Handler, Response, Seen
from tests.conformance.conftest import World
from tests.conformance.harness import Site, until

GUARDED = pytest.mark.parametrize("guarded", [True, False])
TAGGED = Route("/{path:path}", cache=Cache(ttl=60))


def taken_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept before its client has taken it."""

    def plainly(self: asgi_standing.Watched) -> Iterator[Any]:
        yield from self._awaitable.__await__()

    monkeypatch.setattr(asgi_standing.Watched, "__await__", plainly)
    monkeypatch.setattr(wsgi_response.Responder, "_keep", lambda *_: None)


class Listing(Application):
    """Over WSGI it returns all its chunks at once."""

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Any:
        return list(super().wsgi(environ, start_response))


class Writing(Application):
    """Over WSGI it writes."""

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Any:
        writes: list[Any] = []
        for chunk in super().wsgi(environ, lambda *head: writes.append(start_response(*head))):
            writes[0](chunk)
        return []


def announced(*chunks: bytes) -> list[tuple[str, str]]:
    return [("Content-Length", str(sum(map(len, chunks))))]


#: The application's class, its chunks, and how many the client takes before it stands still.
SHAPES = {
    "announced": (Application, Response([b"ma", b"de"], 200, announced(b"made")), 1),
    "one chunk": (Listing, Response([b"made"]), 0),
}


def made(world: World, shape: str) -> tuple[Site, int]:
    kind, response, takes = SHAPES[shape]
    return world.behind(world.regionware(TAGGED), kind(lambda _: response)), takes


@GUARDED
@pytest.mark.parametrize("shape", SHAPES)
def test_the_next_request_is_answered_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch, shape: str, guarded: bool
) -> None:
    if not guarded:
        taken_first(monkeypatch)
    site, takes = made(world, shape)
    gate = Gate()
    slow = site.start("/x", stalls=gate, takes=takes)
    gate.reached()
    other = site.start("/x")
    if guarded:
        assert other.result().hit
        assert not slow.finished.is_set()
    else:
        until(lambda: site.parked == 1)
    gate.open()
    assert slow.result().body == other.result().body == b"made"
    assert len(site.app.calls) == 1
    assert len(site.rw._parts.rim.leases) == 0


@GUARDED
def test_who_waits_already_is_answered_too(
    world: World, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        taken_first(monkeypatch)
    hold, gate = Gate(), Gate()
    response = Response([b"made"], 200, announced(b"made"), hold=hold)
    site = world.site(lambda _: response)
    slow = site.start("/x", stalls=gate)
    hold.reached()
    others = [site.start("/x") for _ in range(5)]
    until(lambda: site.parked == 5)
    hold.open()
    gate.reached()
    if guarded:
        assert {other.result().body for other in others} == {b"made"}
    else:
        assert site.parked == 5
    gate.open()
    assert {call.result().body for call in (slow, *others)} == {b"made"}
    assert len(site.app.calls) == 1


def test_what_a_client_did_not_take_is_stored(world: World) -> None:
    """It leaves while it stands still, and its response was complete."""
    site, takes = made(world, "one chunk")
    gate = Gate()
    leaving = site.start("/x", stalls=gate, takes=takes, leave_after=site.flavour == "wsgi")
    gate.reached()
    gate.open()
    assert leaving.finished.wait(20)
    assert site.get("/x").hit
    site.rw.memory.clear()
    assert site.get("/x").hit is (world.tier == "redis")


@pytest.mark.parametrize("flavour", ["asgi"])
def test_a_request_that_is_cancelled_meanwhile_is_stored_all_the_same(world: World) -> None:
    site, takes = made(world, "one chunk")
    gate = Gate()
    slow = site.start("/x", stalls=gate, takes=takes)
    gate.reached()
    slow.future.cancel()
    assert slow.finished.wait(20)
    gate.open()
    assert site.get("/x").hit
    until(lambda: len(site.rw._parts.rim.leases) == 0)
    assert "lease-lost" not in site.rw.counts()


def test_a_body_that_is_not_over_is_not_kept(world: World) -> None:
    """Without an announced length, nothing but the end says that it is complete."""
    gate = Gate()
    answers = iter([Response([b"ha", b"lf", OSError("it broke")])])
    site = world.site(lambda _: next(answers, Response([b"whole"])))
    slow = site.start("/x", stalls=gate, takes=1)
    gate.reached()
    other = site.start("/x")
    until(lambda: site.parked == 1)
    gate.open()
    with pytest.raises(OSError, match="broke"):
        slow.result()
    assert other.result().body == site.get("/x").body == b"whole"


@pytest.mark.parametrize("flavour", ["wsgi"])
def test_what_is_written_is_kept_before_too(world: World) -> None:
    response = Response([b"made"], 200, announced(b"made"))
    site = world.behind(world.regionware(TAGGED), Writing(lambda _: response))
    assert [site.get("/x").body, site.get("/x").body] == [b"made", b"made"]
    assert len(site.app.calls) == 1


@GUARDED
def test_tags_that_come_after_the_last_octet_count(
    world: World, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        monkeypatch.setattr(Filling, "outdated", lambda *_: False)
    site = world.site(_tagging())
    gate = Gate()
    slow = site.start("/x", stalls=gate)
    gate.reached()
    assert site.get("/x").hit
    if world.tier == "redis":  # without a request that keeps its own promises
        until(lambda: len(site.rw._parts.rim.leases) == 0)
    gate.open()
    assert slow.result().body == b"1"
    site.rw.purge(tags=["late"])
    if world.tier == "redis":
        site.rw.memory.clear()
    assert (site.get("/x").body == b"2") is guarded


def _tagging() -> Handler:
    numbers = iter(range(1, 10))

    def handler(seen: Seen) -> Response:
        state = seen.state
        assert state is not None
        body = b"%d" % next(numbers)
        return Response([body, lambda: state.tag("late")], 200, announced(body))

    return handler


@GUARDED
@pytest.mark.parametrize("slow", [False, True])
def test_an_application_that_fails_after_its_end_has_made_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, slow: bool, guarded: bool
) -> None:
    """All that it had announced is there; then it raises: whoever asks next, asks it again."""
    if not guarded:
        monkeypatch.setattr(asgi_response, "failed", lambda _: False)
        monkeypatch.setattr(wsgi_response, "failed", lambda _: False)
    kept = not guarded and (slow or world.flavour == "wsgi")
    answers = iter([Response([b"made", ValueError("it broke")], 200, announced(b"made"))])
    site = world.site(lambda _: next(answers, Response([b"well"])))
    gate = Gate()
    call = site.start("/x", **({"stalls": gate, "takes": 0} if slow else {}))
    if slow:
        gate.reached()
        gate.open()
    with pytest.raises(ValueError, match="broke"):
        call.result()
    site.rw.memory.clear() if world.tier == "redis" and kept else None
    assert site.get("/x").body == (b"made" if kept else b"well")


class Bare:
    """An iterator of an awaitable that is no generator, as some servers have it."""

    def __init__(self, pauses: int) -> None:
        self.pauses = pauses

    def __await__(self) -> "Bare":
        return self

    def __iter__(self) -> "Bare":
        return self

    def __next__(self) -> None:
        self.pauses -= 1
        if self.pauses < 0:
            raise StopIteration


@pytest.mark.parametrize("pauses", [0, 1, 3])
def test_what_a_server_returns_need_be_no_generator(pauses: int) -> None:
    told: list[bool] = []
    bare: Any = Bare(pauses)  # which typing does not take for an awaitable

    async def send() -> None:
        await asgi_standing.Watched(bare, lambda: told.append(True))

    asyncio.run(send())
    assert told == [True] * bool(pauses)
