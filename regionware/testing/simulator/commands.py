"""The commands of a simulated Redis: keys, strings and hashes. An unknown one is an error."""

from collections.abc import Callable

from regionware.testing.simulator.keyspace import Hash, Keyspace, SortedSet
from regionware.testing.simulator.replies import (
    OK,
    Reply,
    ReplyError,
    Status,
    Words,
    integer,
    options,
    pairs,
)
from regionware.testing.simulator.stream import Stream

Command = Callable[[Keyspace, Words], Reply]

_KINDS = {bytes: b"string", Hash: b"hash", SortedSet: b"zset", Stream: b"stream"}


def ping(_: Keyspace, words: Words) -> Reply:
    """Answer."""
    return words[0] if words else Status(b"PONG")


def time(keys: Keyspace, _: Words) -> Reply:
    """The server's clock: seconds, and microseconds in addition."""
    seconds, rest = divmod(keys.clock(), 1_000_000)
    return [b"%d" % seconds, b"%d" % rest]


def info(keys: Keyspace, words: Words) -> Reply:
    """The little that a script may want to know of its server."""
    sections = {word.lower() for word in words}
    lines = ["# Server", "redis_version:7.2.4", f"run_id:{keys.run_id}"]
    if sections - {b"server"} or not words:
        lines += ["# Replication", "role:master", f"master_replid:{keys.run_id}"]
    return "".join(f"{line}\r\n" for line in lines).encode()


def flushall(keys: Keyspace, _: Words) -> Reply:
    """Remove everything."""
    keys.clear()
    return OK


def delete(keys: Keyspace, words: Words) -> Reply:
    """Remove keys; how many there were."""
    return sum(keys.exists(key) and keys.delete(key) for key in words)


def exists(keys: Keyspace, words: Words) -> Reply:
    """How many of the keys exist."""
    return sum(map(keys.exists, words))


def kind(keys: Keyspace, words: Words) -> Reply:
    """What a key holds."""
    (key,) = words
    return Status(_KINDS[type(keys.values[key])] if keys.exists(key) else b"none")


def pttl(keys: Keyspace, words: Words) -> Reply:
    """Milliseconds that are left; -1 if it does not expire, -2 if there is none."""
    (key,) = words
    if not keys.exists(key):
        return -2
    end = keys.expires.get(key)
    return -1 if end is None else end - keys.now


def pexpire(keys: Keyspace, words: Words) -> Reply:
    """Set the milliseconds that are left."""
    key, milliseconds, *rest = words
    asked = options(rest, nx=0, xx=0, gt=0, lt=0)
    if not keys.exists(key):
        return 0
    end, known = keys.now + integer(milliseconds), keys.expires.get(key)
    refused = (
        ("nx" in asked and known is not None)
        or ("xx" in asked and known is None)
        or ("gt" in asked and (known is None or end <= known))
        or ("lt" in asked and known is not None and end >= known)
    )
    if refused:
        return 0
    keys.expires[key] = end
    keys.exists(key)
    return 1


def persist(keys: Keyspace, words: Words) -> Reply:
    """Let a key stay."""
    (key,) = words
    return int(keys.exists(key) and keys.expires.pop(key, None) is not None)


def get(keys: Keyspace, words: Words) -> Reply:
    """A string."""
    (key,) = words
    return keys.get(key, bytes)


def set_(keys: Keyspace, words: Words) -> Reply:
    """Set a string."""
    key, value, *rest = words
    asked = options(rest, nx=0, xx=0, px=1, ex=1, get=0, keepttl=0)
    known = keys.get(key, bytes) if "get" in asked else None
    there = keys.exists(key)
    if ("nx" in asked and there) or ("xx" in asked and not there):
        return known
    end = keys.expires.get(key) if "keepttl" in asked else None
    keys.delete(key)
    keys.values[key] = value
    if "px" in asked or "ex" in asked:
        given = integer((asked.get("px") or asked["ex"])[0])
        if given <= 0:
            raise ReplyError("ERR invalid expire time in 'set' command")
        end = keys.now + given * (1 if "px" in asked else 1000)
    if end is not None:
        keys.expires[key] = end
    return known if "get" in asked else OK


def incrby(keys: Keyspace, words: Words) -> Reply:
    """Add to a number."""
    key, *more = words
    value = integer(keys.get(key, bytes) or b"0") + integer(more[0] if more else b"1")
    keys.values[key] = b"%d" % value
    return value


def hget(keys: Keyspace, words: Words) -> Reply:
    """A field's value."""
    key, field = words
    return (keys.get(key, Hash) or Hash()).get(field)


def hmget(keys: Keyspace, words: Words) -> Reply:
    """The values of several fields."""
    key, *fields = words
    found = keys.get(key, Hash) or Hash()
    return [found.get(field) for field in fields]


def hset(keys: Keyspace, words: Words) -> Reply:
    """Set fields; how many are new."""
    given = pairs(words[1:])
    found = keys.make(words[0], Hash)
    before = len(found)
    found.update(given)
    return len(found) - before


def hsetnx(keys: Keyspace, words: Words) -> Reply:
    """Set a field if it is new."""
    key, field, value = words
    found = keys.make(key, Hash)
    if field in found:
        return 0
    found[field] = value
    return 1


def hincrby(keys: Keyspace, words: Words) -> Reply:
    """Add to a field's number."""
    key, field, more = words
    value = integer((keys.get(key, Hash) or Hash()).get(field, b"0")) + integer(more)
    keys.make(key, Hash)[field] = b"%d" % value
    return value


def hdel(keys: Keyspace, words: Words) -> Reply:
    """Remove fields; how many there were."""
    key, *fields = words
    if (found := keys.get(key, Hash)) is None:
        return 0
    gone = sum(found.pop(field, None) is not None for field in fields)
    keys.prune(key)
    return gone


def hlen(keys: Keyspace, words: Words) -> Reply:
    """How many fields there are."""
    (key,) = words
    return len(keys.get(key, Hash) or {})


def hexists(keys: Keyspace, words: Words) -> Reply:
    """Whether there is a field."""
    key, field = words
    return int(field in (keys.get(key, Hash) or {}))


def hgetall(keys: Keyspace, words: Words) -> Reply:
    """All fields and values, in turn."""
    (key,) = words
    return [word for pair in (keys.get(key, Hash) or {}).items() for word in pair]


def hkeys(keys: Keyspace, words: Words) -> Reply:
    """All fields."""
    (key,) = words
    return list(keys.get(key, Hash) or {})


COMMANDS: dict[bytes, Command] = {
    b"PING": ping, b"TIME": time, b"INFO": info, b"FLUSHALL": flushall, b"DEL": delete,
    b"UNLINK": delete, b"EXISTS": exists, b"TYPE": kind, b"PTTL": pttl, b"PEXPIRE": pexpire,
    b"PERSIST": persist, b"GET": get, b"SET": set_, b"INCR": incrby, b"INCRBY": incrby,
    b"HGET": hget, b"HMGET": hmget, b"HSET": hset, b"HSETNX": hsetnx, b"HINCRBY": hincrby,
    b"HDEL": hdel, b"HLEN": hlen, b"HEXISTS": hexists, b"HGETALL": hgetall, b"HKEYS": hkeys,
}  # fmt: skip
