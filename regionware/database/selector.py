"""From which host a request's database work may be answered, and why.

A pure decision: what is wanted and what is known go in, a host with its reason comes out. What is
known of a host is a `Mark`, always a lower bound, so an old mark is pessimistic and never wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from regionware.database.position import Position
from regionware.database.seen import host_pin
from regionware.errors import ConfigurationError, ConsistencyUnavailable, PrimaryUnavailable
from regionware.policies.database import LARGEST_LAG, Access, Consistency, Database, at_least

Role = Literal["primary", "replica"]
Mode = Literal["on", "off", "observe"]


class Reason(StrEnum):
    """Why a host was chosen, or why another one was not."""

    WRITE = "write"
    STRONG = "strong"
    OFF = "off"
    OBSERVE = "observe"
    NO_REPLICA = "no-replica"
    OUTCOME_UNKNOWN = "outcome-unknown"
    ORPHANED = "orphaned"
    CAUGHT_UP = "caught-up"
    PINNED = "pinned"
    VERIFIED = "verified"
    WAITED = "waited"
    STALE = "stale"
    BEHIND = "behind"
    LAGGING = "lagging"
    UNREACHABLE = "unreachable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Host:
    """One database server: its name in the topology, such as `fra/replica-1`, and its role.

    The name stays when the role changes: after a failover `fra/replica-1` may be the primary.
    """

    name: str
    role: Role

    @property
    def region(self) -> str:
        """The name of its region."""
        return self.name.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What was last known of a host. Times are of this process's monotonic clock, in seconds.

    Attributes:
        when: when the host was asked; what it answered was true then or later.
        reachable: it answered, in its role, as a member of the primary's cluster.
        position: everything up to here had been replayed; `None` while that is not certain.
        fresh: everything committed on the primary before this time had been replayed.
        lag: seconds of lag for people to read; 0 when not a byte was missing.
        instance: differs for every start of every server.
        rtt: the smoothed round trip of a question to it, in seconds.
        suspect: it did not answer lately, or could not be connected to: it comes last.
        share: the share of its reads that it should get, less than 1 after it has come back.
    """

    when: float
    reachable: bool
    position: Position | None = None
    fresh: float | None = None
    lag: float | None = None
    instance: str = ""
    rtt: float | None = None
    suspect: bool = False
    share: float = 1.0


#: What is known of a host before anybody has asked it.
UNASKED = Mark(when=float("-inf"), reachable=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a handle must be able to do.

    Attributes:
        access: `read` or `write`.
        policy: the consistency of reads, its bounds, and what happens when it cannot be had.
        need: what a read must have reached.
        lost: the outcome of a commit of this session is unknown.
        orphaned: writes of this session were lost in a failover.
        pin: the start of a replica that has what is needed, whatever its mark says; see `Seen`.
        abreast: the session has last read elsewhere than on the primary; see `abreast`.
        mode: anything but `on` goes to the primary.
    """

    access: Access
    policy: Database
    need: Position | None = None
    lost: bool = False
    orphaned: bool = False
    pin: str = ""
    abreast: bool = False
    mode: Mode = "on"


@dataclass(frozen=True, slots=True)
class Selection:
    """A chosen host.

    Attributes:
        host: where to go.
        reason: why.
        position: the lower bound of what is visible there; `None` where it must be asked.
        lag: seconds of replication lag, `None` if unknown.
    """

    host: Host
    reason: Reason
    position: Position | None = None
    lag: float | None = None


@dataclass(frozen=True, slots=True)
class Verify:
    """This replica may do, but its mark is too old to say: ask the replica itself.

    Attributes:
        host: whom to ask.
        wait: milliseconds that may be spent waiting there until it has caught up.
        lag: seconds of replication lag, `None` if unknown.
    """

    host: Host
    wait: int
    lag: float | None = None


def demand(
    policy: Database,
    *,
    route: Access,
    access: Access | None = None,
    consistency: Consistency | None = None,
    need: Position | None = None,
    lost: bool = False,
    orphaned: bool = False,
    pin: str = "",
    abreast: bool = False,
    mode: Mode = "on",
) -> Demand:
    """Combine what the route says with the words of one `rw.connection(...)`.

    Raises:
        ConfigurationError: the words are unknown, or weaker than the route's policy.
    """
    if access not in (None, "read", "write"):
        raise ConfigurationError(f"connection: access must be read or write, not {access!r}")
    if consistency is not None:
        stronger = replace(policy, consistency=consistency)
        if not at_least(consistency, policy.consistency):
            raise ConfigurationError(
                f"connection: consistency={consistency!r} is weaker than"
                f" {policy.consistency!r}, which the route promises"
            )
        policy = stronger
    return Demand(
        access=access or route, policy=policy, need=need, lost=lost, orphaned=orphaned, pin=pin,
        abreast=abreast, mode=mode,
    )  # fmt: skip


def select(
    wanted: Demand,
    primary: Host | None,
    replicas: Sequence[tuple[Host, Mark]],
    *,
    now: float,
    tried: Mapping[str, Reason] | None = None,
    why: str = "",
    afford: Callable[[], bool] = lambda: True,
) -> Selection | Verify:
    """Choose a host.

    Args:
        wanted: what the handle must be able to do.
        primary: the writable host; `None` where there is none, or none can be told.
        replicas: those that count here, in order of preference.
        now: the monotonic clock.
        tried: hosts that were chosen before and did not do, with the reason.
        why: why there is no primary.
        afford: asked, once, whether the primary may take over a read from the replicas.

    Raises:
        PrimaryUnavailable: only the primary would do, and it was tried.
        ConsistencyUnavailable: no host can give what is wanted, or the policy says to fail.
    """
    tried = tried or {}
    forced = _forced(wanted, replicas)
    if forced is not None:
        if primary is None:
            raise PrimaryUnavailable(f"{why or 'there is no primary'} (needed: {forced})")
        if primary.name in tried:
            raise PrimaryUnavailable(f"{primary.name} cannot be reached (needed: {forced})")
        return Selection(primary, forced)
    left = [(host, mark) for host, mark in replicas if mark.reachable and host.name not in tried]
    good = [(host, mark) for host, mark in left if _within(mark, wanted, now)]
    if (certain := _certain(wanted, good)) is not None:
        return certain
    if good:
        nearest = good[0][0].region
        host, mark = max((k for k in good if k[0].region == nearest), key=_progress)
        return Verify(host, wanted.policy.wait, mark.lag)
    reason = _why(replicas, left, tried)
    stale = left or _behind(replicas, tried)
    if wanted.policy.unmet == "stale" and stale:
        host, mark = max(stale, key=_progress)
        return Selection(host, Reason.STALE, mark.position, mark.lag)
    missing = _missing(wanted, primary, tried, why)
    if primary is not None and not missing:
        if afford():
            return Selection(primary, reason)
        missing = f", and {primary.name} takes over no more reads"
    raise ConsistencyUnavailable(
        f"no replica gives {wanted.policy.consistency!r} reads now ({reason}){missing}"
    )


def _certain(wanted: Demand, good: Sequence[tuple[Host, Mark]]) -> Selection | None:
    """A replica that need not be asked: it has shown all that is needed, or its mark says so."""
    for host, mark in good if wanted.pin else ():
        if host_pin(host.name, mark.instance) == wanted.pin:
            return Selection(host, Reason.PINNED, mark.position, mark.lag)
    for host, mark in good:
        # A host that was never asked has no bound to give.
        if mark.when > UNASKED.when and _reached(mark, wanted.need):
            return Selection(host, Reason.CAUGHT_UP, mark.position, mark.lag)
    return None


def _forced(wanted: Demand, replicas: Sequence[object]) -> Reason | None:
    """Why only the primary will do, if so."""
    if wanted.access == "write":
        return Reason.WRITE
    if wanted.mode != "on":
        return Reason(wanted.mode)
    if wanted.policy.consistency == "strong":
        return Reason.STRONG
    if wanted.orphaned:
        return Reason.ORPHANED
    if not replicas:
        return Reason.NO_REPLICA
    return Reason.OUTCOME_UNKNOWN if wanted.lost else None


def _within(mark: Mark, wanted: Demand, now: float) -> bool:
    """Whether the host is certainly no further behind the primary than the policy admits."""
    max_lag = wanted.policy.max_lag
    if max_lag is not None:
        return mark.fresh is not None and now - mark.fresh <= max_lag
    if mark.lag is None:
        # Whoever must see a position makes sure of that; for others the unknown is too old.
        return wanted.need is not None
    # Tokens live for longer than this, so a host beyond it could be older than all of them.
    return mark.lag <= LARGEST_LAG


def _reached(mark: Mark, need: Position | None) -> bool:
    """Whether the mark alone proves that the host has what is needed."""
    return need is None or (mark.position is not None and mark.position.reached(need))


def _progress(known: tuple[Host, Mark]) -> tuple[int, int]:
    """Sorts the hosts: the most advanced one is asked first."""
    position = known[1].position
    return (position.timeline, position.lsn) if position else (0, 0)


def _why(
    replicas: Sequence[tuple[Host, Mark]],
    left: Sequence[tuple[Host, Mark]],
    tried: Mapping[str, Reason],
) -> Reason:
    """Why no replica of this region qualifies."""
    if left:
        return Reason.LAGGING
    reasons = {tried.get(host.name, Reason.UNREACHABLE) for host, _ in replicas}
    return Reason.BEHIND if Reason.BEHIND in reasons else min(reasons, key=list(Reason).index)


def _behind(
    replicas: Sequence[tuple[Host, Mark]], tried: Mapping[str, Reason]
) -> list[tuple[Host, Mark]]:
    """Replicas that answer but have not reached what is needed."""
    return [known for known in replicas if tried.get(known[0].name) is Reason.BEHIND]


def _missing(wanted: Demand, primary: Host | None, tried: Mapping[str, Reason], why: str) -> str:
    """Why the primary will not do either; empty if it may."""
    if wanted.policy.unmet == "fail":
        return ", and the policy says to fail"
    if primary is None:
        return f", and {why or 'there is no primary'}"
    return f", nor does {primary.name}" if primary.name in tried else ""
