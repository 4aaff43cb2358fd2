"""The simulated Redis answers as a real one does: random commands and the real scripts, to both."""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from typing import Any

import pytest
import redis as redis_py
from redis.connection import Connection
from redis.exceptions import ResponseError

from regionware.caching.purging import Order
from regionware.caching.redis import RedisTier
from regionware.caching.scripts import (
    FILL,
    HOT,
    LATE,
    LOOKUP,
    PURGE,
    REGISTER,
    RELAY,
    RELEASE,
    RENEW,
    REPAIR,
    SNAPSHOT,
    Names,
    Script,
    purge_keys,
)
from regionware.effects import Fill, Hold, Lookup, Release, Repair
from regionware.parts.redis import RedisServer
from regionware.testing.simulator.redis import SimulatedRedis
from regionware.testing.simulator.replies import ReplyError

KEYS = [b"{k}:1", b"{k}:2", b"{k}:3"]
FIELDS = [b"a", b"b", b"c", b"10"]
NUMBERS = [b"0", b"1", b"-1", b"5", b"1700000000000000", b"2.5"]
IDS = [b"0-1", b"1-0", b"1-1", b"5-0", b"5-*", b"7", b"0-0"]
BOUNDS = [b"-", b"+", b"0", b"1", b"(1-0", b"5-0"]
#: Where two things are wrong, which one is said does not matter here.
ERROR = object()
SCORES = [b"-inf", b"+inf", b"(1", b"1", b"5", b"(5"]


class Both:
    """Asks both, and holds the one against the other."""

    def __init__(self, url: str) -> None:
        self.now = 1_700_000_000_000_000
        self._pool = redis_py.ConnectionPool.from_url(url, protocol=2)
        make: Any = Connection  # not typed by redis-py
        self._line = make(**self._pool.connection_kwargs)
        self.answered = 0
        # A script may ask which server it runs on.
        server = re.search(rb"run_id:(\w+)", self._real([b"INFO", b"server"]))
        assert server
        self.simulated = SimulatedRedis(lambda: self.now, server.group(1).decode())

    def close(self) -> None:
        self._line.disconnect()

    def ask(self, *words: bytes | str | int) -> None:
        packed = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        one, other = self._real(packed), self._made_up(packed)
        if packed[0] in {b"HGETALL", b"HKEYS"} and isinstance(one, list):
            one, other = sorted(one), sorted(other)
        if packed[0] == b"PTTL" and one > 0:
            one, other = round(one, -5), round(other, -5)
        assert one == other, packed
        self.answered += one is not ERROR

    def _real(self, words: list[bytes]) -> Any:
        self._line.send_command(*words)
        try:
            return self._line.read_response()
        except ResponseError:
            return ERROR

    def _made_up(self, words: list[bytes]) -> Any:
        try:
            return _plain(self.simulated.execute(words))
        except ReplyError:
            return ERROR


def _plain(reply: Any) -> Any:
    if isinstance(reply, list):
        return [_plain(each) for each in reply]
    return bytes(reply) if isinstance(reply, bytes) else reply


@pytest.fixture
def both(redis_url: str) -> Iterator[Both]:
    both = Both(redis_url)
    yield both
    both.close()


def command(dice: random.Random) -> list[bytes]:
    """A command with words that make sense, mostly."""
    key, field, number = dice.choice(KEYS), dice.choice(FIELDS), dice.choice(NUMBERS)
    some = dice.sample(FIELDS, dice.randint(1, 3))
    few = b"%d" % dice.randint(1, 3)
    scored = [word for each in some for word in (dice.choice(NUMBERS), each)]
    named = [word for each in some for word in (each, dice.choice(NUMBERS))]
    forms: list[list[bytes]] = [
        [b"SET", key, number], [b"SET", key, field, b"NX"], [b"SET", key, field, b"PX", b"900000"],
        [b"SET", key, field, b"XX", b"KEEPTTL"], [b"GET", key], [b"INCR", key],
        [b"INCRBY", key, number], [b"DEL", key], [b"UNLINK", *KEYS[:2]], [b"EXISTS", *KEYS],
        [b"TYPE", key], [b"PTTL", key], [b"PEXPIRE", key, b"900000"], [b"PERSIST", key],
        [b"PEXPIRE", key, b"900000", b"NX"], [b"PEXPIRE", key, b"0"],
        [b"PEXPIRE", key, b"1", b"GT"],
        [b"HSET", key, *named], [b"HGET", key, field], [b"HMGET", key, *some], [b"HKEYS", key],
        [b"HDEL", key, *some], [b"HLEN", key], [b"HEXISTS", key, field], [b"HGETALL", key],
        [b"HSETNX", key, field, number], [b"HINCRBY", key, field, number],
        [b"ZADD", key, *scored], [b"ZADD", key, dice.choice([b"NX", b"GT", b"XX"]), *scored],
        [b"ZREM", key, *some], [b"ZCARD", key], [b"ZSCORE", key, field],
        [b"ZRANGEBYSCORE", key, dice.choice(SCORES), dice.choice(SCORES), b"WITHSCORES"],
        [b"ZRANGEBYSCORE", key, b"-inf", dice.choice(SCORES), b"LIMIT", b"0", few],
        [b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"], [b"ZRANGE", key, b"-2", few],
        [b"ZREMRANGEBYSCORE", key, dice.choice(SCORES), dice.choice(SCORES)],
        [b"ZINCRBY", key, number, field], [b"ZREMRANGEBYRANK", key, b"0", b"-" + few],
        [b"ZUNIONSTORE", key, b"2", *KEYS[:2], b"WEIGHTS", b"0.5", few],
        [b"ZUNIONSTORE", key, b"1", key],
        [b"XADD", key, dice.choice(IDS), *named], [b"XADD", key, b"9%b-0" % few, *named],
        [b"XADD", key, b"MAXLEN", few, b"8%b-*" % few, *named], [b"XLEN", key],
        [b"XRANGE", key, dice.choice(BOUNDS), dice.choice(BOUNDS)], [b"XTRIM", key, b"MAXLEN", few],
        [b"XREVRANGE", key, b"+", b"-", b"COUNT", few], [b"XTRIM", key, b"MINID", b"5-0"],
        [b"XREAD", b"COUNT", few, b"STREAMS", key, dice.choice([b"0", b"1-0", b"$"])],
    ]  # fmt: skip
    return dice.choice(forms)


@pytest.mark.parametrize("seed", range(8))
def test_random_commands(both: Both, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(400):
        both.ask(*command(dice))
    assert both.answered > 100


@pytest.mark.parametrize("seed", range(4))
def test_random_commands_from_scripts(both: Both, seed: int) -> None:
    """What a script makes of a reply, and Redis of what the script returns."""
    dice = random.Random(100 + seed)
    for _ in range(200):
        words = command(dice)
        if words[0] == b"PTTL":
            continue  # by the clock of each
        both.ask("EVAL", "return redis.call(unpack(ARGV))", 0, *words)
        both.ask("EVAL", "return {#ARGV, 2.9, false, redis.call(unpack(ARGV))}", 0, *words)


def test_numbers_in_octets(both: Both) -> None:
    text = bytes(range(200, 216))
    for form in (">I4I4", "<I4", ">H", ">hB", ">i4"):
        both.ask("EVAL", f"return {{struct.unpack('{form}', ARGV[1], 3)}}", 0, text)
    assert both.answered == 5
    both.ask("EVAL", "return {struct.unpack('>I4', ARGV[1], 15)}", 0, text)


def timeless(text: str, microseconds: int) -> str:
    """A script by a clock that both have."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return text.replace("redis.call('TIME')", f"{{'{seconds}', '{rest}'}}")


Call = tuple[Sequence[str], Sequence[Any]]


class Scripts:
    """The real scripts, with the words that the real tier gives them."""

    def __init__(self, both: Both, seed: int) -> None:
        self.both = both
        self.dice = random.Random(seed)
        self.now = 1_700_000_000_000_000
        self.tier = RedisTier("redis://nowhere", Names.of("n", ""), on_event=lambda *_: None)
        self.names = self.tier.names
        self.calls: dict[Script, Callable[[], Call]] = {
            LOOKUP: self.lookup, FILL: self.fill, PURGE: self.purge, SNAPSHOT: self.snapshot,
            REGISTER: self.register, LATE: self.late, RELAY: self.relay, RELEASE: self.release,
            RENEW: self.renew, REPAIR: self.repair, HOT: self.hot,
        }  # fmt: skip
        self.often = [*self.calls, LOOKUP, LOOKUP, FILL]

    def step(self) -> None:
        self.digest = self.dice.choice("abc")
        self.token = f"{self.dice.choice(('one', 'two', 'three')):0>12}"
        self.stamp = self.now + self.dice.choice((-5, -5, 2_000_000))
        script = self.dice.choice(self.often)
        keys, words = self.calls[script]()
        text = timeless(script.text, self.now)
        if script is SNAPSHOT:
            # What it answers holds a hash, whose order is the server's affair.
            text = f"local f = function() {_body(text)}\nend f()"
        self.both.ask("EVAL", text, len(keys), *keys, *words)

    def lookup(self) -> Call:
        floor, waits = self.dice.choice((0, self.now)), self.dice.random() < 0.5
        fields = "accept:x\nlanguage:de\n"
        wanted = Lookup(self.digest, None, floor, fields, self.stamp, self.token, waits=waits)
        return self.tier._lookup(wanted)

    def fill(self) -> Call:
        dice = self.dice
        created, fresh = self.now - dice.randint(0, 9), self.now + dice.choice((-5, 10**9))
        frame = f"RWF1{created:016x}{fresh:016x}{'0' * 48}{dice.randint(0, 999):060}".encode()
        vary, token = dice.choice(("", "language")), dice.choice((self.token, ""))
        return self.tier._fill(Fill(self.digest, token, "", vary, "", frame, 900_000))

    def purge(self) -> Call:
        order = Order([f"ht{self.dice.randint(0, 5)}" for _ in range(3)], None, 4_000_000)
        return purge_keys(self.names), order.chunks(self.stamp, onward=True)[0]

    def snapshot(self) -> Call:
        names = self.names
        keys = names.clock, names.fences, names.log, names.workers, names.wakes
        return keys, (self.stamp, "", "me", 60_000_000, self.dice.choice((5, 9_000_000)))

    def register(self) -> Call:
        keys = self.names.workers, self.names.clock, self.names.fences
        return keys, (self.dice.choice(("me", "you")), f"{self.stamp:016x}")

    def late(self) -> Call:
        return (self.names.workers,), (f"{self.now:016x}", self.dice.choice((5, 4_000_000)))

    def relay(self) -> Call:
        dice, names = self.dice, self.names
        keys = f"{names.relayed}:syd", names.relayed, names.outbox
        others = dice.choice((("syd",), ("syd", "ams")))
        news = dice.choice(("", self.now))
        return keys, (self.token, dice.choice((0, 5000)), "syd", news, *others)

    def release(self) -> Call:
        seconds, leased = self.dice.choice((0, 60)), self.dice.choice(("", "*"))
        failed = self.dice.choice((None, (1.0, 30.0)))
        return self.tier._release(Release(self.digest, self.token, leased, seconds, failed))

    def renew(self) -> Call:
        return self.tier._renew(Hold(self.digest, self.token, ""))

    def repair(self) -> Call:
        """What it finds is what it means, mostly; now and then the key holds no hash."""
        key = (self.names.entries + self.digest).encode()
        if self.dice.random() < 0.2:
            self.both.ask("SET", key, "no hash")
        known, field = self.both.simulated.keys.values.get(key), self.dice.choice(("e", "vary"))
        held = known.get(field.encode(), b"") if isinstance(known, dict) else b""
        return self.tier._repair(
            Repair(self.digest, field, self.dice.choice((held, held, b"else")))
        )

    def hot(self) -> Call:
        return (self.names.hot,), (3, 900_000, *self.dice.choices("abcde", k=4))


def _body(text: str) -> str:
    """A script without its first line for the server."""
    return text.partition("\n")[2] if text.startswith("#!") else text


def test_every_script_is_among_them(both: Both) -> None:
    written = [each.name for each in files("regionware.caching").iterdir()]
    known = {script.text for script in Scripts(both, 0).calls}
    assert len(known) == sum(name.endswith(".lua") for name in written)


@pytest.mark.parametrize("seed", range(6))
def test_the_real_scripts(both: Both, seed: int) -> None:
    scripts = Scripts(both, seed)
    names = scripts.tier.names
    for _ in range(150):
        scripts.now += scripts.dice.choice((0, 1, 700, 3_000_000))
        scripts.step()
        entries = tuple(names.entries + digest for digest in "abc")
        for name in (*entries, names.fences, names.workers, names.relayed):
            both.ask("HGETALL", name)
        for name in (names.ages, names.hot):
            both.ask("ZRANGE", name, 0, -1, "WITHSCORES")
        for name in (names.log, names.outbox):
            both.ask("XRANGE", name, "-", "+")
    assert both.answered > 1000


def test_what_is_different_is_noticed(both: Both) -> None:
    """The positive control."""
    both.simulated.execute([b"SET", b"{k}:1", b"only here"])
    with pytest.raises(AssertionError):
        both.ask("GET", "{k}:1")


def test_what_is_not_there_says_so(redis_server: RedisServer) -> None:
    simulated = SimulatedRedis(lambda: 0)
    for words in ([b"GEOADD", b"k"], [b"EVAL", b"return redis.call('GEOADD', 'k')", b"0"]):
        with pytest.raises(ReplyError, match="unknown command"):
            simulated.execute(words)
    for script in (b"return nowhere", b"made = 1"):
        with pytest.raises(Exception, match="global"):
            simulated.execute([b"EVAL", script, b"0"])


def test_a_first_line_for_the_server_is_no_lua(both: Both) -> None:
    both.ask("EVAL", "#!lua flags=allow-oom\nreturn 7", 0)
    assert both.answered == 1


def test_a_script_is_known_by_its_digest_and_knows_its_server() -> None:
    simulated = SimulatedRedis(lambda: 5, run_id="a" * 40)
    digest = simulated.execute([b"SCRIPT", b"LOAD", b"return redis.call('INFO', 'server')"])
    assert b"run_id:" + b"a" * 40 in simulated.execute([b"EVALSHA", digest, b"0"])
    simulated.execute([b"SCRIPT", b"FLUSH"])
    with pytest.raises(ReplyError, match="NOSCRIPT"):
        simulated.execute([b"EVALSHA", digest, b"0"])
