"""The positive controls: whatever is broken on purpose, the checker finds it."""

import time
from collections.abc import Callable

import pytest

from regionware.database.position import Position
from regionware.parts.postgres import Cluster
from regionware.parts.redis import RedisServer
from tests.sessions.checker import troubles
from tests.sessions.checker.accepting import BOTH
from tests.sessions.checker.crowd import Crowd, Habits, Session, bring
from tests.sessions.checker.judge import Fault
from tests.sessions.checker.troubles import say
from tests.sessions.checker.world import World, opened

#: Seconds after which a mutant has got away with it.
LIMIT = 80.0

QUICK = Habits(sessions=2, sticks=0.7, purges=(("", 1),))
#: Between two writes of one session there are more than two seconds, however fast the machine is.
SLOW = Habits(sessions=8, rate=60.0, writes=0.03, sticks=0.7, purges=(("", 1),))
#: Half of them write nothing, so that nothing but what they have seen keeps them from going back.
OBSERVING = Habits(
    sessions=4, observers=3, writes=0.25, own=0.0, sticks=0.8, strangers=0.0, far=0.95,
    purges=(("", 1),), routes=(("row", 1),),
)  # fmt: skip
STORED = Habits(sessions=2, sticks=0.8, purges=(("", 1),), routes=(("own", 1), ("entry", 1)))
PURGING = Habits(
    sessions=2, sticks=0.8, writes=0.3, purges=(("region", 1),), routes=(("public", 1),)
)


def unlike(world: World) -> None:
    """One standby is late, the other is not."""
    say(world.cluster.replicas["b"], "recovery_min_apply_delay = 1000")
    time.sleep(0.5)


CAUGHT: dict[str, tuple[Fault, Habits, Callable[[World], None]]] = {
    "naive": ("own write missed", QUICK, troubles.late(300)),
    "sticky for half a second": ("own write missed", QUICK, troubles.late(1500)),
    "sticky for two seconds": ("own write missed", SLOW, troubles.late(4000)),
    "forgets what was seen": ("went back", OBSERVING, unlike),
    "watermark as token": ("went back", OBSERVING, unlike),
    "sets instead of merging": ("own write missed", QUICK, troubles.late(300)),
    "purges without position": ("older than a purge", PURGING, troubles.late(1000)),
    "entries without bound": ("own write missed", STORED, troubles.calm),
}


def found(world: World, crowd: Crowd, fault: Fault) -> bool:
    """Whether the judge has seen it by now."""
    time.sleep(0.3)
    return world.judge(crowd).faults[fault] > 0


@pytest.mark.timeout(LIMIT + 100)
@pytest.mark.parametrize("mutant", CAUGHT)
def test_a_mutant_is_caught(cluster: Cluster, redis: dict[str, RedisServer], mutant: str) -> None:
    fault, habits, trouble = CAUGHT[mutant]
    with opened(cluster, redis, BOTH, mutant=mutant) as world:
        try:
            trouble(world)
            with world.crowd(habits) as crowd:
                caught = crowd.until(lambda: found(world, crowd, fault), LIMIT)
        finally:
            troubles.calm_again(world)
        assert caught, (len(crowd.ops), world.judge(crowd).faults)


@pytest.mark.parametrize(
    ("mutant", "whole"), [("", True), ("position inside the transaction", False)]
)
def test_a_token_covers_the_end_of_the_commit(
    cluster: Cluster, redis: dict[str, RedisServer], mutant: str, whole: bool
) -> None:
    """To the byte, on a server where nothing else happens."""
    with opened(cluster, redis, BOTH, mutant=mutant) as world:
        world.crowd(Habits(sessions=1))
        assert any(exact(world, world.spare[number]) for number in range(8)) is whole


def exact(world: World, item: int) -> bool:
    """Whether a write's token is where the primary is afterwards."""
    session = Session("alone", item)
    assert world.ask(1, "PUT", f"/row/{item}", "other=-1&seen=0&purge=", session).version
    ((lsn,),) = world.cluster.primary.query("SELECT pg_current_wal_insert_lsn()::text")
    token = bring(session.token)
    assert token is not None
    assert token.write is not None
    assert token.write.lsn <= Position.parse(lsn, 1).lsn
    return token.write == Position.parse(lsn, 1)
