"""How a handle finds its host: choose, connect, and make sure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

import psycopg

from regionware.database.abreast import catch_up
from regionware.database.hands import REPLAYED, Acquire, AnyLink, Ask, Pause, Release
from regionware.database.messages import POSITION, position_of
from regionware.database.position import Position
from regionware.database.selector import Demand, Host, Mark, Reason, Selection, Verify, select
from regionware.effects import Plan
from regionware.errors import PrimaryUnavailable

#: Seconds to wait for a host that did not answer the prober a moment ago.
_DOWN: Final = 0.25
#: Seconds to wait for a primary that does: there is nobody else to go to, and where it is far away
#: a cold pool needs four round trips for each connection.
_FAR: Final = 5.0
#: Seconds between two questions to a replica that is being waited for: the first and the longest.
_SOON: Final = 0.002
_LATE: Final = 0.02


@dataclass(frozen=True, slots=True)
class View:
    """What is known when a handle opens: the hosts and their marks; `latest` asks again."""

    primary: Host
    replicas: tuple[Host, ...]
    marks: Mapping[str, Mark]
    latest: Callable[[], Mapping[str, Mark]] = dict

    def choose(self, wanted: Demand, tried: Mapping[str, Reason]) -> Selection | Verify:
        """The decision, now."""
        known = [(host, self.marks[host.name]) for host in self.replicas]
        return select(wanted, self.primary, known, now=monotonic(), tried=tried)


def find(
    view: View, wanted: Demand, tried: dict[str, Reason], timeout: float
) -> Plan[tuple[AnyLink, Selection]]:
    """Choose hosts until one of them gives a connection and what is wanted.

    Raises:
        PrimaryUnavailable: only the primary would do, and there is no connection to it.
        ConsistencyUnavailable: no host gives what is wanted.
    """
    while True:
        choice = view.choose(wanted, tried)
        host, mark = choice.host, view.marks[choice.host.name]
        patience = timeout if mark.reachable else min(_DOWN, timeout)
        link = yield from Acquire(host, wanted.access, patience)
        if link is None and host.role == "primary":
            link = yield from _acquire_far(view, host, wanted, timeout)
        if link is None:
            tried[host.name] = Reason.UNREACHABLE
            continue
        link.hand_out(None)
        try:
            settled = yield from _settle(choice, mark, wanted, link)
            if wanted.abreast and wanted.access == "read" and host.role == "primary":
                bound = yield from catch_up(link, wanted.policy.wait)
                settled = (
                    replace(choice, position=bound) if isinstance(choice, Selection) else settled
                )
        except psycopg.Error:
            settled = Reason.FAILED
        except BaseException:
            yield from Release(link)
            raise
        if isinstance(settled, Selection):
            return link, settled
        yield from Release(link)
        tried[host.name] = settled


def _acquire_far(view: View, host: Host, wanted: Demand, timeout: float) -> Plan[AnyLink | None]:
    """Wait on for the primary, as long as the prober hears from it."""
    waited, link = timeout, None
    while link is None and waited < _FAR and view.latest()[host.name].reachable:
        link = yield from Acquire(host, wanted.access, timeout)
        waited += timeout
    return link


def _settle(
    choice: Selection | Verify, mark: Mark, wanted: Demand, link: AnyLink
) -> Plan[Selection | Reason]:
    """Make sure of a replica, by asking it where its mark does not speak of this connection.

    A mark speaks of a connection to the same start of the same server that was there before the
    mark was made: a standby that restarts may reopen behind what it had replayed before.
    """
    covered = link.instance == mark.instance and link.ready <= mark.when
    if isinstance(choice, Selection):
        pinned = choice.reason is Reason.PINNED and link.instance == mark.instance
        if choice.host.role == "primary" or covered or pinned:
            return choice
        need = None if choice.reason is Reason.STALE else wanted.need
        wait, reason = wanted.policy.wait, choice.reason
    else:
        need, wait, reason = wanted.need, choice.wait, Reason.VERIFIED
    deadline, pause = monotonic() + wait / 1000, _SOON
    while True:
        ((_, ((recovering, lsn, received, paused),)),) = yield from Ask(link, REPLAYED)
        if recovering != "t":
            return Reason.FAILED
        position = _replayed(lsn, received, mark, link)
        if need is None or (position is not None and position.reached(need)):
            return Selection(choice.host, reason, position, choice.lag)
        left = deadline - monotonic()
        if paused == "t" or left <= 0 or position is None:
            return Reason.BEHIND
        yield from Pause(min(pause, left))
        pause, reason = min(2 * pause, _LATE), Reason.WAITED


def _replayed(lsn: str, received: str, mark: Mark, link: AnyLink) -> Position | None:
    """The position a replica has told; its timeline is the mark's where the role may not see it."""
    if received:
        return Position.parse(lsn, int(received))
    if mark.position is None or mark.instance != link.instance:
        return None
    return Position.parse(lsn, mark.position.timeline)


def ask_primary(primary: Host, timeout: float) -> Plan[Position]:
    """Where the primary is now.

    Raises:
        PrimaryUnavailable: it does not answer.
    """
    link = yield from Acquire(primary, "read", timeout)
    if link is None:
        raise PrimaryUnavailable(f"{primary.name} cannot be reached")
    link.hand_out(None)
    try:
        ((_, rows),) = yield from Ask(link, POSITION)
    except psycopg.OperationalError as error:
        raise PrimaryUnavailable(f"{primary.name} was lost") from error
    finally:
        yield from Release(link)
    position = position_of(rows)
    if position is None:
        raise PrimaryUnavailable(f"{primary.name} is in recovery")
    return position
