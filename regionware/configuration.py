"""The options of one `Regionware`, checked before anything is made from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from regionware.adapters.edges.protocol import EdgePurger
from regionware.adapters.edges.wiring import check_edges
from regionware.caching import compression
from regionware.caching.dialing import check_url
from regionware.caching.shadow import FASTEST
from regionware.caching.warming import MOST
from regionware.errors import ConfigurationError
from regionware.http.fields import is_token
from regionware.kinds import (
    ANYTHING,
    BOOLEAN,
    FUNCTION,
    OCTETS,
    TEXT,
    Kind,
    any_of,
    check_all,
    instance,
    list_of,
    matching,
    maybe,
    number,
    one_of,
    whole,
)
from regionware.locate import Ingress, Pin, Probe, Provider, RegionMap
from regionware.observe import Sink
from regionware.policies.database import LARGEST_LAG, at_least
from regionware.policies.route import MODES, Mode, Route
from regionware.topology import Topology

_SHORTEST_SECRET: Final = 16
#: Seconds by which a token outlives everything that could be older than it.
_MARGIN: Final = 60
#: Bytes: nobody has as much memory, and a place is reserved for every so many of them.
_MOST_MEMORY: Final = 1 << 40

_NAME: Final = r"[A-Za-z0-9._-]{1,64}"
_LETTERS: Final = "letters, digits, dots, hyphens or underscores"
_DOMAIN: Final = matching(rf"\.?{_NAME}", "a domain")
_SECRET: Final = any_of("a secret", TEXT, OCTETS)


def _is_cookie(value: object) -> bool:
    if isinstance(value, str):
        return is_token(value)
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        return False
    name, domain = value
    return isinstance(name, str) and is_token(name) and maybe(_DOMAIN).fits(domain)


_MODE: Final = one_of(*MODES)
#: Not shown: it may hold a secret.
_EDGE: Final = Kind("an edge, such as Fastly(…)", lambda value: isinstance(value, EdgePurger))

_KINDS: Final[dict[str, Kind]] = {
    "topology": instance(Topology),
    "routes": list_of(instance(Route), "Route(…)", ordered=True),
    "region": list_of(FUNCTION, "providers", ordered=True),
    "trusted": list_of(ANYTHING, "networks and ingresses"),  # each is read by itself
    "secret": any_of(
        "a text or bytes, or a list of these, of which the first signs",
        maybe(_SECRET),
        list_of(_SECRET, "secrets", ordered=True),
    ),
    "memory": whole("bytes", 1 << 16, _MOST_MEMORY),
    "memory_entry": maybe(whole("bytes", 1 << 10, _MOST_MEMORY)),
    "warm": whole("entries", 0, MOST),
    "shadow": number("comparisons a second", 0, FASTEST),
    "takeover": number("reads a second", 0, 1_000_000),
    "namespace": matching(_NAME, f"1 to 64 {_LETTERS}"),
    "release": matching(rf"({_NAME})?", f"at most 64 {_LETTERS}"),
    "sign_entries": BOOLEAN,
    "session_cookie": Kind("a cookie's name, or a name and a domain", _is_cookie, shown=True),
    "mode": _MODE,
    "debug": maybe(TEXT),
    "sinks": list_of(FUNCTION, "functions"),
    "mapping": maybe(instance(RegionMap)),
    "probe": any_of("a path, a Probe(…) or None", maybe(TEXT), instance(Probe)),
    "hosts": maybe(list_of(TEXT, "hosts", least=1)),
    "edges": list_of(_EDGE, "edges", ordered=True),
    "clock": FUNCTION,
    "wall": FUNCTION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `Regionware` is given; see there."""

    topology: Topology
    routes: Sequence[Route]
    region: Sequence[Provider]
    trusted: Sequence[str | Ingress]
    secret: str | bytes | Sequence[str | bytes] | None
    memory: int
    memory_entry: int | None
    warm: int
    shadow: float
    takeover: float
    namespace: str
    release: str
    sign_entries: bool
    session_cookie: str | tuple[str, str | None]
    mode: Mode
    debug: str | None
    sinks: Sequence[Sink]
    mapping: RegionMap | None
    probe: str | Probe | None
    hosts: Sequence[str] | None
    edges: Sequence[EdgePurger]
    clock: Callable[[], float]
    wall: Callable[[], float]

    def __post_init__(self) -> None:
        """Refuse what cannot work, as far as one option says it alone, or two beside each other.

        Raises:
            ConfigurationError: naming the option or the route, and the reason.
        """
        check_all("", self, _KINDS)
        if self.debug is not None and len(self.debug) < _SHORTEST_SECRET:
            raise ConfigurationError(
                f"debug must be unguessable: at least {_SHORTEST_SECRET} characters"
            )
        self._check_secrets()
        self._check_redis()
        check_edges(self.edges, self.routes)
        self._check_writes()
        for route in self.routes:
            if route.cache is not None and route.cache.compress and not compression.AVAILABLE:
                raise route.refuse("compress=True needs zstd: install regionware[zstd]")

    def _check_secrets(self) -> None:
        if self.secret is not None and not self.secrets:
            raise ConfigurationError("secret: an empty list signs nothing")
        if any(len(one) < _SHORTEST_SECRET for one in self.secrets):
            raise ConfigurationError(f"secret must be at least {_SHORTEST_SECRET} characters")
        if not self.secrets and any(isinstance(each, Pin) for each in self.region):
            raise ConfigurationError("region: Pin() is signed with secret=..., which is missing")
        if self.sign_entries and not self.secrets:
            raise ConfigurationError(
                "sign_entries: entries are signed with secret=..., which is missing"
            )

    def _check_redis(self) -> None:
        here, regions = self.topology.here, self.topology.regions
        for region in regions:
            if region.redis is not None:
                check_url(region.redis, region.name)
        if self.sign_entries and all(region.redis is None for region in regions):
            raise ConfigurationError(
                "sign_entries: no region has a Redis: there is nothing to sign"
            )
        for option in ("warm", "shadow"):
            if getattr(self, option) and here.redis is None:
                raise ConfigurationError(f"{option}: region {here.name} has no Redis")

    def _check_writes(self) -> None:
        """What travels between regions is signed, and has somewhere to go.

        Raises:
            ConfigurationError: naming the route, and the region or the option.
        """
        several = len(self.topology.regions) > 1
        for route in self.routes:
            write = route.write
            if write is None or not several:
                continue
            if (write.forwarding or write.replays) and not self.secrets:
                raise route.refuse("a write that travels is signed: give secret=...")
            if write.replays and not self.trusted:
                raise route.refuse("only a trusted proxy is asked to replay: name it in trusted=")
            for region in self.topology.regions if write.forwarding else ():
                may_be_primary = region is self.topology.primary or bool(region.replicas)
                if may_be_primary and region.url is None:
                    raise route.refuse(
                        f"Write.forward(): region {region.name} may hold the primary, "
                        "and has no url"
                    )

    @property
    def secrets(self) -> list[str | bytes]:
        """All of them: the first signs."""
        if self.secret is None:
            return []
        return [self.secret] if isinstance(self.secret, (str, bytes)) else list(self.secret)

    @property
    def cookie(self) -> tuple[str, str | None]:
        """The name of the session's cookie, and its domain."""
        if isinstance(self.session_cookie, str):
            return self.session_cookie, None
        name, domain = self.session_cookie
        return name, domain

    @property
    def probed(self) -> Probe | None:
        """Where browsers measure, if they do."""
        return Probe(path=self.probe) if isinstance(self.probe, str) else self.probe

    @property
    def longest(self) -> float:
        """The longest time that an entry may be used, in seconds."""
        return _longest(self.routes)

    @property
    def session_life(self) -> int:
        """Seconds a token lives: until no host and no entry can still be older than it.

        That is at least the largest admitted lag plus the longest time an entry of a route that
        compares entries with sessions may be used.
        """
        compared = [
            route
            for route in self.routes
            if route.cache is not None and at_least(route.cache.consistency, "own-writes")
        ]
        return int(LARGEST_LAG + _longest(compared)) + _MARGIN

    @property
    def retention(self) -> int:
        """Microseconds for which this process needs a fence; the region keeps it for all."""
        return int(max(2 * self.longest, 86_400) * 1_000_000)


def checked_mode(mode: object) -> Mode:
    """A mode, wherever it was given.

    Raises:
        ConfigurationError: it is none.
    """
    _MODE.check("mode", mode)
    return next(known for known in MODES if known == mode)


def _longest(routes: Sequence[Route]) -> float:
    return max((each.cache.longest for each in routes if each.cache is not None), default=0.0)
