"""F12: everybody wants the same at once, and nobody has it."""

import time

import pytest

from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour, until
from tests.faults.drills.conftest import Launch
from tests.faults.drills.evidence import Evidence, milliseconds, sound
from tests.faults.drills.fleet import AMPLE, Fleet
from tests.faults.drills.forms import Measure, Scale, forms
from tests.faults.drills.worker import PATIENT, Setup

WORKERS = 4


def burst(fleet: Fleet, item: int, each: int) -> Evidence:
    """So many requests in each worker for one item, all at the same moment."""
    at = time.monotonic() + 0.3
    return Evidence.of_all(fleet.all("burst", [item] * each, at))


@forms("asgi", "wsgi")
class TestStampede:
    """F12."""

    def test_one_call(
        self, flavour: Flavour, scale: Scale, launch: Launch, measure: Measure, server: RedisServer
    ) -> None:
        fleet = launch(*[Setup(flavour, {"here": server.url}, off=PATIENT)] * WORKERS)
        fleet.ready()
        item, delay, each = fleet.new(), scale(0.5, 2.0), scale(50, 250)
        fleet.origin.set(delay=delay)
        seen = burst(fleet, item, each)
        sound(seen, least=WORKERS * each)
        assert fleet.origin.count(item) == 1
        measure("clients, calls", f"{len(seen)}, 1", "1,000, 1")
        measure(f"p99, cold, application {delay} s", milliseconds(seen.percentile(99)), "+ 200 ms")

    def test_one_call_in_each_region(
        self,
        flavour: Flavour,
        scale: Scale,
        launch: Launch,
        server: RedisServer,
        second_server: RedisServer,
    ) -> None:
        regions = {"here": server.url, "there": second_server.url}
        where = ("here", "here", "there", "there")
        fleet = launch(*[Setup(flavour, regions, here=here, off=PATIENT) for here in where])
        fleet.ready()
        item = fleet.new()
        fleet.origin.set(delay=0.5)
        sound(burst(fleet, item, scale(50, 250)))
        assert fleet.origin.count(item) == 2

    def test_one_call_in_each_process_without_redis(
        self, flavour: Flavour, scale: Scale, launch: Launch, measure: Measure, server: RedisServer
    ) -> None:
        fleet = launch(*[Setup(flavour, {"here": server.url}, off=PATIENT)] * WORKERS)
        fleet.ready()
        server.kill()
        until(lambda: given_up(fleet))
        item, delay, each = fleet.new(), scale(0.5, 2.0), scale(50, 250)
        fleet.origin.set(delay=delay)
        seen = burst(fleet, item, each)
        sound(seen, least=WORKERS * each)
        assert fleet.origin.count(item) == WORKERS
        measure("calls without Redis", str(WORKERS), "4")
        measure("p99 without Redis", milliseconds(seen.percentile(99)), "+ 200 ms")

    def test_nobody_waits_where_stale_is_allowed(
        self, flavour: Flavour, scale: Scale, launch: Launch, measure: Measure, server: RedisServer
    ) -> None:
        cache = {"ttl": 1, "stale_while_revalidate": 300}
        fleet = launch(*[Setup(flavour, {"here": server.url}, cache=cache, off=PATIENT)] * WORKERS)
        fleet.ready()
        item, each = fleet.new(), scale(50, 250)
        fleet.warm([item])
        fleet.origin.change(item)
        fleet.origin.set(hung=1)
        began = fleet.origin.count(item)
        until(lambda: fleet[0].ask(item).detail == "stale-while-revalidate")
        seen = burst(fleet, item, each)
        sound(seen, least=WORKERS * each)
        assert {read.version for read in seen.reads} == {0}
        assert fleet.origin.count(item) == began + 1
        fleet.origin.set(hung=0)
        until(lambda: fleet[0].ask(item).version == 1)
        measure("p99, stale", milliseconds(seen.percentile(99)), "100 ms")


def given_up(fleet: Fleet) -> bool:
    """Whether nobody asks Redis any more; each asks for what it has not, to find out."""
    fleet.all("each", [fleet.new()])
    return all(worker.count("redis-down") for worker in fleet.workers)


def test_without_collapsing_there_are_many_calls(launch: Launch, server: RedisServer) -> None:
    """The positive control: nobody to join in the process."""
    server.kill()
    fleet = launch(Setup("asgi", {"here": server.url}, off=(*PATIENT, "flights")))
    fleet.origin.set(delay=0.5)
    item = fleet.new()
    sound(burst(fleet, item, 10), least=10)
    assert fleet.origin.count(item) > 1


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_without_a_cache_everybody_calls(launch: Launch, server: RedisServer, mode: str) -> None:
    """The positive control: the calls are counted."""
    fleet = launch(*[Setup("wsgi", {"here": server.url}, options={"mode": mode})] * 2)
    item = fleet.new()
    seen = burst(fleet, item, 10)
    assert fleet.origin.count(item) == 20
    assert seen.slowest < AMPLE
