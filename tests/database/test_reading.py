"""Read handles on real servers: where they lead, what they forbid, what they report."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from regionware.context import Current, bind, current, unbind
from regionware.database.connection import Databases
from regionware.database.position import Position
from regionware.errors import ConfigurationError
from regionware.parts.postgres import Cluster
from regionware.policies.database import Database

WHO = "SELECT inet_server_port(), pg_is_in_recovery(), current_setting('application_name')"

Begin = Callable[..., Current]


def insert_position(postgres: Cluster) -> Position:
    ((lsn,),) = postgres.primary.query("SELECT pg_current_wal_insert_lsn()::text")
    return Position.parse(lsn, 1)


def test_a_read_goes_to_the_replica(databases: Databases, postgres: Cluster, begin: Begin) -> None:
    state = begin()
    with databases.connection(state) as connection:
        assert isinstance(connection, psycopg.Connection)
        port = postgres.replicas["fra"].port
        assert connection.execute(WHO).fetchone() == (port, True, "regionware/fra/replica")
        assert connection.autocommit
    (use,) = state.hosts
    assert (use.host, use.role, use.access, use.reason) == (
        "fra/replica-1", "replica", "read", "caught-up",
    )  # fmt: skip
    assert use.position is not None
    assert state.lower == use.position
    assert insert_position(postgres).reached(use.position)


@pytest.mark.parametrize("policy", [Database.session(), Database.primary()])
def test_the_server_refuses_a_write(databases: Databases, begin: Begin, policy: Database) -> None:
    state = begin(policy)
    with (
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction) as refused,
        databases.connection(state) as connection,
    ):
        connection.execute("INSERT INTO items (value) VALUES (1)")
    assert refused.value.sqlstate == "25006"
    assert state.writes == 0
    # The positive control: the same statement on a write handle.
    with databases.connection(state, access="write") as connection:
        connection.execute("INSERT INTO items (value) VALUES (1)")
    assert state.writes == 1


def test_who_switches_the_protection_off_does_so_for_one_handle(
    databases: Databases, begin: Begin
) -> None:
    for _ in range(3):
        with databases.connection(begin(Database.primary())) as connection:
            assert connection.execute("SHOW transaction_read_only").fetchone() == ("on",)
            connection.execute("SET default_transaction_read_only = off")
            assert connection.execute("SHOW transaction_read_only").fetchone() == ("off",)


def test_what_a_user_changes_is_undone(databases: Databases, begin: Begin) -> None:
    for _ in range(3):
        with databases.connection(begin(Database.primary())) as connection:
            assert connection.execute("SELECT 1 AS one").fetchone() == (1,)
            connection.row_factory = psycopg.rows.dict_row
            connection.cursor_factory = psycopg.ClientCursor
            connection.autocommit = False
            connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
            connection.execute("SELECT 1")


def test_strong_reads_and_outside_of_requests(
    databases: Databases, postgres: Cluster, begin: Begin
) -> None:
    for state in (begin(Database.primary()), None):
        with databases.connection(state) as connection:
            expected = (postgres.primary.port, False, "regionware/fra/primary")
            assert connection.execute(WHO).fetchone() == expected
    with databases.connection(None, consistency="eventual") as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)


def test_the_bound_of_a_primary_read(databases: Databases, postgres: Cluster, begin: Begin) -> None:
    with psycopg.connect(postgres.url) as other:
        other.execute("INSERT INTO items (value) VALUES (0)")
        state = begin(Database.primary())
        with databases.connection(state) as connection:
            connection.execute("SELECT 1")
            busy = insert_position(postgres)
            connection.execute("SELECT 2")
        # A commit may be in the log and not yet visible.
        assert state.lower == busy.below()
        assert len(state.hosts) == 1
    state = begin(Database.primary())
    with databases.connection(state) as connection:
        connection.execute("SELECT 1")
    assert state.lower == insert_position(postgres)


def by_stream(connection: psycopg.Connection[Any]) -> None:
    assert list(connection.cursor().stream("SELECT 1")) == [(1,)]


def by_copy(connection: psycopg.Connection[Any]) -> None:
    with connection.cursor().copy("COPY items TO STDOUT") as copy:
        list(copy)


def by_many(connection: psycopg.Connection[Any]) -> None:
    connection.cursor().executemany("SELECT %s", [(1,), (2,)])


def by_other_cursor(connection: psycopg.Connection[Any]) -> None:
    psycopg.ClientCursor(connection).execute("SELECT %s", (1,))


def by_pipeline(connection: psycopg.Connection[Any]) -> None:
    with connection.pipeline():
        connection.execute("SELECT 1")


def by_transaction(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        connection.execute("SELECT 1")


def by_several_statements(connection: psycopg.Connection[Any]) -> None:
    cursor = connection.execute("SELECT 1; SELECT 2")
    assert cursor.nextset()
    assert cursor.fetchall() == [(2,)]


@pytest.mark.parametrize(
    "use",
    [by_stream, by_copy, by_many, by_other_cursor, by_pipeline, by_transaction,
     by_several_statements],
)  # fmt: skip
def test_another_first_use_has_no_bound(
    databases: Databases, begin: Begin, use: Callable[[psycopg.Connection[Any]], None]
) -> None:
    state = begin(Database.primary())
    with databases.connection(state) as connection:
        use(connection)
        # Too late: what was read before may be older than what is asked now.
        connection.execute("SELECT 1")
    assert [one.position for one in state.hosts] == [None]
    assert state.lower is None


def test_a_handle_that_was_not_used_reports_nothing(databases: Databases, begin: Begin) -> None:
    state = begin(Database.primary())
    with databases.connection(state):
        pass
    assert state.hosts == ()


@pytest.mark.parametrize("query", ["SELECT 1;", b"SELECT 1", psycopg.sql.SQL("SELECT 1")])
def test_every_spelling_of_one_statement_has_a_bound(
    databases: Databases, begin: Begin, query: Any
) -> None:
    state = begin(Database.primary())
    with databases.connection(state) as connection, connection.cursor(binary=True) as cursor:
        assert cursor.execute(query).fetchone() == (1,)
        assert cursor.statusmessage == "SELECT 1"
    assert state.lower is not None


def test_a_failing_first_statement_is_psycopgs_own(databases: Databases, begin: Begin) -> None:
    state = begin(Database.primary())
    with databases.connection(state) as connection:
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM nowhere WHERE id = %s", (1,))
        assert connection.execute("SELECT %s::text", ("on",)).fetchone() == ("on",)
    with pytest.raises(ZeroDivisionError), databases.connection(state) as connection:
        raise ZeroDivisionError


@pytest.mark.parametrize("policy", [Database.session(), Database.primary()])
def test_a_snapshot_is_one_transaction(
    databases: Databases, postgres: Cluster, begin: Begin, policy: Database
) -> None:
    state = begin(policy)
    count = "SELECT count(*) FROM items"
    with databases.connection(state, snapshot=True) as connection:
        before = connection.execute(count).fetchone()
        postgres.primary.query("INSERT INTO items (value) VALUES (1) RETURNING id")
        postgres.settle()
        assert connection.execute(count).fetchone() == before
        isolation = connection.execute("SHOW transaction_isolation").fetchone()
        assert isolation == ("repeatable read",)
    assert len(state.hosts) == 1
    assert state.lower is not None
    with databases.connection(state) as connection:
        assert connection.execute(count).fetchone() != before


def test_words_may_only_strengthen(databases: Databases, begin: Begin) -> None:
    state = begin()
    with pytest.raises(ConfigurationError, match="weaker"):
        databases.connection(state, consistency="bounded")
    with databases.connection(state, consistency="strong") as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
    writing = begin(access="write")
    with databases.connection(writing, access="read") as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_switched_off_everything_is_asked_of_the_primary(
    databases: Databases, begin: Begin, mode: str
) -> None:
    state = begin(observing=mode == "observe")
    databases._mode = lambda: "off" if mode == "off" else "on"
    with databases.connection(state) as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
    assert state.hosts[0].reason == mode


def test_a_handle_is_one_use(databases: Databases, begin: Begin) -> None:
    handle = databases.connection(begin())
    with handle, pytest.raises(RuntimeError, match="open"):
        handle.__enter__()
    with pytest.raises(RuntimeError, match="not open"):
        handle.__exit__(None, None, None)


def test_the_request_is_known_in_threads_and_tasks(databases: Databases, begin: Begin) -> None:
    def in_thread() -> Any:
        with databases.connection(current()) as connection:
            return connection.execute("SELECT 1").fetchone()

    async def in_task() -> Any:
        async with databases.connection(current()) as connection:
            return await (await connection.execute("SELECT 1")).fetchone()

    async def answer() -> Any:
        token = bind(state)
        try:
            return await asyncio.gather(
                asyncio.to_thread(in_thread), in_task(), asyncio.create_task(in_task())
            )
        finally:
            unbind(token)
            await databases.aclose()

    state = begin()
    assert list(asyncio.run(answer())) == [(1,)] * 3
    assert len(state.hosts) == 3
