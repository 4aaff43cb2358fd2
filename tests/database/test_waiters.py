"""Reads that wait for a replica are woken by the prober; and real replicas that share the reads."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from regionware.context import Current
from regionware.database import survey
from regionware.database.connection import Databases
from regionware.database.pools import Limits
from regionware.database.position import Position
from regionware.database.selector import Mark
from regionware.database.waiters import Waiters
from regionware.errors import ConsistencyUnavailable
from regionware.observe import Event
from regionware.parts.postgres import Cluster
from regionware.policies.database import Database
from regionware.topology import Region, Topology
from tests.clusters import fresh

Begin = Callable[..., Current]
Until = Callable[..., None]

NEED = Position(1, 500)
NAME = "fra/replica-1"


def mark(lsn: int, *, reachable: bool = True) -> Mark:
    return Mark(when=1.0, reachable=reachable, position=Position(1, lsn))


def test_only_what_was_waited_for_wakes() -> None:
    urged: list[str] = []
    waiters = Waiters(urged.append)
    found: list[Mark | None] = []
    thread = threading.Thread(target=lambda: found.append(waiters.wait(NAME, NEED, 30)))
    thread.start()
    while not waiters.for_host(NAME):
        time.sleep(0.001)
    waiters.tell("fra/replica-2", mark(900))
    waiters.tell(NAME, mark(499))
    assert waiters.for_host(NAME)
    waiters.tell(NAME, mark(500))
    thread.join(10)
    assert (found, urged) == ([mark(500)], [NAME])
    assert not waiters.for_host(NAME)


def test_a_wait_ends_in_time_or_when_it_is_in_vain() -> None:
    waiters = Waiters()
    assert waiters.wait(NAME, NEED, 0.01) is None
    assert not waiters.for_host(NAME)

    async def several() -> list[Mark | None]:
        tasks = [asyncio.create_task(waiters.await_(NAME, NEED, s)) for s in (0.01, 30, 30)]
        await tasks[0]
        tasks[1].cancel()
        await asyncio.wait(tasks[1:2])
        await asyncio.to_thread(waiters.tell, NAME, mark(1, reachable=False))
        return [tasks[0].result(), await tasks[2]]

    assert asyncio.run(several()) == [None, mark(1, reachable=False)]
    assert not waiters.for_host(NAME)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A primary with two replicas of one region, and one of another."""
    with fresh() as made:
        for name in ("one", "two", "nrt"):
            made.replica(name)
        made.primary.query("CREATE TABLE items (value int)")
        made.settle()
        yield made


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def databases(cluster: Cluster, events: list[Event], until: Until) -> Iterator[Databases]:
    replicas = [cluster.replicas[name].url for name in ("one", "two")]
    regions = [
        Region("iad", primary=True, database=cluster.url),
        Region("fra", replicas=replicas),
        Region("nrt", replicas=[cluster.replicas["nrt"].url]),
    ]
    made = Databases(Topology(here="fra", regions=regions), interval=0.1, tell=events.append)
    made.start()
    until(lambda: all(mark.fresh is not None for mark in made.marks.values()))
    yield made
    made.close()


def read(databases: Databases, begin: Begin, state: Current | None = None) -> str:
    state = state or begin()
    with databases.connection(state) as connection:
        connection.execute("SELECT count(*) FROM items")
    return state.hosts[-1].host


def test_replicas_of_a_region_share_the_reads_and_one_takes_over(
    cluster: Cluster, databases: Databases, begin: Begin, until: Until, events: list[Event]
) -> None:
    found = Counter(read(databases, begin) for _ in range(60))
    assert set(found) == {"fra/replica-1", "fra/replica-2"}
    # Frozen: whoever is connected hangs, so the prober must notice.
    cluster.replicas["one"].pause()
    until(lambda: not databases.marks["fra/replica-1"].reachable)
    assert {read(databases, begin) for _ in range(20)} == {"fra/replica-2"}
    cluster.replicas["one"].resume()
    # Killed: a connection that is gone is noticed at once.
    cluster.replicas["two"].kill()
    until(lambda: databases.marks["fra/replica-1"].reachable)
    assert "fra/replica-2" not in {read(databases, begin) for _ in range(20)}
    cluster.replicas["two"].start()
    until(lambda: databases.marks["fra/replica-2"].reachable)
    assert databases.marks["fra/replica-2"].share < 1
    names = Counter(event.name for event in events)
    assert names["database-down"] >= 2
    assert names["database-up"] >= 2


def test_a_replica_that_lags_leaves_the_reads_to_the_other(
    cluster: Cluster, databases: Databases, begin: Begin, until: Until
) -> None:
    one = cluster.replicas["one"]
    one.query("SELECT pg_wal_replay_pause()")
    until(lambda: one.query("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])
    state = begin(access="write")
    with databases.connection(state) as connection:
        connection.execute("INSERT INTO items VALUES (1)")
    policy = Database.session(wait=5000)
    hosts = {
        read(databases, begin, begin(policy, need=state.written)) for _ in range(10)
    }  # fmt: skip
    assert hosts == {"fra/replica-2"}
    # The positive control: who needs nothing is shown the old state there.
    until(lambda: read(databases, begin) == "fra/replica-1")
    one.query("SELECT pg_wal_replay_resume()")


def test_a_nearer_neighbour_is_read_before_a_farther_primary(
    cluster: Cluster, begin: Begin, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    regions = [
        Region("iad", primary=True, database=cluster.url),
        Region("ams"),
        Region("nrt", replicas=[cluster.replicas["nrt"].url]),
    ]
    distant = {"iad/primary": 0.3}
    databases = Databases(Topology(here="ams", regions=regions), interval=0.1)
    # As if the primary were 300 ms away.
    told = survey.Survey.told

    def slower(self: survey.Survey, name: str, system: str, answer: survey.Answer) -> None:
        far = distant.get(name, 0.001)
        told(self, name, system, survey.Answer(
            answer.when, far, answer.row, answer.instance, answer.slack
        ))  # fmt: skip

    monkeypatch.setattr(survey.Survey, "told", slower)
    databases.start()
    until(lambda: all(mark.fresh is not None for mark in databases.marks.values()))
    until(lambda: read(databases, begin) == "nrt/replica-1")
    # The positive control: of two at one distance it is the primary.
    distant["iad/primary"] = 0.001
    until(lambda: read(databases, begin) == "iad/primary")
    databases.close()


def test_a_process_sends_the_primary_no_more_than_its_allowance(
    cluster: Cluster, begin: Begin, until: Until, events: list[Event]
) -> None:
    regions = [
        Region("iad", primary=True, database=cluster.url),
        Region("fra", replicas=["postgresql://postgres@127.0.0.1:1/postgres"]),
    ]
    databases = Databases(
        Topology(here="fra", regions=regions), limits=Limits(takeover=0.01), tell=events.append
    )
    databases.start()
    until(lambda: not databases.marks["fra/replica-1"].reachable)
    assert read(databases, begin) == "iad/primary"
    with pytest.raises(ConsistencyUnavailable, match="takes over no more reads") as refused:
        read(databases, begin)
    assert refused.value.retry_after >= 1
    # Strong reads and writes are no fallback.
    assert read(databases, begin, begin(Database.primary())) == "iad/primary"
    with databases.connection(begin(access="write")) as connection:
        connection.execute("INSERT INTO items VALUES (1)")
    assert [e.detail for e in events if e.name == "primary-read"] == ["unreachable"]
    databases.close()
