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
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from regionware.database.link import AsyncLink, AsyncProbingCursor, Link, ProbingCursor
from regionware.database.messages import CHECK, SET_READ_ONLY
from regionware.database.selector import Host
from regionware.policies.database import Access

#: Seconds after which the pool stops trying by itself; the next caller makes it try again.
_RECONNECT: Final = 1.0

SyncPool = ConnectionPool[Link]


class AsyncPool(AsyncConnectionPool[AsyncLink]):
    """A pool whose tasks end when the event loop cancels them.

    psycopg_pool's survive a cancellation that meets them while they connect, and the loop would
    wait for them for ever: `asyncio.run` never returned where nobody had closed the pool.
    """

    @classmethod
    async def worker(cls, q: Any) -> None:
        """As psycopg_pool's."""
        await super().worker(cast("Any", _Attentive(q)))


class _Attentive:
    """A queue that gives nothing more to a task that is cancelled."""

    def __init__(self, queue: asyncio.Queue[Any]) -> None:
        self._queue = queue

    async def get(self) -> Any:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
        return await self._queue.get()


Key = tuple[str, Access]


@dataclass(frozen=True, slots=True)
class Limits:
    """What pools may use.

    Attributes:
        size: connections of one pool at most.
        waiting: callers that may wait for one; more are sent on to another host at once.
        timeout: seconds that a caller may wait.
    """

    size: int = 10
    waiting: int = 100
    timeout: float = 1.0


def connection_string(url: str, *, application: str, access: Access, probing: bool = False) -> str:
    """The URL with what regionware adds to it.

    Args:
        url: libpq's connection string in either form.
        application: for `application_name`, as administrators see it.
        access: a `read` connection is read-only.
        probing: for the prober, whose every statement takes a second at most.
    """
    params = conninfo_to_dict(url)
    options = [str(params.get("options") or "")]
    if access == "read":
        options.append("-c default_transaction_read_only=on")
    if probing:
        options.append("-c statement_timeout=1000")
        params["client_encoding"] = "utf8"
    params["options"] = " ".join(filter(None, options)) or None
    params["application_name"] = application
    params.setdefault("connect_timeout", 2)
    # A line that is cut without a word is noticed after seconds, not after a quarter of an hour.
    params.setdefault("tcp_user_timeout", 1000 if probing else 10_000)
    return make_conninfo("", **params)


class Pools:
    """Every pool of this process, opened when first asked for."""

    def __init__(self, urls: Mapping[str, str], region: str, limits: Limits) -> None:
        """Know the hosts by name, with their URLs, and which region is here."""
        self._urls = urls
        self._region = region
        self._limits = limits
        self._lock = threading.Lock()
        self._sync: dict[Key, SyncPool] = {}
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Key, AsyncPool]]
        self._loops = weakref.WeakKeyDictionary()

    def acquire(self, host: Host, access: Access, timeout: float) -> Link | None:
        """A connection to the host, `None` if there is none within `timeout` seconds."""
        pool = self._sync_pool(host, access)
        deadline = monotonic() + timeout
        while True:
            try:
                link = pool.getconn(deadline - monotonic())
            except psycopg.OperationalError:  # The pool's own errors are of this kind too.
                return None
            if link.alive():
                link.home = pool
                return link
            link.pgconn.finish()
            pool.putconn(link)

    async def aacquire(self, host: Host, access: Access, timeout: float) -> AsyncLink | None:  # noqa: ASYNC109 - the pool keeps time
        """The async twin of `acquire`."""
        pool = await self._async_pool(host, access)
        deadline = monotonic() + timeout
        while True:
            try:
                link = await pool.getconn(deadline - monotonic())
            except psycopg.OperationalError:
                return None
            if link.alive():
                link.home = pool
                return link
            link.pgconn.finish()
            await pool.putconn(link)

    def release(self, link: Link) -> None:
        """Give a connection back as it was, without what its last user changed."""
        pool, link.home = link.home, None
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
        self._sync, self._loops = {}, weakref.WeakKeyDictionary()

    def _sync_pool(self, host: Host, access: Access) -> SyncPool:
        key = host.name, access
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
        key, loop = (host.name, access), asyncio.get_running_loop()
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
