"""The commands of a simulated Redis: streams."""

from collections.abc import Sequence
from dataclasses import dataclass

from regionware.testing.simulator.commands import Command
from regionware.testing.simulator.keyspace import Keyspace
from regionware.testing.simulator.replies import (
    Reply,
    ReplyError,
    Words,
    integer,
    options,
    pairs,
)
from regionware.testing.simulator.stream import (
    FIRST,
    Id,
    Stream,
    read_bound,
    read_id,
    shown_id,
)


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
    keys.appended += 1
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


@dataclass(frozen=True, slots=True)
class Reading:
    """What XREAD asks for.

    Attributes:
        wanted: streams, and after which entry of each.
        most: of the entries of each; `None` for all.
        block: milliseconds for which the client waits if there are none; `None` if it does not.
    """

    wanted: Sequence[tuple[bytes, Id]]
    most: int | None
    block: int | None

    @classmethod
    def of(cls, keys: Keyspace, words: Words) -> "Reading":
        """Read the words; `$` stands for what is the latest in the stream now.

        Raises:
            ReplyError: it is put wrongly.
        """
        at = next((i for i, word in enumerate(words) if word.lower() == b"streams"), len(words))
        names = words[at + 1 :]
        if not names or len(names) % 2:
            raise ReplyError("ERR syntax error")
        asked, half = options(words[:at], count=1, block=1), len(names) // 2
        most, block = (integer(asked[n][0]) if n in asked else None for n in ("count", "block"))
        pairs_of = zip(names[:half], names[half:], strict=True)
        return cls([(key, _after(keys, key, word)) for key, word in pairs_of], most, block)

    def read(self, keys: Keyspace) -> Reply:
        """The entries that there are; nothing waits here."""
        found = []
        for key, (milliseconds, rest) in self.wanted:
            stream = keys.get(key, Stream)
            if stream is None or stream.last <= (milliseconds, rest):
                continue
            if entries := stream.between((milliseconds, rest + 1), stream.last)[: self.most]:
                found.append([key, entries])
        return found or None


def _after(keys: Keyspace, key: bytes, word: bytes) -> Id:
    if word != b"$":
        return read_id(word)
    stream = keys.get(key, Stream)
    return FIRST if stream is None else stream.last


def xread(keys: Keyspace, words: Words) -> Reply:
    """What came after the given ids; nothing waits here, whatever BLOCK says."""
    return Reading.of(keys, words).read(keys)


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


STREAMING: dict[bytes, Command] = {
    b"XADD": xadd, b"XTRIM": xtrim, b"XLEN": xlen, b"XRANGE": xrange, b"XREVRANGE": xrevrange,
    b"XREAD": xread, b"XINFO": xinfo,
}  # fmt: skip
