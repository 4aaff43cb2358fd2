"""May a response be stored, and for how long? Default deny. No I/O here.

A policy's `ttl` speaks where the application is silent; the application's fields can only
tighten it, unless the policy says `override=True`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from regionware.http.fields import (
    CacheControl,
    cookie_name,
    delta_seconds,
    field_names,
    parse_cache_control,
)
from regionware.policies.cache import Cache

#: Response fields that decide; an adapter hands over just these, by lower-case name.
DECIDING = frozenset(
    {
        "age",
        "cache-control",
        "cache-status",
        "cdn-cache-control",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "date",
        "etag",
        "expires",
        "pragma",
        "set-cookie",
        "surrogate-control",
        "transfer-encoding",
        "vary",
    }
)

#: Fields of one hop, never stored (RFC 9110, section 7.6.1), and those that are made anew.
UNSTORED = frozenset(
    {
        b"age",
        b"cache-status",
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-connection",
        b"regionware-provenance",
        b"regionware-session",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

#: Seconds for answers that say something is missing; they are often about to become wrong.
NEGATIVE = 10

_FORBIDDING = ("no-store", "private", "no-cache")
_NO_STALE = ("must-revalidate", "proxy-revalidate", "s-maxage")

Values = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Lifetime:
    """For how long an entry may be used, in seconds from its generation.

    Attributes:
        ttl: freshness lifetime.
        revalidate: stale-while-revalidate, after it.
        error: stale-if-error, after it.
        age: the response's age when it arrived (RFC 9111, section 4.2.3).
        vary: the request fields that select the variant.
    """

    ttl: float
    revalidate: float
    error: float
    age: float
    vary: tuple[str, ...]


def decide(
    cache: Cache, status: int, fields: Values, *, authorized: bool, wall: float
) -> Lifetime | str:
    """May this response be stored?

    Args:
        cache: the route's policy.
        status: the status code.
        fields: the deciding fields, by lower-case name, each line by itself.
        authorized: the request had `Authorization`.
        wall: the time in seconds since the epoch, for `Expires` without `Date`.

    Returns:
        The lifetime, or the reason why not.
    """
    control = parse_cache_control(fields.get("cache-control", ()))
    refused = _refusal(cache, status, fields, control)
    if refused:
        return refused
    vary = field_names(fields.get("vary", ()))
    if vary is None or "authorization" in vary or ("cookie" in vary and cache.cookies == "bypass"):
        return "vary"
    if authorized and not cache.allow_authorization:
        return "authorization"
    ttl = _ttl(cache, status, fields, control, wall)
    age = max((delta_seconds(value) for value in fields.get("age", ())), default=0)
    if ttl <= age:
        return "expired"
    revalidate, error = _stale(cache, control)
    return Lifetime(ttl, revalidate, error, age, tuple(n for n in vary if n != "cookie"))


def _refusal(cache: Cache, status: int, fields: Values, control: CacheControl) -> str:
    if status not in cache.statuses:
        return "error" if status >= 500 else "status"
    if any(
        cookie_name(value) not in cache.allow_set_cookie for value in fields.get("set-cookie", ())
    ):
        return "set-cookie"
    for name in _FORBIDDING:
        if name in control:
            return name
    if control.malformed:
        return "malformed"
    if "cache-control" not in fields and "no-cache" in ",".join(fields.get("pragma", ())).lower():
        return "no-cache"
    if any(
        value.lower().startswith("text/event-stream") for value in fields.get("content-type", ())
    ):
        return "stream"  # it has no end to wait for
    return "range" if "content-range" in fields else ""


def _ttl(cache: Cache, status: int, fields: Values, control: CacheControl, wall: float) -> float:
    declared = cache.ttl if status < 400 else min(cache.ttl, NEGATIVE)
    said = application_lifetime(fields, control, wall)
    return declared if said is None or cache.override else min(declared, said)


def application_lifetime(fields: Values, control: CacheControl, wall: float) -> float | None:
    """The explicit lifetime of RFC 9111, section 4.2.1; `None` where the application is silent."""
    for name in ("s-maxage", "max-age"):
        seconds = control.seconds(name)
        if seconds is not None:
            return seconds
    if "expires" not in fields:
        return None
    if len(fields["expires"]) != 1:
        return 0
    dates = [_date(value) for value in (*fields["expires"], *fields.get("date", ())[:1])]
    if dates[0] is None:
        return 0
    sent = dates[1] if len(dates) > 1 else None
    return max(dates[0] - (wall if sent is None else sent), 0)


def _date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _stale(cache: Cache, control: CacheControl) -> tuple[float, float]:
    if any(name in control for name in _NO_STALE) and not cache.override:
        return 0, 0
    said = (control.seconds("stale-while-revalidate"), control.seconds("stale-if-error"))
    declared = (cache.stale_while_revalidate, cache.stale_if_error)
    revalidate, error = (d if s is None else min(d, s) for d, s in zip(declared, said, strict=True))
    return revalidate, error
