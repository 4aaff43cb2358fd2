"""One region: what it is called, where it is, and what stands there.

Checked when it is made. No message and no `repr` ever shows a URL: URLs hold passwords.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn
from urllib.parse import SplitResult, urlsplit

from regionware.errors import ConfigurationError
from regionware.redis_url import read_redis_url

#: Latitude and longitude in degrees.
Point = tuple[float, float]

POSTGRES: Final = ("postgresql://", "postgres://")

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


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
    """

    name: str
    primary: bool = field(default=False, kw_only=True)
    location: Point | None = field(default=None, kw_only=True)
    database: str | None = field(default=None, kw_only=True, repr=False)
    replicas: Sequence[str] = field(default=(), kw_only=True, repr=False)
    redis: str | None = field(default=None, kw_only=True, repr=False)
    url: str | None = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: an attribute is malformed; the message names region and attribute.
        """
        if not _NAME.fullmatch(_text(self.name)):
            raise ConfigurationError(
                f"Region: a name is 1 to 32 of a-z, 0-9, _ and -, beginning with a letter or "
                f"digit, not {self.name!r}"
            )
        if isinstance(self.replicas, str):
            self._refuse("replicas", "must be a list of URLs, not one text")
        object.__setattr__(self, "replicas", tuple(self.replicas))
        if self.location is not None:
            object.__setattr__(self, "location", self._point())
        self._check_urls()

    def _check_urls(self) -> None:
        if self.database is not None:
            self._check_database("database", self.database)
        for number, replica in enumerate(self.replicas, 1):
            self._check_database(f"replica {number}", replica)
        if self.redis is not None:
            self._check_redis(self.redis)
        if self.url is not None:
            self._check_url(self.url)

    def _point(self) -> Point:
        try:
            # A text of two digits would pass for two numbers.
            degrees = () if _text(self.location) else self.location or ()
            latitude, longitude = (float(number) for number in degrees)
        except (TypeError, ValueError):
            self._refuse("location", "must be two numbers, (latitude, longitude)")
        if not valid(latitude, longitude):
            self._refuse("location", "is not on Earth: latitude -90 to 90, longitude -180 to 180")
        return latitude, longitude

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


def valid(latitude: float, longitude: float) -> bool:
    """Whether this is a point on Earth, in degrees; false for anything that is not finite."""
    return -90 <= latitude <= 90 and -180 <= longitude <= 180


def _text(value: object) -> str:
    """The value, or an empty text, which no check accepts, where it is something else."""
    return value if isinstance(value, str) else ""
