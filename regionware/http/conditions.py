"""Conditional requests as a cache answers them (RFC 9110, section 13). No I/O here."""

import re
from collections.abc import Iterator, Mapping

from regionware.http.dates import parse_date
from regionware.http.fields import is_token

#: What a request says of what its client has already.
CONDITIONS = frozenset({"if-none-match", "if-modified-since"})

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*+"')
# Commas inside the quotes separate nothing; an open quote reaches to the end.
_MEMBER = re.compile(r'(?:[^",]++|"[^"]*+(?:"|\Z))+')


def is_etag(text: str) -> bool:
    """Whether the text is one well-formed entity tag (RFC 9110, section 8.8.3)."""
    return _ETAG.fullmatch(text) is not None


def can_be_asked(etag: str) -> bool:
    """Whether a stored entity tag can be sent back; some servers forget the quotes."""
    return is_etag(etag) or is_token(etag)


def etag_matches(if_none_match: str, etag: str) -> bool:
    """Weak comparison of `If-None-Match` with an entity tag (RFC 9110, section 13.1.2).

    `*` matches everything. What is not well-formed matches only what is spelled the same.
    """
    if if_none_match == etag and etag.count('"') == 2:
        return True  # by far the most frequent: a client sends back what it was given
    if if_none_match.strip(" \t") == "*":
        return True
    known = _opaque(etag)
    return any(_opaque(member) == known for member in _members(if_none_match))


def strong_match(left: str, right: str) -> bool:
    """Strong comparison of two entity tags (RFC 9110, section 8.8.3.2)."""
    return left == right and left.startswith('"') and is_etag(left)


def not_modified(
    special: Mapping[str, str],
    *,
    etag: str | None,
    last_modified: str | None,
    date: str | None,
    now: float,
) -> bool | None:
    """Whether 304 answers a request, by the precedence of RFC 9110, section 13.2.2.

    Args:
        special: the request's fields by lower-case name.
        etag: the stored response's `ETag`.
        last_modified: its `Last-Modified`.
        date: its `Date`, which stands in for that (RFC 9111, section 4.3.2).
        now: seconds since the epoch.

    Returns:
        `None` where the request has no condition that applies.
    """
    tags = special.get("if-none-match")
    if tags is not None:
        return etag_matches(tags, etag or "")
    since = _moment(special.get("if-modified-since"), now)
    if since is None:
        return None
    changed = _moment(last_modified, now)
    if changed is None:
        changed = _moment(date, now)
    return changed is not None and changed <= since


def range_applies(
    if_range: str | None,
    *,
    etag: str | None,
    last_modified: str | None,
    date: str | None,
    now: float,
) -> bool:
    """Whether `If-Range` lets a `Range` field count (RFC 9110, section 13.1.5).

    An entity tag is compared strongly. A date must be that of `Last-Modified`, at least one
    second before `Date`: only then is it a strong validator (section 8.8.2.2).

    Args:
        if_range: the request's field; `None` if absent, which lets every range count.
        etag: the stored response's `ETag`.
        last_modified: its `Last-Modified`.
        date: its `Date`.
        now: seconds since the epoch.
    """
    if if_range is None:
        return True
    text = if_range.strip(" \t")
    if is_etag(text):
        return strong_match(text, (etag or "").strip(" \t"))
    asked, changed, sent = (_moment(value, now) for value in (text, last_modified, date))
    if asked is None or changed is None or sent is None:
        return False
    return asked == changed < sent


def _members(text: str) -> Iterator[str]:
    stripped = (member.strip(" \t") for member in _MEMBER.findall(text))
    return (member for member in stripped if member)


def _opaque(text: str) -> str:
    """What weak comparison compares."""
    return text.removeprefix("W/") if is_etag(text) else text


def _moment(text: str | None, now: float) -> int | None:
    return None if text is None else parse_date(text, now)
