"""A promotion: numbers of transactions go back, and the old primary's rows count no more."""

from collections.abc import Iterator
from functools import partial

import psycopg
import pytest

from regionware import Region, Topology
from regionware.database.purges import Window
from regionware.installing import install
from regionware.policies import Cache, Route
from tests.clusters import fresh
from tests.conformance.harness import Site, until
from tests.logpurges.conftest import Database, count, knows
from tests.logpurges.test_outside import PATH, keep, shows
from tests.rig import Rig
from tests.sessions.conftest import ready, stranger
from tests.sessions.shop import SECRET, Shop

ROUTES = [Route("/items/{id}", cache=Cache(ttl=300, tags=["item:{id}"], consistency="eventual"))]

BURN = "DO $$BEGIN FOR i IN 1..500 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END$$"
XMIN = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"


@pytest.fixture
def database() -> Iterator[Database]:
    """On a cluster of its own."""
    with fresh() as cluster:
        cluster.replica("fra")
        made = Database(cluster)
        install(made.url, trigger="goods", tags=["item:{id}"])
        cluster.settle()
        yield made


def opened(rig: Rig, database: Database, here: str) -> Site:
    regions = [
        Region("iad", primary=True, database=database.url),
        Region("fra", replicas=[database.replica_url]),
    ]
    shop = Shop()
    shop.rw = rig.worker(Topology(here=here, regions=regions), *ROUTES, secret=SECRET)
    return knows(rig.site(ready(shop.rw), shop))


def promote(database: Database, site: Site) -> None:
    database.cluster.replicas["fra"].promote()
    databases = site.rw._parts.databases
    assert databases is not None
    until(lambda: databases.known.timelines.current == 2)


def change(url: str, value: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE goods SET value = %s WHERE id = 7", (value,))


def window(site: Site) -> Window:
    databases = site.rw._parts.databases
    assert databases is not None
    assert databases.purges is not None
    assert databases.purges._window is not None
    return databases.purges._window


@pytest.mark.parametrize("again", [True, False])
def test_numbers_that_are_given_again(
    rig: Rig, database: Database, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """The promoted server begins with numbers that the lost one had given; the control trusts."""
    if not again:
        monkeypatch.setattr(Window, "again", lambda _: None)
    site = opened(rig, database, "iad")
    replica = database.cluster.replicas["fra"]
    replica.query("ALTER SYSTEM SET primary_conninfo = ''")
    replica.query("SELECT pg_reload_conf()")
    until(lambda: database.execute("SELECT count(*) FROM pg_stat_replication") == [(0,)])
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(BURN)
    ((burnt,),) = database.execute(XMIN)
    until(lambda: (window(site).floor or 0) >= int(burnt))
    database.cluster.primary.kill()
    promote(database, site)
    until(lambda: window(site).timeline == 2)
    keep(site)
    change(database.replica_url, 1)
    if again:
        until(partial(shows, site, 1))
    else:
        probes_of(site, "fra/replica-1")
        assert stranger(site).look(PATH)[::2] == (0, True)


def probes_of(site: Site, name: str, number: int = 12) -> None:
    """Wait until a host has been asked a few times more; the others are gone."""
    databases = site.rw._parts.databases
    assert databases is not None
    for _ in range(number):
        before = databases.marks[name].when
        until(lambda before=before: databases.marks[name].when > before)  # type: ignore[misc]


def test_rows_of_a_primary_that_was_left_behind(rig: Rig, database: Database) -> None:
    """It still takes writes. Before, the same change is a purge; afterwards it never happened."""
    site = opened(rig, database, "fra")
    keep(site)
    change(database.url, 1)
    until(partial(shows, site, 1))
    assert count(site, "log-purge") == 1
    database.cluster.settle()
    promote(database, site)
    keep(site, value=1)
    change(database.url, 2)
    databases = site.rw._parts.databases
    assert databases is not None
    until(lambda: not databases.marks["iad/primary"].reachable)
    probes_of(site, "fra/replica-1")
    assert count(site, "log-purge") == 1
    assert stranger(site).look(PATH)[::2] == (1, True)
    change(database.replica_url, 3)
    until(partial(shows, site, 3))
    fence = site.rw._parts.prepared.fences._table["htitem:7"]
    assert fence.position is not None
    assert fence.position.timeline == 2
