"""CloudFront: invalidations of paths and of `#tag` items. No I/O here.

Read 2026-11: docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateInvalidation.html.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from regionware.adapters.edges.protocol import (
    Capabilities,
    EdgeAnswer,
    EdgePurge,
    EdgeRequest,
    Rate,
    Verdict,
    by_status,
    check_secret,
    checked_name,
    identifier,
)
from regionware.adapters.edges.sigv4 import Credentials, signed
from regionware.errors import ConfigurationError
from regionware.kinds import BOOLEAN

_API: Final = "https://cloudfront.amazonaws.com/2020-05-31"
_SPACE: Final = "http://cloudfront.amazonaws.com/doc/2020-05-31/"
_DISTRIBUTION: Final = identifier(r"[A-Z0-9]{1,32}", "an ID of capitals and digits")
#: Items of one invalidation; 3,000 may be in progress together.
_MOST: Final = 1000
#: Error codes after which the same request is taken later, though their status is 400.
_LATER: Final = (b"TooManyInvalidationsInProgress", b"Throttling", b"RequestExpired")


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudFront:
    """A distribution of CloudFront. It knows no soft purges.

    Attributes:
        distribution: the distribution's ID.
        credentials: of a principal that may `cloudfront:CreateInvalidation` for it and nothing
            else, or a function that returns them.
        soft_as_hard: a soft purge removes; otherwise it is refused.
        name: see `EdgePurger`.
    """

    distribution: str
    credentials: Credentials | Callable[[], Credentials] = field(repr=False)
    soft_as_hard: bool = False
    name: str = "cloudfront"
    vendor: str = field(default="cloudfront", init=False)
    capabilities: Capabilities = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: naming the option.
        """
        checked_name(self.name)
        if isinstance(self.credentials, Credentials):
            check_secret("CloudFront: credentials.access_key", self.credentials.access_key)
            check_secret("CloudFront: credentials.secret_key", self.credentials.secret_key)
        elif not callable(self.credentials):
            raise ConfigurationError("CloudFront: credentials are Credentials(…), or a function")
        _DISTRIBUTION.check("CloudFront: distribution", self.distribution)
        BOOLEAN.check("CloudFront: soft_as_hard", self.soft_as_hard)
        able = Capabilities(
            tags=_MOST, urls=_MOST, soft_as_hard=self.soft_as_hard,
            rate=Rate(a_second=1, burst=5), propagation=60.0,
        )  # fmt: skip
        object.__setattr__(self, "capabilities", able)

    def requests(self, purge: EdgePurge, wall: float) -> Sequence[EdgeRequest]:
        """See `EdgePurger`.

        The reference differs each time: an invalidation with one that was used is not made.
        """
        named = [f"#{tag}" for tag in purge.tags] + [_target(url) for url in purge.urls]
        items = ["/*"] if purge.everything else list(dict.fromkeys(named))
        listed = "".join(f"<Path>{escape(item)}</Path>" for item in items)
        reference = f"regionware-{wall:.6f}-{sha256(listed.encode()).hexdigest()[:16]}"
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?><InvalidationBatch xmlns="{_SPACE}"><Paths>'
            f"<Quantity>{len(items)}</Quantity><Items>{listed}</Items></Paths>"
            f"<CallerReference>{reference}</CallerReference></InvalidationBatch>"
        ).encode()
        url = f"{_API}/distribution/{self.distribution}/invalidation"
        who = self.credentials() if callable(self.credentials) else self.credentials
        fields = signed(
            "POST", url, (("Content-Type", "text/xml"),), body,
            wall=wall, who=who, region="us-east-1", service="cloudfront",
        )  # fmt: skip
        return [EdgeRequest("POST", url, fields, body)]

    def judge(self, answer: EdgeAnswer) -> Verdict:
        """See `EdgePurger`."""
        if answer.status == 400 and any(code in answer.body for code in _LATER):
            return Verdict("later", reason="throttled")
        return by_status(answer)


def _target(url: str) -> str:
    """Path and query: a distribution knows nothing of hosts."""
    if url.startswith("/"):
        return url
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
