"""Connections of psycopg's for layers with pools of their own, made sure of once, when new."""

from typing import Any

import psycopg

from regionware.database.conninfo import connection_string
from regionware.database.messages import CHECK, SET_READ_ONLY
from regionware.selection import Choice


def connect(choice: Choice, layer: str) -> "psycopg.Connection[Any]":
    """Connect to the host, not autocommit; a read connection is read-only by the server.

    Args:
        choice: where.
        layer: who asks, for `application_name`.

    Raises:
        psycopg.OperationalError: there is no connection, the host has another role by now, or the
            server would let a read connection write.
    """
    connection = psycopg.connect(conninfo(choice, layer), autocommit=True)
    try:
        row = connection.execute(CHECK).fetchone()
        if wants_read_only(choice, row):
            connection.execute(SET_READ_ONLY)
            row = connection.execute(CHECK).fetchone()
        check(choice, row)
        connection.autocommit = False
    except BaseException:
        connection.close()
        raise
    return connection


async def aconnect(choice: Choice, layer: str) -> "psycopg.AsyncConnection[Any]":
    """The async twin of `connect`."""
    connection = await psycopg.AsyncConnection.connect(conninfo(choice, layer), autocommit=True)
    try:
        row = await (await connection.execute(CHECK)).fetchone()
        if wants_read_only(choice, row):
            await connection.execute(SET_READ_ONLY)
            row = await (await connection.execute(CHECK)).fetchone()
        check(choice, row)
        await connection.set_autocommit(False)
    except BaseException:
        await connection.close()
        raise
    return connection


def conninfo(choice: Choice, layer: str) -> str:
    """What is passed to libpq."""
    application = f"regionware/{layer}/{choice.role}"
    return connection_string(choice.url, application=application, access=choice.access)


def wants_read_only(choice: Choice, row: tuple[Any, ...] | None) -> bool:
    """Whether a read connection could write: a pooler may have dropped what it was told."""
    return choice.access == "read" and row is not None and row[0] != "on"


def check(choice: Choice, row: tuple[Any, ...] | None) -> None:
    """Refuse what does not lead where it should.

    Args:
        choice: where it should lead.
        row: what the server said to `CHECK`.

    Raises:
        psycopg.OperationalError: the host has another role, or would let a read connection write.
    """
    if row is None or row[1] != (choice.role == "replica"):
        raise psycopg.OperationalError(f"{choice.host} is not a {choice.role}")
    if wants_read_only(choice, row):
        raise psycopg.OperationalError(f"{choice.host}: the connection is not read-only")
