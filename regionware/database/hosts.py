"""Which of the hosts takes the writes. No I/O here.

The topology names servers; their roles are what they say of themselves. The primary is the server
that takes writes on the highest timeline, whichever list named it. A server that takes writes on
a lower one was left behind by a promotion and is *fenced*: neither read nor written. Two servers
that both take writes on one timeline cannot be told apart: both are fenced until one gives in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from regionware.database.selector import Host
from regionware.database.timelines import Switch

#: Seconds for which a server that took writes beside another counts as alive after its last answer:
#: a line that is cut for a moment must not decide which of the two is right.
REMEMBERED = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a host said last.

    Attributes:
        when: the monotonic clock, in seconds.
        writable: it is not in recovery.
        instance: differs for every start of every server.
        timeline: on which it writes; of a standby the one it replays, 0 while that is unknown.
        lsn: how far it is.
        switch: of a writable one: where its timeline began, as far as it can tell.
    """

    when: float
    writable: bool
    instance: str
    timeline: int = 0
    lsn: int = 0
    switch: Switch | None = None


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Who does what.

    Attributes:
        primary: who takes the writes; `None` where nobody does, or nobody can be told.
        rivals: servers that take writes on one timeline.
        why: why there is no primary, for people.
    """

    primary: Host | None
    rivals: frozenset[str] = frozenset()
    why: str = ""

    def replicas(self, names: Iterable[str]) -> tuple[Host, ...]:
        """Everybody else."""
        taken = self.primary.name if self.primary is not None else ""
        return tuple(Host(name, "replica") for name in names if name != taken)


def arrange(
    names: Sequence[str],
    sights: Mapping[str, Sight],
    answering: Iterable[str],
    *,
    last: Arrangement,
    current: int,
    now: float,
) -> Arrangement:
    """Who does what now.

    Args:
        names: all hosts, in the order of the topology.
        sights: what each said last; one that never answered is missing.
        answering: those that answered when they were asked last.
        last: who did what before; at first, what the topology declares.
        current: the highest timeline on which a primary was seen.
        now: the monotonic clock.
    """
    alive = set(answering)
    writing = {name: sights[name] for name in names if name in sights and sights[name].writable}
    recent = [
        name for name, sight in writing.items()
        if name in alive or (name in last.rivals and now - sight.when < REMEMBERED)
    ]  # fmt: skip
    highest = max([current, *(writing[name].timeline for name in recent)])
    top = [name for name in recent if writing[name].timeline == highest]
    # Two names may lead to one server.
    if len({writing[name].instance for name in top}) > 1:
        both = " and ".join(sorted(top))
        return Arrangement(None, frozenset(top), f"{both} both take writes on timeline {highest}")
    if top:
        known = last.primary.name if last.primary is not None else ""
        return Arrangement(Host(known if known in top else top[0], "primary"))
    return _nobody(sights, last, highest)


def _nobody(sights: Mapping[str, Sight], last: Arrangement, highest: int) -> Arrangement:
    """When no server that may take writes answers: the last one may only be unreachable."""
    if last.primary is None:
        why = last.why if not last.rivals else "no server takes writes"
        return Arrangement(None, why=why)
    sight = sights.get(last.primary.name)
    if sight is None or (sight.writable and sight.timeline == highest):
        return Arrangement(last.primary)
    state = f"is left behind on timeline {sight.timeline}" if sight.writable else "is in recovery"
    return Arrangement(None, why=f"no server takes writes: {last.primary.name} {state}")
