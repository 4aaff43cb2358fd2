"""F11: clients that go away at any point of an answer."""

from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour, until
from tests.faults.drills.conftest import Launch
from tests.faults.drills.evidence import Evidence, milliseconds, sound
from tests.faults.drills.fleet import AMPLE, Fleet
from tests.faults.drills.forms import Measure, Scale, forms
from tests.faults.drills.worker import PATIENT, Census, Setup

#: A few keys, so that those who leave lead others who stay or leave as well.
ITEMS = range(25)
WORKERS = 2


def fleet_of(launch: Launch, flavour: Flavour, url: str, *off: str) -> Fleet:
    fleet = launch(*[Setup(flavour, {"here": url}, off=off)] * WORKERS)
    fleet.ready()
    return fleet


def quiet(before: Census, now: Census, at_once: int) -> bool:
    """Nothing of the clients who left is there any more."""
    return now.parked == 0 and now.tasks <= before.tasks + 4 and not now.exceeds(before, at_once)


@forms("asgi", "wsgi")
class TestDisconnects:
    """F11."""

    def test_nothing_is_left_behind(
        self, flavour: Flavour, scale: Scale, launch: Launch, measure: Measure, server: RedisServer
    ) -> None:
        fleet = fleet_of(launch, flavour, server.url)
        fleet.settled()
        before = [worker.census() for worker in fleet.workers]
        at_once, rounds, gone = scale(30, 250), scale(2, 10), 0
        each = scale(100, 250)
        fleet.origin.set(delay=0.01, step=0.005)
        for number in range(rounds):
            fleet.purge(fleet[0], *ITEMS)
            asked = [ITEMS[n % len(ITEMS)] for n in range(each)]
            gone += sum(fleet.all("disconnect", asked, at_once, number))
        assert gone >= rounds * each // 4
        for worker, then in zip(fleet.workers, before, strict=True):
            until(lambda worker=worker, then=then: quiet(then, worker.census(), at_once))  # type: ignore[misc] # each its own
        fleet.origin.set(delay=0, step=0)
        # Nobody holds a key, and nothing that is stored is a part of an answer.
        seen = Evidence.of_all(fleet.all("each", ITEMS))
        fleet.all("forget")
        seen += Evidence.of_all(fleet.all("each", ITEMS))
        sound(seen, least=4 * len(ITEMS))
        assert seen.stale(fleet.purges, 0.0) == []
        assert seen.slowest < AMPLE
        assert seen.count("redis") > 0
        measure("clients that left", str(gone), "5,000")
        measure("left behind: tasks, flights, connections; parts stored", "0", "0")
        measure("slowest afterwards", milliseconds(seen.slowest), "")


def test_what_is_left_is_seen(launch: Launch, server: RedisServer) -> None:
    """The positive control: a task for each client."""
    fleet = fleet_of(launch, "asgi", server.url)
    before = fleet[0].census()
    fleet[0].do("leak", 20)
    until(lambda: not quiet(before, fleet[0].census(), 300))  # they begin in its event loop
    assert not quiet(before, fleet[0].census(), 8)


def test_a_part_that_is_stored_is_seen(launch: Launch, server: RedisServer) -> None:
    """The positive control: an application that passes a part for the whole."""
    fleet = fleet_of(launch, "wsgi", server.url, *PATIENT)
    fleet.origin.set(short=1)
    fleet[0].do("each", ITEMS)
    fleet.origin.set(short=0)
    assert len(Evidence(fleet[1].do("each", ITEMS)).wrong) == len(ITEMS)
