"""`Cache`: what regionware itself may keep, in memory and in the region's Redis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Self

from regionware.errors import ConfigurationError
from regionware.http.fields import is_token
from regionware.http.request import Request
from regionware.http.search import SearchRules
from regionware.kinds import (
    BOOLEAN,
    FUNCTION,
    TEXT,
    Kind,
    any_of,
    check_all,
    list_of,
    maybe,
    number,
    one_of,
    whole,
)
from regionware.policies.database import SCALE, Consistency

#: A further key dimension: `"region"`, a header field's name, or a function of the request.
Dimension = str | Callable[[Request], str]

#: Statuses stored by default: final answers that are heuristically cacheable
#: (RFC 9110, section 15.1), without 206 and 5xx.
STATUSES = (200, 203, 204, 300, 301, 308, 404, 405, 410, 414)

#: Fields that must never become key dimensions by name: they are credentials or connection data.
_NEVER = frozenset({"cookie", "set-cookie", "connection", "transfer-encoding", "content-length"})

YEAR = 31_536_000
_JITTER = 0.5

#: Seconds for which an answer with a validator is kept once it is stale: to be validated, or for a
#: client that accepts stale answers (RFC 9111, section 5.2.1.2).
KEPT = 3600

#: Fields that may be on a target list (RFC 9213, section 2.2).
TARGETS = ("cdn-cache-control", "regionware-cache-control")
WEEK = 604_800

_NAMES: Final = list_of(TEXT, "names")
_BY: Final = any_of("a name or a function of the request", TEXT, FUNCTION)
_WINDOW: Final = number("seconds", 0, YEAR)

_KINDS: Final[dict[str, Kind]] = {
    "stale_while_revalidate": _WINDOW,
    "stale_if_error": _WINDOW,
    "jitter": number("", 0, _JITTER),
    "tags": list_of(TEXT, "tags"),
    "vary": _NAMES,
    "query": any_of("a list of names, a No-Vary-Search value, or None", maybe(TEXT), _NAMES),
    "ignore_query": list_of(TEXT, "patterns"),
    "cookies": any_of('"bypass", "ignore" or a list of names', one_of("bypass", "ignore"), _NAMES),
    "by": any_of(
        "a name, a function of the request, or a list of these",
        _BY,
        list_of(_BY, "these", ordered=True),
    ),
    "statuses": list_of(whole("", 200, 599), "final statuses"),
    "consistency": one_of(*SCALE),
    "allow_authorization": BOOLEAN,
    "shared": BOOLEAN,
    "authorize": maybe(FUNCTION),
    "allow_set_cookie": _NAMES,
    "override": BOOLEAN,
    "targets": _NAMES,
    "compress": BOOLEAN,
    "is_standard": BOOLEAN,
}
_TTL: Final = number("seconds", 0, YEAR, above=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """What may be stored for a route, for how long, and for whom.

    `ttl` speaks where the application is silent: its own header fields may always shorten a
    lifetime or forbid storage. GET and HEAD only.

    Attributes:
        ttl: seconds an entry stays fresh, in (0, 31,536,000].
        stale_while_revalidate: further seconds in which it may be served while one request
            refreshes it (RFC 5861, section 3).
        stale_if_error: further seconds in which it may be served when the application fails
            (RFC 5861, section 4).
        jitter: the largest share, in 0..0.5, by which the lifetime of an entry is shortened, at
            random and once: entries that are made at the same time do not all end at the same time.
        tags: literal tags, or templates over the path's parameters such as `product:{id}`.
        vary: request header fields that select a variant; they are added to `Vary`.
        query: the only query parameters that count; the others are removed. `None` for all. A text
            is a `No-Vary-Search` value: `'key-order, params=("utm_source")'`.
        ignore_query: patterns such as `utm_*` of parameters that are removed.
        cookies: `"bypass"` (a request with any undeclared cookie is not cached), `"ignore"`
            (cookies are removed from the request), or the names of cookies to key on.
        by: further key dimensions: `"region"`, a header field's name, a callable, or a list.
        statuses: the statuses that may be stored.
        consistency: `"session"`, `"own-writes"`, `"bounded"` or `"eventual"`.
        allow_authorization: cache requests with `Authorization`; needs an identity in `by`, or
            `shared=True`.
        shared: the explicit word that an answer to an authorised request is for everybody.
        authorize: asked on every hit; a false answer sends the request to the application.
        allow_set_cookie: names of cookies whose `Set-Cookie` does not prevent storage.
        override: the explicit word that `ttl` may exceed what the application's fields say.
        targets: the targeted fields that are meant for this cache, the most applicable first
            (RFC 9213, section 2.2): `CDN-Cache-Control`, `Regionware-Cache-Control`.
        compress: clients that accept it are sent a zstd form of stored text; needs the extra `zstd`
            before Python 3.14.
        is_standard: by the book; see `standard`.
    """

    ttl: float
    stale_while_revalidate: float = 0
    stale_if_error: float = 0
    jitter: float = 0
    tags: Sequence[str] = ()
    vary: Sequence[str] = ()
    query: Sequence[str] | str | None = None
    ignore_query: Sequence[str] = ()
    cookies: Literal["bypass", "ignore"] | Sequence[str] = "bypass"
    by: Dimension | Sequence[Dimension] = ()
    statuses: Sequence[int] = STATUSES
    consistency: Consistency = "own-writes"
    allow_authorization: bool = False
    shared: bool = False
    authorize: Callable[[Request], bool] | None = None
    allow_set_cookie: Sequence[str] = ()
    override: bool = False
    targets: Sequence[str] = ()
    compress: bool = False
    is_standard: bool = False
    search: SearchRules | None = field(init=False, repr=False, compare=False)
    dimensions: tuple[Dimension, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: a value is outside its range, or contradicts another.
        """
        check_all("Cache: ", self, _KINDS)
        _TTL.check("Cache.standard(): limit" if self.is_standard else "Cache: ttl", self.ttl)
        by = (self.by,) if isinstance(self.by, str) or callable(self.by) else tuple(self.by)
        object.__setattr__(self, "dimensions", by)
        object.__setattr__(self, "search", self._search_rules())
        object.__setattr__(self, "targets", tuple(name.lower() for name in self.targets))
        self._check_names()
        self._check_promises()

    def _check_names(self) -> None:
        if set(self.targets) - set(TARGETS):
            raise ConfigurationError(f"Cache: targets can be {' and '.join(TARGETS)}")
        if {206, 304} & set(self.statuses):
            raise ConfigurationError("Cache: statuses are final statuses except 206 and 304")
        if "*" in self.vary:
            raise ConfigurationError('Cache: vary=["*"] could never be a hit')
        fields = [*self.vary, *(d for d in self.dimensions if isinstance(d, str))]
        for name in fields:
            if not is_token(name) or name.lower() in _NEVER:
                raise ConfigurationError(f"Cache: {name!r} cannot be a key dimension")

    def _check_promises(self) -> None:
        if self.is_standard and self.compress:
            raise ConfigurationError(
                "Cache.standard(): compress: by the book nothing is transformed on its way"
            )
        if self.is_standard and self.jitter:
            raise ConfigurationError("Cache: jitter is not for a cache by the book")
        if self.consistency == "session" and self.is_standard:
            raise ConfigurationError(
                'Cache.standard(): consistency="session": by the book responses are left alone, '
                "and a session is told what it has seen"
            )
        if self.consistency == "strong":
            raise ConfigurationError(
                f"Cache: consistency must be one of {', '.join(SCALE[1:])}, not "
                f"{self.consistency!r}: a strong read is never answered from a cache"
            )

    def _search_rules(self) -> SearchRules | None:
        if not isinstance(self.query, str):
            return None if self.query is None else SearchRules.of_names(self.query)
        try:
            return SearchRules.parse(self.query)
        except ValueError as error:
            raise ConfigurationError(
                f"Cache: query is a list of names, or a No-Vary-Search value: {error}"
            ) from error

    @property
    def longest(self) -> float:
        """Seconds after which nobody is answered from an entry any more, whatever happens."""
        if self.is_standard:
            return 2 * self.ttl + KEPT
        return self.ttl + max(self.stale_while_revalidate, self.stale_if_error, KEPT)

    @classmethod
    def standard(
        cls,
        *,
        limit: float = WEEK,
        consistency: Consistency = "own-writes",
        tags: Sequence[str] = (),
        targets: Sequence[str] = ("CDN-Cache-Control",),
    ) -> Self:
        """A shared HTTP cache by the book (RFC 9111): the application's own fields decide.

        The request is left as it is. A response with `Set-Cookie` is stored, with that field, if
        it has an explicit lifetime or is `public` (RFC 9111, section 7.3).

        Args:
            limit: the longest lifetime, in seconds from arrival, in (0, 31,536,000].
            consistency: `"own-writes"`, `"bounded"` or `"eventual"`.
            tags: as above.
            targets: as above.

        Raises:
            ConfigurationError: a value is outside its range.
        """
        return cls(ttl=limit, consistency=consistency, tags=tags, targets=targets, is_standard=True)
