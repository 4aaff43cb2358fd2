"""Connections, threads, URLs and single bad replies of servers: what a review has found."""

import logging
import time
from threading import Lock, Thread
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError

from regionware import ConfigurationError, Region
from regionware.caching import breaker as rules
from regionware.caching import lines, places, prober
from regionware.caching.breaker import Breaker
from regionware.caching.lines import Line, Lines
from regionware.caching.loop_lines import AsyncLine, AsyncLines
from regionware.caching.places import Finder, Slots
from regionware.caching.replies import pack
from regionware.caching.slots import SLOTS
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from regionware.redis_url import Address, read_redis_url
from regionware.testing.scripted import Command, ScriptedRedis, bulk, kind
from tests.conformance.application import DEADLINE, Application, Response, text
from tests.conformance.conftest import World
from tests.conformance.harness import until
from tests.regressions.rivals import GUARDED
from tests.rig import Client, Rig
from tests.zstd import zstd

# A connection that the server has closed

ID = pack(("CLIENT", "ID"))


@GUARDED
def test_a_connection_that_was_closed_while_idle_is_no_failure(
    rig: Rig,
    monkeypatch: pytest.MonkeyPatch,
    redis_url: str,
    redis_server: RedisServer,
    guarded: bool,
) -> None:
    monkeypatch.setattr(lines, "_RESTED", 0.0)
    if not guarded:
        for each in (Line, AsyncLine):
            monkeypatch.setattr(each, "has_ended", lambda _: False)
    breaker = Breaker(time.monotonic, Lock(), lambda *_: None)
    made = Pool(rig, redis_url, breaker)
    first = made.call()
    assert made.call() == first  # the connection is kept
    redis_server.command(f"CLIENT KILL ID {first}")
    until(lambda: f"id={first} " not in redis_server.command("CLIENT LIST"))
    until(made.has_heard)
    for _ in range(rules.CALLS * 2):
        breaker.succeeded()
    for _ in range(rules.FAILURES - 1):
        breaker.failed()  # one more, and nobody asks any more
    if guarded:
        assert made.call() != first
    else:
        with pytest.raises(RedisConnectionError):
            made.call()
    assert bool(breaker.shut) is not guarded
    made.close()


class Pool:
    """Connections of threads, or of an event loop."""

    def __init__(self, rig: Rig, url: str, breaker: Breaker) -> None:
        self._rig = rig
        self._threads = Lines(url, DEADLINE, breaker=breaker)
        self._loop = AsyncLines(url, DEADLINE, breaker=breaker)

    def call(self) -> Any:
        if self._rig.flavour == "wsgi":
            return self._threads.call(ID)
        return self._rig.run(self._loop.call(ID))

    def has_heard(self) -> bool:
        """Whether the idle connection's loop knows of its end; a thread asks the kernel."""
        if self._rig.flavour == "wsgi":
            return True
        (pool,) = self._loop._loops.values()
        return bool(pool.idle[-1]._transport.is_closing())

    def close(self) -> None:
        self._threads.close()
        self._rig.run(self._loop.aclose())


# Where the servers are


@pytest.mark.parametrize("slot", [99999, SLOTS, -1])
def test_a_slot_that_does_not_exist_is_refused(slot: int) -> None:
    slots = Slots(read_redis_url("redis+cluster://h:1"))
    slots._table = [None] * SLOTS
    with pytest.raises(ValueError, match="slot"):
        slots.moved(MovedError(f"{slot} h:2"), ("h", 1))
    assert slots.nodes() == []
    slots.moved(MovedError(f"{SLOTS - 1} h:2"), ("h", 1))  # the control
    assert slots.nodes() == [("h", 2)]


def a_range(first: int, last: int, port: int = 2) -> list[Any]:
    return [first, last, [b"h", port]]


WHOLE = [a_range(0, SLOTS - 1)]


@pytest.mark.parametrize(
    "reply",
    [
        [a_range(0, 9), a_range(9, 20)],
        [a_range(0, 9, 2), a_range(0, 9, 3)],
        [*WHOLE, a_range(5, 5)],
        [a_range(0, SLOTS)],
        [a_range(-1, 5)],
        [a_range(6, 5)],
        [a_range(0, 5, 70_000)],
        [a_range(0, 5, 0)],
        [],
    ],
    ids=str,
)
def test_a_node_that_contradicts_itself_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, reply: list[Any]
) -> None:
    """Another one is asked, and what was known stands where nobody says more."""
    said: dict[Address, list[Any]] = {("h", 1): reply, ("i", 1): reply}
    monkeypatch.setattr(places.Seeds, "ask", lambda _, address, *__: said[address])
    slots = Slots(read_redis_url("redis+cluster://h:1,i:1"))
    assert slots.learn() is False
    assert slots.nodes() == []
    said["i", 1] = WHOLE  # the control
    assert slots.learn() is True
    assert slots.nodes() == [("h", 2)]
    said["h", 2] = said["i", 1] = reply
    assert slots.learn() is False
    assert slots.nodes() == [("h", 2)]


class Node(ScriptedRedis):
    """A node that has every slot of its cluster, and redirects look-ups to one that is none."""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].partition("/")[0])

    def _answer(self, command: Command) -> bytes:
        if command[:2] == [b"CLUSTER", b"SLOTS"]:
            node = b"*2\r\n" + bulk(b"127.0.0.1") + b":%d\r\n" % self.port
            return b"*1\r\n*3\r\n:0\r\n:%d\r\n" % (SLOTS - 1) + node
        if kind(command) == "lookup":
            return b"-MOVED 99999 127.0.0.1:%d\r\n" % self.port
        return super()._answer(command)


def test_a_slot_that_does_not_exist_is_a_miss(rig: Rig) -> None:
    with Node() as node:
        rw = rig.worker(f"redis+cluster://127.0.0.1:{node.port}")
        client = Client(rig.site(rw, Application(lambda seen: text(seen.path))))
        until(lambda: bool(client.ask()) and node.seen["lookup"] > 1)
        assert client.count("redis-down") == 0  # it says nothing of the node


def test_a_sentinel_s_port_that_does_not_exist_ends_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(places, "_PAUSE", 0.01)
    words = [b"ip", b"127.0.0.1", b"port", b"70000", b"config-epoch", b"1"]
    reply = b"*%d\r\n" % len(words) + b"".join(map(bulk, words))
    with ScriptedRedis(lambda _: reply, everything=True) as server:
        url = server.url.replace("redis://", "redis+sentinel://").replace("/0", "/master")
        finder = Finder(read_redis_url(url), on_news=lambda: None, random=lambda: 0.5)
        assert finder._learns() is False
        finder.start()
        thread = finder._thread

        def is_asked_again() -> bool:
            finder.doubt()
            return server.seen["sentinel"] > 3

        until(is_asked_again)
        assert thread is not None
        assert thread.is_alive()
        finder.stop()


def test_whatever_an_answer_does_ends_no_thread(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def learn(_: Slots) -> bool:
        raise ArithmeticError("nobody has thought of it")

    monkeypatch.setattr(Slots, "learn", learn)
    url = read_redis_url("redis+cluster://h:1")
    finder = Finder(url, on_news=lambda: None, random=lambda: 0.5)
    with caplog.at_level(logging.ERROR, "regionware"):
        assert finder._learns() is False
    assert "cannot be used" in caplog.text
    monkeypatch.setattr(Slots, "learn", lambda _: True)  # the control
    assert finder._learns() is True


# What a URL may not say, and what is said of it


@pytest.mark.parametrize(
    "url",
    [
        "redis://:abc?s3cr3t@host:6379/0",
        "redis://:abc?x#s3cr3t@host/0",
        "redis://:123#s3cr3t@host/0",
        "redis+sentinel://:abc?s3cr3t@host/master",
        "redis+cluster://:123#s3cr3t@host",
    ],
)
def test_a_password_that_is_not_escaped_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Region("r", redis=url)
    assert "s3cr3t" not in str(caught.value)


def test_an_option_that_is_unknown_is_shown() -> None:
    """The control of the one above; and a password that is escaped is taken."""
    with pytest.raises(ConfigurationError, match="s3cr3t"):
        Region("r", redis="redis://host:6379/0?s3cr3t=1")
    assert Region("r", redis="redis://:123%23s%3Fcr3t@host/0").redis


# Compressed for clients

BODY = b"".join(b"article %d, " % (number**2) for number in range(2000))
COMPRESSED = Route("/{path:path}", cache=Cache(ttl=60, compress=True))
DATE = "Mon, 02 Nov 2026 10:00:00 GMT"
TAKES = {"Accept-Encoding": "zstd"}


@pytest.mark.parametrize(
    ("validators", "packed"),
    [({"Last-Modified": DATE}, False), ({"Last-Modified": DATE, "ETag": '"1"'}, True), ({}, True)],
    ids=["date", "both", "none"],
)
def test_by_a_date_alone_nobody_puts_pieces_of_two_forms_together(
    world: World, validators: dict[str, str], packed: bool
) -> None:
    headers = [("Content-Type", "text/plain"), *validators.items()]
    date = validators.get("Last-Modified", "")
    site = world.site(lambda _: Response([BODY], 200, headers), COMPRESSED)
    for _ in range(3):
        found, plain = site.get("/x", headers=TAKES), site.get("/x")
        assert (plain.body, plain["last-modified"]) == (BODY, date)
        if packed and found.hit:
            assert (found["content-encoding"], found["last-modified"]) == ("zstd", "")
            assert zstd.decompress(found.body) == BODY
        else:
            assert (found["content-encoding"], found["last-modified"]) == ("", date)
            assert found.body == BODY
        if world.tier == "redis":
            site.rw.memory.clear()
    assert found.hit


# No thread for the probes


def test_a_thread_that_cannot_start_is_started_at_the_next_hint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusals = [RuntimeError("can't start new thread")]

    class Reluctant(Thread):
        def start(self) -> None:
            if refusals:
                raise refusals.pop()
            super().start()

    monkeypatch.setattr(prober, "Thread", Reluctant)
    made = prober.Prober(lambda: 0.5)
    made.watch(Breaker(time.monotonic, Lock(), lambda *_: None), lambda: False)
    assert (refusals, made.running) == ([], False)
    made.hint()
    assert made.running
    made.stop()
