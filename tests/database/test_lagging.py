"""Replicas that are behind: who is asked instead, and what is promised meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from regionware.context import Current
from regionware.database.connection import Databases
from regionware.database.position import Position
from regionware.errors import ConsistencyUnavailable
from regionware.parts.postgres import Cluster
from regionware.policies.database import Database

Begin = Callable[..., Current]
Until = Callable[[Callable[[], bool]], None]

COUNT = "SELECT count(*), pg_is_in_recovery() FROM items"


def write(databases: Databases, begin: Begin) -> Position:
    state = begin(access="write")
    with databases.connection(state) as connection:
        connection.execute("INSERT INTO items (value) VALUES (1)")
    assert state.written is not None
    return state.written


def read(databases: Databases, state: Current) -> tuple[int, bool]:
    with databases.connection(state) as connection:
        row = connection.execute(COUNT).fetchone()
    assert row is not None
    return int(row[0]), bool(row[1])


@pytest.mark.usefixtures("paused")
def test_a_session_is_not_shown_less_than_it_wrote(
    databases: Databases, postgres: Cluster, begin: Begin
) -> None:
    (before, recovering) = read(databases, begin())
    assert recovering
    need = write(databases, begin)
    owed, stranger = begin(need=need), begin()
    assert read(databases, owed) == (before + 1, False)
    assert owed.hosts[0].reason == "behind"
    # The positive control: without the obligation, the replica shows the old state.
    assert read(databases, stranger) == (before, True)
    assert stranger.lower is not None
    assert not stranger.lower.reached(need)
    postgres.replicas["fra"].query("SELECT pg_wal_replay_resume()")
    postgres.settle()
    again = begin(need=need)
    assert read(databases, again) == (before + 1, True)
    assert again.hosts[0].position is not None
    assert again.hosts[0].position.reached(need)


@pytest.mark.usefixtures("paused")
def test_what_a_policy_wants_instead_of_the_primary(databases: Databases, begin: Begin) -> None:
    (before, _) = read(databases, begin())
    need = write(databases, begin)
    with pytest.raises(ConsistencyUnavailable, match="behind"):
        read(databases, begin(Database.session(unmet="fail"), need=need))
    state = begin(Database.session(unmet="stale"), need=need)
    assert read(databases, state) == (before, True)
    assert state.hosts[0].reason == "stale"
    assert state.lower is not None
    assert not state.lower.reached(need)


@pytest.mark.usefixtures("paused")
def test_a_fence_holds_for_bounded_reads_too(databases: Databases, begin: Begin) -> None:
    need = write(databases, begin)
    state = begin(Database.replica(max_lag=60), need=need)
    assert read(databases, state)[1] is False


@pytest.mark.usefixtures("paused")
def test_a_bounded_read_leaves_a_replica_that_lags(
    databases: Databases, begin: Begin, until: Until
) -> None:
    policy = Database.replica(max_lag=1.0)
    assert read(databases, begin(policy))[1] is True
    write(databases, begin)

    def lagging() -> bool:
        state = begin(policy)
        return read(databases, state)[1] is False and state.hosts[0].reason == "lagging"

    until(lagging)
    lag = databases.marks["fra/replica-1"].lag
    assert lag is not None
    assert lag > 0.5
    # An idle replica that has everything does not lag, however old its last transaction.
    assert read(databases, begin(Database.replica(max_lag=60)))[1] is True


@pytest.fixture
def slow(postgres: Cluster) -> Iterator[float]:
    """The replica shows every commit 300 ms late."""
    replica = postgres.replicas["fra"]

    def delay(setting: str) -> None:
        with psycopg.connect(replica.url, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET recovery_min_apply_delay = '{setting}'")
            connection.execute("SELECT pg_reload_conf()")

    delay("300ms")
    yield 0.3
    delay("0")


def test_a_read_may_wait_for_its_replica(databases: Databases, begin: Begin, slow: float) -> None:
    need = write(databases, begin)
    hasty = begin(Database.session(wait=0), need=need)
    assert read(databases, hasty)[1] is False
    patient = begin(Database.session(wait=5000), need=need)
    assert read(databases, patient)[1] is True
    assert patient.hosts[0].reason == "waited"


@pytest.mark.usefixtures("paused")
def test_nobody_waits_for_a_replica_that_does_not_move(databases: Databases, begin: Begin) -> None:
    need = write(databases, begin)
    start = time.monotonic()
    assert read(databases, begin(Database.session(wait=10_000), need=need))[1] is False
    # The configured wait is ten seconds.
    assert time.monotonic() - start < 5


def test_writes_that_are_under_way_hide_nothing(databases: Databases, begin: Begin) -> None:
    """The bound of a primary read covers only commits that the read can see."""
    committed: list[tuple[Position, int]] = []
    stop = threading.Event()

    def writer() -> None:
        while not stop.is_set():
            state = begin(access="write")
            with databases.connection(state) as connection:
                row = connection.execute(
                    "INSERT INTO items (value) VALUES (1) RETURNING id"
                ).fetchone()
            if row is not None and state.written is not None:
                committed.append((state.written, row[0]))

    threads = [threading.Thread(target=writer) for _ in range(3)]
    for thread in threads:
        thread.start()
    reads = []
    try:
        for _ in range(150):
            state = begin(Database.primary())
            with databases.connection(state) as connection:
                rows = connection.execute("SELECT id FROM items").fetchall()
            reads.append((state.lower, {row[0] for row in rows}))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    covered = 0
    for bound, seen in reads:
        assert bound is not None
        for position, number in committed:
            if bound.reached(position):
                covered += 1
                assert number in seen
    assert covered > 0
