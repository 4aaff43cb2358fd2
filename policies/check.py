"""Promises that contradict each other, found at start."""

from regionware.errors import ConfigurationError
from regionware.policies.database import at_least
from regionware.policies.edges import check_edges
from regionware.policies.route import SAFE, Route
from regionware.policies.table import Compiled, Table, check_tags


def check(table: Table, *, secret: bool, has_database: bool, session_days: int = 30) -> None:
    """Refuse every combination that cannot be kept.

    Args:
        table: the compiled routes.
        secret: whether tokens can be signed.
        has_database: whether the topology names a database.
        session_days: the longest life of a token, in days.

    Raises:
        ConfigurationError: naming the route and the reason.
    """
    if has_database and not secret:
        raise ConfigurationError("a database is configured, so tokens are signed: give secret=...")
    for compiled in table.routes:
        check_tags(compiled)
        _check_methods(compiled)
        _check_identity(compiled.route)
        _check_edge(compiled.route)
        check_edges(compiled)
        _check_lifetime(compiled.route, session_days)
        if compiled.route.database is not None and not has_database:
            raise compiled.route.refuse("has a database policy, but the topology names no database")


def _check_methods(compiled: Compiled) -> None:
    route = compiled.route
    if (
        route.cache is not None
        and route.methods is not None
        and not {"GET", "HEAD"} & set(route.methods)
    ):
        raise route.refuse("has a cache policy, but neither GET nor HEAD: nothing could be stored")
    if route.cache is not None and route.access == "write":
        raise route.refuse('has a cache policy and access="write": a write is never cached')
    if route.access == "write" and compiled.database.consistency == "bounded":
        raise route.refuse("writes always reach the primary, so a bounded lag promises nothing")
    if (
        route.write is not None
        and route.methods is not None
        and set(route.methods) <= SAFE
        and route.access != "write"
    ):
        raise route.refuse("has a write policy, but only safe methods")


def _check_identity(route: Route) -> None:
    cache = route.cache
    if cache is None or not cache.allow_authorization or cache.shared:
        return
    if all(dimension == "region" for dimension in cache.dimensions):
        raise route.refuse("allow_authorization needs an identity in by=..., or shared=True")


def _check_edge(route: Route) -> None:
    if route.cdn is None or not route.cdn.is_public:
        return
    if route.database is not None and at_least(route.database.consistency, "own-writes"):
        raise route.refuse(
            f"a public Cdn lifetime with database reads that are {route.database.consistency}: "
            "browsers and CDNs know no sessions"
        )
    if route.cache is None:
        return
    if at_least(route.cache.consistency, "own-writes"):
        raise route.refuse(
            f"a public Cdn lifetime with consistency={route.cache.consistency!r}: browsers "
            'and CDNs know no sessions; say consistency="eventual", or keep it out of the edge'
        )
    cache = route.cache
    if set(cache.dimensions) - {"region"} or not isinstance(cache.cookies, str):
        raise route.refuse("a public Cdn lifetime with by= or named cookies: no edge keys on them")
    if cache.authorize is not None:
        raise route.refuse("a public Cdn lifetime with authorize=: the edge asks nobody")


def _check_lifetime(route: Route, days: int) -> None:
    cache = route.cache
    if cache is None or not at_least(cache.consistency, "own-writes"):
        return
    if cache.longest > days * 86_400:
        raise route.refuse(
            f"entries would outlive the sessions' tokens ({days} days): a user could lose sight of "
            'an own write; shorten ttl and stale windows, or say consistency="eventual"'
        )
