"""For how long a vendor's edge keeps an answer with given fields. No I/O here."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from regionware.http.directives import CacheControl, delta_seconds, parse_cache_control
from regionware.vendors.model import BOTH, Vendor

_FORBIDDING: Final = ("private", "no-store", "no-cache")
_MAXAGE: Final = re.compile(r"cache-maxage=([0-9]+)s")


def obeyed(vendor: Vendor, fields: Iterable[tuple[str, str]]) -> dict[str, int] | None:
    """Seconds of freshness, and of the stale windows where there are any.

    Args:
        vendor: whose edge reads them.
        fields: as an `Edge` writes them, with lower-case names.

    Returns:
        `None` if the edge keeps nothing.
    """
    values = dict(fields)
    known = next((name.lower() for name in vendor.reads if name.lower() in values), None)
    if known is None or not vendor.caches:
        return None
    text = values[known]
    if known == "x-accel-expires":
        return {"fresh": delta_seconds(text)}
    if known == "edge-control":
        found = _MAXAGE.search(text)
        return None if found is None else {"fresh": int(found[1])}
    control = parse_cache_control((text,))
    if any(word in control for word in _FORBIDDING):
        return None
    return _seconds(control)


def _seconds(control: CacheControl) -> dict[str, int] | None:
    shared, own = control.seconds("s-maxage"), control.seconds("max-age")
    found: Mapping[str, int] = {
        name: seconds for name in BOTH if (seconds := control.seconds(name))
    }
    fresh = shared if shared is not None else own or 0
    return {"fresh": fresh, **found} if fresh or found else None
