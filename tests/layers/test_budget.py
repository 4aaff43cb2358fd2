"""How many round trips other layers cost: a read none, a request that writes one."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker

from regionware.adapters.sqlalchemy import AsyncEngines, Engines, RoutedSession
from regionware.context import Current, bind, unbind
from regionware.database.connection import Databases
from regionware.database.selecting import HostSelector
from regionware.parts.proxy import DelayProxy
from tests.database.conftest import _ready, begin, items, ready, topology
from tests.database.test_budget import INSERT, counted, proxies, quiet, trips

__all__ = ["_ready", "begin", "counted", "items", "proxies", "ready", "topology"]

_NUMBERS = count()
Proxies = tuple[DelayProxy, DelayProxy]


async def _nothing(*_: object) -> None:
    """No purge waits here."""


@pytest.fixture
def engines(counted: Databases) -> Iterator[Engines]:
    made = Engines(HostSelector(counted, lambda *_: None, _nothing))
    yield made
    made.dispose()


def work(engines: Engines, state: Current, statement: str, times: int = 1) -> None:
    token = bind(state)
    for _ in range(times):
        with RoutedSession(engines=engines) as session:
            # Never the same text: preparing it would take a flight.
            session.execute(text(f"{statement} -- {next(_NUMBERS)}"))
            session.commit()
    unbind(token)


def test_a_read_costs_what_it_costs(
    proxies: Proxies, engines: Engines, begin: Callable[..., Current]
) -> None:
    assert trips(proxies, lambda: work(engines, begin(), "SELECT 1")) == (0, 1)


@pytest.mark.parametrize("times", [1, 2])
def test_a_request_that_writes_asks_once(
    proxies: Proxies,
    engines: Engines,
    counted: Databases,
    begin: Callable[..., Current],
    times: int,
) -> None:
    def request() -> None:
        state = begin(access="write")
        work(engines, state, INSERT, times)
        assert state.unasked
        # What `Capture` asks before the head goes out.
        state.learnt(counted.primary_position())
        assert state.written is not None

    # BEGIN, INSERT, COMMIT; and the position.
    assert trips(proxies, request) == (3 * times + 1, 0)


@pytest.mark.parametrize("times", [1, 2])
def test_an_async_request_that_writes_asks_once(
    proxies: Proxies, counted: Databases, begin: Callable[..., Current], times: int
) -> None:
    engines = AsyncEngines(HostSelector(counted, lambda *_: None, _nothing))
    sessions = async_sessionmaker(sync_session_class=RoutedSession, engines=engines)

    async def request(statement: str, *, writes: bool) -> None:
        state = begin(access="write" if writes else "read")
        token = bind(state)
        for _ in range(times):
            async with sessions() as session:
                await session.execute(text(f"{statement} -- {next(_NUMBERS)}"))
                await session.commit()
        unbind(token)
        if writes:
            assert state.unasked
            state.learnt(await counted.aprimary_position())
            assert state.written is not None

    async def run() -> list[tuple[int, int]]:
        found = []
        for statement, writes in (("SELECT 1", False), (INSERT, True)):
            for _ in range(3):
                await asyncio.to_thread(quiet, proxies)
                await request(statement, writes=writes)
            found.append((proxies[0].counters.round_trips, proxies[1].counters.round_trips))
        await engines.dispose()
        await counted.aclose()
        return found

    assert asyncio.run(run()) == [(0, times), (3 * times + 1, 0)]
