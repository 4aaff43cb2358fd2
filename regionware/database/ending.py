"""How a handle ends: what a commit is worth to its session.

A write ends with one message: whether the transaction wrote, COMMIT, and the insert position read
after it. A position read inside the transaction would lie before the end of the commit record,
and a replica that has reached it may not show the write.

Where it is not certain that nothing was committed, something was: the session's position then
advances to where the primary is now, or is unknown.
"""

from dataclasses import dataclass, replace
from typing import Final

import psycopg
from psycopg import pq

from regionware.database.hands import COMMIT, AnyLink, Ask, commit_with
from regionware.database.messages import POSITION, position_of
from regionware.database.position import Position
from regionware.effects import Plan

_IDLE: Final = pq.TransactionStatus.IDLE
_INTRANS: Final = pq.TransactionStatus.INTRANS
_OPEN: Final = (_INTRANS, pq.TransactionStatus.INERROR)
#: The class of "operator intervention" (a cancellation, a shutdown), which may come after COMMIT.
_INTERVENTION: Final = "57"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a handle's work.

    Attributes:
        committed: a commit succeeded, or may have: what waited for it is due.
        wrote: what was committed may have changed the database.
        position: covers all that was committed; `None` if that could not be learnt.
        error: what went wrong at the end.
        row: what became of the row that was to ride with the commit; see `purges.riding`.
    """

    committed: bool = False
    wrote: bool = False
    position: Position | None = None
    error: BaseException | None = None
    row: str = ""


_NOTHING: Final = Outcome()
_UNKNOWN: Final = Outcome(committed=True, wrote=True)


def end_read(link: AnyLink, error: BaseException | None) -> Plan[Outcome]:
    """End the transaction of a snapshot; autocommit reads have none.

    Where something was read in a way that nothing could travel behind, the upper bound is asked
    now: with the end of a snapshot, else in a flight of its own.
    """
    upper, link.upper = link.upper if link.unbounded else None, None
    ending = error is None and link.pgconn.transaction_status == _INTRANS
    words = (["COMMIT"] if ending else []) + ([] if upper is None else [upper.question])
    if not words:
        return _NOTHING
    rows: list[list[str]] = []
    try:
        rows = (yield from Ask(link, "; ".join(words)))[-1][1]
    except psycopg.Error as late:
        return Outcome(error=late) if ending else _NOTHING
    except BaseException as late:  # noqa: BLE001 - raised when the connection is given back
        return Outcome(error=late)
    finally:
        if upper is not None:
            upper.hear(rows)
    return _NOTHING


def shown(link: AnyLink) -> Plan[Position | None]:
    """Where the primary is after a write handle that committed nothing; `None` if not learnt."""
    try:
        ((_, rows),) = yield from Ask(link, POSITION, alone=True)
    except psycopg.Error:
        return None
    return position_of(rows)


def end_write(link: AnyLink, error: BaseException | None, row: str = "") -> Plan[Outcome]:
    """Commit, or roll back where there is an error, and learn the position.

    Args:
        link: the connection.
        error: what was raised in the block.
        row: statements that are to ride with the commit, the last of which returns a text.
    """
    if not link.used:
        return _NOTHING
    # Transactions that the application ended itself, which may have written.
    earlier, status = link.ended, link.pgconn.transaction_status
    if status == _INTRANS and error is None:
        return (yield from _commit(link, row, earlier=earlier))
    if status in _OPEN:
        return (yield from _roll_back(link, earlier=earlier))
    if status != _IDLE:
        return _UNKNOWN
    return (yield from _afterwards(link, earlier=earlier))


def _commit(link: AnyLink, row: str, *, earlier: bool) -> Plan[Outcome]:
    try:
        replies = yield from Ask(link, commit_with(row) if row else COMMIT)
    except BaseException as error:  # noqa: BLE001 - raised when the connection is given back
        return replace((yield from _refused(link, error, earlier=earlier)), error=error)
    (_, ((assigned,),)), *ridden, (tag, _), (_, rows) = replies
    if tag != "COMMIT":
        # An aborted transaction: the server says ROLLBACK, and no error.
        return (yield from _afterwards(link, earlier=earlier))
    made = ridden[-1][1][0][0] if ridden else ""
    wrote = earlier or assigned == "t"
    return Outcome(committed=True, wrote=wrote, position=position_of(rows), row=made)


def _refused(link: AnyLink, error: BaseException, *, earlier: bool) -> Plan[Outcome]:
    """What to think of a COMMIT that ended in an error."""
    status = link.pgconn.transaction_status
    if status in _OPEN:
        return (yield from _roll_back(link, earlier=earlier))
    if status != _IDLE:
        return _UNKNOWN
    said = error.sqlstate if isinstance(error, psycopg.Error) else None
    refused = said is not None and not said.startswith(_INTERVENTION)
    return (yield from _afterwards(link, earlier=earlier or not refused))


def _roll_back(link: AnyLink, *, earlier: bool) -> Plan[Outcome]:
    try:
        yield from Ask(link, "ROLLBACK")
    except psycopg.Error:
        # Lost with its connection, and so rolled back; what was committed before it is not.
        return _UNKNOWN if earlier else _NOTHING
    except BaseException as error:  # noqa: BLE001 - raised when the connection is given back
        return replace(_UNKNOWN if earlier else _NOTHING, error=error)
    return (yield from _afterwards(link, earlier=earlier))


def _afterwards(link: AnyLink, *, earlier: bool) -> Plan[Outcome]:
    """With no transaction open: where the primary is now, if anything may have been committed."""
    if not earlier:
        return _NOTHING
    try:
        ((_, rows),) = yield from Ask(link, POSITION, alone=True)
    except psycopg.Error:
        return _UNKNOWN
    except BaseException as error:  # noqa: BLE001 - raised when the connection is given back
        return replace(_UNKNOWN, error=error)
    return replace(_UNKNOWN, position=position_of(rows))
