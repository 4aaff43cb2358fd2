"""Wherever a request's code runs, it is that request's: its state, and the host it is given.

The route is a session's, so that a read is the replica's inside the request, and the primary's
outside of one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Thread
from typing import Any, NamedTuple

import anyio
import anyio.to_thread
import pytest
from asgiref.sync import async_to_sync, sync_to_async

import regionware
from regionware import Regionware
from regionware.policies import Route
from tests.conformance.application import Application, Receive, Scope, Send
from tests.conformance.harness import Site
from tests.rig import Rig
from tests.sessions.conftest import Open, ready
from tests.sessions.shop import SECRET

READ = "SELECT pg_is_in_recovery()"
WRITE = "UPDATE goods SET value = value + 1 WHERE id = %s"


class Found(NamedTuple):
    """What code sees of its request: its state, and whether a replica answers."""

    state: regionware.Current | None
    replica: bool


Look = Callable[[], Found]
ALook = Callable[[], Awaitable[Found]]


class Witness(Application):
    """An application that looks around in some place, and writes there if it is told to."""

    def __init__(self, rw: Regionware, item: int) -> None:
        super().__init__(lambda _: (_ for _ in ()).throw(NotImplementedError))
        self.rw = rw
        self.item = item
        self.state: regionware.Current | None = None
        self.found: list[Found] = []
        self.place: Callable[[Look], Found] = lambda look: look()
        self.aplace: Callable[[ALook, Look], Awaitable[Found]] = lambda look, _: look()
        self.late = False
        self.writes = False

    def look(self) -> Found:
        with self.rw.connection() as connection:
            ((replica,),) = connection.execute(READ).fetchall()
        if self.writes:
            with self.rw.connection(access="write") as connection:
                connection.execute(WRITE, (self.item,))
        return Found(regionware.current(), replica)

    async def alook(self) -> Found:
        async with self.rw.connection() as connection:
            ((replica,),) = await (await connection.execute(READ)).fetchall()
        if self.writes:
            async with self.rw.connection(access="write") as connection:
                await connection.execute(WRITE, (self.item,))
        return Found(regionware.current(), replica)

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.state = regionware.current()
        if not self.late:
            self.found.append(await self.aplace(self.alook, self.look))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        if self.late:
            self.found.append(await self.aplace(self.alook, self.look))
        await send({"type": "http.response.body", "body": b"last"})

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Any:
        self.state = regionware.current()
        if not self.late:
            self.found.append(self.place(self.look))
        start_response("200 OK", [])
        return self._body()

    def _body(self) -> Iterator[bytes]:
        yield b"first"
        if self.late:
            self.found.append(self.place(self.look))
        yield b"last"


# Places in asynchronous code


async def in_a_task(look: ALook, _: Look) -> Found:
    return await asyncio.create_task(_coroutine(look))


async def in_gather(look: ALook, _: Look) -> Found:
    return (await asyncio.gather(look(), asyncio.sleep(0)))[0]


async def in_wait_for(look: ALook, _: Look) -> Found:
    return await asyncio.wait_for(look(), 20)


async def in_a_task_group(look: ALook, _: Look) -> Found:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_coroutine(look))
    return task.result()


async def in_anyios_task_group(look: ALook, _: Look) -> Found:
    found: list[Found] = []

    async def work() -> None:
        found.append(await look())

    async with anyio.create_task_group() as group:
        group.start_soon(work)
    return found[0]


async def in_to_thread(_: ALook, look: Look) -> Found:
    return await asyncio.to_thread(look)


async def in_anyios_thread(_: ALook, look: Look) -> Found:
    return await anyio.to_thread.run_sync(look)


async def in_sync_to_async(_: ALook, look: Look) -> Found:
    return await sync_to_async(look)()


async def in_sync_to_async_of_any_thread(_: ALook, look: Look) -> Found:
    return await sync_to_async(look, thread_sensitive=False)()


async def in_an_executor_with_a_context(_: ALook, look: Look) -> Found:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, copy_context().run, look)


async def in_async_to_sync_in_a_thread(look: ALook, _: Look) -> Found:
    return await asyncio.to_thread(async_to_sync(look))


async def _coroutine(look: ALook) -> Found:
    return await look()


async def outside_in_an_executor(_: ALook, look: Look) -> Found:
    return await asyncio.get_running_loop().run_in_executor(None, look)


async def outside_in_a_thread(_: ALook, look: Look) -> Found:
    return await asyncio.to_thread(in_a_raw_thread, look)


# Places in synchronous code


def in_an_executor(look: Look) -> Found:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, look).result()


def in_a_thread(look: Look) -> Found:
    return in_a_raw_thread(partial(copy_context().run, look))


def in_a_generator(look: Look) -> Found:
    return next(look() for _ in range(1))


def in_a_raw_thread(look: Look) -> Found:
    found: list[Found] = []
    thread = Thread(target=lambda: found.append(look()))
    thread.start()
    thread.join()
    return found[0]


def in_a_raw_executor(look: Look) -> Found:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(look).result()


INSIDE = [
    in_a_task, in_gather, in_wait_for, in_a_task_group, in_anyios_task_group, in_to_thread,
    in_anyios_thread, in_sync_to_async, in_sync_to_async_of_any_thread,
    in_an_executor_with_a_context, in_async_to_sync_in_a_thread,
    in_an_executor, in_a_thread, in_a_generator,
]  # fmt: skip
OUTSIDE = [outside_in_an_executor, outside_in_a_thread, in_a_raw_thread, in_a_raw_executor]


def each(places: Sequence[Any]) -> pytest.MarkDecorator:
    """Every place, in the protocol whose code can be there."""
    asynchronous = asyncio.iscoroutinefunction
    pairs = [("asgi" if asynchronous(place) else "wsgi", place) for place in places]
    names = [place.__name__ for place in places]
    return pytest.mark.parametrize(("flavour", "place"), pairs, ids=names)


@pytest.fixture
def witness(rig: Rig, open_shop: Open, item: int) -> Witness:
    topology = open_shop().rw.topology
    return Witness(ready(rig.worker(topology, Route("/x"), secret=SECRET)), item)


def visit(rig: Rig, witness: Witness, place: Any) -> Site:
    """Put the witness into a place."""
    if rig.flavour == "asgi":
        witness.aplace = place
    else:
        witness.place = place
    return rig.site(witness.rw, witness)


@pytest.mark.parametrize("late", [False, True], ids=["handler", "body"])
@each(INSIDE)
def test_inside(rig: Rig, witness: Witness, place: Any, late: bool) -> None:
    witness.late = late
    visit(rig, witness, place).get("/x")
    (found,) = witness.found
    assert witness.state is not None
    assert found == (witness.state, True)
    assert [use.role for use in witness.state.hosts] == ["replica"]


@each(OUTSIDE)
def test_outside(rig: Rig, witness: Witness, place: Any) -> None:
    """The positive control: where no context is copied, there is no request."""
    visit(rig, witness, place).get("/x")
    assert witness.found == [(None, False)]
    assert witness.state is not None
    assert witness.state.hosts == ()


@each(INSIDE)
def test_what_was_written_there_is_owed_to_the_session(
    rig: Rig, witness: Witness, place: Any
) -> None:
    witness.writes = True
    answer = visit(rig, witness, place).get("/x")
    assert answer.all("set-cookie")


@each(OUTSIDE)
def test_what_was_written_elsewhere_is_not(rig: Rig, witness: Witness, place: Any) -> None:
    witness.writes = True
    answer = visit(rig, witness, place).get("/x")
    assert answer.all("set-cookie") == []


def test_nothing_is_left_of_a_request(rig: Rig, witness: Witness) -> None:
    """Threads and tasks serve one request after the other."""
    site = rig.site(witness.rw, witness)
    for _ in range(20):
        site.get("/x")
    assert len({id(found.state) for found in witness.found}) == 20
    assert regionware.current() is None

    async def elsewhere() -> regionware.Current | None:
        return regionware.current()

    assert rig.run(elsewhere()) is None


def test_concurrent_requests_keep_theirs(rig: Rig, witness: Witness) -> None:
    site = rig.site(witness.rw, witness)
    for call in [site.start("/x") for _ in range(30)]:
        assert call.result().body == b"firstlast"
    assert len({id(found.state) for found in witness.found}) == 30
    assert all(found.replica for found in witness.found)
