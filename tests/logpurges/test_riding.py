"""A purge inside a write handle is a row of its transaction, in the flight of the COMMIT."""

import time
from collections.abc import Iterator
from functools import partial

import psycopg
import pytest

from regionware import Region, Regionware
from regionware.database import handle
from regionware.installing import install
from regionware.parts.proxy import DelayProxy
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Site, until
from tests.logpurges.conftest import Database, Open, apart, away, back, count, knows
from tests.logpurges.test_outside import PATH, keep, probes, shows
from tests.rig import Rig
from tests.sessions.conftest import Replay, stranger

WILD = ["a'b", "$regionware$", "\\u00e9 \\", "%s {}", "\N{SNOWMAN}", "nul\0", "x" * 500, '"']


def purging(rig: Rig, rw: Regionware, *tags: str) -> None:
    """A write handle outside a request, with purges and nothing else."""

    async def run() -> None:
        async with rw.connection(access="write") as connection:
            await connection.execute("SELECT 1")
            await rw.apurge(tags=tags)

    if rig.flavour == "asgi":
        rig.run(run())
        return
    with rw.connection(access="write") as connection:
        connection.execute("SELECT 1")
        rw.purge(tags=tags)


def raised(server: RedisServer) -> int:
    """How many purges a region's Redis has had."""
    return int(server.command("XLEN {regionware}:log"))


def test_the_other_region_takes_it_from_its_replica(
    open_shop: Open, database: Database, redis_server: RedisServer
) -> None:
    near, far = knows(open_shop("iad")), knows(open_shop("fra"))
    keep(near, far)
    database.execute("DROP TRIGGER regionware_purge_update ON goods")
    database.execute("DROP TRIGGER regionware_purge_insert ON goods")
    away(near)
    stranger(near).put(PATH, 1, "&purge=inside")
    assert stranger(near).see(PATH) == 1  # here at once
    back(near)
    until(partial(shows, far, 1))
    assert database.rows() == [(None, '["htitem:7"]', False, False)]
    probes(near, 4)
    probes(far, 4)
    # Here it is not raised again, and there once.
    assert (count(near, "log-purge"), count(far, "log-purge")) == (0, 1)


def test_without_the_table_it_does_not(open_shop: Open, bare: Database) -> None:
    """The positive control: with no way between the two Redis servers, nobody hears of it."""
    near, far = open_shop("iad"), open_shop("fra")
    keep(near, far)
    stranger(near).put(PATH, 1, "&purge=inside")
    assert stranger(near).see(PATH) == 1
    bare.cluster.settle()
    probes(far)
    assert stranger(far).look(PATH)[::2] == (0, True)


def test_a_rolled_back_purge_is_no_row(open_shop: Open, database: Database) -> None:
    near = knows(open_shop("iad"))
    answer = stranger(near).ask("PUT", PATH, "value=1&purge=inside&rollback=1")
    assert answer.status == 422
    assert database.rows() == []


@pytest.mark.parametrize("known", [True, False])
def test_a_region_raises_it_once(
    open_shop: Open,
    database: Database,
    redis_server: RedisServer,
    known: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many workers read the row. The control takes away the row's name."""
    if not known:
        monkeypatch.setattr("regionware.log_purges._ONCE", 0)
        monkeypatch.setattr("regionware.caching.coherence.Fences.__contains__", lambda *_: False)
    sites = [knows(open_shop("fra")) for _ in range(3)]
    keep(*sites)
    before = raised(redis_server)
    database.execute("UPDATE goods SET value = 1 WHERE id = 7")
    for site in sites:
        until(partial(shows, site, 1))
        probes(site, 4)
    assert raised(redis_server) - before == (1 if known else 3)


def test_tags_of_every_kind(rig: Rig, open_shop: Open, database: Database) -> None:
    near, far = knows(open_shop("iad")), knows(open_shop("fra"))
    purging(rig, near.rw, *WILD)
    fences = far.rw._parts.prepared.fences
    purging(rig, near.rw, "last")
    until(lambda: "htlast" in fences)
    here = near.rw._parts.prepared.fences
    for name in [each for each in here._table if each[0] in "hs" and each != "h*"]:
        assert name in fences, name
    assert len(here._table) >= len(WILD) + 3


def test_many_tags(rig: Rig, open_shop: Open, database: Database) -> None:
    """They ride in several rows, none of which is so large that it purges everything."""
    near, far = knows(open_shop("iad")), knows(open_shop("fra"))
    keep(far)
    purging(rig, near.rw, *(f"many:{number:030}" for number in range(3000)))
    until(lambda: count(far, "log-purge") == len(database.rows()) > 1)
    assert f"htmany:{2999:030}" in far.rw._parts.prepared.fences
    assert stranger(far).look(PATH)[::2] == (0, True)


def test_a_refused_row_does_not_harm_the_transaction(
    open_shop: Open, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The commit stands, and the purge goes the way it goes without the table."""
    near = knows(open_shop("iad"))
    keep(near)
    database.execute("DROP TRIGGER regionware_purge_update ON goods")
    database.execute("DROP TRIGGER regionware_purge_insert ON goods")
    database.execute("ALTER TABLE regionware_purges ADD CHECK (names IS NULL)")
    stranger(near).put(PATH, 1, "&purge=inside")
    assert stranger(near).see(PATH) == 1
    assert database.rows() == []
    assert "does not ride" in caplog.text


def test_a_table_that_has_just_been_dropped(rig: Rig, open_shop: Open, database: Database) -> None:
    near = knows(open_shop("iad"))
    rw = near.rw
    database.execute("DROP TABLE regionware_purges")
    purging(rig, rw, "a")
    assert "hta" in rw._parts.prepared.fences


@pytest.mark.parametrize("rides", [True, False])
def test_it_rides_before_the_data_can_be_seen(
    open_shop: Open,
    database: Database,
    replay: Replay,
    rides: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While replay is paused there is neither; the control writes no row."""
    near, far = knows(open_shop("iad")), knows(open_shop("fra"))
    database.execute("DROP TRIGGER regionware_purge_update ON goods")
    database.execute("DROP TRIGGER regionware_purge_insert ON goods")
    keep(near, far)
    if not rides:
        monkeypatch.setattr(handle.Handle, "_row", lambda _: "")
    replay.pause()
    stranger(near).put(PATH, 1, "&purge=inside")
    probes(far)
    assert stranger(far).look(PATH)[::2] == (0, True)
    replay.resume()
    if rides:
        until(partial(shows, far, 1))
        assert [stranger(far).see(PATH) for _ in range(20)] == [1] * 20
    else:
        probes(far)
        assert stranger(far).see(PATH) == 0


FAR = 0.03


@pytest.fixture
def proxy(postgres: object, bare: Database) -> Iterator[DelayProxy]:
    """What leads to the primary, which is far away."""
    with DelayProxy(bare.cluster.primary.port, FAR) as proxy:
        yield proxy


@pytest.mark.parametrize("installed", [True, False])
def test_it_costs_no_round_trip(
    rig: Rig, open_shop: Open, bare: Database, proxy: DelayProxy, installed: bool
) -> None:
    if installed:
        install(bare.url)
    url = bare.on(bare.cluster.url, port=str(proxy.port))
    site = open_shop("iad", regions=[Region("iad", primary=True, database=url)])
    if installed:
        knows(site)
    _rest(site)
    for _ in range(3):
        purging(rig, site.rw, "a")
    quiet = False
    while not quiet:
        proxy.counters.reset()
        time.sleep(8 * FAR)
        quiet = not (proxy.counters.bytes_up or proxy.counters.bytes_down)
    purging(rig, site.rw, "a")
    assert proxy.counters.connections == 0
    assert proxy.counters.round_trips == 3  # BEGIN, the statement, and the commit with its row
    if installed:
        assert len(bare.rows()) == 4


def _rest(site: Site) -> None:
    """From here on the prober asks no more."""
    databases = site.rw._parts.databases
    assert databases is not None
    assert databases._rim.prober is not None
    databases._rim.prober.interval = 3600
    time.sleep(0.6)


def test_apart_is_apart(regions: list[Region]) -> None:
    assert [each.redis is None for each in apart(regions, "iad")] == [False, True]


def test_somebody_elses_row(open_shop: Open, database: Database) -> None:
    """Everything, softly, from psql."""
    site = knows(open_shop("fra"))
    keep(site)
    with psycopg.connect(database.url) as connection:
        connection.execute("INSERT INTO regionware_purges (everything, soft) VALUES (true, true)")
        connection.execute("ALTER TABLE goods DISABLE TRIGGER ALL")
        connection.execute("UPDATE goods SET value = 1")
    until(partial(shows, site, 1))
