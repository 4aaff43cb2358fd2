"""Cloudflare: one POST for each 100 tags of a zone. No I/O here.

Read 2026-11: developers.cloudflare.com/cache/how-to/purge-cache, and /api/resources/cache.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from regionware.adapters.edges.protocol import (
    DONE,
    Capabilities,
    EdgeAnswer,
    EdgePurge,
    EdgeRequest,
    Rate,
    Secret,
    Verdict,
    by_status,
    check_secret,
    checked_name,
    identifier,
    reveal,
)
from regionware.kinds import BOOLEAN, one_of

_API: Final = "https://api.cloudflare.com/client/v4"
_ZONE: Final = identifier(r"[0-9a-f]{32}", "an ID of 32 hexadecimal digits")
#: Operations of one request.
_MOST: Final = 100
#: For each plan and account.
_RATES: Final = {
    "free": Rate(a_second=5 / 60, burst=25),
    "pro": Rate(a_second=5, burst=25),
    "business": Rate(a_second=10, burst=50),
    "enterprise": Rate(a_second=50, burst=500),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloudflare:
    """A zone of Cloudflare. It knows no soft purges.

    Attributes:
        zone: the zone's ID, 32 hexadecimal digits.
        token: an API token with the permission "Cache Purge" for this zone, and no other.
        plan: `"free"`, `"pro"`, `"business"` or `"enterprise"`: how fast it may be asked.
        urls: purge by URL too. Say it only if the zone keys nothing by country, device, language
            or other fields: each such variant would need a purge that sends the same fields.
        soft_as_hard: a soft purge removes; otherwise it is refused.
        name: see `EdgePurger`.
    """

    zone: str
    token: Secret = field(repr=False)
    plan: Literal["free", "pro", "business", "enterprise"] = "free"
    urls: bool = False
    soft_as_hard: bool = False
    name: str = "cloudflare"
    vendor: str = field(default="cloudflare", init=False)
    capabilities: Capabilities = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: naming the option.
        """
        checked_name(self.name)
        check_secret("Cloudflare: token", self.token)
        _ZONE.check("Cloudflare: zone", self.zone)
        one_of(*_RATES).check("Cloudflare: plan", self.plan)
        BOOLEAN.check("Cloudflare: urls", self.urls)
        BOOLEAN.check("Cloudflare: soft_as_hard", self.soft_as_hard)
        able = Capabilities(
            tags=_MOST, urls=_MOST if self.urls else 0, paths=False,
            soft_as_hard=self.soft_as_hard, rate=_RATES[self.plan], propagation=5.0,
        )  # fmt: skip
        object.__setattr__(self, "capabilities", able)

    def requests(self, purge: EdgePurge, wall: float) -> Sequence[EdgeRequest]:  # noqa: ARG002 - the protocol's
        """See `EdgePurger`."""
        what: dict[str, object] = {"purge_everything": True}
        if not purge.everything:
            what = {"tags": purge.tags} if purge.tags else {"files": purge.urls}
        fields = (
            ("Authorization", f"Bearer {reveal(self.token)}"),
            ("Content-Type", "application/json"),
        )
        url = f"{_API}/zones/{self.zone}/purge_cache"
        return [EdgeRequest("POST", url, fields, json.dumps(what).encode())]

    def judge(self, answer: EdgeAnswer) -> Verdict:
        """See `EdgePurger`. The content has the last word."""
        verdict = by_status(answer)
        if verdict is not DONE:
            return verdict
        try:
            told = json.loads(answer.body)
        except (ValueError, RecursionError):
            return Verdict("later", reason="an answer that is not JSON")
        if isinstance(told, dict) and told.get("success") is True:
            return DONE
        return Verdict("refused", reason="an answer without success")
