"""No session is shown less than it is owed, whatever happens to the servers.

Half of the workers of each region speak ASGI, half WSGI, and every request may go to any of them.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from regionware.parts.postgres import Cluster
from regionware.parts.redis import RedisServer
from tests.conformance.harness import until
from tests.drills.forms import note
from tests.sessions.checker import troubles
from tests.sessions.checker.crowd import Crowd, Habits, Session
from tests.sessions.checker.history import CACHED, Op
from tests.sessions.checker.judge import Failover, Judge
from tests.sessions.checker.ledger import SURVIVED
from tests.sessions.checker.troubles import Trouble
from tests.sessions.checker.world import FAR, World, made, opened

#: Requests that the long form makes at least, and seconds that it may take for them.
MANY, LIMIT = 20_000, 1500
#: Seconds of the short form, and requests at least, however slow the machine.
FEW, LEAST = 3.0, 300

BOTH = ("asgi", "wsgi")
#: Two scenarios in which hosts are where they should be.
HABITS = Habits()
#: Sessions that think: what they have seen is older than the lag of a replica.
THOUGHTFUL = Habits(sessions=60, rate=300, purges=(("", 60), ("inside", 30), ("region", 10)))
CONFLICTED = Habits(routes=(("slow", 60), ("row", 20), ("entry", 10), ("own", 10)))


@dataclass(frozen=True)
class Scenario:
    """What befalls the servers, and what that may cost.

    Attributes:
        trouble: one round of it.
        habits: what clients do meanwhile.
        errors: the largest share of requests that may fail with an error.
        words: what these may say; a pattern.
        split: each region has a standby of its own.
        share: what replicas must answer of the far region's reads, at least.
    """

    trouble: Trouble
    habits: Habits = HABITS
    errors: float = 0.0
    words: str = "503 .*"
    split: bool = False
    share: float = 0.0


#: A connection that was lost, or a server that ends or begins.
LOST = r"503 .*|500 (OperationalError|08\w+|57P0\d|40001)"
SCENARIOS = {
    "calm": Scenario(troubles.calm, share=0.8),
    "late": Scenario(troubles.late(200), THOUGHTFUL, errors=0.02, share=0.8),
    "uneven": Scenario(troubles.uneven, errors=0.05),
    "uneven-split": Scenario(troubles.uneven, errors=0.05, split=True),
    "paused": Scenario(troubles.paused, errors=0.05),
    "killed": Scenario(troubles.killed, errors=0.15, words=LOST),
    "frozen": Scenario(troubles.frozen, errors=0.15, words=LOST),
    "conflicts": Scenario(troubles.conflicting, CONFLICTED, errors=0.25, words=LOST),
    "without-redis": Scenario(troubles.without_redis, errors=0.02),
}

forms = pytest.mark.parametrize(
    "long", [False, pytest.param(True, marks=[pytest.mark.long, pytest.mark.timeout(LIMIT + 300)])],
    ids=["short", "long"],
)  # fmt: skip


def enough(crowd: Crowd, long: bool, began: float) -> bool:
    """Whether they have gone on for long enough."""
    passed = time.monotonic() - began
    return passed > LIMIT or (crowd.count >= (MANY if long else LEAST) and passed > FEW)


def accept(name: str, judge: Judge, long: bool, *, errors: float, words: str) -> None:
    """Assert that every promise was kept, and that errors are such as may be, and few."""
    reads = sum(not op.writes for op in judge.ops)
    form = "long" if long else "short"
    what = f"{len(judge.ops)} requests, {reads} reads, {sum(judge.errors.values())} errors"
    note(f"sessions {name}", form, what, f"{len(judge.violations)} violations", "0")
    note(f"sessions {name}", form, "replicas' share", f"{judge.share(FAR):.1%}", "")
    assert list(map(str, judge.violations[:5])) == [], judge.faults
    strange = [said for said in judge.errors if not re.fullmatch(words, said, re.DOTALL)]
    assert strange == [], judge.errors
    assert sum(judge.errors.values()) <= errors * len(judge.ops), judge.errors
    assert len(judge.ops) >= (MANY if long else LEAST), "too few answers to prove anything"


@forms
@pytest.mark.parametrize("name", SCENARIOS)
def test_nobody_is_shown_less_than_he_is_owed(
    cluster: Cluster, redis: dict[str, RedisServer], name: str, long: bool
) -> None:
    scenario = SCENARIOS[name]
    with opened(cluster, redis, BOTH, split=scenario.split) as world:
        crowd, began = world.crowd(scenario.habits), time.monotonic()
        try:
            with crowd:
                while not enough(crowd, long, began):
                    scenario.trouble(world)
        finally:
            troubles.calm_again(world)
        judge = world.judge(crowd)
    accept(name, judge, long, errors=scenario.errors, words=scenario.words)
    assert judge.share(FAR) >= scenario.share
