"""Connections to hand out: one finite pool per host and access, of psycopg_pool's two kinds.

A read pool's connections are read-only by the server's own enforcement: a standby cannot do
otherwise, and on the primary `default_transaction_read_only` is set when connecting and verified
once, because a pooler in between may drop it without a word.

No `check=` callback: with every connection dead it takes seconds to find a good one. A connection
that the server has closed is noticed without a round trip instead, and replaced.

Async pools belong to the event loop they were opened in.
"""

import asyncio
import threading
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed

from regionware.database.async_pool import AsyncPool, close_in
from regionware.database.conninfo import connection_string
from regionware.database.link import AsyncLink, AsyncProbingCursor, Link, ProbingCursor, Watch
from regionware.database.messages import CHECK, SET_READ_ONLY
from regionware.database.selector import Host
from regionware.policies.database import Access

#: Seconds after which the pool stops trying by itself; the next caller makes it try again.
_RECONNECT: Final = 1.0

SyncPool = ConnectionPool[Link]


#: A host's name and role, and the access: who changes roles gets other pools.
Key = tuple[str, str, Access]


@dataclass(frozen=True, slots=True)
class Limits:
    """What pools may use.

    Attributes:
        size: connections of one pool at most.
        waiting: callers that may wait for one; more are sent on to another host at once.
        timeout: seconds that a caller may wait.
        takeover: reads a second that a process may always send to the primary because no replica
            does; see `allowance`.
    """

    size: int = 10
    waiting: int = 100
    timeout: float = 1.0
    takeover: float = 100.0


class Pools:
    """Every pool of this process, opened when first asked for."""

    def __init__(
        self,
        urls: Mapping[str, str],
        region: str,
        limits: Limits,
        timeline: Callable[[], int] = int,
    ) -> None:
        """Know the hosts by name, with their URLs, and which region is here.

        Args:
            urls: of every host, by name.
            region: which one is here.
            limits: what may be used.
            timeline: the primary's; a connection to a writable server of an older one is not used.
        """
        self._urls = urls
        self._timeline = timeline
        self._busy: Counter[tuple[str, Access]] = Counter()
        self._counting = threading.Lock()
        self._region = region
        self._limits = limits
        self._lock = threading.Lock()
        self._sync: dict[Key, SyncPool] = {}
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Key, AsyncPool]]
        self._loops = weakref.WeakKeyDictionary()

    def acquire(self, host: Host, access: Access, timeout: float) -> Link | None:
        """A connection to the host, `None` if there is none within `timeout` seconds."""
        deadline = monotonic() + timeout
        while True:
            pool = self._sync_pool(host, access)
            try:
                link = pool.getconn(deadline - monotonic())
            except PoolClosed:
                if monotonic() > deadline:
                    return None
                continue  # It was retired while this one waited; there is another.
            except psycopg.OperationalError:  # The pool's own errors are of this kind too.
                return None
            if self._good(link, host):
                link.home, link.host = pool, host.name
                self._count(link, 1)
                return link
            link.pgconn.finish()
            pool.putconn(link)

    async def aacquire(self, host: Host, access: Access, timeout: float) -> AsyncLink | None:  # noqa: ASYNC109 - the pool keeps time
        """The async twin of `acquire`."""
        deadline = monotonic() + timeout
        while True:
            try:
                pool = await self._async_pool(host, access)
                link = await pool.getconn(deadline - monotonic())
            except PoolClosed:
                if monotonic() > deadline:
                    return None
                continue
            except psycopg.OperationalError:
                return None
            if self._good(link, host):
                link.home, link.host = pool, host.name
                self._count(link, 1)
                return link
            link.pgconn.finish()
            await pool.putconn(link)

    def busy(self, name: str) -> int:
        """How many connections to a host are in use."""
        return self._busy[name, "read"] + self._busy[name, "write"]

    def full(self, host: Host, access: Access) -> bool:
        """Whether all connections that a pool may have are in use."""
        return self._busy[host.name, access] >= self._limits.size

    def _count(self, link: Watch, step: int) -> None:
        with self._counting:
            self._busy[link.host, link.access] += step

    def _good(self, link: Watch, host: Host) -> bool:
        """Whether a pooled connection still leads to where it should."""
        if host.role == "primary" and link.timeline < self._timeline():
            return False
        return link.alive()

    def retire(self, name: str) -> None:
        """Close every pool of a host: its role is another, or it was started again.

        Callable from any thread. Handles that are open keep their connection until they close.
        """
        with self._lock:
            mine = [key for key in self._sync if key[0] == name]
            pools = [self._sync.pop(key) for key in mine]
            loops = [
                (loop, theirs.pop(key))
                for loop, theirs in list(self._loops.items())
                for key in list(theirs)
                if key[0] == name
            ]
        if pools:
            # It waits for the pool's threads, and whoever calls may have no time.
            threading.Thread(target=_close_all, args=(pools,), daemon=True).start()
        for loop, theirs_pool in loops:
            close_in(loop, theirs_pool)

    def release(self, link: Link) -> None:
        """Give a connection back as it was, without what its last user changed."""
        pool, link.home = link.home, None
        self._count(link, -1)
        try:
            if link.spoilt():
                link.pgconn.finish()
            else:
                link.tidy()
        except psycopg.Error:
            link.pgconn.finish()
        finally:
            pool.putconn(link)

    async def arelease(self, link: AsyncLink) -> None:
        """The async twin of `release`."""
        pool, link.home = link.home, None
        self._count(link, -1)
        try:
            if link.spoilt():
                link.pgconn.finish()
            else:
                await link.tidy()
        except psycopg.Error:
            link.pgconn.finish()
        finally:
            await pool.putconn(link)

    def close(self) -> None:
        """Close every pool of threads; those of event loops are closed there, by `aclose`."""
        with self._lock:
            pools, self._sync = list(self._sync.values()), {}
        for pool in pools:
            pool.close(timeout=2.0)

    async def aclose(self) -> None:
        """Close every pool of the running event loop."""
        with self._lock:
            pools = self._loops.pop(asyncio.get_running_loop(), {})
        for pool in pools.values():
            await pool.close(timeout=2.0)

    def abandon(self) -> None:
        """In a child process: forget the parent's pools, and never touch their sockets."""
        _INHERITED.append((self._sync, dict(self._loops)))
        self._lock = threading.Lock()
        self._busy, self._counting = Counter(), threading.Lock()
        self._sync, self._loops = {}, weakref.WeakKeyDictionary()

    def _sync_pool(self, host: Host, access: Access) -> SyncPool:
        key: Key = host.name, host.role, access
        pool = self._sync.get(key)
        if pool is not None:
            return pool
        with self._lock:
            if key not in self._sync:
                self._sync[key] = ConnectionPool(
                    connection_class=Link,
                    kwargs={"autocommit": True, "cursor_factory": ProbingCursor},
                    configure=_configure(host, access),
                    **self._options(host, access),
                )
                self._sync[key].open()
            return self._sync[key]

    async def _async_pool(self, host: Host, access: Access) -> AsyncPool:
        key, loop = (host.name, host.role, access), asyncio.get_running_loop()
        with self._lock:
            for other in [each for each in self._loops if each.is_closed()]:
                # Nobody can close these properly any more; their sockets go with them.
                del self._loops[other]
            pools = self._loops.setdefault(loop, {})
            if key not in pools:
                pools[key] = AsyncPool(
                    connection_class=AsyncLink,
                    kwargs={"autocommit": True, "cursor_factory": AsyncProbingCursor},
                    configure=_aconfigure(host, access),
                    **self._options(host, access),
                )
            pool = pools[key]
        if pool.closed:
            await pool.open()
        return pool

    def _options(self, host: Host, access: Access) -> dict[str, Any]:
        """What both kinds of pools are told."""
        application = f"regionware/{self._region}/{host.role}"
        return {
            "conninfo": connection_string(
                self._urls[host.name], application=application, access=access
            ),
            "min_size": 1,
            "max_size": self._limits.size,
            "max_waiting": self._limits.waiting,
            "timeout": self._limits.timeout,
            "reconnect_timeout": _RECONNECT,
            # Connections to a far primary take long: they are opened side by side.
            "num_workers": 4 if host.role == "primary" else 1,
            "open": False,
            "name": f"{host.name} {access}",
        }


def _close_all(pools: list[SyncPool]) -> None:
    for pool in pools:
        pool.close(timeout=2.0)


#: What processes inherited from their parents: kept, so that it is never finalised.
_INHERITED: list[Any] = []


def _configure(host: Host, access: Access) -> Callable[[Link], None]:
    """What makes a new connection ready, and refuses one that may not be used."""

    def configure(link: Link) -> None:
        link.access = access
        ((_, (row,)),) = link.replies(CHECK)
        if access == "read" and row[0] != "on":
            link.replies(SET_READ_ONLY)
            ((_, (row,)),) = link.replies(CHECK)
        link.taken(row, host)
        link.autocommit = access == "read"

    return configure


def _aconfigure(host: Host, access: Access) -> Callable[[AsyncLink], Awaitable[None]]:
    """The async twin of `_configure`."""

    async def configure(link: AsyncLink) -> None:
        link.access = access
        ((_, (row,)),) = await link.replies(CHECK)
        if access == "read" and row[0] != "on":
            await link.replies(SET_READ_ONLY)
            ((_, (row,)),) = await link.replies(CHECK)
        link.taken(row, host)
        await link.set_autocommit(access == "read")

    return configure
