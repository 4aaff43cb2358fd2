"""The questions on one of the prober's connections: how the host is, and which purges it shows."""

import logging

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGconn

from regionware.database.position import Position
from regionware.database.purges import Asked, Reader
from regionware.database.questions import ASK, COLUMNS, execute, query
from regionware.database.selector import Host, Role

logger = logging.getLogger("regionware.database")


class Asking:
    """Asks one host, and on the way what the reader of purges wants to know."""

    def __init__(self, name: str, system: str, reader: Reader | None) -> None:
        """Ask nothing yet.

        Args:
            name: of the host.
            system: the identifier of its cluster.
            reader: asks for purges in the same questions.
        """
        self._name = name
        self._system = system
        self._reader = reader
        self._host = Host(name, "replica")
        self._asked = Asked("")
        self._answer: list[str] = []

    def connected(self) -> None:
        """This connection is a new one."""
        if self._reader is not None:
            self._reader.connected(self._host)

    async def ask(self, connection: PGconn, role: Role | None) -> list[str]:
        """How the host is; a reader's question that is refused makes no host unreachable.

        Args:
            connection: leads to the host.
            role: as what it may tell of purges; `None` if it is not asked for any.

        Raises:
            psycopg.Error: the server refuses, or the connection is lost.
            TimeoutError: there is no answer in time.
        """
        self._answer = []
        if self._reader is None or role is None:
            return await query(connection, ASK)
        self._asked = self._reader.ask(Host(self._name, role), self._system)
        try:
            answer = await query(connection, ASK + self._asked.columns)
        except TimeoutError as error:
            if self._asked.rows:
                self._reader.refused(self._host, words(error))
            raise
        except (psycopg.OperationalError, UnicodeDecodeError) as error:
            if not self._asked.columns or connection.status != pq.ConnStatus.OK:
                raise
            self._reader.refused(self._host, words(error))
            return await query(connection, ASK)
        # It may have been promoted since it was last asked: its role is what it says now.
        self._host = Host(self._name, "replica" if answer[0] == "t" else "primary")
        self._answer = answer[COLUMNS:]
        return answer[:COLUMNS]

    def answered(self, position: Position | None) -> bool:
        """Tell the reader; whether it has more to ask, at once.

        Only of a host that is what it should be: one that a promotion left behind shows purges, and
        positions, of a history that is lost.

        Args:
            position: where the host was when it answered, on the current timeline.
        """
        if self._reader is None or not self._answer:
            return False
        try:
            return self._reader.answered(self._host, self._asked, self._answer, position)
        except Exception as error:  # noqa: BLE001 - a row may hold anything, and the host is well
            self._reader.refused(self._host, words(error))
            return False

    async def prune(self, connection: PGconn) -> None:
        """Delete what the reader wants deleted; a refusal is told, and is no failure."""
        sql = None if self._reader is None or not self._answer else self._reader.pruning(self._host)
        if sql is None:
            return
        results = await execute(connection, sql)
        if connection.transaction_status != pq.TransactionStatus.IDLE:
            logger.warning("old purges stay: %s", results[-1].get_error_message())
            await execute(connection, "ROLLBACK")


def words(error: BaseException) -> str:
    """The kind of an error and its first line; libpq's messages hold no password."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
