"""What the prober asks of a host, and how it waits for the answer."""

import asyncio
from typing import Final

import psycopg
from psycopg import generators, waiting
from psycopg.pq.abc import PGconn, PGresult

#: Seconds.
ANSWER: Final = 1.0

GREET = (
    "SELECT (SELECT system_identifier FROM pg_control_system()),"
    " extract(epoch FROM pg_postmaster_start_time()),"
    " (SELECT setting FROM pg_settings WHERE name = 'wal_writer_delay')"
)
#: One column for each text in the row of an `Answer`, in this order. The position is read before
#: its timeline: a switch in between makes the claim too small.
_COLUMNS = (
    "pg_is_in_recovery()",
    """CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
    ELSE pg_current_wal_insert_lsn() END""",
    "CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_flush_lsn() END",
    """CASE WHEN pg_is_in_recovery()
    THEN lpad(to_hex((SELECT received_tli FROM pg_stat_wal_receiver)), 8, '0')
    ELSE substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END""",
    "(SELECT timeline_id FROM pg_control_checkpoint())",
    """CASE WHEN NOT pg_is_in_recovery() AND pg_last_wal_receive_lsn() IS NOT NULL
    THEN pg_last_wal_replay_lsn() END""",
)
COLUMNS: Final = len(_COLUMNS)
ASK = f"SELECT {', '.join(_COLUMNS)}"


async def query(connection: PGconn, sql: str) -> list[str]:
    """One row, in text; an absent value is an empty text.

    Raises:
        psycopg.Error: the server refuses, or the connection is lost.
        TimeoutError: there is no answer in time.
    """
    result = (await execute(connection, sql))[-1]
    if result.ntuples != 1:
        raise psycopg.OperationalError(result.get_error_message() or "no row")
    return [(result.get_value(0, i) or b"").decode() for i in range(result.nfields)]


async def execute(connection: PGconn, sql: str) -> list[PGresult]:
    """What the server answers to each statement; of a refusal the last one tells.

    Raises:
        psycopg.Error: the connection is lost.
        TimeoutError: there is no answer in time.
    """
    connection.send_query(sql.encode())
    async with asyncio.timeout(ANSWER):
        return await waiting.wait_async(
            generators.execute(connection), connection.socket, interval=1.0
        )
