"""How a handle finds its host: choose, connect, and make sure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

import psycopg

from regionware.database.abreast import catch_up
from regionware.database.hands import REPLAYED, Acquire, AnyLink, Ask, Hear, Park, Release
from regionware.database.known import Known
from regionware.database.latency import prefer
from regionware.database.messages import POSITION, position_of
from regionware.database.position import Position
from regionware.database.selector import Demand, Host, Mark, Reason, Selection, Verify, select
from regionware.dice import DICE
from regionware.effects import Plan
from regionware.errors import PrimaryUnavailable, Unavailable
from regionware.policies.database import Access

#: Seconds to wait for a host that did not answer the prober a moment ago.
_DOWN: Final = 0.25
#: Seconds to wait for a primary that does, and to which connections may still be opened: there is
#: nobody else to go to, and where it is far away each of them takes four round trips.
_FAR: Final = 5.0


#: Why a read goes to the primary, where it is not meant to.
_FALLBACKS: Final = frozenset(Reason) - {
    Reason.WRITE, Reason.STRONG, Reason.OFF, Reason.OBSERVE, Reason.NO_REPLICA,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class View:
    """What is known when a handle opens.

    Attributes:
        known: the hosts, their roles and their marks.
        latest: what is known later.
        busy: how many handles are open to a host.
        afford: whether the primary may take over one more read.
        failed: told of a host that could not be connected to, or was lost.
        heard: whether every host was asked; before, an old primary may pass for the new one.
        fell: told why a read goes to the primary that a replica should have answered.
        purges: the table that purges ride in, if there is one.
        full: whether a host has no more connections to give than those in use.
    """

    known: Known
    latest: Callable[[], Known]
    busy: Callable[[str], int]
    afford: Callable[[], bool] = lambda: True
    failed: Callable[[str], None] = lambda _: None
    fell: Callable[[str], None] = lambda _: None
    heard: Callable[[], bool] = lambda: True
    purges: str | None = None
    full: Callable[[Host, Access], bool] = lambda *_: False

    def choose(self, wanted: Demand, tried: Mapping[str, Reason]) -> Selection | Verify:
        """The decision, now."""
        known, marks = self.known, self.known.marks
        replicas = prefer([(h, marks[h.name]) for h in known.near], self.busy, DICE.random)
        if known.far:
            replicas += [(host, marks[host.name]) for host in known.far]
        primary, why = known.primary, known.why
        if wanted.need is not None and 0 < known.timelines.current < wanted.need.timeline:
            # Somebody has met a newer primary than we have.
            primary, why = None, f"timeline {wanted.need.timeline} was not found yet"
            self.failed(known.primary.name if known.primary is not None else "")
        return select(
            wanted, primary, replicas, now=monotonic(), tried=tried, why=why, afford=self.afford
        )


def find(
    view: View, wanted: Demand, tried: dict[str, Reason], timeout: float
) -> Plan[tuple[AnyLink, Selection]]:
    """Choose hosts until one of them gives a connection and what is wanted.

    Raises:
        PrimaryUnavailable: only the primary would do, and there is no connection to it.
        ConsistencyUnavailable: no host gives what is wanted.
    """
    while True:
        view, choice = yield from _decide(view, wanted, tried, timeout)
        host, mark = choice.host, view.known.marks[choice.host.name]
        patience = timeout if mark.reachable else min(_DOWN, timeout)
        link = yield from Acquire(host, wanted.access, patience)
        if link is None and host.role == "primary":
            link = yield from _acquire_far(view, host, wanted, timeout)
        if link is None:
            tried[host.name] = Reason.UNREACHABLE
            view.failed(host.name)
            view = _renewed(view, host)
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
            view.failed(host.name)
        except BaseException:
            yield from Release(link)
            raise
        if isinstance(settled, Selection):
            if host.role == "primary" and settled.reason in _FALLBACKS:
                view.fell(settled.reason)
            return link, settled
        yield from Release(link)
        tried[host.name] = settled


def _acquire_far(view: View, host: Host, wanted: Demand, timeout: float) -> Plan[AnyLink | None]:
    """Wait on for the primary, as long as the prober hears from it, and there is more to come."""
    waited, link = timeout, None
    while link is None and waited < _FAR and _still(view.latest(), host):
        if view.full(host, wanted.access):
            break  # Who waits for others to be done has waited for long enough.
        link = yield from Acquire(host, wanted.access, timeout)
        waited += timeout
    return link


def _decide(
    view: View, wanted: Demand, tried: Mapping[str, Reason], timeout: float
) -> Plan[tuple[View, Selection | Verify]]:
    """The decision; for the primary, in a process that has just begun, once it knows all hosts."""
    if not view.heard():
        try:
            choice = view.choose(wanted, tried)
        except Unavailable:
            choice = None
        if choice is not None and choice.host.role != "primary":
            return view, choice
        view = yield from _informed(view, timeout)
    return view, view.choose(wanted, tried)


def _informed(view: View, timeout: float) -> Plan[View]:
    """In a process that has just begun: what is known once every host was asked."""
    yield from Hear(timeout)
    return replace(view, known=view.latest(), heard=lambda: True)


def _renewed(view: View, host: Host) -> View:
    """What is known now, if there is another primary than the one that cannot be reached."""
    latest = view.latest()
    changed = host.role == "primary" and latest.primary not in {host, None}
    return replace(view, known=latest) if changed else view


def _still(known: Known, host: Host) -> bool:
    """Whether a host is still the primary, and answers."""
    return known.primary == host and known.marks[host.name].reachable


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
    deadline = monotonic() + wait / 1000
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
        news = yield from Park(choice.host, need, left)
        if news is None or not news.reachable:
            return Reason.BEHIND
        reason = Reason.WAITED
        if news.instance == link.instance:
            return Selection(choice.host, reason, news.position, news.lag)


def _replayed(lsn: str, received: str, mark: Mark, link: AnyLink) -> Position | None:
    """The position a replica has told; its timeline is the mark's where the role may not see it."""
    if received:
        return Position.parse(lsn, int(received))
    if mark.position is None or mark.instance != link.instance:
        return None
    return Position.parse(lsn, mark.position.timeline)


def ask_primary(view: View, timeout: float) -> Plan[Position]:
    """Where the primary is now.

    Raises:
        PrimaryUnavailable: it does not answer, or there is none.
    """
    if not view.heard():
        view = yield from _informed(view, timeout)
    primary = view.known.primary
    if primary is None:
        raise PrimaryUnavailable(view.known.why)
    link = yield from Acquire(primary, "read", timeout)
    if link is None:
        view.failed(primary.name)
        raise PrimaryUnavailable(f"{primary.name} cannot be reached")
    link.hand_out(None)
    try:
        ((_, rows),) = yield from Ask(link, POSITION)
    except psycopg.OperationalError as error:
        view.failed(primary.name)
        raise PrimaryUnavailable(f"{primary.name} was lost") from error
    finally:
        yield from Release(link)
    position = position_of(rows)
    if position is None:
        view.failed(primary.name)
        raise PrimaryUnavailable(f"{primary.name} is in recovery")
    return position
