"""A region that a client keeps to: a signed cookie. No I/O here.

It is the client's own word, given after it has measured, and signed so that it is a word that we
have given out: at most a day old, and the name of a region. Whatever else comes counts as absent.
The text form, beside which no other spelling is accepted, is

```
version . key id . issued . region . tag
```

where the tag is HMAC-SHA256 (RFC 2104), truncated to 128 bits as its section 5 allows, in
base64url, under a key derived from the secret for this purpose alone.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from regionware.errors import ConfigurationError
from regionware.http.fields import is_token, parse_cookies
from regionware.http.request import Request
from regionware.kinds import BOOLEAN, TEXT, check_all, whole
from regionware.locate.claim import Claim, Trust
from regionware.region import NAME_PATTERN

_VERSION: Final = "1"
_SALT: Final = b"regionware region pin, version 1"
_TAG: Final = 16
_FORM: Final = re.compile(
    rf"({_VERSION}\.([0-9a-f]{{8}})\.([0-9]{{1,12}})\.({NAME_PATTERN}))\.([A-Za-z0-9_-]{{22}})"
)
#: Seconds: networks and cables change, and so does where somebody is.
LONGEST: Final = 86_400
_LONGEST_COOKIES: Final = 16_384
_PREFIX: Final = "__Host-"
_SOURCE: Final = "pin"

_KINDS: Final = {
    "name": TEXT,
    "max_age": whole("seconds", 60, LONGEST),
    "outranks": BOOLEAN,
}


class PinSigner:
    """Writes and reads pins. The first secret signs, all of them verify: that is rotation."""

    __slots__ = ("_keys", "_signing")

    def __init__(self, secrets: Sequence[str | bytes]) -> None:
        """Derive a key from each secret; there must be one."""
        derived = [_derive(secret) for secret in secrets]
        self._signing = derived[0]
        # Reversed, so that of two secrets with one key id the earlier wins.
        self._keys = dict(reversed(derived))

    def sign(self, region: str, now: float) -> str:
        """The text of a pin that is given out now, in seconds since 1970."""
        name, key = self._signing
        body = f"{_VERSION}.{name}.{int(now)}.{region}"
        return f"{body}.{_mac(key, body)}"

    def verify(self, text: str, *, now: float, max_age: float) -> str | None:
        """The region of a pin; `None` for whatever else a client sent, or one that is too old.

        One from the future, of a worker whose clock is ahead, is young.
        """
        found = _FORM.fullmatch(text) if len(text) <= 128 else None
        if found is None or not text.isascii():
            return None
        body, name, issued, region, tag = found.groups()
        key = self._keys.get(name)
        if key is None or not hmac.compare_digest(_mac(key, body), tag):
            return None
        return region if now - int(issued) <= max_age else None


class Pin:
    """The region that a client was pinned to when it had measured: see `Regionware(probe=…)`.

    It holds where no other provider knows anything, unless it is said to outrank them.

    Attributes:
        name: the cookie's name on http; on https `__Host-` stands before it.
        max_age: seconds for which a pin holds.
        outranks: it comes where it stands in the list, before what was derived from an address.
    """

    __slots__ = ("max_age", "name", "outranks")

    def __init__(
        self, name: str = "regionware-region", *, max_age: int = LONGEST, outranks: bool = False
    ) -> None:
        """Name the cookie.

        Args:
            name: the cookie's (RFC 6265, section 4.1.1).
            max_age: 60 to 86,400 seconds.
            outranks: a pin holds against what stands behind it in the list. It is the client's
                word: never decide by the region who may see or do something.

        Raises:
            ConfigurationError: naming the argument.
        """
        self.name, self.max_age, self.outranks = name, max_age, outranks
        check_all("Pin: ", self, _KINDS)
        if not is_token(name) or name.startswith("__"):
            raise ConfigurationError(f"Pin: name {name!r} is not a cookie's name without a prefix")

    def __call__(self, request: Request, /) -> Claim | None:
        """Nothing: it has no secret to verify with until a `Regionware` has taken it."""

    def __repr__(self) -> str:
        """As it is written in a configuration."""
        return f"Pin({self.name!r})"


class Pinned:
    """A `Pin` with the secret and the regions of one `Regionware`.

    Attributes:
        headers: the header that it reads, `cookie`.
        cookies: the cookies that it reads, which no cached response may depend on otherwise.
        yields: it makes a claim only where no other provider says anything.
    """

    __slots__ = ("_claims", "_secure", "_signer", "_wall", "cookies", "headers", "pin", "yields")

    def __init__(
        self,
        pin: Pin,
        signer: PinSigner,
        regions: Mapping[str, object],
        *,
        secure: Callable[[Request], bool],
        wall: Callable[[], float],
    ) -> None:
        """Prepare.

        Args:
            pin: the options.
            signer: signs and verifies.
            regions: what a client can be pinned to, by name.
            secure: whether a request came over https.
            wall: seconds since the epoch.
        """
        self.pin = pin
        self.yields = not pin.outranks
        self.headers = frozenset({"cookie"})
        self.cookies = frozenset({pin.name, _PREFIX + pin.name})
        self._signer = signer
        self._secure = secure
        self._wall = wall
        self._claims = {
            name: Claim(region=name, source=_SOURCE, trust=Trust.ASSERTED) for name in regions
        }

    def __call__(self, request: Request, /) -> Claim | None:
        """The region of the request's pin, `None` if it has none that holds."""
        field = request.header("cookie")
        if field is None or self.pin.name not in field or len(field) > _LONGEST_COOKIES:
            return None
        wanted, now = self._cookie_name(request), self._wall()
        for name, value in parse_cookies(field):
            if name == wanted:
                region = self._signer.verify(value, now=now, max_age=self.pin.max_age)
                if region is not None and (claim := self._claims.get(region)) is not None:
                    return claim
        return None

    def cookie(self, request: Request, region: str) -> str:
        """The `Set-Cookie` field that pins a client; only for a response that nobody may store."""
        text = self._signer.sign(region, self._wall())
        secure = "; Secure" if self._secure(request) else ""
        return (
            f"{self._cookie_name(request)}={text}; Path=/; Max-Age={self.pin.max_age}; HttpOnly; "
            f"SameSite=Lax{secure}"
        )

    def _cookie_name(self, request: Request) -> str:
        return _PREFIX + self.pin.name if self._secure(request) else self.pin.name

    def __repr__(self) -> str:
        """As it is written in a configuration."""
        return repr(self.pin)


def _derive(secret: str | bytes) -> tuple[str, bytes]:
    """The key id and the key of a secret."""
    raw = secret.encode() if isinstance(secret, str) else secret
    key = hmac.digest(raw, _SALT, "sha256")
    return hmac.digest(key, b"key id", "sha256")[:4].hex(), key


def _mac(key: bytes, body: str) -> str:
    tag = hmac.digest(key, body.encode(), "sha256")[:_TAG]
    return urlsafe_b64encode(tag).rstrip(b"=").decode("ascii")
