"""How many round trips to the databases a whole request costs, over both protocols.

A read and an owned write cost as many as without us, another write one more for the request.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from regionware import Region, Regionware, Topology
from regionware.parts.postgres import Cluster
from regionware.parts.proxy import DelayProxy
from tests.conformance.harness import Site
from tests.database.test_budget import proxies, trips
from tests.rig import Rig
from tests.sessions.conftest import ready
from tests.sessions.shop import READ, ROUTES, SECRET, WRITE, Customer, Shop, Work

__all__ = ["proxies"]

Proxies = tuple[DelayProxy, DelayProxy]

#: A transaction of psycopg is three: BEGIN, the statement, COMMIT.
READS, WRITES = 1, 3


class Impatient(Shop):
    """Commits by itself in its handle, so nothing can ride with the last COMMIT."""

    async def _awork(self, work: Work) -> Any:
        async with self.layer.connection(**work.words) as connection:
            row = None
            for _ in range(2):
                row = await (await connection.execute(work.sql.encode(), work.values)).fetchone()
                await connection.commit()
        return row

    def _work(self, work: Work) -> Any:
        with self.layer.connection(**work.words) as connection:
            row = None
            for _ in range(2):
                row = connection.execute(work.sql.encode(), work.values).fetchone()
                connection.commit()
        return row


@pytest.fixture
def distant(proxies: Proxies, postgres: Cluster, goods: str) -> Topology:
    """Both databases, each behind its proxy."""
    one, two = proxies
    return Topology(
        here="fra",
        regions=[
            Region("iad", primary=True, database=one.through(postgres.url)),
            Region("fra", replicas=[two.through(postgres.replicas["fra"].url)]),
        ],
    )


@pytest.fixture
def open_counted(rig: Rig, distant: Topology) -> Callable[[Shop], Site]:
    """Opens a shop whose prober has asked, and sleeps from then on."""

    def open_counted(shop: Shop) -> Site:
        shop.rw = rig.worker(distant, *ROUTES, secret=SECRET)
        site = rig.site(ready(shop.rw), shop)
        prober = _prober(shop.rw)
        prober.interval = 3600  # from here on it must not be counted
        time.sleep(1.5)
        return site

    return open_counted


def _prober(rw: Regionware) -> Any:
    databases = rw._parts.databases
    assert databases is not None
    prober = databases._rim.prober
    assert prober is not None
    return prober


def renew(site: Site) -> None:
    """As the prober would, if it had asked once more: its marks speak of the connections."""
    prober = _prober(site.rw)
    now = time.monotonic()
    marks = {name: replace(mark, when=now) for name, mark in prober.known.marks.items()}
    prober.known = replace(prober.known, marks=marks)


def test_bare(proxies: Proxies, postgres: Cluster, item: int) -> None:
    """What the figures below are compared with, and what a question too many would cost."""
    with psycopg.connect(proxies[0].through(postgres.url), prepare_threshold=None) as connection:
        connection.autocommit = True
        assert trips(proxies, lambda: connection.execute(READ, (item,))) == (READS, 0)
        connection.autocommit = False

        def transaction() -> None:
            connection.execute(WRITE, (item, 1))
            connection.commit()

        def asking() -> None:
            transaction()
            connection.execute("SELECT pg_current_wal_insert_lsn()")
            connection.commit()

        assert trips(proxies, transaction) == (WRITES, 0)
        # The positive control: to ask without care costs another transaction.
        assert trips(proxies, asking) == (2 * WRITES, 0)


def test_a_request_that_reads(
    proxies: Proxies, open_counted: Callable[[Shop], Site], item: int
) -> None:
    site = open_counted(Shop())

    def near() -> None:
        renew(site)
        assert Customer(site).look(f"/plain/{item}")[:2] == (0, True)

    def far() -> None:
        assert Customer(site).look(f"/strong/{item}")[:2] == (0, False)

    near()
    assert trips(proxies, near) == (0, READS)
    assert trips(proxies, far) == (READS, 0)


def test_a_request_that_writes(
    proxies: Proxies, open_counted: Callable[[Shop], Site], item: int
) -> None:
    site = open_counted(Shop())

    def write() -> None:
        answer = Customer(site).put(f"/plain/{item}", 1)
        assert answer.all("set-cookie")

    assert trips(proxies, write) == (WRITES, 0)


def test_a_request_that_commits_by_itself(
    proxies: Proxies, open_counted: Callable[[Shop], Site], item: int
) -> None:
    """Two transactions, one question."""
    site = open_counted(Impatient())

    def write() -> None:
        answer = Customer(site).put(f"/plain/{item}", 1)
        assert answer.all("set-cookie")

    primary, replica = trips(proxies, write)
    assert 2 * WRITES <= primary <= 2 * WRITES + 1
    assert replica == 0
