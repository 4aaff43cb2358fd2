"""Redis, as other caches and clients depend on it: what it lacks, refuses, or has not got.

Each test is named after the cache and its issue; the docstring says what happened there.
"""

import pickle
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from regionware import ConfigurationError
from regionware.parts.proxy import DelayProxy
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Response, counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import until
from tests.regressions.rivals import (
    REDIS,
    TAGGED,
    commands,
    direct,
    entry_key,
    heard,
    in_redis,
    patient,
    purge,
    told,
)
from tests.rig import AMPLE, Client, Rig

ECHO = Application(lambda seen: text(seen.path))


@pytest.fixture
def small() -> Iterator[RedisServer]:
    """A server of its own, which a test may forbid something."""
    with RedisServer() as server:
        yield server


def test_redis_py_retries_on_a_request(rig: Rig, free_port: int) -> None:
    """redis-py 8.1: a GET of a closed port takes 4.2 s, by ten tries; of a frozen server, 25 s."""
    url = f"redis://127.0.0.1:{free_port}/0"
    one = Client(rig.site(rig.worker(url), ECHO))
    for _ in range(5):
        one.ask()
    assert one.slowest < AMPLE
    rig.shut(one.site.rw)
    # The positive control: the same client as it is made by default.
    with ThreadPoolExecutor(1) as pool, redis_py.Redis(port=free_port) as usual:
        began = time.monotonic()
        call = pool.submit(usual.get, "anything")
        assert isinstance(call.exception(), redis_py.ConnectionError)
        assert time.monotonic() - began > 0.2


def test_async_hybrid_cache_redis_is_gone(rig: Rig, free_port: int) -> None:
    """In async-hybrid-cache 0.5 requests raise when Redis is gone; HybridCache #7683 says nothing.

    Here no request fails, the worker says so once, and its memory goes on.
    """
    one = Client(rig.site(rig.worker(f"redis://127.0.0.1:{free_port}/0"), ECHO))
    for path in [one.new() for _ in range(10)]:
        one.ask(path)
        assert one.ask(path).cache_status.get("detail") == "memory"
    until(lambda: told(one.site.rw, "redis-down") > 0)
    assert told(one.site.rw, "redis-down") == 1
    rig.shut(one.site.rw)


def test_fusioncache_534_a_deadline_holds_with_something_stale_too(
    rig: Rig, redis_server: RedisServer, redis_url: str
) -> None:
    """FusionCache #534: with a stale value in memory, Redis's timeouts did not hold."""
    lenient = Route("/{path:path}", cache=Cache(ttl=1, stale_if_error=600, tags=["t"]))
    one = Client(rig.site(rig.worker(redis_url, lenient), ECHO))
    one.wait_for_redis()
    path = one.new()
    one.ask(path)
    redis_server.pause()
    one.slowest = 0.0
    until(lambda: not one.ask(path).hit)
    for _ in range(3):
        one.ask(path)
        one.ask()
    assert one.slowest < AMPLE


FORBIDDEN = {
    "WRONGTYPE": ("DEL {key}", "SET {key} text"),
    "NOPERM": ("ACL SETUSER default -evalsha -eval",),
}


@pytest.mark.parametrize("error", FORBIDDEN)
def test_redis_py_4306_an_error_poisons_its_key(rig: Rig, small: RedisServer, error: str) -> None:
    """redis-py #4306: one WRONGTYPE or NOPERM, and its client-side cache never reads the key again.

    It waits for a reply that it has not asked for, or takes another's.
    """
    rw = patient(rig.worker(small.url))
    one = Client(rig.site(rw, ECHO))
    path = one.new()
    one.ask(path)
    in_redis(one.site, path)
    key = entry_key(small)
    for command in FORBIDDEN[error]:
        small.command(command.format(key=key))
    hits = []
    for _ in range(5):
        rw.memory.clear()
        hits.append(one.ask(path).hit)
        one.ask()
    # What is of another kind is removed, and the next answer stored; where nothing is permitted,
    # nothing is found.
    assert hits == [False, *[error == "WRONGTYPE"] * 4]
    small.command("ACL SETUSER default +@all")
    small.command(f"DEL {key}")
    in_redis(one.site, path)
    assert one.slowest < AMPLE * 4
    rig.shut(rw)


def test_cashews_a_newer_protocol_and_nothing_is_heard(rig: Rig, redis_url: str) -> None:
    """In cashews 7.6 with redis-py 8, which speaks RESP3, memory is never invalidated at all.

    Here the protocol is not for a URL, or a newer default of redis-py, to choose.
    """
    app = Application(counting())
    with pytest.raises(ConfigurationError, match="protocol"):
        rig.worker(f"{redis_url}?protocol=3", TAGGED)
    one, other = (rig.site(patient(rig.worker(redis_url, TAGGED)), app) for _ in range(2))
    assert [site.get("/x").body for site in (one, other)] == [b"1", b"1"]
    heard(other, purge(one))
    assert other.get("/x").body == b"2"


def test_rueidis_612_commands_that_a_hosted_redis_has_not(rig: Rig, small: RedisServer) -> None:
    """Rueidis #612, cashews #180: ElastiCache has no CLIENT TRACKING, Memorystore no CLIENT at all.

    redis-py's client-side cache wants a server that calls itself redis, of 7.4 or later.
    """
    hosted = "-client -config -monitor -debug -psubscribe -subscribe -ssubscribe -publish"
    small.command(f"ACL SETUSER default {hosted}")
    app = Application(counting())
    one, other = (rig.site(patient(rig.worker(small.url, TAGGED)), app) for _ in range(2))
    assert [site.get("/x").body for site in (one, other)] == [b"1", b"1"]
    heard(other, purge(one))
    assert [site.get("/x").body for site in (other, one)] == [b"2", b"2"]
    assert commands(small, "client|tracking") == commands(small, "subscribe") == 0
    small.command("ACL SETUSER default +@all")
    for site in (one, other):
        rig.shut(site.rw)


def test_redis_py_a_pool_without_a_free_connection(
    rig: Rig, redis_server: RedisServer, redis_url: str
) -> None:
    """redis-py's pools raise when all connections are busy, or make a request wait for one."""
    with DelayProxy(redis_server.port) as line:
        site = rig.site(rig.worker(line.through(redis_url)), ECHO)
        one = Client(site)
        one.wait_for_redis()
        line.delay = 0.02
        calls = {path: site.start(path) for path in [one.new() for _ in range(120)]}
        assert all(call.result().body.decode() == path for path, call in calls.items())
        line.delay = 0.0
        one.wait_for_redis()
        rig.shut(site.rw)


@REDIS
def test_redis_py_scripts_that_the_server_has_forgotten(
    world: World, redis_server: RedisServer
) -> None:
    """A server that was restarted knows no script, and redis-py raises NoScriptError."""
    site = world.site(counting(), TAGGED)
    site.get("/x")
    for path in ("/y", "/z"):
        redis_server.command("SCRIPT FLUSH")
        site.get(path)
        in_redis(site, path)
        redis_server.command("SCRIPT FLUSH")
        purge(site)
        assert not site.get(path).hit


# What is stored


class _Bomb:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@REDIS
def test_cashews_a_pickle_is_executed(
    world: World, redis_server: RedisServer, tmp_path: Path
) -> None:
    """In cashews a value names the algorithm of its signature, so anybody can sign a pickle.

    Django, Flask-Caching, aiocache, dogpile.cache and async-hybrid-cache unpickle what they find.
    """
    trap = tmp_path / "executed"
    site = world.site(counting(), TAGGED)
    before = site.get("/x").body
    in_redis(site, "/x")
    with direct(redis_server) as client:
        key: Any = entry_key(redis_server)
        (field,) = [name for name in client.hkeys(key) if name.startswith(b"e")]
        bomb = pickle.dumps(_Bomb(trap))
        for value in (bomb, b"sum:0:" + bomb, client.hget(key, field)[:-50] + bomb):
            client.hset(key, field, value)
            site.rw.memory.clear()
            answer = site.get("/x")
            assert (answer.status, answer.hit) == (200, False)
            assert answer.body != before
            before = answer.body
    assert not trap.exists()
    pickle.loads(bomb)
    assert trap.exists()


@REDIS
@pytest.mark.parametrize(
    "body", [b"\xff\x00\x80", b"{not json", b"", bytes(range(256)) * 40], ids=len
)
def test_fastapi_redis_sdk_a_body_is_no_text(world: World, body: bytes) -> None:
    """fastapi-redis-sdk 0.9 stores JSON as text, and nothing else."""
    site = world.site(lambda _: Response([body], headers=[("Content-Type", "image/x")]), TAGGED)
    site.get("/x")
    in_redis(site, "/x")
    for tier in ("redis", "memory"):
        answer = site.get("/x")
        assert (answer.body, answer["content-type"]) == (body, "image/x")
        assert answer.cache_status["detail"] == tier
