"""Workers in this process that a test may break: what `tests/faults` and `tests/sessions` share.

The fixtures are imported by the `conftest.py` of each.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from regionware import Region, Regionware, Topology
from regionware.caching.redis import RedisTier
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from tests.conformance.application import DEADLINE, Application
from tests.conformance.harness import Answer, Flavour, Loop, Site, until

#: Everything is cached for a minute.
CACHED = Route("/{path:path}", cache=Cache(ttl=60))

#: Seconds that one request may take here. The configured budget is a few times 50 ms; what is
#: not bounded takes ten seconds and more.
AMPLE = 3.0


@dataclass
class Rig:
    """Makes workers over one protocol, and closes them."""

    flavour: Flavour
    loop: Loop
    made: list[Regionware]
    sites: list[Site]

    def worker(self, topology: Topology | str, *routes: Route, **options: Any) -> Regionware:
        """A worker; a text stands for the URL of the only region's Redis."""
        if isinstance(topology, str):
            here = Region("here", primary=True, redis=topology)
            topology = Topology(here="here", regions=[here])
        rw = Regionware(topology=topology, routes=routes or (CACHED,), **options)
        self.made.append(rw)
        return rw

    def site(self, rw: Regionware, app: Application) -> Site:
        """An application behind a worker."""
        site = Site(self.flavour, rw, app, self.loop)
        self.sites.append(site)
        return site

    def shut(self, rw: Regionware) -> None:
        """End one worker."""
        self.made.remove(rw)
        self.run(rw.aclose())

    def run(self, work: Any) -> Any:
        """Run a coroutine where the ASGI sites run."""
        return asyncio.run_coroutine_threadsafe(work, self.loop.loop).result(DEADLINE)

    def close(self) -> None:
        for site in self.sites:
            site.close()
        for rw in list(self.made):
            self.shut(rw)


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    """One event loop for all ASGI sites."""
    loop = Loop()
    yield loop
    loop.stop()


@pytest.fixture(params=["asgi", "wsgi"])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """The protocol."""
    found: Flavour = request.param
    return found


@pytest.fixture(scope="session")
def closer() -> Iterator[Callable[[Rig], None]]:
    """Closes rigs in the background: the reader of a log notices only within a second or two."""
    pending: list[Future[None]] = []
    with ThreadPoolExecutor(8) as pool:
        yield lambda rig: pending.append(pool.submit(rig.close))
    for each in pending:
        each.result()


@pytest.fixture
def rig(flavour: Flavour, loop: Loop, closer: Callable[[Rig], None]) -> Iterator[Rig]:
    """Makes what a test needs."""
    rig = Rig(flavour, loop, [], [])
    yield rig
    closer(rig)


def tier_of(rw: Regionware) -> RedisTier:
    """What a worker with a Redis asks there."""
    tier = rw._parts.rim.tier
    assert tier is not None
    return tier


class Client:
    """Asks one site, and holds every answer against the bare application's.

    Attributes:
        slowest: seconds of the slowest request.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.slowest = 0.0
        self._paths = iter(range(1_000_000))

    def new(self) -> str:
        """A path that nobody has asked for."""
        return f"/{id(self):x}/{next(self._paths)}"

    def ask(self, path: str | None = None) -> Answer:
        """One request; the application answers with the path."""
        path = path or self.new()
        began = time.monotonic()
        answer = self.site.get(path)
        self.slowest = max(self.slowest, time.monotonic() - began)
        assert (answer.status, answer.body.decode()) == (200, path)
        return answer

    def count(self, event: str) -> int:
        """How often something happened in this worker, whatever its detail."""
        counts = self.site.rw.counts()
        return sum(count for name, count in counts.items() if name.partition(":")[0] == event)

    def redis_is_used(self) -> bool:
        """Whether a new entry reaches Redis, and is found there."""
        path = self.new()
        self.ask(path)
        self.site.rw.memory.clear()
        return self.ask(path).cache_status.get("detail") == "redis"

    def wait_for_redis(self) -> None:
        """Ask until Redis is used; it must be, once it is there."""
        until(self.redis_is_used)


def clients(server: RedisServer) -> int:
    """How many connections a Redis server has to its database, besides the one that asks."""
    listed = server.command("CLIENT LIST").splitlines()
    return sum(f" db={server.database} " in line for line in listed) - 1
