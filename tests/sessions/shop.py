"""A shop on PostgreSQL that speaks both protocols, and its customers.

`GET /items/7` reads, `PUT /items/7?value=3` writes, and so on below `/plain`, `/lag`, `/strong`,
`/fail` and `/edge`, which differ in their policies only. `purge=` in a PUT says when it purges.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

import psycopg

from regionware.database.position import Position
from regionware.policies import Cache, Database, Route
from tests.conformance.application import Layered, Receive, Scope, Send
from tests.conformance.harness import Answer, Site

SECRET = "a secret of the tests, long enough"

ROUTES = [
    Route("/items/{id}", cache=Cache(ttl=300, tags=["item:{id}"])),
    Route(
        "/lag/{id}",
        cache=Cache(ttl=300, tags=["item:{id}"]),
        database=Database.replica(max_lag=300),
    ),
    Route("/eventual/{id}", cache=Cache(ttl=300, tags=["item:{id}"], consistency="eventual")),
    Route("/strong/{id}", database=Database.primary()),
    Route("/fail/{id}", database=Database.session(unmet="fail", wait=0)),
]

READ = "SELECT value, pg_is_in_recovery() FROM goods WHERE id = %s"
WRITE = (
    "INSERT INTO goods (id, value) VALUES (%s, %s)"
    " ON CONFLICT (id) DO UPDATE SET value = excluded.value RETURNING value, pg_is_in_recovery()"
)
#: A position that every host has reached.
LONG_AGO = Position(1, 1)


class RolledBackError(Exception):
    """What the application rolls back with."""


@dataclass(frozen=True)
class Work:
    """What one request does to the database."""

    sql: str
    values: tuple[object, ...]
    words: Mapping[str, Any]
    tags: tuple[str, ...] = ()
    purge: str = ""
    rollback: bool = False

    @classmethod
    def of(cls, method: str, path: str, query: str) -> "Work":
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        number = int(path.rpartition("/")[2])
        words = {"access": asked["access"]} if "access" in asked else {}
        if method in {"GET", "HEAD"} and "value" not in asked:
            return cls(READ, (number,), words)
        return cls(
            WRITE, (number, int(asked["value"])), words, (f"item:{number}",),
            asked.get("purge", ""), "rollback" in asked,
        )  # fmt: skip


class Shop(Layered):
    """The application. Its answers name the value, and whether a replica gave it."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: list[tuple[str, str]] = [("content-type", "application/json")]

    def _answer_with(self, row: Any) -> bytes:
        value, replica = row or (None, None)
        return json.dumps({"value": value, "replica": replica}).encode()

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        work = Work.of(scope["method"], scope["path"], scope["query_string"].decode())
        try:
            status, body = 200, self._answer_with(await self._awork(work))
        except psycopg.Error as error:
            status, body = 409, (error.sqlstate or "").encode()
        except RolledBackError:
            status, body = 422, b"rolled back"
        fields = [(name.encode(), value.encode()) for name, value in self.fields]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    async def _awork(self, work: Work) -> Any:
        async with self.layer.connection(**work.words) as connection:
            row = await (await connection.execute(work.sql.encode(), work.values)).fetchone()
            if work.purge == "inside":
                await self.layer.apurge(tags=work.tags)
            if work.rollback:
                raise RolledBackError
        if work.purge in {"after", "blind"}:
            after = LONG_AGO if work.purge == "blind" else None
            await self.layer.apurge(tags=work.tags, after=after)
        return row

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Any:
        work = Work.of(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"])
        try:
            status, body = "200 OK", self._answer_with(self._work(work))
        except psycopg.Error as error:
            status, body = "409 Conflict", (error.sqlstate or "").encode()
        except RolledBackError:
            status, body = "422 Unprocessable Content", b"rolled back"
        start_response(status, list(self.fields))
        return [body]

    def _work(self, work: Work) -> Any:
        with self.layer.connection(**work.words) as connection:
            row = connection.execute(work.sql.encode(), work.values).fetchone()
            if work.purge == "inside":
                self.layer.purge(tags=work.tags)
            if work.rollback:
                raise RolledBackError
        if work.purge in {"after", "blind"}:
            after = LONG_AGO if work.purge == "blind" else None
            self.layer.purge(tags=work.tags, after=after)
        return row


@dataclass
class Customer:
    """A client with cookies; or, where they are thrown away, one without."""

    site: Site
    keeps: bool = True
    scheme: str = "http"
    cookies: dict[str, str] = field(default_factory=dict)

    def at(self, site: Site) -> "Customer":
        """The same customer, answered by another worker."""
        return Customer(site, self.keeps, self.scheme, self.cookies)

    def ask(self, method: str, path: str, query: str = "", **fields: str) -> Answer:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{n}={v}" for n, v in self.cookies.items())
        answer = self.site.get(
            path, method=method, query=query, headers=headers, scheme=self.scheme
        )
        for line in answer.all("set-cookie") if self.keeps else ():
            self.cookies.update({n: morsel.value for n, morsel in SimpleCookie(line).items()})
        return answer

    def put(self, path: str, value: int, more: str = "") -> Answer:
        answer = self.ask("PUT", path, f"value={value}{more}")
        assert json.loads(answer.body) == {"value": value, "replica": False}
        return answer

    def see(self, path: str) -> int:
        """The value that this customer is shown."""
        return self.look(path)[0]

    def look(self, path: str) -> tuple[int, bool, bool]:
        """The value, whether it was made by a replica, and whether it was stored."""
        answer = self.ask("GET", path)
        assert answer.status == 200, answer.body
        row = json.loads(answer.body)
        return row["value"], row["replica"], bool(answer.all("cache-status")) and answer.hit
