"""What the prober learns, as whom, and of which servers."""

import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from regionware.context import Current
from regionware.database.connection import Databases
from regionware.database.conninfo import connection_string
from regionware.database.position import Position
from regionware.database.selector import Mark
from regionware.database.survey import Answer, Survey
from regionware.database.token import cluster_name
from regionware.parts.postgres import Cluster
from regionware.topology import Region, Topology

Begin = Callable[..., Current]
Until = Callable[[Callable[[], bool]], None]
Ready = Callable[[Databases], Databases]


@pytest.fixture
def plain(postgres: Cluster) -> Iterator[str]:
    """A role without any right that a managed database would not give."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE plain LOGIN")
        connection.execute("GRANT SELECT, INSERT ON items TO plain")
        connection.execute("GRANT USAGE ON SEQUENCE items_id_seq TO plain")
    postgres.settle()
    yield "plain"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("DROP OWNED BY plain")
        connection.execute("DROP ROLE plain")


def as_role(url: str, role: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}").geturl()


def test_marks_are_lower_bounds_in_the_primarys_words(
    databases: Databases, postgres: Cluster
) -> None:
    marks = databases.marks
    assert set(marks) == {"iad/primary", "fra/replica-1"}
    ((system,),) = postgres.primary.query("SELECT system_identifier::text FROM pg_control_system()")
    assert databases.cluster == cluster_name(system)
    there = marks["fra/replica-1"].position
    assert there is not None
    ((behind,),) = postgres.primary.query(
        f"SELECT pg_current_wal_insert_lsn() - '{there.lsn >> 32:X}/{there.lsn & 0xFFFFFFFF:X}'"
    )
    assert behind >= 0
    assert there.timeline == 1


def test_an_ordinary_role_is_enough(
    topology: Topology, plain: str, ready: Ready, until: Until, begin: Begin
) -> None:
    regions = [
        Region("iad", primary=True, database=as_role(topology.primary.database or "", plain)),
        Region("fra", replicas=[as_role(topology.here.replicas[0], plain)]),
    ]
    databases = ready(Databases(Topology(here="fra", regions=regions)))
    # Its timeline is that of the control file, believed because the primary confirms it.
    until(lambda: databases.marks["fra/replica-1"].position is not None)
    state = begin(access="write")
    with databases.connection(state) as connection:
        connection.execute("INSERT INTO items (value) VALUES (1)")

    def reached() -> bool:
        position = databases.marks["fra/replica-1"].position
        return position is not None and position.reached(state.written)

    until(reached)
    later = begin(need=state.written)
    with databases.connection(later) as connection:
        row = connection.execute("SELECT current_user, pg_is_in_recovery()").fetchone()
    assert row == ("plain", True)
    databases.close()


def test_a_replica_of_another_cluster_is_not_read(
    topology: Topology, ready: Ready, begin: Begin, until: Until
) -> None:
    with Cluster() as other:
        stranger = other.replica("fra")
        regions = [topology.primary, Region("fra", replicas=[stranger.url])]
        databases = ready(Databases(Topology(here="fra", regions=regions)))
        until(lambda: not databases.marks["fra/replica-1"].reachable)
        state = begin()
        with databases.connection(state) as connection:
            connection.execute("SELECT 1 FROM items LIMIT 1")
        assert state.hosts[0].host == "iad/primary"
        databases.close()


def test_a_writable_server_is_no_replica(
    topology: Topology, ready: Ready, begin: Begin, until: Until
) -> None:
    url = topology.primary.database or ""
    regions = [topology.primary, Region("fra", replicas=[url])]
    databases = ready(Databases(Topology(here="fra", regions=regions)))
    # It has two names, and goes by the one under which it was heard first.
    until(lambda: not all(mark.reachable for mark in databases.marks.values()))
    state = begin()
    with databases.connection(state) as connection:
        connection.execute("SELECT 1")
    assert state.hosts[0].role == "primary"
    assert state.hosts[0].reason in {"unreachable", "no-replica"}
    databases.close()


def test_no_thread_and_no_connection_is_left(topology: Topology, postgres: Cluster) -> None:
    ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'regionware/%'"
    threads = set(threading.enumerate())
    databases = Databases(topology)
    with databases.connection(None) as connection:
        connection.execute("SELECT 1")
    assert postgres.primary.query(ours) >= [(2,)]
    databases.close()
    databases.close()
    assert {thread for thread in threading.enumerate() if thread not in threads} == set()
    # It can be used again: a server may close and open an application more than once.
    with databases.connection(None) as connection:
        connection.execute("SELECT 1")
    databases.close()


PRIMARY, REPLICA = "iad/primary", "fra/replica-1"


def survey(history: list[tuple[float, int, int]]) -> Survey:
    """One to which the primary has answered: (when, logged, flushed)."""
    made = Survey([PRIMARY, REPLICA], "fra")
    for when, logged, flushed in history:
        row = ["f", f"0/{logged:X}", f"0/{flushed:X}", "00000001", "1", ""]
        made.told(PRIMARY, "7", Answer(when, 0.001, row, "a", 0.6))
    return made


def replica(
    made: Survey, when: float, replayed: int, received: str = "00000001", instance: str = "b"
) -> Mark:
    row = ["t", f"0/{replayed:X}", "", received, "1", ""]
    made.told(REPLICA, "7", Answer(when, 0.001, row, instance, 0.6))
    return made.known.marks[REPLICA]


def test_lag_is_the_age_of_what_was_replayed() -> None:
    made = survey([(10.0, 100, 100), (11.0, 200, 200), (12.0, 300, 300)])
    level = replica(made, 12.1, 300)
    assert (level.fresh, level.lag) == (12.0, 0.0)
    behind = replica(made, 12.1, 250)
    assert behind.fresh == 11.0
    assert behind.lag == pytest.approx(1.1)
    lost = replica(made, 12.1, 50)
    assert (lost.fresh, lost.lag) == (None, None)


def test_what_is_not_flushed_cannot_be_replayed() -> None:
    """A transaction that goes on for minutes is no lag; an asynchronous commit may be."""
    made = survey([(10.0, 100, 100), (11.0, 300, 200)])
    mark = replica(made, 11.1, 200)
    assert mark.fresh == pytest.approx(10.4)
    assert mark.lag == 0.0


def test_a_timeline_is_believed_only_while_the_primary_confirms_it() -> None:
    made = survey([(10.0, 100, 100)])
    assert replica(made, 10.5, 100, received="").position == Position(1, 100)
    # The primary has not answered for long: who stands still keeps what it had, and only that.
    assert replica(made, 20.0, 100, received="").position == Position(1, 100)
    assert replica(made, 20.0, 101, received="").position is None
    again = survey([(10.0, 100, 100)])
    replica(again, 10.5, 100)
    assert replica(again, 20.0, 100, received="", instance="c").position is None
    assert replica(again, 20.0, 101, received="00000002", instance="c").position == Position(2, 101)


def test_what_regionware_adds_to_a_url() -> None:
    text = connection_string(
        "postgresql://u:p@h/d?options=-c%20search_path%3Dapp&connect_timeout=7",
        application="regionware/fra/replica",
        access="read",
        probing=True,
    )
    parts = psycopg.conninfo.conninfo_to_dict(text)
    assert parts["options"] == (
        "-c search_path=app -c default_transaction_read_only=on -c statement_timeout=1000"
    )
    assert (parts["connect_timeout"], parts["password"]) == ("7", "p")
    writing = connection_string("dbname=d", application="a", access="write")
    assert "options" not in psycopg.conninfo.conninfo_to_dict(writing)
