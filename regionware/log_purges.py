"""Takes purges from the database's log: asks with the prober, applies on a thread of its own.

A row's purge is raised in this region's Redis, once for the whole region: the row has a name among
the fences, and the script leaves alone what that name says was raised before. Other workers hear
of it as of any purge. Without a Redis each process raises its own fences.

Every region takes every row, but one region alone tells the caches in front, which are all
regions' own: see `regionware.composition`.
"""

import logging
import queue
from collections.abc import Sequence
from threading import Event as Flag
from time import monotonic
from typing import Final

from regionware.caching.chore import Chore
from regionware.caching.purging import ONCE as _ONCE
from regionware.caching.purging import TO_EDGES, Order, Relay, raise_here
from regionware.caching.redis import TROUBLE, RedisTier
from regionware.database.position import Position
from regionware.database.purge_sql import MARK, prune
from regionware.database.purges import (
    ALL,
    Asked,
    Row,
    Table,
    Taken,
    Window,
    read_facts,
)
from regionware.database.selector import Host
from regionware.dice import DICE
from regionware.errors import PurgeError
from regionware.fencing import EdgeQueue
from regionware.observe import Event
from regionware.prepared import Prepared

#: Seconds after a replica's last answer when the primary is asked for rows in its place.
_COVERED: Final = 2.0
#: How often in a row a host may refuse the question (a conflict with replay is no habit), and the
#: seconds for which it is then asked without it.
_STRIKES: Final = 3
_REFUSED: Final = 30.0
#: Seconds that this region's Redis may take; then the purge holds in this process and is queued.
_CONFIRM: Final = 0.25
#: Seconds between two cursors.
_KEEP: Final = 5.0
#: Seconds between two deletions of old rows by one process, give or take a half.
_PRUNE: Final = 60.0

logger = logging.getLogger("regionware")


class LogPurges(Chore):
    """What a process does with the table of purges.

    Attributes:
        table: the table as the primary shows it; `None` where there is none, or nobody knows yet.
    """

    def __init__(
        self,
        prepared: Prepared,
        tier: RedisTier | None,
        here: Relay | None,
        *,
        retention: int,
        edges: Sequence[EdgeQueue] = (),
    ) -> None:
        """Start nothing yet.

        Args:
            prepared: whose fences are raised.
            tier: this region's Redis.
            here: carries what it did not confirm.
            retention: microseconds after which no entry can be older than a fence.
            edges: the caches in front, in the one region that tells them of the log.
        """
        super().__init__("regionware-purges")
        self._prepared = prepared
        self._tier = tier
        self._here = here
        self._retention = retention
        self._edges = edges
        self._begin()

    def _begin(self) -> None:
        self._primary: Table | None = None
        self._window: Window | None = None
        self._cursor: str | None = None
        self._tables: dict[str, Table | None] = {}
        self._strikes: dict[str, int] = {}
        self._refusals: dict[str, float] = {}
        self._covered = float("-inf")
        self._told: set[str] = set()
        self._handed = float("-inf")
        self._due = monotonic() + DICE.uniform(0, _PRUNE)
        self._queue: queue.SimpleQueue[Taken] = queue.SimpleQueue()

    @property
    def table(self) -> Table | None:
        """See the class."""
        return self._primary

    def forget(self) -> None:
        """After a fork: the thread, the reader and what it has read are the parent's."""
        super().forget()
        self._begin()

    # On the prober's thread

    def ask(self, host: Host, system: str) -> Asked:
        """See `Reader`."""
        now, cursor = monotonic(), self._cursor
        if cursor is None:
            return Asked("")
        if self._window is None or self._window.system != system:
            self._window = Window(system, cursor)
        wanted = host.role == "replica" or now - self._covered > _COVERED
        refused = now - self._refusals.get(host.name, float("-inf")) < _REFUSED
        return self._window.ask(self._tables.get(host.name) if wanted and not refused else None)

    def connected(self, host: Host) -> None:
        """See `Reader`."""
        self._tables.pop(host.name, None)
        if self._window is not None:
            self._window.again()

    def answered(
        self, host: Host, asked: Asked, answer: Sequence[str], position: Position | None
    ) -> bool:
        """See `Reader`."""
        window = self._window
        if not answer or window is None:
            return False
        table = self._note(host, read_facts(answer[0]))
        if not asked.rows:
            # What was just found out is for the next question: now, not in a while.
            wanted = host.role == "replica" and table is not None and table.reads
            return wanted and host.name not in self._strikes
        self._strikes.pop(host.name, None)
        if position is None or asked.by is not window:
            return False
        if host.role == "replica" and position.timeline >= window.timeline:
            # One that follows an older timeline tells nothing that counts.
            self._covered = monotonic()
        if host.role == "primary" and position.timeline < window.timeline:
            self._go_back(position)
            return True
        self._hand(taken := window.read(asked, answer[1:], position, host.role))
        return taken.more

    def _go_back(self, position: Position) -> None:
        """The region has read further than the primary's history goes: that was restored.

        Numbers of transactions are given again, so what was read says nothing of what was not.
        """
        logger.warning(
            "the database has gone back to timeline %d: all is purged", position.timeline
        )
        self._cursor, self._window = "", None
        self._hand(Taken([Row("", ALL, 0.0)], position, more=True, cursor=""))

    def _note(self, host: Host, table: Table | None) -> Table | None:
        self._tables[host.name] = table
        if table is None and self._window is not None:
            self._window.vanished()
        if host.role == "primary":
            self._primary = table
            if table is not None:
                self._warn(table)
        return table

    def _warn(self, table: Table) -> None:
        for may, what, then in (
            (table.reads, "SELECT from", "purges are not taken from it"),
            (table.adds, "INSERT into", "purges of write handles do not ride in it"),
            (table.deletes, "DELETE from", "it is not pruned from here"),
        ):
            if not may and what not in self._told:
                self._told.add(what)
                logger.warning("the role may not %s %s: %s", what, table.name, then)

    def _hand(self, taken: Taken) -> None:
        now = monotonic()
        if taken.rows or (taken.cursor and now - self._handed > _KEEP):
            self._handed = now
            self._queue.put(taken)

    def refused(self, host: Host, error: str) -> None:
        """See `Reader`."""
        strikes = self._strikes[host.name] = self._strikes.get(host.name, 0) + 1
        self._tables.pop(host.name, None)
        if strikes % _STRIKES == 0:
            self._refusals[host.name] = monotonic()
            logger.warning("%s does not tell its purges: %s", host.name, error)

    def pruning(self, host: Host) -> str | None:
        """See `Reader`."""
        table = self._primary
        if host.role != "primary" or table is None or not (table.deletes and table.adds):
            return None
        if (now := monotonic()) < self._due:
            return None
        self._due = now + _PRUNE * DICE.uniform(0.5, 1.5)
        return prune(table.name, self._retention / 1_000_000)

    # On its own thread

    def run(self, stop: Flag) -> None:
        """Apply what was taken, in order."""
        try:
            self._apply_all(stop)
        finally:
            if self._stop is stop:  # else another thread has begun where this one was late
                self._cursor = self._window = None

    def _apply_all(self, stop: Flag) -> None:
        self._cursor, taking = self._left(), self._queue
        while not stop.is_set():
            try:
                taken = taking.get(timeout=0.25)
            except queue.Empty:
                continue
            try:
                for row in taken.rows:
                    if stop.is_set():
                        return
                    self._apply(row, taken.need)
                self._keep(taken.cursor)
            except Exception:
                # Nothing that a row may hold should come to this; if it does, nothing old stays.
                logger.exception("a purge from the database cannot be applied: all are")
                self._apply(Row("", ALL, 0.0), taken.need)

    def _apply(self, row: Row, need: Position) -> None:
        fences, tell = self._prepared.fences, self._prepared.events.emit
        if row.mark in fences:
            return  # The worker that made the purge, or another reader, was faster.
        if row.missed:
            logger.warning("purges were deleted before they were read here: everything is purged")
            tell(Event("gap", detail="database"))
        names = (*row.names, row.mark) if row.mark else row.names
        order = Order(names, need, self._retention)
        if self._tier is None:
            fences.raise_alone(names, need)
            self._take(order)
        else:
            self._raise(self._tier, order)
        tell(Event("log-purge", seconds=max(row.age, 0.0)))

    def _raise(self, tier: RedisTier, order: Order) -> None:
        fences = self._prepared.fences
        known = fences.stamp
        try:
            stamp = raise_here(tier, _once(order, known, onward=bool(self._edges)), _CONFIRM)
        except PurgeError as error:
            fences.raise_alone(order.names, order.position)
            if self._here is not None:
                self._here.send(order)
            self._take(order)
            here = self._prepared.topology.here.name
            logger.warning("region %s: a purge from the database waits: %s", here, error)
            self._prepared.events.emit(Event("purge-queued", detail=here))
        else:
            # Given to another worker, it does not know how far this one has read the clock.
            (fences.raise_to if stamp > known else fences.hear)(order.fences(stamp))

    def _take(self, order: Order) -> None:
        """Tell the edges, where no outbox does."""
        for edge in self._edges:
            edge.take(order, 0)

    @property
    def _key(self) -> str:
        assert self._tier is not None  # noqa: S101 - asked where there is one
        return self._tier.names.rows

    def _left(self) -> str:
        """Where the region is, if its Redis knows."""
        try:
            found = b"" if self._tier is None else self._tier.ask("GET", self._key)
        except TROUBLE:
            return ""
        return found.decode("ascii", "replace") if isinstance(found, bytes) else ""

    def _keep(self, cursor: str) -> None:
        """Everything up to the cursor is applied in this region."""
        if not cursor or self._tier is None or (self._here is not None and len(self._here)):
            return
        try:
            self._tier.ask("SET", self._key, cursor)
        except TROUBLE as error:
            logger.debug("the cursor of purges is not kept: %s", error)


def _once(order: Order, known: int, *, onward: bool) -> list[tuple[str | int, ...]]:
    """Arguments for the script, which leaves alone what was raised before."""
    flags = TO_EDGES if onward else 0
    chunks = order.chunks(known, flags=flags)
    if order.names[-1].startswith(MARK):
        chunks[-1] = (*chunks[-1][:3], flags | _ONCE, *chunks[-1][4:])
    return chunks
