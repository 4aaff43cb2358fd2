"""How a frame ends: a checksum against accidents, or a signature against forgery. No I/O here.

Which of the two is expected is a matter of configuration, never read from what is stored. A flag
in the frame says which one it has, so that neither is ever taken for the other.
"""

import hmac
import struct
from collections.abc import Sequence
from typing import Protocol
from zlib import crc32

_CRC = struct.Struct(">I")
_TAG = 16
_PURPOSE = b"regionware stored entries, version 1"

#: The frame's flag: it is signed.
SIGNED = 1 << 15


class Seal(Protocol):
    """The end of a frame.

    Attributes:
        flag: what the frame's flags must say of it: `SIGNED`, or 0.
        size: its octets.
    """

    @property
    def flag(self) -> int:
        """See above."""

    @property
    def size(self) -> int:
        """See above."""

    def of(self, record: bytes, /) -> bytes:
        """The octets that close a record."""

    def holds(self, data: bytes, /) -> bool:
        """Whether the last octets close everything before them."""


class Checksum:
    """CRC-32, big-endian: it finds what was truncated or flipped."""

    __slots__ = ()

    flag = 0
    size = _CRC.size

    def of(self, record: bytes) -> bytes:
        """See `Seal`."""
        return _CRC.pack(crc32(record))

    def holds(self, data: bytes) -> bool:
        """See `Seal`."""
        end = len(data) - _CRC.size
        return end >= 0 and _CRC.unpack_from(data, end)[0] == crc32(memoryview(data)[:end])


class Signature:
    """HMAC-SHA256 (RFC 2104), truncated to 128 bits as its section 5 allows.

    The first secret signs, all of them verify: that is rotation.
    """

    __slots__ = ("_keys",)

    flag = SIGNED
    size = _TAG

    def __init__(self, secrets: Sequence[str | bytes], namespace: str, release: str) -> None:
        """Derive a key from each secret, for this purpose and for these entries alone.

        Args:
            secrets: at least one; their strength is checked where they are given.
            namespace: what another namespace has stored is not ours, though the secret be.
            release: nor what another release has.
        """
        context = b"\0".join((_PURPOSE, namespace.encode(), release.encode()))
        self._keys = [
            hmac.digest(one.encode() if isinstance(one, str) else one, context, "sha256")
            for one in secrets
        ]

    def of(self, record: bytes) -> bytes:
        """See `Seal`."""
        return hmac.digest(self._keys[0], record, "sha256")[:_TAG]

    def holds(self, data: bytes) -> bool:
        """See `Seal`; how long it takes does not tell how much is right."""
        record, tag = memoryview(data)[:-_TAG], data[-_TAG:]
        return any(
            hmac.compare_digest(hmac.digest(key, record, "sha256")[:_TAG], tag)
            for key in self._keys
        )


CHECKSUM = Checksum()
