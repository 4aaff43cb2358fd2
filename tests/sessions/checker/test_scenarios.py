"""No session is shown less than it is owed, whatever happens to the servers.

Half of the workers of each region speak ASGI, half WSGI, and every request may go to any of them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from regionware.parts.postgres import Cluster
from regionware.parts.redis import RedisServer
from tests.sessions.checker import troubles
from tests.sessions.checker.accepting import BOTH, LOST, TYPED, accept, enough, forms
from tests.sessions.checker.crowd import Habits
from tests.sessions.checker.troubles import Trouble
from tests.sessions.checker.world import FAR, World, opened

HABITS = Habits()
#: Sessions that think: what they have seen is older than the lag of a replica.
THOUGHTFUL = Habits(sessions=90, rate=300, purges=(("", 60), ("inside", 30), ("region", 10)))
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
        distance: seconds from the far region to the primary, in each direction.
        share: what replicas must answer of the far region's reads, at least.
        shows: whether the trouble has come to anything.
    """

    trouble: Trouble
    habits: Habits = HABITS
    errors: float = 0.0
    words: str = TYPED
    split: bool = False
    distance: float = 0.0
    share: float = 0.0
    shows: Callable[[World], bool] = lambda _: True


def conflicts(world: World) -> bool:
    """Whether a standby has cancelled a query."""
    count = "SELECT sum(confl_lock + confl_snapshot) FROM pg_stat_database_conflicts"
    return any(each.query(count) > [(0,)] for each in world.cluster.replicas.values())


SCENARIOS = {
    "calm": Scenario(troubles.calm, errors=0.02, share=0.8),
    "late by 200 ms": Scenario(
        troubles.late(200), THOUGHTFUL, errors=0.02, share=0.8, distance=0.02
    ),
    "unevenly late": Scenario(troubles.uneven, errors=0.05),
    "unevenly late, a standby each": Scenario(troubles.uneven, errors=0.05, split=True),
    "replay paused": Scenario(troubles.paused, errors=0.05),
    "standby killed": Scenario(troubles.killed, errors=0.15, words=LOST),
    "standby frozen": Scenario(troubles.frozen, errors=0.15, words=LOST),
    "conflicts": Scenario(
        troubles.conflicting, CONFLICTED, errors=0.25, words=LOST, shows=conflicts
    ),
    "redis gone": Scenario(
        troubles.without_redis, errors=0.02, shows=lambda world: world.counts("redis-down") > 0
    ),
}


@forms
@pytest.mark.parametrize("name", SCENARIOS)
def test_nobody_is_shown_less_than_is_owed(
    cluster: Cluster, redis: dict[str, RedisServer], name: str, long: bool
) -> None:
    scenario = SCENARIOS[name]
    with opened(cluster, redis, BOTH, split=scenario.split, distance=scenario.distance) as world:
        crowd, began = world.crowd(scenario.habits), time.monotonic()
        try:
            with crowd:
                while not enough(crowd, began, long=long):
                    scenario.trouble(world)
        finally:
            troubles.calm_again(world)
        assert scenario.shows(world), "nothing has befallen them"
        judge = world.judge(crowd)
    accept(name, judge, long=long, errors=scenario.errors, words=scenario.words)
    assert judge.share(FAR) >= scenario.share
