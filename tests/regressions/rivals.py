"""What the regressions of other caches share: workers of one region, and our protections' switches.

The tests ask and count, as a user would. Where a control needs a protection to be off, or an
event to happen at a moment that no request can choose, it is done here and nowhere else.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_py

from regionware import Regionware
from regionware.caching.claim import Claim
from regionware.caching.coherence import Fences, Verdict
from regionware.caching.flights import Flights
from regionware.caching.purging import Purged
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from tests.conformance.application import DEADLINE, Handler
from tests.conformance.conftest import World
from tests.conformance.harness import Site, until

REDIS = pytest.mark.parametrize("tier", ["redis"])
MEMORY = pytest.mark.parametrize("tier", ["memory"])
#: With the protection that the bug lacks, and, as the control, without it.
GUARDED = pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
TAGGED = Route("/{path:path}", cache=Cache(ttl=600, tags=["t"]))


def pair(world: World, handler: Handler, *routes: Route, **options: Any) -> tuple[Site, Site]:
    """Two workers of one region before one application."""
    routes = routes or (TAGGED,)
    one = world.site(handler, *routes, **options)
    return one, world.behind(world.regionware(*routes, **options), one.app)


def patient(rw: Regionware) -> Regionware:
    """A worker that knows its region's purges, and waits for a busy machine."""
    rim = rw._parts.rim
    assert rim.tier is not None
    assert rim._log is not None
    rim.tier._deadline = DEADLINE
    rim.tier.forget()
    rw.start()
    assert rim._log.synced.wait(DEADLINE)
    return rw


def purge(site: Site, **names: Any) -> Purged:
    """In the protocol's own way; everything that is tagged `t`, unless names are given."""
    names = names or {"tags": ["t"]}
    if site.flavour == "wsgi":
        return site.rw.purge(**names)
    coroutine = site.rw.apurge(**names)
    purged: Purged = asyncio.run_coroutine_threadsafe(coroutine, site._loop).result(20)
    return purged


def heard(site: Site, purged: Purged) -> None:
    """Wait until a worker has heard of a purge."""
    fences = site.rw._parts.prepared.fences
    until(lambda: fences.stamp >= purged.stamp)


def detail(site: Site, path: str, **ask: Any) -> str:
    """What `Cache-Status` says beside a hit: the tier, mostly."""
    return site.get(path, **ask).cache_status.get("detail", "")


def in_redis(site: Site, path: str) -> None:
    """Wait until an answer is stored in Redis, and leave it out of this worker's memory."""

    def found() -> bool:
        site.rw.memory.clear()
        return detail(site, path) == "redis"

    until(found)
    site.rw.memory.clear()


def told(rw: Regionware, event: str) -> int:
    """How often something happened in a worker, whatever the details."""
    counts = rw.counts().items()
    return sum(number for name, number in counts if name.partition(":")[0] == event)


def direct(server: RedisServer) -> "redis_py.Redis":
    """A client that looks into a server beside the workers."""
    return redis_py.Redis(port=server.port, db=server.database)


def commands(server: RedisServer, name: str) -> int:
    """How often a server has performed a command since it was emptied, scripts' calls included."""
    with direct(server) as client:
        told: Any = client.info("commandstats")
    return int(told.get(f"cmdstat_{name}", {"calls": 0})["calls"])


def entry_key(server: RedisServer) -> str:
    """The key of the one entry that a server has."""
    with direct(server) as client:
        found: Any = client.keys("*:e:*")
    (key,) = found
    name: str = key.decode()
    return name


# Switches


def unfenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Purges are told, and nobody heeds them."""
    monkeypatch.setattr(Fences, "judge", lambda *_: Verdict.GOOD)
    monkeypatch.setattr(Claim, "heed", lambda *_: None)


def uncollapsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for another's fill."""
    monkeypatch.setattr(Flights, "join", lambda *_: (None, False))


def replaced(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    """Another value for a name, in every module of the brain that has it."""
    modules = [module for module in sys.modules if module.startswith("regionware.")]
    having = [m for m in modules if ".parts" not in m and name in vars(sys.modules[m])]
    assert having, name
    for module in having:
        monkeypatch.setattr(f"{module}.{name}", value)


def deafen(site: Site) -> None:
    """A worker hears of no purge any more, and trusts its memory all the same."""
    log, fences = site.rw._parts.rim._log, site.rw._parts.prepared.fences
    assert log is not None
    log.stop()
    log.start = lambda: None  # type: ignore[method-assign] # that is the point
    log.synced.set()
    fences.heard_until = float("inf")


def unheard(site: Site) -> None:
    """A worker that does not know its region's purges yet, and does not get to know them."""
    log = site.rw._parts.rim._log
    assert log is not None
    log.stop()
    log.start = lambda: None  # type: ignore[method-assign] # that is the point


def after(site: Site, effect: type[Any], action: Callable[[], object]) -> None:
    """Do something once between the next effect of a kind and the hour its reply is used."""
    rim, todo = site.rw._parts.rim, [action]
    perform, aperform = rim._performers[effect], rim._aperformers[effect]

    def act() -> None:
        if todo:
            todo.pop()()

    def performed(ask: Any) -> Any:
        reply = perform(ask)
        act()
        return reply

    async def aperformed(ask: Any) -> Any:
        reply = await aperform(ask)
        await asyncio.to_thread(act)
        return reply

    rim._performers[effect], rim._aperformers[effect] = performed, aperformed


def altered(site: Site, effect: type[Any], alter: Callable[[Any], Any]) -> None:
    """Every effect of a kind is another one."""
    rim = site.rw._parts.rim
    perform, aperform = rim._performers[effect], rim._aperformers[effect]
    rim._performers[effect] = lambda ask: perform(alter(ask))
    rim._aperformers[effect] = lambda ask: aperform(alter(ask))
