"""A session's token: which position of the primary's history its reads must have reached.

The text form is base64url without padding of

```
version 1 | key id 4 | flags 1 | issued 8 | write 12 | seen 12 | cluster 1+n | pin 1+n | tag 16
```

big-endian, where the tag is HMAC-SHA256 (RFC 2104), truncated to 128 bits as its section 5
allows, under a key derived from the secret for this purpose alone. A token comes from the network:
`Signer.verify` answers with a `Refusal` and never raises, whatever it is given.
"""

import hashlib
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from regionware.database.position import Position
from regionware.errors import ConfigurationError

VERSION = 1
_SALT = b"regionware session token, version 1"
_HEAD = struct.Struct(">B4sBQIQIQ")
_TAG = 16
_LONGEST = 1024
_WRITE, _SEEN, _LOST = 1, 2, 4


class Refusal(Enum):
    """Why a token counts as absent."""

    FORGED = "forged"
    EXPIRED = "expired"
    FOREIGN = "foreign"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a session is owed.

    Attributes:
        cluster: whose history it is, see `cluster_name`; empty when it was not known.
        write: the session's last own commit.
        seen: the upper bound of what the session has read.
        pin: the one host or entry that may serve `seen` again, or an empty string.
        lost: a commit's outcome is unknown, so reads stay on the primary.
        issued: seconds since 1970.
        orphaned: what it was owed was lost in a failover; never written.
    """

    cluster: str = ""
    write: Position | None = None
    seen: Position | None = None
    pin: str = ""
    lost: bool = False
    issued: int = 0
    orphaned: bool = False


def cluster_name(system_identifier: str) -> str:
    """The public name of a PostgreSQL cluster: 16 hexadecimal digits of a hash."""
    return hashlib.sha256(b"regionware cluster " + system_identifier.encode()).hexdigest()[:16]


class Signer:
    """Writes and reads tokens. The first secret signs, all of them verify: that is rotation."""

    __slots__ = ("_keys", "_signing")

    def __init__(self, secrets: str | bytes | Sequence[str | bytes]) -> None:
        """Derive a key from each secret.

        Raises:
            ConfigurationError: there is no secret, or an empty one.
        """
        several = [secrets] if isinstance(secrets, (str, bytes)) else list(secrets)
        if not several or not all(several):
            raise ConfigurationError("secret: an empty secret signs nothing")
        derived = [_derive(secret) for secret in several]
        self._signing = derived[0]
        # Reversed, so that of two secrets with one key id the earlier wins.
        self._keys = dict(reversed(derived))

    def sign(self, token: Token) -> str:
        """The text form, in the alphabet `A-Z a-z 0-9 - _`.

        Raises:
            ValueError: the cluster or the pin is longer than 255 bytes, or `issued` is negative.
        """
        name, key = self._signing
        try:
            body = _pack(token, name)
        except struct.error:
            raise ValueError(f"not a token that can be written: {token!r}") from None
        return _encode(body + hmac.digest(key, body, "sha256")[:_TAG])

    def verify(
        self, text: str, *, now: float, max_age: float, cluster: str | None = None
    ) -> Token | Refusal:
        """Read a token that a client sent.

        Args:
            text: what the client sent, of any content and length.
            now: seconds since 1970.
            max_age: seconds a token lives. One from the future, of a worker whose clock is ahead,
                is young.
            cluster: the name of our cluster; not compared while it is unknown.
        """
        raw = _decode(text)
        if raw is None or len(raw) < _HEAD.size + 2 + _TAG or raw[0] != VERSION:
            return Refusal.MALFORMED
        body, tag = raw[:-_TAG], raw[-_TAG:]
        key = self._keys.get(body[1:5])
        if key is None or not hmac.compare_digest(hmac.digest(key, body, "sha256")[:_TAG], tag):
            return Refusal.FORGED
        token = _unpack(body)
        if token is None:
            return Refusal.MALFORMED
        if cluster and token.cluster and token.cluster != cluster:
            return Refusal.FOREIGN
        return Refusal.EXPIRED if now - token.issued > max_age else token


def _derive(secret: str | bytes) -> tuple[bytes, bytes]:
    """The key id and the key of a secret."""
    raw = secret.encode() if isinstance(secret, str) else secret
    key = hmac.digest(raw, _SALT, "sha256")
    return hmac.digest(key, b"key id", "sha256")[:4], key


def _pack(token: Token, key_id: bytes) -> bytes:
    """The bytes that are signed."""
    write, seen = token.write, token.seen
    flags = (_WRITE if write else 0) | (_SEEN if seen else 0) | (_LOST if token.lost else 0)
    head = _HEAD.pack(
        VERSION, key_id, flags, token.issued,
        write.timeline if write else 0, write.lsn if write else 0,
        seen.timeline if seen else 0, seen.lsn if seen else 0,
    )  # fmt: skip
    cluster, pin = token.cluster.encode(), token.pin.encode()
    sizes = struct.pack("B", len(cluster)), struct.pack("B", len(pin))
    return b"".join((head, sizes[0], cluster, sizes[1], pin))


def _unpack(body: bytes) -> Token | None:
    """The inverse of `_pack`; `None` if the two lengths do not add up."""
    _, _, flags, issued, write_line, write, seen_line, seen = _HEAD.unpack_from(body)
    middle = _HEAD.size + 1 + body[_HEAD.size]
    if middle >= len(body) or middle + 1 + body[middle] != len(body):
        return None
    return Token(
        cluster=body[_HEAD.size + 1 : middle].decode("utf-8", "replace"),
        write=Position(write_line, write) if flags & _WRITE else None,
        seen=Position(seen_line, seen) if flags & _SEEN else None,
        pin=body[middle + 1 :].decode("utf-8", "replace"),
        lost=bool(flags & _LOST),
        issued=issued,
    )


def _encode(raw: bytes) -> str:
    """Base64url without padding (RFC 4648, section 5)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decode(text: object) -> bytes | None:
    """The inverse of `_encode`, for exactly what it writes: no other spelling of the same bytes."""
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST or not text.isascii():
        return None
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (Error, ValueError):
        return None
    return raw if _encode(raw) == text else None
