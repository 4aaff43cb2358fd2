"""What happens when something in between drops a protection, or an end goes wrong twice."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from regionware.context import Current, open_writes
from regionware.database import conninfo, pools
from regionware.database.connection import Databases
from regionware.database.position import Position
from regionware.database.selector import Reason
from regionware.errors import PrimaryUnavailable
from regionware.parts.postgres import Cluster
from regionware.policies.database import Database
from regionware.topology import Topology

Begin = Callable[..., Current]

INSERT = "INSERT INTO items (value) VALUES (1)"


@pytest.fixture
def dropping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something between here and the server drops the options, as a pooler may."""
    original = conninfo.connection_string

    def without(url: str, **words: Any) -> str:
        return original(url, **(words | {"access": "write"}))

    monkeypatch.setattr(pools, "connection_string", without)


@pytest.mark.usefixtures("dropping")
def test_a_dropped_option_is_noticed_and_set_again(topology: Topology, begin: Begin) -> None:
    databases = Databases(topology)
    state = begin(Database.primary())
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), databases.connection(state) as found:
        found.execute(INSERT)

    async def asynchronously() -> None:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            async with databases.connection(state) as connection:
                await connection.execute(INSERT)
        await databases.aclose()

    asyncio.run(asynchronously())
    databases.close()


@pytest.mark.usefixtures("dropping")
def test_a_connection_that_cannot_be_made_read_only_is_not_used(
    topology: Topology, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "SET_READ_ONLY", "SELECT 1")
    databases = Databases(topology, limits=pools.Limits(timeout=0.3))
    with (
        pytest.raises(PrimaryUnavailable),
        databases.connection(begin(Database.primary())),
    ):
        pytest.fail("this connection could write")
    databases.close()


def test_a_mistaken_mark_is_caught_by_the_connection(
    topology: Topology, postgres: Cluster, begin: Begin, databases: Databases
) -> None:
    """The prober and the pool may be led to different servers by one name."""
    databases._rim.pools._urls = databases._urls | {"fra/replica-1": postgres.url}
    state = begin()
    with databases.connection(state) as connection:
        assert connection.info.port == postgres.primary.port
    assert not state.hosts  # Never used.
    with databases.connection(state) as connection:
        connection.execute("SELECT 1")
    assert (state.hosts[0].host, state.hosts[0].reason) == ("iad/primary", "unreachable")


def test_an_error_after_the_commit_surfaces_once(databases: Databases, begin: Begin) -> None:
    def failing(items: list[Any], position: Position | None) -> None:
        raise LookupError("no purge")

    state = begin(access="write")
    with (  # noqa: PT012 - the end is what fails
        pytest.raises(LookupError, match="no purge"),
        databases.connection(state, committed=failing) as connection,
    ):
        open_writes.get()[-1].append("purge")
        connection.execute(INSERT)
    assert state.writes == 1
    # The application's own error is not replaced by one about what came after it.
    with (  # noqa: PT012 - the end is what fails
        pytest.raises(ZeroDivisionError),
        databases.connection(state, committed=failing) as connection,
    ):
        open_writes.get()[-1].append("purge")
        connection.execute(INSERT)
        connection.commit()
        raise ZeroDivisionError
    assert state.writes == 2


@pytest.mark.parametrize("policy", [Database.session(), Database.primary()])
def test_async_snapshots_and_bounds(databases: Databases, begin: Begin, policy: Database) -> None:
    async def run() -> tuple[Current, Current]:
        snapshot, streamed = begin(policy), begin(policy)
        async with databases.connection(snapshot, snapshot=True) as connection:
            cursor = await connection.execute("SHOW transaction_isolation")
            assert await cursor.fetchone() == ("repeatable read",)
        async with databases.connection(streamed) as connection:
            found = [row async for row in connection.cursor().stream("SELECT 1")]
            assert found == [(1,)]
            await connection.execute("BEGIN")
        async with databases.connection(begin(policy)) as connection:
            # What the last user left open was ended.
            status = connection.info.transaction_status
            assert status is psycopg.pq.TransactionStatus.IDLE
        await databases.aclose()
        return snapshot, streamed

    snapshot, streamed = asyncio.run(run())
    assert snapshot.lower is not None
    assert (streamed.lower is None) == (policy.consistency == "strong")


def test_a_snapshot_that_was_lost_says_so(
    databases: Databases, postgres: Cluster, begin: Begin
) -> None:
    with (  # noqa: PT012 - the end is what fails
        pytest.raises(psycopg.OperationalError),
        databases.connection(begin(), snapshot=True) as connection,
    ):
        pid = connection.info.backend_pid
        postgres.replicas["fra"].query(f"SELECT pg_terminate_backend({pid}, 5000)")
    with databases.connection(begin(), snapshot=True) as connection:
        connection.execute("SELECT 1")


def test_a_write_that_lost_its_connection_before_the_commit(
    databases: Databases, postgres: Cluster, begin: Begin
) -> None:
    state = begin(access="write")
    with (  # noqa: PT012 - the end is what fails
        pytest.raises(psycopg.OperationalError),
        databases.connection(state) as connection,
    ):
        connection.execute(INSERT)
        pid = connection.info.backend_pid
        postgres.primary.query(f"SELECT pg_terminate_backend({pid}, 5000)")
        connection.execute(INSERT)
    # Nobody can tell a lost statement from a lost COMMIT here, so reads stay on the primary.
    assert (state.lost, state.written) == (True, None)


def test_the_decision_can_be_asked_for(databases: Databases, begin: Begin) -> None:
    choice = databases.choose(begin())
    assert choice.host.name == "fra/replica-1"
    choice = databases.choose(begin(), access="write")
    assert getattr(choice, "reason", None) is Reason.WRITE
