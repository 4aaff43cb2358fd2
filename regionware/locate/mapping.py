"""From what is claimed of a client to regions, the best first. No I/O here.

The order is: a region's name, an override of the country, measured latency, coordinates, the
country where regions do not divide it, its state or province, its time zone, its one point.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from regionware.errors import ConfigurationError
from regionware.kinds import FUNCTION, TEXT, Kind, check_all, instance, maybe, number
from regionware.locate import subdivisions, zones
from regionware.locate.claim import Claim
from regionware.locate.countries import POINTS
from regionware.locate.healthy import Health
from regionware.locate.latency import Latency, Measured, Vector, between, possible, vector
from regionware.region import Point, Region, valid
from regionware.topology import Topology

_WEIGHT: Final = number("", 0.1, 10)
_TABLE: Final = Kind("a mapping", lambda value: isinstance(value, Mapping), shown=True)
_KINDS: Final = {
    "overrides": _TABLE,
    "weights": _TABLE,
    "latency": maybe(instance(Latency)),
    "health": maybe(FUNCTION),
}

#: Regions, the best first, and what they were chosen by.
Ranked = tuple[tuple[Region, ...], str]

_NOBODY: Final[Ranked] = ((), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionMap:
    """How clients are sent to regions.

    Attributes:
        overrides: the region of a country, by its ISO 3166-1 code, whatever is nearest.
        weights: a factor on the distance to a region, by its name, from 0.1 to 10: below 1, it
            draws more clients.
        latency: when measured round trips count; `None`: never.
        health: asked besides `rw.regions.mark_down`, for each request: whether a region is up.
    """

    overrides: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    latency: Latency | None = None
    health: Health | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: naming the attribute.
        """
        check_all("RegionMap: ", self, _KINDS)
        for code, name in self.overrides.items():
            TEXT.check(f"RegionMap: overrides[{code!r}]", name)
            if code not in POINTS:
                raise ConfigurationError(
                    f"RegionMap: overrides: {code!r} is not a country (ISO 3166-1, two letters)"
                )
        for name, weight in self.weights.items():
            TEXT.check("RegionMap: a name in weights", name)
            _WEIGHT.check(f"RegionMap: weights[{name!r}]", weight)


class Ranker:
    """`RegionMap`, compiled for one topology.

    Attributes:
        measured: the table of round trips; `None` where none is wanted.
        useful: where a client is can decide: some region has a location, or a country one.
    """

    __slots__ = (
        "_countries",
        "_located",
        "_overrides",
        "_places",
        "_regions",
        "measured",
        "useful",
    )

    def __init__(self, topology: Topology, options: RegionMap | None = None) -> None:
        """Compile.

        Raises:
            ConfigurationError: an override or a weight names no region.
        """
        options = RegionMap() if options is None else options
        self._regions = topology.by_name
        named = ((f"overrides[{c!r}]", name) for c, name in options.overrides.items())
        for where, name in (*named, *((f"weights[{n!r}]", n) for n in options.weights)):
            if name not in self._regions:
                known = ", ".join(self._regions)
                raise ConfigurationError(
                    f"RegionMap: {where}: {name!r} is not one of the regions ({known})"
                )
        self._overrides = {code: self._regions[name] for code, name in options.overrides.items()}
        self.measured = None if options.latency is None else Measured(options.latency)
        weights = {self._regions[name].name: float(w) for name, w in options.weights.items()}
        located = [(each, each.location) for each in topology.regions if each.location is not None]
        self._located = [region for region, _ in located]
        self._places = tuple((vector(spot), weights.get(e.name, 1.0)) for e, spot in located)
        self.useful = bool(self._places or self._overrides)
        self._countries = {
            code: (self._named(order), alone)
            for code, (order, alone) in _compile(self._places).items()
        }

    def by_country(self) -> dict[str, Region]:
        """The region of each country, where nothing else is known of a client."""
        near = {code: order[0] for code, (order, _) in self._countries.items() if order}
        return near | self._overrides

    def rank(self, claim: Claim) -> Ranked:
        """The regions for a client, the best first; none where the claim is of no use."""
        (near, by), country = self._near(claim), claim.country
        if country is not None and (override := self._overrides.get(country)) is not None:
            near, by = _first(override, near), "override"
        elif self.measured is not None and country is not None and near:
            better = self.measured.best(self._key(country, near[0]))
            if better is not None:
                near, by = _first(self._regions[better], near), "latency"
        named = None if claim.region is None else self._regions.get(claim.region)
        return (near, by) if named is None else (_first(named, near), "name")

    def measure(self, claim: Claim, region: str, milliseconds: float) -> None:
        """Count a round trip between a client and a region; what is of no use is not counted."""
        near, _ = self._near(claim)
        measured, country, there = self.measured, claim.country, self._regions.get(region)
        if (
            measured is None
            or country is None
            or country not in POINTS
            or there is None
            or not near
        ):
            return
        if possible(milliseconds, self._angle(claim, there)):
            key = self._key(country, near[0])
            measured.add(key, near[0].name, there.name, milliseconds)

    def _angle(self, claim: Claim, region: Region) -> float | None:
        if region.location is None or claim.country is None:
            return None
        told = claim.location
        place = told if told is not None and valid(*told) else POINTS[claim.country]
        return between(vector(place), vector(region.location))

    def _key(self, country: str, nearest: Region) -> str:
        """Whose round trips are averaged: a divided country's where the nearest is the same."""
        near, alone = self._countries.get(country, ((), True))
        return country if alone and nearest in near[:1] else f"{country}/{nearest.name}"

    def _near(self, claim: Claim) -> Ranked:
        """The regions by distance."""
        if claim.location is not None and valid(*claim.location):
            return self.by_point(claim.location), "location"
        if claim.country is None:
            return self._by_zone(claim.zone)
        known = self._countries.get(claim.country)
        if known is None:
            return self._by_zone(claim.zone)
        near, alone = known
        if alone:
            return near, "country"
        place = subdivisions.POINTS.get(claim.subdivision or "")
        if place is not None:
            return self.by_point(place), "subdivision"
        if claim.zone is not None:
            return self._by_zone(claim.zone)
        return near, "country"

    def _by_zone(self, zone: str | None) -> Ranked:
        if zone is None or zone not in zones.ZONES:
            return _NOBODY
        return self.by_point(zones.place(zone)), "zone"

    def by_point(self, place: Point) -> tuple[Region, ...]:
        """The regions that have a location, by their weighted distance from a point."""
        return self._named(_order(place, self._places))

    def _named(self, order: Iterable[int]) -> tuple[Region, ...]:
        return tuple([self._located[number] for number in order])


#: Of each region with a location: where it is, and the factor on its distance.
_Places = tuple[tuple[Vector, float], ...]


def _order(place: Point, places: _Places) -> tuple[int, ...]:
    """The places by their weighted distance from a point; of equals, the first."""
    here = vector(place)
    distances = [between(here, there) * weight for there, weight in places]
    return tuple(sorted(range(len(places)), key=distances.__getitem__))


@lru_cache(maxsize=16)
def _compile(places: _Places) -> Mapping[str, tuple[tuple[int, ...], bool]]:
    """The order of the places for each country, and whether all of it has the same nearest."""
    if not places:
        return {}
    nearest: dict[str, set[int]] = {}
    for code, place in _corners():
        nearest.setdefault(code, set()).add(_order(place, places)[0])
    return {
        code: (_order(place, places), len(nearest.get(code, ())) < 2)
        for code, place in POINTS.items()
    }


def _corners() -> Iterable[tuple[str, Point]]:
    """Where the people of a country are: in its time zones, states and provinces."""
    yield from ((code, (north, east)) for code, north, east in zones.ZONES.values())
    yield from ((code[:2], place) for code, place in subdivisions.POINTS.items())


def _first(region: Region, others: tuple[Region, ...]) -> tuple[Region, ...]:
    return (region, *(other for other in others if other is not region))
