"""What of a request's header is removed before anybody sees it. No I/O here.

Whoever comes in through no ingress loses every header that some ingress, provider or framework
might believe. Whoever comes in through one keeps of these what that ingress sets. Of a field to
which proxies append, nothing remains that only the client can have written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from regionware.http.request import Request, RequestEdits
from regionware.locate.addresses import hop
from regionware.locate.claim import Trust
from regionware.locate.forgeable import OURS, STEERING, TELLING, spellings
from regionware.locate.forwarded import Element
from regionware.locate.ingresses import Entrance, Ingresses
from regionware.locate.way import LISTS, PEER, Way

_FOR: Final = "x-forwarded-for"
#: Proxies append to it even where the client's address is elsewhere: no word about that.
_SILENT: Final = frozenset({_FOR})


@dataclass(frozen=True, slots=True)
class Admitted:
    """What was done to a request.

    Attributes:
        edits: what must be done to it again before the application sees it.
        told: the names of what was removed and deserves a word: nothing that is removed always.
        way: the name of the ingress that it came through; empty for a stranger.
        replaced: a server has put something else in the place of its peer, unasked.
    """

    edits: RequestEdits
    told: frozenset[str]
    way: str
    replaced: bool


class Border:
    """Compiled at start.

    Attributes:
        names: the lower-case names of all headers that are removed from strangers.
    """

    def __init__(
        self, ingresses: Ingresses, *, rewriting: frozenset[str], read: Iterable[str]
    ) -> None:
        """Compile the sets of names.

        Args:
            ingresses: who is believed.
            rewriting: the headers that rewrite a request; those that are believed stay in
                `Request.special`, as answers depend on them.
            read: the headers that a provider believes of an ingress.
        """
        ways = ingresses.ways
        secrets = frozenset[str]().union(*(way.secrets for way in ways))
        known = frozenset[str]().union(*(way.believed or () for way in ways))
        self.names = rewriting | TELLING | STEERING | frozenset(read) | secrets | known
        others = spelled(self.names)
        self._all = self.names | others
        self._always = others | secrets | OURS
        self._kept = rewriting | OURS
        self._ingresses = ingresses
        self._removed: dict[Way | None, frozenset[str]] = {None: self._all}
        for way in ways:
            stays = self.names if way.believed is None else way.believed
            self._removed[way] = (self.names - stays) | self._always

    def admit(self, request: Request) -> Admitted | None:
        """Remove from a request what nobody vouches for; `None` if there is nothing of the kind."""
        special = request.special
        present = special.keys() & self._all
        if not present:
            return None
        entrance = self._ingresses.of(request)
        way = entrance.way
        edits = RequestEdits(present & self._removed[way])
        told = edits.remove - self._always
        outer: Mapping[str, str] = {}
        if way is not None and way.believed is not None:
            told -= _SILENT if way.source not in LISTS else frozenset()
            outer = _vouch(request, entrance, way, edits)
        for name in (present - self._kept) | (edits.remove - OURS) | edits.put.keys():
            special.pop(name, None)
        special.update(outer)
        if edits:
            request.alter(edits)
        name = "" if way is None else way.name
        return Admitted(edits, frozenset(told), name, entrance.replaced and way is None)


def _vouch(
    request: Request, entrance: Entrance, way: Way, edits: RequestEdits
) -> Mapping[str, str]:
    """Put what is known into the place of what proxies and clients have written together.

    Returns:
        What `Forwarded` says of the scheme and the host, as if it stood in `X-Forwarded-*`.
    """
    text = request.special.get("forwarded" if way.source == "forwarded" else _FOR)
    if text is None:
        return {}
    if way.source == "forwarded":
        return _forwarded(request, entrance, way, edits)
    if way.source == _FOR:
        if hop(text) is None:
            chain, walk = entrance.walk(request)
            known = () if chain.broken else chain.texts[walk.left :]
            told = str(walk.client) if entrance.replaced else ", ".join(known)
            _put(edits, _FOR, told, text)
    elif way.source != PEER:
        client = entrance.client(request)
        _put(edits, _FOR, str(client) if client.trust is Trust.PLATFORM else "", text)
    return {}


def _forwarded(
    request: Request, entrance: Entrance, way: Way, edits: RequestEdits
) -> Mapping[str, str]:
    """Leave one element of `Forwarded`: the client, and what it has asked for."""
    chain, walk = entrance.walk(request)
    known = () if chain.broken else chain.elements[walk.left :]
    proto = next((one.proto for one in known if one.proto), "") if way.proto else ""
    host = next((one.host for one in known if one.host), "") if way.host else ""
    client = walk.client.address if known else None
    _put(edits, "forwarded", str(Element(client, proto, host)))
    told = {"x-forwarded-proto": proto, "x-forwarded-host": host}
    return {name: value for name, value in told.items() if value}


def _put(edits: RequestEdits, name: str, text: str, old: str = "") -> None:
    if not text:
        edits.remove.add(name)
    elif text != old:
        edits.put[name] = text
    if text:
        edits.remove.discard(name)


def anonymous(edits: RequestEdits) -> None:
    """Take the client's address out of what is put into a request that is made for everybody."""
    edits.put.pop(_FOR, None)
    text = edits.put.pop("forwarded", "")
    parts = [part for part in text.split(";") if part and not part.startswith("for=")]
    if parts:
        edits.put["forwarded"] = ";".join(parts)


def spelled(names: Iterable[str]) -> frozenset[str]:
    """All spellings of some names that differ from them in `_` for `-` alone."""
    return frozenset(spelling for name in names for spelling in spellings(name))
