"""What is known of the databases: one thread per process that keeps asking them.

It runs an event loop of its own with one task per host, so that a host that hangs delays nobody
else's news. What it learns is published as an immutable mapping that is read without a lock.

The timeline of a standby is the hard part. `pg_walfile_name` is refused in recovery. The one exact
source, `pg_stat_wal_receiver.received_tli`, is hidden from roles without `pg_read_all_stats`
(granted with `pg_monitor`) and empty while nothing streams. `pg_control_checkpoint()` is open to
every role, but after a failover it keeps naming the old timeline until the next restart point. So
the control file is believed only while the primary itself, just asked, names the same timeline; a
standby whose position has not moved keeps the timeline it had; otherwise it has no position.
"""

import asyncio
import logging
import random
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from types import MappingProxyType
from typing import Final

import psycopg
from psycopg import generators, pq, waiting
from psycopg.pq.abc import PGconn, PGresult

from regionware.database.position import Position
from regionware.database.purges import Asked, Reader
from regionware.database.selector import UNASKED, Host, Mark
from regionware.database.token import cluster_name

logger = logging.getLogger("regionware.database")

#: Seconds. A far primary with TLS needs several round trips to be connected to.
CONNECT: Final = 3.0
ANSWER: Final = 1.0
#: A sample of the primary older than this many seconds says nothing about now.
RECENT: Final = 2.0
#: Seventeen minutes of samples: a replica that lags more has no known lag.
HISTORY: Final = 4096

_GREET = (
    "SELECT (SELECT system_identifier FROM pg_control_system()),"
    " extract(epoch FROM pg_postmaster_start_time()),"
    " (SELECT setting FROM pg_settings WHERE name = 'wal_writer_delay')"
)
# The position is read before its timeline: a switch in between makes the claim too small.
_ASK = (
    "SELECT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
    " ELSE pg_current_wal_insert_lsn() END, CASE WHEN NOT pg_is_in_recovery() THEN"
    " pg_current_wal_flush_lsn() END, CASE WHEN pg_is_in_recovery() THEN"
    " lpad(to_hex((SELECT received_tli FROM pg_stat_wal_receiver)), 8, '0')"
    " ELSE substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END,"
    " (SELECT timeline_id FROM pg_control_checkpoint())"
)
_COLUMNS: Final = 5


@dataclass(frozen=True, slots=True)
class Target:
    """A host, and how to connect to it (libpq's connection string; holds a password)."""

    host: Host
    conninfo: str

    def __repr__(self) -> str:
        """The host alone."""
        return f"Target({self.host.name!r})"


@dataclass(frozen=True, slots=True)
class _Sample:
    """The primary's history as it was at `when`: logged so far, and of that flushed so far."""

    when: float
    logged: Position
    flushed: Position
    # Seconds for which an asynchronous commit may be visible and not yet flushed: three
    # times wal_writer_delay (PostgreSQL's documentation, "Asynchronous Commit").
    slack: float


class Prober:
    """Asks the primary and this region's replicas, a few times a second."""

    def __init__(
        self,
        primary: Target,
        replicas: Sequence[Target],
        *,
        interval: float,
        reader: Reader | None = None,
    ) -> None:
        """Know whom to ask; nothing is connected before `start`.

        Args:
            primary: the writable host.
            replicas: the replicas of this region.
            interval: seconds between two questions to one host, give or take 20 %.
            reader: asks for purges in the same questions.
        """
        self._reader = reader
        self.interval = interval
        self._targets = (primary, *replicas)
        self._marks: Mapping[str, Mark] = {each.host.name: UNASKED for each in self._targets}
        self._history: deque[_Sample] = deque(maxlen=HISTORY)
        self._system = ""
        self._task: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None
        self._running = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def marks(self) -> Mapping[str, Mark]:
        """What is known of each host now, by name."""
        return MappingProxyType(self._marks)

    @property
    def cluster(self) -> str | None:
        """The public name of the primary's cluster, `None` until it has answered once."""
        return cluster_name(self._system) if self._system else None

    def start(self) -> None:
        """Begin to ask, in a daemon thread. Not to be called twice."""
        self._thread = threading.Thread(target=self._run, name="regionware-prober", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Stop asking and close the connections; waits `timeout` seconds at most."""
        if self._thread is None or not self._running.wait(timeout) or self._task is None:
            return
        loop, task = self._task
        try:
            loop.call_soon_threadsafe(task.cancel)
        except RuntimeError:  # The loop is closed: it ended by itself.
            return
        self._thread.join(timeout)

    def _run(self) -> None:
        # Not the default policy's loop: psycopg waits with add_reader, which Windows' lacks.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            try:
                runner.run(self._main())
            except asyncio.CancelledError:
                logger.debug("the prober has stopped")

    async def _main(self) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._task = asyncio.get_running_loop(), task
        self._running.set()
        async with asyncio.TaskGroup() as group:
            for target in self._targets:
                group.create_task(self._watch(target))

    async def _watch(self, target: Target) -> None:
        """Ask one host for ever; a failure is news like any other."""
        while True:
            try:
                await self._connect(target)
            except Exception as error:  # noqa: BLE001 - whatever a server does, others go on
                if self._marks[target.host.name].reachable:
                    logger.warning("%s does not answer: %s", target.host.name, _words(error))
                self._publish(target.host, Mark(when=monotonic(), reachable=False))
            await self._rest()

    async def _connect(self, target: Target) -> None:
        connecting = generators.connect(target.conninfo)
        async with asyncio.timeout(CONNECT):
            connection = await waiting.wait_conn_async(connecting, 1.0)
        try:
            await self._converse(target.host, connection)
        finally:
            connection.finish()

    async def _converse(self, host: Host, connection: PGconn) -> None:
        """Ask on one connection until it fails."""
        system, instance, delay = await _query(connection, _GREET)
        if host.role == "primary":
            self._system = system
        slack = 3 * int(delay) / 1000
        asking = _Asking(host, system, self._reader)
        asking.connected()
        while True:
            # Again and again: the primary may answer, or be another one, only later.
            if self._system and system != self._system:
                raise ValueError("it is not a replica of this primary")
            when = monotonic()
            answer = await asking.ask(connection)
            if host.role == "primary":
                mark = self._primary(when, answer, instance, slack)
            else:
                mark = self._replica(when, answer, instance, self._marks[host.name])
            self._publish(host, mark)
            if asking.answered(mark.position):
                continue
            await asking.prune(connection)
            await self._rest()

    def _primary(self, when: float, answer: Sequence[str], instance: str, slack: float) -> Mark:
        recovering, logged, flushed, timeline, _ = answer
        if recovering == "t":
            raise ValueError("it is in recovery, not a primary")
        line = int(timeline, 16)
        sample = _Sample(when, Position.parse(logged, line), Position.parse(flushed, line), slack)
        if self._history and self._history[-1].logged.timeline != line:
            self._history.clear()
        self._history.append(sample)
        there = sample.logged
        return Mark(
            when=when, reachable=True, position=there, fresh=when, lag=0.0, instance=instance
        )

    def _replica(self, when: float, answer: Sequence[str], instance: str, last: Mark) -> Mark:
        recovering, replayed, _, received, control = answer
        if recovering != "t":
            raise ValueError("it is not in recovery, so not a replica")
        # Of timeline 0 until it is known: what counts here is the address alone.
        bare = Position.parse(replayed, 0)
        known = last.position if last.instance == instance else None
        line = int(received, 16) if received else None
        if line is None and known is not None and known.lsn == bare.lsn:
            line = known.timeline
        if line is None and self._names(when, int(control)):
            line = int(control)
        if line is None:
            return Mark(when=when, reachable=True, instance=instance)
        position = Position(line, bare.lsn)
        fresh, lag = self._lag(when, position)
        return Mark(
            when=when, reachable=True, position=position, fresh=fresh, lag=lag, instance=instance
        )

    def _names(self, now: float, timeline: int) -> bool:
        """Whether the primary, just asked, is on this timeline."""
        newest = self._history[-1] if self._history else None
        return (
            newest is not None and now - newest.when < RECENT and newest.logged.timeline == timeline
        )

    def _lag(self, now: float, position: Position) -> tuple[float | None, float | None]:
        """Until when a replica at `position` has everything, and the lag in words for people.

        No clock but this process's is read, so there is no skew between clocks.
        """
        fresh: float | None = None
        for sample in reversed(self._history):
            if position.reached(sample.logged):
                fresh = sample.when if fresh is None else max(fresh, sample.when)
                break
            if fresh is None and position.reached(sample.flushed):
                fresh = sample.when - sample.slack
        if fresh is None:
            return None, None
        newest = self._history[-1]
        level = position.reached(newest.flushed) and now - newest.when < RECENT
        return fresh, 0.0 if level else max(now - fresh, 0.0)

    def _publish(self, host: Host, mark: Mark) -> None:
        # A new mapping each time: readers hold no lock and see no half of a change.
        self._marks = {**self._marks, host.name: mark}

    async def _rest(self) -> None:
        await asyncio.sleep(self.interval * random.uniform(0.8, 1.2))  # noqa: S311 - only jitter


class _Asking:
    """The questions on one connection: how the host is, and what its reader wants to know."""

    def __init__(self, host: Host, system: str, reader: Reader | None) -> None:
        self._host = host
        self._system = system
        self._reader = reader
        self._asked = Asked("")
        self._answer: list[str] = []

    def connected(self) -> None:
        if self._reader is not None:
            self._reader.connected(self._host)

    async def ask(self, connection: PGconn) -> list[str]:
        """How the host is; a reader's question that is refused makes no host unreachable."""
        self._answer = []
        if self._reader is None:
            return await _query(connection, _ASK)
        self._asked = self._reader.ask(self._host, self._system)
        try:
            answer = await _query(connection, _ASK + self._asked.columns)
        except TimeoutError as error:
            if self._asked.rows:
                self._reader.refused(self._host, _words(error))
            raise
        except (psycopg.OperationalError, UnicodeDecodeError) as error:
            if not self._asked.columns or connection.status != pq.ConnStatus.OK:
                raise
            self._reader.refused(self._host, _words(error))
            return await _query(connection, _ASK)
        self._answer = answer[_COLUMNS:]
        return answer[:_COLUMNS]

    def answered(self, position: Position | None) -> bool:
        """Tell the reader; whether it has more to ask, at once."""
        if self._reader is None or not self._answer:
            return False
        try:
            return self._reader.answered(self._host, self._asked, self._answer, position)
        except ValueError as error:
            self._reader.refused(self._host, _words(error))
            return False

    async def prune(self, connection: PGconn) -> None:
        """Delete what the reader wants deleted; a refusal is told, and is no failure."""
        sql = None if self._reader is None else self._reader.pruning(self._host)
        if sql is None:
            return
        results = await _execute(connection, sql)
        if connection.transaction_status != pq.TransactionStatus.IDLE:
            logger.warning("old purges stay: %s", results[-1].get_error_message())
            await _execute(connection, "ROLLBACK")


async def _query(connection: PGconn, sql: str) -> list[str]:
    """One row, in text; an absent value is an empty text.

    Raises:
        psycopg.Error: the server refuses, or the connection is lost.
        TimeoutError: there is no answer in time.
    """
    result = (await _execute(connection, sql))[-1]
    if result.ntuples != 1:
        raise psycopg.OperationalError(result.get_error_message() or "no row")
    return [(result.get_value(0, i) or b"").decode() for i in range(result.nfields)]


async def _execute(connection: PGconn, sql: str) -> list[PGresult]:
    connection.send_query(sql.encode())
    async with asyncio.timeout(ANSWER):
        return await waiting.wait_async(
            generators.execute(connection), connection.socket, interval=1.0
        )


def _words(error: BaseException) -> str:
    """The kind of an error and its first line; libpq's messages hold no password."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
