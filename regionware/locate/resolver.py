"""From a request to a region: providers are asked in order, and the first usable claim wins.

The result is always one of the configured regions, so it is bounded, and safe as a part of a key
or as a label. No I/O here.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from regionware.errors import ConfigurationError
from regionware.http.request import Request
from regionware.locate.claim import Claim, Located, Provider, Trust
from regionware.locate.countries import POINTS
from regionware.locate.peers import Peers
from regionware.locate.providers import Platform
from regionware.topology import Region, Topology

_log = logging.getLogger("regionware.locate")

# Providers that remember their claims are answered from here; others only pass through.
_REMEMBERED: Final = 4096


class Resolver:
    """Locates clients.

    Attributes:
        headers: the lower-case names of all headers that the providers read.
        cookies: the names of all cookies that the providers read.
        peers: whose headers are believed.
    """

    __slots__ = ("_countries", "_default", "_failed", "_placed", "_regions", "_steps", "_topology",
                 "cookies", "headers", "peers")  # fmt: skip

    def __init__(
        self,
        providers: Iterable[Provider],
        topology: Topology,
        trusted: Iterable[str] | Peers = (),
    ) -> None:
        """Prepare what can be prepared.

        Args:
            providers: in order of trust; the first with a usable claim wins.
            topology: the regions to choose from.
            trusted: the peers whose headers are believed: networks, or `"unix"`.

        Raises:
            ConfigurationError: a provider cannot be called or can never have an effect, or a
                network is malformed.
        """
        asked = tuple(providers)
        self._topology = topology
        self.peers = trusted if isinstance(trusted, Peers) else Peers(trusted)
        self._steps = tuple((each, bool(getattr(each, "forgeable", False))) for each in asked)
        self._check(asked)
        self.headers = frozenset[str]().union(*(getattr(each, "headers", ()) for each in asked))
        self.cookies = frozenset[str]().union(*(getattr(each, "cookies", ()) for each in asked))
        self._regions = {region.name: region for region in topology.regions}
        self._countries = _compile(topology)
        self._default = Located(topology.here, "default", Trust.UNKNOWN, None)
        self._placed: dict[int, Located] = {}
        self._failed: set[int] = set()

    def resolve(self, request: Request) -> Located:
        """The region nearest to the client; never raises, an unknown client belongs to here."""
        trusted: bool | None = None
        for provider, forgeable in self._steps:
            if forgeable:
                if trusted is None:
                    trusted = self.peers.trusts(request.peer)
                if not trusted:
                    continue
            try:
                claim = provider(request)
                located = None if claim is None else self._place(claim)
            except Exception:  # noqa: BLE001  a wrong region is slow, a failed request is worse
                self._complain(provider)
                continue
            if located is not None:
                return located
        return self._default

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
        return None if region is None else Located(region, claim.source, claim.trust, claim)

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
        deaf = [provider for provider, forgeable in self._steps if forgeable]
        if deaf and not self.peers:
            _log.warning("no peer is trusted, so these are never asked: %r", deaf)


def _compile(topology: Topology) -> dict[str, Region]:
    """The nearest region of each country; empty where no region has a location."""
    if not any(region.location for region in topology.regions):
        return {}
    found = {code: topology.nearest(*point) for code, point in POINTS.items()}
    return {code: region for code, region in found.items() if region is not None}
