"""What an edge's configuration is made for: where things are, and what the routes need. No I/O."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final

from regionware.caching.keys import ANALYTICS, REWRITING
from regionware.errors import ConfigurationError
from regionware.http.fields import is_token
from regionware.kinds import TEXT, check_all, list_of, matching, whole
from regionware.locate.platforms import PLATFORMS
from regionware.policies.edges import varies_by_region
from regionware.policies.route import Route
from regionware.topology import Topology

if TYPE_CHECKING:
    from regionware.middleware import Regionware

_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_HOST: Final = matching(r"[A-Za-z0-9._:\[\]-]+", "a host name or an address")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where things are, and what the routes need.

    Attributes:
        backend_host: where the application listens.
        backend_port: its port, 1 to 65,535.
        listen: what the edge's own server listens on; for nginx alone.
        directory: where nginx keeps its cache; relative to its prefix unless absolute.
        purgers: networks (CIDR) that may purge.
        fronts: networks (CIDR) of proxies before this edge, whose word on a client's scheme and
            region is believed.
        region_field: the request field that names a client's region, in which `Header(...)` of
            the application finds it too.
        refresh_field: the request field by which nginx is told to fetch a page anew.
        refresh_secret: its value; an empty one refreshes nothing.
        regions: the names of the regions.
        countries: the region of each country, for an edge that knows countries.
        varies: some answers differ by region.
        private_cookies: cookies that tell one client from another; for the reader.
        static: patterns (PCRE) of raw paths that never depend on cookies.
        replays: nginx's named locations for `Write.replay("nginx")`, each with the URL of the
            primary region's application.
    """

    backend_host: str = "127.0.0.1"
    backend_port: int = 8000
    listen: str = "80"
    directory: str = "/var/cache/nginx/regionware"
    purgers: Sequence[str] = ("127.0.0.1/32", "::1/128")
    fronts: Sequence[str] = ()
    region_field: str = "X-Region"
    refresh_field: str = "X-Regionware-Refresh"
    refresh_secret: str = ""
    regions: tuple[str, ...] = ()
    countries: Mapping[str, str] = field(default_factory=dict)
    varies: bool = False
    private_cookies: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    replays: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would not be a configuration, or another one than was meant.

        Raises:
            ConfigurationError: naming the option.
        """
        check_all("cdn-config: ", self, _KINDS)
        for name in (self.region_field, self.refresh_field):
            if not is_token(name):
                raise ConfigurationError(f"cdn-config: {name!r} is not a field's name")
        for network in (*self.purgers, *self.fronts):
            try:
                ip_network(network)
            except ValueError as error:
                raise ConfigurationError(f"cdn-config: {network!r}: {error}") from error
        if unfit := [name for name in self.regions if not _SAFE_NAME.fullmatch(name)]:
            raise ConfigurationError(f"cdn-config: cannot write the region {unfit[0]!r}")

    @property
    def forged(self) -> list[str]:
        """Request fields that only a proxy before this edge may send, in lower case."""
        located = {name for platform in PLATFORMS.values() for name in platform.headers}
        return sorted(located | REWRITING | {self.region_field.lower()})

    @property
    def harmless_cookies(self) -> str:
        """A pattern (PCRE) of names of cookies that only scripts in the browser read."""
        # Not `.*`: that would match the cookies behind it too.
        return "|".join(name.replace("*", "[^=; ]*") for name in ANALYTICS)


_TEXT_OF_CONFIGURATION = matching(r"[A-Za-z0-9._:/ \[\]-]+", "a text without quotes or semicolons")
_KINDS: Final = {
    "backend_host": _HOST,
    "backend_port": whole("", 1, 65_535),
    "listen": _TEXT_OF_CONFIGURATION,
    "directory": _TEXT_OF_CONFIGURATION,
    "purgers": list_of(TEXT, "networks", least=1),
    "fronts": list_of(TEXT, "networks"),
    "refresh_secret": matching(r"[A-Za-z0-9._~-]*", "a text of letters, digits and ._~-"),
}


def needs(rw: "Regionware") -> dict[str, Any]:
    """What the routes of an application need, as options of a `Setting`."""
    prepared = rw._parts.prepared  # noqa: SLF001 - the composition shows itself to its own layer
    routes = [compiled.route for compiled in prepared.table.routes]
    regions = prepared.resolver.placing.ranker.by_country()
    return {
        "regions": tuple(region.name for region in prepared.topology.regions),
        "countries": {code: each.name for code, each in regions.items()},
        "replays": tuple(dict.fromkeys(_replays(routes, prepared.topology))),
        "varies": any(route.cdn is not None and varies_by_region(route) for route in routes),
        "private_cookies": tuple(sorted(prepared.sessions.cookies | prepared.resolver.cookies)),
        "static": tuple(
            raw_pattern(compiled.pattern.pattern)
            for compiled in prepared.table.routes
            if compiled.route.cdn is not None
            and (compiled.route.cdn.is_immutable or compiled.route.cdn.hashed is not None)
        ),
    }


def _replays(routes: Sequence[Route], topology: Topology) -> Iterator[tuple[str, str]]:
    """The named locations that routes replay through, with the primary region's URL."""
    for route in routes:
        name = getattr(route.write, "location", "")
        if name and topology.primary.url:
            yield name, topology.primary.url.rstrip("/")


def raw_pattern(pattern: str) -> str:
    """A route's pattern for paths in which nothing is escaped, so that both spellings agree."""
    unnamed = re.sub(r"\(\?P<[^>]+>", "(", pattern).removesuffix(r"\Z").removesuffix("$")
    return unnamed.replace('"', r"\x22") + "$"
