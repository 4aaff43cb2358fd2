"""F7: a Redis, or whatever answers in its place, that says anything at all."""

import random

from tests.conformance.harness import Flavour, until
from tests.faults.drills.conftest import Launch, lasts
from tests.faults.drills.evidence import Evidence, milliseconds, sound
from tests.faults.drills.fleet import AMPLE, Fleet
from tests.faults.drills.forms import Measure, Scale, forms
from tests.faults.drills.switches import ERRORS, HALVES, REPLIES, Hang, Hangup, ScriptedRedis
from tests.faults.drills.worker import Setup

#: What is said instead of an answer, and what comes of the connection afterwards.
SAID = [
    *((f"-{error.decode('latin-1')}\r\n".encode("latin-1"), None) for error in ERRORS),
    *((reply, None) for reply in REPLIES.values()),
    *((half, how) for half in HALVES for how in (Hang, Hangup)),
]


def says(redis: ScriptedRedis, octets: bytes, then: type[Exception] | None) -> None:
    """Answer every look-up, fill and purge with this from now on."""

    def script(_: object) -> bytes:
        if then is not None:
            raise then(octets)
        return octets

    redis.script = script


@forms(*("asgi", "wsgi"))
class TestGarbage:
    """F7."""

    def test_nobody_notices(
        self, flavour: Flavour, scale: Scale, launch: Launch, measure: Measure
    ) -> None:
        rounds = list(SAID)
        random.Random(7).shuffle(rounds)
        with ScriptedRedis(lambda _: b"") as redis:
            fleet = launch(Setup(flavour, {"here": redis.url}))
            seen: list[Evidence] = []
            for octets, then in rounds:
                says(redis, octets, then)
                seen.append(self.ask(fleet, scale))
                fleet[0].do("reopen", redis.url)
            all_seen = Evidence([read for each in seen for read in each.reads])
            sound(all_seen, least=5 * len(SAID))
            assert all_seen.slowest < AMPLE
            assert redis.seen["lookup"] >= len(SAID)
            fleet[0].do("close")
            until(lambda: redis.open == 0)
        measure("kinds of answers", str(len(SAID)), "14 and more")
        measure("errors, wrong answers, connections left", "0, 0, 0", "0, 0, 0")
        measure("slowest", milliseconds(all_seen.slowest), "")

    @staticmethod
    def ask(fleet: Fleet, scale: Scale) -> Evidence:
        if not scale.long:
            items = [fleet.new() for _ in range(3)]
            return Evidence(fleet[0].do("each", items + items))
        with fleet.under_load([fleet.new() for _ in range(20)], 50) as seen:
            lasts(1.5)
        return seen[0]


def test_without_silence_its_errors_surface(launch: Launch) -> None:
    """The positive control."""
    with ScriptedRedis(lambda _: b"") as redis:
        fleet = launch(Setup("asgi", {"here": redis.url}, off=("silence",)))
        says(redis, b"-LOADING Redis is loading the dataset in memory\r\n", None)
        assert Evidence(fleet[0].do("each", range(3))).errors
        fleet.close()


def test_a_connection_that_is_left_is_seen(launch: Launch) -> None:
    """The positive control."""
    with ScriptedRedis(lambda _: b"") as redis:
        redis.behave()
        fleet = launch(Setup("wsgi", {"here": redis.url}))
        fleet[0].do("each", range(3))
        fleet[0].do("leak", 1)
        fleet[0].do("close")
        until(lambda: redis.open == 1)
        fleet.close()
