"""What ASGI has besides a request and its response."""

import asyncio
from typing import Any

import pytest

from regionware import Regionware, current
from regionware.policies import Cache, Route
from tests.conformance.application import (
    Application,
    Gate,
    Receive,
    Response,
    Scope,
    Send,
    Step,
    text,
)
from tests.conformance.conftest import World
from tests.conformance.harness import Ask, _scope, until

EVERYTHING = Route("/{path:path}", cache=Cache(ttl=60))


@pytest.fixture
def flavour() -> str:
    return "asgi"


@pytest.mark.parametrize("kind", ["lifespan", "websocket", "something-new"])
def test_other_scopes_pass_through_untouched(kind: str) -> None:
    given: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        given.extend((scope, receive, send, await receive(), current()))
        await send({"type": "an answer"})

    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "a message"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": kind, "path": "/x", "headers": [], "state": {}}
    asyncio.run(Regionware(routes=[EVERYTHING]).asgi(app)(scope, receive, send))
    assert given[0] is scope
    assert given[2] is send
    assert given[3:] == [{"type": "a message"}, None]
    assert sent == [{"type": "an answer"}]


def test_a_failing_start_of_the_application_reaches_the_server() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("no lifespan here")

    with pytest.raises(KeyError, match="no lifespan here"):
        asyncio.run(Regionware().asgi(app)({"type": "lifespan"}, None, None))  # type: ignore[arg-type] # never called


@pytest.mark.parametrize("gone", ["head", "body"])
def test_a_cancelled_request_stores_nothing_and_blocks_nobody(world: World, gone: str) -> None:
    gate = Gate()
    steps: list[Step] = [b"one", gate, b"two"]
    site = world.site(lambda _: Response(steps, hold=gate if gone == "head" else None))
    leaving = site.start("/x")
    gate.reached()
    waiting = site.start("/x")
    until(lambda: site.parked == 1)
    leaving.future.cancel()
    leaving.finished.wait()
    gate.open()
    assert waiting.result().body == b"onetwo"
    assert site.get("/x").hit
    assert len(site.app.calls) == 2


def test_a_cancelled_wait_leaves_the_fill_alone(world: World) -> None:
    gate = Gate()
    site = world.site(lambda _: Response([b"one", gate, b"two"]))
    leader = site.start("/x")
    gate.reached()
    waiting, leaving = site.start("/x"), site.start("/x")
    until(lambda: site.parked == 2)
    leaving.future.cancel()
    leaving.finished.wait()
    gate.open()
    assert leader.result().body == waiting.result().body == b"onetwo"
    assert len(site.app.calls) == 1


@pytest.mark.parametrize(
    "last",
    [{"type": "http.response.pathsend", "path": "/f"}, {"type": "http.response.zerocopysend"}],
)
def test_a_body_that_is_not_seen_is_not_stored(last: dict[str, Any]) -> None:
    calls: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send(last)

    async def twice() -> None:
        wrapped = Regionware(routes=[EVERYTHING]).asgi(app)
        for _ in range(2):
            sent: list[Any] = []

            async def send(message: Any, sent: list[Any] = sent) -> None:
                sent.append(message)

            await wrapped(_scope(Ask("/x")), None, send)  # type: ignore[arg-type] # never called
            assert sent[1] == last

    asyncio.run(asyncio.wait_for(twice(), 5))
    assert len(calls) == 2


def test_background_work_after_the_response_delays_nobody(world: World) -> None:
    """Starlette runs background tasks behind the last message."""
    gate = Gate()

    class Busy(Application):
        async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
            await super().asgi(scope, receive, send)
            await gate.await_()

    site = world.behind(world.regionware(EVERYTHING), Busy(lambda _: text("x")))
    busy = site.start("/x")
    gate.reached()
    assert busy.chunks == [b"x"]
    assert site.get("/x").hit
    gate.open()
    busy.result()


def test_two_mounts_of_one_application_have_keys_of_their_own(world: World) -> None:
    site = world.site(lambda seen: text("x"))

    async def mounted(root: str) -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        scope = {**_scope(Ask(f"{root}/x")), "root_path": root}
        await site._asgi(scope, receive, send)
        return sent

    for root in ("/a", "/b", "/a"):
        asyncio.run_coroutine_threadsafe(mounted(root), world._loop.loop).result(10)
    assert [seen.path for seen in site.app.calls] == ["/a/x", "/b/x"]
