"""From a request to a region: providers are asked in order, and the first usable claim wins.

The result is always one of the configured regions, so it is bounded, and safe as a part of a key
or as a label. No I/O here.
"""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from regionware.errors import ConfigurationError
from regionware.http.request import Request
from regionware.locate.addresses import SINGLE
from regionware.locate.claim import Claim, Located, Provider, Tried, Trust
from regionware.locate.client import Client
from regionware.locate.countries import POINTS
from regionware.locate.ingress import Ingress
from regionware.locate.ingresses import Ingresses
from regionware.locate.peers import Peers
from regionware.locate.providers import Platform
from regionware.topology import Region, Topology

_log = logging.getLogger("regionware.locate")

# Providers that remember their claims are answered from here; others only pass through.
_REMEMBERED: Final = 4096
#: Different sources, of providers of somebody's own; what is above counts as `provider`.
_SOURCES: Final = 64
_SOURCE: Final = re.compile(r"[a-z0-9][a-z0-9._:-]{0,63}")

#: Notes what became of asking a provider.
_Note = Callable[[Provider, str], None]


class _Step:
    """A provider, and when it is asked."""

    __slots__ = ("client", "forgeable", "headers", "platform", "provider", "sets", "single")

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.forgeable = bool(getattr(provider, "forgeable", False))
        self.headers = frozenset[str](getattr(provider, "headers", ()))
        self.sets = self.headers
        self.platform, self.client, self.single = "", "", SINGLE["address"]
        if isinstance(provider, Platform):
            self.platform, self.client = provider.name, provider.vendor.client.lower()
            self.single = SINGLE[provider.vendor.client_form]
            self.sets |= provider.vendor.sets

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
        ingresses: the ways into the application.
        default: where an unknown client belongs.
    """

    __slots__ = ("_countries", "_failed", "_placed", "_regions", "_sources", "_steps", "_topology",
                 "believed", "cookies", "default", "headers", "ingresses")  # fmt: skip

    def __init__(
        self,
        providers: Iterable[Provider],
        topology: Topology,
        trusted: Iterable[str | Ingress] | Peers = (),
    ) -> None:
        """Prepare what can be prepared.

        Args:
            providers: in order of trust; the first with a usable claim wins.
            topology: the regions to choose from.
            trusted: whose headers are believed: ingresses, networks, `"unix"` or `"private"`.

        Raises:
            ConfigurationError: a provider cannot be called or can never have an effect, or a
                network is malformed.
        """
        asked = tuple(providers)
        self._topology = topology
        self.ingresses = Ingresses(trusted)
        self._check(asked)
        self._steps = tuple(map(_Step, asked))
        self._hear()
        self.headers = frozenset[str]().union(*(step.headers for step in self._steps))
        self.believed = frozenset[str]().union(*(s.sets for s in self._steps if s.forgeable))
        self.cookies = frozenset[str]().union(*(getattr(each, "cookies", ()) for each in asked))
        self._regions = {region.name: region for region in topology.regions}
        self._countries = _compile(topology)
        self.default = Located(topology.here, "default", Trust.UNKNOWN, None)
        self._placed: dict[int, Located] = {}
        self._sources: set[str] = set()
        self._failed: set[int] = set()

    @property
    def peers(self) -> Peers:
        """The peers that are believed anything."""
        return self.ingresses.peers

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
        for step in self._steps:
            provider = step.provider
            heard = self.ingresses.speaks
            if step.forgeable and not heard(request, step.platform, step.headers):
                if note is not None:
                    note(provider, self._unheard(request))
                continue
            try:
                claim = provider(request)
                located = None if claim is None else self._place(claim)
                foreign = located is not None and step.means_another(request, self.ingresses)
            except Exception:  # noqa: BLE001  a wrong region is slow, a failed request is worse
                self._complain(provider)
                if note is not None:
                    note(provider, "failed")
                continue
            if note is not None:
                note(provider, _outcome(claim, located, foreign=foreign))
            if located is not None and not foreign:
                return located
        return self.default

    def explain(self, request: Request) -> Located:
        """The same, with what became of every provider that was asked in `chain`."""
        tried: list[Tried] = []
        located = self.resolve(request, lambda who, what: tried.append(Tried(repr(who), what)))
        skipped = [Tried(repr(step.provider), "not asked") for step in self._steps[len(tried) :]]
        return Located(
            located.region, located.source, located.trust, located.claim, (*tried, *skipped)
        )

    def _unheard(self, request: Request) -> str:
        entrance = self.ingresses.of(request)
        if entrance.replaced and entrance.way is None:
            return "not believed: the server has replaced the peer's address"
        if entrance.way is None:
            return "not believed: the request came through no ingress"
        return f"not believed: the ingress {entrance.way.name} does not set it"

    def _place(self, claim: Claim) -> Located | None:
        known = self._placed.get(id(claim))
        # What is kept keeps its claim alive, so a claim of the same identity is the same one.
        if known is not None and known.claim is claim:
            return known
        located = self._decide(claim)
        if located is not None:
            if len(self._placed) >= _REMEMBERED:
                self._placed.clear()
            self._placed[id(claim)] = located
        return located

    def _decide(self, claim: Claim) -> Located | None:
        region: Region | None = None
        if claim.region is not None:
            region = self._regions.get(claim.region)
        if region is None and claim.location is not None:
            region = self._topology.nearest(*claim.location)
        if region is None and claim.country is not None:
            region = self._countries.get(claim.country)
        if region is None:
            return None
        return Located(region, self._bounded(claim.source), Trust(claim.trust), claim)

    def _bounded(self, source: str) -> str:
        """A source that can be a label: a provider of somebody's own may put anything into it."""
        if source in self._sources:
            return source
        if len(self._sources) >= _SOURCES or not _SOURCE.fullmatch(source):
            return "provider"
        self._sources.add(source)
        return source

    def _complain(self, provider: Provider) -> None:
        """Log the failure of a provider, once: it would be the same for every request."""
        if id(provider) not in self._failed:
            self._failed.add(id(provider))
            _log.warning("%r failed; when it does, the next one is asked", provider, exc_info=True)

    def _check(self, providers: Sequence[Provider]) -> None:
        several = len(self._topology.regions) > 1
        located = any(region.location for region in self._topology.regions)
        for provider in providers:
            if not callable(provider):
                raise ConfigurationError(f"region: {provider!r} is not a provider")
            by_distance = isinstance(provider, Platform) and not provider.vendor.region
            if by_distance and several and not located:
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


def _outcome(claim: Claim | None, located: Located | None, *, foreign: bool) -> str:
    if claim is None:
        return "says nothing"
    if located is None:
        return "names no region"
    return "means another client: a second CDN is in front" if foreign else "accepted"


def _compile(topology: Topology) -> dict[str, Region]:
    """The nearest region of each country; empty where no region has a location."""
    if not any(region.location for region in topology.regions):
        return {}
    found = {code: topology.nearest(*point) for code, point in POINTS.items()}
    return {code: region for code, region in found.items() if region is not None}
