"""Zstandard (RFC 8878): content at rest, and a second form of it for clients. No I/O here.

The standard library has it from Python 3.14 on; before that the extra `zstd` brings it. Without it
nothing is compressed, and what another worker has compressed cannot be read: a clean miss.
"""

import re
import sys
from typing import cast

from regionware.caching.entry import AS_IS, Fields
from regionware.http.directives import parse_cache_control
from regionware.policies.cache import Cache

try:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
except ImportError:  # the extra is not installed, or Python was built without the library
    AVAILABLE = False
else:
    AVAILABLE = True

#: The fewest octets that are worth it: to unpack fewer takes longer than to transfer them.
LEAST = 4096
#: The fastest level: on JSON and HTML the next ones take longer and save no more than a hundredth.
LEVEL = 1
#: Of ten octets, at most nine may remain.
_REMAIN = 0.9
#: A decoder must be able to look back this far, as a power of two: 8 MiB (RFC 9659, section 3).
_WINDOW = 23

#: Types that are text underneath; what is compressed already gains nothing.
_TEXT = re.compile(
    r"text/|image/svg\+xml|font/[ot]tf|application/(?:[^;,/]*\+)?(?:json|xml|yaml|toml|wasm"
    r"|(?:x-)?(?:javascript|ecmascript|ndjson)|graphql|sql)[ \t]*(?:;|\Z)",
    re.IGNORECASE,
)

#: Fields that speak of the very octets that are sent, or that are signed with them.
_EXACT = frozenset(
    {
        b"content-digest",
        b"content-md5",
        b"content-range",
        b"digest",
        b"repr-digest",
        b"signature",
    }
)


def is_compressible(fields: Fields) -> bool:
    """Whether a response's content is likely to shrink: it is text, and not encoded already."""
    kind = b""
    for name, value in fields:
        if name == b"content-encoding":
            return False
        if name == b"content-type":
            kind = kind or value
    return _TEXT.match(kind.decode("latin-1")) is not None


def pack(fields: Fields, body: bytes) -> bytes:
    """The content compressed; empty octets where that is impossible or not worth it."""
    if not AVAILABLE or len(body) < LEAST or not is_compressible(fields):
        return b""
    packed = zstd.compress(body, LEVEL)
    return packed if len(packed) <= len(body) * _REMAIN else b""


def unpack(packed: bytes, limit: int) -> bytes | None:
    """The content again; `None` for what is no single, whole frame of at most `limit` octets.

    What the frame declares is compared before anything is unpacked, and nothing longer than that
    is ever made of it.
    """
    if not AVAILABLE:
        return None
    try:
        # None, whatever its stub says, where the frame does not declare it; 0 has no content.
        size = cast("int | None", zstd.get_frame_info(packed).decompressed_size)
        if not size or size > limit:
            return None
        options = {int(zstd.DecompressionParameter.window_log_max): _WINDOW}
        reader = zstd.ZstdDecompressor(options=options)
        body = reader.decompress(packed, max_length=size + 1)
    except (zstd.ZstdError, ValueError, OverflowError, MemoryError):
        return None
    return body if reader.eof and not reader.unused_data and len(body) == size else None


def for_clients(cache: Cache, fields: Fields, body: bytes, flags: int, known: bytes = b"") -> bytes:
    """What clients that accept zstd are sent instead; empty octets for the content as it is.

    Args:
        cache: the route's policy, which must say `compress`.
        fields: the response's fields.
        body: its content.
        flags: the entry's; RFC 9111, section 5.2.2.6, may forbid it.
        known: the content compressed, if somebody has done it already.
    """
    if not cache.compress or flags & AS_IS or _is_exact(fields):
        return b""
    return known if known and is_compressible(fields) else pack(fields, body)


def _is_exact(fields: Fields) -> bool:
    control, names = [], {name for name, _ in fields}
    if b"last-modified" in names and b"etag" not in names:
        return True  # by its date alone a client could put pieces of both forms together
    for name, value in fields:
        if name in _EXACT:
            return True
        if name == b"cache-control":
            control.append(value.decode("latin-1"))
    return "no-transform" in parse_cache_control(control)
