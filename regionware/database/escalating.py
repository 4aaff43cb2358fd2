"""A write where the request only reads: the server refuses it, and then?

By default its error is raised. A route may say that such a statement goes to the primary instead,
where that is safe: it was the first of its handle, outside of a transaction, so that nothing was
done that would not be done again, and nothing was shown. The request is a write from then on.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

from regionware.context import Current
from regionware.observe import Event

logger = logging.getLogger("regionware.database")

#: What is told of an event.
Tell = Callable[[Event], None]

#: What must be exchanged so that one connection of psycopg's speaks through the socket of another:
#: whoever holds the read connection goes on with it, and writes. The last two are psycopg's own.
_PARTS: Final = ("access", "instance", "pgconn", "ready", "standby", "_autocommit", "_prepared")
_LONGEST: Final = 500


def escalates(state: Current | None, query: str, host: str, tell: Tell, *, first: bool) -> bool:
    """Whether the statement goes to the primary; counts it, whatever becomes of it.

    Args:
        state: the request; outside of one, nothing is declared, and the error stands.
        query: the statement, for people.
        host: where it was refused, or would be.
        tell: takes the event `read-write`.
        first: nothing was executed before it.
    """
    if state is None:
        return False
    policy = state.database.on_write
    agreed = first and policy != "error"
    tell(Event("read-write", state.route, "escalated" if agreed else "refused"))
    if policy == "observe":
        told = "sent to the primary" if agreed else "refused"
        logger.warning("%s, %s: %s", note(state, host), told, query[:_LONGEST])
    if agreed:
        state.access = "write"
    return agreed


def note(state: Current | None, host: str) -> str:
    """Where it happened, for people."""
    where = f"route {state.route!r}" if state is not None else "outside of a request"
    return f"{where}: a write on {host}, in a context that reads"


def explain(error: BaseException, state: Current | None, host: str, query: str) -> None:
    """Say in an error of the server where the write was, once."""
    if not hasattr(error, "__notes__"):
        error.add_note(f"{note(state, host)}: {query[:_LONGEST]}")


def swap(one: Any, other: Any) -> None:
    """Exchange the sockets of two connections of one kind, between two transactions."""
    for part in _PARTS:
        mine, theirs = getattr(one, part), getattr(other, part)
        setattr(one, part, theirs)
        setattr(other, part, mine)
