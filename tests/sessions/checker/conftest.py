"""The servers, once for all scenarios; a scenario that promotes a standby makes its own."""

from collections.abc import Iterator

import pytest

from regionware.parts.postgres import Cluster
from regionware.parts.redis import RedisServer
from tests.sessions.checker.world import FAR, NEAR, made


@pytest.fixture(scope="session", name="shared_cluster")
def _shared_cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield made(cluster)


@pytest.fixture(scope="session", name="shared_redis")
def _shared_redis() -> Iterator[dict[str, RedisServer]]:
    with RedisServer() as near, RedisServer() as far:
        yield {NEAR: near, FAR: far}


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Iterator[Cluster]:
    """A primary with the standbys `a` and `b`; what a scenario has done to them is undone."""
    yield shared_cluster
    for each in shared_cluster.servers():
        each.resume()
        each.start()
    for each in shared_cluster.replicas.values():
        each.query("SELECT pg_wal_replay_resume()")
    shared_cluster.settle()


@pytest.fixture
def redis(shared_redis: dict[str, RedisServer]) -> Iterator[dict[str, RedisServer]]:
    """A server for each region."""
    yield shared_redis
    for each in shared_redis.values():
        each.resume()
        each.start()
