"""A simulated Redis server in the world: it takes its time, freezes, dies, and is replaced."""

from collections.abc import Callable
from functools import partial
from typing import Any

from regionware.testing.simulator.ordered import streams_of
from regionware.testing.simulator.redis import SimulatedRedis
from regionware.testing.simulator.replies import ReplyError, Words, integer
from regionware.testing.simulator.stream import FIRST, Stream, shown_id
from regionware.testing.simulator.world import World

#: When the world begins, seconds since the epoch.
EPOCH = 1_700_000_000

#: Called with a reply, an error or `Lost`.
Answered = Callable[[Any], None]


class Lost:
    """The connection has ended without a reply."""


class _Waiting:
    """A client that waits for entries of streams."""

    __slots__ = ("answered", "done", "words")

    def __init__(self, words: Words, answered: Answered) -> None:
        self.words = words
        self.answered = answered
        self.done = False

    def answer(self, reply: Any) -> None:
        """Answer, once."""
        if not self.done:
            self.done = True
            self.answered(reply)


class Server:
    """One region's Redis.

    Attributes:
        redis: its data.
        behind: seconds by which its clock is behind the world's.
        down_until: nobody is there before, world seconds.
        frozen_until: nothing is executed before.
    """

    def __init__(self, world: World, name: str) -> None:
        """Begin empty."""
        self.name = name
        self.behind = 0.0
        self.down_until = self.frozen_until = 0.0
        self._world = world
        self._starts = 0
        self._waiting: list[_Waiting] = []
        self._replica: tuple[dict[bytes, Any], dict[bytes, int]] | None = None
        self.redis = SimulatedRedis(self.clock, self._run_id())

    def clock(self) -> int:
        """Microseconds since the epoch."""
        return round((EPOCH + self._world.now - self.behind) * 1_000_000)

    def _run_id(self) -> str:
        self._starts += 1
        return f"{self.name.encode().hex():0>32}{self._starts:08x}"

    # Commands

    def execute(self, words: Words, answered: Answered) -> None:
        """Execute a command that has arrived, now or when the server can."""
        now = self._world.now
        if now < self.down_until:
            answered(Lost())
        elif now < self.frozen_until:
            self._world.at(self.frozen_until, partial(self.execute, words, answered))
        elif words[0] == b"XREAD":
            self._read(words, answered)
        else:
            answered(self._reply(words))
            self._wake()

    def _reply(self, words: Words) -> Any:
        try:
            return self.redis.execute(words)
        except ReplyError as error:
            return error

    def _read(self, words: Words, answered: Answered) -> None:
        """Read streams, and wait for their entries as long as the client wants."""
        words = self._resolved(words)
        reply, asked = self._reply(words), streams_of(words[1:])[0]
        if reply is not None or "block" not in asked:
            answered(reply)
            return
        waiting = _Waiting(words, answered)
        self._waiting.append(waiting)
        self._world.after(integer(asked["block"][0]) / 1000, partial(self._give_up, waiting))

    def _resolved(self, words: Words) -> Words:
        """`$` stands for what is the latest when the command comes."""
        half = len(streams_of(words[1:])[1])
        names, ids = words[-2 * half : -half], words[-half:]
        found = (
            shown_id(self._last(name)) if word == b"$" else word
            for name, word in zip(names, ids, strict=True)
        )
        return [*words[:-half], *found]

    def _last(self, name: bytes) -> tuple[int, int]:
        stream = self.redis.keys.get(name, Stream)
        return FIRST if stream is None else stream.last

    def _wake(self) -> None:
        for waiting in self._waiting[:]:
            if (reply := self._reply(waiting.words)) is not None:
                self._waiting.remove(waiting)
                waiting.answer(reply)

    def _give_up(self, waiting: _Waiting) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
            waiting.answer(None)

    # Trouble

    def freeze(self, seconds: float) -> None:
        """Execute nothing for a while; what arrives is executed afterwards."""
        self.frozen_until = max(self.frozen_until, self._world.now + seconds)

    def cut(self) -> None:
        """Break the connections of clients that wait."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.answer(Lost())

    def lose(self, down: float, behind: float) -> None:
        """Die, and come back without data, perhaps with another clock."""
        self.redis = SimulatedRedis(self.clock, self._run_id())
        self._restart(down, behind)

    def replicate(self) -> None:
        """What a replica has up to now; it hears nothing from now on."""
        self._replica = self.redis.keys.copy()

    def fail_over(self, down: float, behind: float) -> None:
        """Die, and be replaced by the replica."""
        values, expires = self._replica or ({}, {})
        self.redis = SimulatedRedis(self.clock, self._run_id())
        self.redis.keys.values, self.redis.keys.expires = values, expires
        self._replica = None
        self._restart(down, behind)

    def _restart(self, down: float, behind: float) -> None:
        self.behind += behind
        self.frozen_until = 0.0
        self.down_until = self._world.now + down
        self.cut()

    def flush(self) -> None:
        """Lose everything, and stay."""
        self.redis.keys.clear()

    def evict(
        self, share: float, *, spare: tuple[bytes, ...] = (), only: tuple[bytes, ...] = (b"",)
    ) -> list[bytes]:
        """Lose some keys, as a full server would; which.

        Args:
            share: how likely for each key.
            spare: ends of names that stay.
            only: ends of names that may go.
        """
        keys = self.redis.keys
        some = [k for k in sorted(keys.values) if k.endswith(only) and not k.endswith(spare)]
        gone = [key for key in some if self._world.chance(share)]
        for key in gone:
            keys.delete(key)
        return gone

    def trim(self, ending: bytes, most: int) -> None:
        """Shorten the streams whose names end so."""
        for name, value in self.redis.keys.values.items():
            if name.endswith(ending) and isinstance(value, Stream):
                value.trim(most, about=False)
