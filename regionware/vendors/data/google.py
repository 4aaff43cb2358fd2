"""Google Cloud CDN."""

from typing import Final

from regionware.vendors.data.alphabets import USUAL
from regionware.vendors.model import Statement, TagField, Vendor

_DOCS: Final = "cloud.google.com/cdn/docs"

VENDOR: Final = Vendor(
    name="google",
    title="Google Cloud CDN",
    reads=("Cache-Control",),
    unsaid=("stale-while-revalidate",),
    tags=TagField(
        name="Cache-Tag", separator=",", marks=USUAL, longest=120, total=4096, count=50
    ),
    purges=("tag", "url", "prefix", "host", "everything"),
    statements=(
        Statement(
            "lifetime",
            "Cache-Control, in the cache modes CACHE_ALL_STATIC and USE_ORIGIN_HEADERS. "
            "FORCE_CACHE_ALL ignores private and no-store: never use it.",
            f"{_DOCS}/caching",
        ),
        Statement(
            "stale windows",
            "stale-while-revalidate is obeyed in Cache-Control. Where it is absent, "
            "serveWhileStale of the backend counts, a day by default: zero is said explicitly.",
            f"{_DOCS}/serving-stale-content",
        ),
        Statement("stale windows", "stale-if-error is not supported.",
                  f"{_DOCS}/serving-stale-content"),
        Statement(
            "variants",
            "Only Accept, Accept-Encoding, Origin and Access-Control-Request-* in Vary; any other "
            "name makes an answer uncacheable.",
            f"{_DOCS}/caching", "unverified",
        ),
        Statement("cookies", "An answer with Set-Cookie is not cached.", f"{_DOCS}/caching",
                  "unverified"),
        Statement("tags", "Separated by commas; 10 of them in an invalidation.",
                  f"{_DOCS}/cache-invalidation-overview"),
        Statement("tags", "50 tags of at most 120 octets.", f"{_DOCS}/caching", "unverified"),
        Statement("strips", "Nothing of ours.", f"{_DOCS}/caching", "unverified"),
        Statement(
            "region",
            "A cache key can include a request header of the client, but custom headers are "
            "added behind the cache: it cannot be done.",
            f"{_DOCS}/caching", "unverified",
        ),
        Statement("purge", "500 requests a minute, about 10 seconds; there is no soft purge.",
                  f"{_DOCS}/cache-invalidation-overview"),
    ),
)  # fmt: skip
