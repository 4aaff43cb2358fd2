"""A standby is promoted that had not received the last writes, and the old primary comes back."""

import time
from dataclasses import replace

from regionware.parts.postgres import Cluster
from regionware.parts.redis import RedisServer
from tests.conformance.harness import until
from tests.sessions.checker import troubles
from tests.sessions.checker.accepting import BOTH, LEAST, LIMIT, LOST, MANY, accept, enough, forms
from tests.sessions.checker.crowd import Habits, Session
from tests.sessions.checker.history import Op
from tests.sessions.checker.judge import Failover
from tests.sessions.checker.ledger import SURVIVED
from tests.sessions.checker.world import World, made, opened

#: Seconds after which nobody is turned away any more, once all know the new primary.
SETTLED = 5.0


@forms
def test_nobody_is_shown_less_than_what_is_left(redis: dict[str, RedisServer], long: bool) -> None:
    with Cluster() as cluster, opened(made(cluster), redis, BOTH) as world:
        crowd, began = world.crowd(Habits()), time.monotonic()
        with crowd:
            crowd.until(lambda: crowd.count >= (MANY if long else LEAST) // 2, LIMIT / 2)
            mourners, also = fail_over(world)
            cluster.primary.start()  # a second writable server, which must be left alone
            crowd.until(lambda: enough(crowd, began, long=long), LIMIT)
            also += mourn(world, mourners)
        judge = world.judge(crowd, also)
        assert world.failover is not None
        late = [op for op in judge.ops if op.sent > world.failover.known + SETTLED]
        assert world.counts("orphaned") >= len(mourners)
    accept("promotion, writes lost", judge, long=long, errors=0.5, words=LOST)
    assert [op.detail for op in late if op.version is None and op.route != "sneak"] == []


def test_a_token_without_timeline_is_caught(redis: dict[str, RedisServer]) -> None:
    """The positive control: nobody is told of lost writes."""
    mutant = "ignores the timeline"
    with Cluster() as cluster, opened(made(cluster), redis, BOTH, mutant=mutant) as world:
        crowd = world.crowd(Habits(sessions=1))
        mourners, also = fail_over(world)
        also += mourn(world, mourners)
        judge = world.judge(crowd, also)
    assert judge.faults["not told of lost writes"] > 0


def fail_over(world: World) -> tuple[list[Session], list[Op]]:
    """Lose what is written from now on; those who must be told, and what they have done."""
    cluster, (a, b) = world.cluster, world.cluster.replicas.values()
    # The other one must not be ahead of the one that is promoted.
    for each in (b, a):
        troubles.cut_off(each, cluster.primary)
    mourners = [Session(f"mourner {item}", item) for item in world.spare]
    also = [
        world.ask(number % 4, "PUT", f"/row/{each.item}", "other=-1&seen=0&purge=", each)
        for number, each in enumerate(mourners)
    ]
    assert all(op.version is not None for op in also)
    killed = time.monotonic()
    cluster.primary.kill()
    a.promote()
    troubles.follow(b, a)
    until(lambda: world.all("timeline") == [2] * len(world.workers), 60)
    known, names = time.monotonic(), frozenset(each.name for each in mourners)
    world.failover = Failover(killed, known, a.port, {}, names)
    return mourners, also


def mourn(world: World, mourners: list[Session]) -> list[Op]:
    """Those whose writes were lost look for them; and what is left is noted for the judge."""
    also = [
        world.ask(number % 4, "GET", f"/row/{each.item}", "", each)
        for number, each in enumerate(mourners)
    ]
    assert world.failover is not None
    left = dict(world.cluster.replicas["a"].query(SURVIVED))
    world.failover = replace(world.failover, survived=left)
    return also
