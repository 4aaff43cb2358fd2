"""How the timelines of a cluster hang together. No I/O here.

A promotion begins a timeline: it shares with its parent everything up to the *switch point*, and
what the parent's writers logged after that is lost. So a position of an older timeline at or before
the switch point is one of the newer timeline too; one past it names something that never happened.
A timeline whose way from the current one is not known is not comparable with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Self

from regionware.database.position import Position


class Place(Enum):
    """Where a position lies, seen from the current timeline."""

    HERE = "here"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Switch:
    """Where a timeline began.

    Attributes:
        parent: the timeline it left.
        at: the switch point, an LSN; where it is not exact, a position certainly before it.
        exact: whether what lies after `at` on the parent is certainly lost.
    """

    parent: int
    at: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Timelines:
    """What is known of a cluster's history.

    Attributes:
        current: the highest timeline on which a server took writes; 0 while none was seen.
        switches: where a timeline began, as far as it is known.
    """

    current: int = 0
    switches: Mapping[int, Switch] = field(default_factory=lambda: MappingProxyType({}))

    def advance(self, timeline: int, switch: Switch | None) -> Self:
        """After a server was seen to take writes on a timeline; an older one changes nothing."""
        before = self.switches.get(timeline)
        if switch is None or switch.parent >= timeline or (before is not None and before.exact):
            switch = before
        if timeline < self.current or (timeline == self.current and switch == before):
            return self
        known = dict(self.switches)
        if switch is not None:
            known[timeline] = switch
        return replace(self, current=timeline, switches=MappingProxyType(known))

    def place(self, position: Position) -> Place:
        """Whether a position is one of the current history."""
        return self._trace(position)[0]

    def current_form(self, position: Position | None) -> Position | None:
        """An obligation in words of the current timeline.

        What was lost cannot be asked for: of it remains everything up to the switch point.
        """
        if position is None or position.timeline == self.current:
            return position
        place, limit = self._trace(position)
        if place is Place.UNKNOWN or limit is None:
            return position
        return Position(self.current, min(position.lsn, limit))

    def keeps(self, lower: Position | None, upper: Position | None) -> bool:
        """Whether what was read between these bounds is certainly not of lost writes.

        A lower bound alone does not say so: what was read may be newer than it.
        """
        if lower is None or not 0 < lower.timeline < self.current:
            return True
        return upper is not None and self.place(upper) is Place.HERE

    def _trace(self, position: Position) -> tuple[Place, int | None]:
        """The place, and the LSN of the first switch point on the way, if there is one."""
        line, limit, exact = self.current, None, True
        while line != position.timeline:
            switch = self.switches.get(line)
            if switch is None or line < position.timeline:
                return Place.UNKNOWN, None
            if limit is None or switch.at < limit:
                limit, exact = switch.at, switch.exact
            line = switch.parent
        if limit is None or position.lsn <= limit:
            return Place.HERE, limit
        return (Place.LOST if exact else Place.UNKNOWN), limit


#: Nothing is known: every position is of the history.
NO_HISTORY = Timelines()
