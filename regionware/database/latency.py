"""Which of several good replicas is asked first. No I/O here.

Replicas are compared by the smoothed round trip of the prober's question: those within a window
above the nearest count as equally near, and of two of these, drawn by lot, the one with fewer open
handles is taken (the power of two choices). Of other regions only replicas count that are nearer
than the primary by more than the window: the primary is never behind.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import acos, cos, inf, radians, sin
from typing import Final

from regionware.database.selector import Host, Mark

#: The weight of the latest round trip in the average.
ALPHA: Final = 0.2
#: Seconds above the nearest that make no difference.
WINDOW: Final = 0.015

Known = tuple[Host, Mark]


def smooth(average: float | None, latest: float) -> float:
    """The exponentially weighted average after one more round trip, in seconds."""
    return latest if average is None else average + ALPHA * (latest - average)


def distance(one: tuple[float, float] | None, other: tuple[float, float] | None) -> float:
    """The angle between two places on Earth, in radians; infinite where one is not known."""
    if one is None or other is None:
        return inf
    (a, b), (c, d) = map(radians, one), map(radians, other)
    cosine = sin(a) * sin(c) + cos(a) * cos(c) * cos(b - d)
    return acos(min(1.0, max(-1.0, cosine)))


def farther(
    hosts: Iterable[Host],
    marks: Mapping[str, Mark],
    primary: Host | None,
    *,
    here: str,
    distances: Mapping[str, float],
) -> tuple[Host, ...]:
    """Replicas of other regions that are worth asking before the primary, the nearest first.

    Args:
        hosts: replicas of other regions.
        marks: what is known of every host.
        primary: `None` where there is none: then every replica is nearer.
        here: the name of this region: a primary that stands here is not far.
        distances: how far each host's region is, to tell equals apart.
    """
    bound: float | None = inf
    if primary is not None and marks[primary.name].reachable:
        bound = marks[primary.name].rtt if primary.region != here else None
    if bound is None:
        return ()
    found = []
    for host in hosts:
        mark = marks[host.name]
        if mark.reachable and mark.rtt is not None and mark.rtt + WINDOW < bound:
            found.append((mark.rtt, distances.get(host.name, inf), host))
    return tuple(host for _, _, host in sorted(found, key=lambda each: each[:2]))


def prefer(
    known: Sequence[Known], busy: Callable[[str], int], random: Callable[[], float]
) -> list[Known]:
    """The replicas of one region in the order in which they should be asked.

    Args:
        known: each with its mark, in the order of the topology.
        busy: how many handles are open to a host.
        random: a number in [0, 1).
    """
    if len(known) < 2:
        return list(known)
    nearest = min((m.rtt for _, m in known if m.rtt is not None and m.reachable), default=inf)
    equal: list[Known] = []
    late: list[Known] = []
    for each in known:
        mark = each[1]
        near = mark.rtt is None or mark.rtt <= nearest + WINDOW
        ready = not mark.suspect and (mark.share >= 1 or random() < mark.share)
        (equal if near and ready else late).append(each)
    late.sort(key=lambda each: (each[1].suspect, each[1].rtt or 0.0))
    return [*_of_two(equal, busy, random), *late]


def _of_two(
    equal: list[Known], busy: Callable[[str], int], random: Callable[[], float]
) -> list[Known]:
    """Equals with the less busy of two, drawn by lot, in front."""
    if len(equal) < 2:
        return equal
    first = equal.pop(int(random() * len(equal)))
    second = equal.pop(int(random() * len(equal)))
    if busy(second[0].name) < busy(first[0].name):
        first, second = second, first
    return [first, second, *equal]
