"""F10: whoever holds the lease of a key dies, or sleeps, while it fills."""

import time

from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour, until
from tests.faults.drills.backup import Backup
from tests.faults.drills.conftest import Launch
from tests.faults.drills.evidence import going_back, milliseconds, sound
from tests.faults.drills.fleet import AMPLE, Fleet, Process
from tests.faults.drills.forms import Measure, Scale, forms
from tests.faults.drills.origin import Call
from tests.faults.drills.worker import PATIENT, Setup

ITEM = 7
RATE = 100
#: Seconds that the application takes.
FILL = 0.3
#: Seconds for which nobody can be kept waiting by a holder that is dead: the longest that a lease
#: of such an application may hold without being renewed.
LEASE = 10.0


def setups(flavour: Flavour, url: str, number: int) -> list[Setup]:
    return [Setup(flavour, {"here": url}, off=PATIENT)] * number


def filling(fleet: Fleet, version: int) -> Process:
    """The worker that makes this version first."""

    def calls() -> list[Call]:
        return [call for call in fleet.origin.calls() if call.version == version]

    until(calls)
    pids = {worker.pid: worker for worker in fleet.workers}
    return pids[calls()[0].pid]


@forms("asgi")
class TestHolderKilled:
    """F10."""

    def test_another_takes_over(
        self, flavour: Flavour, scale: Scale, launch: Launch, measure: Measure, server: RedisServer
    ) -> None:
        fleet = launch(*setups(flavour, server.url, 4))
        fleet.ready()
        purger = fleet[0]
        fleet.warm([ITEM])
        fleet.origin.set(delay=FILL)
        most, bound = 0, fleet[0].do("bound")
        with fleet.under_load([ITEM], RATE, but=[purger]) as seen:
            for _ in range(scale(2, 50)):
                assert fleet.purge(purger, ITEM)
                version = fleet.origin.version(ITEM)
                dead = filling(fleet, version)
                dead.kill()
                fleet.replace(dead)
                until(lambda: fleet.current([ITEM]))
                made = sum(call.version == version for call in fleet.origin.calls())
                most = max(most, made)
        sound(seen[0], least=20)
        assert seen[0].slowest < LEASE + FILL + AMPLE
        assert seen[0].stale(fleet.purges, bound) == []
        assert going_back(seen[0].reads) == []
        assert most <= 2
        measure("holders killed", str(scale(2, 50)), "50")
        measure("most calls for one version", str(most), "2")
        measure("longest wait", milliseconds(seen[0].slowest), "the lease")


@forms("wsgi")
class TestHolderAsleep:
    """F10, with a holder that wakes up after it was replaced."""

    def test_what_it_made_is_not_kept(
        self, flavour: Flavour, scale: Scale, launch: Launch, server: RedisServer
    ) -> None:
        fleet = launch(*setups(flavour, server.url, 3))
        fleet.ready()
        for _ in range(scale(2, 20)):
            item = self.sleep_over_a_purge(fleet)
            fleet[2].do("forget")
            fleet[1].do("forget")
            assert fleet.current([item], fleet.workers)

    def test_without_a_fence_it_would_be(
        self, flavour: Flavour, scale: Scale, launch: Launch, server: RedisServer
    ) -> None:
        """The positive control: Redis forgets the purge, and the holder does not hear of it.

        A holder that renews its lease between the purge and the restoration knows better; then it
        is tried again.
        """
        deaf = Setup(flavour, {"here": server.url}, off=(*PATIENT, "hearing"))
        fleet = launch(deaf, *setups(flavour, server.url, 2))
        fleet.all("ready", but=fleet.workers[:1])

        def old_is_kept() -> bool:
            item = self.forget_a_purge(fleet, server)
            late = fleet.add(fleet[1].setup)
            late.do("ready")
            return not fleet.current([item], [late])

        until(old_is_kept, 40)

    @staticmethod
    def sleep_over_a_purge(fleet: Fleet) -> int:
        """A holder sleeps while its item is purged, and filled anew by another; then it wakes."""
        item = fleet.new()
        holder, other, purger = fleet.workers
        begin_to_fill(fleet, holder, item)
        holder.freeze()
        fleet.origin.set(hung=0)
        assert fleet.purge(purger, item)
        found = other.ask(item)
        assert (found.status, found.version) == (200, fleet.origin.version(item))
        holder.thaw()
        old = holder.end()
        assert (old.status, old.version) == (200, fleet.origin.version(item) - 1)
        return item

    @staticmethod
    def forget_a_purge(fleet: Fleet, server: RedisServer) -> int:
        """An item is purged while it is filled; before that is done, Redis has forgotten it."""
        item = fleet.new()
        holder, purger = fleet.workers[:2]
        begin_to_fill(fleet, holder, item)
        with Backup(server) as backup:
            assert fleet.purge(purger, item)
            backup.restore()
        fleet.origin.set(hung=0)
        assert holder.end().version == fleet.origin.version(item) - 1
        return item


def begin_to_fill(fleet: Fleet, holder: Process, item: int) -> None:
    """The application hangs while it answers this worker."""
    fleet.origin.set(hung=1)
    holder.begin("ask", item)
    until(lambda: fleet.origin.count(item) == 1)


def test_a_holder_that_nobody_replaces_is_felt(launch: Launch, server: RedisServer) -> None:
    """The positive control: one that sleeps in its only process keeps its followers waiting."""
    fleet = launch(*setups("wsgi", server.url, 1))
    fleet.ready()
    fleet.origin.set(hung=1)
    fleet[0].begin("burst", [ITEM] * 3, time.monotonic())
    until(lambda: fleet.origin.count(ITEM) >= 1)
    fleet[0].freeze()
    time.sleep(1)
    fleet.origin.set(hung=0)
    fleet[0].thaw()
    assert max(read.seconds for read in fleet[0].end()) > 1
