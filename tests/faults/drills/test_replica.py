"""F14: a region's replica dies, is frozen, or replays no more; then it is back."""

import time
from collections.abc import Iterator

import pytest

from regionware.parts.postgres import Cluster
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour
from tests.faults.drills import ledger
from tests.faults.drills.conftest import Launch, lasts
from tests.faults.drills.counters import (
    AMPLE,
    answered,
    desks,
    known,
    knows,
    readers,
    served,
    writers,
)
from tests.faults.drills.evidence import milliseconds
from tests.faults.drills.fleet import Fleet
from tests.faults.drills.forms import Measure, Scale, forms
from tests.faults.drills.visits import Visits, right, sound

#: Clusters of databases take long to be made on a busy machine.
pytestmark = pytest.mark.timeout(600)

HERE = "fra/replica-1"
#: Requests in a second in each worker. Fewer than what its primary takes over from a replica.
RATE = 30
WORKERS = 2
#: A frozen server keeps as many of a worker's sessions waiting as a pool has connections.
POOL = 10
DUTIES = [*readers(5, "again", "session", "lagging", "bounded"), *writers(5, "session", "cached")]


@pytest.fixture(name="cluster")
def _cluster(postgres: Cluster) -> Iterator[Cluster]:
    """The databases; whatever a drill leaves behind is put right after it."""
    ledger.make(postgres)
    yield postgres
    replica = postgres.replicas["fra"]
    replica.resume()
    replica.start()
    replica.query("SELECT pg_wal_replay_resume()")


def fleet_of(
    launch: Launch, flavour: Flavour, cluster: Cluster, server: RedisServer, control: str
) -> Fleet:
    """Workers, the last of which lacks a protection."""
    desk = desks(flavour, server, cluster)
    off, more = ((), {"unmet": "fail"}) if control == "fallback" else ((control,), {})
    lacking = desk(*off, apart="control", **more)
    fleet = launch(*[desk()] * WORKERS, lacking)
    fleet.ready()
    return fleet


def parted(fleet: Fleet, seen: Visits) -> tuple[Visits, Visits]:
    """What the workers showed, and what that one did which lacks a protection."""
    *honest, control = fleet.workers
    return seen.by(*(worker.pid for worker in honest)), seen.by(control.pid)


def ejected(fleet: Fleet) -> float:
    """Wait until no worker uses the replica; how long that took."""
    began = time.monotonic()
    for worker in fleet.workers[:WORKERS]:
        knows(worker, lambda hosts: HERE not in hosts.used)
    return time.monotonic() - began


def used_again(fleet: Fleet, what: str = "session") -> float:
    """Wait until the replica answers in every worker; how long that took."""
    began = time.monotonic()
    for worker in fleet.workers[:WORKERS]:
        answered(worker, what, began, replica=True)
    return time.monotonic() - began


def report(measure: Measure, seen: Visits, again: float) -> None:
    measure("answers, errors, wrong", f"{len(seen)}, 0, 0", ", 0, 0")
    measure("used again", milliseconds(again), "5 s")
    measure("p99", milliseconds(seen.percentile(99)), "")


@forms("asgi")
class TestReplicaKilled:
    """F14, killed."""

    def test_nobody_notices(
        self,
        flavour: Flavour,
        scale: Scale,
        launch: Launch,
        *,
        measure: Measure,
        server: RedisServer,
        cluster: Cluster,
    ) -> None:
        fleet = fleet_of(launch, flavour, cluster, server, "fallback")
        with served(fleet, DUTIES, RATE) as seen:
            used_again(fleet)
            cluster.replicas["fra"].kill()
            dead = time.monotonic()
            gone = ejected(fleet)
            lasts(scale(0.5, 20))
            cluster.replicas["fra"].start()
            again = used_again(fleet)
        honest, control = parted(fleet, seen[0])
        # A read that may be repeated is; of others, those fail that it was answering.
        sound(honest.only("again"), least=10)
        assert [v for v in honest.errors if v.began > dead or v.error != "OperationalError"] == []
        right(honest)
        assert {visit.error for visit in control.errors} >= {"ConsistencyUnavailable"}
        measure("ejected", milliseconds(gone), "1 s")
        measure("slowest", milliseconds(honest.slowest), "")
        report(measure, honest, again)


@forms("wsgi")
class TestReplicaFrozen:
    """F14, frozen."""

    def test_only_those_wait_whom_it_was_answering(
        self,
        flavour: Flavour,
        scale: Scale,
        launch: Launch,
        *,
        measure: Measure,
        server: RedisServer,
        cluster: Cluster,
    ) -> None:
        fleet = fleet_of(launch, flavour, cluster, server, "ejecting")
        # Two more than it can keep waiting.
        duties = [*readers(7, "again", "session", "lagging"), *writers(5, "session", "cached")]
        with served(fleet, duties, RATE) as seen:
            used_again(fleet)
            frozen = time.monotonic()
            cluster.replicas["fra"].pause()
            gone = ejected(fleet)
            out = time.monotonic()
            lasts(scale(AMPLE + 1, 12))
            back = time.monotonic()
            cluster.replicas["fra"].resume()
            again = used_again(fleet)
        honest, control = parted(fleet, seen[0])
        sound(honest, least=100)
        caught = [visit for visit in honest if visit.began < back <= visit.ended]
        stuck = [visit for visit in caught if visit.began < out]
        assert len(stuck) <= WORKERS * POOL < WORKERS * len(duties)
        # Nobody else has waited for it.
        later = honest.since(out).until(back - AMPLE)
        assert len(later) > 0
        assert [visit for visit in caught if visit in later] == []
        assert HERE in known(fleet[WORKERS]).used
        assert control.since(frozen).until(back - 1).slowest > 0.9
        measure("ejected", milliseconds(gone), "1 s")
        measure("kept waiting until it was back", str(len(stuck)), "0")
        measure("slowest while frozen", milliseconds(honest.until(back).slowest), "250 ms")
        after = honest.since(out).until(back)
        measure("slowest after that", milliseconds(after.slowest), "")
        measure("frozen for", milliseconds(back - frozen), "")
        report(measure, honest, again)


@forms("asgi")
class TestReplicaPaused:
    """F14, replay paused."""

    def test_nobody_is_shown_less_than_was_promised(
        self,
        flavour: Flavour,
        scale: Scale,
        launch: Launch,
        *,
        measure: Measure,
        server: RedisServer,
        cluster: Cluster,
    ) -> None:
        fleet, replica = (
            fleet_of(launch, flavour, cluster, server, "positions"),
            cluster.replicas["fra"],
        )
        with served(fleet, DUTIES, RATE) as seen:
            used_again(fleet)
            replica.query("SELECT pg_wal_replay_pause()")
            paused = time.monotonic()
            for worker in fleet.workers[:WORKERS]:
                # Where a second of lag is promised, the primary takes over.
                answered(worker, "bounded", paused, replica=False)
            level = time.monotonic() - paused
            lasts(scale(0.3, 20))
            replica.query("SELECT pg_wal_replay_resume()")
            again = used_again(fleet, "bounded")
        honest, control = parted(fleet, seen[0])
        sound(honest, least=100)
        assert control.going_back() != []
        with pytest.raises(AssertionError):
            right(control)
        measure("bounded reads go to the primary", milliseconds(level), "1 s, and a probe")
        measure("slowest", milliseconds(honest.slowest), "")
        report(measure, honest, again)
