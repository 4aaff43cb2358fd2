"""F16: a replica is promoted that lacks the last writes; the old primary dies, or goes on."""

import time
from collections.abc import Iterator

import pytest

from regionware.parts.postgres import Cluster
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour, until
from tests.faults.drills import ledger
from tests.faults.drills.clerk import Duty
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
from tests.faults.drills.ledger import WAIT
from tests.faults.drills.visits import Switchover, Visit, Visits, right

#: Clusters of databases take long to be made on a busy machine.
pytestmark = pytest.mark.timeout(600)

RATE = 20
DUTIES = [*readers(3, "session", "cached"), *writers(5, "session", "cached", every=3)]
#: Seconds that a request waits for connections at most, where none could be opened yet.
CONNECTING = 5.0


@pytest.fixture(name="cluster")
def _cluster() -> Iterator[Cluster]:
    """A cluster of this drill's own."""
    with Cluster() as made:
        made.replica("fra")
        ledger.make(made)
        yield made


def fleet_of(
    launch: Launch,
    flavour: Flavour,
    cluster: Cluster,
    server: RedisServer,
    *,
    stubborn: bool,
) -> Fleet:
    """A worker in each region, and one that does not know of timelines.

    And, where the old primary goes on, one that takes the topology's word for who that is.
    """
    desk = desks(flavour, server, cluster)
    fleet = launch(
        desk(),
        desk(here="iad"),
        desk("history", apart="one-history"),
        *([desk("timelines", apart="as-declared")] if stubborn else []),
    )
    fleet.ready()
    return fleet


def bereft(place: int) -> range:
    """Items of a worker's sessions whose writes will be lost."""
    return range(200 + 10 * place, 203 + 10 * place)


def told(fleet: Fleet, *command: str) -> list[Visit]:
    """What these sessions do."""
    return [visit for visits in fleet.all(*command) for visit in visits]


def strangers(fleet: Fleet, place: int) -> list[Visit]:
    """What a worker shows of these items to everybody."""
    found: list[Visit] = fleet[place].do("look", "cached", bereft(place))
    return found


def lose(cluster: Cluster) -> dict[int, int]:
    """The replica receives nothing any more; what it has of each item."""
    replica = cluster.replicas["fra"]
    replica.query("ALTER SYSTEM SET primary_conninfo = ''")
    replica.query("SELECT pg_reload_conf()")
    streaming = "SELECT count(*) FROM pg_stat_replication"
    until(lambda: cluster.primary.query(streaming) == [(0,)])
    level = "SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()"
    until(lambda: replica.query(level) == [(True,)])
    return dict(replica.query("SELECT id, value FROM ledger"))


def learned(fleet: Fleet, timeline: int) -> dict[int, float]:
    """When each worker certainly knew of a timeline; but the fourth, which never does."""
    found = {}
    for worker in fleet.workers[:3]:
        knows(worker, lambda hosts: hosts.timeline == timeline)
        found[worker.pid] = time.monotonic()
    return {worker.pid: found.get(worker.pid, time.monotonic()) for worker in fleet.workers}


def late(visits: Visits, switch: Switchover) -> list[Visit]:
    """Writes that the old primary took of a process that knew of the new one."""
    return [
        v for v in visits.only("write") if v.good and switch.certain(v) and v.port == switch.old
    ]


@forms("asgi", "wsgi")
class TestPromotion:
    """F16."""

    def test_no_lost_write_is_shown(
        self,
        flavour: Flavour,
        scale: Scale,
        launch: Launch,
        *,
        measure: Measure,
        server: RedisServer,
        cluster: Cluster,
    ) -> None:
        killed = flavour == "asgi"
        fleet = fleet_of(launch, flavour, cluster, server, stubborn=not killed)
        old, new, seen = cluster.primary, cluster.replicas["fra"], list[Visit]()
        for place, worker in enumerate(fleet.workers):
            worker.do("admit", [Duty((), (item,), own=item) for item in bereft(place)])
        with served(fleet, DUTIES, RATE) as load:
            kept = lose(cluster)
            seen += told(fleet, "write")
            seen += told(fleet, "read", "cached")
            dead = time.monotonic()
            if killed:
                old.kill()
                dead = time.monotonic()
            new.promote()
            at = time.monotonic()
            switch = Switchover(learned(fleet, 2), old.port, kept)
            for worker in fleet.workers[:2]:
                answered(worker, "write", switch.known[worker.pid], replica=False)
            again = time.monotonic()
            for place in range(3):
                seen += strangers(fleet, place)
            seen += told(fleet, "read", "session")
            seen += told(fleet, "read", "cached")
            lasts(scale(0.1, 10))
            cluster.demote(old, new)
            # Its region reads from it, as from any replica.
            answered(fleet[1], "session", time.monotonic(), replica=True)
            lasts(scale(0.1, 5))
        every = Visits([*load[0], *seen])
        both = every.by(fleet[0].pid, fleet[1].pid)
        assert len(both.bereft(switch)) >= len(bereft(0))
        right(both, switch)
        assert both.ghosts(switch)[:3] == []
        assert both.unannounced(switch)[:3] == []
        assert late(both, switch)[:3] == []
        assert [v for v in both.errors if v.status != 503 and v.began > dead][:3] == []
        assert both.since(again).errors[:3] == []
        assert both.slowest < WAIT / 1000 + CONNECTING + AMPLE
        assert known(fleet[0]).primary == "fra/replica-1"
        # The positive controls.
        forgetful, stubborn = every.by(fleet[2].pid), every.by(fleet[-1].pid)
        assert forgetful.ghosts(switch)
        assert forgetful.unannounced(switch)
        assert killed or late(stubborn, switch)
        wrote = both.only("write").since(at)
        first = min(visit.ended for visit in wrote if switch.written(visit))
        measure("sessions that lost a write", str(len(both.bereft(switch))), "")
        measure("written again, the first", milliseconds(first - at), "500 ms")
        measure("written again by both regions", milliseconds(again - at), "500 ms")
        measure("slowest", milliseconds(both.slowest), "")
