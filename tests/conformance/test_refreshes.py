"""Refreshes in the background: how many, what they carry, and what is remembered beside them."""

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route as Path

from regionware import Regionware
from regionware.caching.refusing import BRIEFLY
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Response, Seen, counting, text
from tests.conformance.conftest import Clock, World
from tests.conformance.harness import Site, until

#: Fields that say who somebody is, or that a proxy says it with.
IDENTITIES = (
    "X-Api-Key", "X-Forwarded-User", "X-Auth-Request-Email", "X-Amzn-Oidc-Data", "X-Real-Ip",
    "Cf-Access-Jwt-Assertion", "X-Forwarded-For", "X-Csrf-Token", "Referer", "User-Agent",
    "Cookie", "If-None-Match", "Cache-Control", "Traceparent",
)  # fmt: skip


@pytest.fixture
def tier() -> str:
    """Memory alone: the clock is the test's."""
    return "memory"


def site(world: World, clock: Clock, handler: Any, **cache: Any) -> Site:
    cache = {"ttl": 10, "stale_while_revalidate": 1000, "cookies": "ignore", **cache}
    return world.site(handler, Route("/{path:path}", cache=Cache(**cache)), clock=clock)


def refreshed(one: Site, clock: Clock, headers: dict[str, str], path: str = "/x") -> Seen:
    """What the application sees of a refresh that a request with these fields causes."""
    one.get(path, headers=headers)
    clock.now += 20
    calls = len(one.app.calls)
    assert one.get(path, headers=headers).hit
    until(lambda: len(one.app.calls) > calls)
    return one.app.calls[-1]


# How many


def test_of_a_burst_only_what_there_is_no_room_for_is_given_up(clock: Clock) -> None:
    """40 stale hits in one step of an event loop: 32 are refreshed, and no flight is left."""
    policy = Cache(ttl=10, stale_while_revalidate=1000)
    rw = Regionware(routes=[Route("/{path:path}", cache=policy)], clock=clock)
    rw._parts.prepared.random = lambda: 0.0
    origin = Application(counting())
    app = rw.asgi(origin.asgi)

    async def burst() -> int:
        calls = len(origin.calls)
        await asyncio.gather(*(_ask(app, f"/{n}") for n in range(40)))
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(rw._parts.rim._flights) == 0
        clock.now += 20
        return len(origin.calls) - calls

    async def bursts() -> list[int]:
        return [await burst() for _ in range(3)]

    # And the next time there is room again.
    assert asyncio.run(bursts()) == [40, 32, 32]


async def _ask(app: Any, path: str) -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    await app(_scope(path), receive, send)
    return sent


def _scope(path: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> dict[str, Any]:
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "headers": [(b"host", b"site.test"), *headers],
        "client": ("192.0.2.9", 40000), "server": ("127.0.0.1", 80),
    }  # fmt: skip


def test_a_stale_hit_is_answered_where_no_thread_can_be_started(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = site(world, clock, counting())
    bodies = [one.get(f"/{n}").body for n in range(40)]
    clock.now += 20
    start = threading.Thread.start

    def refusing(self: threading.Thread) -> None:
        if self.name.startswith("regionware"):
            raise RuntimeError("can't start new thread")
        start(self)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refusing)
        assert [one.get(f"/{n}").body for n in range(40)] == bodies
    clock.now += 20
    # Once there are threads again, it refreshes as before.
    until(lambda: one.get("/0").body != bodies[0])


# What they carry


@pytest.mark.parametrize("guarded", [True, False])
def test_a_refresh_carries_no_identity(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        everything = frozenset(name.lower() for name in IDENTITIES)
        monkeypatch.setattr("regionware.exchange.carried", lambda _: everything)
    one = site(world, clock, counting())
    told = refreshed(one, clock, dict.fromkeys(IDENTITIES, "eve"))
    carried = {name for name, value in told.headers.items() if "eve" in value}
    assert bool(carried) is not guarded


def test_a_refresh_carries_what_its_answer_is_stored_under(world: World, clock: Clock) -> None:
    def answer(seen: Seen) -> Response:
        return text(seen.path, Vary="X-Device, Accept-Language")

    one = site(
        world, clock, answer,
        by=["X-Tenant", lambda request: request.header("x-plan") or ""],
        vary=["X-Form"], cookies=["currency"],
    )  # fmt: skip
    fields = {
        "X-Tenant": "acme", "X-Plan": "gold", "X-Form": "short", "X-Device": "phone",
        "Accept-Language": "de", "Cookie": "currency=EUR", "Accept": "text/html", "X-Other": "eve",
    }  # fmt: skip
    told = refreshed(one, clock, fields).headers
    fields.pop("X-Other")
    assert {n: v for n, v in told.items() if n != "host"} == {
        n.lower(): v for n, v in fields.items()
    }
    assert told["host"] == "site.test"


@pytest.mark.parametrize("guarded", [True, False])
def test_what_a_refresh_did_not_carry_selects_no_variant(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """The application begins to vary on a field that it has not seen of this request."""
    if not guarded:
        monkeypatch.setattr(
            "regionware.caching.keeping.Keeping.carries", property(lambda _: None, lambda *_: None)
        )
    varies: list[tuple[str, str]] = []
    one = site(
        world, clock,
        lambda seen: Response([seen.headers.get("x-device", "none").encode()], headers=varies),
    )  # fmt: skip
    one.get("/x")
    clock.now += 20
    varies.append(("Vary", "X-Device"))
    phone = {"X-Device": "phone"}
    assert one.get("/x", headers=phone).body == b"none"
    until(lambda: len(one.app.calls) == 2)
    until(lambda: len(one.rw._parts.rim._flights) == 0)
    assert (one.get("/x", headers=phone).body == b"phone") is guarded
    assert one.get("/x").body == b"none"


def test_a_refresh_finds_the_application_that_it_is_a_middleware_of(clock: Clock) -> None:
    """Starlette, FastAPI: `request.app`, as `url_for` and templates need it."""
    seen: list[dict[str, Any]] = []

    async def page(request: Request) -> PlainTextResponse:
        assert request.app is app
        seen.append({"user": request.scope.get("user"), "url": str(request.url_for("page"))})
        return PlainTextResponse(str(len(seen)))

    async def run() -> None:
        await _ask(app, "/x")
        clock.now += 20
        await _ask(outer, "/x")
        for _ in range(200):
            await asyncio.sleep(0)
        last = await _ask(app, "/x")
        assert last[1]["body"] == b"2"

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "user": "eve", "auth": "eve"}, receive, send)

    policy = Cache(ttl=10, stale_while_revalidate=100)
    rw = Regionware(routes=[Route("/{path:path}", cache=policy)], clock=clock)
    app = Starlette(routes=[Path("/x", page, name="page")])
    app.add_middleware(rw.asgi)
    asyncio.run(run())
    assert seen == [{"user": None, "url": "http://site.test/x"}] * 2
    assert not [name for name in rw.counts() if name.startswith("refresh-failed")]


# What is remembered


def test_what_is_not_stored_for_the_moment_is_remembered_briefly(
    world: World, clock: Clock
) -> None:
    answers = {"status": 302}
    one = site(world, clock, lambda _: Response([b"x"], answers["status"]))
    assert one.get("/x").cache_status == {"fwd": "miss", "detail": "status"}
    assert one.get("/x").cache_status["detail"] == "uncacheable"
    clock.now += BRIEFLY
    assert one.get("/x").cache_status == {"fwd": "miss", "detail": "status"}
    # The first answer that can be stored ends it.
    answers["status"] = 200
    assert "stored" in one.get("/x").cache_status
    assert one.get("/x").hit


@pytest.mark.parametrize("guarded", [True, False])
def test_that_does_not_take_the_place_of_other_variants(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        monkeypatch.setattr("regionware.caching.refusing.Variants", _Nothing)

    def answer(seen: Seen) -> Response:
        return text("x", 302 if seen.headers.get("x-device") else 200, Vary="X-Device")

    one = site(world, clock, answer)
    one.get("/x")
    assert one.get("/x", headers={"X-Device": "phone"}).status == 302
    assert one.get("/x").hit is guarded


class _Nothing:
    """Nothing is one of these."""


@pytest.mark.parametrize("guarded", [True, False])
def test_nor_of_what_is_served_while_it_is_refreshed(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """The refresh is answered with a redirection; what is stale is served as the policy allows."""
    if not guarded:
        monkeypatch.setattr("regionware.caching.refusing.Refusing._is_served", lambda *_: False)
    statuses = iter([200])
    one = site(world, clock, lambda _: Response([b"x"], next(statuses, 302)))
    one.get("/x")
    clock.now += 20
    assert one.get("/x").hit
    until(lambda: len(one.app.calls) == 2)
    until(lambda: len(one.rw._parts.rim._flights) == 0)
    assert one.get("/x").hit is guarded
