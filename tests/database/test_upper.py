"""What a read has shown is noted behind it: on real servers, and what that costs."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from regionware.context import Current
from regionware.database import finding, messages
from regionware.database.connection import Databases
from regionware.database.position import LONG_HEADER, PAGE, SEGMENT, SHORT_HEADER, Position
from regionware.database.seen import host_pin
from regionware.parts.postgres import Cluster
from regionware.parts.proxy import DelayProxy
from regionware.policies.database import Database
from regionware.topology import Topology
from tests.database.conftest import Begin
from tests.database.test_budget import INSERT, counted, proxies, read, trips
from tests.database.test_reading import (
    by_copy,
    by_many,
    by_other_cursor,
    by_pipeline,
    by_several_statements,
    by_stream,
    by_transaction,
)
from tests.sessions.shop import RolledBackError

__all__ = ["counted", "proxies"]

Use = Callable[[psycopg.Connection[Any]], None]

STRONG, SESSION = Database.primary(), Database.session()


@pytest.fixture
def watch(topology: Topology) -> Begin:
    """Begins a request whose session is told what it has seen."""

    def watch(database: Database = SESSION, need: Position | None = None) -> Current:
        return Current(
            region=topology.here, here=topology.here, method="GET", route="/", access="read",
            database=database, need=need, watching=True,
        )  # fmt: skip

    return watch


def insert_position(postgres: Cluster) -> Position:
    ((lsn,),) = postgres.primary.query("SELECT pg_current_wal_insert_lsn()::text")
    return Position.parse(lsn, 1)


def test_a_read_of_the_primary(databases: Databases, postgres: Cluster, watch: Begin) -> None:
    state = watch(STRONG)
    before = insert_position(postgres)
    with databases.connection(state) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        first = state.upper
        assert first is not None
        assert first.reached(before)
        postgres.primary.query("INSERT INTO items (value) VALUES (1)")
        assert connection.execute("SELECT %s", (2,)).fetchone() == (2,)
    assert state.upper is not None
    assert state.upper.lsn > first.lsn
    assert state.seen.position == state.need == state.upper
    assert state.pin == ""
    assert state.lower is not None
    assert first.reached(state.lower)


def test_a_read_of_a_replica(databases: Databases, postgres: Cluster, watch: Begin) -> None:
    postgres.settle()
    state = watch()
    with databases.connection(state) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    ((lsn,),) = postgres.replicas["fra"].query("SELECT pg_last_wal_replay_lsn()::text")
    # Nothing had been received that was not replayed, so nothing can have been in its midst.
    assert state.upper == Position.parse(lsn, 1)
    instance = databases.marks["fra/replica-1"].instance
    assert state.pin == host_pin("fra/replica-1", instance)


@pytest.mark.usefixtures("paused")
def test_a_replica_may_show_one_more_than_it_counts(
    databases: Databases, postgres: Cluster, watch: Begin
) -> None:
    replica = postgres.replicas["fra"]
    postgres.primary.query("INSERT INTO items (value) VALUES (1)")
    ahead = "SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()"
    while replica.query(ahead) != [(True,)]:
        pass
    state = watch()
    with databases.connection(state) as connection:
        connection.execute("SELECT 1")
    ((lsn,),) = replica.query("SELECT pg_last_wal_replay_lsn()::text")
    assert state.upper == Position.parse(lsn, 1).above()
    # The mark does not prove as much; whoever has read there may read there all the same.
    with databases.connection(state) as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
    assert [use.reason for use in state.hosts] == ["caught-up", "pinned"]
    # The positive control: another one, who has seen the same elsewhere.
    other = watch(need=state.upper)
    with databases.connection(other) as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)


USES = [by_stream, by_copy, by_many, by_other_cursor, by_pipeline, by_transaction,
        by_several_statements]  # fmt: skip


@pytest.mark.parametrize("policy", [STRONG, SESSION], ids=["primary", "replica"])
@pytest.mark.parametrize("use", USES)
def test_every_way_to_read_is_noted(
    databases: Databases, postgres: Cluster, watch: Begin, policy: Database, use: Use
) -> None:
    postgres.settle()
    state = watch(policy)
    with databases.connection(state) as connection:
        use(connection)
    assert state.upper is not None
    assert not state.lost


@pytest.mark.parametrize("policy", [STRONG, SESSION], ids=["primary", "replica"])
def test_snapshots(databases: Databases, watch: Begin, policy: Database) -> None:
    for use in (by_many, lambda c: c.execute("SELECT 1")):
        state = watch(policy)
        with databases.connection(state, snapshot=True) as connection:
            use(connection)
        assert state.upper is not None


def test_what_is_not_read_is_not_seen(databases: Databases, watch: Begin) -> None:
    for policy in (STRONG, SESSION):
        state = watch(policy)
        with databases.connection(state):
            pass
        assert (state.upper, state.lost) == (None, False)


@pytest.mark.parametrize("policy", [STRONG, SESSION], ids=["primary", "replica"])
def test_a_statement_that_fails_shows_nothing(
    databases: Databases, watch: Begin, policy: Database
) -> None:
    state = watch(policy)
    with pytest.raises(psycopg.errors.DivisionByZero), databases.connection(state) as connection:
        connection.execute("SELECT 1 / 0")
    assert (state.upper, state.lost) == (None, False)
    with databases.connection(state) as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1 / 0")
        connection.execute("SELECT 1")
    assert state.upper is not None


def by_stream_of_a_lost_connection(connection: psycopg.Connection[Any], postgres: Cluster) -> None:
    end = f"SELECT pg_terminate_backend({connection.info.backend_pid})"
    for (number,) in connection.cursor().stream("SELECT generate_series(1, 1000000)"):
        if number == 1:
            postgres.replicas["fra"].query(end)


def test_what_is_lost_half_read_is_unknown(
    databases: Databases, postgres: Cluster, watch: Begin
) -> None:
    state = watch()
    with pytest.raises(psycopg.OperationalError), databases.connection(state) as connection:
        by_stream_of_a_lost_connection(connection, postgres)
    assert state.upper is None
    assert state.lost
    # The primary is no older, and says how much it has shown.
    with databases.connection(state) as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)


def test_async_reads(databases: Databases, postgres: Cluster, watch: Begin) -> None:
    async def run(policy: Database, *, snapshot: bool, many: bool) -> Current:
        state = watch(policy)
        async with databases.connection(state, snapshot=snapshot) as connection:
            cursor = connection.cursor()
            if many:
                await cursor.executemany("SELECT %s", [(1,), (2,)])
            else:
                assert await (await cursor.execute("SELECT 1")).fetchone() == (1,)
        return state

    async def every() -> list[Current]:
        made = [
            await run(policy, snapshot=snapshot, many=many)
            for policy in (STRONG, SESSION)
            for snapshot in (False, True)
            for many in (False, True)
        ]
        await databases.aclose()
        return made

    postgres.settle()
    for state in asyncio.run(every()):
        assert state.upper is not None
        assert not state.lost


# Write handles


def test_reads_of_a_write_handle(databases: Databases, postgres: Cluster, watch: Begin) -> None:
    """A commit covers what was read; a transaction that wrote nothing is one of reading."""
    state = watch()
    with databases.connection(state, access="write") as connection:
        connection.execute("SELECT 1")
    assert state.written is None
    assert state.upper == insert_position(postgres)
    state = watch()
    with suppress(RolledBackError), databases.connection(state, access="write") as other:
        other.execute(INSERT)
        raise RolledBackError
    assert state.written is None
    assert state.upper == insert_position(postgres)
    state = watch()
    with databases.connection(state) as connection:
        connection.execute("SELECT 1")
    with databases.connection(state, access="write") as connection:
        connection.execute(INSERT)
    assert state.written is not None
    assert state.pin == ""


def test_an_aborted_transaction(databases: Databases, postgres: Cluster, watch: Begin) -> None:
    """COMMIT of one is a rollback, and no error."""
    state = watch()
    with databases.connection(state, access="write") as connection:
        connection.execute(INSERT)
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1 / 0")
    assert state.written is None
    assert state.upper == insert_position(postgres)


def test_a_deferred_constraint(databases: Databases, postgres: Cluster, watch: Begin) -> None:
    """It fails at COMMIT: nothing is written, and what was read before it is seen."""
    state = watch()
    with (
        pytest.raises(psycopg.errors.ForeignKeyViolation),
        databases.connection(state, access="write") as connection,
    ):
        connection.execute("INSERT INTO parts VALUES (-1)")
    assert state.written is None
    assert state.upper == insert_position(postgres)


def test_an_asynchronous_commit_of_others(databases: Databases, watch: Begin) -> None:
    """It is visible before it is flushed, so the bound is what is logged."""
    with psycopg.connect(databases._urls["iad/primary"], autocommit=True) as writer:
        writer.execute("SET synchronous_commit = off")
        for _ in range(20):
            writer.execute(INSERT)
            row = writer.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
            assert row is not None
            state = watch(STRONG)
            with databases.connection(state) as connection:
                connection.execute("SELECT count(*) FROM items")
            assert state.upper is not None
            assert state.upper.reached(Position.parse(row[0], 1))


def test_behind_a_page_header_is_the_page(watch: Begin) -> None:
    """An idle replica replays up to the boundary only; what is seen there must be reached there."""
    for header, page in ((SHORT_HEADER, 7 * PAGE), (LONG_HEADER, SEGMENT)):
        told: list[Position | None] = []
        asked = messages.Upper(told.append)
        asked.hear([[f"0/{page + header:X}", "00000001"]])
        assert told == [Position(1, page)]
        asked = messages.Upper(told.append, 1)
        asked.hear([[f"0/{page:X}", f"0/{page:X}"]])
        assert told[1] == told[0]


# What it costs


def test_it_costs_no_round_trip(
    proxies: tuple[DelayProxy, DelayProxy], counted: Databases, watch: Begin, begin: Begin
) -> None:
    assert trips(proxies, lambda: read(counted, watch(STRONG))) == (1, 0)
    assert trips(proxies, lambda: read(counted, watch(STRONG), snapshot=True)) == (3, 0)
    bare = trips(proxies, lambda: read(counted, begin()))
    assert trips(proxies, lambda: read(counted, watch())) == bare

    def twice() -> None:
        with counted.connection(watch(STRONG)) as connection:
            connection.execute("SELECT 1")
            connection.execute("SELECT 2")

    assert trips(proxies, twice) == (2, 0)


def test_a_write_costs_none_and_one_without_a_commit_at_most_one(
    proxies: tuple[DelayProxy, DelayProxy], counted: Databases, watch: Begin
) -> None:
    def write(*, fails: bool = False) -> None:
        with suppress(RolledBackError), counted.connection(watch(), access="write") as connection:
            connection.execute(INSERT)
            if fails:
                raise RolledBackError

    assert trips(proxies, write) == (3, 0)
    assert trips(proxies, lambda: write(fails=True)) == (4, 0)


def test_what_cannot_be_noted_on_its_way_costs_one(
    proxies: tuple[DelayProxy, DelayProxy], counted: Databases, watch: Begin, begin: Begin
) -> None:
    def many(state: Current) -> None:
        with counted.connection(state) as connection:
            by_several_statements(connection)

    assert trips(proxies, lambda: many(begin(STRONG))) == (1, 0)
    assert trips(proxies, lambda: many(watch(STRONG))) == (2, 0)


# From a replica to the primary


@pytest.mark.parametrize("mutant", [False, True], ids=["waits", "does not wait"])
def test_whoever_comes_from_a_replica_waits_for_what_is_under_way(
    databases: Databases, watch: Begin, monkeypatch: pytest.MonkeyPatch, mutant: bool
) -> None:
    """A replica may show a commit before the primary does; this one is a moment late."""
    if mutant:
        monkeypatch.setattr(finding, "catch_up", lambda *_: iter(()))
    state = watch(Database.primary(wait=5000))
    state.saw(Position(1, 8), "h")
    with psycopg.connect(databases._urls["iad/primary"]) as other:
        other.execute(INSERT)
        late = threading.Timer(0.3, other.commit)
        late.start()
        before = databases.primary_position()
        with databases.connection(state) as connection:
            ended = other.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            connection.execute("SELECT 1")
        late.join()
    assert ended is not mutant
    assert state.upper is not None
    assert state.upper.reached(before)


def test_an_entry_is_made_in_the_same_way(databases: Databases, watch: Begin) -> None:
    """What is certainly in it is all that was logged, and not only what was acknowledged."""
    state = watch(Database.primary(wait=5000))
    state.fills = True
    with psycopg.connect(databases._urls["iad/primary"]) as other:
        other.execute(INSERT)
        late = threading.Timer(0.3, other.commit)
        late.start()
        before = databases.primary_position()
        with databases.connection(state) as connection:
            ended = other.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            connection.execute("SELECT 1")
        late.join()
    assert ended
    assert state.lower == before
    assert state.upper is not None
    assert state.upper.lsn > before.lsn


def test_it_waits_no_longer_than_it_may(databases: Databases, watch: Begin) -> None:
    state = watch(Database.primary(wait=50))
    state.saw(Position(1, 8), "h")
    with psycopg.connect(databases._urls["iad/primary"]) as other:
        other.execute(INSERT)
        with databases.connection(state) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        # Once it has read there, it comes from there.
        assert state.seen.pin == ""
