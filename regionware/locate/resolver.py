"""From a request to a region: providers are asked in order, and the first usable claim wins.

The result is always one of the configured regions, so it is bounded, and safe as a part of a key
or as a label. No I/O here.
"""

import logging
from collections.abc import Iterable, Sequence

from regionware.errors import ConfigurationError
from regionware.http.request import Request
from regionware.locate.claim import Claim, Located, Provider, Trust
from regionware.locate.healthy import Marks
from regionware.locate.mapping import RegionMap
from regionware.locate.peers import Peers
from regionware.locate.placing import Placing
from regionware.topology import Topology

_log = logging.getLogger("regionware.locate")


class Resolver:
    """Locates clients.

    Attributes:
        headers: the lower-case names of all headers that the providers read.
        cookies: the names of all cookies that the providers read.
        peers: whose headers are believed.
        placing: which region is best for whom, of those that can be chosen.
        providers: who is asked, in this order.
    """

    __slots__ = ("_default", "_failed", "_steps", "_topology", "cookies", "headers", "peers",
                 "placing", "providers")  # fmt: skip

    def __init__(
        self,
        providers: Iterable[Provider],
        topology: Topology,
        trusted: Iterable[str] | Peers = (),
        mapping: RegionMap | None = None,
        marks: Marks | None = None,
    ) -> None:
        """Prepare what can be prepared.

        Args:
            providers: in order of trust; the first with a usable claim wins.
            topology: the regions to choose from.
            trusted: the peers whose headers are believed: networks, or `"unix"`.
            mapping: how clients are sent to regions; by default to the nearest.
            marks: which regions can be chosen; by default all of them.

        Raises:
            ConfigurationError: a provider cannot be called or can never have an effect, a network
                is malformed, or `mapping` names what is not there.
        """
        self.providers = asked = tuple(providers)
        self._topology = topology
        self.peers = trusted if isinstance(trusted, Peers) else Peers(trusted)
        self._steps = tuple(
            (each, bool(getattr(each, "forgeable", False)), bool(getattr(each, "yields", False)))
            for each in asked
        )
        self.placing = Placing(topology, mapping, marks)
        self._check(asked)
        self.headers = frozenset[str]().union(*(getattr(each, "headers", ()) for each in asked))
        self.cookies = frozenset[str]().union(*(getattr(each, "cookies", ()) for each in asked))
        self._default = Located(topology.here, "default", Trust.UNKNOWN, None)
        self._failed: set[int] = set()

    def resolve(self, request: Request) -> Located:
        """The region nearest to the client; never raises, an unknown client belongs to here."""
        trusted: bool | None = None
        held: Located | None = None
        for provider, forgeable, yields in self._steps:
            if forgeable:
                if trusted is None:
                    trusted = self.peers.trusts(request.peer)
                if not trusted:
                    continue
            if yields and held is not None:
                continue
            try:
                claim = provider(request)
                located = None if claim is None else self.placing.place(claim)
            except Exception:  # noqa: BLE001  a wrong region is slow, a failed request is worse
                self._complain(provider)
                continue
            if located is None:
                continue
            if not yields:
                return located
            held = located
        return self._default if held is None else held

    def knowledge(self, request: Request) -> Claim | None:
        """The first claim that is no client's own word; measurements are counted by its country."""
        trusted = self.peers.trusts(request.peer)
        for provider, forgeable, _ in self._steps:
            if forgeable and not trusted:
                continue
            try:
                claim = provider(request)
            except Exception:  # noqa: BLE001  as above
                self._complain(provider)
                continue
            if claim is not None and claim.trust > Trust.ASSERTED:
                return claim
        return None

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
        deaf = [provider for provider, forgeable, _ in self._steps if forgeable]
        if deaf and not self.peers:
            _log.warning("no peer is trusted, so these are never asked: %r", deaf)
