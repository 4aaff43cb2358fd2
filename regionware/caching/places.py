"""Where the servers of a region are, when they are several: found out in the background.

A request finds a known address, or a miss; it never asks who the master is. One daemon thread for
each process asks the sentinels, or the nodes of the cluster, once in a while, and at once when
somebody doubts what is known: after a failure, or a redirection.
"""

import logging
from collections.abc import Callable, Sequence
from threading import Event
from time import monotonic
from typing import Any, Protocol

from redis.exceptions import AskError

from regionware.caching.lines import Lines
from regionware.caching.replies import TROUBLE, pack
from regionware.caching.slots import read_slots, slot_of
from regionware.caching.threaded import Threaded
from regionware.redis_url import Address, RedisUrl

#: Seconds in which a sentinel or a node has to say where the others are. Nobody waits for it.
_PATIENT = 0.5
#: Seconds between two questions when nobody doubts, and at least, when somebody does.
_SENTINELS_PERIOD = 1.0
_SLOTS_PERIOD = 10.0
_PAUSE = 0.1
_JOIN = 2.0

logger = logging.getLogger("regionware")


class Places(Protocol):
    """Which server has a key."""

    def at(self, key: str) -> Address | None:
        """Its address, if it is known."""

    def moved(self, error: AskError, asked: Address) -> Address:
        """Where `asked` has said that the key is, from now on."""

    def nodes(self) -> Sequence[Address]:
        """Every server that is known to have keys."""

    def learn(self) -> bool:
        """Ask, and wait for the answers; whether somebody has answered."""

    def close(self) -> None:
        """Close the connections for questions."""


class Seeds:
    """Servers that may be asked where others are, over connections that are kept."""

    def __init__(self) -> None:
        """Connect to nothing yet."""
        self._lines: dict[Address, Lines] = {}

    def ask(self, address: Address, url: str, *words: str) -> Any:
        """The reply to a command.

        Raises:
            OSError: and the others of `TROUBLE`: there is none.
        """
        lines = self._lines.get(address)
        if lines is None:
            lines = self._lines[address] = Lines(url, _PATIENT)
        return lines.call(pack(words))

    def close(self) -> None:
        """Close every connection."""
        used, self._lines = self._lines, {}
        for lines in list(used.values()):
            lines.keep = False
            lines.close()


class Master:
    """The master that the sentinels name.

    Of several answers the one of the latest configuration counts: a sentinel that was away may
    still name the old master. What it names must say itself that it is the master.
    """

    def __init__(self, url: RedisUrl) -> None:
        """Know nothing yet."""
        self._url = url
        self._seeds = Seeds()
        self._known: Address | None = None

    def at(self, key: str) -> Address | None:  # noqa: ARG002 - one server has every key
        """The master's address, if it is known."""
        return self._known

    def moved(self, error: AskError, asked: Address) -> Address:  # noqa: ARG002 - see below
        """Nothing moves where one server has every key: ask there, and be told so again."""
        return asked

    def nodes(self) -> Sequence[Address]:
        """The master, if it is known."""
        return () if self._known is None else (self._known,)

    def learn(self) -> bool:
        """Ask every sentinel."""
        answers = [answer for seed in self._url.seeds if (answer := self._ask(seed)) is not None]
        for _, address in sorted(answers, reverse=True):
            if address == self._known or self._is_master(address):
                self._known = address
                return True
        return False

    def _ask(self, seed: Address) -> tuple[int, Address] | None:
        """The configuration's number and the master's address, as one sentinel knows them."""
        words = ("SENTINEL", "MASTER", self._url.master)
        try:
            reply = self._seeds.ask(seed, self._url.sentinel(seed), *words)
            told = dict(zip(reply[::2], reply[1::2], strict=True))
            address = told[b"ip"].decode("ascii"), int(told[b"port"])
            return int(told[b"config-epoch"]), address
        except (*TROUBLE, TypeError, KeyError, AttributeError) as error:
            logger.debug("a sentinel does not name the master %s: %s", self._url.master, error)
            return None

    def _is_master(self, address: Address) -> bool:
        try:
            lines = Lines(self._url.node(address), _PATIENT, keep=False)
            reply = lines.call(pack(("ROLE",)))
        except TROUBLE:
            return False
        return isinstance(reply, list) and reply[:1] == [b"master"]

    def close(self) -> None:
        """Close the connections to the sentinels."""
        self._seeds.close()


class Slots:
    """Which node of a cluster has which slot."""

    def __init__(self, url: RedisUrl) -> None:
        """Know nothing yet."""
        self._url = url
        self._seeds = Seeds()
        self._table: list[Address | None] = []

    def at(self, key: str) -> Address | None:
        """The address of the node that has the key's slot, if it is known."""
        table = self._table
        return table[slot_of(key)] if table else None

    def moved(self, error: AskError, asked: Address) -> Address:
        """Where the slot is from now on; the address may leave out the host of who was asked."""
        address = error.host or asked[0], error.port
        if self._table:
            if not 0 <= error.slot_id < len(self._table):
                raise ValueError("a slot that does not exist")
            self._table[error.slot_id] = address
        return address

    def learn(self) -> bool:
        """Ask one node after the other until one answers, those that are known before the seeds."""
        for address in dict.fromkeys((*self.nodes(), *self._url.seeds)):
            try:
                reply = self._seeds.ask(address, self._url.node(address), "CLUSTER", "SLOTS")
                table = read_slots(reply, address)
            except TROUBLE as error:
                logger.debug("a node of the cluster does not say who has the slots: %s", error)
                continue
            if any(table):
                self._table = table
                return True
        return False

    def nodes(self) -> Sequence[Address]:
        """The masters that are known."""
        return [address for address in dict.fromkeys(self._table) if address is not None]

    def close(self) -> None:
        """Close the connections for questions."""
        self._seeds.close()


def places_of(url: RedisUrl) -> Places:
    """What has to be found out for a URL of several servers."""
    return Master(url) if url.kind == "sentinel" else Slots(url)


class Finder(Threaded):
    """The thread that keeps what is known about places up to date."""

    def __init__(
        self, url: RedisUrl, *, on_news: Callable[[], None], random: Callable[[], float]
    ) -> None:
        """Start nothing yet.

        Args:
            url: of several servers.
            on_news: called, in the thread, after each answer.
            random: a number from 0 to 1, so that processes do not ask in step.
        """
        self._url = url
        self._on_news = on_news
        self._random = random
        self._period = _SENTINELS_PERIOD if url.kind == "sentinel" else _SLOTS_PERIOD
        super().__init__("regionware-places")
        self.forget()

    def forget(self) -> None:
        """After a fork: the thread exists in the parent only, and so do its connections."""
        self.places = places_of(self._url)
        self._doubted = Event()
        self._reset()

    @property
    def running(self) -> bool:
        """Whether there is a thread."""
        return self._thread is not None

    def doubt(self) -> None:
        """What is known may be wrong: ask soon."""
        self._doubted.set()

    def ask(self) -> None:
        """Find out now, and wait for it: for somebody patient, where no thread does it."""
        try:
            self.places.learn()
        finally:
            if not self.running:
                self.places.close()

    def stop(self) -> None:
        """End the thread."""
        thread = self._ended()
        self._doubted.set()
        if thread is not None:
            thread.join(_JOIN)
        self.places.close()

    def _learns(self) -> bool:
        try:
            if learnt := self.places.learn():
                self._on_news()
        except Exception:
            # Whatever a server may have answered, the next failover has to be found all the same.
            logger.exception("an answer about where the region's Redis is cannot be used")
            return False
        return learnt

    def _run(self, stop: Event) -> None:
        said = False
        while not stop.is_set():
            self._doubted.clear()
            began = monotonic()
            if self._learns():
                said = False
            elif not said:
                said = True
                logger.warning("nobody says where the region's Redis is; it is asked for further")
            if self._doubted.wait(self._period * (0.9 + 0.2 * self._random())):
                stop.wait(max(_PAUSE - (monotonic() - began), 0))
