"""A Redis that exists only in memory, and executes scripts: what the simulator's workers ask."""

from collections.abc import Callable, Sequence

from regionware.testing.simulator.commands import COMMANDS
from regionware.testing.simulator.keyspace import Keyspace
from regionware.testing.simulator.lua import Lua
from regionware.testing.simulator.replies import OK, Reply, ReplyError, Words, integer
from regionware.testing.simulator.scored import SCORED
from regionware.testing.simulator.streaming import STREAMING

_COMMANDS = COMMANDS | SCORED | STREAMING


class SimulatedRedis:
    """One server's data and commands. It knows neither time nor network by itself."""

    def __init__(self, clock: Callable[[], int], run_id: str = "0" * 40) -> None:
        """Begin empty.

        Args:
            clock: microseconds since the epoch.
            run_id: 40 hexadecimal digits.
        """
        self.keys = Keyspace(clock, run_id)
        self._lua = Lua(self._execute)

    def execute(self, words: Sequence[bytes]) -> Reply:
        """Execute one command.

        Raises:
            ReplyError: Redis would answer by an error.
        """
        name = words[0].upper()
        if name in {b"EVAL", b"EVALSHA"}:
            return self._evaluate(name, words[1], integer(words[2]), words[3:])
        if name == b"SCRIPT":
            return self._script(words[1:])
        return self._execute(words)

    def _execute(self, words: Words) -> Reply:
        command = _COMMANDS.get(words[0].upper())
        if command is None:
            raise ReplyError(f"ERR unknown command {words[0].decode('latin-1')!r}")
        try:
            return command(self.keys, words[1:])
        except ValueError:
            # Words were unpacked, and there were too few or too many.
            raise ReplyError("ERR wrong number of arguments") from None

    def _evaluate(self, name: bytes, script: bytes, count: int, words: Words) -> Reply:
        digest = script if name == b"EVALSHA" else self._lua.load(script)
        return self._lua.run(digest, words[:count], words[count:])

    def _script(self, words: Words) -> Reply:
        what = words[0].upper()
        if what == b"LOAD":
            return self._lua.load(words[1])
        if what == b"EXISTS":
            return [int(self._lua.knows(digest)) for digest in words[1:]]
        if what == b"FLUSH":
            self._lua.forget()
            return OK
        raise ReplyError(f"ERR unknown subcommand {what.decode('latin-1')!r}")
