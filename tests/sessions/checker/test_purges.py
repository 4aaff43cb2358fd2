"""Purges outrun replication: the standbys pause, and are late."""

import time

from regionware.parts.postgres import Cluster
from regionware.parts.redis import RedisServer
from tests.sessions.checker import troubles
from tests.sessions.checker.accepting import BOTH, accept, enough, forms
from tests.sessions.checker.crowd import Habits
from tests.sessions.checker.history import CACHED, Op
from tests.sessions.checker.world import World, opened

PURGING = Habits(
    sessions=2, writes=0.2, sticks=0.8, strangers=0.3,
    purges=(("inside", 40), ("region", 40), ("all", 20)),
    routes=(("public", 30), ("entry", 30), ("own", 30), ("row", 10)),
)  # fmt: skip


@forms
def test_nothing_purged_comes_back(
    cluster: Cluster, redis: dict[str, RedisServer], long: bool
) -> None:
    with opened(cluster, redis, BOTH) as world:
        try:
            crowd, began = world.crowd(PURGING), time.monotonic()
            with crowd:
                while not enough(crowd, began, long=long):
                    troubles.paused(world)
            troubles.late(60_000)(world)
            with crowd.again():
                crowd.until(lambda: False, 1.0)
            also = sweep(world)
        finally:
            troubles.calm_again(world)
        judge = world.judge(crowd, also)
    accept("purge race", judge, long=long, errors=0.1)
    assert all(op.version is not None for op in also)


def sweep(world: World) -> list[Op]:
    """Every counter at every worker, once all must have heard of every purge."""
    time.sleep(world.workers[0].do("bound"))
    return [
        world.ask(worker, "GET", f"/{route}/{item}")
        for worker in range(len(world.workers))
        for route in sorted(CACHED)
        for item in world.items
    ]
