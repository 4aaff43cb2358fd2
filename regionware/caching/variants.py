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
#: More characters of fields than this are not worth the memory of a memo.
_SMALL = 4096


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
    fields = tuple(field for field in request.headers() if field[0] not in _NEVER)
    small = sum(len(name) + len(value) for name, value in fields) <= _SMALL
    return _known(fields) if small else _lines(fields)


def _lines(fields: tuple[tuple[str, str], ...]) -> str:
    values: dict[str, str] = {}
    for name, value in fields:
        values[name] = f"{values[name]}, {value}" if name in values else value
    return "".join(f"{name}:{_value(name, values[name])}\n" for name in sorted(values))


# Clients send the same fields again and again.
_known = lru_cache(maxsize=1024)(_lines)


def select(names: tuple[str, ...], request: Request) -> tuple[str, ...]:
    """The request's values for these names."""
    return tuple("" if n in _NEVER else _value(n, request.header(n)) for n in names)


def variant_name(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """How the store names a variant; an empty string where nothing varies."""
    if not names:
        return ""
    lines = "\n".join(f"{name}:{value}" for name, value in zip(names, values, strict=True))
    return sha1(lines.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def variant_key(key: Key, names: tuple[str, ...], values: tuple[str, ...]) -> Key:
    """A variant's key in memory: the key, then what no key of a request contains."""
    return (*key, "\0", *names, *values)


def names_of(key: Key, variant: Key) -> tuple[str, ...]:
    """The names in a variant's key, which may be the key itself."""
    rest = variant[len(key) + 1 :]
    return rest[: len(rest) // 2]


def names_in(vary: str) -> tuple[str, ...]:
    """The names that the store keeps, joined by commas."""
    return tuple(vary.split(",")) if vary else ()
