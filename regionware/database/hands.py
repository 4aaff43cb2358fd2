"""What a database plan may ask for, and the two pairs of hands that do it.

Opening and closing a handle is one plan each, written once; `Hands` blocks, `AsyncHands` awaits.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from regionware.database.link import AsyncLink, Link
from regionware.database.messages import BEGIN_SNAPSHOT, POSITION, Reply
from regionware.database.pools import Pools
from regionware.database.position import Position
from regionware.database.selector import Host, Mark
from regionware.database.waiters import Waiters
from regionware.effects import Effect
from regionware.policies.database import Access

AnyLink = Link | AsyncLink

#: What to do with what waited for a commit: the items, and the commit's position if known.
Committed = Callable[[list[Any], Position | None], object]
ACommitted = Callable[[list[Any], Position | None], Awaitable[object]]


@dataclass(slots=True)
class Acquire(Effect[AnyLink | None]):
    """A connection to a host, within `timeout` seconds."""

    host: Host
    access: Access
    timeout: float


@dataclass(slots=True)
class Release(Effect[None]):
    """Give a connection back."""

    link: Any


@dataclass(slots=True)
class Ask(Effect[list[Reply]]):
    """Send one message and read every result.

    Attributes:
        link: where.
        message: one or several statements.
        alone: the message is no part of a transaction, also on a connection that begins them.
    """

    link: Any
    message: str
    alone: bool = False


@dataclass(slots=True)
class Begin(Effect[Position | None]):
    """Open a repeatable-read transaction; learn its lower bound on the way if `probing`."""

    link: Any
    probing: bool


@dataclass(slots=True)
class Park(Effect[Mark | None]):
    """Wait until a replica has replayed a position: its mark then, `None` after `seconds`."""

    host: Host
    need: Position
    seconds: float


@dataclass(slots=True)
class Pause(Effect[None]):
    """Do nothing for some seconds."""

    seconds: float


@dataclass(slots=True)
class Hear(Effect[None]):
    """Wait until every host was asked once, for `seconds` at most."""

    seconds: float


@dataclass(slots=True)
class Settle(Effect[None]):
    """Do what waited for a commit."""

    items: list[Any]
    position: Position | None


class Hands:
    """Does what a plan asks for on this thread."""

    __slots__ = ("_committed", "_pools", "_waiters")

    def __init__(self, pools: Pools, waiters: Waiters, committed: Committed | None = None) -> None:
        """Know the pools, where to wait, and what to do after a commit."""
        self._pools = pools
        self._waiters = waiters
        self._committed = committed

    def __call__(self, effect: Effect[Any]) -> Any:
        """Perform one effect."""
        match effect:
            case Acquire(host, access, timeout):
                return self._pools.acquire(host, access, timeout)
            case Release(link):
                return self._pools.release(link)
            case Ask(link, message, alone):
                if alone and not link.autocommit:
                    link.autocommit = True
                return link.replies(message)
            case Begin(link, True):
                return link.bound_before(lambda: link.execute(BEGIN_SNAPSHOT))
            case Begin(link, _):
                link.execute(BEGIN_SNAPSHOT)
            case Park() | Pause() | Hear():
                return self._wait(effect)
            case Settle(items, position) if self._committed is not None:
                self._committed(items, position)
        return None

    def _wait(self, effect: Park | Pause | Hear) -> Mark | None:
        match effect:
            case Park(host, need, seconds):
                return self._waiters.wait(host.name, need, seconds)
            case Pause(seconds):
                time.sleep(seconds)
            case Hear(seconds):
                self._waiters.heard.wait(seconds)
        return None


class AsyncHands:
    """Does what a plan asks for in the running event loop."""

    __slots__ = ("_committed", "_pools", "_waiters")

    def __init__(self, pools: Pools, waiters: Waiters, committed: ACommitted | None = None) -> None:
        """Know the pools, where to wait, and what to do after a commit."""
        self._pools = pools
        self._waiters = waiters
        self._committed = committed

    async def __call__(self, effect: Effect[Any]) -> Any:
        """Perform one effect."""
        match effect:
            case Acquire(host, access, timeout):
                return await self._pools.aacquire(host, access, timeout)
            case Release(link):
                await self._pools.arelease(link)
            case Ask(link, message, alone):
                if alone and not link.autocommit:
                    await link.set_autocommit(True)
                return await link.replies(message)
            case Begin(link, True):
                return await link.bound_before(lambda: link.execute(BEGIN_SNAPSHOT))
            case Begin(link, _):
                await link.execute(BEGIN_SNAPSHOT)
            case Park() | Pause() | Hear():
                return await self._wait(effect)
            case Settle(items, position) if self._committed is not None:
                await self._committed(items, position)
        return None

    async def _wait(self, effect: Park | Pause | Hear) -> Mark | None:
        match effect:
            case Park(host, need, seconds):
                return await self._waiters.await_(host.name, need, seconds)
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Hear(seconds):
                await asyncio.to_thread(self._waiters.heard.wait, seconds)
        return None


#: How a read asks a replica what it has replayed, of which timeline, and whether it goes on.
REPLAYED: Final = (
    "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn()::text,"
    " (SELECT received_tli FROM pg_stat_wal_receiver),"
    " CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END"
)

#: Whether the transaction wrote; its end; and then, strictly after it, the position. One message.
COMMIT: Final = f"SELECT pg_current_xact_id_if_assigned() IS NOT NULL; COMMIT; {POSITION}"


def commit_with(statements: str) -> str:
    """The same, with statements that ride in the same message, and in the transaction."""
    wrote, commit, rest = COMMIT.split("; ", 2)
    return f"{wrote}; {statements}; {commit}; {rest}"
