"""Bunny: one tag, or one URL, in a call. No I/O here.

Read 2026-11: docs.bunny.net, "Purge Cache" of a pull zone, and "Purge URL".
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote

from regionware.adapters.edges.protocol import (
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
    reveal,
)
from regionware.kinds import BOOLEAN, whole

_API: Final = "https://api.bunny.net"
#: A key in its place would be a text, and no text is shown.
_ZONE: Final = replace(whole("", 1, 1 << 53), shown=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bunny:
    """A pull zone of Bunny. It knows no soft purges.

    Attributes:
        zone: the pull zone's number.
        key: the account's API key.
        soft_as_hard: a soft purge removes; otherwise it is refused.
        name: see `EdgePurger`.
    """

    zone: int
    key: Secret = field(repr=False)
    soft_as_hard: bool = False
    name: str = "bunny"
    vendor: str = field(default="bunny", init=False)
    capabilities: Capabilities = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: naming the option.
        """
        checked_name(self.name)
        check_secret("Bunny: key", self.key)
        _ZONE.check("Bunny: zone", self.zone)
        BOOLEAN.check("Bunny: soft_as_hard", self.soft_as_hard)
        able = Capabilities(
            tags=1, urls=1, paths=False, soft_as_hard=self.soft_as_hard,
            rate=Rate(a_second=5, burst=20), propagation=5.0,
        )  # fmt: skip
        object.__setattr__(self, "capabilities", able)

    def requests(self, purge: EdgePurge, wall: float) -> Sequence[EdgeRequest]:  # noqa: ARG002 - the protocol's
        """See `EdgePurger`."""
        key = ("AccessKey", reveal(self.key))
        if purge.urls:
            return [
                EdgeRequest("POST", f"{_API}/purge?url={quote(url, safe='')}", (key,))
                for url in purge.urls
            ]
        fields = (key, ("Content-Type", "application/json"))
        url = f"{_API}/pullzone/{self.zone}/purgeCache"
        what = [{}] if purge.everything else [{"CacheTag": tag} for tag in purge.tags]
        return [EdgeRequest("POST", url, fields, json.dumps(one).encode()) for one in what]

    def judge(self, answer: EdgeAnswer) -> Verdict:
        """See `EdgePurger`."""
        return by_status(answer)
