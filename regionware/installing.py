"""Makes the table of purges, and triggers that write to it: `regionware install`.

Plain SQL for PostgreSQL 13 and later, which a role may execute that may create in the schema and
owns the tables that get triggers: no superuser, no extension, no logical decoding.
"""

from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import sql

from regionware.database.purge_sql import TABLE
from regionware.errors import ConfigurationError
from regionware.triggers import ORDINARY, PARTITIONED, TRIGGERS, Statements, Watched, create, drop

_OLDEST: Final = 130000
#: The columns by which the table is known.
_COLUMNS: Final = {"id", "xid", "salt", "written", "soft", "everything", "tags", "urls", "names"}


@contextmanager
def explained(what: str) -> Any:
    """Turn what the server refuses into an error that says what to do.

    Raises:
        ConfigurationError: the server refuses.
    """
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"{what}: {error.diag.message_primary or error}; the role needs CREATE on the schema,"
            " and must own each table that gets a trigger"
        ) from error
    except psycopg.Error as error:
        raise ConfigurationError(f"{what}: {str(error).partition(chr(10))[0]}") from error


def install(
    conninfo: str,
    *,
    schema: str | None = None,
    grant: Sequence[str] = (),
    trigger: str | None = None,
    tags: Sequence[str] = (),
    execute: bool = True,
) -> str:
    """Make the table, unless it is there, and if wanted a trigger of another table.

    Args:
        conninfo: the primary, in either of libpq's forms.
        schema: where the table of purges is; by default where the role creates its tables. It must
            be in the search path of the application.
        grant: roles that may read, add and delete purges.
        trigger: the table whose changes purge, as SQL names it.
        tags: templates such as `product:{id}`, with the names of columns.
        execute: otherwise nothing is changed.

    Returns:
        The SQL.

    Raises:
        ConfigurationError: naming what is missing or refused.
    """
    if bool(trigger) != bool(tags):
        raise ConfigurationError("install: --trigger and --tag are said together")
    with explained("install"), psycopg.connect(conninfo) as connection:
        place = _place(connection, schema)
        purges = sql.Identifier(place, TABLE)
        statements = [] if _exists(connection, place) else _table(purges)
        statements += [
            sql.SQL("GRANT SELECT, INSERT, DELETE ON {} TO {}").format(purges, sql.Identifier(role))
            for role in grant
        ]
        if trigger:
            watched = _watched(connection, trigger)
            statements += drop(place, watched) + create(place, watched, tags)
        return _run(connection, statements, execute=execute)


def drop_trigger(
    conninfo: str, table: str, *, schema: str | None = None, execute: bool = True
) -> str:
    """Undo `install(trigger=...)`.

    Raises:
        ConfigurationError: naming what is missing or refused.
    """
    with explained("install"), psycopg.connect(conninfo) as connection:
        watched = _watched(connection, table)
        return _run(connection, drop(_place(connection, schema), watched), execute=execute)


def uninstall(conninfo: str, *, schema: str | None = None, execute: bool = True) -> str:
    """Undo everything that `install` has made in a schema.

    Raises:
        ConfigurationError: naming what is missing or refused.
    """
    with explained("uninstall"), psycopg.connect(conninfo) as connection:
        place = _place(connection, schema)
        found = connection.execute(
            "SELECT DISTINCT n.nspname, c.relname FROM pg_trigger t JOIN pg_proc p ON p.oid ="
            " t.tgfoid JOIN pg_namespace f ON f.oid = p.pronamespace JOIN pg_class c ON c.oid ="
            " t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE f.nspname = %s"
            " AND t.tgname = ANY(%s) AND NOT t.tgisinternal AND t.tgparentid = 0 ORDER BY 1, 2",
            (place, list(TRIGGERS)),
        ).fetchall()
        statements: Statements = []
        for where, name in found:
            statements += drop(place, Watched(where, name, ORDINARY, frozenset()))
        statements.append(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(place, TABLE)))
        return _run(connection, statements, execute=execute)


def _place(connection: psycopg.Connection[Any], schema: str | None) -> str:
    if connection.info.server_version < _OLDEST:
        raise ConfigurationError("install: PostgreSQL 13 or later is needed")
    if schema is None:
        row = connection.execute("SELECT current_schema()").fetchone()
        schema = row[0] if row else None
    if schema is None:
        raise ConfigurationError("install: no schema of the search path exists; say --schema")
    row = connection.execute("SELECT to_regnamespace(quote_ident(%s))", (schema,)).fetchone()
    if row is None or row[0] is None:
        raise ConfigurationError(f"install: there is no schema {schema!r}")
    return schema


def _exists(connection: psycopg.Connection[Any], schema: str) -> bool:
    """Whether the table is there.

    Raises:
        ConfigurationError: another one has its name.
    """
    columns = _columns(connection, sql.Identifier(schema, TABLE).as_string(connection))
    if columns and not columns >= _COLUMNS:
        raise ConfigurationError(f"install: {schema}.{TABLE} is there, and is another table")
    return bool(columns)


def _columns(connection: psycopg.Connection[Any], table: str) -> frozenset[str]:
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0"
        " AND NOT attisdropped",
        (table,),
    )
    return frozenset(name for (name,) in rows)


def _watched(connection: psycopg.Connection[Any], table: str) -> Watched:
    row = connection.execute(
        "SELECT n.nspname, c.relname, c.relkind::text, c.relispartition FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)",
        (table,),
    ).fetchone()
    if row is None:
        raise ConfigurationError(f"install: there is no table {table}")
    schema, name, kind, partition = row
    if partition:
        raise ConfigurationError(f"install: {table} is a partition; name the partitioned table")
    if kind not in {ORDINARY, PARTITIONED}:
        raise ConfigurationError(f"install: {table} is not a table, so nothing fires there")
    quoted = sql.Identifier(schema, name).as_string(connection)
    return Watched(schema, name, kind, _columns(connection, quoted))


def _table(purges: sql.Identifier) -> Statements:
    return [
        sql.SQL(
            "CREATE TABLE {} (\n"
            "  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n"
            "  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),\n"
            "  salt integer NOT NULL DEFAULT floor(random() * 2147483647),\n"
            "  written timestamptz NOT NULL DEFAULT clock_timestamp(),\n"
            "  soft boolean NOT NULL DEFAULT false,\n"
            "  everything boolean NOT NULL DEFAULT false,\n"
            "  tags text[],\n"
            "  urls text[],\n"
            "  names text,\n"
            "  pruned xid8\n"
            ")"
        ).format(purges),
        sql.SQL("CREATE INDEX ON {} (xid)").format(purges),
        sql.SQL("CREATE INDEX ON {} (written)").format(purges),
    ]


def _run(connection: psycopg.Connection[Any], statements: Statements, *, execute: bool) -> str:
    """All or nothing; nobody waits long behind a lock that this waits for."""
    if not statements:
        return ""
    every = [sql.SQL("SET LOCAL lock_timeout = '5s'"), *statements]
    if execute:
        for statement in every:
            connection.execute(statement)
    text = "".join(f"{statement.as_string(connection)};\n" for statement in every)
    return f"BEGIN;\n{text}COMMIT;\n"
