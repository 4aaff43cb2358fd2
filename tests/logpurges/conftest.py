"""The shop in two regions whose Redis servers do not know each other: only the log joins them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from regionware import Region, Topology
from regionware.installing import install
from regionware.parts.postgres import Cluster
from tests.conformance.harness import Site, until
from tests.rig import Rig, closer, flavour, loop, rig
from tests.sessions.conftest import Replay, ready
from tests.sessions.shop import ROUTES, SECRET, Shop

__all__ = ["closer", "flavour", "loop", "rig"]

#: Makes a site of the shop: in a region, with further options of `Regionware`.
Open = Callable[..., Site]

_NUMBERS = iter(range(1_000_000))


class Database:
    """A database of its own, on the primary and on its replica."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.name = f"shop_{next(_NUMBERS)}"
        cluster.primary.query(f"CREATE DATABASE {self.name}")
        self.execute("CREATE TABLE goods (id int PRIMARY KEY, value int NOT NULL)")
        self.execute("INSERT INTO goods SELECT n, 0 FROM generate_series(1, 20) AS n")
        cluster.settle()

    def on(self, url: str, **more: str) -> str:
        return psycopg.conninfo.make_conninfo(url, dbname=self.name, **more)

    @property
    def url(self) -> str:
        return self.on(self.cluster.url)

    @property
    def replica_url(self) -> str:
        return self.on(self.cluster.replicas["fra"].url)

    def execute(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """One transaction on the primary, by somebody who never heard of regionware."""
        with psycopg.connect(self.url) as connection:
            cursor = connection.execute(sql.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def rows(self) -> list[tuple[Any, ...]]:
        """What purges are in the table."""
        return self.execute(
            "SELECT tags, names, everything, soft FROM regionware_purges"
            " WHERE pruned IS NULL ORDER BY id"
        )


@pytest.fixture
def bare(postgres: Cluster) -> Iterator[Database]:
    """Nothing is installed."""
    database = Database(postgres)
    yield database
    postgres.primary.query(f"DROP DATABASE {database.name} WITH (FORCE)")


@pytest.fixture
def database(bare: Database) -> Database:
    """The table, and a trigger on the goods."""
    install(bare.url, trigger="goods", tags=["item:{id}"])
    bare.cluster.settle()
    return bare


@pytest.fixture
def regions(bare: Database, redis_url: str, second_redis_url: str) -> list[Region]:
    """Both, with their servers."""
    return [
        Region("iad", primary=True, database=bare.url, redis=second_redis_url),
        Region("fra", replicas=[bare.replica_url], redis=redis_url),
    ]


def apart(regions: list[Region], here: str) -> list[Region]:
    """No region knows the Redis of another."""
    return [each if each.name == here else replace(each, redis=None) for each in regions]


@pytest.fixture(name="open_shop")
def _open_shop(rig: Rig, regions: list[Region]) -> Open:
    def open_shop(here: str = "fra", **options: Any) -> Site:
        shop = Shop()
        routes = options.pop("routes", ROUTES)
        topology = Topology(here=here, regions=options.pop("regions", apart(regions, here)))
        shop.rw = rig.worker(topology, *routes, **{"secret": SECRET, **options})
        return rig.site(ready(shop.rw), shop)

    return open_shop


def knows(site: Site) -> Site:
    """Wait until it has asked for the table."""
    databases = site.rw._parts.databases
    assert databases is not None
    purges = databases.purges
    assert purges is not None
    until(lambda: purges._window is not None and purges._window.floor is not None)
    until(lambda: purges.table is not None)
    return site


def count(site: Site, name: str) -> int:
    """How often something happened, with any detail."""
    return sum(n for event, n in site.rw.counts().items() if event.partition(":")[0] == name)


def away(site: Site) -> None:
    """Its prober asks nobody any more."""
    databases = site.rw._parts.databases
    assert databases is not None
    prober = databases._rim.prober
    assert prober is not None
    prober.stop()
    databases._rim.prober = None


def back(site: Site) -> None:
    databases = site.rw._parts.databases
    assert databases is not None
    databases.start()


@pytest.fixture
def replay(postgres: Cluster) -> Iterator[Replay]:
    """Stops the replica's replay; it goes on after the test."""
    replay = Replay(postgres)
    yield replay
    replay.resume()
