"""`Route`: a set of requests and what holds for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from regionware.errors import ConfigurationError
from regionware.http.fields import is_token
from regionware.policies.cache import Cache
from regionware.policies.cdn import Cdn
from regionware.policies.database import Access, Database
from regionware.policies.write import Write

Mode = Literal["on", "off", "observe"]
MODES: tuple[Mode, ...] = ("on", "off", "observe")

#: RFC 9110, section 9.2.1.
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


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
        if not self.path.startswith("/"):
            raise self.refuse("a path template starts with a slash")
        for option in ("methods", "hosts"):
            value = getattr(self, option)
            if isinstance(value, str) or (value is not None and not value):
                raise self.refuse(f"{option} is a list that is not empty")
        if any(not is_token(method) or method != method.upper() for method in self.methods or ()):
            raise self.refuse("methods are upper-case tokens (RFC 9110, section 9.1)")
        if self.access not in (None, "read", "write"):
            raise self.refuse("access is read or write")
        if self.mode is not None and self.mode not in MODES:
            raise self.refuse("mode is on, off or observe")

    def refuse(self, reason: str) -> ConfigurationError:
        """An error that names this route."""
        return ConfigurationError(f"route {self.path}: {reason}")
