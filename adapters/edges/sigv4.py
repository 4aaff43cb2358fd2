"""AWS Signature Version 4, for requests whose whole content is known. No I/O here.

Read 2026-11: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNRESERVED: Final = "-_.~"

Fields = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs.

    Attributes:
        access_key: the ID of the key.
        secret_key: the key.
        session_token: of temporary credentials.
    """

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def signed(
    method: str,
    url: str,
    fields: Fields,
    body: bytes,
    *,
    wall: float,
    who: Credentials,
    region: str,
    service: str,
) -> tuple[tuple[str, str], ...]:
    """The fields, with those that sign the request.

    Args:
        method: the method.
        url: absolute; its path as it is sent.
        fields: all of them are signed.
        body: the content.
        wall: seconds since the epoch; a signature holds for a few minutes.
        who: the credentials.
        region: of the service's endpoint.
        service: as in the endpoint's credential scope.
    """
    parts = urlsplit(url)
    moment = datetime.fromtimestamp(wall, UTC).strftime("%Y%m%dT%H%M%SZ")
    sent = [*fields, ("X-Amz-Date", moment)]
    if who.session_token:
        sent.append(("X-Amz-Security-Token", who.session_token))
    listed = sorted(
        (name.lower(), " ".join(value.split())) for name, value in [*sent, ("Host", parts.netloc)]
    )
    names = ";".join(name for name, _ in listed)
    canonical = "\n".join(
        (
            method, quote(parts.path or "/", safe="/" + _UNRESERVED), _query(parts.query),
            *(f"{name}:{value}" for name, value in listed), "", names, sha256(body).hexdigest(),
        )
    )  # fmt: skip
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = "\n".join((_ALGORITHM, moment, scope, sha256(canonical.encode()).hexdigest()))
    signature = _digest(reduce(_digest, scope.split("/"), b"AWS4" + who.secret_key.encode()), text)
    said = f"Credential={who.access_key}/{scope}, SignedHeaders={names}"
    return (*sent, ("Authorization", f"{_ALGORITHM} {said}, Signature={signature.hex()}"))


def _query(query: str) -> str:
    pairs = sorted(
        (quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED))
        for name, value in parse_qsl(query, keep_blank_values=True)
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def _digest(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
