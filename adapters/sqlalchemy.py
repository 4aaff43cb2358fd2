"""SQLAlchemy 2: sessions whose engine is chosen by the policy of the request.

```python
Session = sessionmaker(class_=RoutedSession, engines=Engines(rw.selector))
AsyncSession = async_sessionmaker(
    sync_session_class=RoutedSession, engines=AsyncEngines(rw.selector)
)
```

The first use binds a session for its transaction: one that reads is autocommit, and read-only by
the server; one that writes is a transaction on the primary. docs/sqlalchemy.md tells the rest.
"""

import asyncio
import os
import threading
import weakref
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.util import await_only

from regionware.context import current
from regionware.database.escalating import explain
from regionware.database.messages import READ_ONLY
from regionware.database.verified import aconnect, connect
from regionware.policies.database import Access, Consistency
from regionware.selection import Choice, Outcome, Selector, Writing

__all__ = ["AsyncEngines", "Engines", "RoutedSession"]

_DRIVER: Final = "postgresql+psycopg://"
_LAYER: Final = "sqlalchemy"
#: Finite, and short: a caller who waits for a connection keeps a client waiting.
_POOL: Final[Mapping[str, Any]] = {"pool_size": 10, "max_overflow": 0, "pool_timeout": 1.0}

Key = tuple[str, str, Access]


class Engines:
    """Engines for threads: one for each host and access, made when it is first used."""

    def __init__(self, selector: Selector, **options: Any) -> None:
        """Connect to nothing; `options` are for `create_engine`, one engine each."""
        self.selector = selector
        self._options = {**_POOL, **options}
        self._lock = threading.Lock()
        self._engines: dict[Key, Engine] = {}
        _LIVE.add(self)

    def engine(self, choice: Choice) -> Engine:
        """The engine for a host and an access."""
        key = choice.host, choice.role, choice.access
        with self._lock:
            if key not in self._engines:
                options = {**_isolation(choice), **self._options}
                made = create_engine(_DRIVER, creator=lambda: connect(choice, _LAYER), **options)
                self._engines[key] = _watched(made)
            return self._engines[key]

    def dispose(self) -> None:
        """Close every connection that is not in use."""
        with self._lock:
            engines, self._engines = self._engines, {}
        for engine in engines.values():
            engine.dispose()

    def abandon(self) -> None:
        """In a child process: forget the parent's connections, and never touch their sockets."""
        self._lock = threading.Lock()
        engines, self._engines = self._engines, {}
        for engine in engines.values():
            engine.dispose(close=False)


class AsyncEngines:
    """Engines for event loops: their connections belong to the loop that they were made in."""

    def __init__(self, selector: Selector, **options: Any) -> None:
        """Connect to nothing; see `Engines`."""
        self.selector = selector
        self._options = {**_POOL, **options}
        self._lock = threading.Lock()
        self._loops: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, dict[Key, AsyncEngine]
        ] = weakref.WeakKeyDictionary()
        _LIVE.add(self)

    def engine(self, choice: Choice) -> Engine:
        """The engine for a host and an access, in the running loop, as sessions want it."""
        return self.async_engine(choice).sync_engine

    def async_engine(self, choice: Choice) -> AsyncEngine:
        """The engine for a host and an access, in the running loop."""
        key, loop = (choice.host, choice.role, choice.access), asyncio.get_running_loop()
        with self._lock:
            engines = self._loops.setdefault(loop, {})
            if key not in engines:
                options = {**_isolation(choice), **self._options}
                options["async_creator"] = lambda: aconnect(choice, _LAYER)
                engines[key] = create_async_engine(_DRIVER, **options)
                _watched(engines[key].sync_engine)
            return engines[key]

    async def dispose(self) -> None:
        """Close every connection of the running loop that is not in use."""
        with self._lock:
            engines = self._loops.pop(asyncio.get_running_loop(), {})
        for engine in engines.values():
            await engine.dispose()

    def abandon(self) -> None:
        """In a child process: forget the parent's connections, and never touch their sockets."""
        self._lock = threading.Lock()
        for engines in self._loops.values():
            for engine in engines.values():
                engine.sync_engine.dispose(close=False)
        self._loops = weakref.WeakKeyDictionary()


class RoutedSession(Session):
    """A session on the host that the request's policy chooses; also below an `AsyncSession`."""

    def __init__(
        self,
        bind: Any = None,
        *,
        engines: Engines | AsyncEngines,
        access: Access | None = None,
        consistency: Consistency | None = None,
        **options: Any,
    ) -> None:
        """Choose nothing yet.

        Args:
            bind: as SQLAlchemy's: then nothing is chosen.
            engines: `Engines`, or `AsyncEngines` below an `AsyncSession`.
            access: `"read"` or `"write"`; by default the route and the method decide.
            consistency: may only strengthen what the route promises.
            options: as SQLAlchemy's.
        """
        self._engines = engines
        self._access, self._consistency = access, consistency
        self._use: _Use | None = None
        self.flushes = False
        super().__init__(bind, **options)

    def get_bind(
        self, mapper: Any = None, *, clause: Any = None, bind: Any = None, **options: Any
    ) -> Any:
        """The engine of this transaction's host; chosen at its first use.

        Raises:
            ConsistencyUnavailable: no host can give what the policy demands.
            PrimaryUnavailable: only the primary would do.
        """
        if bind is not None or self.bind is not None:
            return super().get_bind(mapper, clause=clause, bind=bind, **options)
        if self._use is None and self.autobegin:
            # SQLAlchemy asks for the engine first, and begins then.
            self.begin()
        selector = self._engines.selector
        use = self._use or _Use(selector, None)
        if use.choice is None:
            if use.writing is None and self._writes(clause):
                what = "a flush" if clause is None else str(clause)
                if selector.escalate(what, "a replica", first=True):
                    use.writing = selector.begin()
            wanted = self._access if use.writing is None else "write"
            use.choice = selector.choose(access=wanted, consistency=self._consistency)
            if use.choice.access == "read" and use is self._use:
                selector.read(use.choice)
        return self._engines.engine(use.choice)

    def _writes(self, clause: Any) -> bool:
        locks = getattr(clause, "_for_update_arg", None) is not None
        return self.flushes or locks or isinstance(clause, UpdateBase)

    def opened(self) -> None:
        """A transaction of this session began; nothing was sent yet."""
        selector = self._engines.selector
        writes = selector.access(self._access) == "write"
        self._use = _Use(selector, selector.begin() if writes else None)

    def used(self, connection: Connection) -> None:
        """Its transaction has a connection."""
        if self._use is not None:
            self._use.used, connection.info[_LAYER] = True, self._use

    def ended(self, outcome: Outcome) -> None:
        """Its transaction ended, and what became of that is to be told, once."""
        use, self._use, self.flushes = self._use, None, False
        if use is None or use.writing is None:
            return
        if use.committing and outcome == "rolled-back":
            outcome = "unknown"
        choice = use.choice if use.used else None
        # Below an `AsyncSession` this runs in SQLAlchemy's greenlet.
        if isinstance(self._engines, AsyncEngines) and outcome != "rolled-back":
            await_only(use.writing.aend(outcome, choice))
        else:
            use.writing.end(outcome, choice)


class _Use:
    """One transaction of a session."""

    __slots__ = ("choice", "committing", "selector", "used", "writing")

    def __init__(self, selector: Selector, writing: Writing | None) -> None:
        self.selector = selector
        self.writing = writing
        self.choice: Choice | None = None
        self.used = False
        #: COMMIT was sent, and the server has not refused it.
        self.committing = False


@event.listens_for(RoutedSession, "after_transaction_create")
def _created(session: RoutedSession, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.opened()


@event.listens_for(RoutedSession, "after_begin")
def _begun(session: RoutedSession, _: SessionTransaction, connection: Connection) -> None:
    session.used(connection)


@event.listens_for(RoutedSession, "before_flush")
def _flushing(session: RoutedSession, *_: Any) -> None:
    session.flushes = True


@event.listens_for(RoutedSession, "after_flush")
def _flushed(session: RoutedSession, *_: Any) -> None:
    session.flushes = False


@event.listens_for(RoutedSession, "after_commit")
def _committed(session: RoutedSession) -> None:
    # Of a savepoint, nothing is committed.
    if not session.in_nested_transaction():
        session.ended("committed")


@event.listens_for(RoutedSession, "after_transaction_end")
def _ended(session: RoutedSession, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.ended("rolled-back")


def _watched(engine: Engine) -> Engine:
    event.listen(engine, "commit", _committing)
    event.listen(engine, "handle_error", _failed)
    return engine


def _committing(connection: Connection) -> None:
    use = connection.info.get(_LAYER)
    if use is not None:
        use.committing = True


def _failed(context: ExceptionContext) -> None:
    connection, error = context.connection, context.original_exception
    sqlstate = getattr(error, "sqlstate", None)
    if connection is None or connection.closed or connection.invalidated:
        return
    if (use := connection.info.get(_LAYER)) is None:
        return
    # Class 57 is an intervention (a cancellation, a shutdown), which may come after COMMIT.
    if sqlstate is not None and not sqlstate.startswith("57"):
        use.committing = False
    if sqlstate == READ_ONLY and use.choice is not None:
        query, told = context.statement or "", context.sqlalchemy_exception or error
        explain(told, current(), use.choice.host, query)
        use.selector.escalate(query, use.choice.host, first=False)


def _isolation(choice: Choice) -> dict[str, Any]:
    """Reads are autocommit: a transaction around them would take two flights more."""
    return {"isolation_level": "AUTOCOMMIT"} if choice.access == "read" else {}


_LIVE: "weakref.WeakSet[Engines | AsyncEngines]" = weakref.WeakSet()


def _after_fork() -> None:
    for engines in list(_LIVE):
        engines.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
