"""What a simulated Redis answers, and how it reads the words of a command."""

from collections.abc import Sequence
from typing import Any

#: What a command is answered with: as hiredis reads it, and `Status` for a simple string.
Reply = Any
Words = Sequence[bytes]


class ReplyError(Exception):
    """Redis answers by an error; its first word says which."""


class Status(bytes):
    """A simple string, such as `OK`."""

    __slots__ = ()


OK = Status(b"OK")


def integer(word: bytes) -> int:
    """A whole number.

    Raises:
        ReplyError: it is something else.
    """
    try:
        return int(word)
    except ValueError:
        raise ReplyError("ERR value is not an integer or out of range") from None


def number(word: bytes) -> float:
    """A score.

    Raises:
        ReplyError: it is something else.
    """
    try:
        return float(word)
    except ValueError:
        raise ReplyError("ERR value is not a valid float") from None


def shown(score: float) -> bytes:
    """A score, as Redis writes it."""
    return b"%d" % score if score == int(score) else repr(score).encode()


def options(words: Words, **counts: int) -> dict[str, list[bytes]]:
    """Options after the fixed words: each name with as many words as `counts` says.

    Raises:
        ReplyError: another word stands there.
    """
    found: dict[str, list[bytes]] = {}
    at = 0
    while at < len(words):
        name = words[at].decode("latin-1").lower()
        if name not in counts or at + counts[name] >= len(words):
            raise ReplyError(f"ERR syntax error at {name!r}")
        found[name] = list(words[at + 1 : at + 1 + counts[name]])
        at += 1 + counts[name]
    return found


def pairs(words: Words) -> list[tuple[bytes, bytes]]:
    """Two by two.

    Raises:
        ReplyError: one is left over, or there are none.
    """
    if not words or len(words) % 2:
        raise ReplyError("ERR wrong number of arguments")
    return list(zip(words[::2], words[1::2], strict=True))
