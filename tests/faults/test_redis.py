"""A region's Redis that is absent, dies, hangs, is full, or takes no writes: no request notices.

Every request is held against the answer of the bare application, and against the clock: what is
configured is 50 ms for a call, and the tests allow seconds.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event

import pytest
import redis as redis_py

from regionware import PurgeError, composition
from regionware.caching.redis import RedisTier
from regionware.parts.redis import RedisServer
from tests.conformance.application import Application, text
from tests.conformance.harness import until
from tests.rig import AMPLE, Client, Rig, clients

THREADS = 4


def client(rig: Rig, url: str) -> Client:
    """A client of a new worker on this Redis."""
    return Client(rig.site(rig.worker(url), Application(lambda seen: text(seen.path))))


def ready(rig: Rig, url: str) -> Client:
    """The same, once Redis is used."""
    made = client(rig, url)
    made.wait_for_redis()
    made.slowest = 0.0
    return made


@contextmanager
def traffic(one: Client) -> Iterator[None]:
    """Requests from several clients all the while, for old and for new paths."""
    done = Event()
    shared = [one.new() for _ in range(5)]

    def run() -> int:
        number = 0
        while not done.is_set():
            one.ask(shared[number % 5] if number % 2 else None)
            number += 1
            done.wait(0.005)
        return number

    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(run) for _ in range(THREADS)]
        try:
            yield
        finally:
            done.set()
        assert all(each.result() > 0 for each in running)


def some(one: Client) -> None:
    """A few requests, for old and for new paths."""
    for path in [one.new() for _ in range(10)]:
        one.ask(path)
        one.ask(path)


def test_absent_at_the_start_and_there_later(rig: Rig) -> None:
    with RedisServer() as server:
        server.stop()
        one = client(rig, server.url)
        some(one)
        assert one.slowest < AMPLE
        server.start()
        one.wait_for_redis()
        rig.shut(one.site.rw)


def test_killed_and_started_again(rig: Rig, redis_server: RedisServer, redis_url: str) -> None:
    one = ready(rig, redis_url)
    with traffic(one):
        redis_server.kill()
        until(lambda: one.count("redis-down") > 0)
        some(one)
        redis_server.start()
        until(lambda: one.count("redis-up") > 0)
        one.wait_for_redis()
    assert one.slowest < AMPLE


def test_hung_and_awake_again(rig: Rig, redis_server: RedisServer, redis_url: str) -> None:
    one = ready(rig, redis_url)
    with traffic(one):
        redis_server.pause()
        until(lambda: one.count("redis-down") > 0)
        some(one)
        redis_server.resume()
        until(lambda: one.count("redis-up") > 0)
        one.wait_for_redis()
    assert one.slowest < AMPLE


def test_a_deadline_out_of_reach_is_felt(
    rig: Rig, redis_server: RedisServer, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: what the others would measure without the deadline."""
    monkeypatch.setattr(composition, "RedisTier", partial(RedisTier, deadline=60.0))
    one = ready(rig, redis_url)
    redis_server.pause()
    path = one.new()
    call = one.site.start(path)
    assert not call.finished.wait(AMPLE)
    redis_server.resume()
    assert call.result().body == path.encode()


def test_a_client_with_the_usual_retries_is_felt(redis_server: RedisServer, redis_url: str) -> None:
    """The positive control: what redis-py does on a hung server if nobody stops it."""
    usual = redis_py.Redis.from_url(redis_url)
    redis_server.pause()
    with ThreadPoolExecutor(1) as pool, usual:
        call = pool.submit(usual.get, "anything")
        began = time.monotonic()
        while not call.done() and time.monotonic() < began + AMPLE:
            time.sleep(0.01)
        assert not call.done()
        redis_server.resume()
        assert call.result() is None


def fill_up(server: RedisServer) -> None:
    """Leave no room for anything; `maxmemory-policy` is `noeviction`."""
    server.command("CONFIG SET maxmemory-policy noeviction")
    server.command("CONFIG SET maxmemory 1")


@pytest.fixture
def small() -> Iterator[RedisServer]:
    """A server of its own, which a test may fill or demote."""
    with RedisServer() as server:
        yield server


def test_full(rig: Rig, small: RedisServer) -> None:
    one = ready(rig, small.url)
    known = one.new()
    one.ask(known)
    with traffic(one):
        fill_up(small)
        some(one)
        with pytest.raises(PurgeError):
            one.site.rw.purge(urls=[known])
        small.command("CONFIG SET maxmemory 0")
        one.wait_for_redis()
    assert one.slowest < AMPLE
    rig.shut(one.site.rw)


def test_full_refuses_what_we_write(small: RedisServer) -> None:
    """The positive control: the server in `test_full` is full indeed."""
    fill_up(small)
    with redis_py.Redis.from_url(small.url) as direct, pytest.raises(redis_py.ResponseError):
        direct.set("anything", "more")


def test_read_only_and_back(rig: Rig, small: RedisServer, redis_server: RedisServer) -> None:
    one = ready(rig, small.url)
    with traffic(one):
        small.command(f"REPLICAOF 127.0.0.1 {redis_server.port}")
        until(lambda: "role:slave" in small.command("INFO replication"))
        some(one)
        with pytest.raises(PurgeError):
            one.site.rw.purge(tags=["anything"])
        small.command("REPLICAOF NO ONE")
        one.wait_for_redis()
    assert one.slowest < AMPLE
    rig.shut(one.site.rw)


def test_no_connection_is_left_behind(rig: Rig, small: RedisServer) -> None:
    one = ready(rig, small.url)
    for _ in range(3):
        with traffic(one):
            down, up = one.count("redis-down"), one.count("redis-up")
            small.pause()
            until(lambda down=down: one.count("redis-down") > down)  # type: ignore[misc]
            small.resume()
            until(lambda up=up: one.count("redis-up") > up)  # type: ignore[misc]
            one.wait_for_redis()
    # One for each concurrent request, ours among them, and the log's; what was given up is gone.
    until(lambda: clients(small) <= THREADS + 2)
    rig.shut(one.site.rw)
    until(lambda: clients(small) == 0)


def test_connections_are_counted(rig: Rig, small: RedisServer) -> None:
    """The positive control: a connection that somebody keeps is seen."""
    with redis_py.Redis.from_url(small.url) as kept:
        kept.ping()
        assert clients(small) == 1
