"""Commands as Redis reads them, and what its error replies mean for who has asked."""

from typing import Any, Final

import hiredis
from redis.exceptions import (
    AskError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

Argument = str | bytes | int

#: What one key, one script or a full memory is to blame for: the server answers, and what it has
#: can be read.
_NOT_THE_SERVER: Final = {"CROSSSLOT", "NOSCRIPT", "OOM", "TRYAGAIN", "WRONGTYPE"}

#: Whatever can go wrong between us and a Redis.
TROUBLE = (RedisError, hiredis.HiredisError, OSError, ValueError)


class Unasked(RedisConnectionError):
    """No call was made: nothing is known about the server that was not known before."""


class PoolExhausted(Unasked):
    """Every connection is in use, and a call never queues for one."""


def pack(command: tuple[Any, ...]) -> bytes:
    """A command as Redis reads it."""
    packed: bytes = hiredis.pack_command(command)
    return packed


def checked(reply: Any) -> Any:
    """The reply.

    Raises:
        ResponseError: it is an error; of a class of its own where somebody cares.
    """
    if isinstance(reply, hiredis.ReplyError):
        raise _error(str(reply))
    return reply


def told(reply: Any) -> Any:
    """The reply, or the error that it is, as something to look at."""
    return _error(str(reply)) if isinstance(reply, hiredis.ReplyError) else reply


def is_servers_fault(error: ResponseError) -> bool:
    """Whether an error says that its server is of no use to others either."""
    # A redirection (MOVED is an ASK there) has lost its word where it was made an error.
    return not isinstance(error, AskError) and str(error).partition(" ")[0] not in _NOT_THE_SERVER


def _error(text: str) -> ResponseError:
    word, _, rest = text.partition(" ")
    if word == "NOSCRIPT":
        return NoScriptError(text)
    if word == "READONLY":
        return ReadOnlyError(text)
    kind = {"MOVED": MovedError, "ASK": AskError}.get(word)
    try:
        error: ResponseError = ResponseError(text) if kind is None else kind(rest)
    except ValueError:
        return ResponseError(text)
    return error
