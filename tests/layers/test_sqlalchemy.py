"""SQLAlchemy's sessions over a real primary and its replica, over WSGI and ASGI."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import sessionmaker

from regionware import Regionware
from regionware.adapters.sqlalchemy import AsyncEngines, Engines, RoutedSession
from regionware.parts.postgres import Cluster
from regionware.selection import Choice
from tests.conformance.application import DEADLINE
from tests.conformance.harness import Flavour, Loop
from tests.layers.alchemy import Loops, Threads
from tests.layers.common import (
    test_a_commit_of_unknown_outcome,
    test_a_position_that_nobody_asked_keeps_the_session_on_the_primary,
    test_a_purge_is_sent_after_the_commit,
    test_a_purge_waits_for_the_commit_and_the_refill_has_it,
    test_a_read_whose_session_no_replica_has_reached,
    test_a_session_reads_its_own_write,
    test_a_write_in_a_read_context,
    test_a_write_that_escalates,
    test_one_question_for_each_request,
    test_what_was_not_committed_is_not_owed,
    test_without_capture_it_misses_its_own_write,
)
from tests.layers.conftest import Replay, Work
from tests.layers.site import AsgiSite, Customer, Open, Site, WsgiSite, stranger

__all__ = [
    "test_a_commit_of_unknown_outcome",
    "test_a_position_that_nobody_asked_keeps_the_session_on_the_primary",
    "test_a_purge_is_sent_after_the_commit",
    "test_a_purge_waits_for_the_commit_and_the_refill_has_it",
    "test_a_read_whose_session_no_replica_has_reached",
    "test_a_session_reads_its_own_write",
    "test_a_write_in_a_read_context",
    "test_a_write_that_escalates",
    "test_one_question_for_each_request",
    "test_what_was_not_committed_is_not_owed",
    "test_without_capture_it_misses_its_own_write",
]


@pytest.fixture
def open_shop(worker: Work, flavour: Flavour, loop: Loop) -> Iterator[Open]:
    """Makes a site where the replica is."""
    made: list[Threads | Loops] = []

    def open_shop() -> Site:
        rw = worker()
        app: Threads | Loops = Threads(rw) if flavour == "wsgi" else Loops(rw)
        made.append(app)
        return WsgiSite(app.wrapped) if isinstance(app, Threads) else AsgiSite(app.wrapped, loop)

    yield open_shop
    for app in made:
        if isinstance(app, Threads):
            app.engines.dispose()
        else:
            work = app.engines.dispose()
            asyncio.run_coroutine_threadsafe(work, loop.loop).result(DEADLINE)


def test_the_framework_commits_after_the_head(
    open_shop: Open, flavour: Flavour, item: int, replay: Replay, caplog: pytest.LogCaptureFixture
) -> None:
    """The session cannot be told, which is logged; the purge is sent all the same."""
    if flavour == "wsgi":
        return  # nothing runs behind a WSGI response here
    site, path = open_shop(), f"/cached/{item}"
    assert stranger(site).look(path) == (0, True)
    replay.pause()
    with caplog.at_level(logging.WARNING, "regionware"):
        reply = Customer(site).put(f"/items/{item}?value=1&purge=1&background=1")
    assert reply.all("set-cookie") == []
    assert "after the head" in caplog.text
    assert stranger(site).look(path) == (1, False)


# Without a request


@pytest.fixture
def engines(worker: Work) -> Iterator[Engines]:
    made = Engines(worker().selector)
    yield made
    made.dispose()


def test_outside_of_a_request(engines: Engines, postgres: Cluster, item: int) -> None:
    """A script says that it writes; what it only reads is strong, and read-only."""
    sessions = sessionmaker(class_=RoutedSession, engines=engines)
    change = text("UPDATE goods SET value = 5 WHERE id = :id")
    with sessions(access="write") as session, session.begin():
        session.execute(change, {"id": item})
    with sessions() as session:
        row = session.execute(text(f"SELECT value, pg_is_in_recovery() FROM goods WHERE id={item}"))
        assert row.one() == (5, False)
        assert session.execute(text("SHOW transaction_read_only")).scalar() == "on"
        with pytest.raises(DBAPIError) as refused:
            session.execute(change, {"id": item})
    assert "outside of a request" in str(refused.value.__notes__)


def test_a_session_stays_where_its_transaction_is(engines: Engines, item: int) -> None:
    where = text("SELECT inet_server_port()")
    with RoutedSession(engines=engines, consistency="eventual") as session:
        first = session.execute(where).scalar()
        engines.selector = _Nowhere()  # type: ignore[assignment] # a part of one
        assert session.execute(where).scalar() == first
        session.commit()
        with pytest.raises(ZeroDivisionError):
            session.execute(where)


class _Nowhere:
    def access(self, _: object = None) -> str:
        return "read"

    def choose(self, **_: object) -> Choice:
        raise ZeroDivisionError


def test_connections_are_made_sure_of(worker: Work, postgres: Cluster) -> None:
    """A read connection that a pooler made writable is refused the write; a wrong role, itself."""
    rw = worker()
    reading = rw.selector.choose(consistency="eventual")
    assert (reading.host, reading.role, reading.access) == ("fra/replica-1", "replica", "read")
    engines = Engines(rw.selector)
    fooled = Choice(
        host=reading.host, role="replica", access="read", reason="", position=None, lag=None,
        url=postgres.url,
    )  # fmt: skip
    with pytest.raises(DBAPIError, match="is not a replica"), engines.engine(fooled).connect():
        pass
    assert "postgres" not in repr(fooled)
    engines.dispose()


def test_a_loop_has_engines_of_its_own(worker: Work) -> None:
    rw: Regionware = worker()
    engines = AsyncEngines(rw.selector)
    choice = rw.selector.choose(consistency="eventual")

    async def ask() -> Any:
        async with engines.async_engine(choice).connect() as connection:
            found = (await connection.execute(text("SELECT pg_is_in_recovery()"))).scalar()
        await engines.dispose()
        return found

    assert asyncio.run(ask()) is True
    assert asyncio.run(ask()) is True
