"""One honest workload: readers and editors in both regions, at once, each with a session.

The far clients are measured. The near ones read and write beside them, so that the far region has
to learn of writes that it did not make. Clients keep their connection and their cookies, as
browsers do, and think between two requests.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from regionware.demo import assets, promises
from regionware.demo.checker import Checker, Promise, Write
from regionware.demo.schema import PRODUCTS, TENANTS, USERS

if TYPE_CHECKING:
    from regionware.demo.race import Race

CACHED, REPLICA, OWN, WRITE, STATIC = KINDS = (
    "cached read",
    "replica read",
    "own write, then read",
    "write",
    "static file",
)

#: How many clients there are in the far region; the first of them also write; and
#: how many there are in the primary region, of which the first also writes.
FAR_CLIENTS, FAR_EDITORS, NEAR_CLIENTS = 8, 3, 2
#: Mean seconds a client thinks between two requests.
FAR_PAUSE, NEAR_PAUSE = 0.1, 0.2

_POPULARITY = [1 / number for number in range(1, PRODUCTS + 1)]


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured request: its kind, its seconds, and who answered it."""

    kind: str
    seconds: float
    source: str


@dataclass(frozen=True, slots=True)
class Load:
    """How much there is to do, and under which rules.

    Attributes:
        requests: how many requests the far clients send at least, together.
        seconds: how long they go on at least.
        bound: `staleness_bound` of the deployment, in seconds.
        forgetful: clients lose the session's token before each request.
    """

    requests: int
    seconds: float
    bound: float
    forgetful: bool = False


@dataclass
class Result:
    """What one variant of the deployment did."""

    checker: Checker
    samples: list[Sample] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    race: "Race | None" = None


def source(response: httpx.Response) -> str:
    """Who answered: a tier of the cache, or a database host in its own words."""
    status: str = response.headers.get("Cache-Status", "")
    if "; hit" in status:
        return status.rpartition("detail=")[2]
    if response.headers.get("Content-Type") != "application/json":
        return "application"
    served = response.json().get("served_by", {})
    return "replica" if served.get("replica") else "primary"


class Client:
    """One user with a connection, cookies, and habits."""

    def __init__(
        self, name: str, base_url: str, result: Result, tell: Callable[[], object] | None
    ) -> None:
        """Meet the server.

        Args:
            name: who this is; users of the same name in two runs behave alike.
            base_url: the application.
            result: where samples, faults and failures go.
            tell: called after each measured request; `None` for a client that is not measured.
        """
        self.name = name
        self.forgetful = False
        self.sent = 0
        self._http = httpx.AsyncClient(base_url=base_url, timeout=30, trust_env=False)
        self._random = random.Random(name)
        self._result = result
        self._tell = tell

    async def close(self) -> None:
        """Hang up."""
        await self._http.aclose()

    async def begin(self, user: str) -> None:
        """Log in and look who one is: an own write on a session route; opens the connection."""
        login = await self._request(WRITE, "POST", "/login", {"name": user}, measured=False)
        if login is None:
            return
        self._wrote(f"login:{self.name}", 1)
        sent = time.monotonic()
        me = await self._request(OWN, "GET", "/me", measured=False)
        seen = {f"login:{self.name}": int(me is not None)}
        self._result.checker.read(seen, promises.ME, client=self.name, sent=sent)

    async def live(self, requests: float, seconds: float, *, pause: float, writes: bool) -> None:
        """Send so many requests, and go on for so many seconds, thinking in between."""
        until = time.monotonic() + seconds
        while self.sent < requests or time.monotonic() < until:
            await asyncio.sleep(self._random.uniform(0, 2 * pause))
            if writes and self._random.random() < 0.25:
                await self._edit()
            else:
                await self._look()

    async def _look(self) -> None:
        dice = self._random.random()
        if dice < 0.45:
            await self._product(CACHED, self._pick())
        elif dice < 0.55:
            await self._list()
        elif dice < 0.65:
            await self._config(self._random.choice(TENANTS))
        elif dice < 0.87:
            await self._stock(REPLICA, self._pick())
        else:
            await self._request(STATIC, "GET", assets.PATH)

    async def _edit(self) -> None:
        """Write, and look at once whether it is there."""
        if self._random.random() < 0.25:
            await self._put_config(self._random.choice(TENANTS))
            return
        number = self._pick()
        await self._put_product(number)
        read = self._product if self._random.random() < 0.5 else self._stock
        await read(OWN, number)

    async def _product(self, kind: str, number: int) -> None:
        path = f"/products/{number}"
        await self._read(kind, path, f"product:{number}", number, promises.PRODUCT)

    async def _stock(self, kind: str, number: int) -> None:
        path = f"/products/{number}/stock"
        await self._read(kind, path, f"stock:{number}", number, promises.STOCK)

    async def _config(self, tenant: str) -> None:
        path = f"/tenants/{tenant}/config"
        await self._read(CACHED, path, f"tenant:{tenant}", tenant, promises.CONFIG)

    async def _read(self, kind: str, path: str, key: str, row: object, promise: Promise) -> None:
        sent = time.monotonic()
        body = await self._request(kind, "GET", path)
        if body is None:
            return
        if body["id"] != row:
            self._result.checker.mismatched(key, body["id"])
        seen = {key: body["version"]}
        self._result.checker.read(seen, promise, client=self.name, sent=sent)

    async def _list(self) -> None:
        sent = time.monotonic()
        body = await self._request(CACHED, "GET", "/products")
        if body is not None:
            seen = {f"product:{each['id']}": each["version"] for each in body["products"]}
            self._result.checker.read(seen, promises.LIST, client=self.name, sent=sent)

    async def _put_product(self, number: int) -> None:
        price = f"{self._random.uniform(1, 100):.2f}"
        body = await self._request(WRITE, "PUT", f"/products/{number}", {"price": price})
        if body is not None:
            # Both rows change in one transaction, and so always have the same version.
            self._wrote(f"product:{number}", body["version"])
            self._wrote(f"stock:{number}", body["version"])

    async def _put_config(self, tenant: str) -> None:
        theme = {"theme": self._random.choice(("light", "dark"))}
        body = await self._request(WRITE, "PUT", f"/tenants/{tenant}/config", theme)
        if body is not None:
            self._wrote(f"tenant:{tenant}", body["version"])

    def _wrote(self, key: str, version: int) -> None:
        self._result.checker.wrote(key, Write(version, time.monotonic(), self.name))

    async def _request(
        self, kind: str, method: str, path: str, json: Any = None, *, measured: bool = True
    ) -> Any:
        """Send one request; the body of a good answer (of a file: empty), else `None`."""
        if self.forgetful:
            self._http.cookies.delete("regionware-session")
        self.sent += measured
        started = time.perf_counter()
        try:
            response = await self._http.request(method, path, json=json)
        except httpx.HTTPError as error:
            self._result.failures.append(f"{method} {path}: {error!r}")
            return None
        seconds = time.perf_counter() - started
        if response.status_code != httpx.codes.OK:
            self._result.failures.append(f"{method} {path}: {response.status_code}")
            return None
        answered = source(response)
        if measured and self._tell is not None:
            self._result.samples.append(Sample(kind, seconds, answered))
            self._tell()
        return {} if answered == "application" else response.json()

    def _pick(self) -> int:
        """A product, the popular ones more often."""
        return self._random.choices(range(1, PRODUCTS + 1), _POPULARITY)[0]


async def run(far: str, near: str, load: Load, tell: Callable[[], object]) -> Result:
    """Let the clients of both regions live until the far ones have done their share.

    Args:
        far: the URL that clients in the far region use.
        near: the URL that clients in the primary region use.
        load: how much there is to do, and under which rules.
        tell: called after each request of a far client.
    """
    result = Result(Checker(load.bound))
    fars = [Client(f"far{n}", far, result, tell) for n in range(FAR_CLIENTS)]
    nears = [Client(f"near{n}", near, result, None) for n in range(NEAR_CLIENTS)]
    clients = [*fars, *nears]
    try:
        for client in clients:
            client.forgetful = load.forgetful
        await asyncio.gather(*(c.begin(u) for c, u in zip(clients, USERS, strict=False)))
        await _live(fars, nears, load)
    finally:
        await asyncio.gather(*(client.close() for client in clients))
    return result


async def _live(fars: list[Client], nears: list[Client], load: Load) -> None:
    beside = [
        asyncio.ensure_future(each.live(math.inf, 0, pause=NEAR_PAUSE, writes=number < 1))
        for number, each in enumerate(nears)
    ]
    each_sends = load.requests / len(fars)
    measured = (
        each.live(each_sends, load.seconds, pause=FAR_PAUSE, writes=number < FAR_EDITORS)
        for number, each in enumerate(fars)
    )
    try:
        await asyncio.gather(*measured)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
