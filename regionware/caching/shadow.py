"""A shadow comparison: now and then one entry in memory is held against the region's Redis.

It measures from outside what the fences promise: that no entry is served which a purge has ended
longer ago than the bound. It asks Redis itself, not this process's table of fences. It is done by
time and in the background, so that a hit knows nothing of it.
"""

import logging
from collections.abc import Sequence
from threading import Event
from typing import Any

import redis

from regionware.caching.chore import Chore
from regionware.caching.clients import background
from regionware.caching.coherence import BOUND, Fence, names_of
from regionware.caching.echo import asked, mention
from regionware.caching.entry import Entry
from regionware.caching.frame import decode
from regionware.caching.fresh import is_fresh
from regionware.caching.keys import canonical
from regionware.caching.memory import Memory
from regionware.caching.redis import TROUBLE, RedisTier
from regionware.dice import DICE
from regionware.effects import Found, Lookup
from regionware.observe import Event as Happened
from regionware.prepared import Prepared

#: Comparisons in a second, at most.
FASTEST = 10.0
_DEADLINE = 2.0

logger = logging.getLogger("regionware")


class Shadow(Chore):
    """Compares, and tells what it found: events named `shadow`, with one of these details.

    `same`: Redis has the same entry. `replaced`: it has another by now, and no purge has ended
    ours. `missing`: it has none that can be read. `older`: a purge of ours was acknowledged longer
    ago than the bound, and it would be served all the same. That must never happen.
    """

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        url: str,
        tier: RedisTier,
        prepared: Prepared,
        memory: Memory,
        rate: float,
        bound: float = BOUND,
    ) -> None:
        """Start nothing yet.

        Args:
            url: the region's Redis.
            tier: looks entries up, within the deadlines of any request.
            prepared: the parts.
            memory: where entries are drawn from.
            rate: comparisons in a second.
            bound: seconds for which an acknowledged purge may be unknown here.
        """
        super().__init__("regionware-shadow")
        self._url = url
        self._tier = tier
        self._prepared = prepared
        self._memory = memory
        self._pause = 1 / rate if rate else 0.0
        self._bound = int(bound * 1_000_000)

    def run(self, stop: Event) -> None:
        """Compare until the end."""
        with background(self._url, _DEADLINE) as client:
            while not stop.wait(self._pause):
                try:
                    self.compare(client)
                except TROUBLE as error:
                    logger.debug("no shadow comparison: %s", error)

    def compare(self, client: "redis.Redis") -> str:
        """Draw one entry, compare it and tell; the detail, empty if nothing could be compared.

        Raises:
            redis.RedisError: and the others of `TROUBLE`.
        """
        entry = self._draw()
        wanted = asked(mention(entry)) if entry is not None else None
        if entry is None or wanted is None:
            return ""
        stamp = self._prepared.fences.told
        found = self._tier.lookup(Lookup(wanted[0], None, 0, wanted[1], stamp))
        if not found.available:
            return ""
        purged = self._is_purged(client, entry, found.stamp)
        detail = "older" if purged and self._is_served(entry) else self._compared(entry, found)
        self._prepared.events.emit(Happened("shadow", detail=detail))
        return detail

    def _draw(self) -> Entry | None:
        """One of the entries that were wanted, and would be served."""
        if self._prepared.mode != "on":
            return None
        records = self._memory.records()
        wanted = [each for each in records if isinstance(each, Entry) and each.visited]
        served = [each for each in wanted if self._is_served(each)] if len(wanted) < 8 else wanted
        return DICE.choice(served) if served else None

    def _is_served(self, entry: Entry) -> bool:
        fences, now = self._prepared.fences, self._prepared.clock()
        return self._memory.peek(entry.key) is entry and is_fresh(fences, entry, None, now)

    def _is_purged(self, client: "redis.Redis", entry: Entry, stamp: int) -> bool:
        """Whether Redis knew, longer than the bound before `stamp`, of a purge that ends it."""
        names = ["h" + name for name in names_of(entry.key, entry.tags)]
        fences = _fences(client.hmget(self._tier.names.fences, names))
        return any(not fence.passes(entry) for fence in fences if stamp - fence.stamp > self._bound)

    def _compared(self, entry: Entry, found: Found) -> str:
        frame = decode(found.frame, canonical(entry.key), self._prepared.seal)
        if frame is None or frame.created < entry.created:
            return "missing"
        return "same" if frame.created == entry.created else "replaced"


def _fences(values: Sequence[Any]) -> list[Fence]:
    """The fences that there are.

    Raises:
        ValueError: one cannot be read.
    """
    return [Fence.decode(bytes(value).decode("ascii")) for value in values if value is not None]
