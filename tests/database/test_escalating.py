"""A write where the request only reads: refused, or sent to the primary, and counted."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from regionware.context import Current
from regionware.database.connection import Databases
from regionware.database.escalating import escalates
from regionware.errors import ConfigurationError
from regionware.observe import Event
from regionware.parts.postgres import Cluster
from regionware.policies.database import Database, OnWrite

Begin = Callable[..., Current]
INSERT = "INSERT INTO items (value) VALUES (%s) RETURNING id, pg_is_in_recovery() AS replica"


@pytest.fixture
def told(databases: Databases) -> list[Event]:
    """What was told."""
    events: list[Event] = []
    databases.tell = events.append
    return events


@pytest.fixture(autouse=True)
def _fresh(postgres: Cluster, items: str) -> None:
    postgres.primary.query("DELETE FROM items")


def policies(on_write: OnWrite) -> list[Database]:
    """A replica's reads, and the primary's."""
    return [Database.session(on_write=on_write), Database.primary(on_write=on_write)]


def details(told: list[Event]) -> list[str]:
    assert {(event.name, event.route) for event in told} <= {("read-write", "/")}
    return [event.detail for event in told]


def count(postgres: Cluster, value: int) -> int:
    ((found,),) = postgres.primary.query(f"SELECT count(*) FROM items WHERE value = {value}")
    return int(found)


@pytest.mark.parametrize("policy", policies("error"))
def test_by_default_it_is_refused(
    databases: Databases, begin: Begin, told: list[Event], policy: Database
) -> None:
    state = begin(policy)
    with (
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction) as refused,
        databases.connection(state) as connection,
    ):
        connection.execute(INSERT, [1])
    (note,) = refused.value.__notes__
    host = "iad/primary" if policy.consistency == "strong" else "fra/replica-1"
    assert all(part in note for part in ("route '/'", host, "INSERT INTO items"))
    assert details(told) == ["refused"]
    assert (state.access, state.writes, state.lost) == ("read", 0, False)


@pytest.mark.parametrize("policy", policies("escalate"))
def test_the_first_statement_goes_to_the_primary(
    databases: Databases, begin: Begin, told: list[Event], policy: Database, postgres: Cluster
) -> None:
    state = begin(policy)
    with databases.connection(state) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        row = cursor.execute(INSERT, [101]).fetchone()
        assert row is not None
        assert row["replica"] is False
        assert count(postgres, 101) == 0, "it is a transaction"
        assert len(state.deferred) == 1, "purges wait for it"
        # Everything else of the handle is in the same transaction.
        connection.execute(INSERT, [101])
    assert count(postgres, 101) == 2
    assert details(told) == ["escalated"]
    assert (state.access, state.writes, state.lost, state.deferred) == ("write", 1, False, [])
    assert state.written is not None
    postgres.settle()
    # The request is a write by now, another is not, and no connection was mixed up.
    for another in (state, begin(policy), begin()):
        with databases.connection(another) as connection:
            shown = connection.execute("SHOW transaction_read_only").fetchone()
            assert shown == ("off" if another is state else "on",)


@pytest.mark.parametrize("policy", policies("escalate"))
def test_in_a_loop(
    databases: Databases, begin: Begin, postgres: Cluster, policy: Database, told: list[Event]
) -> None:
    async def work() -> None:
        for _ in range(7):
            state = begin(policy)
            async with databases.connection(state) as connection:
                await connection.execute(INSERT, [108])
            assert (state.access, state.writes, state.lost) == ("write", 1, False)
            async with databases.connection(begin(policy)) as connection:
                shown = await connection.execute("SHOW transaction_read_only")
                assert await shown.fetchone() == ("on",)
        await databases.aclose()

    asyncio.run(work())
    assert count(postgres, 108) == 7
    assert details(told) == ["escalated"] * 7


@pytest.mark.parametrize("policy", policies("escalate"))
def test_over_and_over(
    databases: Databases, begin: Begin, policy: Database, postgres: Cluster
) -> None:
    """Prepared statements and sockets stay together."""
    for _ in range(12):
        state = begin(policy)
        with databases.connection(state) as connection:
            connection.execute(INSERT, [102])
        with databases.connection(begin(policy)) as connection:
            reading = connection.execute("SELECT pg_is_in_recovery() WHERE %s = 1", [1])
            assert reading.fetchone() == (policy.consistency != "strong",)
        with databases.connection(begin(access="write")) as connection:
            connection.execute(INSERT, [102])
    assert count(postgres, 102) == 24


def test_it_is_rolled_back_with_its_handle(
    databases: Databases, begin: Begin, postgres: Cluster
) -> None:
    state = begin(Database.session(on_write="escalate"))

    def work() -> None:
        with databases.connection(state) as connection:
            connection.execute(INSERT, [103])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert (count(postgres, 103), state.writes, state.deferred) == (0, 0, [])


def after_a_read(connection: psycopg.Connection[Any]) -> None:
    connection.execute("SELECT 1")
    connection.execute(INSERT, [104])


def in_a_transaction(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        connection.execute(INSERT, [104])


def by_many(connection: psycopg.Connection[Any]) -> None:
    connection.cursor().executemany(INSERT, [[104], [104]])


def by_copy(connection: psycopg.Connection[Any]) -> None:
    with connection.cursor().copy("COPY items (value) FROM STDIN"):
        pass


@pytest.mark.parametrize("use", [after_a_read, in_a_transaction, by_many, by_copy])
@pytest.mark.parametrize("on_write", ["escalate", "observe"])
def test_where_it_is_not_certain_to_be_safe_it_is_refused(
    databases: Databases, begin: Begin, postgres: Cluster, on_write: OnWrite, use: Any
) -> None:
    state = begin(Database.session(on_write=on_write))
    with (
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction) as refused,
        databases.connection(state) as connection,
    ):
        use(connection)
    assert "fra/replica-1" in refused.value.__notes__[0]
    assert (count(postgres, 104), state.writes, state.access) == (0, 0, "read")


def test_in_a_snapshot_it_is_refused(databases: Databases, begin: Begin, told: list[Event]) -> None:
    state = begin(Database.session(on_write="escalate"))
    with (
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
        databases.connection(state, snapshot=True) as connection,
    ):
        connection.execute(INSERT, [105])
    assert details(told) == ["refused"]


def test_observe_logs_each(
    databases: Databases, begin: Begin, told: list[Event], caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING, "regionware.database"),
        databases.connection(begin(Database.session(on_write="observe"))) as connection,
    ):
        connection.execute(INSERT, [106])
    assert details(told) == ["escalated"]
    (said,) = [each.message for each in caplog.records if "INSERT" in each.message]
    assert "sent to the primary" in said


def test_without_the_check_a_read_would_be_done_twice(
    databases: Databases, begin: Begin, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: what was read before, elsewhere, would stay in the answer."""

    def careless(*words: Any, **_: Any) -> bool:
        return escalates(*words, first=True)

    monkeypatch.setattr("regionware.database.handle.escalates", careless)
    with databases.connection(begin(Database.session(on_write="escalate"))) as connection:
        before = connection.execute("SELECT pg_is_in_recovery()").fetchone()
        connection.execute(INSERT, [107])
        after = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    assert (before, after) == ((True,), (False,))


def test_an_unknown_word() -> None:
    with pytest.raises(ConfigurationError, match="on_write"):
        Database(consistency="session", on_write="ignore")  # type: ignore[arg-type] # refused
