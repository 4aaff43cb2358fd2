"""F18: replicas cancel reads, again and again; and pools have nothing left to give."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import psycopg
import pytest

from regionware.parts.postgres import Cluster
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour
from tests.faults.drills import ledger
from tests.faults.drills.clerk import Duty
from tests.faults.drills.conftest import Launch, lasts
from tests.faults.drills.counters import AMPLE, QUIET, answered, desks, seldom, served
from tests.faults.drills.evidence import milliseconds
from tests.faults.drills.fleet import Fleet
from tests.faults.drills.forms import Measure, Scale, forms
from tests.faults.drills.visits import Visits, right, sound

#: Clusters of databases take long to be made on a busy machine.
pytestmark = pytest.mark.timeout(600)

RATE = 20
#: What a standby says to a read that is in the way of what it has to replay.
CONFLICT = "40001"
#: Asked for in between: they are in memory.
HITS = [Duty(("cached",), tuple(QUIET)[:4])] * 3


@pytest.fixture(name="cluster")
def _cluster(postgres: Cluster) -> Iterator[Cluster]:
    """The databases; the replica waits for nobody who is in its way."""
    ledger.make(postgres)
    postgres.primary.query("CREATE TABLE IF NOT EXISTS storm (value int)")
    postgres.primary.query("INSERT INTO storm VALUES (0)")
    replica = postgres.replicas["fra"]
    # But for the prober, which asks for less long.
    replica.query("ALTER SYSTEM SET max_standby_streaming_delay = '50ms'")
    replica.query("SELECT pg_reload_conf()")
    postgres.settle()
    yield postgres
    replica.query("ALTER SYSTEM RESET max_standby_streaming_delay")
    replica.query("SELECT pg_reload_conf()")


@contextmanager
def storm(cluster: Cluster) -> Iterator[None]:
    """The primary removes rows that reads on the replica might still see."""
    done = Event()

    def run() -> None:
        # Now and then: while a read on the primary might still see them, they stay.
        with psycopg.connect(cluster.url, autocommit=True) as connection:
            while not done.wait(0.2):
                connection.execute("UPDATE storm SET value = value + 1")
                connection.execute("VACUUM storm")

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def conflicts(visits: Visits) -> int:
    """How many were cancelled, told or not."""
    return sum(visit.calls > 1 or visit.error == CONFLICT for visit in visits)


def hits(visits: Visits) -> Visits:
    """What was stored, and shown. Who has failed was told so by the application: it was no hit."""
    cached = visits.only("cached")
    assert {visit.error for visit in cached.errors} <= {CONFLICT, "ConsistencyUnavailable"}
    return Visits([visit for visit in cached if visit.hit])


def repeated(visits: Visits) -> int:
    """How often the application was executed for one request, at most."""
    return max(visit.calls for visit in visits)


def cancelled(fleet: Fleet) -> bool:
    """Whether every kind of read was cancelled by now, and the control's again and again."""
    again, plain = fleet[0].do("worst", "again"), fleet[0].do("worst", "session")
    return bool(again[0] > 1 and plain[1] > 0 and fleet[1].do("worst", "again")[0] > 2)


@forms("asgi")
class TestConflicts:
    """F18, conflicts."""

    DUTIES = (
        *[Duty(("again",), tuple(QUIET), seconds=0.3)] * 3,
        *[Duty(("session",), tuple(QUIET), seconds=0.3)] * 2,
        *HITS,
    )

    def test_they_are_repeated_once_where_that_is_safe(
        self,
        flavour: Flavour,
        scale: Scale,
        launch: Launch,
        *,
        measure: Measure,
        server: RedisServer,
        cluster: Cluster,
    ) -> None:
        desk = desks(flavour, server, cluster)
        fleet = launch(desk(), desk("once", apart="control"))
        fleet.ready()
        with served(fleet, self.DUTIES, RATE) as seen:
            answered(fleet[0], "again", time.monotonic(), replica=True)
            lasts(scale(0.5, 5))
            began = time.monotonic()
            with storm(cluster):
                seldom(lambda: cancelled(fleet))
                lasts(scale(0.3, 20))
            ended = time.monotonic()
        honest, control = (seen[0].by(worker.pid) for worker in fleet.workers)
        during = honest.since(began).until(ended)
        # A function that only reads may be called once more; what the application does itself not.
        sound(honest.only("again"), least=5)
        assert repeated(honest.only("again")) == 2
        assert {visit.error for visit in honest.only("session").errors} == {CONFLICT}
        assert repeated(honest.only("session")) == 1
        assert len(hits(during)) >= 5
        right(honest)
        assert repeated(control.only("again")) > 2
        measure("cancelled, repeated at most", f"{conflicts(honest)}, 1", "1 retry")
        both = hits(during), hits(honest.until(began))
        told = " after ".join(milliseconds(each.percentile(99)) for each in both)
        measure("p99 of cache hits, after that before", told, "5 ms more")


#: Seconds that a caller may wait for a connection; and for which all of them are taken.
DEADLINE = 0.3
HELD = DEADLINE + AMPLE + 0.8


@forms("wsgi")
class TestPoolExhausted:
    """F18, pool exhausted."""

    DUTIES = (
        *[Duty(("held",), tuple(QUIET), seconds=HELD)] * 2,
        *[Duty(("strong",), tuple(QUIET))] * 5,
        *HITS,
    )

    def test_waits_are_bounded(
        self,
        flavour: Flavour,
        scale: Scale,
        launch: Launch,
        *,
        measure: Measure,
        server: RedisServer,
        cluster: Cluster,
    ) -> None:
        desk = desks(flavour, server, cluster)
        few = {"size": 2, "timeout": DEADLINE}
        fleet = launch(
            desk(limits=few),
            desk(apart="control", limits={**few, "timeout": 60.0}),
        )
        fleet.ready()
        for _ in range(scale(1, 5)):
            with served(fleet, self.DUTIES, RATE) as seen:
                lasts(HELD - 0.8)
            honest, control = (seen[0].by(worker.pid) for worker in fleet.workers)
            refused = Visits(honest.only("strong").errors)
            said = {(visit.status, visit.error) for visit in refused}
            assert said == {(503, "PrimaryUnavailable")}
            assert honest.only("strong").slowest < DEADLINE + AMPLE
            assert control.only("strong").slowest > DEADLINE + AMPLE
            assert len(hits(honest)) >= 5
            right(honest)
        measure("refused", str(len(refused)), "")
        measure("slowest refusal", milliseconds(refused.slowest), "1 s")
        measure("p99 of cache hits", milliseconds(hits(honest).percentile(99)), "")
