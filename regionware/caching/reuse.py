"""Whether a stored answer suits what a request asks for (RFC 9111, section 5.2.1). No I/O here.

Whether it is fresh, purged or seen by the session is asked elsewhere (`fresh`, `coherence`).
"""

from regionware.caching.entry import OPEN, STRICT, Entry
from regionware.http.directives import Wants
from regionware.policies.cache import KEPT


def suits(entry: Entry, wants: Wants | None, now: float) -> bool:
    """Whether a fresh entry may be served to a request with these directives.

    Args:
        entry: what is stored.
        wants: the request's directives, `None` without any.
        now: monotonic seconds.
    """
    if wants is None:
        return True
    if wants.no_cache or (wants.max_age is not None and now - entry.born > wants.max_age):
        return False
    return wants.min_fresh is None or entry.fresh_until - now >= wants.min_fresh


def suits_stale(entry: Entry, wants: Wants | None, now: float) -> bool:
    """Whether a stale entry may be served, where the application allows it.

    A client that names a greatest age, or a least freshness, wants nothing stale unless it says so
    (RFC 9111, sections 5.2.1.1 and 5.2.1.3).
    """
    if wants is None:
        return True
    if wants.no_cache or wants.min_fresh is not None:
        return False
    if wants.max_age is None:
        return wants.max_stale is None or now - entry.fresh_until <= wants.max_stale
    return wants.max_stale is not None and suits_wanted(entry, wants, now)


def suits_wanted(entry: Entry, wants: Wants | None, now: float) -> bool:
    """Whether a client's `max-stale` accepts a stale entry (RFC 9111, section 5.2.1.2)."""
    if wants is None or wants.max_stale is None or wants.no_cache or entry.flags & STRICT:
        return False
    if wants.min_fresh is not None:
        return False
    if wants.max_age is not None and now - entry.born > wants.max_age:
        return False
    return now - entry.fresh_until <= min(wants.max_stale, KEPT)


def disconnected_until(entry: Entry) -> float:
    """Until when a cache that cannot reach the origin may serve an entry (section 4.2.4).

    The application's own `stale-if-error` says it, where there is one (RFC 5861, section 4).
    """
    if entry.flags & STRICT or entry.error_until > entry.fresh_until:
        return entry.error_until
    return entry.fresh_until + KEPT


def is_for(entry: Entry, *, authorized: bool) -> bool:
    """Whether a request with, or without, `Authorization` may have an entry.

    RFC 9111, section 3.5, asks whether the request that made the entry had that field; here the
    one that reads it counts too, since an application may answer it otherwise without a `Vary`.
    """
    return not authorized or bool(entry.flags & OPEN)
