"""Whoever comes from a replica to the primary must not be too early.

A commit is in the log before it is visible, and a replica shows it as soon as it has replayed it:
with synchronous replication always, else now and then, before the primary does. So a session that
has read a replica waits at the primary until every transaction that had begun by then has ended.
An entry that is compared with what sessions have seen is made in the same way, since its lower
bound must hold for what they were shown by replicas; that it is one below the insert position
proves only that it has what was acknowledged before. A transaction that goes on for longer is
taken for what it nearly always is: not yet committed anywhere.
"""

from time import monotonic
from typing import Final

from regionware.database.hands import AnyLink, Ask, Pause
from regionware.database.messages import POSITION, position_of
from regionware.database.position import Position
from regionware.effects import Plan

#: The oldest transaction that is in progress, and the next to begin; see `messages.QUIET`.
RUNNING: Final = (
    "SELECT pg_snapshot_xmin(now)::text,"
    " (pg_snapshot_xmax(now)::text::numeric + age(pg_snapshot_xmax(now)::xid))::text"
    " FROM pg_current_snapshot() AS now"
)
#: Seconds between two questions: the first and the longest.
_SOON: Final = 0.001
_LATE: Final = 0.01


def catch_up(link: AnyLink, wait: int) -> Plan[Position | None]:
    """Wait until the primary shows all that had been logged when this began.

    Returns:
        Up to where it shows everything: to there, or, where somebody is still at it, one below.

    Args:
        link: a connection to the primary.
        wait: milliseconds at most.

    Raises:
        psycopg.Error: the connection was lost.
    """
    # The position first: what is logged after it may be in nobody's way.
    (_, there), (_, ((first, following),)) = yield from Ask(link, f"{POSITION}; {RUNNING}")
    oldest, begun = int(first), int(following)
    deadline, pause = monotonic() + wait / 1000, _SOON
    while oldest < begun and monotonic() < deadline:
        yield from Pause(pause)
        pause = min(2 * pause, _LATE)
        ((_, ((first, _),)),) = yield from Ask(link, RUNNING)
        oldest = int(first)
    found = position_of(there)
    # Whoever is still at it may be below: what it has logged is not visible.
    return found if found is None or oldest >= begun else found.below()
