"""Whether code sees the request that it works for, wherever Python may run it.

For every boundary: what is seen beyond it, and whether what is done there (a tag, a committed
write) has been done by the request. Some boundaries copy the context; where they do not, nothing is
seen, so that reads are strong, unless the function is wrapped by `regionware.propagate`. That half
of the table is the positive control of the other.
"""

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import anyio.to_thread
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route as StarletteRoute

import regionware
from regionware import Regionware, Topology, propagate
from regionware.parts.postgres import Cluster
from tests.conformance.application import DEADLINE, Application, Receive, Scope, Send
from tests.conformance.harness import Answer, Loop
from tests.rig import Rig
from tests.sessions.conftest import ready
from tests.sessions.shop import SECRET

READ = "SELECT pg_is_in_recovery()"
WRITE = "UPDATE goods SET value = value + 1 WHERE id = %s"

Look = Callable[[], object]
ALook = Callable[[], Coroutine[Any, Any, None]]
Place = Callable[[Look, ALook], None]
APlace = Callable[[Look, ALook], Awaitable[None]]


class Found(NamedTuple):
    """What was seen beyond a boundary: a state, and whether a replica answers."""

    state: regionware.Current | None
    replica: bool


class Witness(Application):
    """An application that looks around beyond a boundary, and tags and writes there."""

    def __init__(self, rw: Regionware, item: int) -> None:
        super().__init__(lambda _: (_ for _ in ()).throw(NotImplementedError))
        self.rw = rw
        self.item = item
        self.place: Any = None
        self.late = False
        self.propagated = False
        self.state: regionware.Current | None = None
        self.found: list[Found] = []

    def look(self) -> None:
        state = regionware.current()
        if state is not None:
            state.tag("there")
        with self.rw.connection() as connection:
            ((replica,),) = connection.execute(READ).fetchall()
        with self.rw.connection(access="write") as connection:
            connection.execute(WRITE, (self.item,))
        assert regionware.current() is state
        self.found.append(Found(state, replica))

    async def alook(self) -> None:
        state = regionware.current()
        if state is not None:
            state.tag("there")
        async with self.rw.connection() as connection:
            ((replica,),) = await (await connection.execute(READ)).fetchall()
        async with self.rw.connection(access="write") as connection:
            await connection.execute(WRITE, (self.item,))
        assert regionware.current() is state
        self.found.append(Found(state, replica))

    async def briefly(self) -> None:
        """In a loop that ends at once, which must not own any connection."""
        self.look()

    def looks(self) -> tuple[Look, ALook]:
        alook = self.briefly if self.place in BRIEF else self.alook
        if self.propagated:
            return propagate(self.look), propagate(alook)
        return self.look, alook

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.state = regionware.current()
        if not self.late:
            await self.place(*self.looks())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        if self.late:
            await self.place(*self.looks())
        await send({"type": "http.response.body", "body": b"last"})

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Any:
        self.state = regionware.current()
        if not self.late:
            self.place(*self.looks())
        start_response("200 OK", [])
        return self._body()

    def _body(self) -> Iterator[bytes]:
        """A server iterates over this when the application has returned."""
        yield b"first"
        if self.late:
            self.place(*self.looks())
        yield b"last"


# Boundaries that asynchronous code may cross


async def awaits(_: Look, alook: ALook) -> None:
    await alook()


async def creates_a_task(_: Look, alook: ALook) -> None:
    await asyncio.create_task(_coroutine(alook))


async def gathers(_: Look, alook: ALook) -> None:
    await asyncio.gather(alook(), alook())


async def waits_for(_: Look, alook: ALook) -> None:
    await asyncio.wait_for(alook(), DEADLINE)


async def opens_a_task_group(_: Look, alook: ALook) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_coroutine(alook))


async def opens_anyios_task_group(_: Look, alook: ALook) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(alook)


async def calls_soon(look: Look, _: ALook) -> None:
    done = asyncio.Event()

    def call() -> None:
        look()
        done.set()

    asyncio.get_running_loop().call_soon(call)
    await done.wait()


async def makes_async(look: Look, _: ALook) -> None:
    await sync_to_async(look)()


async def makes_async_in_any_thread(look: Look, _: ALook) -> None:
    await sync_to_async(look, thread_sensitive=False)()


async def gathers_what_it_made_async(look: Look, _: ALook) -> None:
    work = sync_to_async(look, thread_sensitive=False)
    await asyncio.gather(work(), work())


async def makes_async_what_is_made_sync(_: Look, alook: ALook) -> None:
    await sync_to_async(async_to_sync(_coroutine))(alook)


async def goes_to_a_thread(look: Look, _: ALook) -> None:
    await asyncio.to_thread(look)


async def goes_to_anyios_thread(look: Look, _: ALook) -> None:
    await anyio.to_thread.run_sync(look)


async def goes_to_another_loop(_: Look, alook: ALook) -> None:
    """A loop of another thread; the context is that of who calls."""
    other = asyncio.new_event_loop()
    thread = threading.Thread(target=other.run_forever)
    thread.start()
    try:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_coroutine(alook), other))
    finally:
        other.call_soon_threadsafe(other.stop)
        await asyncio.to_thread(thread.join)
        other.close()


async def calls_starlettes_endpoint(look: Look, _: ALook) -> None:
    def endpoint(_: Request) -> Response:
        look()
        return PlainTextResponse("")

    await _starlette(endpoint)


async def calls_an_endpoint_behind_a_middleware(look: Look, _: ALook) -> None:
    def endpoint(_: Request) -> Response:
        look()
        return PlainTextResponse("")

    async def dispatch(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Any:
        return await call(request)

    await _starlette(endpoint, Middleware(BaseHTTPMiddleware, dispatch=dispatch))


async def leaves_it_to_a_background_task(look: Look, _: ALook) -> None:
    def endpoint(_: Request) -> Response:
        return PlainTextResponse("", background=BackgroundTask(look))

    await _starlette(endpoint)


async def runs_in_an_executor(look: Look, _: ALook) -> None:
    await asyncio.get_running_loop().run_in_executor(None, look)


async def submits_to_an_executor(look: Look, _: ALook) -> None:
    with ThreadPoolExecutor(1) as pool:
        await asyncio.wrap_future(pool.submit(look))


async def starts_a_thread(look: Look, _: ALook) -> None:
    thread = threading.Thread(target=look)
    thread.start()
    await asyncio.to_thread(thread.join)


async def starts_a_loop_in_a_thread(_: Look, alook: ALook) -> None:
    thread = threading.Thread(target=partial(_run, alook))
    thread.start()
    await asyncio.to_thread(thread.join)


async def _coroutine(alook: ALook) -> None:
    await alook()


async def _starlette(endpoint: Callable[[Request], Response], *middleware: Middleware) -> None:
    app = Starlette(routes=[StarletteRoute("/", endpoint)], middleware=middleware)
    scope = {
        "type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [],
        "server": ("site.test", 80), "scheme": "http",
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Any) -> None:
        pass

    await app(scope, receive, send)


# Boundaries that synchronous code may cross


def calls(look: Look, _: ALook) -> None:
    look()


def iterates(look: Look, _: ALook) -> None:
    for _once in (look() for _ in range(1)):
        pass


def makes_sync(_: Look, alook: ALook) -> None:
    async_to_sync(_coroutine)(alook)


def runs_a_loop(_: Look, alook: ALook) -> None:
    _run(alook)


def submits(look: Look, _: ALook) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(look).result(DEADLINE)


def maps(look: Look, _: ALook) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: look(), range(1)))


def maps_twice(look: Look, _: ALook) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda work: work(), [look, look]))


def starts_it(look: Look, _: ALook) -> None:
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()


def sets_a_timer(look: Look, _: ALook) -> None:
    timer = threading.Timer(0, look)
    timer.start()
    timer.join()


def starts_it_with_a_loop(_: Look, alook: ALook) -> None:
    thread = threading.Thread(target=partial(_run, alook))
    thread.start()
    thread.join()


def _run(alook: ALook) -> None:
    asyncio.run(_coroutine(alook))


COPIES = [
    awaits, creates_a_task, gathers, waits_for, opens_a_task_group, opens_anyios_task_group,
    calls_soon, makes_async, makes_async_in_any_thread, gathers_what_it_made_async,
    makes_async_what_is_made_sync, goes_to_a_thread, goes_to_anyios_thread, goes_to_another_loop,
    calls_starlettes_endpoint, calls_an_endpoint_behind_a_middleware,
    leaves_it_to_a_background_task,
    calls, iterates, makes_sync, runs_a_loop,
]  # fmt: skip
DOES_NOT = [
    runs_in_an_executor, submits_to_an_executor, starts_a_thread, starts_a_loop_in_a_thread,
    submits, maps, maps_twice, starts_it, sets_a_timer, starts_it_with_a_loop,
]  # fmt: skip

ROWS = [
    pytest.param("asgi" if asyncio.iscoroutinefunction(place) else "wsgi", place, id=place.__name__)
    for place in (*COPIES, *DOES_NOT)
]
BRIEF = {
    goes_to_another_loop, starts_a_loop_in_a_thread, starts_it_with_a_loop, makes_sync, runs_a_loop,
}  # fmt: skip


@pytest.fixture(scope="module")
def worker(without_redis: Topology, loop: Loop) -> Iterator[Regionware]:
    """One for all rows."""
    rw = ready(Regionware(topology=without_redis, secret=SECRET))
    yield rw
    asyncio.run_coroutine_threadsafe(rw.aclose(), loop.loop).result(DEADLINE)


@pytest.fixture(name="visit")
def _visit(rig: Rig, worker: Regionware, item: int) -> Callable[..., tuple[Witness, Answer]]:
    """Have one request cross a boundary."""

    def visit(place: Place | APlace, **options: bool) -> tuple[Witness, Answer]:
        witness = Witness(worker, item)
        witness.place = place
        for name, value in options.items():
            setattr(witness, name, value)
        return witness, rig.site(witness.rw, witness).get("/x")

    return visit


@pytest.mark.parametrize("late", [False, True], ids=["handler", "body"])
@pytest.mark.parametrize("propagated", [False, True], ids=["plain", "propagated"])
@pytest.mark.parametrize(("flavour", "place"), ROWS)
def test_matrix(
    visit: Callable[..., tuple[Witness, Answer]],
    caplog: pytest.LogCaptureFixture,
    place: Any,
    propagated: bool,
    late: bool,
) -> None:
    sees = propagated or place in COPIES
    with caplog.at_level(logging.WARNING, "regionware"):
        witness, answer = visit(place, propagated=propagated, late=late)
    state = witness.state
    assert state is not None
    assert answer.body == b"firstlast"
    assert {id(found.state) for found in witness.found} == {id(state if sees else None)}
    # A session's read is a replica's; what sees no session reads from the primary.
    assert witness.found[0].replica is sees
    # What was done there was done by the request.
    assert state.tags == ({"there"} if sees else set())
    assert (state.written is not None) is sees
    assert state.writes == (len(witness.found) if sees else 0)
    # Its session is told, unless the head had been sent.
    assert bool(answer.all("set-cookie")) is (sees and not late)
    assert ("the session cannot be told" in caplog.text) is (sees and late)


def test_greenlets(postgres: Cluster, item: int) -> None:
    """With the server of gevent, and all requests at once."""
    program = Path(__file__).with_name("greenlets.py")
    urls = (postgres.url, postgres.replicas["fra"].url)
    command = [sys.executable, "-m", "gevent.monkey", str(program), *urls, str(item)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    yes = dict.fromkeys(("sees", "replica", "tagged", "written", "token"), True)
    no = dict.fromkeys(yes, False)
    assert json.loads(done.stdout) == {
        "/here": {**yes, "none": False},
        "/here?propagate": {**yes, "none": False},
        "/spawn": {**no, "none": True},
        "/spawn?propagate": {**yes, "none": False},
        "/pool": {**no, "none": True},
        "/pool?propagate": {**yes, "none": False},
        "/threadpool": {**no, "none": True},
        "/threadpool?propagate": {**yes, "none": False},
    }
