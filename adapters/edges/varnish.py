"""Varnish: tags by the module xkey, everything else by bans, to each of its servers.

It speaks to the VCL that `regionware cdn-config varnish` prints:

- `PURGE` with `xkey` or `xkey-softpurge`: names of tags, separated by spaces;
- `BAN` with `x-url`, `x-host` or `x-cache-tags`: regular expressions that all must match what was
  kept with an object. A URL is banned, not purged: a purge would reach the one object that this
  request would find, and not those of other regions (`hash_data`).

Both answer with a field `purged`. Without it, the request has reached an application, or another
VCL, and nothing is known to be purged.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from regionware.adapters.edges.nodes import checked_fields, checked_nodes, place_of, revealed
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

Fields = tuple[tuple[str, str], ...]

#: Octets of one field's value: below `http_req_hdr_len`, 8 KiB, as FOSHttpCache has it.
LONGEST: Final = 7500
#: One octet becomes at most four in a pattern, and there is something around it.
_OCTETS_OF_BAN: Final = (LONGEST - 100) // 4

_PLAIN: Final = re.compile(rb"[A-Za-z0-9/_-]")
#: Without a space: it would begin another argument of the ban.
_EDGES_OF_TAG: Final = (r"(^|[\x20,])(", r")([\x20,]|$)")
_SEPARATING: Final = re.compile(r"[^\x21-\x2b\x2d-\x7e]")


class Varnish:
    """One or several servers of Varnish, that keep the same.

    Attributes:
        name: which edge this is.
        vendor: the dialect of its tags.
        capabilities: what it can do.
    """

    vendor = "varnish"

    def __init__(
        self,
        nodes: str | Sequence[str],
        *,
        name: str = "varnish",
        tags: Literal["xkey", "ban", "none"] = "xkey",
        fields: Mapping[str, Secret] | None = None,
        soft_as_hard: bool = False,
        verify: bool = True,
    ) -> None:
        """Describe it.

        Args:
            nodes: `http://host:port` of each server. All are told everything.
            name: which edge this is, where there are several.
            tags: how it knows them: by the module `xkey`, by bans (slower, and never soft), or not.
            fields: header fields to send with each purge, such as a secret that the VCL asks for.
            soft_as_hard: purge hard what it cannot purge softly: URLs, and tags by bans.
            verify: ask for the field `purged` in answers; `False` for a VCL that does not send it.

        Raises:
            ConfigurationError: an option is wrong.
        """
        self.name = checked_name(name)
        self._nodes = checked_nodes("Varnish", nodes)
        if tags not in {"xkey", "ban", "none"}:
            raise ConfigurationError('Varnish: tags is "xkey", "ban" or "none"')
        self._by_ban = tags == "ban"
        self._fields = checked_fields("Varnish: fields", fields or {})
        self._verify = verify
        self.capabilities = Capabilities(
            tags=0 if tags == "none" else 500,
            urls=20,
            soft=frozenset({"tags"}) if tags == "xkey" else frozenset(),
            soft_as_hard=soft_as_hard,
            octets=_OCTETS_OF_BAN if self._by_ban else LONGEST - 100,
            rate=Rate(a_second=200.0, burst=200),
            propagation=0.1,
        )

    def requests(
        self,
        purge: EdgePurge,
        wall: float,  # noqa: ARG002 - nothing is signed
    ) -> Sequence[EdgeRequest]:
        """The requests for one batch, to every server."""
        common = revealed(self._fields)
        return [
            EdgeRequest(method, f"{node}/", (*fields, *common))
            for method, fields in self._told(purge)
            for node in self._nodes
        ]

    def judge(self, answer: EdgeAnswer) -> Verdict:
        """What an answer means: 405 is an access list to be repaired, or a VCL without purging."""
        verdict = by_status(answer)
        if verdict is DONE and self._verify and "purged" not in answer.fields:
            return Verdict("later", reason="the answer does not come from a VCL that purges")
        if answer.status in {405, 501}:
            return Verdict("later", reason=f"status {answer.status}")
        return verdict

    def _told(self, purge: EdgePurge) -> Iterator[tuple[str, Fields]]:
        if purge.everything:
            yield "BAN", (("x-url", ".*"),)
        if purge.tags and self._by_ban:
            before, after = _EDGES_OF_TAG
            either = "|".join(_literal(tag) for tag in _separable(purge.tags))
            yield "BAN", (("x-cache-tags", f"{before}{either}{after}"),)
        elif purge.tags:
            field = "xkey-softpurge" if purge.soft else "xkey"
            yield "PURGE", ((field, " ".join(_separable(purge.tags))),)
        for url in purge.urls:
            yield "BAN", _ban(url)


def _separable(tags: Sequence[str]) -> list[str]:
    """Tags that cannot become two, or end the field; those of the edge's alphabet as they are."""
    return [_SEPARATING.sub(lambda found: f"%{ord(found[0]):02X}", tag) for tag in tags]


def _ban(url: str) -> Fields:
    """The expression for one URL: every object under it, whatever else its key says."""
    place = place_of(url)
    target = _whole(place.target)
    if not place.host:
        return (("x-url", target),)
    port = "" if re.search(r":[0-9]+$", place.host) else "(:[0-9]+)?"
    return ("x-url", target), ("x-host", f"(?i)^{_literal(place.host)}{port}$")


def _whole(text: str) -> str:
    """A pattern for exactly this; of what is too long for a field, for what begins like it."""
    pattern = f"^{_literal(text)}$"
    return pattern if len(pattern) <= LONGEST else f"^{_literal(text[:_OCTETS_OF_BAN])}"


def _literal(text: str) -> str:
    """A pattern for a text, in which nothing is special to patterns, bans or header fields."""
    return "".join(
        chr(octet) if _PLAIN.match(bytes((octet,))) else f"\\x{octet:02x}"
        for octet in text.encode("utf-8", "surrogatepass")
    )
