"""F1 to F4: a region's Redis that is absent, dies, hangs or is slow. No request notices."""

import math
import time

import pytest

from regionware.parts.proxy import DelayProxy
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour, until
from tests.faults.drills.conftest import Launch, lasts
from tests.faults.drills.evidence import Evidence, milliseconds, sound
from tests.faults.drills.fleet import AMPLE, Fleet
from tests.faults.drills.forms import Measure, Scale, forms
from tests.faults.drills.worker import Setup
from tests.rig import clients

#: Asked for again and again; their calls of the application are counted.
HOT = range(10)
#: Asked for once or twice, so that Redis has something to do.
COLD = range(1000, 3000)
MIXED = [HOT[number // 2 % len(HOT)] if number % 2 else COLD[number // 2] for number in range(4000)]

RATE = 200
WORKERS = 2


def setups(flavour: Flavour, url: str, *off: str, **options: object) -> list[Setup]:
    return [Setup(flavour, {"here": url}, off=off, options=dict(options))] * WORKERS


def hot_calls(fleet: Fleet, since: float = 0.0) -> int:
    return sum(call.item in HOT for call in fleet.origin.calls(since))


def allowed(trouble: float, bound: float) -> int:
    """How often the application may be asked for the hot items.

    Once when all begins; without Redis by each worker, and again whenever it may no longer trust
    what it has made itself; and once when Redis is back, and empty.
    """
    return len(HOT) * (2 + WORKERS * (1 + math.ceil(trouble / bound)))


def report(measure: Measure, seen: Evidence, target: str) -> None:
    measure("answers", str(len(seen)), "")
    measure("p50", milliseconds(seen.percentile(50)), "")
    measure("p99", milliseconds(seen.percentile(99)), target)
    measure("slowest", milliseconds(seen.slowest), "")


@forms("asgi")
class TestAbsentAtStart:
    """F1."""

    def test_nobody_notices(
        self, flavour: Flavour, scale: Scale, launch: Launch, measure: Measure, server: RedisServer
    ) -> None:
        server.stop()
        fleet = launch(*setups(flavour, server.url))
        started = max(fleet.all("start"))
        assert started < AMPLE
        began = time.monotonic()
        with fleet.under_load(MIXED, RATE) as seen:
            lasts(scale(2, 30))
            absent = time.monotonic() - began
            calls = hot_calls(fleet)
            server.start()
            back = fleet.settled()
        sound(seen[0], least=100)
        assert seen[0].slowest < AMPLE
        assert calls <= allowed(absent, fleet[0].do("bound"))
        measure("start", milliseconds(started), "2 s")
        measure("used after it is there", milliseconds(back), "3 s")
        without = seen[0].since(began + 1).until(began + absent)
        report(measure, without, "2 ms added after the first second")


@forms("wsgi")
@pytest.mark.parametrize("how", ["killed", "frozen"])
class TestAwayAndBack:
    """F2 and F3."""

    def test_nobody_notices(
        self,
        flavour: Flavour,
        scale: Scale,
        how: str,
        launch: Launch,
        *,
        measure: Measure,
        server: RedisServer,
    ) -> None:
        fleet = launch(*setups(flavour, server.url))
        fleet.ready()
        fleet.settled()
        before = [worker.census() for worker in fleet.workers]
        bound, began = fleet[0].do("bound"), time.monotonic()
        with fleet.under_load(MIXED, RATE) as seen:
            until(lambda: hot_calls(fleet) >= len(HOT))
            getattr(server, "kill" if how == "killed" else "pause")()
            until(lambda: all(worker.count("redis-down") for worker in fleet.workers))
            opened = time.monotonic()
            lasts(scale(1.5, 20))
            getattr(server, "start" if how == "killed" else "resume")()
            back = fleet.settled()
            trouble = time.monotonic() - began
        sound(seen[0], least=100)
        assert seen[0].slowest < AMPLE
        assert hot_calls(fleet) <= allowed(trouble, bound)
        for worker, then in zip(fleet.workers, before, strict=True):
            until(lambda worker=worker, then=then: not worker.census().exceeds(then))  # type: ignore[misc] # each its own
        until(lambda: clients(server) <= sum(c.connections for c in before) + 8 * WORKERS)
        measure("used again", milliseconds(back), "3 s")
        measure("calls for 10 items", str(hot_calls(fleet)), "20, and 20 for each 5 s without")
        report(measure, seen[0], "150 ms (slowest)")
        report(
            lambda what, *rest: measure(f"{what}, given up", *rest), seen[0].since(opened), "5 ms"
        )


@forms("asgi")
class TestSlow:
    """F4."""

    @staticmethod
    def run(
        fleet: Fleet, server: RedisServer, line: DelayProxy, seconds: float
    ) -> tuple[Evidence, int, float]:
        """What was seen while Redis is slow, how often it was asked, and when it was given up."""
        fleet.ready()
        fleet.settled()
        line.delay = 0.1
        line.counters.reset()
        ran, began, down = scripts(server), time.monotonic(), 0.0
        with fleet.under_load(MIXED, RATE) as seen:
            limit = began + seconds
            while time.monotonic() < limit:
                lasts(0.1)
                if not down and all(worker.count("redis-down") for worker in fleet.workers):
                    down = time.monotonic() - began
        return seen[0], scripts(server) - ran + line.counters.connections, down

    def test_nobody_notices(
        self, flavour: Flavour, scale: Scale, launch: Launch, measure: Measure, server: RedisServer
    ) -> None:
        with DelayProxy(server.port) as line:
            fleet = launch(*setups(flavour, line.through(server.url)))
            seen, asked, down = self.run(fleet, server, line, scale(2.5, 60))
            sound(seen, least=100)
            assert seen.slowest < AMPLE
            assert down, "it was never given up"
            assert asked < len(seen) / 4
            line.delay = 0.0
            back = fleet.settled()
            fleet.close()
        measure("given up", milliseconds(down), "2 s")
        measure("used again", milliseconds(back), "3 s")
        report(measure, seen, "100 ms")

    def test_without_a_breaker_it_is_asked_all_the_while(
        self, flavour: Flavour, scale: Scale, launch: Launch, server: RedisServer
    ) -> None:
        with DelayProxy(server.port) as line:
            fleet = launch(*setups(flavour, line.through(server.url), "breaker"))
            seen, asked, down = self.run(fleet, server, line, scale(1.5, 5))
            assert not down
            assert asked > len(seen) / 4
            fleet.close()


def scripts(server: RedisServer) -> int:
    """How many scripts a server has run, and how many it knew not."""
    lines = server.command("INFO commandstats").splitlines()
    stats = [line for line in lines if line.startswith(("cmdstat_eval:", "cmdstat_evalsha:"))]
    return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in stats)


# Positive controls


def test_without_deadlines_a_request_hangs_with_its_redis(
    launch: Launch, server: RedisServer
) -> None:
    fleet = launch(*setups("asgi", server.url, "deadline"))
    fleet.ready()
    server.pause()
    fleet[0].begin("ask", fleet.new())
    lasts(AMPLE)
    server.resume()
    assert fleet[0].end().seconds >= AMPLE


def test_without_silence_its_errors_surface(launch: Launch, server: RedisServer) -> None:
    fleet = launch(*setups("wsgi", server.url, "silence"))
    fleet.ready()
    server.kill()
    seen = Evidence(fleet[0].do("each", range(5)))
    with pytest.raises(AssertionError):
        sound(seen)
    assert seen.errors


def test_without_a_cache_the_application_is_asked_each_time(
    launch: Launch, server: RedisServer
) -> None:
    server.stop()
    fleet = launch(*setups("asgi", server.url, mode="off"))
    began = time.monotonic()
    for _ in range(10):
        fleet.all("each", HOT)
    trouble = time.monotonic() - began
    assert hot_calls(fleet) > allowed(min(trouble, 1.0), 5.0)


@pytest.mark.parametrize("lie", ["swapped", "short"])
def test_wrong_answers_are_seen(launch: Launch, server: RedisServer, lie: str) -> None:
    fleet = launch(*setups("wsgi", server.url))
    fleet.origin.set(**{lie: 1})
    seen = Evidence(fleet[0].do("each", HOT))
    assert len(seen.wrong) == len(HOT)
    with pytest.raises(AssertionError):
        sound(seen)


def test_leaks_are_seen(launch: Launch, server: RedisServer) -> None:
    fleet = launch(*setups("asgi", server.url))
    fleet.ready()
    fleet.settled()
    before, connected = fleet[0].census(), clients(server)
    fleet[0].do("leak", 20)
    until(lambda: fleet[0].census().tasks >= before.tasks + 20)  # they begin in its event loop
    assert fleet[0].census().exceeds(before)
    assert clients(server) >= connected + 20
