"""Wrapped applications of real frameworks, and their customers, over both protocols."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any, Protocol

import httpx
from werkzeug.test import Client

from regionware.policies import Cache, Database, Route
from tests.conformance.application import DEADLINE
from tests.conformance.harness import Loop

ROUTES = [
    Route("/cached/{id}", cache=Cache(ttl=300, tags=["item:{id}"])),
    Route("/strong/{id}", database=Database.primary()),
    Route("/escalate/{id}", database=Database.session(on_write="escalate")),
    Route("/fail/{id}", database=Database.session(unmet="fail", wait=0)),
]


@dataclass
class Reply:
    """What a customer received."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Site(Protocol):
    """A wrapped application."""

    def ask(self, method: str, path: str, headers: Mapping[str, str]) -> Reply:
        """One request."""


class WsgiSite:
    """Called as by a server, on the thread of the caller."""

    def __init__(self, app: Any) -> None:
        self._client = Client(app, use_cookies=False)

    def ask(self, method: str, path: str, headers: Mapping[str, str]) -> Reply:
        with self._client.open(path, method=method, headers=dict(headers)) as response:
            return Reply(response.status_code, list(response.headers), response.get_data())


class AsgiSite:
    """Called in the event loop of a thread."""

    def __init__(self, app: Any, loop: Loop) -> None:
        self._app = app
        self._loop = loop.loop

    def ask(self, method: str, path: str, headers: Mapping[str, str]) -> Reply:
        work = self._ask(method, path, headers)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE)

    async def _ask(self, method: str, path: str, headers: Mapping[str, str]) -> Reply:
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://site.test") as client:
            response = await client.request(method, path, headers=dict(headers))
        return Reply(response.status_code, response.headers.multi_items(), response.content)


@dataclass
class Customer:
    """A client with cookies; or, where they are thrown away, one without."""

    site: Site
    keeps: bool = True
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str) -> Reply:
        pairs = [f"{name}={value}" for name, value in self.cookies.items()]
        reply = self.site.ask(method, path, {"Cookie": "; ".join(pairs)} if pairs else {})
        for line in reply.all("set-cookie") if self.keeps else ():
            self.cookies.update({n: morsel.value for n, morsel in SimpleCookie(line).items()})
        return reply

    def put(self, path: str) -> Reply:
        reply = self.ask("PUT", path)
        assert reply.status == 200, reply.body
        return reply

    def look(self, path: str) -> tuple[int, bool]:
        """The value, and whether a replica gave it."""
        reply = self.ask("GET", path)
        assert reply.status == 200, reply.body
        row = reply.json
        return row["value"], row["replica"]


def stranger(site: Site) -> Customer:
    """Somebody without a session."""
    return Customer(site, keeps=False)


#: Makes a site where the replica is.
Open = Callable[[], Site]
