"""How long round trips take between a country and each region, as clients have measured. No I/O.

Great circles are not cables: from Lagos, London is nearer than Johannesburg. A table of this
process keeps a moving average for each pair, and prefers another region to the nearest one only
when enough measurements say so, and clearly: what is about equal stays where it is.

Whoever measures may lie. What cannot be (faster than light in glass, slower than anybody waits) is
not counted, one network counts once in a while, and all that a liar can reach is a slower region.
"""

import math
from dataclasses import dataclass
from typing import Final

from regionware.kinds import BOOLEAN, check_all, number, whole
from regionware.region import Point

#: Milliseconds; what is slower is not a round trip but a sleeping phone.
SLOWEST: Final = 5000.0
#: Kilometres that a signal goes through glass, there and back, in a millisecond.
_FASTEST: Final = 100.0
_RADIUS: Final = 6371.0
#: Of the distance to a country's point: its people may live elsewhere in it.
_SLACK: Final = 3000.0

_KINDS: Final = {
    "minimum": whole("measurements", 1, 1_000_000),
    "better": number("", 0, 0.9),
    "by": number("milliseconds", 0, 1000),
    "weight": number("", 0, 1, above=True),
    "edge": BOOLEAN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """When measurements count.

    Attributes:
        minimum: measurements of a country and a region before they count; 1 to 1,000,000.
        better: the part by which another region must be faster, 0 to 0.9, and
        by: the milliseconds by which it must be, 0 to 1,000; both.
        weight: of the newest measurement in the moving average, above 0, at most 1.
        edge: the round trip that the edge tells of a client (`Platform("google")`) is one to this
            region. True behind a regional load balancer; not behind a global one, whose edge is
            near every client.
    """

    minimum: int = 50
    better: float = 0.15
    by: float = 10.0
    weight: float = 0.05
    edge: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: naming the attribute.
        """
        check_all("Latency: ", self, _KINDS)

    def clearly(self, one: float, other: float) -> bool:
        """Whether one round trip is clearly shorter than another."""
        return one < other * (1 - self.better) and one < other - self.by


class Measured:
    """The moving averages, by a key for the clients (a country) and a region's name.

    Keys and names come from tables that are bounded, and so is this.

    Attributes:
        version: is raised when a key is given another region.
    """

    __slots__ = ("_averages", "_chosen", "_counts", "_rules", "version")

    def __init__(self, rules: Latency) -> None:
        """Begin with nothing."""
        self._rules = rules
        self._averages: dict[tuple[str, str], float] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._chosen: dict[str, str] = {}
        self.version = 0

    def add(self, key: str, nearest: str, region: str, milliseconds: float) -> None:
        """Count one measurement.

        Args:
            key: whose.
            nearest: the region that these clients go to where nothing is measured.
            region: to which region.
            milliseconds: the round trip; what is no possible number is not counted.
        """
        if not 0 < milliseconds <= SLOWEST:
            return
        pair = key, region
        known = self._averages.get(pair)
        # Until as many have been counted as make one weight, each counts alike.
        count = self._counts.get(pair, 0) + 1
        weight = max(self._rules.weight, 1 / count)
        self._averages[pair] = milliseconds if known is None else (
            known + weight * (milliseconds - known)
        )  # fmt: skip
        self._counts[pair] = count
        if count >= self._rules.minimum:
            self._choose(key, nearest)

    def _choose(self, key: str, nearest: str) -> None:
        """Take the fastest region, if it is clearly faster than the one that is taken now."""
        current = self._chosen.get(key, nearest)
        now = self.average(key, current)
        best, least = current, now
        for (whose, name), average in tuple(self._averages.items()):
            counted = whose == key and self._counts[whose, name] >= self._rules.minimum
            if counted and least is not None and average < least:
                best, least = name, average
        if now is not None and least is not None and self._rules.clearly(least, now):
            self._chosen[key] = best
            self.version += 1

    def average(self, key: str, region: str) -> float | None:
        """Milliseconds, `None` while there are too few measurements."""
        pair = key, region
        counted = self._counts.get(pair, 0) >= self._rules.minimum
        return self._averages[pair] if counted else None

    def best(self, key: str) -> str | None:
        """The region that measurements prefer to the nearest, if they do."""
        return self._chosen.get(key)

    def table(self) -> dict[str, dict[str, tuple[float, int]]]:
        """Milliseconds and measurements, by key and region; for people."""
        found: dict[str, dict[str, tuple[float, int]]] = {}
        for (key, region), average in tuple(self._averages.items()):
            counts = round(average, 1), self._counts.get((key, region), 0)
            found.setdefault(key, {})[region] = counts
        return found


def possible(milliseconds: float, angle: float | None) -> bool:
    """Whether a round trip can be so short, over an angle of the globe in radians."""
    if not 0 < milliseconds <= SLOWEST:
        return False
    return angle is None or milliseconds >= (angle * _RADIUS - _SLACK) / _FASTEST


Vector = tuple[float, float, float]


def vector(place: Point) -> Vector:
    """The unit vector of a point: distances are angles between vectors."""
    phi, theta = math.radians(place[0]), math.radians(place[1])
    return math.cos(phi) * math.cos(theta), math.cos(phi) * math.sin(theta), math.sin(phi)


def between(one: Vector, other: Vector) -> float:
    """The angle between two vectors, in radians."""
    cosine = one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
    return math.acos(min(1.0, max(-1.0, cosine)))
