"""Cache groups: a vocabulary for what belongs together (RFC 9875). No I/O here.

A group is a tag whose text begins with its origin, so that groups of two origins never meet.
"""

from collections.abc import Sequence

import http_sf

from regionware.caching.entry import Key
from regionware.caching.freshness import Values

#: What a cache should support at least (RFC 9875, section 2); nobody sends more by accident.
_MOST = 128


def groups_of(key: Key, fields: Values) -> tuple[str, ...]:
    """The tags for a response's `Cache-Groups`; none if it cannot be read."""
    return _tags(key[0], key[1], fields.get("cache-groups", ()))


def invalidated(scheme: str, host: str, fields: Values) -> tuple[str, ...]:
    """The tags that a response's `Cache-Group-Invalidation` means (RFC 9875, section 3)."""
    return _tags(scheme, host, fields.get("cache-group-invalidation", ()))


def _tags(scheme: str, host: str, lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{scheme}://{host} {name}" for name in _strings(",".join(lines))) if lines else ()


def _strings(text: str) -> tuple[str, ...]:
    """A Structured Fields List of Strings; empty if it is none. Parameters are ignored."""
    try:
        members = http_sf.parse(text.encode("ascii").strip(b" \t"), tltype="list")
    except ValueError:
        return ()
    if not isinstance(members, list) or len(members) > _MOST:
        return ()
    values = [member[0] if isinstance(member, tuple) else member for member in members]
    # Tokens are a kind of text too, and no Strings.
    names = [value for value in values if type(value) is str]
    return tuple(dict.fromkeys(names)) if len(names) == len(values) else ()
