"""`Route`: a set of requests and what holds for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from regionware.errors import ConfigurationError
from regionware.http.fields import is_token
from regionware.kinds import TEXT, Kind, check_all, instance, list_of, maybe, one_of
from regionware.policies.cache import Cache
from regionware.policies.cdn import Cdn
from regionware.policies.database import Access, Database
from regionware.policies.write import Write

Mode = Literal["on", "off", "observe"]
MODES: tuple[Mode, ...] = ("on", "off", "observe")

#: RFC 9110, section 9.2.1.
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

_KINDS: Final[dict[str, Kind]] = {
    "methods": maybe(list_of(TEXT, "methods", least=1)),
    "hosts": maybe(list_of(TEXT, "hosts", least=1)),
    "access": maybe(one_of("read", "write")),
    "mode": maybe(one_of(*MODES)),
    "cache": maybe(instance(Cache)),
    "cdn": maybe(instance(Cdn)),
    "database": maybe(instance(Database)),
    "write": maybe(instance(Write)),
}


@dataclass(frozen=True, slots=True)
class Route:
    """Requests that match a path template, and their policies. The first matching route wins.

    Attributes:
        path: Starlette's template: `/products/{id}`, `/files/{name:path}`, `/{name:path}.css`.
        methods: the methods it holds for; `None` for all.
        hosts: the hosts it holds for, without port; `None` for all.
        access: `"read"` for an unsafe method that only reads, `"write"` for a safe one that writes.
        mode: overrides the mode of the whole for this route.
        cache: what regionware may keep; `None` for nothing.
        cdn: what browsers and edges may keep; `None` leaves the application's fields.
        database: where reads go; `None` for `Database.session()`.
        write: how writes travel.
    """

    path: str
    methods: Sequence[str] | None = None
    hosts: Sequence[str] | None = None
    access: Access | None = None
    mode: Mode | None = None
    cache: Cache | None = None
    cdn: Cdn | None = None
    database: Database | None = None
    write: Write | None = None

    def __post_init__(self) -> None:
        """Refuse what no request can match.

        Raises:
            ConfigurationError: naming the route and the reason.
        """
        TEXT.check("Route: path", self.path)
        if not self.path.startswith("/"):
            raise self.refuse("a path template starts with a slash")
        check_all(f"route {self.path}: ", self, _KINDS)
        if any(not is_token(method) or method != method.upper() for method in self.methods or ()):
            raise self.refuse("methods are upper-case tokens (RFC 9110, section 9.1)")

    def refuse(self, reason: str) -> ConfigurationError:
        """An error that names this route."""
        return ConfigurationError(f"route {self.path}: {reason}")
