"""What the hosts' answers add up to: roles, timelines, lag, health. No I/O here.

The timeline of a standby is the hard part. `pg_walfile_name` is refused in recovery. The one exact
source, `pg_stat_wal_receiver.received_tli`, is hidden from roles without `pg_read_all_stats`
(granted with `pg_monitor`) and empty while nothing streams. `pg_control_checkpoint()` is open to
every role, but after a failover it keeps naming the old timeline until the next restart point. So
the control file is believed only while the primary itself, just asked, names the same timeline; a
standby whose position has not moved keeps the timeline it had; otherwise it has no position.

The switch point of a promoted server is where its replay stands still: `pg_last_wal_replay_lsn()`.
After a crash the same function names the end of the crash recovery, so it is believed only while
the server still remembers to have received from another one (`pg_last_wal_receive_lsn()`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from regionware.database.hosts import Arrangement, Sight, arrange
from regionware.database.known import Known
from regionware.database.latency import farther, smooth
from regionware.database.position import Position
from regionware.database.sampling import Sample, Samples
from regionware.database.selector import UNASKED, Host, Mark
from regionware.database.timelines import NO_HISTORY, Place, Switch
from regionware.database.vitals import Vitals
from regionware.observe import Event
from regionware.policies.database import LARGEST_LAG

#: A replica that was down comes back once it lags less, in seconds.
_LEVEL: Final = LARGEST_LAG / 2
_HEX: Final = 16


class StrangerError(Exception):
    """A server that is not what its place in the topology says, or is fenced."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host was told to say about itself, as text; see `questions`.

    Attributes:
        when: when it was asked, by the monotonic clock.
        rtt: seconds until the answer was there.
        row: recovering, position, flushed, timeline, timeline in the control file, replay's end.
        instance: differs for every start of every server.
        slack: seconds for which a commit may be visible and not flushed.
    """

    when: float
    rtt: float
    row: Sequence[str]
    instance: str
    slack: float


class Survey:
    """Puts together what hosts say. Used by one thread; `known` may be read by all.

    Attributes:
        known: the latest result.
        system: the system identifier of our cluster; empty until a server has told it.
    """

    def __init__(
        self,
        names: Sequence[str],
        here: str,
        *,
        distances: Mapping[str, float] | None = None,
        tell: Callable[[Event], None] = lambda _: None,
    ) -> None:
        """Begin with what the topology declares.

        Args:
            names: of all hosts; the first one is declared the primary.
            here: the name of this region.
            distances: how far each host's region is.
            tell: what is told of a failover, of fences, and of hosts that come and go.
        """
        self.system = ""
        self._names = tuple(names)
        self._here = here
        self._distances = distances or {}
        self._tell = tell
        self._samples = Samples()
        self._vitals = {name: Vitals() for name in names}
        self._sights: dict[str, Sight] = {}
        self._answering: set[str] = set()
        self._timelines = NO_HISTORY
        self._fenced: frozenset[str] = frozenset()
        self._marks: dict[str, Mark] = dict.fromkeys(names, UNASKED)
        self._arrangement = Arrangement(Host(names[0], "primary"))
        self.known = self._summary()

    def told(self, name: str, system: str, answer: Answer) -> None:
        """A host has answered.

        Raises:
            StrangerError: it is of no use.
        """
        writable = answer.row[0] != "t"
        try:
            self._identify(name, system, writable=writable)
        except StrangerError:
            # What stood here before is gone.
            self._answering.discard(name)
            self._sights[name] = Sight(when=answer.when, writable=False, instance="")
            raise
        sight = self._sight(name, answer, writable=writable)
        self._sights[name] = sight
        self._answering.add(name)
        self._arrange(answer.when)
        mark = self._primary(name, answer) if writable else self._replica(answer, sight)
        vitals = self._vitals[name]
        level = mark.lag is None or mark.lag < _LEVEL or not self._primary_answers
        vitals.good(answer.when, level=level, at_once=writable)
        self._set(name, replace(
            mark, rtt=smooth(self._marks[name].rtt, answer.rtt),
            share=vitals.share(answer.when),
        ))  # fmt: skip

    def missed(self, name: str, now: float, answers: int = 1) -> None:
        """A host did not answer, for the time of so many answers."""
        self._answering.discard(name)
        self._vitals[name].missed(answers)
        self._arrange(now)
        self._set(name, self._marks[name])

    def condemn(self, name: str, now: float) -> None:
        """A host is not what it should be."""
        self._vitals[name].condemn()
        self._arrange(now)
        self._set(name, self._marks[name])

    def failed(self, name: str, now: float) -> None:
        """A connection to a host could not be made, or was lost."""
        self._vitals[name].failed(now)
        self._set(name, self._marks[name])

    def silent(self, name: str) -> bool:
        """Whether a host does not answer now."""
        return name not in self._answering

    @property
    def _primary_answers(self) -> bool:
        primary = self._arrangement.primary
        return primary is not None and primary.name in self._answering

    def _identify(self, name: str, system: str, *, writable: bool) -> None:
        """Make sure that a host is of our cluster, and find out which one that is."""
        declared = name == self._names[0]
        if not self.system and (declared or (writable and self._vitals[self._names[0]].missing)):
            self.system = system
        if not self.system or system == self.system:
            return
        ours = [n for n in self._answering if n != name and n in self._sights]
        if not declared or not writable or any(self._sights[n].writable for n in ours):
            raise StrangerError("it is not of this primary's cluster")
        # The declared primary was replaced by another cluster, such as one of a newer version.
        self.system, self._timelines = system, NO_HISTORY
        self._sights.clear()
        self._answering.clear()
        self._samples.clear()
        self._arrangement = Arrangement(Host(name, "primary"))

    def _sight(self, name: str, answer: Answer, *, writable: bool) -> Sight:
        _, lsn, _, line, control, replayed = answer.row
        at = Position.parse(lsn, 0).lsn
        if not writable:
            timeline = self._followed(name, answer, at, line, int(control))
            return Sight(
                when=answer.when,
                writable=False,
                instance=answer.instance,
                timeline=timeline,
                lsn=at,
            )
        timeline, before = int(line, _HEX), self._sights.get(name)
        if before is not None and before.writable and before.timeline == timeline:
            switch = before.switch
        else:
            same = before is not None and before.instance == answer.instance
            switch = _switch(timeline, replayed, before if same else None)
        return Sight(
            when=answer.when, writable=True, instance=answer.instance, timeline=timeline, lsn=at,
            switch=switch,
        )  # fmt: skip

    def _followed(self, name: str, answer: Answer, at: int, line: str, control: int) -> int:
        """The timeline that a standby replays; 0 while that is not certain."""
        if line:
            return int(line, _HEX)
        before = self._sights.get(name)
        still = before is not None and (before.instance, before.lsn) == (answer.instance, at)
        if before is not None and still and before.timeline and not before.writable:
            return before.timeline
        return control if self._samples.name(answer.when, control) else 0

    def _arrange(self, now: float) -> None:
        last = self._arrangement
        self._arrangement = found = arrange(
            self._names, self._sights, self._answering,
            last=last, current=self._timelines.current, now=now,
        )  # fmt: skip
        if found.primary is not None:
            sight = self._sights.get(found.primary.name)
            if sight is not None and sight.writable:
                self._timelines = self._timelines.advance(sight.timeline, sight.switch)
            if found.primary != last.primary:
                self._tell(Event("failover", detail=found.primary.name))
        fenced = self._fence()
        for name in fenced - self._fenced:
            self._tell(Event("fenced", detail=name))
        self._fenced = fenced

    def _fence(self) -> frozenset[str]:
        """Servers that take writes and are not the primary, whatever its name."""
        primary = self._arrangement.primary
        chosen = self._sights.get(primary.name) if primary is not None else None
        instance = chosen.instance if chosen is not None else ""
        return frozenset(
            name for name in self._answering
            if self._sights[name].writable and self._sights[name].instance != instance
        )  # fmt: skip

    def _primary(self, name: str, answer: Answer) -> Mark:
        primary = self._arrangement.primary
        if primary is None or primary.name != name:
            raise StrangerError(self._arrangement.why or "it takes writes, and is not the primary")
        _, logged, flushed, line, *_ = answer.row
        timeline = int(line, _HEX)
        there = Position.parse(logged, timeline)
        flush = Position.parse(flushed, timeline)
        self._samples.add(Sample(answer.when, there, flush, answer.slack))
        return Mark(
            when=answer.when, reachable=True, position=there, fresh=answer.when, lag=0.0,
            instance=answer.instance,
        )  # fmt: skip

    def _replica(self, answer: Answer, sight: Sight) -> Mark:
        if not sight.timeline:
            return Mark(when=answer.when, reachable=True, instance=answer.instance)
        position = Position(sight.timeline, sight.lsn)
        if sight.timeline < self._timelines.current:
            lost = self._timelines.place(position) is Place.LOST
            raise StrangerError(
                f"it follows timeline {sight.timeline}"
                + (", and has writes that are lost" if lost else "")
            )
        fresh, lag = self._samples.lag(answer.when, position)
        return Mark(
            when=answer.when, reachable=True, position=position, fresh=fresh, lag=lag,
            instance=answer.instance,
        )  # fmt: skip

    def _set(self, name: str, mark: Mark) -> None:
        vitals, before = self._vitals[name], self._marks[name]
        reachable = vitals.state != "down"
        self._marks[name] = replace(mark, reachable=reachable, suspect=vitals.state == "suspect")
        if before.reachable != reachable:
            self._tell(Event("database-up" if reachable else "database-down", detail=name))
        self.known = self._summary()

    def _summary(self) -> Known:
        marks = MappingProxyType(dict(self._marks))
        arrangement = self._arrangement
        replicas = arrangement.replicas(self._names)
        near = tuple(host for host in replicas if host.region == self._here)
        rest = [host for host in replicas if host.region != self._here]
        return Known(
            marks=marks,
            primary=arrangement.primary,
            near=near,
            far=farther(
                rest, marks, arrangement.primary, here=self._here, distances=self._distances
            ),
            why=arrangement.why,
            timelines=self._timelines,
        )


def _switch(timeline: int, replayed: str, before: Sight | None) -> Switch | None:
    """Where a timeline began, as its first writer and what was seen of this start of it tell.

    Between two questions there may have been two promotions. Then replay stands still where the
    second timeline left the first, and of the one that was followed before only so much is certain
    as had been replayed when that was seen.
    """
    followed = 0
    if before is not None and not before.writable and before.timeline < timeline:
        followed = before.timeline
    # There is only one that the second can have left, and the one before may have been the next.
    if replayed and (timeline == 2 or followed == timeline - 1):
        return Switch(timeline - 1, Position.parse(replayed, timeline - 1).lsn)
    return Switch(followed, before.lsn, exact=False) if before is not None and followed else None
