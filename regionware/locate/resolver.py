"""From a request to a region: providers are asked in order, and the first usable claim wins.

The result is always one of the configured regions, so it is bounded, and safe as a part of a key
or as a label. No I/O here.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from regionware.errors import ConfigurationError
from regionware.http.request import Request
from regionware.locate.addresses import SINGLE
from regionware.locate.claim import Claim, Located, Provider, Tried, Trust
from regionware.locate.client import Client
from regionware.locate.healthy import Marks
from regionware.locate.ingress import Ingress
from regionware.locate.ingresses import Ingresses
from regionware.locate.mapping import RegionMap
from regionware.locate.peers import Peers
from regionware.locate.placing import Placing
from regionware.locate.providers import Platform
from regionware.topology import Topology

_log = logging.getLogger("regionware.locate")

#: Notes what became of asking a provider.
_Note = Callable[[Provider, str], None]


class _Step:
    """A provider, and when it is asked."""

    __slots__ = (
        "client", "forgeable", "headers", "platform", "provider", "sets", "single", "yields",
    )  # fmt: skip

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.forgeable = bool(getattr(provider, "forgeable", False))
        self.yields = bool(getattr(provider, "yields", False))
        self.headers = frozenset[str](getattr(provider, "headers", ()))
        self.sets = self.headers
        self.platform, self.client, self.single = "", "", SINGLE["address"]
        if isinstance(provider, Platform):
            self.platform, self.client = provider.name, provider.vendor.client.lower()
            self.single = SINGLE[provider.vendor.client_form]
            self.sets |= provider.vendor.sets

    def heard(self, request: Request, ingresses: Ingresses) -> bool:
        """Whether what it reads can be believed of whoever has sent this request."""
        return not self.forgeable or ingresses.speaks(request, self.platform, self.headers)

    def means_another(self, request: Request, ingresses: Ingresses) -> bool:
        """Whether the platform tells of another client than ours: a second CDN is before it."""
        text = request.header(self.client) if self.client else None
        return text is not None and ingresses.differs(request, self.single(text))


class Resolver:
    """Locates clients.

    Attributes:
        headers: the lower-case names of all headers that the providers read.
        believed: those of them that are believed only of an ingress, and what else the platforms
            that are asked set.
        cookies: the names of all cookies that the providers read.
        default: where an unknown client belongs.
        ingresses: the ways into the application.
        placing: which region is best for whom, of those that can be chosen.
        providers: who is asked, in this order.
    """

    __slots__ = ("_failed", "_steps", "_topology", "believed", "cookies", "default", "headers",
                 "ingresses", "placing", "providers")  # fmt: skip

    def __init__(
        self,
        providers: Iterable[Provider],
        topology: Topology,
        trusted: Iterable[str | Ingress] | Peers = (),
        mapping: RegionMap | None = None,
        marks: Marks | None = None,
    ) -> None:
        """Prepare what can be prepared.

        Args:
            providers: in order of trust; the first with a usable claim wins.
            topology: the regions to choose from.
            trusted: whose headers are believed: ingresses, networks, `"unix"` or `"private"`.
            mapping: how clients are sent to regions; by default to the nearest.
            marks: which regions can be chosen; by default all of them.

        Raises:
            ConfigurationError: a provider cannot be called or can never have an effect, a network
                is malformed, or `mapping` names what is not there.
        """
        self.providers = asked = tuple(providers)
        self._topology = topology
        self.ingresses = Ingresses(trusted)
        self.placing = Placing(topology, mapping, marks)
        self._check(asked)
        self._steps = tuple(map(_Step, asked))
        self._hear()
        self.headers = frozenset[str]().union(*(step.headers for step in self._steps))
        self.believed = frozenset[str]().union(*(s.sets for s in self._steps if s.forgeable))
        self.cookies = frozenset[str]().union(*(getattr(each, "cookies", ()) for each in asked))
        self.default = Located(topology.here, "default", Trust.UNKNOWN, None)
        self._failed: set[int] = set()

    def admits(self, request: Request) -> bool:
        """Whether a request came through somebody who is believed."""
        return self.ingresses.of(request).way is not None

    def client(self, request: Request) -> Client:
        """The client's address; never raises."""
        return self.ingresses.of(request).client(request)

    def resolve(self, request: Request, note: _Note | None = None) -> Located:
        """The region nearest to the client; never raises, an unknown client belongs to here.

        Args:
            request: whose.
            note: called with what became of each provider.
        """
        held: Located | None = None
        self.ingresses.of(request)  # a provider may ask for the client's address
        for step in self._steps:
            provider = step.provider
            if not step.heard(request, self.ingresses):
                if note is not None:
                    note(provider, self._unheard(request))
                continue
            if step.yields and held is not None:
                continue
            try:
                claim = provider(request)
                located = None if claim is None else self.placing.place(claim)
                foreign = located is not None and step.means_another(request, self.ingresses)
            except Exception:  # noqa: BLE001  a wrong region is slow, a failed request is worse
                self._complain(provider)
                if note is not None:
                    note(provider, "failed")
                continue
            if note is not None:
                note(provider, _outcome(claim, located, foreign=foreign, yields=step.yields))
            if located is None or foreign:
                continue
            if not step.yields:
                return located
            held = located
        return self.default if held is None else held

    def explain(self, request: Request) -> Located:
        """The same, with what became of every provider that was asked in `chain`."""
        tried: dict[int, Tried] = {}

        def note(who: Provider, what: str) -> None:
            tried[id(who)] = Tried(repr(who), what)

        located = self.resolve(request, note)
        chain = [tried.get(id(each), Tried(repr(each), "not asked")) for each in self.providers]
        return replace(located, chain=tuple(chain))

    def knowledge(self, request: Request) -> Claim | None:
        """The first claim that is no client's own word; measurements are counted by its country."""
        self.ingresses.of(request)
        for step in self._steps:
            if not step.heard(request, self.ingresses):
                continue
            try:
                claim = step.provider(request)
                foreign = claim is not None and step.means_another(request, self.ingresses)
            except Exception:  # noqa: BLE001  as above
                self._complain(step.provider)
                continue
            if claim is not None and claim.trust > Trust.ASSERTED and not foreign:
                return claim
        return None

    def _unheard(self, request: Request) -> str:
        entrance = self.ingresses.of(request)
        if entrance.replaced and entrance.way is None:
            return "not believed: the server has replaced the peer's address"
        if entrance.way is None:
            return "not believed: the request came through no ingress"
        return f"not believed: the ingress {entrance.way.name} does not set it"

    def _complain(self, provider: Provider) -> None:
        """Log the failure of a provider, once: it would be the same for every request."""
        if id(provider) not in self._failed:
            self._failed.add(id(provider))
            _log.warning("%r failed; when it does, the next one is asked", provider, exc_info=True)

    def _check(self, providers: Sequence[Provider]) -> None:
        several = len(self._topology.regions) > 1
        for provider in providers:
            if not callable(provider):
                raise ConfigurationError(f"region: {provider!r} is not a provider")
            by_distance = getattr(provider, "by_distance", False)
            if by_distance and several and not self.placing.ranker.useful:
                raise ConfigurationError(f"region: {provider!r} needs the location of a region")

    def _hear(self) -> None:
        """Say which providers can never be asked."""
        asked = [step for step in self._steps if step.forgeable]
        deaf = [s.provider for s in asked if not self.ingresses.could_speak(s.platform, s.headers)]
        if not deaf:
            return
        if not self.ingresses:
            _log.warning("no peer is trusted, so these are never asked: %r", deaf)
        else:
            _log.warning("no ingress sets their headers, so these are never asked: %r", deaf)


def _outcome(claim: Claim | None, located: Located | None, *, foreign: bool, yields: bool) -> str:
    if claim is None:
        return "says nothing"
    if located is None:
        return "names no region"
    if foreign:
        return "means another client: a second CDN is in front"
    return "accepted, unless a later one knows" if yields else "accepted"
