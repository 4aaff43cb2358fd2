"""The commands of a simulated Redis: sorted sets and streams."""

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
from regionware.testing.simulator.stream import (
    FIRST,
    Id,
    Stream,
    read_bound,
    read_id,
    shown_id,
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


def xadd(keys: Keyspace, words: Words) -> Reply:
    """Append an entry; its id."""
    key, *rest = words
    make, trims = True, []
    while rest and rest[0].lower() in {b"nomkstream", b"maxlen", b"minid"}:
        word = rest.pop(0).lower()
        if word == b"nomkstream":
            make = False
        else:
            trims = [word, *_take_trim(rest)]
    if not rest:
        raise ReplyError("ERR wrong number of arguments for 'xadd' command")
    asked, fields = rest[0], rest[1:]
    pairs(fields)
    if asked != b"*" and not asked.endswith(b"-*") and read_id(asked) == FIRST:
        raise ReplyError("ERR The ID specified in XADD must be greater than 0-0")
    if not make and not keys.exists(key):
        return None
    known = keys.get(key, Stream)
    identity = _new_id(keys, known or Stream(), asked)
    stream = known or Stream()
    stream.add(identity, fields)
    keys.values[key] = stream
    if trims:
        _trim(stream, trims)
    return shown_id(identity)


def _new_id(keys: Keyspace, stream: Stream, asked: bytes) -> Id:
    if asked == b"*":
        return max((keys.now, 0), (stream.last[0], stream.last[1] + 1))
    if asked.endswith(b"-*"):
        milliseconds = integer(asked[:-2])
        same = milliseconds == stream.last[0]
        return milliseconds, stream.last[1] + 1 if same else 0
    return read_id(asked)


def _take_trim(rest: list[bytes]) -> list[bytes]:
    """The words of a trimming option: whether about, and up to where."""
    how = rest.pop(0) if rest and rest[0] in {b"~", b"="} else b"="
    if not rest:
        raise ReplyError("ERR syntax error")
    bound = rest.pop(0)
    if rest and rest[0].lower() == b"limit":
        del rest[:2]
    return [how, bound]


def _trim(stream: Stream, words: Words) -> int:
    what, how, bound = words
    if what == b"maxlen":
        return stream.trim(integer(bound), about=how == b"~")
    return stream.trim_before(read_id(bound), about=how == b"~")


def xtrim(keys: Keyspace, words: Words) -> Reply:
    """Remove the oldest entries; how many there were."""
    key, what, *rest = words
    stream = keys.get(key, Stream)
    trims = [what.lower(), *_take_trim(rest)]
    return 0 if stream is None else _trim(stream, trims)


def xlen(keys: Keyspace, words: Words) -> Reply:
    """How many entries there are."""
    (key,) = words
    return len(keys.get(key, Stream) or ())


def xrange(keys: Keyspace, words: Words) -> Reply:
    """Entries from one id to another."""
    key, low, high, *rest = words
    asked = options(rest, count=1)
    stream = keys.get(key, Stream) or Stream()
    found = stream.between(read_bound(low, high=False), read_bound(high, high=True))
    return found[: integer(asked["count"][0])] if asked else found


def xrevrange(keys: Keyspace, words: Words) -> Reply:
    """The same backwards."""
    key, high, low, *rest = words
    found = xrange(keys, (key, low, high))[::-1]
    asked = options(rest, count=1)
    return found[: integer(asked["count"][0])] if asked else found


def streams_of(words: Words) -> tuple[dict[str, list[bytes]], list[tuple[bytes, bytes]]]:
    """The options of XREAD, and its streams with their ids.

    Raises:
        ReplyError: it is put wrongly.
    """
    at = next((i for i, word in enumerate(words) if word.lower() == b"streams"), len(words))
    names = words[at + 1 :]
    if not names or len(names) % 2:
        raise ReplyError("ERR syntax error")
    half = len(names) // 2
    return options(words[:at], count=1, block=1), list(zip(names[:half], names[half:], strict=True))


def xread(keys: Keyspace, words: Words) -> Reply:
    """What came after the given ids; nothing waits here, whatever BLOCK says."""
    asked, wanted = streams_of(words)
    most = integer(asked["count"][0]) if "count" in asked else None
    found = []
    for key, after in wanted:
        stream = keys.get(key, Stream)
        if stream is None or after == b"$":
            continue
        milliseconds, rest = read_id(after)
        if entries := stream.between((milliseconds, rest + 1), stream.last)[:most]:
            found.append([key, entries])
    return found or None


def xinfo(keys: Keyspace, words: Words) -> Reply:
    """What is known of a stream."""
    what, key = words
    stream = keys.get(key, Stream)
    if what.lower() != b"stream" or stream is None:
        raise ReplyError("ERR no such key")
    entries = [stream.entry(0), stream.entry(-1)] if stream.ids else [None, None]
    return [
        b"length", len(stream), b"last-generated-id", shown_id(stream.last),
        b"max-deleted-entry-id", shown_id(stream.deleted), b"entries-added", stream.added,
        b"recorded-first-entry-id", shown_id(stream.ids[0] if stream.ids else FIRST),
        b"groups", 0, b"first-entry", entries[0], b"last-entry", entries[1],
    ]  # fmt: skip


ORDERED: dict[bytes, Command] = {
    b"ZADD": zadd, b"ZREM": zrem, b"ZCARD": zcard, b"ZSCORE": zscore, b"ZRANGE": zrange,
    b"ZRANGEBYSCORE": zrangebyscore, b"ZREMRANGEBYSCORE": zremrangebyscore, b"XADD": xadd,
    b"XTRIM": xtrim, b"XLEN": xlen, b"XRANGE": xrange, b"XREVRANGE": xrevrange,
    b"XREAD": xread, b"XINFO": xinfo,
}  # fmt: skip
