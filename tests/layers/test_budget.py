"""How many round trips other layers cost: a read none, a request that writes one."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from sqlalchemy import text

from regionware.adapters.sqlalchemy import Engines, RoutedSession
from regionware.context import Current, bind, unbind
from regionware.database.connection import Databases
from regionware.database.selecting import HostSelector
from regionware.parts.proxy import DelayProxy
from tests.database.conftest import _ready, begin, items, ready, topology
from tests.database.test_budget import counted, proxies, trips

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
        work(engines, state, "INSERT INTO items (value) VALUES (1)", times)
        assert state.unasked
        # What `Capture` asks before the head goes out.
        state.learnt(counted.primary_position())
        assert state.written is not None

    # BEGIN, INSERT, COMMIT; and the position.
    assert trips(proxies, request) == (3 * times + 1, 0)
