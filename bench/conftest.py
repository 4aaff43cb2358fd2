"""Options and fixtures of the benchmarks. Nothing is asserted about time, except with `--gate`."""

import os
from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.drivers import Asgi, Side, Wsgi
from bench.measuring import QUICK, SECONDS, Measure, Row
from bench.table import show
from regionware import Region, Regionware, Topology
from regionware.parts.proxy import DelayProxy
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route

ROWS = pytest.StashKey[list[Row]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--quick` and `--gate`."""
    group = parser.getgroup("bench")
    group.addoption(
        "--quick", action="store_true", help=f"{QUICK} s for each benchmark instead of {SECONDS}"
    )
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
        terminalreporter.section("against the bare application")
        show(rows, terminalreporter.write_line)


@pytest.fixture
def measure(benchmark: BenchmarkFixture, pytestconfig: pytest.Config) -> Measure:
    """Times a path beside others."""
    seconds = QUICK if pytestconfig.getoption("--quick") else SECONDS
    gate = bool(pytestconfig.getoption("--gate"))
    return Measure(benchmark, pytestconfig.stash[ROWS], seconds=seconds, gate=gate)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The region's Redis-compatible server."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[DelayProxy]:
    """Counts what goes to the server and back; adds no delay."""
    with DelayProxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture(scope="session", params=["asgi", "wsgi"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    """One protocol."""
    side: Side = Asgi() if request.param == "asgi" else Wsgi()
    yield side
    side.close()


def middleware(url: str) -> Regionware:
    """Two tiers, as deployed."""
    routes = [
        Route("/bare/{path:path}"),
        Route("/tagged/{id}", cache=Cache(ttl=600, tags=["item:{id}"], vary=["accept-language"])),
        Route("/{path:path}", cache=Cache(ttl=600)),
    ]
    region = Region("fra", primary=True, redis=url)
    return Regionware(topology=Topology(here="fra", regions=[region]), routes=routes)


@pytest.fixture(scope="session")
def shared(side: Side, redis_server: RedisServer) -> Iterator[Regionware]:
    """One for all benchmarks of a protocol; see `rw`."""
    rw = middleware(redis_server.url)
    yield rw
    side.close(rw)


@pytest.fixture
def rw(shared: Regionware) -> Regionware:
    """The middleware, with nothing in memory. Redis remembers: every subject has its own paths."""
    shared.memory.clear()
    return shared


@pytest.fixture
def distant(side: Side, proxy: DelayProxy, redis_server: RedisServer) -> Iterator[Regionware]:
    """One whose Redis is behind the counting proxy."""
    rw = middleware(proxy.through(redis_server.url))
    yield rw
    side.close(rw)
