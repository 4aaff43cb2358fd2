"""Rights that are missing, rows that are deleted, workers and replicas that were away."""

from collections.abc import Iterator
from functools import partial

import psycopg
import pytest

from regionware import Region, Topology
from regionware.database import finding, purges
from regionware.database.position import Position
from regionware.database.selector import Host
from regionware.installing import install, uninstall
from regionware.log_purges import LogPurges
from regionware.parts.postgres import Cluster
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from tests.clusters import fresh
from tests.conformance.harness import Site, until
from tests.logpurges.conftest import Database, Open, apart, away, back, count, knows
from tests.logpurges.test_outside import PATH, keep, probes, shows
from tests.logpurges.test_riding import raised
from tests.rig import Rig
from tests.sessions.conftest import ready, stranger
from tests.sessions.shop import SECRET, Shop

EVENTUAL = [Route("/items/{id}", cache=Cache(ttl=300, tags=["item:{id}"], consistency="eventual"))]


def reader(site: Site) -> LogPurges:
    databases = site.rw._parts.databases
    assert databases is not None
    assert databases.purges is not None
    return databases.purges


def reachable(site: Site) -> bool:
    databases = site.rw._parts.databases
    assert databases is not None
    return all(mark.reachable for mark in databases.marks.values())


# Installed late, and gone again


def test_a_table_that_is_made_while_workers_run(open_shop: Open, bare: Database) -> None:
    site = open_shop("fra")
    keep(site)
    assert site.rw.explain("GET", PATH)["database"]["purges"] is None
    assert all(row["database"]["purges"] is None for row in site.rw.inventory())
    install(bare.url, trigger="goods", tags=["item:{id}"])
    knows(site)
    bare.execute("UPDATE goods SET value = 1 WHERE id = 7")
    until(partial(shows, site, 1))
    told = {"table": "public.regionware_purges", "taken": True, "ride": True}
    assert site.rw.explain("GET", PATH)["database"]["purges"] == told
    assert all(row["database"]["purges"] == told for row in site.rw.inventory())
    uninstall(bare.url)
    until(lambda: reader(site).table is None)
    probes(site)
    assert reachable(site)
    assert stranger(site).see(PATH) == 1


# Rights


@pytest.fixture
def shopper(database: Database) -> Iterator[str]:
    """A role that may use the goods, and not the purges."""
    for sql in (
        "DROP ROLE IF EXISTS shopper",
        "CREATE ROLE shopper LOGIN",
        "GRANT ALL ON goods TO shopper",
    ):
        database.execute(sql)
    database.cluster.settle()
    yield "shopper"
    database.execute("DROP OWNED BY shopper")
    database.execute("DROP ROLE shopper")


def as_role(database: Database, role: str, regions: list[Region]) -> list[Region]:
    primary, replica = (
        database.on(server.url, user=role)
        for server in (database.cluster.primary, database.cluster.replicas["fra"])
    )
    iad, fra = regions
    return [
        Region("iad", primary=True, database=primary, redis=iad.redis),
        Region("fra", replicas=[replica], redis=fra.redis),
    ]


def test_a_role_that_may_not_read_the_table(
    open_shop: Open,
    database: Database,
    shopper: str,
    regions: list[Region],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A warning, once; the prober goes on, and so do purges of the ordinary way."""
    there = apart(as_role(database, shopper, regions), "fra")
    site = open_shop("fra", regions=there)
    until(lambda: "may not SELECT from public.regionware_purges" in caplog.text)
    keep(site)
    database.execute("UPDATE goods SET value = 1 WHERE id = 7")
    database.cluster.settle()
    probes(site)
    assert reachable(site)
    assert stranger(site).look(PATH)[::2] == (0, True)
    assert caplog.text.count("may not SELECT") == 1
    stranger(site).put(PATH, 2, "&purge=inside")
    assert stranger(site).see(PATH) == 2
    database.execute("GRANT SELECT ON regionware_purges TO shopper")
    knows(site)
    database.execute("UPDATE goods SET value = 3 WHERE id = 7")
    until(partial(shows, site, 3))


def test_a_question_that_is_refused(
    open_shop: Open, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """A table that only looks like ours makes no host unreachable."""
    site = knows(open_shop("fra"))
    database.execute("ALTER TABLE regionware_purges RENAME COLUMN salt TO pepper")
    until(lambda: "does not tell its purges" in caplog.text)
    probes(site)
    assert reachable(site)
    assert shows(site, 0)


# Rows that are deleted


def prune(site: Site, retention: float = 0.0) -> None:
    """Now, and whatever is older than that many seconds."""
    found = reader(site)
    found._retention = int(retention * 1_000_000)
    found._due = 0.0


def left(database: Database) -> list[tuple[bool]]:
    rows = database.execute("SELECT pruned IS NOT NULL FROM regionware_purges ORDER BY id")
    return [(bool(each[0]),) for each in rows]


def test_old_rows_are_deleted(open_shop: Open, database: Database) -> None:
    site = knows(open_shop("fra"))
    keep(site)
    keep(site, path="/items/8")
    database.execute("UPDATE goods SET value = 1 WHERE id = 7")
    until(partial(shows, site, 1))
    prune(site, retention=3600)
    probes(site)
    assert left(database) == [(False,)]
    prune(site)
    until(lambda: left(database) == [(True,)])
    # Who has read them all misses nothing.
    database.cluster.settle()
    probes(site)
    assert count(site, "gap") == 0
    assert stranger(site).look("/items/8")[2]
    # Again and again there is one that tells.
    prune(site)
    until(lambda: database.execute("SELECT max(id) > 2 FROM regionware_purges") == [(True,)])
    assert left(database) == [(True,)]


def test_a_role_that_may_not_delete(
    open_shop: Open, database: Database, shopper: str, regions: list[Region]
) -> None:
    database.execute("GRANT SELECT, INSERT ON regionware_purges TO shopper")
    site = knows(open_shop("fra", regions=apart(as_role(database, shopper, regions), "fra")))
    database.execute("UPDATE goods SET value = 1 WHERE id = 7")
    prune(site)
    probes(site)
    assert left(database) == [(False,)]
    assert reachable(site)


def test_a_deletion_that_is_refused(
    open_shop: Open, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    site = knows(open_shop("fra"))
    database.execute("UPDATE goods SET value = 1 WHERE id = 7")
    database.execute("ALTER TABLE regionware_purges ADD CHECK (pruned IS NULL)")
    prune(site)
    until(lambda: "old purges stay" in caplog.text)
    probes(site)
    assert left(database) == [(False,)]
    assert reachable(site)


@pytest.mark.parametrize("told", [True, False])
def test_rows_that_were_deleted_before_they_were_read(
    open_shop: Open, database: Database, told: bool
) -> None:
    """Everything is purged; the control deletes them without leaving word."""
    one, other = (knows(open_shop("fra", regions=_alone(database))) for _ in range(2))
    keep(one, other)
    away(one)
    database.execute("UPDATE goods SET value = 1 WHERE id = 7")
    if told:
        prune(other)
        until(lambda: left(database) == [(True,)])
    else:
        database.execute("DELETE FROM regionware_purges")
    database.cluster.settle()
    back(one)
    if told:
        until(partial(shows, one, 1))
        assert one.rw.counts()["gap:database"] == 1
    else:
        probes(one)
        assert stranger(one).look(PATH)[::2] == (0, True)


def _alone(database: Database) -> list[Region]:
    """No Redis: what one worker knows, the other does not."""
    return [
        Region("iad", primary=True, database=database.url),
        Region("fra", replicas=[database.replica_url]),
    ]


# Workers that come later


def test_a_region_whose_workers_were_all_away(
    rig: Rig, open_shop: Open, database: Database, redis_server: RedisServer
) -> None:
    first = knows(open_shop("fra"))
    keep(first)
    until(lambda: redis_server.command("EXISTS {regionware}:rows") == "1")
    rig.shut(first.rw)
    database.execute("UPDATE goods SET value = 1 WHERE id = 7")
    database.cluster.settle()
    # What is in Redis is old, until the row has been read.
    second = knows(open_shop("fra"))
    until(partial(shows, second, 1))
    # And whoever comes then raises nothing again.
    before = raised(redis_server)
    third = knows(open_shop("fra"))
    probes(third)
    assert raised(redis_server) == before
    assert shows(third, 1)


def test_a_worker_that_reads_nothing_of_before(
    rig: Rig, open_shop: Open, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control."""
    first = knows(open_shop("fra"))
    keep(first)
    rig.shut(first.rw)
    database.execute("UPDATE goods SET value = 1 WHERE id = 7")
    database.cluster.settle()
    monkeypatch.setattr(purges.Window, "_condition", lambda _: "false")
    second = knows(open_shop("fra"))
    probes(second)
    assert stranger(second).look(PATH)[::2] == (0, True)


@pytest.mark.parametrize("mended", [True, False])
def test_a_cursor_of_a_timeline_that_is_gone(  # noqa: PLR0917 - fixtures
    rig: Rig, open_shop: Open, database: Database, redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch, mended: bool,
) -> None:  # fmt: skip
    """The database was restored, and the workers are new; what their Redis knows is of before."""
    if not mended:  # the positive control
        monkeypatch.setattr(LogPurges, "_go_back", lambda *_: None)
    first = knows(open_shop("fra"))
    keep(first)
    rig.shut(first.rw)
    ((system,),) = database.execute("SELECT system_identifier::text FROM pg_control_system()")
    redis_server.command(f"SET {{regionware}}:rows {system}:9:999999999:4000000000.5")
    second = open_shop("fra")
    until(lambda: reader(second).table is not None)
    if mended:
        # What was stored before it may be of what is gone.
        until(lambda: not stranger(second).look(PATH)[2])
    database.execute("UPDATE goods SET value = 1 WHERE id = 7")
    if mended:
        until(partial(shows, second, 1))
        return
    database.cluster.settle()
    probes(second)
    assert stranger(second).look(PATH)[::2] == (0, True)


def test_a_worker_that_serves_hits_alone(
    rig: Rig, open_shop: Open, database: Database, regions: list[Region]
) -> None:
    """It never uses the database, and is not started: the first look-up starts its prober."""
    keep(knows(open_shop("fra")))
    shop = Shop()
    topology = Topology(here="fra", regions=apart(regions, "fra"))
    shop.rw = rig.worker(topology, *EVENTUAL, secret=SECRET)
    site = rig.site(shop.rw, shop)
    until(lambda: stranger(site).look(PATH)[::2] == (0, True))
    databases = shop.rw._parts.databases
    assert databases is not None
    assert databases._rim.prober is not None


# Replicas


@pytest.fixture(scope="module")
def pair() -> Iterator[Cluster]:
    """A primary with two replicas, both of one region."""
    with fresh() as cluster:
        cluster.replica("fra")
        cluster.replica("late")
        yield cluster


@pytest.mark.parametrize("blind", [False, True])
def test_a_refill_is_made_where_the_row_was_seen(
    rig: Rig, pair: Cluster, blind: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One replica lags; the other shows the row. The control forgets where it was seen."""
    # Of several that will do one is drawn by lot: here it is always the one that lags.
    monkeypatch.setattr(finding, "prefer", lambda hosts, *_: list(hosts))
    if blind:
        monkeypatch.setattr(purges, "_need", lambda *_: Position(1, 1))
    database = Database(pair)
    install(database.url, trigger="goods", tags=["item:{id}"])
    pair.settle()
    late = pair.replicas["late"]
    regions = [
        Region("iad", primary=True, database=database.url),
        Region("fra", replicas=[database.on(late.url), database.replica_url]),
    ]
    shop = Shop()
    shop.rw = rig.worker(Topology(here="fra", regions=regions), *EVENTUAL, secret=SECRET)
    site = knows(rig.site(ready(shop.rw), shop))
    keep(site)
    late.query("SELECT pg_wal_replay_pause()")
    until(lambda: late.query("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])
    try:
        database.execute("UPDATE goods SET value = 1 WHERE id = 7")
        until(lambda: count(site, "log-purge") == 1)
        assert stranger(site).see(PATH) == (0 if blind else 1)
    finally:
        late.query("SELECT pg_wal_replay_resume()")
    pair.settle()
    pair.primary.query(f"DROP DATABASE {database.name} WITH (FORCE)")


def test_a_region_whose_replica_is_gone(rig: Rig, pair: Cluster) -> None:
    """The primary is asked instead."""
    database = Database(pair)
    install(database.url, trigger="goods", tags=["item:{id}"])
    pair.settle()
    regions = [
        Region("iad", primary=True, database=database.url),
        Region("fra", replicas=[database.replica_url]),
    ]
    shop = Shop()
    shop.rw = rig.worker(Topology(here="fra", regions=regions), *EVENTUAL, secret=SECRET)
    site = knows(rig.site(ready(shop.rw), shop))
    keep(site)
    pair.replicas["fra"].stop()
    try:
        database.execute("UPDATE goods SET value = 1 WHERE id = 7")
        until(partial(shows, site, 1))
    finally:
        pair.replicas["fra"].start()
    pair.settle()
    with psycopg.connect(database.url) as connection:
        connection.execute("UPDATE goods SET value = 2 WHERE id = 7")
    until(partial(shows, site, 2))


def test_after_a_fork_nothing_is_known(open_shop: Open, database: Database) -> None:
    """What a parent has read, and its thread, are not the child's."""
    site = knows(open_shop("fra"))
    found = reader(site)
    away(site)
    thread = found._thread
    assert thread is not None
    found._stop.set()  # a child has no thread either
    thread.join()
    found.forget()
    assert (found._thread, found._window, found._cursor, found.table) == (None, None, None, None)
    assert found.ask(Host("fra/replica-1", "replica"), "77").columns == ""
    back(site)
    knows(site)
    assert found._thread is not thread
