"""nginx: one URL after the other, by a request that refreshes it or, with a module, that purges it.

nginx knows no tags and cannot be emptied by a request: whoever purges by tag needs another edge in
front, short lifetimes there, or none at all.

- `method="refresh"` (any nginx): a GET with a field that `proxy_cache_bypass` names. Its answer
  takes the old one's place. An answer that may not be kept leaves the old one where it is; so it
  is said not to be done. A field `purged` may repeat `X-Accel-Expires`, which clients do not see.
- `method="purge"` (`ngx_cache_purge`, or the commercial product): a `PURGE` of the same URL.

Both reach the one object that this very request would find: name in `variants` the fields that make
others, such as that of the region.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from regionware.adapters.edges.nodes import (
    Place,
    checked_fields,
    checked_hosts,
    checked_nodes,
    place_of,
    revealed,
)
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
    checked_name,
)
from regionware.errors import ConfigurationError

#: What keeps nginx from storing an answer.
_UNSTORED: Final = re.compile(r"(?i)(^|[\s,])(no-store|no-cache|private|max-age=0)([\s,=]|$)")


class Nginx:
    """One or several servers of nginx, that keep the same.

    Attributes:
        name: which edge this is.
        vendor: the dialect of its fields.
        capabilities: what it can do.
    """

    vendor = "nginx"

    def __init__(
        self,
        nodes: str | Sequence[str],
        *,
        name: str = "nginx",
        method: Literal["refresh", "purge"] = "refresh",
        fields: Mapping[str, Secret] | None = None,
        variants: Sequence[Mapping[str, str]] = ({},),
        hosts: Sequence[str] = (),
        soft_as_hard: bool = False,
    ) -> None:
        """Describe it.

        Args:
            nodes: `http://host:port` of each server. All are told everything.
            name: which edge this is, where there are several.
            method: how it forgets a URL; see above.
            fields: header fields to send with each purge. To refresh, one of them must be the one
                that `proxy_cache_bypass` names; keep its value secret, or anyone can bypass.
            variants: for each object under a URL, the request fields that tell it from the others.
            hosts: as clients name this site; a URL without a host is purged for each of them.
            soft_as_hard: purge hard what was to be purged softly; nginx can purge nothing softly.

        Raises:
            ConfigurationError: an option is wrong.
        """
        self.name = checked_name(name)
        self._nodes = checked_nodes("Nginx", nodes)
        self._fields = checked_fields("Nginx: fields", fields or {})
        self._variants = [checked_fields("Nginx: variants", each) for each in variants]
        self._hosts = checked_hosts("Nginx: hosts", hosts)
        if method not in {"refresh", "purge"}:
            raise ConfigurationError('Nginx: method is "refresh" or "purge"')
        if method == "refresh" and not self._fields:
            raise ConfigurationError("Nginx: to refresh, name in fields what makes nginx bypass")
        if not self._variants:
            raise ConfigurationError(
                "Nginx: at least one of variants is needed; {} is the plain one"
            )
        self._refreshes = method == "refresh"
        self.capabilities = Capabilities(
            urls=20,
            paths=bool(self._hosts),
            everything=False,
            soft_as_hard=soft_as_hard,
            rate=Rate(a_second=50.0, burst=50),
            propagation=0.1,
        )

    def requests(
        self,
        purge: EdgePurge,
        wall: float,  # noqa: ARG002 - nothing is signed
    ) -> Sequence[EdgeRequest]:
        """The requests for one batch, to every server."""
        common = revealed(self._fields)
        method = "GET" if self._refreshes else "PURGE"
        return [
            EdgeRequest(
                method, node + place.target, (("Host", place.host), *revealed(variant), *common)
            )
            for place in self._places(purge.urls)
            for variant in self._variants
            for node in self._nodes
        ]

    def judge(self, answer: EdgeAnswer) -> Verdict:
        """What an answer means.

        To a refresh it is the application's own: done if nginx has kept it. To a purge, 404 says
        that nothing was there, and 412, as older modules say it.
        """
        if not self._refreshes:
            return DONE if answer.status in {404, 412} else by_status(answer)
        status = answer.status
        if status >= 500 or status in {401, 403, 408, 421, 425, 429}:
            return Verdict("later", reason=f"status {status}")
        if answer.fields.get("purged", "0").strip() not in {"", "0"}:
            return DONE
        if _UNSTORED.search(answer.fields.get("cache-control", "private")):
            # Not tried again, until the second purge: others would wait behind what may never be
            # kept again, such as the 404 of something deleted.
            return Verdict("refused", reason="the new answer may not be kept, so the old one stays")
        return DONE

    def _places(self, urls: Sequence[str]) -> Iterator[Place]:
        for url in urls:
            place = place_of(url)
            hosts = (place.host,) if place.host else self._hosts
            yield from (Place(host, place.target) for host in hosts)
