"""What `rw.selector` chooses, and what it makes of what it is told."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from regionware import PrimaryUnavailable, Regionware, current
from regionware.adapters.sqlalchemy import Engines, RoutedSession
from regionware.caching.purging import Purged
from regionware.context import Current, bind, open_writes, unbind
from regionware.database.position import Position
from regionware.policies import Database
from tests.layers.conftest import Work

FAR = Position(1, 1 << 60)
Within = Callable[..., Current]


@pytest.fixture
def rw(worker: Work) -> Regionware:
    return worker()


@pytest.fixture
def within(rw: Regionware) -> Iterator[Within]:
    """Binds the state of a request, for the rest of a test."""
    tokens = []

    def within(database: Database | None = None, *, need: Position | None = None) -> Current:
        here = rw.topology.here
        state = Current(
            region=here, here=here, method="GET", route="/", access="read",
            database=database or Database.session(), need=need,
        )  # fmt: skip
        tokens.append(bind(state))
        return state

    yield within
    for token in reversed(tokens):
        unbind(token)


def test_a_host_that_would_have_to_be_asked_is_not_chosen(rw: Regionware, within: Within) -> None:
    within()
    assert rw.selector.choose().host == "fra/replica-1"
    within(need=FAR)
    choice = rw.selector.choose()
    assert (choice.host, choice.access, choice.reason) == ("iad/primary", "read", "behind")


def test_a_host_that_has_failed_is_not_chosen(rw: Regionware, within: Within) -> None:
    state = within()
    assert rw.selector.choose(without=["fra/replica-1"]).host == "iad/primary"
    with pytest.raises(PrimaryUnavailable) as refused:
        rw.selector.choose(access="write", without=["iad/primary"])
    assert state.unavailable is refused.value


def test_the_end_of_a_transaction_is_told_once(rw: Regionware, within: Within) -> None:
    state = within()
    choice = rw.selector.choose(access="write")
    write = rw.selector.begin()
    write.end("rolled-back", choice)
    write.end("committed", choice)
    assert (state.writes, state.deferred) == (0, [])
    rw.selector.begin().end("committed", choice, FAR)
    assert (state.writes, state.lost, state.unasked, state.written) == (1, False, False, FAR)
    rw.selector.begin().end("unknown", choice)
    assert (state.writes, state.lost, state.unasked) == (2, True, False)
    # What is learnt later says nothing of a commit that may not be over yet.
    state.learnt(FAR)
    assert state.lost


def test_a_purge_waits_outside_of_a_request_too(rw: Regionware) -> None:
    assert current() is None
    write = rw.selector.begin()
    waiting = rw.purge(tags=["x"])
    assert isinstance(waiting, Purged)
    assert waiting.deferred
    write.end("rolled-back")
    assert open_writes.get() == ()
    assert not rw.purge(tags=["x"]).deferred


def test_nothing_escalates_that_nobody_declared(rw: Regionware, within: Within) -> None:
    assert not rw.selector.escalate("INSERT", "x", first=True)
    state = within()
    assert not rw.selector.escalate("INSERT", "x", first=True)
    assert rw.counts().get("read-write:refused") is None
    assert not rw.selector.escalate("INSERT", "x", first=False)
    assert rw.counts()["read-write:refused"] == 1
    assert rw.selector.access() == state.access == "read"


def test_the_bound_of_what_a_session_reads(rw: Regionware, within: Within) -> None:
    engines = Engines(rw.selector)
    state = within()
    with RoutedSession(engines=engines) as session:
        session.execute(text("SELECT 1"))
        session.execute(text("SELECT 2"))
    (use,) = state.hosts
    assert (use.host, use.access) == ("fra/replica-1", "read")
    assert state.lower == use.position is not None
    strong = within(Database.primary())
    with RoutedSession(engines=engines) as session:
        session.execute(text("SELECT 1"))
    assert ([use.host for use in strong.hosts], strong.lower) == (["iad/primary"], None)
    engines.dispose()
