"""A write of several statements from 150 ms away: carried out here, or sent there as a whole."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from regionware import Region, Regionware, Topology
from regionware.parts.postgres import Cluster
from regionware.parts.proxy import DelayProxy
from regionware.policies import Route, Write
from tests.conformance.application import DEADLINE, Layered, Receive, Scope, Send
from tests.conformance.harness import Flavour, Loop, Site, until
from tests.writes.served import FORWARDS, SECRET, Server

#: Seconds of one direction.
ONE_WAY = 0.075
TABLE = "CREATE TABLE IF NOT EXISTS tally (id int PRIMARY KEY, value int NOT NULL)"
_INSERT = "INSERT INTO tally VALUES (1, 0) ON CONFLICT DO NOTHING"
_UPDATE = "UPDATE tally SET value = value + 1 WHERE id = 1"


class Clerk(Layered):
    """`POST /?k=3`: three statements in one transaction."""

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        async with self.layer.connection() as connection:
            for _ in range(_statements(scope["query_string"].decode())):
                await connection.execute(_UPDATE)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Any:
        with self.layer.connection() as connection:
            for _ in range(_statements(environ["QUERY_STRING"])):
                connection.execute(_UPDATE)
        start_response("204 No Content", [])
        return []


def _statements(query: str) -> int:
    return int(parse_qs(query)["k"][0])


@dataclass
class Taken:
    """What one way takes.

    Attributes:
        trips: round trips over the distance for one request.
        seconds: the median of the requests.
    """

    trips: float
    seconds: float


class Distance:
    """The far region, with the primary's application and its database far away."""

    def __init__(self, flavour: Flavour, loop: Loop, cluster: Cluster, near_port: int) -> None:
        self.database = DelayProxy(cluster.primary.port)
        self.application = DelayProxy(near_port)
        for proxy in (self.database, self.application):
            proxy.start()
        self._loop = loop
        self._sites: dict[str, Site] = {}
        routes = {"direct": Write.direct(), "forward": FORWARDS}
        for way, write in routes.items():
            clerk = Clerk()
            clerk.rw = self._regionware(cluster, write)
            self._sites[way] = Site(flavour, clerk.rw, clerk, loop)

    def _regionware(self, cluster: Cluster, write: Write) -> Regionware:
        url = self.application.through("http://127.0.0.1:1")
        database = self.database.through(cluster.url)
        regions = [Region("iad", primary=True, database=database, url=url), Region("fra")]
        rw = Regionware(
            topology=Topology(here="fra", regions=regions),
            routes=[Route("/{path:path}", write=write)], secret=SECRET,
        )  # fmt: skip
        rw.start()
        databases = rw._parts.databases
        assert databases is not None
        until(lambda: databases.marks["iad/primary"].rtt is not None)
        prober: Any = databases._rim.prober
        prober.interval = 3600  # it would be counted
        return rw

    def take(self, way: str, statements: int, requests: int = 3) -> Taken:
        """Make some requests over connections that are there."""
        site = self._sites[way]
        ask = {"method": "POST", "query": f"k={statements}"}
        self._quiet()
        times = []
        for _ in range(requests):
            began = time.perf_counter()
            assert site.get("/", **ask).status == 204
            times.append(time.perf_counter() - began)
        trips = self.database.counters.round_trips + self.application.counters.round_trips
        return Taken(trips / requests, sorted(times)[len(times) // 2])

    def warm(self) -> None:
        """Have connections made, and statements prepared, which the first few of them are not."""
        for site in self._sites.values():
            for _ in range(10):
                assert site.get("/", method="POST", query="k=5").status == 204

    def _quiet(self) -> None:
        """Wait until pools have made the connections that they make beforehand."""
        moved = True
        while moved:
            for proxy in (self.database, self.application):
                proxy.counters.reset()
            time.sleep(0.5 + 6 * self.application.delay)
            counters = [proxy.counters for proxy in (self.database, self.application)]
            moved = any(each.round_trips or each.connections for each in counters)

    def close(self) -> None:
        for site in self._sites.values():
            site.close()
            closing = asyncio.run_coroutine_threadsafe(site.rw.aclose(), self._loop.loop)
            closing.result(DEADLINE)
        for proxy in (self.database, self.application):
            proxy.close()


@contextmanager
def distance(flavour: Flavour, loop: Loop, cluster: Cluster) -> Iterator[Distance]:
    """Both regions; without any delay yet: set `delay` of both proxies."""
    for statement in (TABLE, _INSERT):
        cluster.primary.query(statement)
    clerk = Clerk()
    regions = [
        Region("iad", primary=True, database=cluster.url, url="http://iad.invalid"), Region("fra"),
    ]  # fmt: skip
    topology = Topology(here="iad", regions=regions)
    routes: Sequence[Route] = [Route("/{path:path}", write=FORWARDS)]
    clerk.rw = Regionware(topology=topology, routes=routes, secret=SECRET)
    server = Server("asgi", clerk.rw.asgi(clerk.asgi))
    try:
        far = Distance(flavour, loop, cluster, server.port)
        try:
            far.warm()
            yield far
        finally:
            far.close()
    finally:
        server.close()
        clerk.rw.close()
