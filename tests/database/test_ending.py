"""How write handles end: what counts as a commit, and what a session is owed for it."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from regionware.context import Current, open_writes
from regionware.database.connection import Databases
from regionware.database.position import Position
from regionware.parts.postgres import Cluster
from regionware.policies.database import Database

Begin = Callable[..., Current]

INSERT = "INSERT INTO items (value) VALUES (%s) RETURNING id"


def exists(postgres: Cluster, value: int) -> bool:
    return bool(postgres.primary.query(f"SELECT 1 FROM items WHERE value = {value}"))


def nothing(connection: psycopg.Connection[Any]) -> None:
    pass


def only_reads(connection: psycopg.Connection[Any]) -> None:
    connection.execute("SELECT count(*) FROM items")


def changes_no_row(connection: psycopg.Connection[Any]) -> None:
    connection.execute("UPDATE items SET value = 0 WHERE id = -1")


def rolls_back(connection: psycopg.Connection[Any]) -> None:
    # Ends its own transaction, so it is asked where the primary is: harmless.
    connection.execute(INSERT, (3,))
    connection.rollback()


def swallows_an_error(connection: psycopg.Connection[Any]) -> None:
    connection.execute(INSERT, (4001,))
    with pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT * FROM nowhere")


@pytest.mark.parametrize("work", [nothing, only_reads, changes_no_row, swallows_an_error])
def test_what_writes_nothing_owes_nothing(
    databases: Databases,
    postgres: Cluster,
    begin: Begin,
    work: Callable[[psycopg.Connection[Any]], None],
) -> None:
    state = begin(access="write")
    with databases.connection(state) as connection:
        work(connection)
    assert (state.writes, state.written, state.lost, state.need) == (0, None, False, None)
    assert not exists(postgres, 4001)
    # The connection is good for the next one.
    with databases.connection(state) as connection:
        connection.execute(INSERT, (4002,))
    assert state.writes == 1


def test_an_exception_rolls_back(databases: Databases, postgres: Cluster, begin: Begin) -> None:
    state, done = begin(access="write"), []
    handle = databases.connection(state, committed=lambda items, position: done.append(items))
    with pytest.raises(ZeroDivisionError), handle as connection:  # noqa: PT012 - what fails is the end of the block
        connection.execute(INSERT, (5001,))
        open_writes.get()[-1].append("purge")
        raise ZeroDivisionError
    assert (state.writes, state.written, done, open_writes.get()) == (0, None, [], ())
    assert not exists(postgres, 5001)


def test_what_waits_for_the_commit_follows_it(databases: Databases, begin: Begin) -> None:
    state, done = begin(access="write"), []

    def committed(items: list[Any], position: Position | None) -> None:
        done.append((items, position, state.written))

    with databases.connection(state, committed=committed) as connection:
        open_writes.get()[-1].append("purge")
        connection.execute(INSERT, (1,))
        assert done == []
    assert state.written is not None
    assert done == [(["purge"], state.written, state.written)]
    assert open_writes.get() == ()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_constraint_that_fails_at_commit(
    databases: Databases, begin: Begin, asynchronous: bool
) -> None:
    state, done = begin(access="write"), []
    violation = "INSERT INTO parts (item) VALUES (-1)"

    async def committed(items: list[Any], position: Position | None) -> None:
        done.append(items)

    async def write() -> None:
        try:
            async with databases.connection(state, acommitted=committed) as connection:
                await connection.execute(violation)
                open_writes.get()[-1].append("purge")
        finally:
            await databases.aclose()

    with pytest.raises(psycopg.errors.ForeignKeyViolation):  # noqa: PT012 - what fails is the end of the block
        if asynchronous:
            asyncio.run(write())
        else:
            with databases.connection(state) as connection:
                connection.execute(violation)
    assert (state.writes, state.written, state.lost, done) == (0, None, False, [])


def by_commit(connection: psycopg.Connection[Any]) -> None:
    connection.execute(INSERT, (1,))
    connection.commit()


def by_transaction(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        connection.execute(INSERT, (1,))


def by_autocommit(connection: psycopg.Connection[Any]) -> None:
    connection.autocommit = True
    connection.execute(INSERT, (1,))


def by_commit_before_a_read(connection: psycopg.Connection[Any]) -> None:
    by_commit(connection)
    connection.execute("SELECT 1")


def by_commit_before_a_failure(connection: psycopg.Connection[Any]) -> None:
    by_commit(connection)
    connection.execute(INSERT, (1,))
    raise ZeroDivisionError


def by_commit_and_a_swallowed_error(connection: psycopg.Connection[Any]) -> None:
    by_commit(connection)
    swallows_an_error(connection)


@pytest.mark.parametrize(
    "work",
    [by_commit, by_transaction, by_autocommit, by_commit_before_a_read,
     by_commit_before_a_failure, by_commit_and_a_swallowed_error, rolls_back],
)  # fmt: skip
def test_commits_of_the_application_are_not_missed(
    databases: Databases,
    postgres: Cluster,
    begin: Begin,
    work: Callable[[psycopg.Connection[Any]], None],
) -> None:
    state, done = begin(access="write"), []
    before = databases.primary_position()
    handle = databases.connection(state, committed=lambda items, position: done.append(items))
    with contextlib.suppress(ZeroDivisionError), handle as connection:
        open_writes.get()[-1].append("purge")
        work(connection)
    assert state.writes == 1
    assert state.written is not None
    assert state.written.lsn > before.lsn
    assert done == [["purge"]]
    # What this handle has written is there for whoever has reached the position.
    # The end of a rolled back transaction is not flushed at once.
    later = begin(Database.session(wait=10_000), need=state.written)
    with databases.connection(later) as connection:
        row = connection.execute("SELECT count(*) FROM items").fetchone()
    assert later.hosts[0].role == "replica"
    assert [row] == postgres.primary.query("SELECT count(*) FROM items")


def test_a_connection_lost_at_commit_leaves_the_outcome_unknown(
    databases: Databases, postgres: Cluster, begin: Begin
) -> None:
    state, done = begin(access="write"), []
    handle = databases.connection(
        state, committed=lambda items, position: done.append((items, position))
    )
    with pytest.raises(psycopg.OperationalError), handle as connection:  # noqa: PT012 - what fails is the end of the block
        connection.execute(INSERT, (6001,))
        open_writes.get()[-1].append("purge")
        pid = connection.info.backend_pid
        postgres.primary.query(f"SELECT pg_terminate_backend({pid}, 5000)")
    assert (state.lost, state.written) == (True, None)
    # What waited for a commit that may have happened is due: one purge too many harms nobody.
    assert done == [(["purge"], None)]
    later = begin(need=state.need)
    later.lost = state.lost
    with databases.connection(later) as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
    assert later.hosts[0].reason == "outcome-unknown"


def test_a_commit_that_is_cancelled_counts_as_one(
    databases: Databases, postgres: Cluster, begin: Begin, until: Callable[..., None]
) -> None:
    """Nobody can say whether a cancellation came before the commit or after it."""

    def cancel() -> bool:
        return bool(
            postgres.primary.query(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            )
        )

    state = begin(access="write")
    thread = threading.Thread(target=until, args=(cancel,))
    with (  # noqa: PT012 - what fails is the end of the block
        pytest.raises(psycopg.errors.QueryCanceled),
        databases.connection(state) as connection,
    ):
        connection.execute(
            "CREATE FUNCTION pg_temp.slow() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END'"
        )
        connection.execute(
            "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON items DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION pg_temp.slow()"
        )
        connection.execute(INSERT, (7002,))
        thread.start()
    thread.join()
    assert (state.writes, state.lost) == (1, False)
    assert state.written is not None
