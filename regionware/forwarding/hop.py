"""The signed field that a forwarded request carries. No I/O here.

```
v1;from=fra;to=iad;n=1;t=1760000000;s=https;h=example.org;c=192.0.2.1;p=40000;f=…;k=1a2b3c4d;mac=…
```

says where the request comes from and where it was sent to, when, and what it was before it was sent
on: its scheme, its host, its client, and the fields (`f`) that proxies between the regions change.
Values are percent-encoded. The code is HMAC-SHA256 (RFC 2104) of everything before it, the method,
and a digest of path and query, under a key that is derived from the secret for this alone. The
digest is that of the decoded path: proxies may spell it in another way.

Whoever carries a valid hop is not forwarded again. What is not signed by us, or for another
request, says nothing and is removed. It comes from the network: nothing here raises for it.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode

#: The request field, in lower case.
FIELD: Final = "regionware-hop"
#: Seconds by which the clocks of two regions may differ, the way included.
WINDOW: Final = 60
#: Octets; servers refuse fields that are much longer.
LONGEST: Final = 7168
#: Not 0: that says that the client was put there.
NO_PORT: Final = 99_999

_SALT = b"regionware hop, version 1"
_MOST_FIELDS = 64
_TEXT = re.compile(
    r"v1;from=(?P<origin>[^;]+);to=(?P<target>[^;]+);n=1;t=(?P<time>[0-9]{1,15});s=(?P<scheme>https?)"
    r";h=(?P<host>[^;]*);c=(?P<client>[^;]*);p=(?P<port>[0-9]{1,5});f=(?P<fields>[^;]*)"
    r";k=(?P<key>[0-9a-f]{8});mac=(?P<mac>[0-9a-f]{64})",
    re.ASCII,
)

Refusal = Literal["forged", "malformed"]
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """What a request was, before it was sent on.

    Attributes:
        origin: the region that sent it.
        target: the region that it was sent to.
        scheme: `http` or `https`.
        host: the `Host` field, as sent; empty where there was none.
        client: the address at the other end of the socket, `None` for a Unix socket.
        port: that of the client; 0 where a server has put another client in the place of its own,
            `NO_PORT` where a server does not say.
        fields: those that proxies on the way change, as they were, names in lower case.
        believed: it is of this time; if not, it only keeps the request from going on.
    """

    origin: str
    target: str
    scheme: str
    host: str
    client: str | None
    port: int
    fields: Pairs = ()
    believed: bool = True


class Hops:
    """Writes and reads hops. The first secret signs, all of them verify: that is rotation."""

    __slots__ = ("_keys", "_signing")

    def __init__(self, secrets: Sequence[str | bytes]) -> None:
        """Derive a key from each secret, of which there is at least one."""
        derived = [_derive(secret) for secret in secrets]
        self._signing = derived[0]
        # Reversed, so that of two secrets with one key id the earlier wins.
        self._keys = dict(reversed(derived))

    def sign(self, hop: Hop, method: str, path: str, query: str, *, now: float) -> str | None:
        """The field's value; `None` where it would be too much for servers.

        Args:
            hop: what it says.
            method: of the request.
            path: all of it, decoded.
            query: as sent.
            now: seconds since 1970.
        """
        key_id, key = self._signing
        text = (
            f"v1;from={quote(hop.origin)};to={quote(hop.target)};n=1;t={int(now)};s={hop.scheme}"
            f";h={quote(hop.host, safe=':[]', encoding='latin-1')}"
            f";c={quote(hop.client or '', safe=':')};p={hop.port}"
            f";f={urlencode(hop.fields, encoding='latin-1')};k={key_id}"
        )
        if len(text) > LONGEST or len(hop.fields) > _MOST_FIELDS:
            return None
        return f"{text};mac={_code(key, text, method, path, query)}"

    def verify(self, text: str, method: str, path: str, query: str, *, now: float) -> Hop | Refusal:
        """Read what a request carries; the arguments are those of `sign`."""
        found = _TEXT.fullmatch(text) if len(text) <= 2 * LONGEST else None
        if found is None:
            return "malformed"
        key = self._keys.get(found["key"])
        signed = text[: found.start("mac") - len(";mac=")]
        if key is None or not hmac.compare_digest(
            _code(key, signed, method, path, query), found["mac"]
        ):
            return "forged"
        fields = parse_qsl(
            found["fields"], keep_blank_values=True, encoding="latin-1",
            max_num_fields=_MOST_FIELDS,
        )  # fmt: skip
        return Hop(
            origin=unquote(found["origin"]),
            target=unquote(found["target"]),
            scheme=found["scheme"],
            host=unquote(found["host"], encoding="latin-1"),
            client=unquote(found["client"]) or None,
            port=int(found["port"]),
            fields=tuple(fields),
            believed=abs(now - int(found["time"])) <= WINDOW,
        )


def _derive(secret: str | bytes) -> tuple[str, bytes]:
    """The key id and the key of a secret."""
    raw = secret.encode() if isinstance(secret, str) else secret
    key = hmac.digest(raw, _SALT, "sha256")
    return hmac.digest(key, b"key id", "sha256")[:4].hex(), key


def _code(key: bytes, text: str, method: str, path: str, query: str) -> str:
    target = f"{path}\n{query}".encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(target).hexdigest()
    message = f"{text}\n{method}\n{digest}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, message, "sha256").hex()
