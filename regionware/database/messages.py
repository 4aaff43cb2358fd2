"""What is asked of a server about positions, and how the answers are read.

The lower bound of a read on the primary takes two questions in front of it, the insert position
and then the snapshot, each a transaction of its own. A commit is in the log before it is visible,
so only if nothing was in progress after the position was read, everything up to it is visible to
what follows; otherwise everything below it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import pq, sql
from psycopg.abc import Query

from regionware.database.position import Position

#: Either kind of psycopg's cursors.
Cursor = psycopg.Cursor[Any] | psycopg.AsyncCursor[Any]

#: One result of a message: its status line and its rows, in text.
Reply = tuple[str, list[list[str]]]

#: The insert position and its timeline; nothing on a server that is no primary (any more).
POSITION: Final = (
    "SELECT pg_current_wal_insert_lsn()::text,"
    " substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) WHERE NOT pg_is_in_recovery()"
)
#: What a new connection is asked: may it write, which role is it of, which start of the server, and
#: of a primary on which timeline.
CHECK: Final = (
    "SELECT current_setting('transaction_read_only'), pg_is_in_recovery(),"
    " extract(epoch FROM pg_postmaster_start_time()), CASE WHEN NOT pg_is_in_recovery()"
    " THEN substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END"
)
#: read_only_sql_transaction: a write where the server lets nobody write.
READ_ONLY: Final = "25006"
SET_READ_ONLY: Final = "SET default_transaction_read_only = on"
#: Whether no transaction was in progress. A snapshot ends with the latest xid that has *ended*, and
#: does not list those assigned since, so its two ends being equal is not enough: `age` counts up
#: to the next xid to be assigned.
QUIET: Final = (
    "SELECT pg_snapshot_xmin(now) = pg_snapshot_xmax(now)"
    " AND age(pg_snapshot_xmax(now)::xid) = 0 FROM pg_current_snapshot() AS now"
)
#: How far a replica has replayed, and how far it has received; nothing once it is none any more.
REPLICA_UPPER: Final = (
    "SELECT pg_last_wal_replay_lsn()::text, coalesce(pg_last_wal_receive_lsn()::text, '')"
    " WHERE pg_is_in_recovery()"
)
BEGIN_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def position_of(rows: list[list[str]]) -> Position | None:
    """The position in what `POSITION` returned."""
    return Position.parse(rows[0][0], int(rows[0][1], 16)) if rows else None


def replies_of(cursor: Cursor) -> list[Reply]:
    """Every result of the message that the cursor has executed."""
    found = [_reply(cursor.pgresult)]
    while cursor.nextset():
        found.append(_reply(cursor.pgresult))
    return found


def _reply(result: pq.abc.PGresult | None) -> Reply:
    if result is None:
        return "", []
    rows = [
        [(result.get_value(row, column) or b"").decode() for column in range(result.nfields)]
        for row in range(result.ntuples)
    ]
    return (result.command_status or b"").decode(), rows


def lower_bound(position: Cursor, quiet: Cursor) -> Position | None:
    """Up to where everything is visible to a statement that follows the two probes."""
    ((_, there),), ((_, nothing),) = replies_of(position), replies_of(quiet)
    found = position_of(there)
    if found is None:
        return None
    return found if nothing == [["t"]] else found.below()


@dataclass(frozen=True, slots=True)
class Upper:
    """What is asked after a read, and who is told the answer: nothing later has been shown.

    On the primary that is the insert position. A replica counts a commit as replayed only once it
    is visible, so a read may have shown the one record that follows what is replayed. Where
    nothing that follows has been received there is no such record; else the bound is one above,
    which a replica reaches by that very record.

    Attributes:
        tell: called with the bound, `None` if it could not be learnt.
        timeline: of the replica; `None` for the primary, which says so itself.
    """

    tell: Callable[[Position | None], None]
    timeline: int | None = None

    @property
    def question(self) -> str:
        """The statement; it must begin after the read has ended."""
        return POSITION if self.timeline is None else REPLICA_UPPER

    def hear(self, rows: list[list[str]]) -> None:
        """Tell what the statement has returned."""
        if self.timeline is None or not rows:
            self.tell(position_of(rows))
            return
        ((replayed, received),) = rows
        there = Position.parse(replayed, self.timeline)
        self.tell(there if received == replayed else there.above())


def single(query: Query) -> bool:
    """Whether this is certainly one statement, and one that a pipeline can carry."""
    if isinstance(query, sql.Composable):
        text = query.as_string(None)
    elif isinstance(query, (str, bytes)):
        text = query if isinstance(query, str) else query.decode("latin-1")
    else:
        return False
    text = text.strip().rstrip(";")
    return ";" not in text and text[:4].upper() != "COPY"


def separate(pipeline: psycopg.Pipeline | psycopg.AsyncPipeline) -> None:
    """End the transaction here, without waiting: `Pipeline.sync` would take a round trip."""
    pipeline.command_queue.append(pipeline.pgconn.pipeline_sync)
    pipeline.result_queue.append(None)
