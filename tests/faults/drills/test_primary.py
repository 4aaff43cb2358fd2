"""F17: the primary dies, and comes back; meanwhile replicas answer, and nothing is written."""

import time

import pytest

from regionware.parts.postgres import Cluster
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour
from tests.faults.drills import ledger
from tests.faults.drills.clerk import Duty
from tests.faults.drills.conftest import Launch, lasts
from tests.faults.drills.counters import AMPLE, answered, desks, readers, served, writers
from tests.faults.drills.evidence import milliseconds
from tests.faults.drills.forms import Measure, Scale, forms
from tests.faults.drills.visits import Visits, right

#: Clusters of databases take long to be made on a busy machine.
pytestmark = pytest.mark.timeout(600)

RATE = 30
WORKERS = 2
DUTIES = [
    *readers(3, "session", "again", "lagging"),
    *readers(2, "lagging"),
    *writers(4, "session", "cached", every=2),
]
#: Seconds that a caller waits for a connection; and how many times: for the primary as it was
#: known, and for the one that was found instead.
DEADLINE, TIMES = 1.0, 2
LIMITS = {"timeout": DEADLINE}


@pytest.fixture(name="cluster")
def _cluster(postgres: Cluster) -> Cluster:
    """The databases; they are put right after a drill."""
    ledger.make(postgres)
    return postgres


def judged(visits: Visits, dead: float, back: float) -> Visits:
    """Assert of the time without a primary; the writes that failed."""
    free = Visits([*visits.only("lagging"), *visits.of_replicas_alone()])
    assert free.since(dead).until(back).errors[:3] == []
    writes = visits.only("write").since(dead)
    failed = Visits([v for v in writes.errors if v.began < back])
    assert {(v.status, v.error) for v in failed} == {(503, "PrimaryUnavailable")}
    assert [v for v in writes if v.good and v.ended < back] == []
    assert failed.slowest < DEADLINE * TIMES + AMPLE
    return failed


@forms("asgi", "wsgi")
class TestPrimaryDown:
    """F17."""

    def test_replicas_answer_and_writes_are_refused(
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
        without = desk(apart="control", limits=LIMITS)
        without.options["mode"] = "off"
        fleet = launch(*[desk(limits=LIMITS)] * WORKERS, without)
        fleet.ready()
        with served(fleet, DUTIES, RATE) as seen:
            for worker in fleet.workers:
                answered(worker, "write", time.monotonic(), replica=False)
            cluster.settle()
            cluster.primary.kill()
            dead = time.monotonic()
            lasts(scale(1.5, 20))
            back = time.monotonic()
            cluster.primary.start()
            there = time.monotonic()
            for worker in fleet.workers:
                answered(worker, "write", there, replica=False)
            again = time.monotonic() - there
            settled = time.monotonic()
            lasts(0.3)
        *workers, control = fleet.workers
        honest = seen[0].by(*(worker.pid for worker in workers))
        failed = judged(honest, dead, back)
        right(honest)
        assert honest.since(settled).errors[:3] == []
        reads = honest.reads.since(dead).until(back)
        assert len(reads) > 10
        # Who reads from the primary alone has noticed.
        with pytest.raises(AssertionError):
            judged(seen[0].by(control.pid), dead, back)
        measure("reads without a primary, refused", f"{len(reads)}, {len(reads.errors)}", "")
        measure("writes refused", str(len(failed)), "")
        measure("slowest refusal", milliseconds(failed.slowest), "1 s")
        measure("slowest read", milliseconds(reads.slowest), "")
        measure("written again", milliseconds(again), "5 s")


def test_without_bounds_a_write_waits_for_its_primary(
    launch: Launch, server: RedisServer, cluster: Cluster
) -> None:
    """The positive control."""
    desk = desks("wsgi", server, cluster)
    fleet = launch(desk("patience", limits={"timeout": 60.0}))
    fleet.ready()
    cluster.primary.kill()
    began = time.monotonic()
    fleet[0].do("admit", [Duty((), (1,), own=1)])
    fleet[0].begin("write")
    lasts(DEADLINE * TIMES + AMPLE)
    back = time.monotonic()
    cluster.primary.start()
    visits = Visits(fleet[0].end())
    assert visits.slowest > DEADLINE * TIMES + AMPLE
    with pytest.raises(AssertionError):
        judged(visits, began - 1, back)
