"""Variants of one key: the request fields that `Vary` names. No I/O here.

The store finds a variant by itself, in one round trip: it knows the names, and a look-up hands it
the request's fields. Both sides therefore compute a variant's name alike.
"""

from functools import lru_cache
from hashlib import sha1

from regionware.caching.entry import Key
from regionware.http.fields import vary_value
from regionware.http.request import Request

#: Credentials: what varies on them is keyed on them, or not stored at all.
_NEVER = frozenset({"cookie", "authorization", "proxy-authorization"})
_LONGEST = 512


def _value(name: str, value: str | None) -> str:
    """A field's value as variants are compared; of a long one, a digest.

    No field is not the same as an empty one (RFC 9111, section 4.1).
    """
    if value is None:
        return ""
    text = "=" + vary_value(name, value)
    if len(text) <= _LONGEST:
        return text
    return sha1(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def fields_of(request: Request) -> str:
    """The request's fields on which a response may vary: "name:value" lines, sorted by name."""
    return _lines(tuple(field for field in request.headers() if field[0] not in _NEVER))


# Clients send the same fields again and again.
@lru_cache(maxsize=1024)
def _lines(fields: tuple[tuple[str, str], ...]) -> str:
    values: dict[str, str] = {}
    for name, value in fields:
        values[name] = f"{values[name]}, {value}" if name in values else value
    return "".join(f"{name}:{_value(name, values[name])}\n" for name in sorted(values))


def select(names: tuple[str, ...], request: Request) -> tuple[str, ...]:
    """The request's values for these names."""
    return tuple("" if n in _NEVER else _value(n, request.header(n)) for n in names)


def variant_name(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """How the store names a variant; an empty string where nothing varies."""
    if not names:
        return ""
    lines = "\n".join(f"{name}:{value}" for name, value in zip(names, values, strict=True))
    return sha1(lines.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def variant_key(key: Key, values: tuple[str, ...]) -> Key:
    """A variant's key in memory: the key, then what no key of a request contains."""
    return (*key, "\0", *values)


def names_in(vary: str) -> tuple[str, ...]:
    """The names that the store keeps, joined by commas."""
    return tuple(vary.split(",")) if vary else ()
