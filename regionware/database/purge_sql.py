"""The statements about the table of purges. No I/O here.

What is put into them is numbers, and the table's name as the server itself has quoted it.
"""

import json
from collections.abc import Sequence
from typing import Final

TABLE: Final = "regionware_purges"
#: What marks a row among the fences: it has been applied.
MARK: Final = "="
#: Octets of the names in one row; of more, it purges everything.
_LARGEST: Final = 65_536

#: The table as this role sees it: its name, and whether it may read, add and delete.
FACTS: Final = (
    "(SELECT json_build_array(format('%I.%I', n.nspname, c.relname),"
    " has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'INSERT'),"
    " has_table_privilege(c.oid, 'DELETE')) FROM pg_class c JOIN pg_namespace n"
    f" ON n.oid = c.relnamespace WHERE c.oid = to_regclass('{TABLE}'))"
)
AROUND: Final = (
    "pg_snapshot_xmin(pg_current_snapshot())::text, extract(epoch FROM clock_timestamp()),"
    " CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() END"
)


def rows(table: str, condition: str, most: int) -> str:
    """The column that gives new rows, the oldest first, and whether that is not all of them.

    An answer has little time, so neither many rows nor many octets: but always one row.
    """
    size = " + ".join(f"coalesce(octet_length({c}::text), 0)" for c in ("tags", "urls", "names"))
    return (
        "(SELECT json_build_array(coalesce(json_agg(json_build_array(id, salt, xid::text, soft,"
        " everything OR big, CASE WHEN NOT big THEN tags END, CASE WHEN NOT big THEN urls END,"
        " CASE WHEN NOT big THEN names END, pruned::text,"
        " extract(epoch FROM clock_timestamp() - written)) ORDER BY id) FILTER (WHERE fits), '[]'),"
        f" count(*) = {most} OR NOT coalesce(bool_and(fits), true)) FROM"
        f" (SELECT *, size > {_LARGEST} AS big,"
        f" sum(least(size, {_LARGEST})) OVER (ORDER BY id) - least(size, {_LARGEST}) < {_LARGEST}"
        f" AS fits FROM (SELECT *, {size} AS size FROM {table} WHERE {condition}"
        f" ORDER BY id LIMIT {most}) AS found) AS row)"
    )


def riding(table: str, names: Sequence[str]) -> str:
    """Statements that add rows to the transaction in progress and return their marks.

    The transaction is the application's, and stands whatever happens here: what goes wrong is
    returned instead, after an exclamation mark. Names travel as hexadecimal digits of ASCII, which
    no encoding and no way of quoting changes.
    """
    texts = ", ".join(
        f"pg_catalog.convert_from(pg_catalog.decode('{text.hex()}', 'hex'), 'SQL_ASCII')"
        for text in _texts(names)
    )
    return (
        "DO $regionware$DECLARE marks text; BEGIN"
        f" WITH made AS (INSERT INTO {table} (names) SELECT pg_catalog.unnest(ARRAY[{texts}])"
        f" RETURNING '{MARK}' || pg_catalog.to_hex(id) || '.' || pg_catalog.to_hex(salt) AS mark)"
        " SELECT pg_catalog.string_agg(mark, ' ') INTO marks FROM made;"
        " PERFORM pg_catalog.set_config('regionware.purge', marks, true);"
        " EXCEPTION WHEN OTHERS THEN"
        " PERFORM pg_catalog.set_config('regionware.purge', '!' || SQLERRM, true);"
        " END$regionware$; SELECT pg_catalog.current_setting('regionware.purge', true)"
    )


def _texts(names: Sequence[str]) -> list[bytes]:
    """The names as JSON, in as many rows as it takes: a larger row would purge everything."""
    texts: list[bytes] = []
    row: list[str] = []
    size = 0
    for name in map(json.dumps, names):
        if row and size + len(name) > _LARGEST // 2:
            texts.append(f"[{', '.join(row)}]".encode("ascii"))
            row, size = [], 0
        row.append(name)
        size += len(name) + 2
    return [*texts, f"[{', '.join(row)}]".encode("ascii")]


def prune(table: str, retention: float) -> str:
    """Delete the oldest rows that no entry can be older than, and say up to which.

    One at a time: whoever comes second finds nothing to do.

    Args:
        table: qualified and quoted.
        retention: seconds.
    """
    return (
        "BEGIN READ WRITE; SET LOCAL statement_timeout = 500; SET LOCAL lock_timeout = 100;"
        " WITH mine AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtext"
        f"('{TABLE}')) AS ok), gone AS (DELETE FROM {table} WHERE (SELECT ok FROM mine) AND id IN"
        f" (SELECT id FROM (SELECT id, written FROM {table} ORDER BY id LIMIT 5000) AS oldest"
        f" WHERE written < now() - interval '{retention:.0f} seconds') RETURNING xid)"
        f" INSERT INTO {table} (pruned) SELECT xid FROM gone ORDER BY xid DESC LIMIT 1; COMMIT"
    )
