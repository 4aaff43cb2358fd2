"""The providers that come with the package: from a request to a claim, or to nothing."""

import re
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Final

from regionware.errors import ConfigurationError
from regionware.http.fields import is_token
from regionware.http.request import Request
from regionware.kinds import TEXT
from regionware.locate import decode
from regionware.locate.claim import Claim, Trust
from regionware.locate.platforms import PLATFORMS, Vendor
from regionware.region import Point

_REGION = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")

#: Characters of a `Cookie` field that are searched; browsers send at most about 4,096 a cookie.
_LONGEST_COOKIES: Final = 16_384

# Clients of one city send the same values again and again; these bound what is kept of them.
_REMEMBERED: Final = 2048
_LONGEST_REMEMBERED: Final = 512

#: A region's name, a point, a country.
_Told = tuple[str | None, Point | None, str | None]


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
        if value is None or not _REGION.fullmatch(value):
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
            rf'(?:\A|[;,])[ \t]*{re.escape(name)}=("?)({_REGION.pattern})\1[ \t]*(?:[;,]|\Z)'
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


class Platform:
    """The headers of a platform or CDN in front of the application; asked of trusted peers.

    Attributes:
        forgeable: anybody can send them, so they are asked only when the peer is trusted.
        headers: the lower-case names that it reads.
        name: the platform's.
        vendor: the headers in detail, and what must be configured at the edge.
    """

    __slots__ = ("_claims", "_names", "_read", "_source", "headers", "name", "vendor")

    forgeable: Final = True

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
        self._source = f"platform:{name}"
        self.vendor = vendor
        self.headers = vendor.headers
        self._names, self._read = _reader(vendor)
        self._claims: dict[tuple[str | None, ...], Claim | None] = {}

    def __call__(self, request: Request, /) -> Claim | None:
        """What the platform tells, `None` where that is nothing."""
        values = tuple([request.header(name) for name in self._names])
        try:
            return self._claims[values]
        except KeyError:
            claim = self._claim(self._read(*values))
        if sum(len(value or "") for value in values) <= _LONGEST_REMEMBERED:
            if len(self._claims) >= _REMEMBERED:
                self._claims.clear()
            self._claims[values] = claim
        return claim

    def _claim(self, told: _Told) -> Claim | None:
        region, place, country = told
        if region is None and place is None and country is None:
            return None
        return Claim(
            region=region,
            location=place,
            country=country,
            source=self._source,
            trust=Trust.PLATFORM,
        )

    def __repr__(self) -> str:
        """As it is written in a configuration."""
        return f"Platform({self.name!r})"


class GeoIP:
    """The client's address looked up in a database of addresses: not furnished yet."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Refuse.

        Raises:
            ConfigurationError: always; a later release furnishes it.
        """
        raise ConfigurationError(f"GeoIP({path!r}): not furnished in this version")

    def __call__(self, request: Request, /) -> Claim | None:  # pragma: no cover
        """Never called: there is no such object."""


def _reader(vendor: Vendor) -> tuple[tuple[str, ...], Callable[..., _Told]]:
    """Which headers to read, and what makes the three of their values; chosen once."""
    if vendor.packed:
        return (vendor.packed.lower(),), _packed(decode.FORMS[vendor.form])
    if vendor.region:
        return (vendor.region.lower(),), _named(vendor.places)
    if vendor.latitude:
        names = (vendor.country, vendor.latitude, vendor.longitude)
        return tuple(name.lower() for name in names), _separate
    if vendor.pair:
        return (vendor.country.lower(), vendor.pair.lower()), _paired
    return (vendor.country.lower(),), _country


def _packed(form: Callable[[str], decode.Facts]) -> Callable[[str | None], _Told]:
    def read(text: str | None) -> _Told:
        country, place = (None, None) if text is None else form(text)
        return None, place, country

    return read


def _named(places: Mapping[str, Point]) -> Callable[[str | None], _Told]:
    def read(text: str | None) -> _Told:
        if text is None or not _REGION.fullmatch(text):
            return None, None, None
        return text, places.get(text), None

    return read


def _separate(country: str | None, latitude: str | None, longitude: str | None) -> _Told:
    return None, decode.point(latitude, longitude), decode.country(country)


def _paired(country: str | None, pair: str | None) -> _Told:
    return None, decode.pair(pair), decode.country(country)


def _country(country: str | None) -> _Told:
    return None, None, decode.country(country)
