"""The fixtures of `tests/rig.py`, and regions of several servers."""

from collections.abc import Iterator

import pytest

from regionware.parts.redis_cluster import RedisCluster
from regionware.parts.redis_sentinel import SentinelGroup
from tests.rig import closer, flavour, loop, rig

__all__ = ["closer", "flavour", "loop", "rig"]


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    """Three masters; a test may move slots, and leaves every node running."""
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def sentinels() -> Iterator[SentinelGroup]:
    """A master, a replica and a sentinel, which a test leaves as they are."""
    with SentinelGroup() as group:
        yield group
