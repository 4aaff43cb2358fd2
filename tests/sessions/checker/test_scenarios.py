"""No session is shown less than it is owed, whatever happens to the servers."""

import pytest

from regionware.parts.postgres import Cluster
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour
from tests.sessions.checker.crowd import Habits
from tests.sessions.checker.world import FAR, opened


def test_calm(cluster: Cluster, redis: dict[str, RedisServer]) -> None:
    with opened(cluster, redis, ["asgi", "wsgi"]) as world:
        crowd = world.crowd(Habits())
        with crowd:
            crowd.until(lambda: False, 4)
        judge = world.judge(crowd)
        print(crowd.count, judge.errors, judge.share(FAR))
        for v in judge.violations[:10]: print(v)
        print(judge.faults)
        from collections import Counter
        print(Counter((o.route,o.hit) for o in crowd.ops))
        print(Counter(r for o in crowd.ops for r in o.reasons))
        print(max(o.received-o.sent for o in crowd.ops))
        assert judge.violations == []
