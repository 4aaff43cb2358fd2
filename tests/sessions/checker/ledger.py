"""The application that the checker watches: counters in a table, read in every way there is.

`PUT /row/7` counts one up, and `GET /row/7`, `/slow/7`, `/entry/7`, `/own/7`, `/public/7` and
`/strong/7` read it under different policies. `GET /sneak/7` tries to write where it may only read.
"""

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs

import psycopg

from regionware import PurgeError
from regionware.policies import Cache, Database, Route
from tests.conformance.application import Layered, Receive, Scope, Send

SECRET: Final = "a secret of the checker, long enough"
DEBUG: Final = "a value that nobody guesses"

#: A counter begins at this number times its timeline, so that what a failover has lost is told from
#: what was written after it.
EPOCH: Final = 1_000_000
#: What nobody may ever read: `/sneak` writes it.
SNEAKED: Final = -1

_TAGS = ["item:{id}"]
ROUTES: Final = [
    Route("/row/{id}", database=Database.session()),
    Route("/slow/{id}", database=Database.session()),
    Route("/entry/{id}", cache=Cache(ttl=300, tags=_TAGS, consistency="session")),
    Route("/own/{id}", cache=Cache(ttl=300, tags=_TAGS)),
    Route("/public/{id}", cache=Cache(ttl=300, tags=_TAGS, consistency="eventual")),
    Route("/strong/{id}", database=Database.primary()),
    Route("/sneak/{id}", database=Database.session()),
]

#: Routes whose reads may run twice.
RERUN: Final = frozenset({"row", "slow"})

TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS ledger (id int PRIMARY KEY, value bigint NOT NULL,"
    " base bigint NOT NULL DEFAULT 0, other int NOT NULL DEFAULT -1,"
    " seen bigint NOT NULL DEFAULT 0)"
)
_ROW: Final = "value, other, seen, inet_server_port(), pg_is_in_recovery()"
READ: Final = f"SELECT {_ROW} FROM ledger WHERE id = %s"
#: `base` is what the counter was when the timeline began. `other` and `seen` say what the writer
#: had read before: whoever sees this write must see that as well.
WRITE: Final = (
    "UPDATE ledger SET base = CASE WHEN value < epoch.first THEN value ELSE base END,"
    " value = greatest(value, epoch.first) + 1, other = %s, seen = %s FROM (SELECT"
    " ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint"
    f" * {EPOCH} AS first) AS epoch WHERE id = %s RETURNING {_ROW}"
)
#: Long enough for replay to get in its way.
SLOW: Final = f"SELECT {_ROW} FROM ledger, pg_sleep(0.03) WHERE id = %s"
SNEAK: Final = f"UPDATE ledger SET value = {SNEAKED} WHERE id = %s RETURNING {_ROW}"
SURVIVED: Final = f"SELECT id, CASE WHEN value < {2 * EPOCH} THEN value ELSE base END FROM ledger"


class Work:
    """What one request asks for."""

    def __init__(self, method: str, path: str, query: str) -> None:
        _, self.route, number = path.split("/")
        self.item = int(number)
        self.writes = method == "PUT"
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        self.purge = asked.get("purge", "")
        self.tags = [f"item:{self.item}"]
        self.sql = {"sneak": SNEAK, "slow": SLOW}.get(self.route, READ)
        self.values: tuple[int, ...] = (self.item,)
        if self.writes:
            self.sql = WRITE
            self.values = (int(asked["other"]), int(asked["seen"]), self.item)

    def answer(self, row: Any, *, purged: bool = False) -> bytes:
        """The body."""
        value, other, seen, port, replica = row
        return json.dumps(
            {
                "id": self.item, "value": value, "other": other, "seen": seen, "port": port,
                "replica": replica, "purged": purged,
            }
        ).encode()  # fmt: skip


class Ledger(Layered):
    """Speaks both protocols. Errors of regionware's own are left to its adapters."""

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        work = Work(scope["method"], scope["path"], scope["query_string"].decode())
        try:
            status, body = 200, await self._awork(work)
        except psycopg.Error as error:
            status, body = 500, _words(error)
        fields = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Any:
        work = Work(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"])
        try:
            status, body = "200 OK", self._work(work)
        except psycopg.Error as error:
            status, body = "500 Internal Server Error", _words(error)
        start_response(status, [("Content-Type", "application/json")])
        return [body]

    async def _awork(self, work: Work) -> bytes:
        if work.route in RERUN and not work.writes:

            async def read(connection: psycopg.AsyncConnection[Any]) -> Any:
                cursor = await connection.execute(work.sql.encode(), work.values)
                return await cursor.fetchone()

            return work.answer(await self.layer.arun_read(read))
        async with self.layer.connection() as connection:
            row = await (await connection.execute(work.sql.encode(), work.values)).fetchone()
            if work.purge == "inside":
                await self.layer.apurge(tags=work.tags)
        purged = False
        if work.purge in {"region", "all"}:
            try:
                await self.layer.apurge(tags=work.tags, wait=work.purge)  # type: ignore[arg-type] # one of these
                purged = True
            except PurgeError:
                purged = False
        return work.answer(row, purged=purged)

    def _work(self, work: Work) -> bytes:
        if work.route in RERUN and not work.writes:
            read = self.layer.run_read
            return work.answer(
                read(lambda link: link.execute(work.sql.encode(), work.values).fetchone())
            )
        with self.layer.connection() as connection:
            row = connection.execute(work.sql.encode(), work.values).fetchone()
            if work.purge == "inside":
                self.layer.purge(tags=work.tags)
        purged = False
        if work.purge in {"region", "all"}:
            try:
                self.layer.purge(tags=work.tags, wait=work.purge)  # type: ignore[arg-type] # one of these
                purged = True
            except PurgeError:
                purged = False
        return work.answer(row, purged=purged)


def _words(error: psycopg.Error) -> bytes:
    return f"{error.sqlstate or type(error).__name__}".encode()
