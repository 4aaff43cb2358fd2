"""A simulated Redis server in the world: it takes its time, freezes, dies, and is replaced."""

from collections.abc import Callable
from functools import partial
from typing import Any

from regionware.testing.simulator.redis import SimulatedRedis
from regionware.testing.simulator.replies import ReplyError, Words
from regionware.testing.simulator.stream import Stream
from regionware.testing.simulator.streaming import Reading
from regionware.testing.simulator.world import World

#: When the world begins, seconds since the epoch.
EPOCH = 1_700_000_000

#: Called with a reply, an error or `Lost`.
Answered = Callable[[Any], None]


class Lost:
    """The connection has ended without a reply."""


class _Waiting:
    """A client that waits for entries of streams."""

    __slots__ = ("answered", "asked", "done")

    def __init__(self, asked: Reading, answered: Answered) -> None:
        self.asked = asked
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

    def __init__(self, world: World, name: str, on_loss: Callable[[], None]) -> None:
        """Begin empty.

        Args:
            world: its clock.
            name: of its region.
            on_loss: called when what is to be relayed may be lost.
        """
        self.name = name
        self._on_loss = on_loss
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
            before = self.redis.keys.appended
            answered(self._reply(words))
            if self.redis.keys.appended != before:
                self._wake()

    def _reply(self, words: Words) -> Any:
        try:
            return self.redis.execute(words)
        except ReplyError as error:
            return error

    def _read(self, words: Words, answered: Answered) -> None:
        """Read streams, and wait for their entries as long as the client wants."""
        try:
            asked = Reading.of(self.redis.keys, words[1:])
            reply: Any = asked.read(self.redis.keys)
        except ReplyError as error:
            answered(error)
            return
        if reply is not None or asked.block is None:
            answered(reply)
            return
        waiting = _Waiting(asked, answered)
        self._waiting.append(waiting)
        self._world.after(asked.block / 1000, partial(self._give_up, waiting))

    def _wake(self) -> None:
        for waiting in self._waiting[:]:
            if (reply := waiting.asked.read(self.redis.keys)) is not None:
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
        self._on_loss()
        self.behind += behind
        self.frozen_until = 0.0
        self.down_until = self._world.now + down
        self.cut()

    def flush(self) -> None:
        """Lose everything, and stay."""
        self.redis.keys.clear()
        self._on_loss()

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
        if any(key.endswith((b":outbox", b":relayed")) for key in gone):
            self._on_loss()
        return gone

    def trim(self, ending: bytes, most: int) -> None:
        """Shorten the streams whose names end so."""
        for name, value in self.redis.keys.values.items():
            if name.endswith(ending) and isinstance(value, Stream):
                value.trim(most, about=False)
