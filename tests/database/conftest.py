"""A topology over real servers: the primary far away, the replica here."""

import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from regionware.context import Current
from regionware.database.connection import Databases
from regionware.database.position import Position
from regionware.parts.postgres import Cluster
from regionware.policies.database import Access, Database
from regionware.topology import Region, Topology

#: Makes a request's state.
Begin = Callable[..., Current]


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for what happens in another process."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.005)


@pytest.fixture(name="until")
def _until() -> Callable[[Callable[[], bool]], None]:
    return until


@pytest.fixture(scope="session")
def items(postgres: Cluster) -> str:
    """A table, and one whose references are checked at COMMIT."""
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS items (id bigserial PRIMARY KEY, value int)")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS parts"
            " (item bigint REFERENCES items DEFERRABLE INITIALLY DEFERRED)"
        )
    return "items"


@pytest.fixture
def topology(postgres: Cluster, items: str) -> Topology:
    """The replica is here, the primary is not."""
    replica = postgres.replicas["fra"]
    return Topology(
        here="fra",
        regions=[
            Region("iad", primary=True, database=postgres.url),
            Region("fra", replicas=[replica.url]),
        ],
    )


def ready(databases: Databases) -> Databases:
    """Wait until every host was asked, and the replica has all that was written."""
    databases.start()
    until(
        lambda: all(mark.lag is not None or not mark.reachable for mark in databases.marks.values())
    )
    return databases


@pytest.fixture(name="ready")
def _ready() -> Callable[[Databases], Databases]:
    return ready


@pytest.fixture
def databases(topology: Topology, postgres: Cluster) -> Iterator[Databases]:
    """The databases as this process reaches them."""
    postgres.settle()
    made = ready(Databases(topology))
    until(lambda: made.marks["fra/replica-1"].fresh is not None)
    yield made
    made.close()


@pytest.fixture
def begin(topology: Topology) -> Begin:
    """Begins a request: a GET on a session route, if nothing else is said."""

    def begin(
        database: Database | None = None,
        *,
        access: Access = "read",
        need: Position | None = None,
        observing: bool = False,
    ) -> Current:
        return Current(
            region=topology.here,
            here=topology.here,
            method="GET" if access == "read" else "POST",
            route="/",
            access=access,
            database=database or Database.session(),
            need=need,
            observing=observing,
        )

    return begin


@pytest.fixture
def paused(postgres: Cluster, databases: Databases) -> Iterator[None]:
    """The replica receives and does not replay, for the time of a test."""
    replica = postgres.replicas["fra"]
    replica.query("SELECT pg_wal_replay_pause()")
    until(lambda: replica.query("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])
    yield
    replica.query("SELECT pg_wal_replay_resume()")
