"""One region: what it is called, where it is, and what stands there.

Checked when it is made. No message and no `repr` ever shows a URL: URLs hold passwords.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn
from urllib.parse import SplitResult, urlsplit

from regionware.errors import ConfigurationError
from regionware.kinds import ANYTHING, BOOLEAN, TEXT, Kind, list_of, matching, maybe, number
from regionware.redis_url import read_redis_url

#: Latitude and longitude in degrees.
Point = tuple[float, float]

POSTGRES: Final = ("postgresql://", "postgres://")

#: Of a region's name.
NAME_PATTERN: Final = "[a-z0-9][a-z0-9_-]{0,31}"
NAME: Final = matching(
    NAME_PATTERN,
    "1 to 32 of a-z, 0-9, _ and -, beginning with a letter or digit",
)
_REPLICAS: Final = list_of(ANYTHING, "URLs", ordered=True)  # each is checked by itself
_ALIASES: Final = list_of(NAME, "names")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


_DEGREES: Final = number("degrees", -180, 180)


def _is_point(value: object) -> bool:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        return False
    return all(map(_DEGREES.fits, value)) and valid(*value)


_LOCATION: Final = maybe(
    Kind(
        "two numbers, (latitude, longitude), of degrees from -90 to 90 and from -180 to 180",
        _is_point,
        shown=True,
    )
)


@dataclass(frozen=True, slots=True)
class Region:
    """A named place with its Redis and its databases.

    Attributes:
        name: 1 to 32 characters of `a-z`, `0-9`, `_` and `-`, beginning with a letter or digit.
        primary: the primary database is here. A region that is alone need not say so.
        location: latitude and longitude in degrees; without it no client is nearest to here.
        database: the primary's URL or libpq keywords (`host=… dbname=…`).
        replicas: the same for each replica that stands here.
        redis: a `redis://`, `rediss://` or `unix://` URL; `redis+sentinel://host,host/master` or
            `redis+cluster://host,host` for several servers; see `regionware.redis_url`.
        url: where this region's application answers, `http://` or `https://`.
        aliases: what others call this region, such as `eu-central-1`: a platform's environment, an
            edge's header. They may hold what a name may.
    """

    name: str
    primary: bool = field(default=False, kw_only=True)
    location: Point | None = field(default=None, kw_only=True)
    database: str | None = field(default=None, kw_only=True, repr=False)
    replicas: Sequence[str] = field(default=(), kw_only=True, repr=False)
    redis: str | None = field(default=None, kw_only=True, repr=False)
    url: str | None = field(default=None, kw_only=True, repr=False)
    aliases: Sequence[str] = field(default=(), kw_only=True, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: an attribute is malformed; the message names region and attribute.
        """
        NAME.check("Region: a name", self.name)
        where = f"Region {self.name!r}:"
        BOOLEAN.check(f"{where} primary", self.primary)
        _LOCATION.check(f"{where} location", self.location)
        _REPLICAS.check(f"{where} replicas", self.replicas)
        _ALIASES.check(f"{where} aliases", self.aliases)
        object.__setattr__(self, "replicas", tuple(self.replicas))
        object.__setattr__(self, "aliases", tuple(self.aliases))
        if self.location is not None:
            latitude, longitude = self.location
            object.__setattr__(self, "location", (float(latitude), float(longitude)))
        self._check_urls()

    def _check_urls(self) -> None:
        if self.database is not None:
            self._check_database("database", self.database)
        for place, replica in enumerate(self.replicas, 1):
            self._check_database(f"replica {place}", replica)
        if self.redis is not None:
            self._check_redis(self.redis)
        if self.url is not None:
            self._check_url(self.url)

    def _check_database(self, what: str, url: str) -> None:
        if _text(url).startswith(POSTGRES):
            return
        # A libpq keyword string has no scheme; another database's URL may well contain a "=".
        if _SCHEME.match(_text(url)) or "=" not in _text(url):
            self._refuse(what, "must be a postgresql:// or postgres:// URL or libpq keywords")

    def _check_redis(self, url: str) -> None:
        try:
            read_redis_url(_text(url))
        except ValueError as error:
            # From nothing, as below.
            raise ConfigurationError(f"Region {self.name!r}: redis {error}") from None

    def _check_url(self, url: str) -> None:
        if not _text(url).startswith(("http://", "https://")):
            self._refuse("url", "must be an http:// or https:// URL")
        parts = self._split("url", url)
        if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
            self._refuse("url", "must be a host and perhaps a path: no user, query or fragment")

    def _split(self, what: str, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            # From nothing: the original message quotes a part of the URL.
            raise ConfigurationError(f"Region {self.name!r}: {what} is not a URL") from None
        return parts

    def _refuse(self, what: str, why: str) -> NoReturn:
        raise ConfigurationError(f"Region {self.name!r}: {what} {why}")


is_name: Final = re.compile(NAME_PATTERN).fullmatch


def valid(latitude: float, longitude: float) -> bool:
    """Whether this is a point on Earth, in degrees; false for anything that is not finite."""
    return -90 <= latitude <= 90 and -180 <= longitude <= 180


def _text(value: object) -> str:
    """The value, or an empty text, which no check accepts, where it is something else."""
    return value if isinstance(value, str) and TEXT.fits(value) else ""
