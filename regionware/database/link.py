"""Pooled connections: psycopg's own, which also notice what is done with them.

Everything that psycopg sends goes through `Connection.wait`, so overriding that one public method
tells, without a round trip and without parsing SQL, whether a connection was used at all, whether
a transaction ended on it, and whether its first use was one whose position we can learn.
That first use is `Cursor.execute` on a read handle of the primary: the questions of
`regionware.database.messages` travel in front of it, in one flight.
"""

import select
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Self, TypeVar

import psycopg
from psycopg import pq
from psycopg.abc import PQGen, Query
from psycopg.rows import tuple_row

from regionware.database.messages import (
    POSITION,
    QUIET,
    Cursor,
    Reply,
    Upper,
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

#: How often an idle connection is read at most, to find its end.
_READS = 4

_IDLE = pq.TransactionStatus.IDLE
_INTRANS = pq.TransactionStatus.INTRANS


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
    #: What it said first of being a standby, where servers tell (since 14).
    standby: bytes | None = None
    #: The timeline on which its server takes writes; 0 on a standby.
    timeline = 0
    #: What it may do: a `write` connection is not autocommit.
    access: Access = "read"
    #: The pool it is out of, and the name of the host.
    home: Any = None
    host = ""
    used = False
    #: A transaction ended since it was handed out, or may have.
    ended = False
    report: Report | None = None
    #: Asked after whatever a session is shown; `None` where nobody is.
    upper: Upper | None = None
    #: Something was read since `upper` was last asked.
    unbounded = False
    #: Asked when a write was refused: the error, the query, whether it was the first of the handle;
    #: whether the same link can now write.
    rescue: Any = None

    def hand_out(self, report: Report | None, upper: Upper | None = None) -> None:
        """Forget the last user; `report` is called once, at the first use, if there is any."""
        self.used = self.ended = self.unbounded = False
        self.report, self.rescue = report, None
        self.upper = upper

    def taken(self, row: list[str], host: Host) -> None:
        """Note what a new connection answered to `CHECK`.

        Raises:
            psycopg.OperationalError: it does not lead to a host of this role, or it is for
                reading and the server would let it write.
        """
        read_only, recovering, self.instance, timeline = row
        self.timeline = int(timeline or "0", 16)
        self.standby = self.pgconn.parameter_status(b"in_hot_standby")
        if (recovering == "t") != (host.role == "replica"):
            raise psycopg.OperationalError(f"{host.name} is not a {host.role}")
        if self.access == "read" and read_only != "on":
            raise psycopg.OperationalError(f"{host.name}: the connection is not read-only")
        self.ready = monotonic()

    def using(self) -> None:
        """Something is about to be sent."""
        self.used = self.unbounded = True
        if self.report is not None:
            report, self.report = self.report, None
            report(None)

    def sent(self) -> None:
        """Something was sent and answered, or failed."""
        if self.pgconn.transaction_status == _IDLE:
            self.ended = True

    def turned(self) -> bool:
        """Whether its server has told, at no cost, that its role is another than at first."""
        # Compared with what it said first: a pooler may have said what was true long before.
        return self.pgconn.parameter_status(b"in_hot_standby") != self.standby

    def alive(self) -> bool:
        """Whether the connection still stands, as far as can be seen without a round trip.

        An idle connection has nothing to read, except the other side's goodbye.
        """
        try:
            # The goodbye is one read, and that nothing follows it another.
            for _ in range(_READS):
                if not _readable(self.pgconn.socket):
                    break
                self.pgconn.consume_input()
        except (psycopg.OperationalError, OSError):
            return False
        return self.pgconn.status == pq.ConnStatus.OK

    def spoilt(self) -> bool:
        """Whether it must not be handed out again: busy, or no longer read-only."""
        busy = (pq.TransactionStatus.ACTIVE, pq.TransactionStatus.UNKNOWN)
        if self.pgconn.transaction_status in busy:
            return True
        if self.pgconn.pipeline_status != pq.PipelineStatus.OFF or self.turned():
            return True
        # Reported by servers since 14 whenever it changes; at no cost.
        said = self.pgconn.parameter_status(b"default_transaction_read_only")
        return self.access == "read" and said == b"off"

    def probed(self, query: Query, params: Any) -> tuple[Report | None, Upper | None]:
        """Take the report, if probes may travel in front of this statement; and behind it."""
        report, upper, status = self.report, self.upper, self.pgconn.transaction_status
        if (
            (report is None and upper is None)
            or not psycopg.Pipeline.is_supported()
            or self.pgconn.pipeline_status != pq.PipelineStatus.OFF
            or status not in {_IDLE, _INTRANS}
            or not (params or single(query))
        ):
            return None, None
        if status != _IDLE:
            return None, upper
        self.report = None
        return report, upper

    @contextmanager
    def bounding(self) -> Iterator[None]:
        """Around a statement and what travels with it: what fails has shown nothing."""
        before = self.unbounded
        try:
            yield
        except psycopg.Error:
            self.unbounded = before
            raise

    def asked(self, upper: Upper | None, cursor: Cursor) -> None:
        """The upper bound was asked behind a statement; it covers all that was read before."""
        if upper is not None:
            ((_, rows),) = replies_of(cursor)
            upper.hear(rows)
            self.unbounded = False


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

    def bound_before(
        self, statement: Callable[[], object], upper: Upper | None = None
    ) -> Position | None:
        """Send the probes and then what `statement` sends, in one flight; the lower bound."""
        position, quiet, after = psycopg.Cursor(self), psycopg.Cursor(self), psycopg.Cursor(self)
        with self.bounding(), self.pipeline() as pipeline:
            position.execute(POSITION)
            separate(pipeline)
            quiet.execute(QUIET)
            separate(pipeline)
            statement()
            if upper is not None:
                separate(pipeline)
                after.execute(upper.question.encode())
        self.asked(upper, after)
        return lower_bound(position, quiet)

    def bound_after(self, statement: Callable[[], object], upper: Upper) -> None:
        """Send what `statement` sends and then ask for the upper bound, in one flight."""
        after = psycopg.Cursor(self)
        with self.bounding(), self.pipeline() as pipeline:
            statement()
            separate(pipeline)
            after.execute(upper.question.encode())
        self.asked(upper, after)


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

    async def bound_before(
        self, statement: Callable[[], Awaitable[object]], upper: Upper | None = None
    ) -> Position | None:
        """Send the probes and then what `statement` sends, in one flight; the lower bound."""
        position, quiet, after = (psycopg.AsyncCursor(self) for _ in range(3))
        with self.bounding():
            async with self.pipeline() as pipeline:
                await position.execute(POSITION)
                separate(pipeline)
                await quiet.execute(QUIET)
                separate(pipeline)
                await statement()
                if upper is not None:
                    separate(pipeline)
                    await after.execute(upper.question.encode())
        self.asked(upper, after)
        return lower_bound(position, quiet)

    async def bound_after(self, statement: Callable[[], Awaitable[object]], upper: Upper) -> None:
        """Send what `statement` sends and then ask for the upper bound, in one flight."""
        after = psycopg.AsyncCursor(self)
        with self.bounding():
            async with self.pipeline() as pipeline:
                await statement()
                separate(pipeline)
                await after.execute(upper.question.encode())
        self.asked(upper, after)


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
        link, run = self.connection, super().execute
        if not isinstance(link, Link):
            return run(query, params, **options)
        report, upper = link.probed(query, params)
        if report is not None:
            bound = None
            try:
                bound = link.bound_before(lambda: run(query, params, **options), upper)
            finally:
                report(bound)
        elif upper is not None:
            link.bound_after(lambda: run(query, params, **options), upper)
        else:
            run(query, params, **options)
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
        link, run = self.connection, super().execute
        if not isinstance(link, AsyncLink):
            return await run(query, params, **options)
        report, upper = link.probed(query, params)
        if report is not None:
            bound = None
            try:
                bound = await link.bound_before(lambda: run(query, params, **options), upper)
            finally:
                report(bound)
        elif upper is not None:
            await link.bound_after(lambda: run(query, params, **options), upper)
        else:
            await run(query, params, **options)
        return self
