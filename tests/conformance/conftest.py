"""Every test runs over both protocols, and, unless it says otherwise, over both sets of tiers."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal

import pytest

from regionware import Region, Regionware, Topology
from regionware.policies import Cache, Route
from tests.conformance.application import DEADLINE, Application, Handler
from tests.conformance.harness import Flavour, Loop, Site

Tier = Literal["memory", "redis"]


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """Makes sites, and closes them."""

    def __init__(self, flavour: Flavour, tier: Tier, url: str | None, loop: Loop) -> None:
        self.flavour = flavour
        self.tier = tier
        self._url = url
        self._loop = loop
        self._made: list[Regionware] = []
        self._sites: list[Site] = []

    def regionware(self, *routes: Route, **options: Any) -> Regionware:
        """One worker: ready, and patient with a busy machine."""
        here = Region("here", primary=True, redis=self._url)
        topology = Topology(here="here", regions=[here])
        return self.ready(Regionware(topology=topology, routes=routes, **options))

    def ready(self, rw: Regionware) -> Regionware:
        """Wait until a worker is; it is closed at the end."""
        self._made.append(rw)
        # Nothing happens by chance here: what is refreshed early has tests of its own.
        rw._parts.prepared.random = lambda: 0.0
        rim = rw._parts.rim
        if rim.tier is not None and rim._log is not None:
            rim.tier._deadline = rim.tier.lease = DEADLINE
            rim.tier.forget()
            rw.start()
            assert rim._log.synced.wait(DEADLINE)
        return rw

    def site(self, handler: Handler, *routes: Route, **options: Any) -> Site:
        """An application behind a new worker; by default everything is cached for a minute."""
        routes = routes or (Route("/{path:path}", cache=Cache(ttl=60)),)
        return self.behind(self.regionware(*routes, **options), Application(handler))

    def behind(self, rw: Regionware, app: Application) -> Site:
        return self.keep(Site(self.flavour, rw, app, self._loop))

    def keep(self, site: Site) -> Site:
        """Close a site at the end."""
        self._sites.append(site)
        return site

    def close(self) -> None:
        for site in self._sites:
            site.close()
        for rw in self._made:
            asyncio.run_coroutine_threadsafe(rw.aclose(), self._loop.loop).result(DEADLINE)


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    """One event loop for all ASGI sites."""
    loop = Loop()
    yield loop
    loop.stop()


@pytest.fixture(scope="session")
def closer(loop: Loop) -> Iterator[Callable[[World], None]]:
    """Closes worlds in the background: the reader of a log notices only within a second."""
    pending: list[Future[None]] = []
    with ThreadPoolExecutor(8) as pool:
        yield lambda world: pending.append(pool.submit(world.close))
    for each in pending:
        each.result()


@pytest.fixture(params=["asgi", "wsgi"])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """The protocol."""
    found: Flavour = request.param
    return found


@pytest.fixture(params=["memory", "redis"])
def tier(request: pytest.FixtureRequest) -> Tier:
    """Memory alone, or memory and Redis."""
    found: Tier = request.param
    return found


@pytest.fixture
def world(
    request: pytest.FixtureRequest,
    flavour: Flavour,
    tier: Tier,
    loop: Loop,
    closer: Callable[[World], None],
) -> Iterator[World]:
    """Makes what a test needs."""
    url = request.getfixturevalue("redis_url") if tier == "redis" else None
    world = World(flavour, tier, url, loop)
    yield world
    closer(world)


@pytest.fixture
def clock() -> Clock:
    """To be given to `world.site(..., clock=clock)`; without Redis, whose clock is its own."""
    return Clock()
