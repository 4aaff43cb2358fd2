"""Fastly: surrogate keys, 256 at a time, hard or soft. No I/O here.

Read 2026-11: www.fastly.com/documentation/reference/api/purging.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from regionware.adapters.edges.protocol import (
    Ability,
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
from regionware.kinds import maybe

_API: Final = "https://api.fastly.com"
_SERVICE: Final = identifier(r"[A-Za-z0-9]{1,32}", "an ID of letters and digits")
_KEY: Final = maybe(identifier(r"[\x21-\x7e]{1,1024}", "a surrogate key of visible ASCII"))
#: Surrogate keys of one request.
_MOST: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Fastly:
    """A service of Fastly.

    Attributes:
        service: the service's ID.
        token: an API token of scope `purge_select`; for `everything` also `purge_all`.
        all_tag: a surrogate key that every response carries. Fastly empties a service only hard,
            so `everything` is soft only with such a key.
        name: see `EdgePurger`.
    """

    service: str
    token: Secret = field(repr=False)
    all_tag: str | None = None
    name: str = "fastly"
    vendor: str = field(default="fastly", init=False)
    capabilities: Capabilities = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: naming the option.
        """
        checked_name(self.name)
        check_secret("Fastly: token", self.token)
        _SERVICE.check("Fastly: service", self.service)
        _KEY.check("Fastly: all_tag", self.all_tag)
        soft: frozenset[Ability] = frozenset(
            ("tags", "urls", "everything") if self.all_tag else ("tags", "urls")
        )
        able = Capabilities(
            tags=_MOST, urls=1, paths=False, soft=soft, rate=Rate(a_second=25, burst=100)
        )
        object.__setattr__(self, "capabilities", able)

    def requests(self, purge: EdgePurge, wall: float) -> Sequence[EdgeRequest]:  # noqa: ARG002 - the protocol's
        """See `EdgePurger`."""
        fields = [("Fastly-Key", reveal(self.token)), ("Accept", "application/json")]
        if purge.soft:
            fields.append(("Fastly-Soft-Purge", "1"))
        if purge.urls:
            return [
                EdgeRequest("POST", f"{_API}/purge/{url.partition('://')[2]}", tuple(fields))
                for url in purge.urls
            ]
        if purge.everything and not purge.soft:
            return [EdgeRequest("POST", f"{_API}/service/{self.service}/purge_all", tuple(fields))]
        keys = [self.all_tag] if purge.everything else list(purge.tags)
        fields.append(("Content-Type", "application/json"))
        body = json.dumps({"surrogate_keys": keys}).encode()
        url = f"{_API}/service/{self.service}/purge"
        return [EdgeRequest("POST", url, tuple(fields), body)]

    def judge(self, answer: EdgeAnswer) -> Verdict:
        """See `EdgePurger`."""
        return by_status(answer)
