"""How many round trips the selector costs: none. Counted by a proxy."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest

from regionware.context import Current
from regionware.database.connection import Databases
from regionware.parts.postgres import Cluster
from regionware.parts.proxy import DelayProxy
from regionware.policies.database import Database
from regionware.topology import Region, Topology

Begin = Callable[..., Current]
Ready = Callable[[Databases], Databases]

FAR = 0.03

INSERT = "INSERT INTO items (value) VALUES (1)"


@pytest.fixture
def proxies(postgres: Cluster) -> Iterator[tuple[DelayProxy, DelayProxy]]:
    """What leads to the primary, and what leads to the replica.

    Far enough away that nothing comes back before all has been sent that is sent at once.
    """
    replica = postgres.replicas["fra"]
    with DelayProxy(postgres.primary.port, FAR) as one, DelayProxy(replica.port, FAR) as two:
        yield one, two


@pytest.fixture
def counted(
    proxies: tuple[DelayProxy, DelayProxy], topology: Topology, ready: Ready
) -> Iterator[Databases]:
    """Databases behind the proxies, whose prober has asked once and sleeps."""
    one, two = proxies
    regions = [
        Region("iad", primary=True, database=one.through(topology.primary.database or "")),
        Region("fra", replicas=[two.through(topology.here.replicas[0])]),
    ]
    made = ready(Databases(Topology(here="fra", regions=regions), interval=0.05))
    prober = made._rim.prober
    assert prober is not None
    prober.interval = 3600  # from here on it must not be counted
    time.sleep(0.3)
    yield made
    made.close()


def trips(proxies: tuple[DelayProxy, DelayProxy], work: Callable[[], object]) -> tuple[int, int]:
    """Round trips to the primary and to the replica, once connections are there."""
    for _ in range(2):
        work()
    quiet(proxies)
    work()
    assert [proxy.counters.connections for proxy in proxies] == [0, 0]
    return proxies[0].counters.round_trips, proxies[1].counters.round_trips


def quiet(proxies: tuple[DelayProxy, DelayProxy]) -> None:
    """Wait until pools have made the connections that they make beforehand."""
    moved = True
    while moved:
        for proxy in proxies:
            proxy.counters.reset()
        time.sleep(8 * FAR)
        moved = any(proxy.counters.bytes_up or proxy.counters.bytes_down for proxy in proxies)


def read(databases: Databases, state: Current, *, snapshot: bool = False) -> None:
    with databases.connection(state, snapshot=snapshot) as connection:
        connection.execute("SELECT %s::int", (1,), prepare=False)


def write(databases: Databases, state: Current) -> None:
    with databases.connection(state) as connection:
        connection.execute(INSERT)
    assert state.written is not None


def test_a_bare_read_and_write(proxies: tuple[DelayProxy, DelayProxy], topology: Topology) -> None:
    """What the figures below are compared with."""
    url = proxies[0].through(topology.primary.database or "")
    with psycopg.connect(url, autocommit=True) as connection:
        assert trips(proxies, lambda: connection.execute("SELECT 1")) == (1, 0)
        connection.autocommit = False

        def transaction() -> None:
            connection.execute(INSERT)
            connection.commit()

        assert trips(proxies, transaction) == (3, 0)


def test_a_strong_read_with_its_bound_is_one_round_trip(
    proxies: tuple[DelayProxy, DelayProxy], counted: Databases, begin: Begin
) -> None:
    states = []

    def work() -> None:
        states.append(begin(Database.primary()))
        read(counted, states[-1])

    assert trips(proxies, work) == (1, 0)
    assert all(state.lower is not None for state in states)
    assert trips(proxies, lambda: read(counted, begin(Database.primary()), snapshot=True)) == (3, 0)


def test_a_write_with_its_position_is_a_bare_write(
    proxies: tuple[DelayProxy, DelayProxy], counted: Databases, begin: Begin
) -> None:
    assert trips(proxies, lambda: write(counted, begin(access="write"))) == (3, 0)


def test_a_replica_read_is_one_round_trip_in_the_region(
    proxies: tuple[DelayProxy, DelayProxy],
    counted: Databases,
    begin: Begin,
    postgres: Cluster,
    until: Callable[..., None],
) -> None:
    # The prober sleeps, so its mark speaks of no connection made since: the replica is asked.
    assert trips(proxies, lambda: read(counted, begin())) == (0, 2)
    # As the prober would, if it had asked once more.
    marks = counted.marks
    later = {name: replace(mark, when=time.monotonic()) for name, mark in marks.items()}
    assert counted._rim.prober is not None
    counted._rim.prober.known = replace(counted.known, marks=later)
    assert trips(proxies, lambda: read(counted, begin())) == (0, 1)
    # A write that the mark does not cover is asked about in the region, not of the primary.
    state = begin(access="write")
    write(counted, state)
    owed = state.written
    assert owed is not None
    lsn = f"{owed.lsn >> 32:X}/{owed.lsn & 0xFFFFFFFF:X}"
    replayed = f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'"
    until(lambda: postgres.replicas["fra"].query(replayed) == [(True,)])
    assert trips(proxies, lambda: read(counted, begin(need=owed))) == (0, 2)


def test_async_handles_cost_the_same(
    proxies: tuple[DelayProxy, DelayProxy], counted: Databases, begin: Begin
) -> None:
    async def work(state: Current, query: str) -> None:
        async with counted.connection(state) as connection:
            await connection.execute(query)

    async def run() -> list[tuple[int, int]]:
        found = []
        for access, query in (("read", "SELECT 1"), ("write", INSERT)):
            for _ in range(3):
                await asyncio.to_thread(quiet, proxies)
                await work(begin(Database.primary(), access=access), query)
            found.append((proxies[0].counters.round_trips, proxies[1].counters.round_trips))
        await counted.aclose()
        return found

    assert asyncio.run(run()) == [(1, 0), (3, 0)]
