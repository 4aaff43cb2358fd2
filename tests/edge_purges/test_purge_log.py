"""Purges that ride in the database's log reach the edge, told by one region."""

from functools import partial

import pytest

from regionware import Region, Regionware
from regionware.adapters.edges import wiring
from regionware.adapters.edges.outbox import Lag
from regionware.log_purges import LogPurges
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Site, until
from tests.edge_purges.vendor import Vendor, fastly
from tests.logpurges.conftest import (
    Database,
    Open,
    _open_shop,
    back,
    bare,
    database,
    knows,
    regions,
    replay,
)
from tests.logpurges.test_outside import PATH, keep, probes
from tests.sessions.conftest import Replay, stranger

__all__ = ["_open_shop", "bare", "database", "regions", "replay"]

SLOW = 40.0
CHANGE = "UPDATE goods SET value = value + 1 WHERE id = 7"


@pytest.fixture(autouse=True)
def _first_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "lag_of", lambda *_: Lag(least=1e6, most=1e6, reached=bool))


def both(open_shop: Open, regions: list[Region], vendor: Vendor) -> tuple[Site, Site]:
    """A worker in each region; each knows of the other's Redis."""
    edges = [fastly(vendor.url)]
    near, far = (open_shop(here, regions=regions, edges=edges) for here in ("iad", "fra"))
    return knows(near), knows(far)


def told(site: Site) -> int:
    return site.rw.counts().get("edge-purged:fastly", 0)


def test_the_primarys_region_tells_the_edge(
    open_shop: Open, database: Database, regions: list[Region], vendor: Vendor
) -> None:
    near, far = both(open_shop, regions, vendor)
    database.execute(CHANGE)
    until(lambda: vendor.count("item:7") == 1, SLOW)
    until(lambda: far.rw.counts().get("log-purge", 0) >= 1)
    probes(near, 4)
    probes(far, 4)
    until(lambda: told(near) == 1, SLOW)
    assert told(far) == 0
    assert vendor.count("item:7") == 1
    # Each region has taken it from its own replica, and none from the other's outbox.
    assert near.rw.counts()["log-purge"] == far.rw.counts()["log-purge"] == 1


def test_if_no_region_did_it_would_be_noticed(
    open_shop: Open,
    database: Database,
    regions: list[Region],
    vendor: Vendor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The positive control."""
    monkeypatch.setattr("regionware.composition.tells_edges", lambda _: False)
    near, far = both(open_shop, regions, vendor)
    database.execute(CHANGE)
    until(lambda: near.rw.counts().get("log-purge", 0) >= 1)
    until(lambda: far.rw.counts().get("log-purge", 0) >= 1)
    probes(near, 4)
    assert vendor.asked == []


def test_a_purge_of_a_write_handle_comes_from_where_it_was_made(
    open_shop: Open, database: Database, regions: list[Region], vendor: Vendor
) -> None:
    near, far = both(open_shop, regions, vendor)
    keep(near, far)
    for name in ("update", "insert"):
        database.execute(f"DROP TRIGGER regionware_purge_{name} ON goods")
    stranger(far).put(PATH, 1, "&purge=inside")
    until(lambda: told(far) == 1, SLOW)
    probes(near, 4)
    # The primary's region may have seen the row before it was told by the other.
    assert 1 <= vendor.count("item:7") <= 2


def test_it_comes_again_when_every_replica_has_it(  # noqa: PLR0917 - fixtures
    open_shop: Open,
    database: Database,
    regions: list[Region],
    vendor: Vendor,
    replay: Replay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lag_of(_: object, __: object, reached: object) -> Lag:
        return Lag(least=0.5, most=1e6, reached=reached)  # type: ignore[arg-type] # what is worked out

    monkeypatch.setattr(wiring, "lag_of", lag_of)
    near = knows(open_shop("iad", regions=regions, edges=[fastly(vendor.url)]))
    replay.pause()
    database.execute(CHANGE)
    until(lambda: vendor.count("item:7") == 1, SLOW)
    probes(near, 8)
    assert vendor.count("item:7") == 1
    replay.resume()
    until(lambda: vendor.count("item:7") == 2, SLOW)
    until(lambda: near.rw.counts().get("edge-repeated:fastly") == 1, SLOW)


def test_redis_does_not_confirm(
    open_shop: Open, database: Database, regions: list[Region], vendor: Vendor,
    second_redis_server: RedisServer,
) -> None:  # fmt: skip
    """It is sent from memory."""
    near = knows(open_shop("iad", regions=regions, edges=[fastly(vendor.url)]))
    second_redis_server.pause()
    database.execute(CHANGE)
    until(lambda: vendor.count("item:7") == 1, SLOW)
    second_redis_server.resume()
    back(near)


def test_a_single_region_without_redis(
    open_shop: Open, database: Database, bare: Database, vendor: Vendor
) -> None:
    region = Region("fra", primary=True, database=bare.url)
    site = knows(open_shop("fra", regions=[region], edges=[fastly(vendor.url)]))
    database.execute(CHANGE)
    until(partial(_told_once, site.rw, vendor), SLOW)


def _told_once(rw: Regionware, vendor: Vendor) -> bool:
    databases = rw._parts.databases
    assert databases is not None
    assert isinstance(databases.purges, LogPurges)
    return vendor.count("item:7") == 1
