"""Promotions over real servers: who is read and written afterwards, and what of the rest."""

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from regionware.context import Current
from regionware.database import hosts, survey
from regionware.database.connection import Databases
from regionware.database.health import Prober
from regionware.database.hosts import Arrangement
from regionware.database.link import Link
from regionware.database.position import Position
from regionware.database.selector import Host
from regionware.database.timelines import Place, Switch, Timelines
from regionware.errors import PrimaryUnavailable
from regionware.observe import Event
from regionware.parts.postgres import Cluster
from regionware.policies.database import Access, Database
from regionware.topology import Region, Topology
from tests.clusters import fresh

Until = Callable[..., None]
Begin = Callable[..., Current]

INTERVAL = 0.1


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster of its own: a primary, and a replica in each of two regions."""
    with fresh() as made:
        made.replica("fra")
        made.replica("nrt")
        made.primary.query("CREATE TABLE items (value int)")
        made.settle()
        yield made


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def databases(cluster: Cluster, events: list[Event], until: Until) -> Iterator[Databases]:
    """As a process in fra sees it."""
    made = Databases(topology(cluster), interval=INTERVAL, tell=events.append)
    made.start()
    until(lambda: all(mark.fresh is not None for mark in made.marks.values()))
    yield made
    made.close()


def topology(cluster: Cluster) -> Topology:
    return Topology(
        here="fra",
        regions=[
            Region("iad", primary=True, database=cluster.url),
            Region("fra", replicas=[cluster.replicas["fra"].url]),
            Region("nrt", replicas=[cluster.replicas["nrt"].url]),
        ],
    )


@pytest.fixture
def begin(cluster: Cluster) -> Begin:
    here = topology(cluster).here

    def begin(
        database: Database | None = None,
        *,
        access: Access = "read",
        need: Position | None = None,
    ) -> Current:
        return Current(
            region=here, here=here, method="GET", route="/", access=access,
            database=database or Database.session(), need=need,
        )  # fmt: skip

    return begin


def write(databases: Databases, begin: Begin) -> Position:
    state = begin(access="write")
    with databases.connection(state) as connection:
        connection.execute("INSERT INTO items VALUES (1)")
    assert state.written is not None
    return state.written


def port(databases: Databases, state: Current) -> int:
    """Which server answers."""
    with databases.connection(state) as connection:
        connection.execute("SELECT count(*) FROM items")
        return connection.info.port


def primary(databases: Databases) -> str:
    found = databases.known.primary
    return found.name if found is not None else ""


def names(events: list[Event], name: str) -> list[str]:
    return [event.detail for event in events if event.name == name]


def cut_off(cluster: Cluster) -> None:
    """The replicas receive nothing any more."""
    for replica in cluster.replicas.values():
        replica.query("ALTER SYSTEM SET primary_conninfo = ''")
        replica.query("SELECT pg_reload_conf()")
    count = "SELECT count(*) FROM pg_stat_replication"
    limit = time.monotonic() + 20
    while cluster.primary.query(count) != [(0,)]:
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_a_promoted_replica_is_written_and_lost_writes_are_known(
    cluster: Cluster, databases: Databases, begin: Begin, until: Until, events: list[Event]
) -> None:
    kept = write(databases, begin)
    cluster.settle()
    cut_off(cluster)
    lost = write(databases, begin)
    cluster.primary.kill()
    with pytest.raises(PrimaryUnavailable):
        write(databases, begin)
    fra, nrt = cluster.replicas["fra"], cluster.replicas["nrt"]
    nrt.promote()
    until(lambda: primary(databases) == "nrt/replica-1")
    ((line,),) = nrt.query("SELECT pg_read_file('pg_wal/00000002.history')")
    at = Position.parse(line.split()[1], 1).lsn
    assert databases.known.timelines == Timelines(2, {2: Switch(1, at)})
    assert databases.known.timelines.place(kept) is Place.HERE
    assert databases.known.timelines.place(lost) is Place.LOST
    again = write(databases, begin)
    assert again.timeline == 2
    # The other replica is not of this timeline yet: nobody reads from it.
    assert port(databases, begin(need=again)) == nrt.port
    cluster.demote(fra, nrt)
    until(lambda: databases.marks["fra/replica-1"].reachable)
    until(lambda: port(databases, begin(need=again)) == fra.port)
    assert names(events, "failover") == ["nrt/replica-1"]


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_demoted_primary_serves_as_a_replica_of_its_region(
    cluster: Cluster, databases: Databases, begin: Begin, until: Until, way: str
) -> None:
    write(databases, begin)
    cluster.settle()
    old, new = cluster.primary, cluster.replicas["fra"]
    new.promote()
    until(lambda: primary(databases) == "fra/replica-1")
    cluster.demote(old, new)
    at_home = Databases(replaced(cluster, "iad"), interval=INTERVAL)
    at_home.start()
    until(lambda: primary(at_home) == "fra/replica-1")
    until(lambda: at_home.marks["iad/primary"].fresh is not None)
    need = write(databases, begin)
    if way == "sync":
        until(lambda: port(at_home, begin(need=need)) == old.port)
    else:
        asyncio.run(read_async(at_home, begin, old.port))
    # Its region reads from it, and writes to the new one.
    assert write(at_home, begin).timeline == 2
    at_home.close()


async def read_async(databases: Databases, begin: Begin, wanted: int) -> None:
    async with databases.connection(begin()) as connection:
        assert connection.info.port == wanted
    await databases._rim.pools.aclose()


def replaced(cluster: Cluster, here: str) -> Topology:
    return Topology(here=here, regions=topology(cluster).regions)


def test_a_primary_left_behind_is_neither_read_nor_written(
    cluster: Cluster, databases: Databases, begin: Begin, until: Until, events: list[Event]
) -> None:
    """It was cut off, the replica was promoted, and it still takes writes from others."""
    old, new = cluster.primary, cluster.replicas["nrt"]
    held = databases.connection(begin(access="write"))
    with held as connection:
        connection.execute("INSERT INTO items VALUES (1)")
        new.promote()
        until(lambda: primary(databases) == "nrt/replica-1")
    old.query("INSERT INTO items VALUES (1)")  # It does.
    for _ in range(5):
        assert write(databases, begin).timeline == 2
        assert port(databases, begin(Database.primary())) == new.port
    until(lambda: "iad/primary" in names(events, "fenced"))
    # Also by somebody who begins only now, and by one who sees it alone for a while.
    later = Databases(topology(cluster), interval=INTERVAL)
    assert write(later, begin).timeline == 2
    new.pause()
    until(lambda: not later.marks["nrt/replica-1"].reachable)
    with pytest.raises(PrimaryUnavailable):
        write(later, begin)
    new.resume()
    until(lambda: later.marks["nrt/replica-1"].reachable)
    assert write(later, begin).timeline == 2
    later.close()


def test_without_timelines_a_primary_left_behind_would_be_written(
    cluster: Cluster, begin: Begin, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control of the test above."""

    def as_declared(*_: object, **__: object) -> Arrangement:
        return Arrangement(Host("iad/primary", "primary"))

    monkeypatch.setattr(survey, "arrange", as_declared)
    databases = Databases(topology(cluster), interval=INTERVAL)
    databases.start()
    cluster.replicas["nrt"].promote()
    until(lambda: databases.marks["iad/primary"].fresh is not None)
    assert write(databases, begin).timeline == 1
    databases.close()


def test_who_has_just_begun_would_write_to_a_primary_left_behind(
    cluster: Cluster, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another positive control: a process that takes the topology's word, and asks nobody first."""
    cluster.replicas["nrt"].promote()
    databases = Databases(topology(cluster))
    with monkeypatch.context() as patch:
        patch.setattr(Prober, "start", lambda self: self.waiters.heard.set())
        assert write(databases, begin).timeline == 1
    databases.close()
    assert write(databases, begin).timeline == 2
    databases.close()


def test_two_that_take_writes_on_one_timeline_are_both_fenced(  # noqa: PLR0917 - fixtures
    cluster: Cluster,
    databases: Databases,
    begin: Begin,
    until: Until,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosts, "REMEMBERED", 1.0)
    fra, nrt = cluster.replicas["fra"], cluster.replicas["nrt"]
    fra.promote()
    nrt.promote()
    until(lambda: set(names(events, "fenced")) >= {"fra/replica-1", "nrt/replica-1"})
    until(lambda: not primary(databases))
    for access in ("read", "write"):
        with (
            pytest.raises(PrimaryUnavailable, match="both take writes on timeline 2"),
            databases.connection(begin(Database.primary(), access=access)),
        ):
            pytest.fail("nobody can tell which of them is right")
    with pytest.raises(PrimaryUnavailable, match="both take writes"):
        databases.primary_position()
    # One of them is made a replica of the other: there is a primary again.
    cluster.demote(fra, nrt)
    until(lambda: primary(databases) == "nrt/replica-1")
    need = write(databases, begin)
    until(lambda: port(databases, begin(need=need)) == fra.port)


def test_a_connection_that_outlives_a_promotion_is_given_up(
    cluster: Cluster, databases: Databases, begin: Begin, until: Until
) -> None:
    with databases.connection(begin()) as kept:
        kept.execute("SELECT 1")
    with databases.connection(begin()) as held:
        assert held is kept, "the positive control: without a promotion it is used again"
        cluster.replicas["fra"].promote()
        assert isinstance(held, Link)
        turned = held.turned

        def told() -> bool:
            """The server tells of its new role with an answer; nobody asks it."""
            held.execute("SELECT 1")
            return turned()

        until(told)
    assert held.closed
    until(lambda: primary(databases) == "fra/replica-1")
    assert write(databases, begin).timeline == 2


def test_one_url_of_several_hosts_follows_the_primary(
    cluster: Cluster, begin: Begin, until: Until
) -> None:
    ports = cluster.primary.port, cluster.replicas["fra"].port
    url = (
        f"postgresql://postgres@127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}/postgres"
        "?target_session_attrs=read-write"
    )
    regions = [Region("iad", primary=True, database=url), Region("nrt")]
    databases = Databases(Topology(here="nrt", regions=regions), interval=INTERVAL)
    databases.start()
    until(lambda: databases.marks["iad/primary"].fresh is not None)
    assert write(databases, begin).timeline == 1
    first = databases.marks["iad/primary"].instance
    cluster.settle()
    cluster.primary.kill()
    cluster.replicas["fra"].promote()
    until(lambda: databases.known.timelines.current == 2)
    assert databases.marks["iad/primary"].instance != first
    assert write(databases, begin).timeline == 2
    assert port(databases, begin(Database.primary())) == ports[1]
    databases.close()


def test_a_request_that_comes_too_early_finds_the_new_primary(
    cluster: Cluster, begin: Begin
) -> None:
    """A process that begins after a failover is told of another primary while it connects."""
    cluster.settle()
    cluster.replicas["fra"].promote()
    cluster.demote(cluster.primary, cluster.replicas["fra"])
    databases = Databases(topology(cluster), interval=INTERVAL)
    assert write(databases, begin).timeline == 2
    databases.close()


def test_who_starts_after_a_failover_knows_the_switch_point(
    cluster: Cluster, begin: Begin, until: Until
) -> None:
    """Only while the server remembers: after a crash it would name the end of its recovery."""
    cluster.settle()
    new = cluster.replicas["fra"]
    new.promote()
    ((line,),) = new.query("SELECT pg_read_file('pg_wal/00000002.history')")
    at = Position.parse(line.split()[1], 1).lsn

    def learned() -> Timelines:
        databases = Databases(topology(cluster), interval=INTERVAL)
        databases.start()
        until(lambda: primary(databases) == "fra/replica-1")
        until(lambda: databases.known.timelines.current == 2)
        found = databases.known.timelines
        databases.close()
        return found

    assert learned() == Timelines(2, {2: Switch(1, at)})
    new.query("INSERT INTO items VALUES (1)")
    new.kill()
    new.start()
    # The positive control: the server does name one, and it is wrong.
    ((replayed,),) = new.query("SELECT pg_last_wal_replay_lsn()::text")
    assert Position.parse(replayed, 1).lsn > at
    assert learned() == Timelines(2)
