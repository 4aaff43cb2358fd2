"""Several workers of one region with one application, and what can be seen in them."""

from collections.abc import Callable
from typing import Any

import pytest

from regionware import Regionware
from regionware.observe import Event as Happened
from regionware.policies import Cache, Route
from tests.conformance.application import DEADLINE, Application
from tests.conformance.harness import Call, Site
from tests.rig import Rig

#: Requests that each worker gets at once, and how many workers.
MANY = 50
WORKERS = 4

Fleet = Callable[..., list[Site]]


@pytest.fixture
def fleet(rig: Rig, redis_url: str) -> Fleet:
    """Makes workers of one region with one application: patient with a busy machine."""

    def make(
        app: Application, count: int = 2, *, url: str = redis_url, life: float = 2.0, **cache: Any
    ) -> list[Site]:
        route = Route("/{path:path}", cache=Cache(**{"ttl": 60, **cache}))
        return [rig.site(ready(rig, url, route, life), app) for _ in range(count)]

    return make


def ready(rig: Rig, url: str, route: Route, life: float) -> Regionware:
    rw = rig.worker(url, route)
    rim = rw._parts.rim
    assert rim.tier is not None
    assert rim._log is not None
    rim.tier._deadline = DEADLINE
    rim.tier.forget()
    rim.tier.lease = rim.leases.life = life
    rw._parts.prepared.random = lambda: 0.0
    rw.start()
    assert rim._log.synced.wait(DEADLINE)
    return rw


def waiting(*sites: Site) -> int:
    """How many requests wait for another worker's lease."""
    return sum(len(site.rw._parts.rim._wakes) for site in sites)


def events(site: Site) -> list[Happened]:
    """Everything that happens in a worker from now on."""
    seen: list[Happened] = []
    told = site.rw._parts.prepared.events
    told._sinks, told.wanted = (seen.append,), True
    return seen


def held(site: Site) -> int:
    return len(site.rw._parts.rim.leases)


def bodies(calls: list[Call]) -> set[bytes]:
    return {call.result().body for call in calls}
