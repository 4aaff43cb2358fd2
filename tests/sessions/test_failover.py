"""A replica is promoted that had not received the last write: what is shown then."""

import json
import time
from collections.abc import Iterator

import pytest

from regionware import Region
from regionware.caching.coherence import Fences
from regionware.parts.postgres import Cluster
from tests.clusters import fresh
from tests.conformance.harness import Site, until
from tests.sessions.conftest import Open, stranger
from tests.sessions.shop import Customer

OLD, LOST = 1, 2


@pytest.fixture(name="own")
def _own() -> Iterator[Cluster]:
    """A cluster of its own, with the goods."""
    with fresh() as made:
        made.replica("fra")
        made.primary.query("CREATE TABLE goods (id int PRIMARY KEY, value int NOT NULL)")
        made.primary.query("INSERT INTO goods VALUES (7, 1)")
        made.settle()
        yield made


@pytest.fixture
def regions(own: Cluster, redis_url: str, second_redis_url: str) -> list[Region]:
    """Both, with their servers."""
    return [
        Region("iad", primary=True, database=own.url, redis=second_redis_url),
        Region("fra", replicas=[own.replicas["fra"].url], redis=redis_url),
    ]


def lose(cluster: Cluster) -> None:
    """The replica receives nothing any more."""
    replica = cluster.replicas["fra"]
    replica.query("ALTER SYSTEM SET primary_conninfo = ''")
    replica.query("SELECT pg_reload_conf()")
    count = "SELECT count(*) FROM pg_stat_replication"
    limit = time.monotonic() + 20
    while cluster.primary.query(count) != [(0,)]:
        assert time.monotonic() < limit
        time.sleep(0.01)


def fail_over(cluster: Cluster, site: Site) -> None:
    cluster.primary.kill()
    cluster.replicas["fra"].promote()
    databases = site.rw._parts.databases
    assert databases is not None
    until(lambda: databases.known.timelines.current == 2)


def prepared(open_shop: Open, own: Cluster) -> tuple[Site, Customer]:
    """A customer whose write will be lost, and which others were shown from the cache."""
    site = open_shop(debug="a value that nobody guesses")
    customer = Customer(site)
    lose(own)
    customer.put("/items/7", LOST)
    assert customer.see("/items/7") == LOST
    assert stranger(site).look("/items/7") == (LOST, False, True)
    return site, customer


def test_lost_writes_are_shown_to_nobody_and_their_session_is_told(
    open_shop: Open, own: Cluster
) -> None:
    site, customer = prepared(open_shop, own)
    before = dict(customer.cookies)
    fail_over(own, site)
    assert stranger(site).see("/items/7") == OLD
    answer = customer.ask("GET", "/items/7", regionware_debug="a value that nobody guesses")
    assert json.loads(answer.body) == {"value": OLD, "replica": False}
    assert json.loads(answer["regionware-provenance"])["hosts"][0]["reason"] == "orphaned"
    assert "detail=session" in answer["cache-status"]
    assert "private" in answer["cache-control"]
    assert customer.cookies != before
    assert site.rw.counts()["orphaned"] == 1
    # From now on it is a session like any other.
    assert customer.see("/items/7") == OLD
    assert site.rw.counts()["orphaned"] == 1
    customer.put("/items/7", 3)
    assert customer.see("/items/7") == 3


def test_a_session_whose_write_survived_goes_on(open_shop: Open, own: Cluster) -> None:
    site = open_shop()
    customer = Customer(site)
    customer.put("/items/7", 5)
    own.settle()
    before = dict(customer.cookies)
    fail_over(own, site)
    assert customer.see("/items/7") == 5
    assert customer.cookies == before
    assert "orphaned" not in site.rw.counts()


def test_without_the_history_a_cache_would_show_lost_writes(
    open_shop: Open, own: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control."""
    monkeypatch.setattr(Fences, "learn", lambda *_: None)
    site, _ = prepared(open_shop, own)
    fail_over(own, site)
    assert stranger(site).see("/items/7") == LOST


def test_a_purge_from_before_a_failover_holds_nobody_up(open_shop: Open, own: Cluster) -> None:
    """Its position is of the old timeline: an entry of the new one has what survived of it."""
    site, customer = prepared(open_shop, own)
    customer.put("/items/7", LOST, "&purge=inside")
    fail_over(own, site)
    others = stranger(site)
    assert others.see("/items/7") == OLD
    assert others.look("/items/7")[2], "it is stored and served again"
