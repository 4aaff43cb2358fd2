"""May a response be stored, and for how long? Default deny (RFC 9111, section 3). No I/O here.

A policy's `ttl` speaks where the application is silent; the application's fields can only
tighten it, unless the policy says `override=True`. Under `Cache.standard()` only they speak.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from regionware.caching.entry import ALWAYS, AS_IS, OPEN, STRICT
from regionware.caching.freshness import (
    HEURISTIC,
    UNDERSTOOD,
    Values,
    explicit_lifetime,
    governing,
    heuristic_lifetime,
    initial_age,
)
from regionware.http.conditions import can_be_asked
from regionware.http.directives import CacheControl, parse_cache_control
from regionware.http.fields import cookie_name, field_names
from regionware.policies.cache import KEPT, Cache

#: Seconds for answers that say something is missing; they are often about to become wrong.
NEGATIVE = 10

_NO_STALE = ("must-revalidate", "proxy-revalidate", "s-maxage")
_SHARED = ("public", "must-revalidate", "s-maxage")
#: Credentials: what varies on them is for one.
_NEVER = frozenset({"authorization", "proxy-authorization"})
_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Lifetime:
    """For how long an entry may be used, in seconds.

    Attributes:
        ttl: freshness lifetime, from the response's generation.
        revalidate: stale-while-revalidate, after it.
        error: stale-if-error, after it.
        age: the response's age when its request was sent (RFC 9111, section 4.2.3).
        vary: the request fields that select the variant.
        keep: for how long it is kept once stale, to be validated.
        flags: see `entry`.
        dropped: response fields that are not stored (RFC 9111, sections 5.2.2.4 and 5.2.2.7).
    """

    ttl: float
    revalidate: float
    error: float
    age: float
    vary: tuple[str, ...]
    keep: float = 0
    flags: int = 0
    dropped: frozenset[str] = _NOTHING

    def at_most(self, ttl: float, revalidate: float, error: float, flags: int) -> "Lifetime":
        """The same, with none of the three longer than these, and with these flags too."""
        return replace(
            self,
            ttl=min(self.ttl, ttl),
            revalidate=min(self.revalidate, revalidate),
            error=min(self.error, error),
            flags=self.flags | flags,
        )


@dataclass(frozen=True, slots=True)
class _Response:
    """A response, as the rules see it."""

    cache: Cache
    status: int
    fields: Values
    control: CacheControl
    targeted: bool
    authorized: bool
    explicit: float | None

    @property
    def understood(self) -> bool:
        """The status is one whose caching is understood, and `must-understand` asks for that."""
        return "must-understand" in self.control and self.status in UNDERSTOOD

    @property
    def is_strict(self) -> bool:
        """It must not be used without validation once it is stale (RFC 9111, section 4.2.4)."""
        if self.cache.override:
            return False
        if self.cache.is_standard and "set-cookie" in self.fields:
            return True  # its lifetime is all that the application has said of sharing it
        return any(name in self.control for name in _NO_STALE) or self.control.bare("no-cache")

    @property
    def is_validated(self) -> bool:
        """It has a validator (RFC 9110, section 8.8)."""
        tags = self.fields.get("etag", ())
        return any(map(can_be_asked, tags[:1])) or "last-modified" in self.fields


def decide(
    cache: Cache, status: int, fields: Values, *, authorized: bool, wall: float, delay: float = 0
) -> Lifetime | str:
    """May this response be stored?

    Args:
        cache: the route's policy.
        status: the status code.
        fields: the deciding fields, by lower-case name, each line by itself.
        authorized: the request had `Authorization`.
        wall: the time of receipt in seconds since the epoch.
        delay: seconds from the request to the response.

    Returns:
        The lifetime, or the reason why not.
    """
    control, targeted = governing(cache.targets, fields)
    explicit = explicit_lifetime(fields, control, wall, targeted=targeted)
    response = _Response(cache, status, fields, control, targeted, authorized, explicit)
    for reason, refuses in _RULES:
        if refuses(response):
            return "error" if reason == "status" and status >= 500 else reason
    return _worth_keeping(response, _lifetime(response, wall, delay))


def _status(response: _Response) -> bool:
    cache, status, control = response.cache, response.status, response.control
    if "must-understand" in control and not response.understood:
        return True
    if not cache.is_standard:
        return status not in cache.statuses
    if status < 200 or status in {206, 304}:
        return True
    said = response.explicit is not None or "public" in control
    return not said and status not in HEURISTIC


def _set_cookie(response: _Response) -> bool:
    cookies = response.fields.get("set-cookie", ())
    if response.cache.is_standard:
        # Where each use is validated, each use has a cookie of its own.
        said = response.explicit if response.explicit is not None else "public" in response.control
        return bool(cookies) and (not said or response.control.bare("no-cache"))
    return any(cookie_name(value) not in response.cache.allow_set_cookie for value in cookies)


def _no_store(response: _Response) -> bool:
    return "no-store" in response.control and not response.understood


def _no_cache(response: _Response) -> bool:
    return response.control.bare("no-cache") and not response.cache.is_standard


def _pragma(response: _Response) -> bool:
    fields = response.fields
    if response.targeted or "cache-control" in fields:
        return False
    return "no-cache" in ",".join(fields.get("pragma", ())).lower()


def _stream(response: _Response) -> bool:
    """It has no end to wait for."""
    types = response.fields.get("content-type", ())
    return any(value.lower().startswith("text/event-stream") for value in types)


def _vary(response: _Response) -> bool:
    vary = field_names(response.fields.get("vary", ()))
    if vary is None or not _NEVER.isdisjoint(vary):
        return True
    return "cookie" in vary and response.cache.cookies == "bypass"


def _authorization(response: _Response) -> bool:
    """RFC 9111, section 3.5."""
    if not response.authorized or response.cache.allow_authorization:
        return False
    return not (response.cache.is_standard and _is_open(response.control))


_RULES: tuple[tuple[str, Callable[[_Response], bool]], ...] = (
    ("status", _status),
    ("set-cookie", _set_cookie),
    ("no-store", _no_store),
    ("private", lambda response: response.control.bare("private")),
    ("no-cache", _no_cache),
    ("malformed", lambda response: response.control.malformed),
    ("no-cache", _pragma),
    ("stream", _stream),
    ("range", lambda response: "content-range" in response.fields),
    ("vary", _vary),
    ("authorization", _authorization),
)


def _lifetime(response: _Response, wall: float, delay: float) -> Lifetime:
    cache, fields, control = response.cache, response.fields, response.control
    age = initial_age(fields, wall, delay)
    revalidate, error = _windows(response)
    vary = field_names(fields.get("vary", ())) or ()
    ttl = _ttl(response, wall, age)
    # What never was to be used without being asked for is not used then either when that fails.
    strict = response.is_strict or ttl <= 0
    return Lifetime(
        ttl, revalidate, error, age,
        vary=tuple(name for name in vary if name != "cookie"),
        keep=KEPT if response.is_validated or (cache.is_standard and not strict) else 0,
        flags=(OPEN if _is_open(control) else 0) | (STRICT if strict else 0) | _as_is(response),
        dropped=control.fields("private") | control.fields("no-cache"),
    )  # fmt: skip


def _ttl(response: _Response, wall: float, age: float) -> float:
    cache, said, status = response.cache, response.explicit, response.status
    if cache.is_standard:
        if response.control.bare("no-cache"):
            return 0
        if said is None:
            said = heuristic_lifetime(status, response.fields, response.control, wall)
        return min(said, age + cache.ttl)
    declared = cache.ttl if status < 400 else min(cache.ttl, NEGATIVE)
    return declared if said is None or cache.override else min(declared, said)


def _windows(response: _Response) -> tuple[float, float]:
    """The stale windows of RFC 5861: what the application says, within what the policy allows."""
    cache, control = response.cache, response.control
    if response.is_strict:
        return 0, 0
    said = (control.seconds("stale-while-revalidate"), control.seconds("stale-if-error"))
    if cache.is_standard:
        revalidate, error = (min(s or 0, cache.ttl) for s in said)
        return revalidate, error
    declared = (cache.stale_while_revalidate, cache.stale_if_error)
    revalidate, error = (d if s is None else min(d, s) for d, s in zip(declared, said, strict=True))
    return revalidate, error


def _worth_keeping(response: _Response, found: Lifetime) -> Lifetime | str:
    """Whether it can be of any use: fresh, in a stale window, or to be validated."""
    left = found.ttl - found.age
    if found.ttl == 0 and not response.cache.is_standard:
        return "stale"  # a policy is about lifetimes: what has none passes through
    if left + max(found.revalidate, found.error) > 0:
        return found
    if response.is_validated:
        return replace(found, flags=found.flags | ALWAYS)
    if found.ttl > 0 and found.keep:
        return found
    return "expired" if found.ttl > 0 else "stale"


def _as_is(response: _Response) -> int:
    """Whether the application forbids to transform the content, in either of two fields."""
    said = response.control, parse_cache_control(response.fields.get("cache-control", ()))
    return AS_IS if any("no-transform" in control for control in said) else 0


def _is_open(control: CacheControl) -> bool:
    return any(name in control for name in _SHARED)
