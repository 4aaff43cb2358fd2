"""How long a response is fresh, and how old it came (RFC 9111, section 4.2). No I/O here.

Every function takes the response's fields as they came, by lower-case name, each line by itself,
and never raises: what cannot be read counts as stale, or as absent where the RFC says so.
"""

from collections.abc import Mapping, Sequence

from regionware.http.dates import parse_date
from regionware.http.directives import (
    FOREVER,
    CacheControl,
    parse_cache_control,
    parse_targeted,
)

Values = Mapping[str, tuple[str, ...]]

#: Response fields that decide; an adapter hands over just these, by lower-case name.
DECIDING = frozenset(
    {
        "age",
        "akamai-cache-control",
        "cache-control",
        "cache-group-invalidation",
        "cache-groups",
        "cache-status",
        "cdn-cache-control",
        "cloudflare-cdn-cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-location",
        "content-range",
        "content-type",
        "date",
        "edge-control",
        "etag",
        "expires",
        "last-modified",
        "location",
        "netlify-cdn-cache-control",
        "no-vary-search",
        "pragma",
        "regionware-cache-control",
        "set-cookie",
        "surrogate-control",
        "transfer-encoding",
        "vary",
        "vercel-cdn-cache-control",
        "x-accel-expires",
    }
)

#: Statuses that a heuristic lifetime is allowed for (RFC 9110, section 15.1), but for 206.
HEURISTIC = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})

#: Statuses whose caching is understood (RFC 9111, section 3): the final ones of RFC 9110, but for
#: 206 and 304, which are never stored as they are.
UNDERSTOOD = frozenset(
    {200, 201, 202, 203, 204, 205, 300, 301, 302, 303, 305, 307, 308, 421, 422, 426}
    | set(range(400, 418))
    | set(range(500, 506))
)

_SHARE = 10
_DAY = 86_400


def of_connection(fields: Values) -> tuple[str, ...]:
    """The lower-case names in `Connection`: fields of one hop (RFC 9110, section 7.6.1)."""
    lines = fields.get("connection", ())
    return tuple(name.strip().lower() for line in lines for name in line.split(","))


def governing(targets: Sequence[str], fields: Values) -> tuple[CacheControl, bool]:
    """The directives that govern this cache, and whether a targeted field gave them.

    RFC 9213, section 2.2: the first valid field of the target list that is not empty replaces
    `Cache-Control` and `Expires`.
    """
    for name in targets:
        found = parse_targeted(fields[name]) if name in fields else None
        if found is not None:
            return found, True
    return parse_cache_control(fields.get("cache-control", ())), False


def sent_at(fields: Values, wall: float) -> float:
    """The response's `Date`, else the time of receipt (RFC 9110, section 6.6.1)."""
    found = parse_date(fields["date"][0], wall) if "date" in fields else None
    return int(wall) if found is None else found


def explicit_lifetime(
    fields: Values, control: CacheControl, wall: float, *, targeted: bool = False
) -> float | None:
    """RFC 9111, section 4.2.1, for a shared cache; `None` where the application is silent.

    Args:
        fields: the response's fields.
        control: the governing directives.
        wall: the time of receipt, seconds since the epoch.
        targeted: `Expires` does not count.
    """
    for name in ("s-maxage", "max-age"):
        seconds = control.seconds(name)
        if seconds is not None:
            return seconds
    if targeted or "expires" not in fields:
        return None
    dates = [parse_date(value, wall) for value in fields["expires"]]
    known = [date for date in dates if date is not None]
    if len(known) < len(dates):
        return 0
    return max(min(known) - sent_at(fields, wall), 0)


def heuristic_lifetime(status: int, fields: Values, control: CacheControl, wall: float) -> float:
    """RFC 9111, section 4.2.2: a tenth of the time since `Last-Modified`, at most a day.

    In whole seconds, as everything that can be told of a lifetime.
    """
    if "last-modified" not in fields or not (status in HEURISTIC or "public" in control):
        return 0
    modified = parse_date(fields["last-modified"][0], wall)
    since = 0 if modified is None else sent_at(fields, wall) - modified
    return min(max(since, 0) // _SHARE, _DAY)


def initial_age(fields: Values, wall: float, delay: float) -> float:
    """The age when the request was sent (RFC 9111, section 4.2.3), in seconds.

    Args:
        fields: the response's fields.
        wall: the time of receipt, seconds since the epoch.
        delay: seconds from the request to the response.
    """
    apparent = max(int(wall) - sent_at(fields, wall), 0)
    return min(max(_age(fields.get("age", ())), apparent - delay), FOREVER)


def _age(lines: Sequence[str]) -> int:
    """RFC 9111, section 5.1: the first member counts, and is ignored if it is not valid."""
    text = lines[0].partition(",")[0].strip(" \t") if lines else ""
    if not (text.isascii() and text.isdecimal()):
        return 0
    return min(int(text), FOREVER) if len(text) < 20 else FOREVER
