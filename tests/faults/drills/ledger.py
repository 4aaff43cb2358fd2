"""The application of the drills about databases: a ledger of numbers, over both protocols.

`GET /session/7` reads, `PUT /session/7?value=3` writes; the other paths differ in their policies.
`seconds=` makes the statement take that long. What went wrong is named in the answer.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import psycopg

from regionware.errors import Unavailable
from regionware.parts.postgres import Cluster
from regionware.policies import Cache, Database, Route
from regionware.policies.database import Unmet
from tests.conformance.application import Layered, Receive, Scope, Send

SECRET = "a secret of the drills, long enough"
DEBUG = "a value of the drills that nobody guesses"

#: Milliseconds that a read may wait for a replica, or for commits in progress on the primary.
WAIT = 200

#: How many items there are.
ITEMS = 400

READ = (
    "SELECT id, value, pg_is_in_recovery(), inet_server_port(), pg_sleep(%s)"
    " FROM ledger WHERE id = %s"
)
WRITE = (
    "UPDATE ledger SET value = %s WHERE id = %s"
    " RETURNING id, value, pg_is_in_recovery(), inet_server_port(), pg_sleep(%s)"
)

#: Paths whose reads show a session its own writes, and nothing older than what it has seen.
GUARANTEED = ("session", "cached", "again", "strong")


def make(cluster: Cluster) -> None:
    """The table, every item at 0, on every host."""
    cluster.primary.query("CREATE TABLE IF NOT EXISTS ledger (id int PRIMARY KEY, value int)")
    cluster.primary.query("TRUNCATE ledger")
    cluster.primary.query(f"INSERT INTO ledger SELECT n, 0 FROM generate_series(1, {ITEMS}) AS n")
    cluster.settle()


def routes(unmet: Unmet = "primary") -> list[Route]:
    """A route for each policy."""
    session = Database.session(wait=WAIT, unmet=unmet)
    stored = Cache(ttl=300, tags=["item:{item}"], consistency="session")
    return [
        Route("/session/{item}", database=session),
        Route("/again/{item}", database=session),
        Route("/cached/{item}", cache=stored, database=session),
        Route("/lagging/{item}", database=Database.replica(max_lag=300, wait=WAIT, unmet=unmet)),
        Route("/bounded/{item}", database=Database.replica(max_lag=1, wait=WAIT, unmet=unmet)),
        Route("/strong/{item}", database=Database.primary(wait=WAIT)),
        Route("/held/{item}", database=Database.primary(wait=WAIT)),
    ]


@dataclass(frozen=True)
class Task:
    """What one request does."""

    sql: str
    values: tuple[object, ...]
    tag: str
    writes: bool
    again: bool

    @classmethod
    def of(cls, method: str, path: str, query: str) -> "Task":
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        _, kind, item = path.split("/")
        seconds, tag = float(asked.get("seconds", 0)), f"item:{item}"
        if method == "PUT":
            return cls(WRITE, (int(asked["value"]), int(item), seconds), tag, True, False)
        return cls(READ, (seconds, int(item)), tag, False, kind == "again")


class Ledger(Layered):
    """The application."""

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        calls: list[int] = []
        task = Task.of(scope["method"], scope["path"], scope["query_string"].decode())
        try:
            status, fields, body = told(await self._ado(task, calls), calls)
        except (Unavailable, psycopg.Error) as error:
            status, fields, body = failed(error, calls)
        headers = [(name.encode(), value.encode()) for name, value in fields]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _ado(self, task: Task, calls: list[int]) -> Any:
        async def work(connection: psycopg.AsyncConnection[Any]) -> Any:
            calls.append(1)
            return await (await connection.execute(task.sql.encode(), task.values)).fetchone()

        if task.again:
            return await self.layer.arun_read(work)
        async with self.layer.connection() as connection:
            row = await work(connection)
            if task.writes:
                await self.layer.apurge(tags=[task.tag])
        return row

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Any:
        calls: list[int] = []
        task = Task.of(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"])
        try:
            status, fields, body = told(self._do(task, calls), calls)
        except (Unavailable, psycopg.Error) as error:
            status, fields, body = failed(error, calls)
        start_response(f"{status} As It Is", fields)
        return [body]

    def _do(self, task: Task, calls: list[int]) -> Any:
        def work(connection: psycopg.Connection[Any]) -> Any:
            calls.append(1)
            return connection.execute(task.sql.encode(), task.values).fetchone()

        if task.again:
            return self.layer.run_read(work)
        with self.layer.connection() as connection:
            row = work(connection)
            if task.writes:
                self.layer.purge(tags=[task.tag])
        return row


Answered = tuple[int, list[tuple[str, str]], bytes]


def told(row: Any, calls: list[int]) -> Answered:
    """What was read or written, where, and by how many attempts of the application."""
    item, value, replica, port, _ = row
    facts = {"item": item, "value": value, "replica": replica, "port": port, "calls": len(calls)}
    return 200, [("content-type", "application/json")], json.dumps(facts).encode()


def failed(error: Exception, calls: list[int]) -> Answered:
    """A guarantee that cannot be met is 503; a database's own error is 500. Both are named."""
    name = getattr(error, "sqlstate", None) or type(error).__name__
    fields = [("content-type", "application/json"), ("cache-control", "no-store")]
    status = 500
    if isinstance(error, Unavailable):
        status = 503
        fields.append(("retry-after", str(error.retry_after)))
    return status, fields, json.dumps({"error": name, "calls": len(calls)}).encode()
