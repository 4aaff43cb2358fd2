"""No session is shown less than it is owed, whatever happens to the servers.

Half of the workers of each region speak ASGI, half WSGI, and every request may go to any of them.
"""

import re
import time
from dataclasses import dataclass, replace

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
#: Seconds after which nobody is turned away any more, once all know the new primary.
SETTLED = 2.0

HABITS = Habits()
#: Sessions that think: what they have seen is older than the lag of a replica.
THOUGHTFUL = Habits(sessions=60, rate=300, purges=(("", 60), ("inside", 30), ("region", 10)))
PURGING = Habits(
    sessions=2, writes=0.2, sticks=0.8, strangers=0.3,
    purges=(("inside", 40), ("region", 40), ("all", 20)),
    routes=(("public", 30), ("entry", 30), ("own", 30), ("row", 10)),
)  # fmt: skip
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


class TestPromotion:
    """A standby is promoted that had not received the last writes; the old primary comes back."""

    @forms
    def test_nobody_is_shown_less_than_what_is_left(
        self, redis: dict[str, RedisServer], long: bool
    ) -> None:
        with Cluster() as cluster, opened(made(cluster), redis, BOTH) as world:
            crowd, began = world.crowd(HABITS), time.monotonic()
            with crowd:
                crowd.until(lambda: crowd.count >= (MANY // 2 if long else LEAST // 2), LIMIT / 2)
                mourners, also = fail_over(world)
                cluster.primary.start()  # which others would write to
                crowd.until(lambda: enough(crowd, long, began), LIMIT)
                also += [
                    world.ask(n % 4, "GET", f"/row/{each.item}", "", each)
                    for n, each in enumerate(mourners)
                ]
            assert world.failover is not None
            left = dict(cluster.replicas["a"].query(SURVIVED))
            world.failover = replace(world.failover, survived=left)
            judge = world.judge(crowd, also)
            settled = world.failover.known + SETTLED
            assert world.counts("orphaned") >= len(mourners)
        accept("promotion", judge, long, errors=0.5, words=LOST)
        late = [op for op in judge.ops if op.sent > settled and op.route != "sneak"]
        assert [op.detail for op in late if op.version is None] == []


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
    killed = time.monotonic()
    cluster.primary.kill()
    a.promote()
    troubles.follow(b, a)
    until(lambda: world.all("timeline") == [2] * len(world.workers), 60)
    known = time.monotonic()
    names = frozenset(each.name for each in mourners)
    world.failover = Failover(killed, known, a.port, {}, names)
    return mourners, also


class TestPurgeRace:
    """Purges outrun replication: the standbys pause, and are late."""

    @forms
    def test_nothing_purged_comes_back(
        self, cluster: Cluster, redis: dict[str, RedisServer], long: bool
    ) -> None:
        with opened(cluster, redis, BOTH) as world:
            try:
                crowd, began = world.crowd(PURGING), time.monotonic()
                with crowd:
                    while not enough(crowd, long, began):
                        troubles.paused(world)
                troubles.late(60_000)(world)
                with crowd.again():
                    crowd.until(lambda: False, 1.0)
                also = sweep(world)
            finally:
                troubles.calm_again(world)
            judge = world.judge(crowd, also)
        assert all(op.version is not None for op in also)
        accept("purge race", judge, long, errors=0.1, words="503 .*")


def sweep(world: World) -> list[Op]:
    """Every counter at every worker, once all must have heard of every purge."""
    time.sleep(world.workers[0].do("bound"))
    return [
        world.ask(worker, "GET", f"/{route}/{item}")
        for worker in range(len(world.workers))
        for route in sorted(CACHED)
        for item in world.items
    ]
