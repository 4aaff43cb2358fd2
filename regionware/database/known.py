"""What is known of the databases at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from regionware.database.selector import Host, Mark
from regionware.database.timelines import NO_HISTORY, Timelines


@dataclass(frozen=True, slots=True)
class Known:
    """What is known at one moment. Never changes: readers take one, and hold no lock.

    Attributes:
        marks: of every host, by name.
        primary: who takes the writes; `None` where nobody does, or nobody can be told.
        near: the replicas of this region, in the order of the topology.
        far: replicas elsewhere that are nearer than the primary, the nearest first.
        why: why there is no primary.
        timelines: how the timelines hang together.
    """

    marks: Mapping[str, Mark]
    primary: Host | None
    near: tuple[Host, ...] = ()
    far: tuple[Host, ...] = ()
    why: str = ""
    timelines: Timelines = field(default=NO_HISTORY)
