"""The providers that come with the package: from a request to a claim, or to nothing."""

import re
from typing import Final

from regionware.errors import ConfigurationError
from regionware.http.fields import is_token
from regionware.http.request import Request
from regionware.kinds import TEXT
from regionware.locate.claim import Claim, Trust
from regionware.locate.platforms import PLATFORMS, Vendor
from regionware.locate.reading import Reading
from regionware.region import NAME, NAME_PATTERN, is_name

#: Characters of a `Cookie` field that are searched; browsers send at most about 4,096 a cookie.
_LONGEST_COOKIES: Final = 16_384


class Header:
    """A header whose value is a region's name, set by a proxy of your own; asked of trusted peers.

    Attributes:
        forgeable: anybody can send it, so it is asked only when the peer is trusted.
        headers: the lower-case name that it reads.
    """

    __slots__ = ("_name", "_source", "headers")

    forgeable: Final = True

    def __init__(self, name: str) -> None:
        """Name the header.

        Raises:
            ConfigurationError: it is no field name, or has an underscore: WSGI cannot tell
                `X_Region`, which a proxy may let pass, from `X-Region`.
        """
        TEXT.check("Header: name", name)
        if not is_token(name) or "_" in name:
            raise ConfigurationError(f"Header: {name!r} is not a field name without underscores")
        self._name = name.lower()
        self._source = f"header:{self._name}"
        self.headers = frozenset({self._name})

    def __call__(self, request: Request, /) -> Claim | None:
        """The region named; several values, even equal ones, name none."""
        value = request.header(self._name)
        if value is None or not is_name(value):
            return None
        return Claim(region=value, source=self._source, trust=Trust.PLATFORM)

    def __repr__(self) -> str:
        """As it is written in a configuration."""
        return f"Header({self._name!r})"


class Cookie:
    """A cookie whose value is a region's name. The client's own word: a hint, for speed alone.

    It is accepted from every peer: it can only choose among the configured regions.

    Attributes:
        headers: the header that it reads, `cookie`.
        cookies: the cookie that it reads, which no cached response may depend on otherwise.
    """

    __slots__ = ("_find", "_name", "cookies", "headers")

    def __init__(self, name: str) -> None:
        """Name the cookie (RFC 6265, section 4.1.1).

        Raises:
            ConfigurationError: it cannot be a cookie's name.
        """
        TEXT.check("Cookie: name", name)
        if not is_token(name):
            raise ConfigurationError(f"Cookie: {name!r} is not a cookie's name")
        self._name = name
        self.headers = frozenset({"cookie"})
        self.cookies = frozenset({name})
        # A comma separates as well: it is how several fields are joined.
        self._find = re.compile(
            rf'(?:\A|[;,])[ \t]*{re.escape(name)}=("?)({NAME_PATTERN})\1[ \t]*(?:[;,]|\Z)'
        ).search

    def __call__(self, request: Request, /) -> Claim | None:
        """The region named by the first such cookie that names one."""
        value = request.header("cookie")
        if value is None or (found := self._find(value, 0, _LONGEST_COOKIES)) is None:
            return None
        return Claim(region=found[2], source=f"cookie:{self._name}", trust=Trust.ASSERTED)

    def __repr__(self) -> str:
        """As it is written in a configuration."""
        return f"Cookie({self._name!r})"


class Platform(Reading):
    """The headers of a platform or CDN in front of the application; asked of trusted peers.

    Attributes:
        name: the platform's.
        vendor: the headers in detail, and what must be configured at the edge.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        """Name the platform.

        Raises:
            ConfigurationError: it is not one of `regionware.locate.platforms.PLATFORMS`.
        """
        TEXT.check("Platform: name", name)
        vendor = PLATFORMS.get(name)
        if vendor is None:
            raise ConfigurationError(f"Platform: {name!r} is not one of {', '.join(PLATFORMS)}")
        self.name = name
        super().__init__(vendor, f"platform:{name}")

    def __repr__(self) -> str:
        """As it is written in a configuration."""
        return f"Platform({self.name!r})"


class HeaderMap(Reading):
    """The headers of an edge that `Platform` does not know; asked of trusted peers.

    Name what it sends: `HeaderMap("contentstack", country="Visitor-IP-Country")`. Unknown values
    are understood as those of the platforms are.
    """

    __slots__ = ("_named",)

    def __init__(
        self,
        name: str,
        *,
        country: str = "",
        subdivision: str = "",
        zone: str = "",
        latitude: str = "",
        longitude: str = "",
        pair: str = "",
        region: str = "",
    ) -> None:
        """Name the edge, and the headers that it sends; each may be left out.

        Args:
            name: 1 to 32 of `a-z`, `0-9`, `_` and `-`; claims say that they come from it.
            country: holds an ISO 3166-1 code of two letters.
            subdivision: holds an ISO 3166-2 code, with the country or without.
            zone: holds the name of a time zone.
            latitude: holds decimal degrees; together with `longitude`.
            longitude: holds decimal degrees.
            pair: holds latitude and longitude, separated by a comma, in place of those two.
            region: holds the name of one of your regions.

        Raises:
            ConfigurationError: naming the argument that is no field name without underscores (see
                `Header`), or what is missing.
        """
        given = {
            "country": country, "subdivision": subdivision, "zone": zone, "latitude": latitude,
            "longitude": longitude, "pair": pair, "region": region,
        }  # fmt: skip
        NAME.check("HeaderMap: name", name)
        for argument, header in given.items():
            TEXT.check(f"HeaderMap: {argument}", header)
            if header and (not is_token(header) or "_" in header):
                raise ConfigurationError(
                    f"HeaderMap: {argument} {header!r} is not a field name without underscores"
                )
        if bool(latitude) != bool(longitude) or (pair and latitude):
            raise ConfigurationError(
                "HeaderMap: latitude and longitude go together, and not with a pair"
            )
        if not (country or zone or latitude or pair or region):
            raise ConfigurationError(
                "HeaderMap: a country, zone, latitude, pair or region is needed"
            )
        self._named = {argument: header for argument, header in given.items() if header}
        vendor = Vendor(
            checked="", documentation="", country=country, subdivision=subdivision, zone=zone,
            latitude=latitude, longitude=longitude, pair=pair, region=region,
        )  # fmt: skip
        super().__init__(vendor, f"headers:{name}")

    def __repr__(self) -> str:
        """As it is written in a configuration."""
        words = "".join(f", {argument}={header!r}" for argument, header in self._named.items())
        return f"HeaderMap({self._source.partition(':')[2]!r}{words})"
