"""`propagate`: what it wraps, and what it leaves alone; the matrix shows where it is needed."""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import pytest

import regionware
from regionware import Region, Regionware, Topology, propagate
from regionware.context import HostRead
from regionware.database.position import Position
from regionware.database.selector import Reason
from tests.conformance.application import Application, Receive, Scope, Send
from tests.rig import Rig

USE = HostRead("fra/primary", "primary", "write", Reason.WRITE, None, None)


def test_outside_of_a_request_nothing_is_wrapped() -> None:
    """So that a function wrapped at import sees whatever request calls it."""
    assert propagate(regionware.current) is regionware.current


def test_a_function_stays_what_it_was() -> None:
    async def work(number: int) -> int:
        """Document it."""
        return number

    with Regionware().bind():
        wrapped, plain = propagate(work), propagate(int)
    assert inspect.iscoroutinefunction(wrapped)
    assert (wrapped.__name__, wrapped.__doc__) == ("work", "Document it.")
    assert asyncio.run(wrapped(number=3)) == 3
    assert plain("3") == 3


class Caller:
    async def __call__(self) -> regionware.Current | None:
        await asyncio.sleep(0)
        return regionware.current()


def test_what_is_async_all_the_same() -> None:
    async def work(_: int) -> regionware.Current | None:
        await asyncio.sleep(0)
        return regionware.current()

    with Regionware().bind() as state:
        wrapped: list[Callable[[], Any]] = [propagate(Caller()), propagate(partial(work, 1))]
    for each in wrapped:
        assert asyncio.run(each()) is state


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [generator, async_generator])
def test_a_generator_function_is_refused(function: Any) -> None:
    """Its code would run after the call, without the state."""
    with Regionware().bind(), pytest.raises(TypeError, match="iterate"):
        propagate(function)


def test_a_thread_is_given_back_as_it_was() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with ThreadPoolExecutor(1) as pool:
        with Regionware().bind() as state:
            assert pool.submit(propagate(regionware.current)).result() is state
            assert pool.submit(regionware.current).result() is None
            with pytest.raises(ZeroDivisionError):
                pool.submit(propagate(fail)).result()
        assert pool.submit(regionware.current).result() is None


def test_many_at_once() -> None:
    """Threads of one request meet in one state, which loses nothing."""
    barrier = Barrier(8)

    def work(number: int) -> None:
        barrier.wait(20)
        state = regionware.current()
        assert state is not None
        for step in range(200):
            state.tag(f"{number}-{step}")
            state.wrote(USE, Position(1, 1000 * number + step))

    with ThreadPoolExecutor(8) as pool, Regionware().bind() as state:
        list(pool.map(propagate(work), range(8)))
    assert len(state.tags) == 8 * 200 == state.writes == len(state.hosts)
    assert state.written == Position(1, 7199)


class Late(Application):
    """Writes when the head has left, and asks for its state before that, or not."""

    def __init__(self, *, asks: bool) -> None:
        super().__init__(lambda _: (_ for _ in ()).throw(NotImplementedError))
        self.asks = asks

    def write(self) -> None:
        state = regionware.current()
        assert state is not None
        state.wrote(USE, Position(1, 1))

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.asks:
            regionware.current()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        self.write()
        await send({"type": "http.response.body", "body": b"late"})

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Any:
        if self.asks:
            regionware.current()
        start_response("200 OK", [])
        self.write()
        return [b"late"]


@pytest.mark.parametrize("asks", [False, True], ids=["first", "again"])
def test_a_write_after_the_head(rig: Rig, caplog: pytest.LogCaptureFixture, asks: bool) -> None:
    """It is told, even if nobody had asked for the state while there was time."""
    topology = Topology(here="here", regions=[Region("here", primary=True)])
    site = rig.site(rig.worker(topology), Late(asks=asks))
    with caplog.at_level(logging.WARNING, "regionware"):
        assert site.get("/x").body == b"late"
    assert "a write after the head of the response" in caplog.text
