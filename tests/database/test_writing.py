"""Write handles on real servers: what commits, and which position a session is owed for it."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from regionware.context import Current, open_writes
from regionware.database import ending
from regionware.database.connection import Databases
from regionware.database.hands import COMMIT
from regionware.database.position import Position
from regionware.parts.postgres import Cluster

Begin = Callable[..., Current]

INSERT = "INSERT INTO items (value) VALUES (%s) RETURNING id"


def insert_position(connection: psycopg.Connection[Any]) -> Position:
    row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
    assert row is not None
    return Position.parse(row[0], 1)


def exists(postgres: Cluster, value: int) -> bool:
    return bool(postgres.primary.query(f"SELECT 1 FROM items WHERE value = {value}"))


def test_the_position_is_read_after_the_commit(databases: Databases, begin: Begin) -> None:
    for _ in range(5):  # The server writes a record of its own every 15 seconds.
        state = begin(access="write")
        with databases.connection(state) as connection:
            connection.execute(INSERT, (1,))
            inside = insert_position(connection)
        after = databases.primary_position()
        assert state.written is not None
        # The positive control: a position from inside lies before the end of the commit.
        assert state.written.lsn > inside.lsn
        if state.written == after:
            break
    assert state.written == after
    assert state.need == after
    (use,) = state.hosts
    assert (use.host, use.role, use.access, use.reason) == (
        "iad/primary", "primary", "write", "write",
    )  # fmt: skip


def test_own_writes_are_seen(databases: Databases, postgres: Cluster, begin: Begin) -> None:
    """Whatever says that it has reached a write shows it; on a replica, most of the time."""
    replica = postgres.replicas["fra"]
    reached = 0
    roles = []
    with psycopg.connect(replica.url, autocommit=True) as direct:
        for value in range(1000, 1200):
            state = begin(access="write")
            with databases.connection(state) as connection:
                connection.execute(INSERT, (value,))
            query = f"SELECT count(*) FROM items WHERE value = {value}"
            replayed = direct.execute("SELECT pg_last_wal_replay_lsn()::text").fetchone()
            seen = direct.execute(query).fetchone()
            if replayed and Position.parse(replayed[0], 1).reached(state.written):
                reached += 1
                assert seen == (1,)
            later = begin(need=state.written)
            with databases.connection(later) as connection:
                assert connection.execute(query).fetchone() == (1,)
            roles.append(later.hosts[0].role)
    assert reached > 0
    assert roles.count("replica") > 150


@pytest.mark.parametrize("mutant", [False, True], ids=["inserted", "flushed"])
def test_synchronous_commit_off(
    databases: Databases, begin: Begin, monkeypatch: pytest.MonkeyPatch, mutant: bool
) -> None:
    """Such a commit returns, and is visible, before it is flushed and sent to the replica.

    The positive control takes the position that is flushed: it comes before the commit.
    """
    if mutant:
        flushed = COMMIT.replace("pg_current_wal_insert_lsn()::text", "pg_current_wal_lsn()")
        assert flushed != COMMIT
        monkeypatch.setattr(ending, "COMMIT", flushed)
    missed = 0
    # Each case has values of its own: what the other has written is there already.
    first = 2100 if mutant else 2000
    for value in range(first, first + 30):
        state = begin(access="write")
        with databases.connection(state) as connection:
            connection.execute("SET LOCAL synchronous_commit = off")
            connection.execute(INSERT, (value,))
        assert state.written is not None
        with databases.connection(begin(need=state.written)) as connection:
            query = f"SELECT count(*) FROM items WHERE value = {value}"
            missed += connection.execute(query).fetchone() != (1,)
    assert (missed > 0) is mutant


def test_async_writes_and_reads(databases: Databases, begin: Begin) -> None:
    done: list[Any] = []

    async def committed(items: list[Any], position: Position | None) -> None:
        done.append((items, position))

    async def run() -> tuple[Current, Current]:
        writer = begin(access="write")
        async with databases.connection(writer, acommitted=committed) as connection:
            assert isinstance(connection, psycopg.AsyncConnection)
            open_writes.get()[-1].append("purge")
            cursor = await connection.execute(INSERT, (8001,))
            row = await cursor.fetchone()
        reader = begin(need=writer.written)
        async with databases.connection(reader) as connection:
            found = await connection.execute("SELECT value FROM items WHERE id = %s", row)
            assert await found.fetchone() == (8001,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            async with databases.connection(reader, consistency="strong") as connection:
                await connection.execute(INSERT, (8002,))
        assert (await databases.aprimary_position()).reached(writer.written)
        await databases.aclose()
        return writer, reader

    writer, reader = asyncio.run(run())
    assert done == [(["purge"], writer.written)]
    assert [use.role for use in reader.hosts] == ["replica", "primary"]


def test_an_async_write_that_is_cancelled(
    databases: Databases, postgres: Cluster, begin: Begin
) -> None:
    state = begin(access="write")

    async def write() -> None:
        async with databases.connection(state) as connection:
            await connection.execute(INSERT, (9001,))
            await connection.execute("SELECT pg_sleep(60)")

    async def run() -> None:
        task = asyncio.create_task(write())
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with databases.connection(state) as connection:
            await connection.execute(INSERT, (9002,))
        await databases.aclose()

    asyncio.run(run())
    assert state.writes == 1
    assert not exists(postgres, 9001)
    assert exists(postgres, 9002)
