"""One simulated process: a real `Regionware` over ASGI, its application, and those who ask it."""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from regionware.caching.purging import Order
from regionware.context import current
from regionware.errors import PurgeError
from regionware.middleware import Regionware
from regionware.policies.cache import Cache
from regionware.policies.route import Route
from regionware.testing.simulator.history import History, Purge
from regionware.testing.simulator.seams import attach
from regionware.testing.simulator.server import EPOCH
from regionware.testing.simulator.tasks import Connect
from regionware.testing.simulator.world import ProcessLoop
from regionware.topology import Topology

#: What is cached: by the policy's tag, by tags of the application, in variants, and briefly.
ROUTES = (
    Route("/tag/{n}", cache=Cache(ttl=600, stale_if_error=600, tags=["tag:{n}"])),
    Route("/own/{n}", cache=Cache(ttl=600, stale_while_revalidate=600)),
    Route("/vary/{n}", cache=Cache(ttl=600, tags=["vary:{n}"])),
    Route(
        "/brief/{n}",
        cache=Cache(ttl=1, stale_while_revalidate=30, stale_if_error=600, tags=["brief:{n}"]),
    ),
)
#: What can be asked for.
ITEMS = tuple(f"{kind}:{n}" for kind in ("tag", "own", "vary", "brief") for n in range(2))
_LANGUAGES = (b"de", b"en")
_SLOW = 0.02
_SLOWEST = 12.0
_FAILS = 0.03

#: The purge that a task is about, for what is queued on its behalf.
_CURRENT: ContextVar[Purge | None] = ContextVar("purge", default=None)


class Worker:
    """One process of one region.

    Attributes:
        name: of this process; a new one after each start.
        region: where it stands.
        loop: its loop.
        rw: what is tested.
    """

    def __init__(
        self, loop: ProcessLoop, topology: Topology, history: History, connect: Connect
    ) -> None:
        """Start it.

        Args:
            loop: its process.
            topology: with its region as `here`.
            history: judges the answers.
            connect: makes lines to a region's Redis.
        """
        world, name = loop.world, loop.name
        self.world = world
        self.name = name
        self.region = topology.here.name
        self.history = history
        self.loop = loop
        self.rw = Regionware(
            topology=topology, routes=ROUTES, clock=loop.time, wall=lambda: EPOCH + world.now
        )
        self.rw._parts.prepared.random = world.random.random  # noqa: SLF001 - there is no option for it
        attach(self.rw, loop, connect, self._sent, self._delivered, confirmed=self._confirmed)
        self._app = self.rw.asgi(self._application)
        self._orders: dict[int, tuple[Order, Purge]] = {}
        self.rw.start()

    def kill(self) -> None:
        """End the process at once; what only it knew is lost."""
        self.loop.kill()
        self.history.died(self.name)

    @property
    def queued(self) -> int:
        """How many orders its relays still have to deliver."""
        return sum(map(len, self.rw._parts.rim.relays))  # noqa: SLF001 - there is no other way to know

    # The application

    async def _application(self, scope: Any, _: Any, send: Any) -> None:
        """Answers with the version that the origin had at some moment of its work."""
        item = item_of(scope["path"])
        work = self._effort()
        reads_at = self.world.random.uniform(0, work)
        await asyncio.sleep(reads_at)
        if scope["method"] == "POST":
            self.history.write(item)
            if (purge := _CURRENT.get()) is not None:
                purge.version = self.history.versions[item]
        version = self.history.versions[item]
        await asyncio.sleep(work - reads_at)
        failed = self.world.chance(_FAILS)
        headers = [(b"content-type", b"text/plain")]
        if item.startswith("vary"):
            headers.append((b"vary", b"accept-language"))
        if item.startswith("own") and (state := current()) is not None:
            state.tag(item)
        status = 500 if failed and scope["method"] == "GET" else 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": f"{item} {version}".encode()})

    def _effort(self) -> float:
        """Seconds of work: mostly little."""
        dice = self.world.random
        return dice.uniform(0.1, _SLOWEST) if dice.random() < _SLOW else dice.uniform(0.001, 0.03)

    # Those who ask

    async def request(self, item: str, method: str = "GET", *, reload: bool = False) -> int:
        """One request; the version of the answer, or 0 for an error."""
        seen: list[Any] = []

        async def send(message: Any) -> None:
            seen.append(message)

        await self._app(self._scope(item, method, reload=reload), _nothing, send)
        status, body = seen[0]["status"], b"".join(each.get("body", b"") for each in seen[1:])
        self.world.tell(self.name, f"{method} {item} -> {status} {body.decode()} {_how(seen[0])}")
        return int(body.split()[1]) if status == 200 else 0

    def _scope(self, item: str, method: str, *, reload: bool) -> dict[str, Any]:
        path = "/" + item.replace(":", "/")
        language = self.world.random.choice(_LANGUAGES)
        headers = [(b"host", b"origin"), (b"accept-language", language)]
        if reload:
            headers.append((b"cache-control", b"no-cache"))
        return {
            "type": "http", "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"",
            "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip

    async def read(self, item: str, *, reload: bool = False) -> None:
        """A request whose answer is judged."""
        began = self.world.now
        version = await self.request(item, reload=reload)
        if version:
            self.history.judge(self.region, self.name, item, began, version)

    async def rest(self, item: str) -> None:
        """A request after everything has come to rest."""
        version = await self.request(item)
        if version:
            self.history.judge_rest(self.region, self.name, item, version)

    async def post(self, item: str) -> None:
        """A request that changes an item: what was stored of it ends before the response."""
        purge = self.history.order(item, self.name)
        _CURRENT.set(purge)
        if await self.request(item, "POST") and self.region in purge.waiting - purge.queued:
            self.history.applied(purge, self.region)
        self.history.returned(purge)

    async def purge(self, item: str, how: str) -> None:
        """Change an item at the origin, then purge it."""
        self.history.write(item)
        purge = self.history.order(item, self.name)
        _CURRENT.set(purge)
        self.world.tell(self.name, f"purges {item} v{purge.version} by {how}")
        try:
            timeout = self.world.random.choice((0.05, 2))
            done = await self.rw.apurge(**words_of(item, how), timeout=timeout)
        except PurgeError as error:
            self.world.tell(self.name, f"purge of {item} is not confirmed: {error}")
        else:
            self.history.acknowledged(purge, self.region, done.stamp)
        self.history.returned(purge)

    def _sent(self, region: str, order: Order) -> None:
        if (purge := _CURRENT.get()) is not None:
            purge.queued.add(region)
            self._orders[id(order)] = (order, purge)

    def _confirmed(self, region: str, stamp: int) -> None:
        self.history.relayed(self.region, region, stamp)

    def _delivered(self, region: str, order: Order) -> None:
        if (known := self._orders.get(id(order))) is not None:
            self.history.applied(known[1], region)


async def _nothing() -> Any:
    await asyncio.get_running_loop().create_future()


def item_of(path: str) -> str:
    """The item that a path shows."""
    return path[1:].replace("/", ":")


def words_of(item: str, how: str) -> dict[str, Any]:
    """How `rw.purge` is asked to purge an item."""
    if how == "url":
        return {"urls": ["/" + item.replace(":", "/")]}
    return {"everything": True} if how == "everything" else {"tags": [item]}


def _how(start: Any) -> str:
    fields: Sequence[tuple[bytes, bytes]] = start["headers"]
    told = [value.decode() for name, value in fields if name.lower() == b"cache-status"]
    return told[0].removeprefix("regionware; ") if told else ""
