"""The commands of a simulated Redis: sorted sets."""

from collections.abc import Callable

from regionware.testing.simulator.commands import Command
from regionware.testing.simulator.keyspace import Keyspace, SortedSet
from regionware.testing.simulator.replies import (
    Reply,
    ReplyError,
    Words,
    integer,
    number,
    options,
    pairs,
    shown,
)


def zadd(keys: Keyspace, words: Words) -> Reply:
    """Set scores; how many members are new."""
    key, *rest = words
    asked = set()
    while rest and rest[0].lower() in {b"nx", b"xx", b"gt", b"lt", b"ch"}:
        asked.add(rest.pop(0).lower())
    given = [(number(score), member) for score, member in pairs(rest)]
    found, before, changed = keys.make(key, SortedSet), 0, 0
    for score, member in given:
        known = found.get(member)
        refused = (
            (b"nx" in asked and known is not None)
            or (b"xx" in asked and known is None)
            or (b"gt" in asked and known is not None and score <= known)
            or (b"lt" in asked and known is not None and score >= known)
        )
        if not refused:
            before += known is None
            changed += known != score
            found[member] = score
    keys.prune(key)
    return changed if b"ch" in asked else before


def zrem(keys: Keyspace, words: Words) -> Reply:
    """Remove members; how many there were."""
    key, *members = words
    if (found := keys.get(key, SortedSet)) is None:
        return 0
    gone = sum(found.pop(member, None) is not None for member in members)
    keys.prune(key)
    return gone


def zcard(keys: Keyspace, words: Words) -> Reply:
    """How many members there are."""
    (key,) = words
    return len(keys.get(key, SortedSet) or ())


def zscore(keys: Keyspace, words: Words) -> Reply:
    """A member's score."""
    key, member = words
    score = (keys.get(key, SortedSet) or SortedSet()).get(member)
    return None if score is None else shown(score)


def _within(low: bytes, high: bytes) -> Callable[[float], bool]:
    least, most = number(low.lstrip(b"(")), number(high.lstrip(b"("))

    def holds(score: float) -> bool:
        above = score > least if low[:1] == b"(" else score >= least
        below = score < most if high[:1] == b"(" else score <= most
        return above and below

    return holds


def _members(found: list[tuple[float, bytes]], asked: dict[str, list[bytes]]) -> Reply:
    if "limit" in asked:
        start, count = map(integer, asked["limit"])
        found = found[start:] if count < 0 else found[start : start + count]
    if "withscores" not in asked:
        return [member for _, member in found]
    return [word for score, member in found for word in (member, shown(score))]


def zrangebyscore(keys: Keyspace, words: Words) -> Reply:
    """Members by score."""
    key, low, high, *rest = words
    asked, holds = options(rest, withscores=0, limit=2), _within(low, high)
    found = keys.get(key, SortedSet) or SortedSet()
    return _members([pair for pair in found.ordered() if holds(pair[0])], asked)


def zrange(keys: Keyspace, words: Words) -> Reply:
    """Members by rank."""
    key, start, stop, *rest = words
    asked = options(rest, withscores=0, rev=0)
    found = (keys.get(key, SortedSet) or SortedSet()).ordered()
    if "rev" in asked:
        found.reverse()
    first, last = (n if n >= 0 else n + len(found) for n in (integer(start), integer(stop)))
    return _members(found[max(first, 0) : max(last + 1, 0)], asked)


def zremrangebyscore(keys: Keyspace, words: Words) -> Reply:
    """Remove members by score; how many there were."""
    key, low, high = words
    gone = zrangebyscore(keys, (key, low, high))
    return zrem(keys, (key, *gone)) if gone else 0


def zincrby(keys: Keyspace, words: Words) -> Reply:
    """Add to a member's score; what it is then."""
    key, more, member = words
    added = number(more)
    found = keys.make(key, SortedSet)
    found[member] = found.get(member, 0.0) + added
    return shown(found[member])


def zremrangebyrank(keys: Keyspace, words: Words) -> Reply:
    """Remove members by rank; how many there were."""
    key, start, stop = words
    gone = zrange(keys, (key, start, stop))
    return zrem(keys, (key, *gone)) if gone else 0


def zunionstore(keys: Keyspace, words: Words) -> Reply:
    """Store the sum of sorted sets, each with a weight; how many members it has."""
    target, count, *rest = words
    many = integer(count)
    if many < 1 or len(rest) < many:
        raise ReplyError("ERR syntax error")
    asked = options(rest[many:], weights=many)
    weights = map(number, asked.get("weights", [b"1"] * many))
    total = SortedSet()
    for key, weight in zip(rest[:many], weights, strict=True):
        for member, score in (keys.get(key, SortedSet) or SortedSet()).items():
            total[member] = total.get(member, 0.0) + score * weight
    keys.delete(target)
    if total:
        keys.values[target] = total
    return len(total)


SCORED: dict[bytes, Command] = {
    b"ZADD": zadd, b"ZREM": zrem, b"ZCARD": zcard, b"ZSCORE": zscore, b"ZRANGE": zrange,
    b"ZRANGEBYSCORE": zrangebyscore, b"ZREMRANGEBYSCORE": zremrangebyscore,
    b"ZINCRBY": zincrby, b"ZREMRANGEBYRANK": zremrangebyrank, b"ZUNIONSTORE": zunionstore,
}  # fmt: skip
