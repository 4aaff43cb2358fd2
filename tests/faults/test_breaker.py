"""When a Redis is left alone, and how it is used again: the rules, and real servers in trouble.

The drills are those of a region's Redis: absent, killed, frozen, slow. No request fails, none waits
longer than the configured deadlines, nobody asks meanwhile, and afterwards Redis is used again.
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from threading import enumerate as threads
from typing import Any

import pytest

from regionware.caching import breaker as rules
from regionware.caching import lines, loop_lines, prober
from regionware.caching.breaker import SHARES, STEP, Breaker
from regionware.caching.dialing import maker
from regionware.caching.lines import Line, Lines
from regionware.caching.loop_lines import AsyncLines
from regionware.caching.redis import RedisTier
from regionware.caching.replies import PoolExhausted, Unasked, pack
from regionware.parts.proxy import DelayProxy
from regionware.parts.redis import RedisServer
from regionware.testing.scripted import Command, Hang, ScriptedRedis, kind, well_behaved
from tests.conformance.application import DEADLINE, Application, text
from tests.conformance.harness import until
from tests.rig import AMPLE, Client, Rig

PING = pack(("PING",))


class Bench:
    """A breaker with a clock that a test sets, and what it has told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[tuple[str, str]] = []
        self.breaker = Breaker(
            lambda: self.now, Lock(), lambda _, state, why: self.told.append((state, why))
        )

    def good(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.succeeded()

    def bad(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.failed()

    def admitted(self, calls: int = 80) -> int:
        return sum(self.breaker.admits() for _ in range(calls))


def opened() -> Bench:
    bench = Bench()
    bench.bad(rules.FAILURES)
    return bench


# The rules


def test_failures_in_a_row_open_it() -> None:
    bench = Bench()
    bench.good(100)
    bench.bad(rules.FAILURES - 1)
    assert not bench.breaker.shut
    bench.good()
    bench.bad(rules.FAILURES - 1)
    assert not bench.breaker.shut
    bench.bad()
    assert (bench.breaker.shut, bench.told) == (True, [("open", "failures")])
    assert bench.admitted() == 0


def test_half_of_the_calls_open_it() -> None:
    bench = Bench()
    for _ in range(2):
        bench.good()
        bench.bad()
    assert not bench.breaker.shut  # too few to tell
    bench.bad()
    assert bench.told == [("open", "rate")]


def test_fewer_than_half_do_not() -> None:
    bench = Bench()
    for _ in range(50):
        bench.good(2)
        bench.bad()
    assert not bench.breaker.shut


def test_only_the_last_second_counts() -> None:
    bench = Bench()
    bench.bad(3)
    bench.now += rules.WINDOW
    bench.good(2)
    bench.bad(1)
    assert not bench.breaker.shut
    # The positive control: within a second these are enough.
    bench = Bench()
    bench.bad(3)
    bench.good(2)
    bench.bad(1)
    assert bench.breaker.shut


def test_successes_of_long_ago_excuse_nothing() -> None:
    bench = Bench()
    bench.good(1000)
    bench.now += rules.WINDOW
    bench.good(3)
    bench.bad(3)
    assert bench.told == [("open", "rate")]


def test_late_answers_change_nothing_while_it_is_open() -> None:
    bench = opened()
    bench.good(10)
    bench.bad(10)
    bench.breaker.tick()
    assert (bench.breaker.state, bench.told) == ("open", [("open", "failures")])


def test_the_share_of_calls_grows() -> None:
    bench = opened()
    bench.breaker.probed()
    for share in SHARES:
        assert bench.admitted(80) == 80 // share
        bench.breaker.tick()
        assert bench.breaker.state == "half-open"
        bench.now += STEP
    assert bench.admitted(80) == 80
    bench.breaker.tick()
    assert (bench.breaker.state, bench.breaker.shut) == ("closed", False)
    assert [state for state, _ in bench.told] == ["open", "half-open", "closed"]


def test_a_failure_on_the_way_opens_it_again() -> None:
    bench = opened()
    bench.breaker.probed()
    bench.now += STEP
    bench.bad()
    assert bench.told[-1] == ("open", "relapse")
    assert bench.admitted() == 0


def test_what_was_counted_before_is_forgotten() -> None:
    bench = opened()
    bench.breaker.probed()
    bench.now += STEP * len(SHARES)
    bench.breaker.tick()
    bench.bad(rules.FAILURES - 1)
    assert not bench.breaker.shut


def test_it_opens_once_for_many_threads() -> None:
    bench = Bench()
    many = [Thread(target=bench.bad, args=(50,)) for _ in range(8)]
    for each in many:
        each.start()
    for each in many:
        each.join()
    assert [state for state, _ in bench.told] == ["open"]


# The probes


@contextmanager
def probing(answers: Callable[[], bool]) -> Iterator[tuple[Breaker, list[float]]]:
    """An open breaker that is probed, and when it was."""
    at: list[float] = []

    def probe() -> bool:
        at.append(time.monotonic())
        return answers()

    made = prober.Prober(lambda: 0.5)
    breaker = Breaker(time.monotonic, Lock(), lambda *_: None)
    for _ in range(rules.FAILURES):
        breaker.failed()
    made.watch(breaker, probe)
    try:
        yield breaker, at
    finally:
        made.stop()
        assert not made.running


def test_probes_come_more_and_more_rarely() -> None:
    with probing(lambda: False) as (breaker, at):
        until(lambda: len(at) >= 3)
    assert breaker.state == "open"
    first, second = at[1] - at[0], at[2] - at[1]
    assert first >= prober.FIRST * 0.9
    assert second >= prober.FIRST * 2 * 0.9


def test_a_good_probe_closes_it_in_time_and_ends_the_thread() -> None:
    with probing(lambda: True) as (breaker, at):
        until(lambda: breaker.state == "closed")
        until(lambda: not any(each.name == "regionware-probe" for each in threads()))
    assert len(at) == 1


def test_a_hint_makes_the_next_probe_come_sooner() -> None:
    made = prober.Prober(lambda: 1.0)
    breaker = Breaker(time.monotonic, Lock(), lambda *_: None)
    for _ in range(rules.FAILURES):
        breaker.failed()
    seen = Event()

    def probe() -> bool:
        seen.set()
        return False

    made.watch(breaker, probe)
    watched = made._watched[breaker]
    watched.due = time.monotonic() + 1000
    made.hint()
    assert seen.wait(DEADLINE)
    made.stop()


# One deadline for every step


class Slow(ScriptedRedis):
    """Answers whatever comes octet by octet, each well within a timeout of its own."""

    def say(self, connection: socket.socket, reply: bytes) -> None:
        for octet in [bytes((each,)) for each in reply * 10]:
            connection.sendall(octet)
            self.closing.wait(0.1)


def secret(url: str) -> str:
    """The same URL with a password, which has to be said first."""
    return url.replace("redis://", "redis://user:password@")


def test_a_handshake_that_drips_ends_at_the_deadline(rig: Rig) -> None:
    with Slow(well_behaved) as server:
        began = time.monotonic()
        with pytest.raises((OSError, Unasked)):
            call(rig, secret(server.url), 0.25)
        assert time.monotonic() - began < AMPLE
        # The positive control: with time enough the same handshake ends well.
        assert server.accepted == 1


def call(rig: Rig, url: str, deadline: float) -> Any:
    """One call over a new connection."""
    if rig.flavour == "wsgi":
        return Lines(url, deadline, keep=False).call(PING)
    return rig.run(AsyncLines(url, deadline, keep=False).call(PING))


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_black_hole_ends_at_the_deadline(rig: Rig, scheme: str) -> None:
    """The kernel of the machine shakes hands for a listener that never accepts; TLS never does."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf:
        port = deaf.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT011 - whatever the system calls it
            call(rig, f"{scheme}://user:password@127.0.0.1:{port}", 0.2)
        assert time.monotonic() - began < AMPLE


def test_a_password_and_a_database_are_said(rig: Rig, redis_server: RedisServer) -> None:
    redis_server.command("FLUSHALL")
    redis_server.command("ACL SETUSER user on >pass#word ~* +@all")
    try:
        url = f"redis://user:pass%23word@127.0.0.1:{redis_server.port}/3?client_name=tester"
        command = pack(("SET", "there", "1"))
        if rig.flavour == "wsgi":
            Lines(url, DEADLINE, keep=False).call(command)
        else:
            rig.run(AsyncLines(url, DEADLINE, keep=False).call(command))
        assert "db3:keys=1" in redis_server.command("INFO keyspace")
        with pytest.raises(Exception, match=r"WRONGPASS|invalid"):
            call(rig, url.replace("pass%23word", "wrong"), DEADLINE)
    finally:
        redis_server.command("ACL DELUSER user")


# A reply that comes too late goes to nobody


def late_then_prompt() -> Callable[[Command], bytes]:
    """The first answer comes 0.3 s late, those after it at once; each says which it is."""
    number = iter(range(1000))

    def script(command: Command) -> bytes:
        if kind(command) != "ping":
            return b"+OK\r\n"
        which = next(number)
        if which == 1:
            time.sleep(0.3)
        return b":%d\r\n" % which

    return script


def test_a_late_reply_goes_to_nobody(rig: Rig) -> None:
    with ScriptedRedis(late_then_prompt(), everything=True) as server:
        assert asked(rig, server.url, [5.0, 0.1, 5.0, 5.0]) == [0, None, 2, 3]
        assert server.accepted == 2


def test_a_late_reply_is_read_on_a_connection_that_is_kept() -> None:
    """The positive control: a connection that is kept after its deadline answers the next call."""
    with ScriptedRedis(late_then_prompt(), everything=True) as server:
        kept = Line(maker(server.url), time.monotonic() + DEADLINE)
        assert kept.call(PING, time.monotonic() + DEADLINE) == 0
        with pytest.raises(TimeoutError):
            kept.call(PING, time.monotonic() + 0.1)
        assert kept.call(PING, time.monotonic() + DEADLINE) == 1
        kept.close()


def asked(rig: Rig, url: str, deadlines: list[float]) -> list[Any]:
    """One call after the other over the same connections; `None` for those that fail."""
    replies: list[Any] = []
    if rig.flavour == "wsgi":
        made = Lines(url, 1.0)
        for deadline in deadlines:
            replies.append(None)
            with suppress(OSError):
                replies[-1] = made.call(PING, deadline)
        made.close()
        return replies

    async def run() -> None:
        own = AsyncLines(url, 1.0)
        for deadline in deadlines:
            replies.append(None)
            with suppress(OSError):
                replies[-1] = await own.call(PING, deadline)
        await own.aclose()

    rig.run(run())
    return replies


def test_two_replies_for_one_end_the_connection(rig: Rig) -> None:
    with ScriptedRedis(lambda _: b":1\r\n:2\r\n", everything=True) as server:
        assert asked(rig, server.url, [5.0, 5.0]) == [1, 1]
        assert server.accepted == 2


# No queue for a connection


def test_a_full_pool_is_a_miss_and_counted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedRedis(well_behaved) as server:
        one = client(rig, server.url)
        until(lambda: bool(one.ask()) and server.seen["fill"] > 0)
        for module in (lines, loop_lines):
            monkeypatch.setattr(module, "LIMIT", 0)
        seen = server.seen["lookup"]
        for _ in range(10):
            one.ask()
        assert server.seen["lookup"] == seen
        assert one.count("pool-exhausted") >= 10
        assert one.count("redis-down") == 0  # it says nothing about the server
        monkeypatch.undo()
        one.ask()
        assert server.seen["lookup"] > seen


def test_exhausted_raises(rig: Rig, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    for module in (lines, loop_lines):
        monkeypatch.setattr(module, "LIMIT", 0)
    with pytest.raises(PoolExhausted):
        call(rig, redis_url, DEADLINE)


# What says nothing about the server


@pytest.mark.parametrize(
    ("error", "opens"),
    [
        (b"LOADING it is", True),
        (b"READONLY it is", True),
        (b"MASTERDOWN it is", True),
        (b"NOAUTH say who you are", True),
        (b"BUSY it is", True),
        (b"CLUSTERDOWN it is", True),
        (b"WRONGTYPE of one key", False),
        (b"OOM of writes", False),
    ],
    ids=lambda value: value.split()[0].decode() if isinstance(value, bytes) else str(value),
)
def test_errors_that_are_the_server_s(rig: Rig, error: bytes, opens: bool) -> None:
    """A key of another type, or a full memory, takes nobody the rest of the cache."""
    with ScriptedRedis(lambda _: b"-" + error + b"\r\n") as server:
        one = client(rig, server.url)
        until(lambda: bool(one.ask()) and server.seen["lookup"] > 0)
        for _ in range(10):
            one.ask()
        assert bool(one.count("redis-down")) is opens
        assert one.slowest < AMPLE


def test_what_cannot_be_sent_is_not_the_server_s_fault(redis_url: str) -> None:
    bench = Bench()
    made = Lines(redis_url, DEADLINE, breaker=bench.breaker)
    for _ in range(20):
        with pytest.raises(ValueError, match="surrogates"):
            made.call(pack(("GET", "\udc80")))
    assert not bench.breaker.shut
    made.close()


# The drills, over both protocols


def client(rig: Rig, url: str) -> Client:
    """A client of a new worker on this Redis."""
    return Client(rig.site(rig.worker(url), Application(lambda seen: text(seen.path))))


@pytest.fixture
def line(redis_server: RedisServer, redis_url: str) -> Iterator[DelayProxy]:
    """The way to the region's Redis, which counts."""
    with DelayProxy(redis_server.port) as made:
        yield made


def ready(rig: Rig, url: str) -> Client:
    """A client of a worker that uses Redis."""
    one = client(rig, url)
    one.wait_for_redis()
    one.slowest = 0.0
    return one


def opens(one: Client) -> None:
    """Ask until nobody asks any more."""
    until(lambda: bool(one.ask()) and one.count("redis-down") > 0)


def closes(one: Client) -> None:
    """Ask until Redis is used again, and everybody may."""
    until(lambda: one.count("redis-up") > 0)
    one.wait_for_redis()
    assert one.slowest < AMPLE
    assert one.count("redis-half-open") >= one.count("redis-up")


def test_absent_at_the_start(rig: Rig) -> None:
    with RedisServer() as server:
        server.stop()
        one = client(rig, server.url)
        for _ in range(20):
            one.ask()
        assert one.slowest < AMPLE
        server.start()
        one.wait_for_redis()
        rig.shut(one.site.rw)


def test_killed_and_started_again(rig: Rig, redis_server: RedisServer, redis_url: str) -> None:
    one = ready(rig, redis_url)
    redis_server.kill()
    opens(one)
    redis_server.start()
    closes(one)


def test_frozen_and_awake_again(rig: Rig, redis_server: RedisServer, redis_url: str) -> None:
    one = ready(rig, redis_url)
    redis_server.pause()
    opens(one)
    for _ in range(20):
        one.ask()
    redis_server.resume()
    closes(one)


def test_a_black_hole_on_the_way(rig: Rig, redis_url: str, line: DelayProxy) -> None:
    one = ready(rig, line.through(redis_url))
    line.black_hole()
    opens(one)
    line.heal()
    closes(one)


def test_slow_it_stays_open_however_often_the_log_is_heard(
    rig: Rig, redis_url: str, line: DelayProxy
) -> None:
    """200 ms are too many for a request, and nothing to the reader of the log."""
    one = ready(rig, line.through(redis_url))
    fences = one.site.rw._parts.prepared.fences
    line.delay = 0.1
    opens(one)
    heard = fences.heard_until
    until(lambda: fences.heard_until > heard)
    heard = fences.heard_until
    until(lambda: bool(one.ask()) and fences.heard_until > heard)
    assert one.count("redis-up") == one.count("redis-half-open") == 0
    assert one.count("redis-down") == 1
    line.delay = 0.0
    closes(one)


def test_the_log_s_word_alone_would_make_it_flap(
    rig: Rig, redis_url: str, line: DelayProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: whoever believes the reader of the log asks a slow Redis again."""

    def believe(self: RedisTier) -> None:
        for each in self._breakers.values():
            each.probed()

    monkeypatch.setattr(RedisTier, "heard", believe)
    one = ready(rig, line.through(redis_url))
    line.delay = 0.1
    opens(one)
    until(lambda: bool(one.ask()) and one.count("redis-half-open") > 0)


class Hanging(ScriptedRedis):
    """Well behaved, until it says nothing more to anybody who has connected."""

    def __init__(self) -> None:
        super().__init__(well_behaved)

    def hang(self) -> None:
        def script(command: Command) -> bytes:
            if kind(command) == "client":
                return b"+OK\r\n"
            raise Hang

        self.everything, self.script = True, script


def asked_of(one: Client, server: ScriptedRedis, requests: int = 30) -> int:
    """How many look-ups and fills of some requests reach a server that hangs from now on."""
    before = server.seen["lookup"] + server.seen["fill"]
    for _ in range(requests):
        one.ask()
    return server.seen["lookup"] + server.seen["fill"] - before


def test_no_request_is_a_probe(rig: Rig) -> None:
    """Of many requests a few ask, then none, however long it lasts; probes are another command."""
    with Hanging() as server:
        one = client(rig, server.url)
        until(lambda: bool(one.ask()) and server.seen["fill"] > 0)
        server.hang()
        assert asked_of(one, server) <= 2 * rules.FAILURES
        until(lambda: server.seen["unlink"] >= 2)
        assert asked_of(one, server) == 0
        server.behave()
        closes_on(one, server)


def closes_on(one: Client, server: ScriptedRedis) -> None:
    until(lambda: one.count("redis-up") > 0)
    seen = server.seen["lookup"]
    until(lambda: bool(one.ask()) and server.seen["lookup"] > seen)


def test_without_the_breaker_every_request_asks(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control."""
    monkeypatch.setattr(Breaker, "failed", lambda self: None)
    with Hanging() as server:
        one = client(rig, server.url)
        until(lambda: bool(one.ask()) and server.seen["fill"] > 0)
        server.hang()
        accepted = server.accepted
        asked_of(one, server)
        until(lambda: server.accepted >= accepted + 30)


def test_a_worker_that_is_started_again_probes_on(rig: Rig) -> None:
    """What was open at the end of a worker's threads is not open for ever."""
    with Hanging() as server:
        one = client(rig, server.url)
        until(lambda: bool(one.ask()) and server.seen["fill"] > 0)
        server.hang()
        opens(one)
        one.site.rw.close()
        server.behave()
        one.site.rw.start()
        closes_on(one, server)


def test_no_thread_is_left(rig: Rig) -> None:
    with Hanging() as server:
        one = client(rig, server.url)
        until(lambda: bool(one.ask()) and server.seen["fill"] > 0)
        tier = one.site.rw._parts.rim.tier
        assert tier is not None
        prober_of = tier._prober
        assert [prober_of.running] == [False]
        server.hang()
        opens(one)
        assert [prober_of.running] == [True]
        rig.shut(one.site.rw)
        assert [prober_of.running] == [False]


def test_a_line_that_cannot_log_in_is_closed() -> None:
    with ScriptedRedis(lambda _: b"-WRONGPASS no\r\n", everything=True) as server:
        with pytest.raises(Exception, match="WRONGPASS"):
            Line(maker(secret(server.url)), time.monotonic() + DEADLINE)
        until(lambda: server.open == 0)
