"""What the handlers ask for data, and the bare layers that always ask the primary.

A `Regionware` is a `Layer` and an `AsyncLayer` as it is. The bare ones are what an application has
without it: a psycopg pool. Their reads are autocommit, the fastest that a bare application can do
over a distance (one round trip); their writes are psycopg's ordinary transactions.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Any, Protocol

from psycopg import AsyncConnection, Connection
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from regionware import Position

#: A position that every host has reached: a purge that names it is not coupled to any.
LONG_AGO = Position(1, 1)

#: As many connections as there are clients in the demo: nobody waits for one.
_SIZE = 12
#: Preparing a statement would cost a bare application one more round trip.
_KWARGS = {"autocommit": True, "prepare_threshold": None}


class Layer(Protocol):
    """What synchronous handlers need."""

    def connection(self, *, access: Any = None) -> AbstractContextManager[Connection[Any]]:
        """Open a handle on a database host; `access="write"` is a transaction."""

    def purge(self, *, tags: Sequence[str], after: Position | None = None) -> object:
        """Forget what is kept under these tags; what replaces it is as new as a position."""


class AsyncLayer(Protocol):
    """What asynchronous handlers need."""

    def connection(
        self, *, access: Any = None
    ) -> AbstractAsyncContextManager[AsyncConnection[Any]]:
        """Open a handle on a database host; `access="write"` is a transaction."""

    async def apurge(self, *, tags: Sequence[str], after: Position | None = None) -> object:
        """Forget what is kept under these tags; what replaces it is as new as a position."""


class Bare:
    """A pool of connections to the primary; nothing is kept, so a purge has nothing to do."""

    def __init__(self, database: str) -> None:
        """Open the pool, in the worker that will use it."""
        self._pool = ConnectionPool(database, min_size=_SIZE, kwargs=_KWARGS, open=True, timeout=60)

    @contextmanager
    def connection(self, *, access: Any = None) -> Iterator[Connection[Any]]:
        """Lend a connection; a write is a transaction."""
        with self._pool.connection() as conn:
            if access != "write":
                yield conn
                return
            with conn.transaction():
                yield conn

    def purge(self, *, tags: Sequence[str], after: Position | None = None) -> None:
        """Do nothing."""


class AsyncBare:
    """The same for coroutines."""

    def __init__(self, database: str) -> None:
        """Prepare the pool; it needs a running loop to be opened."""
        self._pool = AsyncConnectionPool(
            database, min_size=_SIZE, kwargs=_KWARGS, open=False, timeout=60
        )

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Open the pool for as long as the server runs, as an ASGI lifespan."""
        async with self._pool:
            yield

    @asynccontextmanager
    async def connection(self, *, access: Any = None) -> AsyncIterator[AsyncConnection[Any]]:
        """Lend a connection; a write is a transaction."""
        async with self._pool.connection() as conn:
            if access != "write":
                yield conn
                return
            async with conn.transaction():
                yield conn

    async def apurge(self, *, tags: Sequence[str], after: Position | None = None) -> None:
        """Do nothing."""


class Unpurged:
    """A layer that forgets to purge: one half of what `--unprotected` takes away."""

    def __init__(self, layer: Any) -> None:
        """Wrap a layer of either kind."""
        self.connection = layer.connection

    def purge(self, *, tags: Sequence[str], after: Position | None = None) -> None:
        """Do nothing."""

    async def apurge(self, *, tags: Sequence[str], after: Position | None = None) -> None:
        """Do nothing."""
