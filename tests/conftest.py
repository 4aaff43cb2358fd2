"""Real servers, started once for each run of the tests, or for each of its workers.

A test may pause, stop or kill what these fixtures give it: whatever it leaves behind is put right
after it. A test that promotes a replica makes a cluster of its own, and so does one that fills a
Redis server: both are made in well under a second. Nothing is skipped for want of a server: its
absence is an error that says what to install.
"""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from regionware.parts import process
from regionware.parts.postgres import Cluster
from regionware.parts.redis import DATABASES, RedisServer

#: What is about load and time is not slowed down by measuring coverage; nor is what goes over lines
#: that other tests go over too, with many other values.
UNMEASURED = (
    "tests/edges/test_answers.py",
    "tests/edges/test_demo.py",
    "tests/edges/test_keeping.py",
    "tests/edges/test_regions.py",
    "tests/edges/test_table.py",
    "tests/faults/drills/",
    "tests/locate/test_forged.py",
    "tests/memory/",
    "tests/purging/",
    "tests/regressions/",
    "tests/security/",
    "tests/sessions/",
)

# How fast a machine is, is no property of what is tested.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `.ci/run` measures no coverage of; see `volume` in `pyproject.toml`."""
    for item in items:
        if item.nodeid.startswith(UNMEASURED):
            item.add_marker("volume")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A primary with one streaming replica, `postgres.replicas["fra"]`."""
    with Cluster() as cluster:
        cluster.replica("fra")
        yield cluster


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The Redis-compatible server of one region; `redis_url` empties it first."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def second_redis_server() -> Iterator[RedisServer]:
    """The one of the other region; `second_redis_url` empties it first."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty server."""
    return _emptied(redis_server)


@pytest.fixture
def second_redis_url(second_redis_server: RedisServer) -> str:
    """The URL of the other region's empty server."""
    return _emptied(second_redis_server)


def _emptied(server: RedisServer) -> str:
    """Another database each time: workers of an earlier test may still be about to end."""
    server.database = (server.database + 1) % DATABASES
    server.flush()
    return server.url


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    return process.free_port()


@pytest.fixture(autouse=True)
def _put_right(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the shared servers go on, or start them again, after a test that used them."""
    yield
    for name in ("redis_server", "second_redis_server"):
        if name in request.fixturenames:
            server: RedisServer = request.getfixturevalue(name)
            server.resume()
            server.start()
    if "postgres" in request.fixturenames:
        cluster: Cluster = request.getfixturevalue("postgres")
        for each in cluster.servers():
            each.resume()
            each.start()
        cluster.settle()
