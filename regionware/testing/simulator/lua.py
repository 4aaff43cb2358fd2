"""Runs scripts as Redis does, in the Lua that Redis has: 5.1."""

import re
from collections.abc import Callable, Sequence
from hashlib import sha1
from typing import Any, Literal

from regionware.errors import ConfigurationError
from regionware.testing.simulator.replies import Reply, ReplyError, Status

#: Octets of a number, by the letters of Lua's `struct`.
_SIZES = {b"b": 1, b"B": 1, b"h": 2, b"H": 2, b"i": 4, b"I": 4, b"l": 8, b"L": 8}

Call = Callable[[Sequence[bytes]], Reply]

# As in Redis, a script has no globals of its own, and none that does not exist.
_PRELUDE = b"""
local call, sha1hex, unpacked = ...
struct = {unpack = function(...) return unpack(unpacked(...)) end}
redis = {
  call = call,
  sha1hex = sha1hex,
  error_reply = function(text) return {err = text} end,
  status_reply = function(text) return {ok = text} end,
  log = function() end,
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
}
redis.pcall = function(...)
  local fine, reply = pcall(call, ...)
  if fine then return reply end
  return {err = tostring(reply)}
end
server = redis
KEYS, ARGV = {}, {}
setmetatable(_G, {
  __index = function(_, name) error('no such global: ' .. tostring(name)) end,
  __newindex = function(_, name) error('a global would be made: ' .. tostring(name)) end,
})
"""


class Lua:
    """One server's interpreter, and the scripts that it has seen."""

    def __init__(self, call: Call) -> None:
        """Begin with no script.

        Args:
            call: executes the commands of scripts.

        Raises:
            ConfigurationError: lupa is not installed.
        """
        try:
            # An extra brings it, and it has no type hints.
            from lupa import lua51  # type: ignore[import-untyped] # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError(
                "the simulator needs lupa: install regionware[testing]"
            ) from error
        self._call = call
        self._runtime = lua51.LuaRuntime(
            encoding=None, register_eval=False, register_builtins=False
        )
        self._runtime.execute(_PRELUDE, self._perform, _sha1hex, self._unpacked)
        self._scripts: dict[bytes, Any] = {}
        self._error: ReplyError | None = None

    def load(self, text: bytes) -> bytes:
        """Keep a script; its digest."""
        digest = _sha1hex(text)
        if digest not in self._scripts:
            # A first line such as "#!lua flags=allow-oom" is for the server.
            body = text.partition(b"\n")[2] if text.startswith(b"#!") else text
            self._scripts[digest] = self._runtime.execute(b"return function()\n%b\nend" % body)
        return digest

    def knows(self, digest: bytes) -> bool:
        """Whether a script is kept."""
        return digest.lower() in self._scripts

    def forget(self) -> None:
        """Forget all scripts."""
        self._scripts.clear()

    def run(self, digest: bytes, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Reply:
        """Run a script.

        Raises:
            ReplyError: it is not known, or failed.
        """
        script = self._scripts.get(digest.lower())
        if script is None:
            raise ReplyError("NOSCRIPT No matching script. Please use EVAL.")
        names = self._runtime.globals()
        names[b"KEYS"] = self._runtime.table_from(keys)
        names[b"ARGV"] = self._runtime.table_from(arguments)
        return _from_lua(script())

    def _perform(self, *words: Any) -> Any:
        return self._to_lua(self._call([_word(word) for word in words]))

    def _unpacked(self, form: bytes, text: bytes, at: int = 1) -> Any:
        """`struct.unpack`, of whole numbers: what is found, and where it ends."""
        order: Literal["little", "big"] = "big" if form[:1] == b">" else "little"
        found = []
        for kind, digits in re.findall(rb"([A-Za-z])(\d*)", form):
            size = int(digits or _SIZES[kind])
            if len(text) < at - 1 + size:
                raise ReplyError("ERR data string too short")
            number = int.from_bytes(text[at - 1 : at - 1 + size], order, signed=kind.islower())
            found.append(number)
            at += size
        return self._runtime.table_from([*found, at])

    def _to_lua(self, reply: Reply) -> Any:
        if reply is None:
            return False
        if isinstance(reply, Status):
            return self._runtime.table_from({b"ok": bytes(reply)})
        if isinstance(reply, list):
            return self._runtime.table_from([self._to_lua(each) for each in reply])
        return reply


def _word(word: Any) -> bytes:
    """An argument of `redis.call`: numbers as Redis writes them."""
    if isinstance(word, bytes):
        return word
    if isinstance(word, int) and not isinstance(word, bool):
        return b"%d" % word
    if isinstance(word, float):
        return b"%.17g" % word
    raise ReplyError("ERR Lua redis lib command arguments must be strings or integers")


def _from_lua(value: Any) -> Reply:
    if value is None or value is False:
        return None
    if value is True:
        return 1
    if isinstance(value, (int, float)):
        return int(value)
    if isinstance(value, bytes):
        return value
    if (failed := value[b"err"]) is not None:
        raise ReplyError(failed.decode("utf-8", "replace"))
    if (fine := value[b"ok"]) is not None:
        return Status(fine)
    found, at = [], 1
    while (each := value[at]) is not None:
        found.append(_from_lua(each))
        at += 1
    return found


def _sha1hex(text: bytes) -> bytes:
    return sha1(text, usedforsecurity=False).hexdigest().encode()
