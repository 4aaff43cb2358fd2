"""Pooled connections: psycopg's own, which also notice what is done with them.

Everything that psycopg sends goes through `Connection.wait`, so overriding that one public method
tells, without a round trip and without parsing SQL, whether a connection was used at all, whether
a transaction ended on it, and whether its first use was one whose position we can learn.
That first use is `Cursor.execute` on a read handle of the primary: the questions of
`regionware.database.messages` travel in front of it, in one flight.
"""

import select
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Self, TypeVar

import psycopg
from psycopg import pq
from psycopg.abc import PQGen, Query
from psycopg.rows import tuple_row

from regionware.database.messages import (
    POSITION,
    QUIET,
    Reply,
    lower_bound,
    replies_of,
    separate,
    single,
)
from regionware.database.position import Position
from regionware.database.selector import Host
from regionware.policies.database import Access

V = TypeVar("V")

#: What is told about the first use of a read handle: the lower bound of what it can see.
Report = Callable[[Position | None], None]

_IDLE = pq.TransactionStatus.IDLE


def _readable(fileno: int) -> bool:
    """Whether there is something to read now."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([fileno], [], [], 0)[0])
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return bool(poll.poll(0))


class Watch:
    """What is known of one connection; mixed into the two kinds."""

    pgconn: pq.abc.PGconn
    #: When it was ready, by the monotonic clock; a mark made later speaks of its server too.
    ready = float("inf")
    #: Which start of which server it leads to; see `Mark`.
    instance = ""
    #: What it may do: a `write` connection is not autocommit.
    access: Access = "read"
    #: The pool it is out of.
    home: Any = None
    used = False
    #: A transaction ended since it was handed out, or may have.
    ended = False
    report: Report | None = None
    #: Asked when a write was refused: the error, the query, whether it was the first of the handle;
    #: whether the same link can now write.
    rescue: Any = None

    def hand_out(self, report: Report | None) -> None:
        """Forget the last user; `report` is called once, at the first use, if there is any."""
        self.used = self.ended = False
        self.report, self.rescue = report, None

    def taken(self, row: list[str], host: Host) -> None:
        """Note what a new connection answered to `CHECK`.

        Raises:
            psycopg.OperationalError: it does not lead to a host of this role, or it is for
                reading and the server would let it write.
        """
        read_only, recovering, self.instance = row
        if (recovering == "t") != (host.role == "replica"):
            raise psycopg.OperationalError(f"{host.name} is not a {host.role}")
        if self.access == "read" and read_only != "on":
            raise psycopg.OperationalError(f"{host.name}: the connection is not read-only")
        self.ready = monotonic()

    def using(self) -> None:
        """Something is about to be sent."""
        self.used = True
        if self.report is not None:
            report, self.report = self.report, None
            report(None)

    def sent(self) -> None:
        """Something was sent and answered, or failed."""
        if self.pgconn.transaction_status == _IDLE:
            self.ended = True

    def alive(self) -> bool:
        """Whether the connection still stands, as far as can be seen without a round trip.

        An idle connection has nothing to read, except the other side's goodbye.
        """
        try:
            if _readable(self.pgconn.socket):
                self.pgconn.consume_input()
        except (psycopg.OperationalError, OSError):
            return False
        return self.pgconn.status == pq.ConnStatus.OK

    def spoilt(self) -> bool:
        """Whether it must not be handed out again: busy, or no longer read-only."""
        busy = (pq.TransactionStatus.ACTIVE, pq.TransactionStatus.UNKNOWN)
        if self.pgconn.transaction_status in busy:
            return True
        if self.pgconn.pipeline_status != pq.PipelineStatus.OFF:
            return True
        # Reported by servers since 14 whenever it changes; at no cost.
        said = self.pgconn.parameter_status(b"default_transaction_read_only")
        return self.access == "read" and said == b"off"

    def probed(self, query: Query, params: Any) -> Report | None:
        """Take the report, if probes may travel in front of this statement."""
        report = self.report
        if (
            report is None
            or not psycopg.Pipeline.is_supported()
            or self.pgconn.pipeline_status != pq.PipelineStatus.OFF
            or self.pgconn.transaction_status != _IDLE
            or not (params or single(query))
        ):
            return None
        self.report = None
        return report


class Link(Watch, psycopg.Connection[Any]):
    """A pooled connection."""

    def wait(self, gen: PQGen[V], *args: Any, **kwargs: Any) -> V:
        """As psycopg's."""
        self.using()
        try:
            return super().wait(gen, *args, **kwargs)
        finally:
            self.sent()

    def replies(self, message: str) -> list[Reply]:
        """Send one message of one or several statements, and return every result."""
        with psycopg.Cursor(self) as cursor:
            return replies_of(cursor.execute(message.encode(), prepare=False))

    def tidy(self) -> None:
        """Undo what the last user changed of psycopg's settings, and any open transaction."""
        if self.pgconn.transaction_status != _IDLE:
            self.rollback()
        if self.autocommit != (self.access == "read"):
            self.autocommit = self.access == "read"
        if (self.isolation_level, self.read_only, self.deferrable) != (None, None, None):
            self.isolation_level = self.read_only = self.deferrable = None
        self.row_factory, self.cursor_factory = tuple_row, ProbingCursor

    def bound_before(self, statement: Callable[[], object]) -> Position | None:
        """Send the probes and then what `statement` sends, in one flight; the lower bound."""
        position, quiet = psycopg.Cursor(self), psycopg.Cursor(self)
        with self.pipeline() as pipeline:
            position.execute(POSITION)
            separate(pipeline)
            quiet.execute(QUIET)
            separate(pipeline)
            statement()
        return lower_bound(position, quiet)


class AsyncLink(Watch, psycopg.AsyncConnection[Any]):
    """A pooled async connection."""

    async def wait(self, gen: PQGen[V], *args: Any, **kwargs: Any) -> V:
        """As psycopg's."""
        self.using()
        try:
            return await super().wait(gen, *args, **kwargs)
        finally:
            self.sent()

    async def replies(self, message: str) -> list[Reply]:
        """Send one message of one or several statements, and return every result."""
        async with psycopg.AsyncCursor(self) as cursor:
            return replies_of(await cursor.execute(message.encode(), prepare=False))

    async def tidy(self) -> None:
        """Undo what the last user changed of psycopg's settings, and any open transaction."""
        if self.pgconn.transaction_status != _IDLE:
            await self.rollback()
        if self.autocommit != (self.access == "read"):
            await self.set_autocommit(self.access == "read")
        if (self.isolation_level, self.read_only, self.deferrable) != (None, None, None):
            await self.set_isolation_level(None)
            await self.set_read_only(None)
            await self.set_deferrable(None)
        self.row_factory, self.cursor_factory = tuple_row, AsyncProbingCursor

    async def bound_before(self, statement: Callable[[], Awaitable[object]]) -> Position | None:
        """Send the probes and then what `statement` sends, in one flight; the lower bound."""
        position, quiet = psycopg.AsyncCursor(self), psycopg.AsyncCursor(self)
        async with self.pipeline() as pipeline:
            await position.execute(POSITION)
            separate(pipeline)
            await quiet.execute(QUIET)
            separate(pipeline)
            await statement()
        return lower_bound(position, quiet)


class ProbingCursor(psycopg.Cursor[Any]):
    """The cursor of read handles on the primary."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        """As psycopg's."""
        link = self.connection
        first = isinstance(link, Link) and not link.used
        try:
            return self._probe(query, params, **options)
        except psycopg.errors.ReadOnlySqlTransaction as error:
            if not isinstance(link, Link) or link.rescue is None:
                raise
            if not link.rescue(error, query, first=first):
                raise
        # The link has another socket by now.
        ProbingCursor.__init__(self, link, row_factory=self.row_factory)
        return super().execute(query, params, **options)

    def _probe(self, query: Any, params: Any, **options: Any) -> Self:
        link = self.connection
        report = link.probed(query, params) if isinstance(link, Link) else None
        if report is None or not isinstance(link, Link):
            return super().execute(query, params, **options)
        bound = None
        try:
            run = super().execute
            bound = link.bound_before(lambda: run(query, params, **options))
        finally:
            report(bound)
        return self


class AsyncProbingCursor(psycopg.AsyncCursor[Any]):
    """The cursor of async read handles on the primary."""

    async def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        """As psycopg's."""
        link = self.connection
        first = isinstance(link, AsyncLink) and not link.used
        try:
            return await self._probe(query, params, **options)
        except psycopg.errors.ReadOnlySqlTransaction as error:
            if not isinstance(link, AsyncLink) or link.rescue is None:
                raise
            if not await link.rescue(error, query, first=first):
                raise
        # The link has another socket by now.
        AsyncProbingCursor.__init__(self, link, row_factory=self.row_factory)
        return await super().execute(query, params, **options)

    async def _probe(self, query: Any, params: Any, **options: Any) -> Self:
        link = self.connection
        report = link.probed(query, params) if isinstance(link, AsyncLink) else None
        if report is None or not isinstance(link, AsyncLink):
            return await super().execute(query, params, **options)
        bound = None
        try:
            run = super().execute
            bound = await link.bound_before(lambda: run(query, params, **options))
        finally:
            report(bound)
        return self
