"""`Regionware`: the composition root. It knows everyone, and nobody knows it."""

import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from regionware.adapters.asgi import App as AsgiApp
from regionware.adapters.asgi import AsgiMiddleware
from regionware.adapters.asgi_arriving import ArrivingAsgi
from regionware.adapters.edges.line import EdgeStatus
from regionware.adapters.edges.protocol import EdgePurger
from regionware.adapters.wsgi import App as WsgiApp
from regionware.adapters.wsgi import WsgiMiddleware
from regionware.adapters.wsgi_arriving import ArrivingWsgi
from regionware.caching.coherence import BOUND, EVERYTHING, mark
from regionware.caching.following import Backplane
from regionware.caching.memory import Memory
from regionware.caching.named import names_for
from regionware.caching.purging import Purged
from regionware.composition import Parts, compose
from regionware.configuration import Options, checked_mode
from regionware.context import current
from regionware.database.position import Position
from regionware.database.selecting import HostSelector
from regionware.errors import ConfigurationError
from regionware.explaining import explain, inventory
from regionware.lifetime import Lifetime
from regionware.locate import Ingress, Probe, Provider, RegionMap, Regions
from regionware.observe import Sink
from regionware.outside import Outside
from regionware.policies.database import Access, Consistency
from regionware.policies.route import Mode, Route
from regionware.purger import WaitFor
from regionware.topology import Region, Topology

if TYPE_CHECKING:
    import psycopg

    from regionware.database.connection import Databases
    from regionware.database.handle import Handle

R = TypeVar("R")


class Regionware(Lifetime, Outside):
    """One policy for region resolution, CDN fields, a two-tier cache and a connection selector."""

    def __init__(
        self,
        *,
        topology: Topology | None = None,
        routes: Sequence[Route] = (),
        region: Sequence[Provider] = (),
        trusted: Sequence[str | Ingress] = (),
        secret: str | bytes | Sequence[str | bytes] | None = None,
        memory: int = 64 << 20,
        memory_entry: int | None = None,
        warm: int = 0,
        shadow: float = 0.0,
        takeover: float = 100.0,
        namespace: str = "regionware",
        release: str = "",
        sign_entries: bool = False,
        session_cookie: str | tuple[str, str | None] = "regionware-session",
        mode: Mode = "on",
        debug: str | None = None,
        sinks: Sequence[Sink] = (),
        mapping: RegionMap | None = None,
        probe: str | Probe | None = None,
        hosts: Sequence[str] | None = None,
        edges: Sequence[EdgePurger] = (),
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Compile everything that can be compiled; connect to nothing.

        Args:
            topology: what stands where; `None` for one region without Redis or database.
            routes: the first that matches a request holds.
            region: providers of a client's region, in order of trust.
            trusted: whose header fields are believed: an `Ingress`, what it sets; peers, as CIDRs,
                `"unix"` or `"private"`, anything. Nobody by default.
            secret: signs session tokens and, if wanted, entries; at least 16 characters; of
                several, the first signs and all verify. Needed with a database.
            memory: bytes of this process's tier, at least 65,536: what the process really holds.
            memory_entry: bytes of the largest entry in it, 1,024 to 1/32 of `memory`; by default
                that, and at most 1 MiB. What is larger is kept in Redis only.
            warm: how many entries a worker that starts fetches from Redis in the background, of
                those that the region's workers are asked for most: 0 to 5,000.
            shadow: comparisons of an entry in memory with Redis in a second, in the background, 0
                to 10; what comes of them are events named `shadow`.
            takeover: reads a second, 0 to 1,000,000, that a process may always send to the primary
                because no replica does; see docs/database.md.
            namespace: prefix of every Redis key; purges reach the whole namespace.
            release: entries of one release are never read by another.
            sign_entries: entries in Redis are signed with `secret`, and none without that is
                believed. Change it together with `release`.
            session_cookie: the token's cookie: a name, or a name and a domain.
            mode: `"on"`, `"off"` or `"observe"`; `REGIONWARE_MODE` overrides it.
            debug: an unguessable value, at least 16 characters; a request that sends it in
                `Regionware-Debug` is told what its answer was made from.
            sinks: called with every event.
            mapping: how clients are sent to regions: overrides, weights, measured latency.
            probe: where browsers measure the regions: a path, or `Probe(…)`; see docs/regions.md.
            hosts: the hosts that answers are stored for, such as `example.com`, `*.example.com`
                (all below it) or `localhost:8000`; a request for another one bypasses the cache.
                `None` for any that is well-formed.
            edges: CDNs and other caches in front, which purges are sent to as well; see
                docs/cdn-purging.md.
            clock: monotonic seconds, for tests.
            wall: seconds since the epoch, for tests.

        Raises:
            ConfigurationError: naming the option or the route, and the reason.
        """
        options = Options(
            topology=Topology(here="local", regions=[Region("local", primary=True)])
            if topology is None
            else topology,
            routes=routes,
            region=region,
            trusted=trusted,
            secret=secret,
            memory=memory,
            memory_entry=memory_entry,
            warm=warm,
            shadow=shadow,
            takeover=takeover,
            namespace=namespace,
            release=release,
            sign_entries=sign_entries,
            session_cookie=session_cookie,
            mode=mode,
            debug=debug,
            sinks=sinks,
            mapping=mapping,
            probe=probe,
            hosts=hosts,
            edges=edges,
            clock=clock,
            wall=wall,
        )
        self._parts: Parts = compose(options)
        self._rim = self._parts.rim
        if forced := os.environ.get("REGIONWARE_MODE"):
            self._parts.prepared.mode = checked_mode(forced)

    # Wrapping

    def asgi(self, app: AsgiApp) -> AsgiMiddleware:
        """Wrap an ASGI 3 application."""
        arrives = self._parts.prepared.ways.hops is not None
        return ArrivingAsgi(app, self._rim) if arrives else AsgiMiddleware(app, self._rim)

    def wsgi(self, app: WsgiApp) -> WsgiMiddleware:
        """Wrap a WSGI application."""
        arrives = self._parts.prepared.ways.hops is not None
        return ArrivingWsgi(app, self._rim) if arrives else WsgiMiddleware(app, self._rim)

    # The selector

    def connection(
        self,
        access: Access | None = None,
        consistency: Consistency | None = None,
        *,
        snapshot: bool = False,
    ) -> "Handle":
        """A connection of the host that the request's policy chooses; use it in a `with` block.

        `with` gives a `psycopg.Connection`, `async with` a `psycopg.AsyncConnection`. A read handle
        is autocommit and read-only by the server's own enforcement; a write handle is one
        transaction. Outside a request reads are strong: they go to the primary.

        Args:
            access: `"read"` or `"write"`; by default the route and the method decide.
            consistency: may only strengthen what the route promises.
            snapshot: one repeatable-read transaction instead of a statement each.

        Raises:
            ConfigurationError: no database is configured, or the words are weaker than the route's.
            ConsistencyUnavailable: on entering, if no host can give what the policy demands.
            PrimaryUnavailable: on entering, if only the primary would do.
        """
        purger = self._parts.purger
        return self._databases().connection(
            current(), access=access, consistency=consistency, snapshot=snapshot,
            committed=purger.committed, acommitted=purger.acommitted,
        )  # fmt: skip

    def run_read(self, fn: Callable[["psycopg.Connection[Any]"], R]) -> R:
        """Call `fn` with a read handle, and once more if its replica died meanwhile."""
        return self._databases().run_read(current(), fn)

    async def arun_read(self, fn: Callable[["psycopg.AsyncConnection[Any]"], Awaitable[R]]) -> R:
        """The async twin of `run_read`."""
        return await self._databases().arun_read(current(), fn)

    @property
    def selector(self) -> HostSelector:
        """The selector for layers that bring connections of their own; see `selection.Selector`.

        Raises:
            ConfigurationError: no database is configured.
        """
        purger = self._parts.purger
        return HostSelector(self._databases(), purger.committed, purger.acommitted)

    def _databases(self) -> "Databases":
        if self._parts.databases is None:
            raise ConfigurationError("rw.connection(): the topology names no database")
        return self._parts.databases

    # Purging

    def purge(
        self,
        tags: Iterable[str] = (),
        urls: Iterable[str] = (),
        *,
        everything: bool = False,
        soft: bool = False,
        after: Position | None = None,
        wait: WaitFor = "region",
        timeout: float = 2.0,
    ) -> Purged:
        """Make entries unusable, in every tier of every region.

        Inside an open write transaction it is sent with the commit, and dropped on rollback.
        Otherwise it returns when this region's Redis has applied it. An acknowledged hard purge is
        a promise: in this process at once, in others of this region within `staleness_bound`. It
        reaches the other regions at least once, even if this process dies: it is in this region's
        Redis then, from which the workers of the region relay it.

        A worker that Redis has not heard of for longer than the bound is not waited for: it trusts
        its memory no more, but for what it has made itself within the bound. Where Redis has
        lost its data, and with it who the workers are, all of that bound is waited for.

        Args:
            tags: literal tags.
            urls: absolute URLs, or paths with their query for every host.
            everything: all entries of the namespace.
            soft: entries may still be served stale while one request refreshes them.
            after: what a new entry must have seen; by default this request's writes, and outside
                a request the primary's position, read now.
            wait: until this region's Redis has applied it (`"region"`), all workers of this region
                that may still trust their memory (`"workers"`), every region's Redis (`"all"`), or
                that and every edge (`"edges"`).
            timeout: seconds for this region's Redis, and once more for whom else to wait for;
                the primary is asked for its position for no longer. Above 0, at most a day.

        Raises:
            PurgeError: it is not confirmed; says what is queued where.
            ConfigurationError: nothing is named, a word is of another kind, or an edge cannot do
                it; nothing is done then.
        """
        names = names_for(tags, urls, everything=everything, soft=soft)
        return self._parts.purger.purge(names, after=after, wait=wait, timeout=timeout)

    async def apurge(
        self,
        tags: Iterable[str] = (),
        urls: Iterable[str] = (),
        *,
        everything: bool = False,
        soft: bool = False,
        after: Position | None = None,
        wait: WaitFor = "region",
        timeout: float = 2.0,  # noqa: ASYNC109 - the contract
    ) -> Purged:
        """The async twin of `purge`; cancelled, it applies it here, queues the rest, and ends."""
        names = names_for(tags, urls, everything=everything, soft=soft)
        return await self._parts.purger.apurge(names, after=after, wait=wait, timeout=timeout)

    @property
    def staleness_bound(self) -> float:
        """Seconds after an acknowledged purge when no worker of the region serves the old answer.

        Without a Redis workers do not hear of each other: then it is the longest lifetime.
        """
        parts = self._parts
        return BOUND if parts.prepared.has_redis else parts.longest

    # Seeing

    def explain(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        peer: str | None = "127.0.0.1",
    ) -> dict[str, Any]:
        """The decisions for a request, without executing anything.

        Args:
            method: the method.
            url: a path with its query, or an absolute URL.
            headers: the request's fields.
            peer: the address at the other end of the socket.
        """
        return explain(self._parts, method, url, headers or {}, peer)

    def inventory(self) -> list[dict[str, Any]]:
        """Every route: what is cached, what is replicated, what is pinned to the primary."""
        return inventory(self._parts)

    def counts(self) -> dict[str, int]:
        """How often each kind of event happened in this process."""
        return self._parts.prepared.events.counts()

    @property
    def backplane(self) -> Backplane | None:
        """How well this process hears of the purges of others; `None` without a Redis."""
        return self._rim.backplane

    @property
    def edges(self) -> tuple[EdgeStatus, ...]:
        """Of each edge, what this process has purged and the edge has not taken yet."""
        return tuple(line.status for line in self._parts.edges)

    @property
    def memory(self) -> Memory:
        """This process's tier; `memory.clear()` empties it."""
        return self._rim.memory

    @property
    def regions(self) -> Regions:
        """Which regions are up, and how far they are, as far as this process knows."""
        return self._parts.regions

    @property
    def topology(self) -> Topology:
        """What stands where."""
        return self._parts.prepared.topology

    @property
    def mode(self) -> Mode:
        """`"on"`, `"off"` or `"observe"`; setting it takes effect with the next request."""
        return self._parts.prepared.mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        checked = checked_mode(mode)
        if checked == "on" and self._parts.prepared.mode != "on":
            # Writes made meanwhile left no trace in any token: nothing older may be served here.
            self.memory.clear()
            self._parts.prepared.fences.raise_alone([mark(EVERYTHING, soft=False)], None)
        self._parts.prepared.mode = checked
