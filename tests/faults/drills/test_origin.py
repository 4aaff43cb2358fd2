"""F13: the application hangs, or fails, while something stale may be served."""

import math
import time

import pytest

from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour, until
from tests.faults.drills.conftest import Launch, lasts
from tests.faults.drills.evidence import Evidence, Read, milliseconds, sound
from tests.faults.drills.fleet import AMPLE, Fleet
from tests.faults.drills.forms import Measure, Scale, forms
from tests.faults.drills.worker import PATIENT, Setup

ITEMS = range(5)
RATE = 200
WORKERS = 3
#: Seconds between two attempts at an application that fails, at least and at most.
THROTTLE = (1, 30)


def fleet_of(launch: Launch, flavour: Flavour, url: str, **cache: float) -> Fleet:
    fleet = launch(*[Setup(flavour, {"here": url}, cache=cache, off=PATIENT)] * WORKERS)
    fleet.ready()
    fleet.warm(ITEMS)
    return fleet


def expired(fleet: Fleet) -> None:
    """Let the second pass for which everything was fresh."""
    lasts(1.2)


def ended_after(seen: Evidence, moment: float) -> list[Read]:
    """Answers that came only then."""
    return [read for read in seen.reads if read.began + read.seconds >= moment]


def attempts(seconds: float) -> int:
    """How often a failing application may be asked for one key by a whole region.

    The pauses double from one second to thirty, each shortened by a tenth at most; one attempt
    may have been under way.
    """
    number, at, pause = 2, 0.0, float(THROTTLE[0])
    while (at := at + 0.9 * pause) < seconds:
        number, pause = number + 1, min(2 * pause, THROTTLE[1])
    return number


@forms("asgi")
class TestHung:
    """F13."""

    def test_nobody_waits_for_it(
        self, flavour: Flavour, scale: Scale, launch: Launch, measure: Measure, server: RedisServer
    ) -> None:
        fleet = fleet_of(launch, flavour, server.url, ttl=1, stale_while_revalidate=600)
        expired(fleet)
        for item in ITEMS:
            fleet.origin.change(item)
        fleet.origin.set(hung=1)
        began = time.monotonic()
        with fleet.under_load(ITEMS, RATE) as seen:
            lasts(scale(2, 60))
            hung = time.monotonic() - began
            calls = fleet.origin.count(since=began)
            fleet.origin.set(hung=0)
            recovered = time.monotonic()
            until(lambda: fleet.current(ITEMS))
            fresh = time.monotonic() - recovered
        sound(seen[0], least=100)
        # Nobody has waited until it came back.
        assert ended_after(seen[0].until(recovered - 1), recovered)[:3] == []
        assert calls <= len(ITEMS) * WORKERS * math.ceil(hung / THROTTLE[1])
        measure(
            "p99 while it hangs", milliseconds(seen[0].until(recovered).percentile(99)), "100 ms"
        )
        measure("calls for 5 keys", str(calls), "1 for each key in 30 s and worker")
        measure("fresh after it is back", milliseconds(fresh), "30 s")


@forms("wsgi")
class TestHungAndForgotten:
    """F13, with workers whose memories are empty: what is stale is in Redis."""

    def test_nobody_waits_for_it(
        self, flavour: Flavour, scale: Scale, launch: Launch, server: RedisServer
    ) -> None:
        fleet = fleet_of(launch, flavour, server.url, ttl=1, stale_while_revalidate=600)
        expired(fleet)
        fleet.origin.set(hung=1)
        fleet.all("forget")
        with fleet.under_load(ITEMS, RATE) as seen:
            lasts(scale(2, 10))
            recovered = time.monotonic()
            fleet.origin.set(hung=0)
        sound(seen[0], least=100)
        assert ended_after(seen[0].until(recovered - 1), recovered)[:3] == []


@forms("wsgi")
class TestFailing:
    """F13, with an application that answers 500."""

    @pytest.mark.parametrize("window", ["stale_while_revalidate", "stale_if_error"])
    def test_the_region_asks_it_less_and_less(
        self,
        flavour: Flavour,
        scale: Scale,
        window: str,
        launch: Launch,
        *,
        measure: Measure,
        server: RedisServer,
    ) -> None:
        fleet = fleet_of(launch, flavour, server.url, ttl=1, **{window: 600})
        expired(fleet)
        fleet.origin.set(failing=1)
        began = time.monotonic()
        with fleet.under_load(ITEMS, RATE) as seen:
            lasts(scale(3, 40))
            failing = time.monotonic() - began
            calls = {item: fleet.origin.count(item, since=began) for item in ITEMS}
            for item in ITEMS:
                fleet.origin.change(item)
            fleet.origin.set(failing=0)
            recovered = time.monotonic()
            until(lambda: fleet.current(ITEMS), 3 * THROTTLE[1])
            fresh = time.monotonic() - recovered
        sound(seen[0], least=100)
        assert seen[0].slowest < AMPLE
        assert min(calls.values()) >= 1
        assert max(calls.values()) <= attempts(failing)
        measure("most calls for one key", str(max(calls.values())), str(attempts(failing)))
        measure("fresh after it is back", milliseconds(fresh), "30 s")


def test_without_a_stale_window_everybody_notices(launch: Launch, server: RedisServer) -> None:
    """The positive control: what the windows hide, and how often the application is asked."""
    fleet = fleet_of(launch, "wsgi", server.url, ttl=1)
    fleet.origin.set(failing=1)
    expired(fleet)
    began = time.monotonic()
    with fleet.under_load(ITEMS, RATE) as seen:
        lasts(1.5)
    assert seen[0].errors
    assert fleet.origin.count(ITEMS[0], since=began) > attempts(1.5)


def test_attempts_are_few() -> None:
    assert [attempts(each) for each in (0.5, 2, 3, 60)] == [2, 3, 4, 8]
