"""From a record of a database of addresses to a claim. Nothing here ever raises. No I/O here.

Two shapes are understood: MaxMind's nested one, which DB-IP writes as well, and the flat one of
IPinfo and others. Whatever else a record holds, or however it is broken, it tells nothing.
"""

from collections.abc import Mapping
from typing import Final

from regionware.locate import decode
from regionware.locate.claim import Claim, Trust
from regionware.region import Point, valid

SOURCE: Final = "geoip"


def claim_of(record: object) -> Claim | None:
    """What a record tells of the clients in its network, `None` where that is nothing."""
    if not isinstance(record, Mapping):
        return None
    country = _country(record)
    place, zone = _location(record), _zone(record)
    if (country, place, zone) == (None, None, None):
        return None
    return Claim(
        location=place,
        country=country,
        subdivision=_subdivision(record, country),
        zone=zone,
        source=SOURCE,
        trust=Trust.DERIVED,
    )


def _country(record: Mapping[object, object]) -> str | None:
    for name in ("country", "country_code", "registered_country"):
        value = record.get(name)
        if isinstance(value, Mapping):
            value = value.get("iso_code")
        if isinstance(value, str) and (code := decode.country(value)) is not None:
            return code
    return None


def _subdivision(record: Mapping[object, object], country: str | None) -> str | None:
    listed = record.get("subdivisions")
    first = listed[0] if isinstance(listed, list) and listed else None
    code = first.get("iso_code") if isinstance(first, Mapping) else record.get("region_code")
    return decode.subdivision(country, code) if isinstance(code, str) else None


def _location(record: Mapping[object, object]) -> Point | None:
    nested = record.get("location")
    told = nested if isinstance(nested, Mapping) else record
    for north, east in (("latitude", "longitude"), ("lat", "lng"), ("lat", "lon")):
        latitude, longitude = told.get(north), told.get(east)
        if isinstance(latitude, str) and isinstance(longitude, str):
            return decode.point(latitude, longitude)
        if _is_number(latitude) and _is_number(longitude):
            # Compared before it is made a float: an integer may be too large for one.
            return _somewhere(latitude, longitude)
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _somewhere(latitude: object, longitude: object) -> Point | None:
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return None
    if not valid(latitude, longitude) or (latitude == 0 and longitude == 0):
        return None
    return float(latitude), float(longitude)


def _zone(record: Mapping[object, object]) -> str | None:
    nested = record.get("location")
    name = nested.get("time_zone") if isinstance(nested, Mapping) else record.get("timezone")
    return decode.zone(name) if isinstance(name, str) else None
