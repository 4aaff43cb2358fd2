"""Django: a database router over the request's policy, and a middleware for what it commits.

```python
REGIONWARE = rw
DATABASES = databases(rw.selector)
DATABASE_ROUTERS = ["regionware.adapters.django.Router"]
MIDDLEWARE = ["regionware.adapters.django.middleware", ...]
```

The alias `default` is the primary; every host has one of its name besides, which is read-only by
the server. Statements are noticed on the connections, commits by `transaction.on_commit`.
docs/django.md tells the rest.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

import psycopg
from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.signals import connection_created
from django.utils.decorators import sync_and_async_middleware
from django.utils.module_loading import import_string
from psycopg.conninfo import conninfo_to_dict

from regionware.context import Current, current
from regionware.database.conninfo import connection_string
from regionware.database.escalating import explain
from regionware.database.messages import CHECK, READ_ONLY, SET_READ_ONLY
from regionware.database.verified import check, wants_read_only
from regionware.errors import PrimaryUnavailable
from regionware.selection import Choice, Outcome, Selector

__all__ = ["Router", "databases", "middleware"]

_OURS: Final = "REGIONWARE"
_FIELDS: Final = {
    "dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT",
}  # fmt: skip


def databases(selector: Selector, **options: Any) -> dict[str, dict[str, Any]]:
    """`DATABASES` for the topology: `default` for the primary, and each host's name for reading.

    Args:
        selector: `rw.selector`.
        options: further settings of each, such as `CONN_MAX_AGE`, which keeps connections: without
            it each request connects anew. `ATOMIC_REQUESTS` is for `default` alone.
    """
    reading = {name: value for name, value in options.items() if name != "ATOMIC_REQUESTS"}
    primary, *_ = selector.hosts
    found = {DEFAULT_DB_ALIAS: {**_settings(selector, primary, "write"), **options}}
    for host in selector.hosts:
        # Tests that use one find the data of the primary there.
        mirrored = {"TEST": {"MIRROR": DEFAULT_DB_ALIAS}}
        found[host] = {**_settings(selector, host, "read"), **mirrored, **reading}
    return found


def _settings(selector: Selector, host: str, access: Any) -> dict[str, Any]:
    url, ours = selector.hosts[host], {"host": host, "access": access}
    params = conninfo_to_dict(
        connection_string(url, application="regionware/django", access=access)
    )
    found = {field: str(params.pop(name, "") or "") for name, field in _FIELDS.items()}
    found["NAME"] = found["NAME"] or found["USER"]
    return {"ENGINE": "django.db.backends.postgresql", **found, "OPTIONS": params, _OURS: ours}


class Router:
    """Sends reads and writes where the request's policy says; for `DATABASE_ROUTERS`."""

    def db_for_read(self, _model: Any, **_hints: Any) -> str:
        """The alias for a read.

        Raises:
            ConsistencyUnavailable: no host can give what the policy demands.
        """
        state = current()
        if state is None or _is_writing():
            return str(DEFAULT_DB_ALIAS)
        return _work(state).reading(state)

    def db_for_write(self, model: Any, **_hints: Any) -> str:
        """The alias for a write; where the request only reads, one that refuses it."""
        state = current()
        if state is None or _is_writing() or _selector().access() == "write":
            return str(DEFAULT_DB_ALIAS)
        alias, what = _work(state).reading(state), f"a write of {model.__name__}"
        # Asked for before anything is sent: nothing has to be done again.
        return str(DEFAULT_DB_ALIAS) if _selector().escalate(what, alias, first=True) else alias

    def allow_relation(self, one: Any, other: Any, **_hints: Any) -> bool | None:
        """All aliases are one database."""
        names = {one._state.db, other._state.db}  # noqa: SLF001 - as Django's documentation does
        return True if all(_OURS in connections[name].settings_dict for name in names) else None

    def allow_migrate(self, db: str, _app_label: str, **_hints: Any) -> bool | None:
        """Only the primary is migrated."""
        ours = connections[db].settings_dict.get(_OURS)
        return None if ours is None else ours["access"] == "write"


def _around(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Hand purges over to `on_commit`, and settle transactions that were lost.

    It stands around all others, so that whatever they write is committed when it looks.
    """
    if iscoroutinefunction(get_response):

        async def acarry(request: Any) -> Any:
            state = current()
            work = None if state is None else _work(state)
            try:
                return await get_response(request)
            finally:
                for lost in () if work is None else work.lost():
                    await _selector().begin(lost).aend("unknown", lost.choice)

        return acarry

    def carry(request: Any) -> Any:
        state = current()
        work = None if state is None else _work(state)
        try:
            return get_response(request)
        finally:
            for lost in () if work is None else work.lost():
                lost.end("unknown")

    return carry


middleware: Callable[[Callable[..., Any]], Callable[..., Any]] = sync_and_async_middleware(_around)


class _Transaction(list[Any]):
    """An open transaction on `default`: the purges that wait for it; called on its commit."""

    def __init__(self, connection: Any) -> None:
        super().__init__()
        #: Django replaces it, where COMMIT fails with its connection.
        self.raw = connection.connection
        self.choice = _writing()
        #: Something was executed in it.
        self.used = self.ended = False

    def __call__(self) -> None:
        self.end("committed")

    def end(self, outcome: Outcome) -> None:
        self.ended = True
        _selector().begin(self).end(outcome, self.choice if self.used else None)


class _Work:
    """What a request does with Django's connections; called, the transaction that a purge joins."""

    def __init__(self) -> None:
        self.choice: Choice | None = None
        self._writes = 0
        self._transactions: list[_Transaction] = []

    def __call__(self) -> _Transaction | None:
        """The open transaction of this thread, if there is one."""
        connection = connections[DEFAULT_DB_ALIAS]
        return self.transaction(connection) if connection.in_atomic_block else None

    def transaction(self, connection: Any) -> _Transaction:
        found = _hook(connection)
        if found is None:
            found = _Transaction(connection)
            self._transactions.append(found)
            # Before all others: one that raises ends the round, and the commit stands.
            connection.run_on_commit.insert(0, (set(connection.savepoint_ids), found, False))
        return found

    def lost(self) -> Iterable[_Transaction]:
        """Transactions whose connection went away: perhaps they were committed."""
        return [
            each for each in self._transactions
            if each.used and not each.ended and getattr(each.raw, "closed", True)
        ]  # fmt: skip

    def reading(self, state: Current) -> str:
        """The alias for reads: the same for a whole request, until it writes."""
        if self.choice is None or self._writes != state.writes:
            self.choice, self._writes = _selector().choose(), state.writes
            if self.choice.access == "read":
                _selector().read(self.choice)
        if self.choice.access == "write":
            return str(DEFAULT_DB_ALIAS)
        if self.choice.host not in connections:
            raise ImproperlyConfigured(f"DATABASES has no {self.choice.host!r}: see databases()")
        return self.choice.host


def _watch(execute: Callable[..., Any], *words: Any) -> Any:
    """Around every statement on our connections."""
    (sql, *_, context), state = words, current()
    connection = context["connection"]
    if state is None:
        return execute(*words)
    if connection.settings_dict[_OURS]["access"] == "read":
        return _read(state, connection.alias, sql, partial(execute, *words))
    _still_primary(connection)
    if connection.in_atomic_block:
        _work(state).transaction(connection).used = True
        return execute(*words)
    outcome: Outcome = "unknown"
    try:
        result = execute(*words)
    except Exception as error:
        outcome = "rolled-back" if _sqlstate(error) else outcome
        raise
    else:
        outcome = "committed"
        return result
    finally:
        _selector().begin().end(outcome, _writing())


def _still_primary(connection: Any) -> None:
    """Refuse to write where a failover has left a server behind: it would take the write."""
    ours, there = connection.settings_dict[_OURS]["host"], _selector().choose(access="write").host
    if ours != there:
        raise PrimaryUnavailable(f"{ours} is not the primary any more: {there} is")


def _read(state: Current, alias: str, sql: Any, run: Callable[[], Any]) -> Any:
    choice = _work(state).choice
    if choice is None or choice.host != alias:
        # Asked for by name: nothing is known of what is visible there.
        _selector().read(_named(alias))
    try:
        return run()
    except Exception as error:
        if _sqlstate(error) == READ_ONLY:
            explain(error, state, alias, str(sql))
            _selector().escalate(str(sql), alias, first=False)
        raise


def _created(connection: Any, **_: Any) -> None:
    """Make sure of a new connection, and watch it."""
    ours = connection.settings_dict.get(_OURS)
    if ours is None:
        return
    if _watch not in connection.execute_wrappers:
        connection.execute_wrappers.append(_watch)
    if ours["access"] == "read":
        raw = connection.connection
        if wants_read_only(_named(connection.alias), raw.execute(CHECK).fetchone()):
            raw.execute(SET_READ_ONLY)
        row = raw.execute(CHECK).fetchone()
        role = "replica" if row is not None and row[1] else "primary"
        check(_named(connection.alias, role), row)


def _work(state: Current) -> _Work:
    if not isinstance(state.joining, _Work):
        state.joining = _Work()
    return state.joining


def _hook(connection: Any) -> _Transaction | None:
    hooks = (hook for _, hook, *_ in connection.run_on_commit if isinstance(hook, _Transaction))
    return next(hooks, None) if connection.in_atomic_block else None


def _is_writing() -> bool:
    """Whether this thread has an open transaction in which something was executed."""
    found = _hook(connections[DEFAULT_DB_ALIAS])
    return found is not None and found.used


def _sqlstate(error: BaseException) -> str | None:
    """What the server said; `None` where it said nothing, or only that it ends."""
    found = getattr(error.__cause__, "sqlstate", None)
    said = found if isinstance(error.__cause__, psycopg.Error) else None
    return None if said is None or said.startswith("57") else said


def _selector() -> Selector:
    found = getattr(settings, "REGIONWARE", None)
    if isinstance(found, str):
        found = import_string(found)
    if found is None:
        raise ImproperlyConfigured("REGIONWARE is a Regionware, or the dotted path of one")
    selector: Selector = found.selector
    return selector


def _writing() -> Choice:
    ours = connections[DEFAULT_DB_ALIAS].settings_dict[_OURS]
    return _named(ours["host"], "primary", "write")


def _named(host: str, role: Any = "replica", access: Any = "read") -> Choice:
    """A host that nobody chose: nothing is known of its position."""
    return Choice(
        host=host, role=role, access=access, reason="named", position=None, lag=None, url=""
    )


connection_created.connect(_created, weak=False)
