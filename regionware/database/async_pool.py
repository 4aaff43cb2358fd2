"""psycopg_pool's async pool, ended by its event loop, or from another thread."""

import asyncio
import contextlib
from typing import Any, cast

from psycopg_pool import AsyncConnectionPool

from regionware.database.link import AsyncLink


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


def close_in(loop: asyncio.AbstractEventLoop, pool: AsyncPool) -> None:
    """Close an async pool in its own loop, from another thread; a closed loop has left nothing."""

    def begin() -> None:
        closing = loop.create_task(pool.close(timeout=1.0))
        _CLOSING.add(closing)
        closing.add_done_callback(_CLOSING.discard)

    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(begin)


_CLOSING: set[asyncio.Task[None]] = set()
