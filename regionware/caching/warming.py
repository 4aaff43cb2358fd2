"""Warm start: a worker that begins fetches what the others of its region are asked for most.

Each worker publishes mentions of the entries it was lately asked for, in one sorted set of the
region. One that begins reads the first of them, once its fences are those of the region, and looks
them up in Redis one after the other, in the background. What it finds is judged like any hit.
Nothing waits for it, and trouble ends it: it is a convenience.
"""

import logging
from collections.abc import Callable
from threading import Event

from regionware.caching.chore import Chore
from regionware.caching.clients import background
from regionware.caching.echo import asked, found_entry, mention
from regionware.caching.entry import Entry, Key, Variants
from regionware.caching.fresh import is_fresh
from regionware.caching.memory import Memory
from regionware.caching.redis import TROUBLE, RedisTier
from regionware.caching.scripts import HOT
from regionware.dice import DICE
from regionware.effects import Lookup
from regionware.observe import Event as Happened
from regionware.policies.cache import Cache
from regionware.policies.table import render
from regionware.prepared import Prepared

#: Mentions that a region keeps, and a worker fetches, at most.
MOST = 5000
#: Seconds between two publications, about.
EVERY = 10.0
#: Milliseconds for which the region remembers them.
_LIFE = 3_600_000
#: Seconds for one call, and for which it waits for the fences each time.
_DEADLINE = 2.0
_STEP = 0.05
#: Look-ups in a row, and seconds of rest between them: requests come first.
_BATCH, _REST = 50, 0.01

logger = logging.getLogger("regionware")


class Warming(Chore):
    """Fetches at the start, then publishes again and again."""

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        url: str,
        tier: RedisTier,
        prepared: Prepared,
        memory: Memory,
        synced: Callable[[], Event],
        most: int,
    ) -> None:
        """Start nothing yet.

        Args:
            url: the region's Redis.
            tier: looks entries up, within the deadlines of any request.
            prepared: the parts.
            memory: what is filled.
            synced: says that the fences of this process are those of the region.
            most: how many entries are fetched, and published.
        """
        super().__init__("regionware-warming")
        self._url = url
        self._tier = tier
        self._prepared = prepared
        self._memory = memory
        self._synced = synced
        self._most = most

    def run(self, stop: Event) -> None:
        """Fetch once, then publish until the end."""
        while not self._synced().wait(_STEP):
            if stop.is_set():
                return
        self._guarded(lambda: self.fetch(stop))
        while not stop.wait(EVERY * DICE.uniform(0.8, 1.2)):
            self._guarded(self.publish)

    @staticmethod
    def _guarded(work: Callable[[], object]) -> None:
        try:
            work()
        except TROUBLE as error:
            logger.debug("no warm start: %s", error)

    def publish(self) -> int:
        """Tell the region what this process was lately asked for; how much of it is known there.

        Raises:
            redis.RedisError: and the others of `TROUBLE`.
        """
        told = self.wanted()
        if self._prepared.mode != "on" or not told:
            return 0
        with background(self._url, _DEADLINE) as client:
            arguments = (MOST, _LIFE, *(each.encode("utf-8", "surrogateescape") for each in told))
            return int(client.eval(HOT.text, 1, self._tier.names.hot, *arguments))

    def wanted(self) -> list[str]:
        """Mentions of the entries that were wanted, those with a head of late first."""
        now = self._prepared.clock()
        entries = [
            each
            for each in self._memory.records()
            if isinstance(each, Entry) and each.visited and now < each.fresh_until
        ]
        entries.sort(key=_last, reverse=True)
        return list(filter(None, map(mention, entries[: self._most])))

    def fetch(self, stop: Event) -> None:
        """Fetch what the region's workers are asked for most.

        Raises:
            redis.RedisError: and the others of `TROUBLE`.
        """
        if self._prepared.mode != "on":
            return
        with background(self._url, _DEADLINE) as client:
            known = client.zrevrange(self._tier.names.hot, 0, self._most - 1)
        for number, each in enumerate(known):
            full = self._memory.currsize * 2 > self._memory.maxsize
            if stop.is_set() or full or not self._take(bytes(each).decode("utf-8", "replace")):
                return
            if number % _BATCH == _BATCH - 1:
                stop.wait(_REST)

    def _take(self, told: str) -> bool:
        """Look one entry up and keep it; `False` if Redis does not answer."""
        wanted, prepared = asked(told), self._prepared
        if wanted is None:
            return True
        fences = prepared.fences
        found = self._tier.lookup(Lookup(wanted[0], None, 0, wanted[1], fences.told))
        if not found.available:
            return False
        # No entry of this process is later, so a purge that only it knows of reaches them all.
        fences.see(found.stamp)
        made = found_entry(told, found, prepared.clock(), prepared.seal, self._policy_of)
        if made is not None and is_fresh(fences, made[0], None, prepared.clock()):
            self._keep(*made)
        return True

    def _policy_of(self, key: Key) -> tuple[Cache, tuple[str, ...]] | None:
        """How a key is cached today, and its tags."""
        plan = self._prepared.plan_of(key[1], key[2])
        # What an earlier configuration has stored may be for a host that is none of ours now.
        if plan.keys is None or self._prepared.hosts.canonical(key[1], key[0]) != key[1]:
            return None
        return plan.keys.cache, render(plan.tags, plan.compiled.arguments(key[2]))

    def _keep(self, entry: Entry, names: tuple[str, ...]) -> None:
        if entry.key in self._memory or not self._memory.put(entry):
            return
        if names:
            key = entry.key[: entry.key.index("\0")]
            if not isinstance(self._memory.peek(key), Variants):
                self._memory.put(Variants(key, names))
        self._prepared.events.emit(Happened("warmed", tier="redis"))


def _last(entry: Entry) -> int:
    """The second in which an entry was last given a head; 0 if it has none."""
    wire = entry.wire
    return 0 if wire is None else wire[1]
