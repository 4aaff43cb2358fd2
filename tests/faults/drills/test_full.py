"""F5: a Redis that is full, while purges go on: acknowledged and done, or an error."""

import time

from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour, until
from tests.faults.drills.conftest import Launch
from tests.faults.drills.evidence import milliseconds, sound
from tests.faults.drills.forms import Measure, Scale, forms
from tests.faults.drills.worker import Setup

ITEMS = range(12)
RATE = 100


@forms("wsgi")
class TestFull:
    """F5."""

    def test_a_purge_is_done_or_refused(
        self, flavour: Flavour, scale: Scale, launch: Launch, measure: Measure, server: RedisServer
    ) -> None:
        fleet = launch(*[Setup(flavour, {"here": server.url})] * 3)
        fleet.ready()
        fleet.warm(ITEMS)
        purger, *others = fleet.workers
        bound: float = purger.do("bound")
        with fleet.under_load(ITEMS, RATE) as seen:
            fleet.purge_for(scale(1, 10), purger, ITEMS)
            server.command("CONFIG SET maxmemory-policy noeviction")
            server.command("CONFIG SET maxmemory 1")
            full = time.monotonic()
            until(lambda: not fleet.purge(purger, *ITEMS))
            fleet.purge_for(bound + scale(1.5, 20), purger, ITEMS, pause=0.2)
            emptied = time.monotonic()
            server.command("CONFIG SET maxmemory 0")
            until(lambda: fleet.purge(purger, *ITEMS))
            until(lambda: fleet.current(ITEMS))
            healed = time.monotonic() - emptied
        sound(seen[0], least=100)
        assert len(fleet.purges) > 10
        assert seen[0].stale(fleet.purges, bound) == []
        assert seen[0].of(purger.pid).stale(fleet.purges, 0.0) == []
        # The positive control: if the refusal were an acknowledgement, this would be a lie.
        assert len(fleet.refusals) > len(ITEMS)
        theirs = seen[0].of(*(worker.pid for worker in others)).until(emptied)
        assert theirs.stale(fleet.refusals, bound) != []
        measure("acknowledged, refused", f"{len(fleet.purges)}, {len(fleet.refusals)}", "")
        measure("stale beyond the bound", "0", "0")
        measure("p99 while full", milliseconds(seen[0].since(full).percentile(99)), "")
        measure("delivered after there is room", milliseconds(healed), "")
