"""The shop in two regions over real servers: the primary in one, its replica in the other."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from regionware import Region, Regionware, Topology
from regionware.parts.postgres import Cluster
from regionware.policies import Route
from tests.conformance.application import DEADLINE
from tests.conformance.harness import Site, until
from tests.rig import Rig, closer, flavour, loop, rig
from tests.sessions.shop import ROUTES, SECRET, Customer, Shop

__all__ = ["closer", "flavour", "loop", "rig"]

#: Makes a site of the shop: in a region, with further options of `Regionware`.
Open = Callable[..., Site]


@pytest.fixture(scope="session")
def goods(postgres: Cluster) -> str:
    """The table."""
    postgres.primary.query(
        "CREATE TABLE IF NOT EXISTS goods (id int PRIMARY KEY, value int NOT NULL)"
    )
    postgres.settle()
    return "goods"


@pytest.fixture
def regions(postgres: Cluster, redis_url: str, second_redis_url: str, goods: str) -> list[Region]:
    """Both, with their servers."""
    return [
        Region("iad", primary=True, database=postgres.url, redis=second_redis_url),
        Region("fra", replicas=[postgres.replicas["fra"].url], redis=redis_url),
    ]


@pytest.fixture(scope="session")
def without_redis(postgres: Cluster, goods: str) -> Topology:
    """Both regions, here the replica's, with nothing but their databases."""
    return Topology(
        here="fra",
        regions=[
            Region("iad", primary=True, database=postgres.url),
            Region("fra", replicas=[postgres.replicas["fra"].url]),
        ],
    )


def ready(rw: Regionware, *, patient: bool = True) -> Regionware:
    """Wait until it knows its databases, and has heard from its Redis."""
    tier = rw._parts.rim.tier
    if tier is not None and patient:
        tier._deadline = DEADLINE  # a busy machine is no missing Redis
        tier.forget()
    rw.start()
    databases, log = rw._parts.databases, rw._parts.rim._log
    assert databases is not None
    # A replica of unknown lag is not read where a lag is promised.
    until(lambda: all(mark.fresh is not None for mark in databases.marks.values()))
    if log is not None:
        until(log.synced.is_set)
    return rw


@pytest.fixture(name="open_shop")
def _open_shop(rig: Rig, regions: list[Region], postgres: Cluster) -> Open:
    def open_shop(
        here: str = "fra",
        shop: Shop | None = None,
        routes: list[Route] = ROUTES,
        *,
        patient: bool = True,
        **options: Any,
    ) -> Site:
        shop = shop or Shop()
        topology = Topology(here=here, regions=regions)
        shop.rw = rig.worker(topology, *routes, **{"secret": SECRET, **options})
        return rig.site(ready(shop.rw, patient=patient), shop)

    postgres.settle()
    return open_shop


_NUMBERS = iter(range(1000, 1_000_000))


@pytest.fixture
def item(postgres: Cluster, goods: str) -> int:
    """The number of a new item, whose value is 0 on every host."""
    number = next(_NUMBERS)
    postgres.primary.query(f"INSERT INTO goods VALUES ({number}, 0)")
    postgres.settle()
    return number


class Replay:
    """What the replica does with what it receives."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._replica = cluster.replicas["fra"]

    def pause(self) -> None:
        """Receive, and do not replay."""
        self._replica.query("SELECT pg_wal_replay_pause()")
        state = "SELECT pg_get_wal_replay_pause_state()"
        until(lambda: self._replica.query(state) == [("paused",)])

    def resume(self) -> None:
        """Go on, and wait until everything is there."""
        self._replica.query("SELECT pg_wal_replay_resume()")
        self._cluster.settle()


@pytest.fixture
def replay(postgres: Cluster, item: int) -> Iterator[Replay]:
    """Stops the replica's replay; it goes on after the test."""
    replay = Replay(postgres)
    yield replay
    replay.resume()


def stranger(site: Site) -> Customer:
    """A client who keeps no cookies."""
    return Customer(site, keeps=False)
