"""Options and fixtures of the benchmarks. Nothing is asserted about time, except with `--gate`."""

import os
from collections.abc import Callable, Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.drivers import Asgi, Side, Wsgi
from bench.measuring import QUICK, ROUNDS, Measure, Row
from bench.table import show
from regionware import Region, Regionware, Topology
from regionware.parts.proxy import DelayProxy
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Cdn, Route

ROWS = pytest.StashKey[list[Row]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--quick` and `--gate`."""
    group = parser.getgroup("bench")
    group.addoption("--quick", action="store_true", help=f"{QUICK} rounds instead of {ROUNDS}")
    group.addoption(
        "--gate",
        action="store_true",
        default=bool(os.environ.get("REGIONWARE_BENCH_GATE")),
        help="fail where a budget is not held, as a ratio to the bare application of this run",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin with no results."""
    config.stash[ROWS] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the table, if anything was measured."""
    rows = terminalreporter.config.stash[ROWS]
    if rows:
        width = terminalreporter._tw.fullwidth  # noqa: SLF001 - the only way to ask
        terminalreporter.section("against the bare application")
        show(rows, terminalreporter.write_line, width)


@pytest.fixture
def measure(benchmark: BenchmarkFixture, pytestconfig: pytest.Config) -> Measure:
    """Times a path beside others."""
    rounds = QUICK if pytestconfig.getoption("--quick") else ROUNDS
    gate = bool(pytestconfig.getoption("--gate"))
    return Measure(benchmark, pytestconfig.stash[ROWS], rounds=rounds, gate=gate)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The region's Redis-compatible server."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty server."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[DelayProxy]:
    """Counts what goes to the server and back; adds no delay."""
    redis_server.flush()
    with DelayProxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture(params=["asgi", "wsgi"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    """One protocol."""
    side: Side = Asgi() if request.param == "asgi" else Wsgi()
    yield side
    side.close()


@pytest.fixture
def make(side: Side) -> Iterator[Callable[[str], Regionware]]:
    """Makes the middleware for the Redis at a URL; closed afterwards."""
    made: list[Regionware] = []

    def make(url: str) -> Regionware:
        routes = [
            Route("/bare/{path:path}"),
            Route("/tagged/{id}", cache=Cache(ttl=600, tags=["item:{id}"], vary=["accept-language"])),
            Route("/edge/{path:path}", cache=Cache(ttl=600, consistency="eventual"), cdn=Cdn(max_age=30)),
            Route("/{path:path}", cache=Cache(ttl=600)),
        ]  # fmt: skip
        region = Region("fra", primary=True, redis=url)
        rw = Regionware(topology=Topology(here="fra", regions=[region]), routes=routes)
        made.append(rw)
        return rw

    yield make
    for rw in made:
        side.close(rw)


@pytest.fixture
def rw(make: Callable[[str], Regionware], redis_url: str) -> Regionware:
    """Two tiers, as deployed."""
    return make(redis_url)
