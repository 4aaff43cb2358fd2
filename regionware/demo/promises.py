"""What the judge holds each route to, derived from what the route declares.

The unprotected demonstration is held to the same promises: that is how it shows what they cost
to break.
"""

from regionware.demo import policies
from regionware.demo.checker import Promise
from regionware.policies import Route
from regionware.policies.database import at_least


def _promise(route: Route, *, purged: bool) -> Promise:
    consistency = [each.consistency for each in (route.cache, route.database) if each is not None]
    own_writes = bool(consistency) and at_least(consistency[0], "own-writes")
    return Promise(own_writes, _lifetime(route), purged)


def _lifetime(route: Route) -> float | None:
    """Seconds of every window in which a replaced version may still be answered, in a row."""
    if route.cache is None:
        return None
    lag = route.database.max_lag if route.database is not None else None
    return route.cache.ttl + route.cache.stale_while_revalidate + (lag or 0.0)


_ROUTES = {route.path: route for route in policies.routes()}

CONFIG = _promise(_ROUTES["/tenants/{tenant}/config"], purged=True)
#: Nothing purges the list when a price changes: its lifetime alone keeps it fresh.
LIST = _promise(_ROUTES["/products"], purged=False)
PRODUCT = _promise(_ROUTES["/products/{id}"], purged=True)
STOCK = _promise(_ROUTES["/products/{id}/stock"], purged=False)
ME = _promise(_ROUTES["/me"], purged=False)
