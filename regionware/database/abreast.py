"""Whoever comes from a replica to the primary must not be too early.

A commit is in the log before it is visible, and a replica shows it as soon as it has replayed it:
with synchronous replication always, else now and then, before the primary does. So a session that
has read a replica waits at the primary until every transaction that had begun by then has ended.
One that goes on for longer is taken for what it nearly always is: not yet committed anywhere.
"""

from time import monotonic
from typing import Final

from regionware.database.hands import AnyLink, Ask, Pause
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


def catch_up(link: AnyLink, wait: int) -> Plan[None]:
    """Wait until the primary shows all that had been logged when this began.

    Args:
        link: a connection to the primary.
        wait: milliseconds at most.

    Raises:
        psycopg.Error: the connection was lost.
    """
    oldest, begun = yield from _running(link)
    deadline, pause = monotonic() + wait / 1000, _SOON
    while oldest < begun and monotonic() < deadline:
        yield from Pause(pause)
        pause = min(2 * pause, _LATE)
        oldest, _ = yield from _running(link)


def _running(link: AnyLink) -> Plan[tuple[int, int]]:
    ((_, ((oldest, following),)),) = yield from Ask(link, RUNNING)
    return int(oldest), int(following)
