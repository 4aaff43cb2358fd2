"""Everything that regionware knows about the catalogue; the only place where its policies stand.

Two regions: `iad` has the primary database, `fra` a replica, each has its own Redis. What stands
where comes from the environment (`Topology.from_env`), since each region reaches the other one
over a distance.
"""

from collections.abc import Mapping

from regionware import Regionware, Topology
from regionware.adapters.edges import Varnish
from regionware.policies import Cache, Cdn, Database, Route

NEAR, FAR = "iad", "fra"

#: Seconds for which a product may be kept: its purges make it fresh.
PRODUCT_TTL = 300.0
#: Seconds for which the list may be kept: nothing purges it when a price changes.
LIST_TTL = 1.0
#: Seconds for which a tenant's configuration may be kept, here and at the edge; and for which it
#: may then still be answered while one request refreshes it.
CONFIG_TTL = 2.0
CONFIG_STALE = 2.0
#: Seconds for which an edge that purges reach may keep a tenant's configuration.
EDGE_TTL = 60.0
#: Seconds that a replica may lag for a bounded read.
MAX_LAG = 2.0


def routes(*, edge: bool = False) -> list[Route]:
    """What may be kept, what may be read from a replica, and what may not.

    Args:
        edge: a Varnish stands in front, which purges reach: it may keep more, and for longer.
    """
    kept = Cdn(max_age=int(CONFIG_TTL))
    if edge:
        kept = Cdn(max_age=int(CONFIG_TTL), shared_max_age=EDGE_TTL, vendor="varnish")
    return [
        Route("/static/{path:path}", cdn=Cdn.immutable()),
        Route(
            "/tenants/{tenant}/config",
            cache=Cache(
                ttl=CONFIG_TTL,
                stale_while_revalidate=CONFIG_STALE,
                tags=["tenant:{tenant}"],
                cookies="ignore",
                consistency="eventual",
            ),
            cdn=kept,
            database=Database.replica(max_lag=MAX_LAG),
        ),
        Route(
            "/products",
            cache=Cache(ttl=LIST_TTL, tags=["products"], cookies="ignore"),
            database=Database.replica(max_lag=MAX_LAG),
        ),
        Route(
            "/products/{id}",
            cache=Cache(ttl=PRODUCT_TTL, tags=["product:{id}"], cookies="ignore"),
        ),
        Route("/products/{id}/stock", cdn=Cdn.no_store(), database=Database.session()),
        Route("/me", cdn=Cdn.private(), database=Database.session()),
        Route("/login", database=Database.primary()),
        Route("/report", cdn=Cdn.no_store(), database=Database.replica(max_lag=MAX_LAG)),
    ]


def unprotected_routes() -> list[Route]:
    """The same lifetimes and no guarantee: a cache and a replica that nothing joins."""
    eventual = {"/products": LIST_TTL, "/products/{id}": PRODUCT_TTL}
    anywhere = Database.replica(max_lag=300)
    return [
        *(
            Route(
                path,
                cache=Cache(ttl=ttl, cookies="ignore", consistency="eventual"),
                database=anywhere,
            )
            for path, ttl in eventual.items()
        ),
        Route("/products/{id}/stock", cdn=Cdn.no_store(), database=anywhere),
        *(route for route in routes() if route.path not in {*eventual, "/products/{id}/stock"}),
    ]


def middleware(environ: Mapping[str, str]) -> Regionware:
    """Regionware for the catalogue, configured by the environment.

    Args:
        environ: what `Topology.from_env` reads, and `REGIONWARE_SECRET`. `DEMO_UNPROTECTED` takes
            every guarantee away; `DEMO_EDGE` is the URL of a Varnish in front, on this machine.
    """
    unprotected, edge = bool(environ.get("DEMO_UNPROTECTED")), environ.get("DEMO_EDGE")
    return Regionware(
        topology=Topology.from_env(environ),
        secret=environ["REGIONWARE_SECRET"],
        routes=unprotected_routes() if unprotected else routes(edge=bool(edge)),
        edges=[Varnish(edge)] if edge else [],
        trusted=["127.0.0.1/32"] if edge else [],
    )
