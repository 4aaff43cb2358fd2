"""Paths whose spelling is ambiguous. A cache and an application may read them differently.

Such a path is never cached: most web-cache deception starts with one.
"""

import re

from regionware.http.request import Request

# Control characters, delimiters that only an encoding can bring into a decoded path, the one that
# some frameworks end a path at, an undecodable octet, empty and dot segments.
_DECODED = re.compile(r"[\x00-\x1f\x7f\\?#;\ufffd]|//|/\.\.?(?:/|\Z)")

# Encoded: / \ ? # ; % . NUL and control characters are not the same as the bare ones; letters,
# digits and - . _ are, and who encodes them all the same wants to be read in two ways (RFC 3986,
# section 6.2.2.2; of ~ some libraries have long thought otherwise).
_ENCODED = re.compile(
    rb"%(?:[01][0-9a-fA-F]|2[def35DEF]|3[0-9bBfF]|4[1-9a-fA-F]|5[0-9aAcCfF]|6[1-9a-fA-F]|7[0-9aAfF])"
    rb"|%(?![0-9a-fA-F]{2})|\\"
)


def is_odd(path: str) -> bool:
    """Whether a decoded path has a spelling that is not canonical (RFC 3986, section 6.2.2)."""
    return not path.startswith("/") or _DECODED.search(path) is not None


def is_ambiguous(request: Request) -> bool:
    """Whether a request's path has such a spelling, as sent or as decoded."""
    return request.odd or is_odd(request.path)


def is_odd_raw(raw: bytes) -> bool:
    """The same for a path as it was sent, before percent-decoding.

    An absolute URL in its place (RFC 9112, section 3.2.2) names a second host.
    """
    return raw[:1] != b"/" or _ENCODED.search(raw) is not None
