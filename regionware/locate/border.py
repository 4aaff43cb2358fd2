"""What of a request's header is removed before anybody sees it. No I/O here.

Whoever comes in through no ingress loses every header that some ingress, provider or framework
might believe. Whoever comes in through one keeps of these what that ingress sets. Of a field to
which proxies append, nothing remains that only the client can have written.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from regionware.http.request import Request, RequestEdits
from regionware.locate.addresses import hop
from regionware.locate.claim import Trust
from regionware.locate.forgeable import OURS, STEERING, TELLING, spellings
from regionware.locate.forwarded import Element
from regionware.locate.ingresses import Entrance, Ingresses
from regionware.locate.way import LISTS, PEER, Way

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_FOR: Final = "x-forwarded-for"
# Clients can choose the names, so there may be many.
_REMEMBERED: Final = 1024
#: Proxies append to it even where the client's address is elsewhere: no word about that.
_SILENT: Final = frozenset({_FOR})


class Admitted:
    """What was done to a request.

    Attributes:
        edits: what must be done to it again before the application sees it.
        told: the names of what was removed and deserves a word: nothing that is removed always.
        way: the name of the ingress that it came through; empty for a stranger.
        replaced: a server has put something else in the place of its peer, unasked.
    """

    __slots__ = ("edits", "replaced", "told", "way")

    def __init__(self, edits: RequestEdits, told: frozenset[str], entrance: Entrance) -> None:
        """Keep what was done."""
        self.edits = edits
        self.told = told
        self.way = "" if entrance.way is None else entrance.way.name
        self.replaced = entrance.replaced and entrance.way is None


class _Verdict(NamedTuple):
    """What becomes of headers with certain names that came in by a certain way.

    Attributes:
        removed: nobody sees them.
        told: those of them that deserve a word.
        gone: no decision depends on them.
        telling: those that stay and tell where the client is, or its address.
    """

    removed: frozenset[str]
    told: frozenset[str]
    gone: frozenset[str]
    telling: frozenset[str]


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
        self._telling = (TELLING | STEERING | frozenset(read)) - rewriting
        self._ingresses = ingresses
        self._removed: dict[Way | None, frozenset[str]] = {None: self._all}
        for way in ways:
            stays = self.names if way.believed is None else way.believed
            self._removed[way] = (self.names - stays) | self._always
        self._verdicts: dict[tuple[object, ...], _Verdict] = {}
        #: A key can be made without a look at any of these.
        self.harmless = self._all - rewriting

    def admit(self, request: Request) -> Admitted | None:
        """Remove from a request what nobody vouches for; `None` if there is nothing of the kind."""
        special = request.special
        if self._all.isdisjoint(special):
            return None
        entrance = self._ingresses.enter(request)
        way = entrance.way
        # Requests that come the same way have the same names, most of the time.
        verdict = self._verdicts.get((way, *special)) or self._learn(way, special)
        edits = RequestEdits(set(verdict.removed))
        entrance.telling = verdict.telling
        outer: Mapping[str, str] = _NOTHING
        if way is not None and way.believed is not None:
            outer = _vouch(request, entrance, way, edits)
        for name in verdict.gone:
            del special[name]
        if outer:
            special.update(outer)
        if edits.remove or edits.put:
            request.alter(edits)
        return Admitted(edits, verdict.told, entrance)

    def _learn(self, way: Way | None, special: Mapping[str, str]) -> _Verdict:
        present = self._all.intersection(special)
        removed = present & self._removed[way]
        told = removed - self._always
        gone = (present - self._kept) | (removed - OURS)
        if way is not None and way.believed is not None:
            gone |= present & LISTS
            told -= _SILENT if way.source not in LISTS else frozenset()
        if len(self._verdicts) >= _REMEMBERED:
            self._verdicts.clear()
        # What may be put there tells the same.
        telling = (present & self._telling) - (removed if way is None else removed - {_FOR})
        verdict = self._verdicts[way, *special] = _Verdict(removed, told, gone, telling)
        return verdict


def _vouch(
    request: Request, entrance: Entrance, way: Way, edits: RequestEdits
) -> Mapping[str, str]:
    """Put what is known into the place of what proxies and clients have written together.

    Returns:
        What `Forwarded` says of the scheme and the host, as if it stood in `X-Forwarded-*`.
    """
    text = request.special.get("forwarded" if way.source == "forwarded" else _FOR)
    if text is None:
        return _NOTHING
    if way.source == "forwarded":
        return _forwarded(request, entrance, way, edits)
    if way.source == _FOR:
        # A single address is the one that was appended.
        if hop(text) is None:
            chain, walk = entrance.walk(request)
            known = () if chain.broken else chain.texts[walk.left :]
            told = str(walk.client) if entrance.replaced else ", ".join(known)
            _put(edits, _FOR, told, text)
    elif way.source != PEER:
        if hop(text) is not None and request.special.get(way.source) == text:
            edits.remove.discard(_FOR)
            return _NOTHING
        client = entrance.client(request)
        _put(edits, _FOR, str(client) if client.trust is Trust.PLATFORM else "", text)
    return _NOTHING


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
    nameless(edits)


def nameless(edits: RequestEdits) -> None:
    """Take it out of `Forwarded` alone."""
    text = edits.put.pop("forwarded", "")
    parts = [part for part in text.split(";") if part and not part.startswith("for=")]
    if parts:
        edits.put["forwarded"] = ";".join(parts)


def spelled(names: Iterable[str]) -> frozenset[str]:
    """All spellings of some names that differ from them in `_` for `-` alone."""
    return frozenset(spelling for name in names for spelling in spellings(name))
