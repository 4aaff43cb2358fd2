"""Routes, compiled at start; a request finds the first that matches."""

import re
from collections.abc import Mapping, Sequence
from string import Formatter

from starlette.routing import compile_path

from regionware.errors import ConfigurationError
from regionware.http.content import is_static
from regionware.http.hosts import name_of
from regionware.policies.database import Access, Database
from regionware.policies.route import SAFE, Route

_MEMO = 8192
#: Characters; what is longer is not worth the memory of a memo.
_LONG = 512

# Values that between them fit every convertor of Starlette; used to see whether an earlier
# route takes everything that a later one could match.
_SAMPLES = {
    "str": ("7", "a-b~c", "x.css"),
    "path": ("", "7", "a-b~c/d", "x.css"),
    "int": ("7",),
    "float": ("7.5", "7"),
    "uuid": ("123e4567-e89b-12d3-a456-426614174000",),
}


class Compiled:
    """One route, with what a look-up needs.

    Attributes:
        route: the declaration.
        index: the place in the list; -1 for requests that match no route.
        name: the template.
        database: the policy, defaulted.
        by_name: it takes whatever is named like a static file, or whatever there is: a parameter
            over several segments, or a static file's extension behind a parameter.
    """

    __slots__ = (
        "by_name", "database", "hosts", "index", "methods", "name", "params", "pattern", "route",
    )  # fmt: skip

    def __init__(self, route: Route, index: int) -> None:
        """Compile the template.

        Raises:
            ConfigurationError: the template is not one of Starlette's.
        """
        try:
            found, _, convertors = compile_path(route.path)
            # A line break in a path must not let a request slip past its route.
            pattern = re.compile(found.pattern.removesuffix("$") + r"\Z", found.flags | re.DOTALL)
        except (AssertionError, ValueError, re.error) as error:
            raise route.refuse(str(error)) from error
        self.route = route
        self.index = index
        self.name = route.path if index >= 0 else ""
        self.pattern = pattern
        self.params = {
            name: type(c).__name__.removesuffix("Convertor").lower()
            for name, c in convertors.items()
        }
        self.by_name = "path" in self.params.values() or (
            bool(self.params) and is_static(route.path.rpartition("}")[2])
        )
        self.database = route.database or Database.session()
        self.methods = None if route.methods is None else frozenset(route.methods)
        self.hosts = None if route.hosts is None else frozenset(h.lower() for h in route.hosts)

    def matches(self, method: str, host: str, path: str) -> bool:
        """Whether a request belongs here."""
        if self.methods is not None and method not in self.methods:
            return False
        if self.hosts is not None and name_of(host) not in self.hosts:
            return False
        return self.pattern.match(path) is not None

    def arguments(self, path: str) -> Mapping[str, str]:
        """The path's parameters as text."""
        found = self.pattern.match(path)
        return {} if found is None else found.groupdict()

    def access(self, method: str) -> Access:
        """What the route, or else the method, says about the database."""
        return self.route.access or ("read" if method in SAFE else "write")

    def covers(self, other: "Compiled") -> bool:
        """Whether no request can reach `other` past this route."""
        return (
            (self.methods is None or (other.methods is not None and other.methods <= self.methods))
            and (self.hosts is None or (other.hosts is not None and other.hosts <= self.hosts))
            and all(self.pattern.match(path) for path in other.samples())
        )

    def samples(self) -> list[str]:
        """Some paths that match the template."""
        paths = [self.route.path]
        for name, kind in self.params.items():
            hole = re.compile(r"\{" + name + r"(?::[a-z]+)?\}")
            values = _SAMPLES.get(kind.replace("string", "str").replace("integer", "int"), ("7",))
            paths = [hole.sub(value, path) for path in paths for value in values]
        return paths


class Table:
    """The compiled routes in order."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """Compile every route.

        Raises:
            ConfigurationError: a template is wrong, or no request can reach a route.
        """
        self.routes = [Compiled(route, index) for index, route in enumerate(routes)]
        self.fallback = Compiled(Route("/{path:path}"), -1)
        self._by_host = any(route.hosts is not None for route in routes)
        #: Where the path alone decides, it is its own key: one object less for each that is known.
        self._by_path = not self._by_host and all(route.methods is None for route in routes)
        self._memo: dict[str | tuple[str, str, str], Compiled] = {}
        for index, later in enumerate(self.routes):
            for earlier in self.routes[:index]:
                if earlier.covers(later):
                    raise later.route.refuse(
                        f"unreachable: {earlier.name} before it matches all of it"
                    )

    def match(self, method: str, host: str, path: str) -> Compiled:
        """The first route that matches, or the fallback without any policy."""
        asked = path if self._by_path else (method, host if self._by_host else "", path)
        found = self._memo.get(asked)
        if found is None:
            found = self._search(method, host, path)
            if len(path) + len(host) + len(method) > _LONG:
                return found
            if len(self._memo) >= _MEMO:
                self._memo.clear()
            self._memo[asked] = found
        return found

    def _search(self, method: str, host: str, path: str) -> Compiled:
        for route in self.routes:
            if route.matches(method, host, path):
                return route
        return self.fallback


def template_fields(route: Route, template: str, params: Mapping[str, object]) -> None:
    """Check that a tag template names parameters of the route's path only.

    Raises:
        ConfigurationError: naming the route, the tag and the unknown parameter.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise route.refuse(f"tag {template!r}: {error}") from error
    for _, name, spec, conversion in parts:
        if name is not None and (name not in params or spec or conversion):
            raise route.refuse(f"tag {template!r} names the unknown path parameter {name!r}")


def render(templates: Sequence[str], arguments: Mapping[str, str]) -> tuple[str, ...]:
    """Fill tag templates with a path's parameters."""
    return tuple(template.format_map(arguments) for template in templates)


def check_tags(compiled: Compiled) -> None:
    """Check the tags of a route's `Cache` and `Cdn`.

    Raises:
        ConfigurationError: see `template_fields`.
    """
    route = compiled.route
    for policy in (route.cache, route.cdn):
        for template in (policy.tags if policy is not None else None) or ():
            if not template:
                raise ConfigurationError(f"route {route.path}: a tag is empty")
            template_fields(route, template, compiled.params)
