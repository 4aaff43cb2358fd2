"""What stands where: the regions, which one is primary, and which one is here.

Everything is checked when it is made, and nothing changes afterwards. No I/O here.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self

from regionware.errors import ConfigurationError
from regionware.kinds import FUNCTION, TEXT, any_of, instance, list_of, maybe
from regionware.region import POSTGRES, Point, Region, valid

#: Names the region that is here, when the code does not.
REGION_VARIABLE: Final = "REGIONWARE_REGION"

#: In which variable a platform says where it runs the process, in the order they are asked.
#: Vercel also sets `AWS_REGION`, so its own variable comes first. As documented in 2026.
PLATFORM_VARIABLES: Final = (
    "FLY_REGION",
    "VERCEL_REGION",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "REGION_NAME",
    "RAILWAY_REPLICA_REGION",
    "KOYEB_REGION",
    "DENO_REGION",
)

#: What follows `REGIONWARE_<NAME>_` in the variables that `Topology.from_env` reads.
_SETTINGS: Final = ("DATABASE", "REPLICAS", "REDIS", "URL", "LOCATION", "ALIASES")

_HERE: Final = any_of("a region's name, or a function that tells it", maybe(TEXT), FUNCTION)

__all__ = ["PLATFORM_VARIABLES", "REGION_VARIABLE", "Point", "Region", "Topology"]


@dataclass(frozen=True, slots=True, init=False)
class Topology:
    """All regions, which one is primary and which one is here.

    Attributes:
        here: the region of this process.
        primary: the region of the primary database; its `primary` is always true.
        regions: all of them, in the order given.
        has_database: whether there is a database at all.
        by_name: the regions by their names and aliases.
    """

    here: Region
    primary: Region
    regions: tuple[Region, ...]
    has_database: bool
    by_name: Mapping[str, Region] = field(repr=False, compare=False)
    # Unit vectors: the nearest point on a sphere is the one with the largest dot product.
    _vectors: tuple[tuple[float, float, float, Region], ...] = field(repr=False, compare=False)

    def __init__(
        self,
        *,
        here: str | Callable[[], str | None] | None = None,
        regions: Sequence[Region],
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Check that the regions fit together, and find out which one is here.

        Args:
            here: the name of the region of this process. `None`: `REGIONWARE_REGION`, then what
                the platform says in one of `PLATFORM_VARIABLES`. A function, such as
                `regionware.locate.metadata.Metadata()`, is called once, now, if these say nothing.
            regions: one or more, one of them primary.
            environ: the environment, by default that of the process.

        Raises:
            ConfigurationError: the regions contradict each other, or nothing says what is here.
        """
        _HERE.check("Topology: here", here)
        list_of(instance(Region), "regions", ordered=True).check("Topology: regions", regions)
        maybe(instance(Mapping)).check("Topology: environ", environ)
        regions = tuple(regions)
        by_name = {region.name: region for region in regions}
        _check_names(regions, by_name)
        primary = replace(_primary(regions), primary=True)
        by_name[primary.name] = primary
        regions = tuple(by_name.values())
        _check_databases(primary, regions)
        _add_aliases(by_name)
        environ = os.environ if environ is None else environ
        located = (region for region in regions if region.location)
        for name, value in {
            "here": _known(by_name, here, "here")
            if isinstance(here, str)
            else _here(by_name, environ, here),
            "primary": primary,
            "regions": regions,
            "has_database": primary.database is not None,
            "by_name": by_name,
            "_vectors": tuple((*_vector(*region.location or (0, 0)), region) for region in located),
        }.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        """The names alone."""
        names = [region.name for region in self.regions]
        return f"Topology(here={self.here.name!r}, primary={self.primary.name!r}, regions={names})"

    def region(self, name: str) -> Region:
        """The region of this name or alias.

        Raises:
            ConfigurationError: there is none; the message lists those there are.
        """
        return _known(self.by_name, name, "region")

    def nearest(self, latitude: float, longitude: float) -> Region | None:
        """The region at the smallest great-circle distance; of equals, the first.

        Args:
            latitude: degrees, -90 to 90.
            longitude: degrees, -180 to 180.

        Returns:
            `None` where no region has a location, or the point is none.
        """
        if not valid(latitude, longitude):
            return None
        x, y, z = _vector(latitude, longitude)
        best, nearest = -2.0, None
        for a, b, c, region in self._vectors:
            if (cosine := a * x + b * y + c * z) > best:
                best, nearest = cosine, region
        return nearest

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the topology from environment variables.

        ```
        REGIONWARE_REGION=fra                    the region of this process
        REGIONWARE_REGIONS=iad,fra               all names, separated by commas
        REGIONWARE_PRIMARY=iad                   not needed when there is one region
        REGIONWARE_IAD_DATABASE=postgresql://…   the primary's URL or libpq keywords
        REGIONWARE_FRA_REPLICAS=postgresql://…   URLs, separated by white space
        REGIONWARE_FRA_REDIS=redis://…
        REGIONWARE_FRA_URL=https://…
        REGIONWARE_FRA_LOCATION=50.04,8.56       latitude and longitude
        REGIONWARE_FRA_ALIASES=eu-central-1      what others call it, separated by commas
        ```

        A region's name is written in upper case, and `-` as `_`. Empty means absent.

        Raises:
            ConfigurationError: a variable is missing, malformed or misspelt.
        """
        environ = os.environ if environ is None else environ
        names = [name.strip() for name in environ.get("REGIONWARE_REGIONS", "").split(",")]
        names = [name for name in names if name]
        if not names:
            raise ConfigurationError("REGIONWARE_REGIONS must list the regions: iad,fra")
        primary = environ.get("REGIONWARE_PRIMARY", "").strip()
        if primary and primary not in names:
            raise ConfigurationError(f"REGIONWARE_PRIMARY is {primary!r}, known are {names}")
        _check_variables(names, environ)
        regions = [_region_from(environ, name, primary=name == primary) for name in names]
        return cls(regions=regions, environ=environ)


def _vector(latitude: float, longitude: float) -> tuple[float, float, float]:
    phi, theta = math.radians(latitude), math.radians(longitude)
    return math.cos(phi) * math.cos(theta), math.cos(phi) * math.sin(theta), math.sin(phi)


def _known(by_name: Mapping[str, Region], name: str, what: str) -> Region:
    region = by_name.get(name)
    if region is None:
        known = ", ".join(by_name)
        raise ConfigurationError(f"Topology: {what} {name!r} is not one of the regions ({known})")
    return region


def _here(
    by_name: Mapping[str, Region],
    environ: Mapping[str, str],
    ask: Callable[[], str | None] | None = None,
) -> Region:
    if said := environ.get(REGION_VARIABLE, "").strip():
        return _known(by_name, said, REGION_VARIABLE)
    seen = {name: value for name in PLATFORM_VARIABLES if (value := environ.get(name, "").strip())}
    for value in seen.values():
        # Azure writes "West Europe" where its own region list says westeurope.
        if region := by_name.get(value.replace(" ", "").lower()):
            return region
    told = None if ask is None else ask()
    if told is not None and (region := by_name.get(told)):
        return region
    if told is not None:
        seen[repr(ask)] = told
    found = ", ".join(f"{name}={value}" for name, value in seen.items()) or "no platform's variable"
    raise ConfigurationError(
        f"Topology: which region is here? Say here=… or set {REGION_VARIABLE} to one of: "
        f"{', '.join(by_name)} (found {found})"
    )


def _check_names(regions: Sequence[Region], by_name: Mapping[str, Region]) -> None:
    if not regions:
        raise ConfigurationError("Topology: at least one region is needed")
    if len(by_name) < len(regions):
        names = [region.name for region in regions]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ConfigurationError(f"Topology: named twice: {', '.join(twice)}")


def _add_aliases(by_name: dict[str, Region]) -> None:
    for region in tuple(by_name.values()):
        for alias in region.aliases:
            other = by_name.setdefault(alias, region)
            if other is not region:
                raise ConfigurationError(
                    f"Region {region.name!r}: alias {alias!r} is a name or alias of {other.name!r}"
                )


def _primary(regions: Sequence[Region]) -> Region:
    chosen = regions if len(regions) == 1 else [region for region in regions if region.primary]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        names = ", ".join(region.name for region in chosen)
        raise ConfigurationError(f"Topology: one region can be primary, not {names}")
    raise ConfigurationError("Topology: one of several regions must say primary=True")


def _check_databases(primary: Region, regions: Sequence[Region]) -> None:
    for region in regions:
        if region.database is not None and region.name != primary.name:
            raise ConfigurationError(
                f"Region {region.name!r}: only the primary, {primary.name!r}, can have a database; "
                "list read-only copies as replicas"
            )
        if region.replicas and primary.database is None:
            raise ConfigurationError(
                f"Region {region.name!r} has replicas, but the primary, {primary.name!r}, "
                "has no database"
            )


def _prefix(name: str) -> str:
    return f"REGIONWARE_{name.upper().replace('-', '_')}_"


def _check_variables(names: Sequence[str], environ: Mapping[str, str]) -> None:
    prefixes = {_prefix(name): name for name in names}
    if len(prefixes) < len(set(names)):
        raise ConfigurationError("REGIONWARE_REGIONS: two names are one in upper case with _ for -")
    known = {prefix + setting for prefix in prefixes for setting in _SETTINGS}
    for variable in environ:
        if variable.startswith(tuple(prefixes)) and variable not in known:
            raise ConfigurationError(f"{variable}: unknown, a region has {', '.join(_SETTINGS)}")


def _region_from(environ: Mapping[str, str], name: str, *, primary: bool) -> Region:
    prefix = _prefix(name)
    values = {setting: environ.get(prefix + setting, "").strip() for setting in _SETTINGS}
    replicas = values["REPLICAS"].split()
    if not all(url.startswith(POSTGRES) for url in replicas):
        # Keywords are separated by white space too: "host=a dbname=b" would become two replicas.
        raise ConfigurationError(f"{prefix}REPLICAS: URLs separated by white space, no keywords")
    return Region(
        name,
        primary=primary,
        location=_location(prefix, values["LOCATION"]),
        database=values["DATABASE"] or None,
        replicas=replicas,
        redis=values["REDIS"] or None,
        url=values["URL"] or None,
        aliases=[alias.strip() for alias in values["ALIASES"].split(",") if alias.strip()],
    )


def _location(prefix: str, text: str) -> Point | None:
    if not text:
        return None
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigurationError(f"{prefix}LOCATION: LATITUDE,LONGITUDE in degrees") from None
    return latitude, longitude
