"""Azure Front Door."""

from typing import Final

from regionware.vendors.model import Statement, Vendor

_DOCS: Final = "learn.microsoft.com/azure/frontdoor/front-door-caching"

VENDOR: Final = Vendor(
    name="azure",
    title="Azure Front Door",
    reads=("Cache-Control",),
    ignores_vary=True,
    purges=("url", "prefix", "everything"),
    statements=(
        Statement(
            "lifetime",
            "s-maxage, then max-age, then Expires; private, no-cache and no-store are not cached.",
            _DOCS,
        ),
        Statement(
            "lifetime",
            "Without Cache-Control an answer is kept for one to three days: it is always said.",
            _DOCS,
        ),
        Statement(
            "stale windows",
            "stale-while-revalidate is not supported; beside s-maxage it has kept a page for days.",
            "learn.microsoft.com/answers/questions/768364, 2022-03",
        ),
        Statement("variants", "Vary is no part of the key.", _DOCS, "unverified"),
        Statement("cookies", "An answer with Set-Cookie is not cached.", _DOCS, "unverified"),
        Statement("tags", "There are none: purge by path.", _DOCS),
        Statement("region", "No header is part of the key.", _DOCS, "unverified"),
        Statement(
            "purge",
            "By path, a path with *, or everything of an endpoint; case and query do not count; up "
            "to 10 minutes.",
            "learn.microsoft.com/azure/frontdoor/standard-premium/how-to-cache-purge",
        ),
    ),
)
