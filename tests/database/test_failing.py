"""Hosts that are down, lost or full, and what that costs a request."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable

import psycopg
import pytest

from regionware.context import Current
from regionware.database.connection import Databases
from regionware.database.pools import Limits
from regionware.errors import ConfigurationError, PrimaryUnavailable
from regionware.parts.postgres import Cluster
from regionware.policies.database import Access, Database
from regionware.topology import Region, Topology

Begin = Callable[..., Current]
Until = Callable[[Callable[[], bool]], None]
Ready = Callable[[Databases], Databases]

RECOVERY = "SELECT pg_is_in_recovery()"


def test_without_its_replica_a_region_reads_from_the_primary(
    databases: Databases, postgres: Cluster, begin: Begin, until: Until
) -> None:
    with databases.connection(begin()) as connection:
        assert connection.execute(RECOVERY).fetchone() == (True,)
    postgres.replicas["fra"].kill()
    # Also before the prober has noticed: a dead connection is not handed out.
    state = begin()
    with databases.connection(state) as connection:
        assert connection.execute(RECOVERY).fetchone() == (False,)
    assert state.hosts[0].reason == "unreachable"
    until(lambda: not databases.marks["fra/replica-1"].reachable)
    postgres.replicas["fra"].start()
    # It must prove itself first.
    until(lambda: databases.marks["fra/replica-1"].reachable)
    with databases.connection(begin()) as connection:
        assert connection.execute(RECOVERY).fetchone() == (True,)


def test_without_its_primary_a_region_reads_from_its_replica(
    databases: Databases, postgres: Cluster, begin: Begin
) -> None:
    postgres.primary.kill()
    start = time.monotonic()
    for state, words in ((begin(access="write"), None), (begin(Database.primary()), None)):
        with (
            pytest.raises(PrimaryUnavailable) as missing,
            databases.connection(state, access=words),
        ):
            pytest.fail("there is no primary")
        assert missing.value.retry_after >= 1
        assert state.hosts == ()
    with pytest.raises(PrimaryUnavailable):
        databases.primary_position()
    # Three times the second that a pool may take.
    assert time.monotonic() - start < 6
    with databases.connection(begin()) as connection:
        assert connection.execute(RECOVERY).fetchone() == (True,)


def test_connections_that_died_meanwhile_are_replaced(
    databases: Databases, postgres: Cluster, begin: Begin
) -> None:
    def work() -> None:
        with databases.connection(begin(access="write")) as connection:
            connection.execute("INSERT INTO items (value) VALUES (1)")
        with databases.connection(begin(Database.primary())) as connection:
            assert connection.execute(RECOVERY).fetchone() == (False,)

    work()
    postgres.primary.kill()
    postgres.primary.start()
    work()


def test_an_application_starts_without_any_database(free_port: int, begin: Begin) -> None:
    url = f"postgresql://postgres@127.0.0.1:{free_port}/postgres"
    topology = Topology(
        here="fra",
        regions=[
            Region("iad", primary=True, database=url),
            Region("fra", replicas=[url]),
        ],
    )
    databases = Databases(topology, limits=Limits(timeout=0.2))
    databases.start()
    for access in ("read", "write"):
        with pytest.raises(PrimaryUnavailable), databases.connection(None, access=access):
            pytest.fail("there is no database")

    async def asynchronously() -> None:
        with pytest.raises(PrimaryUnavailable):
            async with databases.connection(None):
                pytest.fail("there is no database")
        await databases.aclose()

    asyncio.run(asynchronously())
    assert databases.cluster is None
    databases.close()


def test_a_topology_without_a_database_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no database"):
        Databases(Topology(here="iad", regions=[Region("iad")]))


def test_a_full_pool_sends_readers_on(topology: Topology, begin: Begin, ready: Ready) -> None:
    databases = ready(Databases(topology, limits=Limits(size=1, timeout=0.2)))
    with databases.connection(begin()) as first:
        assert first.execute(RECOVERY).fetchone() == (True,)
        with databases.connection(begin()) as second:
            assert second.execute(RECOVERY).fetchone() == (False,)
            with (
                pytest.raises(PrimaryUnavailable),
                databases.connection(begin(), consistency="strong"),
            ):
                pytest.fail("there is one connection to the primary, and it is taken")
    databases.close()


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("access", ["read", "write"])
def test_nobody_waits_for_long_where_all_connections_are_taken(
    topology: Topology, begin: Begin, ready: Ready, access: Access, way: str
) -> None:
    databases = ready(Databases(topology, limits=Limits(size=1, timeout=0.2)))

    def wait() -> None:
        with databases.connection(begin(Database.primary(), access=access)):
            start = time.monotonic()
            with (
                pytest.raises(PrimaryUnavailable),
                databases.connection(begin(Database.primary(), access=access)),
            ):
                pytest.fail("there is one connection, and it is taken")
            # Not as long as for a primary that is far away, to which connections are opened.
            assert time.monotonic() - start < 4

    async def await_() -> None:
        async with databases.connection(begin(Database.primary(), access=access)):
            start = time.monotonic()
            with pytest.raises(PrimaryUnavailable):
                async with databases.connection(begin(Database.primary(), access=access)):
                    pytest.fail("there is one connection, and it is taken")
            assert time.monotonic() - start < 4
        await databases.aclose()

    if way == "sync":
        wait()
    else:
        asyncio.run(await_())
    # Given back, it is there again.
    with databases.connection(begin(Database.primary(), access=access)) as again:
        assert again.execute(RECOVERY).fetchone() == (False,)
    databases.close()


@pytest.mark.parametrize("policy", [Database.session(), Database.primary()])
def test_a_read_whose_host_was_lost_is_tried_again(
    databases: Databases, postgres: Cluster, begin: Begin, policy: Database
) -> None:
    calls = []

    def work(connection: psycopg.Connection) -> bool:
        (found,) = connection.execute(RECOVERY).fetchone() or (None,)
        calls.append(found)
        if len(calls) == 1:
            pid = connection.info.backend_pid
            server = postgres.replicas["fra"] if found else postgres.primary
            server.query(f"SELECT pg_terminate_backend({pid}, 5000)")
        connection.execute("SELECT 1")
        return bool(found)

    assert databases.run_read(begin(policy), work) is False
    assert calls == [policy.consistency != "strong", False]


def test_an_async_read_whose_replica_was_lost_is_tried_again(
    databases: Databases, postgres: Cluster, begin: Begin
) -> None:
    calls = []

    async def work(connection: psycopg.AsyncConnection) -> bool:
        cursor = await connection.execute(RECOVERY)
        (found,) = await cursor.fetchone() or (None,)
        calls.append(found)
        if len(calls) == 1:
            pid = connection.info.backend_pid
            postgres.replicas["fra"].query(f"SELECT pg_terminate_backend({pid}, 5000)")
        await connection.execute("SELECT 1")
        return bool(found)

    async def run() -> bool:
        try:
            return await databases.arun_read(begin(), work)
        finally:
            await databases.aclose()

    assert asyncio.run(run()) is False
    assert calls == [True, False]


def test_other_failures_are_not_tried_again(databases: Databases, begin: Begin) -> None:
    calls = []

    def work(connection: psycopg.Connection) -> None:
        calls.append(1)
        connection.execute("SET statement_timeout = 20")
        try:
            connection.execute("SELECT pg_sleep(5)")
        finally:
            connection.execute("RESET statement_timeout")

    with pytest.raises(psycopg.errors.QueryCanceled):
        databases.run_read(begin(), work)
    assert calls == [1]


def test_several_event_loops_in_turn(databases: Databases, begin: Begin) -> None:
    """Also those that end without closing anything."""

    async def run() -> object:
        async with databases.connection(begin()) as connection:
            return await (await connection.execute("SELECT 1")).fetchone()

    for _ in range(3):
        assert asyncio.run(run()) == (1,)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_process_opens_its_own(databases: Databases, begin: Begin) -> None:
    def answer() -> int:
        with databases.connection(begin()) as connection:
            return connection.info.backend_pid

    before = answer()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.write(writing, str(answer()).encode())
            databases.close()
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        theirs = int(pipe.read())
    assert os.waitpid(child, 0)[1] == 0
    assert theirs != before
    assert answer() == before


SCRIPT = """
import sys, asyncio, logging
# The pool says in its log that it was cancelled while it connected.
logging.getLogger("psycopg.pool").setLevel("ERROR")
from regionware.database.connection import Databases
from regionware.topology import Region, Topology
primary, replica = sys.argv[1:]
databases = Databases(Topology(here="fra", regions=[
    Region("iad", primary=True, database=primary), Region("fra", replicas=[replica])]))
with databases.connection(None) as connection:
    connection.execute("SELECT 1")
async def run():
    async with databases.connection(None) as connection:
        await connection.execute("SELECT 1")
asyncio.run(run())
print("done")
"""


def test_a_process_ends_quietly_without_closing(postgres: Cluster) -> None:
    urls = postgres.url, postgres.replicas["fra"].url
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", SCRIPT, *urls]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
