"""From the text of a header to a country and a point. Nothing here ever raises.

Header values come from the network: what is too long, malformed, out of range or one of the many
spellings of "unknown" is simply `None`.
"""

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import unquote

from regionware.locate import zones
from regionware.region import Point, valid

#: What the packed forms give: a country and a point.
Facts = tuple[str | None, Point | None]

#: What they give besides: a subdivision and a time zone.
Rest = tuple[str | None, str | None]

NOTHING: Final[Facts] = (None, None)

#: Codes that name no country: unknown, Tor, anonymous proxies, satellites, continents.
_NOWHERE: Final = frozenset({"A1", "A2", "AP", "EU", "O1", "T1", "XX", "ZZ"})

#: Characters; the longest documented values stay below half of it.
_LONGEST: Final = 4096

_COUNTRY = re.compile(r"[A-Za-z]{2}")
#: The part of an ISO 3166-2 code behind the hyphen.
_PART = re.compile(r"[A-Z0-9]{1,3}")
_MILLISECONDS = re.compile(r"[0-9]{1,5}(?:\.[0-9]{0,6})?")
_DEGREES = re.compile(r"[+-]?[0-9]{1,3}(?:\.[0-9]{0,15})?")


def country(text: str | None) -> str | None:
    """An ISO 3166-1 code of two letters, in upper case."""
    text = "" if text is None or len(text) > 16 else text.strip(" \t")
    if not _COUNTRY.fullmatch(text):
        return None
    code = text.upper()
    return None if code in _NOWHERE else code


def subdivision(nation: str | None, text: str | None) -> str | None:
    """An ISO 3166-2 code: of `CA`, `USCA` and `US-CA`, in the country `US`, it is `US-CA`."""
    if nation is None or text is None or len(text) > 16 or not text.isascii():
        return None
    part = text.strip(" \t").upper()
    if len(part) > 3:
        part = part.removeprefix(nation).removeprefix("-")
    return f"{nation}-{part}" if _PART.fullmatch(part) else None


def zone(text: str | None) -> str | None:
    """A time zone's current name; some edges encode what is outside ASCII, or no token, by `%`."""
    if text is None or len(text) > 64:
        return None
    return zones.known(unquote(text) if "%" in text else text.strip(" \t"))


def milliseconds(text: str | None) -> float | None:
    """A round trip; 0 means unknown."""
    text = "" if text is None or len(text) > 16 else text.strip(" \t")
    return (float(text) or None) if _MILLISECONDS.fullmatch(text) else None


def point(latitude: str | None, longitude: str | None) -> Point | None:
    """Two texts in decimal degrees; 0,0, in the Gulf of Guinea, means unknown."""
    if latitude is None or longitude is None or len(latitude) + len(longitude) > 64:
        return None
    latitude, longitude = latitude.strip(" \t"), longitude.strip(" \t")
    if not _DEGREES.fullmatch(latitude) or not _DEGREES.fullmatch(longitude):
        return None
    return _somewhere(float(latitude), float(longitude))


def pair(text: str | None) -> Point | None:
    """One text, `37.386051,-122.083851`."""
    latitude, comma, longitude = (text or "").partition(",")
    return point(latitude, longitude) if comma else None


def edgescape(text: str) -> Facts:
    """Akamai's `georegion=246,country_code=US,lat=37.77,long=-122.41,…`."""
    fields = _edgescape(text)
    return country(fields.get("country_code")), point(fields.get("lat"), fields.get("long"))


def edgescape_rest(text: str) -> Rest:
    """Its `region_code`; its `timezone` is `PST`, which names no place."""
    fields = _edgescape(text)
    return subdivision(country(fields.get("country_code")), fields.get("region_code")), None


def _edgescape(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for part in text[:_LONGEST].split(","):
        name, _, value = part.strip(" \t").partition("=")
        # A second line, joined by a comma, must not replace what the first one says.
        fields.setdefault(name, value)
    return fields


def template(text: str) -> Facts:
    """Google's fields in the order of our template: country first, coordinates before the last."""
    parts = text.split(",") if len(text) <= _LONGEST else []
    # region, subdivision, city (which may hold a comma itself), latitude, longitude, round trip
    where = point(parts[-3], parts[-2]) if len(parts) >= 6 else None
    return country(parts[0] if parts else None), where


def template_rest(text: str) -> Rest:
    """Its second field, a subdivision such as `USCA`."""
    parts = text.split(",", 2) if len(text) <= _LONGEST else []
    return (subdivision(country(parts[0]), parts[1]) if len(parts) > 1 else None), None


def template_round_trip(text: str) -> float | None:
    """Its last field, a round trip in milliseconds."""
    return milliseconds(text.rpartition(",")[2]) if len(text) <= _LONGEST else None


def geo_json(text: str) -> Facts:
    """Netlify's JSON object, in base64 or, as has also been seen, as it is."""
    found = _object(text)
    return _code(found, "country"), _numbers(found)


def geo_json_rest(text: str) -> Rest:
    """Its subdivision and time zone."""
    found = _object(text)
    part, name = found.get("subdivision"), found.get("timezone")
    code = part.get("code") if isinstance(part, Mapping) else None
    area = subdivision(_code(found, "country"), code) if isinstance(code, str) else None
    return area, zone(name) if isinstance(name, str) else None


def _object(text: str) -> Mapping[object, object]:
    text = text.strip(" \t")
    if len(text) > _LONGEST:
        return {}
    try:
        found = json.loads(text if text.startswith("{") else b64decode(text, validate=True))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _code(found: Mapping[object, object], name: str) -> str | None:
    nation = found.get(name)
    code = nation.get("code") if isinstance(nation, Mapping) else None
    return country(code) if isinstance(code, str) else None


def _numbers(found: Mapping[object, object]) -> Point | None:
    latitude, longitude = found.get("latitude"), found.get("longitude")
    # A boolean is an int to Python, not to JSON; a larger int may not fit into a float.
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return None
    if isinstance(latitude, bool) or isinstance(longitude, bool):
        return None
    return _somewhere(latitude, longitude)


def _somewhere(latitude: float, longitude: float) -> Point | None:
    if not valid(latitude, longitude) or (latitude == 0 and longitude == 0):
        return None
    return float(latitude), float(longitude)


#: The packed forms by the name that the table of platforms uses.
FORMS: Final[dict[str, Callable[[str], Facts]]] = {
    "edgescape": edgescape,
    "geo-json": geo_json,
    "template": template,
}

#: What each tells besides, which is of use where it tells no point.
RESTS: Final[dict[str, Callable[[str], Rest]]] = {
    "edgescape": edgescape_rest,
    "geo-json": geo_json_rest,
    "template": template_rest,
}
