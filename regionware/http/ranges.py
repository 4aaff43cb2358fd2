"""Byte ranges of a complete response (RFC 9110, section 14). No I/O here."""

import re
from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.IGNORECASE)
_SPEC = re.compile(r"([0-9]*+)-([0-9]*+)")
# Section 17.15: many small ranges cost more than they ask for.
_MOST = 16
_NOWHERE = (0, -1)


def parse_range(text: str, length: int) -> list[tuple[int, int]] | None:
    """Read a `Range` field (RFC 9110, section 14.1.2); never raises.

    Args:
        text: the field's value.
        length: of the whole content, in bytes; at least 0.

    Returns:
        Offsets of the first and the last byte, both inclusive and below `length`, in the order
        asked; empty if nothing asked for exists (416). `None` if the field is to be ignored:
        another unit, malformed, more than 16 ranges, ranges that overlap, or the end of what is
        empty, which exists and has no offsets.
    """
    unit, _, listed = text.strip(" \t").partition("=")
    specs = [spec for part in listed.split(",") if (spec := part.strip(" \t"))]
    if unit.lower() != "bytes" or not 0 < len(specs) <= _MOST:
        return None
    ranges = []
    for spec in specs:
        found = _resolve(spec, length)
        if found is None:
            return None
        if found != _NOWHERE:
            ranges.append(found)
    overlap = any(left[1] >= right[0] for left, right in pairwise(sorted(ranges)))
    return None if overlap else ranges


def _resolve(spec: str, length: int) -> tuple[int, int] | None:
    """The bytes of one range; `_NOWHERE` if there are none, `None` if it is malformed."""
    found = _SPEC.fullmatch(spec)
    if found is None or spec == "-":
        return None
    first, last = found.groups()
    if not first:
        return _suffix(_value(last), length)
    if last and _order(last) < _order(first):
        return None
    start, end = _value(first), length - 1
    if last:
        end = min(end, _value(last))
    return (start, end) if start < length else _NOWHERE


def _suffix(size: int, length: int) -> tuple[int, int] | None:
    if not length and size:
        return None
    return (max(length - size, 0), length - 1) if size else _NOWHERE


def _order(digits: str) -> tuple[int, str]:
    """What sorts numbers of any length without converting them."""
    stripped = digits.lstrip("0")
    return len(stripped), stripped


def _value(digits: str) -> int:
    """A number; of one that no length reaches, another such."""
    size, stripped = _order(digits)
    return int(stripped or "0") if size <= 19 else 10**19


def parse_content_range(text: str) -> tuple[int, int, int] | None:
    """Read the `Content-Range` of one part (RFC 9110, section 14.4); never raises.

    Returns:
        The offsets of the first and the last byte, and the length of the whole; `None` for
        anything else, such as an unknown length.
    """
    found = _CONTENT_RANGE.fullmatch(text.strip(" \t"))
    if found is None:
        return None
    first, last, length = map(int, found.groups())
    return (first, last, length) if first <= last < length else None


def content_range(first: int, last: int, length: int) -> str:
    """`Content-Range` of a part (RFC 9110, section 14.4): offsets and length in bytes."""
    return f"bytes {first}-{last}/{length}"


def unsatisfied(length: int) -> str:
    """`Content-Range` of 416: the length in bytes (RFC 9110, section 15.5.17)."""
    return f"bytes */{length}"


def boundary_for(content: bytes, salt: str) -> str:
    """A boundary for parts of this content: 40 characters, the same at each call.

    It is a digest of what it must not occur in. The salt, such as an entity tag, keeps two
    representations of the same content apart.
    """
    digest = blake2b(salt.encode("utf-8", "backslashreplace") + b"\0", digest_size=20)
    digest.update(content)
    return digest.hexdigest()


def multipart(
    parts: Sequence[tuple[int, int]], content: bytes, content_type: str | None, boundary: str
) -> bytes:
    """A `multipart/byteranges` body (RFC 9110, section 14.6).

    Args:
        parts: offsets of the first and the last byte, as `parse_range` gives them.
        content: the whole content.
        content_type: its `Content-Type`, repeated in each part.
        boundary: see `boundary_for`.
    """
    kind = f"Content-Type: {content_type}\r\n" if content_type is not None else ""
    body = bytearray()
    for first, last in parts:
        place = content_range(first, last, len(content))
        head = f"--{boundary}\r\n{kind}Content-Range: {place}\r\n\r\n"
        body += head.encode("latin-1", "replace")
        body += content[first : last + 1]
        body += b"\r\n"
    return bytes(body) + f"--{boundary}--\r\n".encode("latin-1", "replace")
