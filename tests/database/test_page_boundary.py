"""A commit that ends exactly at the end of a page of the log, on a real primary that then idles.

The insert position is then behind the header of the next page, and a replica that has replayed
everything reports the boundary: 24 bytes less. Nothing ever makes up for these.
"""

from collections.abc import Callable

import pytest

from regionware.context import Current
from regionware.database.connection import Databases
from regionware.database.position import PAGE, SHORT_HEADER, Position
from regionware.errors import ConsistencyUnavailable
from regionware.parts.postgres import Cluster
from regionware.parts.postgres_server import PostgresServer
from regionware.policies.database import Database

Begin = Callable[..., Current]

#: The servers write records of their own now and then.
ATTEMPTS = 40
#: Bytes of the first message, and the most that a message is made longer by.
LEAST, LEVEL = 64, 7000
STRICT = Database.session(unmet="fail", wait=50)


def number(server: PostgresServer, function: str) -> int:
    """What a function says about a position, as a number, without any rounding."""
    ((found,),) = server.query(f"SELECT {function}() - '0/0'::pg_lsn")
    return int(found)


def padded(databases: Databases, state: Current, padding: int) -> None:
    """A commit whose log is as long as is asked for."""
    with databases.connection(state, access="write") as connection:
        connection.execute(
            "SELECT pg_logical_emit_message(true, '', repeat('.', %s))", (padding,), prepare=False
        )


def at_a_boundary(databases: Databases, begin: Begin, primary: PostgresServer) -> Current:
    """Commit until one ends right at the end of a page; the request that made it."""
    for _ in range(ATTEMPTS):
        before = number(primary, "pg_current_wal_insert_lsn")
        padded(databases, begin(), LEAST)
        after = number(primary, "pg_current_wal_insert_lsn")
        if before // PAGE != after // PAGE or PAGE - after % PAGE > LEVEL:
            continue  # The header of a page was in it, or the rest is too long for one message.
        state = begin()
        padded(databases, state, LEAST + PAGE - after % PAGE - (after - before))
        if number(primary, "pg_current_wal_insert_lsn") % PAGE == SHORT_HEADER:
            return state
    pytest.fail("no commit ended at the end of a page")


@pytest.fixture
def owing(databases: Databases, begin: Begin, postgres: Cluster) -> Current:
    """A request whose commit is at the boundary, replayed by a replica that has nothing to do."""
    for _ in range(ATTEMPTS):
        state = at_a_boundary(databases, begin, postgres.primary)
        postgres.settle()
        inserted = number(postgres.primary, "pg_current_wal_insert_lsn")
        replayed = number(postgres.replicas["fra"], "pg_last_wal_replay_lsn")
        if inserted % PAGE == SHORT_HEADER and replayed == inserted - SHORT_HEADER:
            return state
    pytest.fail("the servers never rested")


def test_the_page_boundary_token(databases: Databases, begin: Begin, owing: Current) -> None:
    assert owing.written is not None
    assert owing.written.lsn % PAGE == 0
    later = begin(STRICT, need=owing.written)
    with databases.connection(later) as connection:
        connection.execute("SELECT 1")
    assert later.hosts[0].role == "replica"


def test_without_rounding_no_idle_replica_ever_has_it(
    databases: Databases, begin: Begin, owing: Current
) -> None:
    """The positive control."""
    assert owing.written is not None
    raw = Position(owing.written.timeline, owing.written.lsn + SHORT_HEADER)
    with (
        pytest.raises(ConsistencyUnavailable, match="behind"),
        databases.connection(begin(STRICT, need=raw)),
    ):
        pass
