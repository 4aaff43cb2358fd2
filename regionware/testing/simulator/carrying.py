"""Code that asks clients and waits for them, run without waiting."""

from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

from regionware.caching.replies import TROUBLE
from regionware.testing.simulator.network import SimulatedLines


class _Asked(Exception):
    """Carries the lines, and the command that a decision asks there."""

    def __init__(self, lines: SimulatedLines, words: tuple[bytes, ...]) -> None:
        super().__init__(words)
        self.lines = lines
        self.words = words


class _Client:
    """Stands in for a client: hands over what is known, and else tells what is asked."""

    def __init__(self, lines: SimulatedLines, known: dict[Any, Any]) -> None:
        self._lines = lines
        self._known = known

    def _hand(self, *words: Any) -> Any:
        packed = tuple(map(as_word, words))
        if (self._lines, packed) not in self._known:
            raise _Asked(self._lines, packed)
        reply = self._known[self._lines, packed]
        if isinstance(reply, Exception):
            raise reply
        return reply

    def eval(self, script: str, count: int, *words: Any) -> Any:
        return self._hand("EVAL", script, count, *words)

    def xread(self, streams: Mapping[Any, Any], count: int, block: int | None = None) -> Any:
        options = ("COUNT", count, *(() if block is None else ("BLOCK", block)), "STREAMS")
        return self._hand("XREAD", *options, *streams, *streams.values())

    def hget(self, key: str, field: str) -> Any:
        """See `redis.Redis`."""
        return self._hand("HGET", key, field)


async def carried(decide: Callable[..., Any], *lines: SimulatedLines) -> Any:
    """Run code that asks clients and waits for them, without waiting.

    It begins again with each reply that has come, so until its last reply it may change nothing,
    or nothing that matters when it is done twice.
    """
    known: dict[Any, Any] = {}
    while True:
        try:
            return decide(*(_Client(each, known) for each in lines))
        except _Asked as asked:
            where = asked.lines, asked.words
        try:
            known[where] = await where[0].ask(where[1])
        except TROUBLE as error:
            known[where] = error


class Pause(Event):
    """A stop that never comes; who waits for it shall wait later."""

    def __init__(self) -> None:
        """Begin with no pause."""
        super().__init__()
        self.seconds = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        """Note for how long; it goes on at once."""
        self.seconds = timeout or 0.0
        return False


def as_word(word: Any) -> bytes:
    """A word of a command, as it travels."""
    return word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogateescape")
