"""Cloudflare."""

from typing import Final

from regionware.vendors.data.alphabets import USUAL
from regionware.vendors.model import BOTH, Statement, TagField, Vendor

_DOCS: Final = "developers.cloudflare.com/cache"

VENDOR: Final = Vendor(
    name="cloudflare",
    title="Cloudflare",
    reads=("Cloudflare-CDN-Cache-Control", "CDN-Cache-Control", "Cache-Control"),
    targeted="Cloudflare-CDN-Cache-Control",
    stale=BOTH,
    tags=TagField(
        name="Cache-Tag", separator=",", marks=USUAL, longest=1024, total=16_384, count=1000,
        folds=True,
    ),
    ignores_vary=True,
    variance="configured",
    variance_field="CF-IPCountry",
    strips=("Cloudflare-CDN-Cache-Control", "Cache-Tag"),
    purges=("tag", "url", "prefix", "host", "everything"),
    statements=(
        Statement(
            "lifetime",
            "Cloudflare-CDN-Cache-Control, then CDN-Cache-Control, then Cache-Control. An Edge TTL "
            "of a cache rule beats them all.",
            f"{_DOCS}/concepts/cdn-cache-control",
        ),
        Statement(
            "lifetime",
            "A Surrogate-Control field makes it ignore Cache-Control.",
            f"{_DOCS}/concepts/cdn-cache-control",
        ),
        Statement(
            "lifetime",
            "HTML and JSON are not cached without a cache rule that makes them eligible.",
            f"{_DOCS}/concepts/default-cache-behavior",
        ),
        Statement(
            "stale windows",
            "Both are obeyed. stale-if-error is ignored beside s-maxage, must-revalidate or "
            "proxy-revalidate; both are ignored under Always Online.",
            f"{_DOCS}/concepts/cache-control",
        ),
        Statement(
            "variants",
            "Vary is ignored except for Accept-Encoding, unless a Vary rule normalizes, passes or "
            "bypasses a header; * always bypasses.",
            f"{_DOCS}/concepts/cache-control",
        ),
        Statement(
            "cookies",
            "With Origin Cache Control an answer with Set-Cookie is not cached; under a forced TTL "
            "the cookie is removed and the answer is cached.",
            f"{_DOCS}/concepts/cache-behavior",
        ),
        Statement(
            "tags",
            "16 KB in total, about 1,000 tags; printable ASCII, no space; case does not count; "
            "1,024 characters of one tag in the API.",
            f"{_DOCS}/how-to/purge-cache/purge-by-tags",
        ),
        Statement(
            "strips",
            "Cache-Tag and Cloudflare-CDN-Cache-Control do not reach clients; CDN-Cache-Control "
            "does.",
            f"{_DOCS}/concepts/cdn-cache-control",
        ),
        Statement(
            "region",
            "A custom cache key (Enterprise) can hold the visitor's country. A URL purge must then "
            "name each country, so purge by tags.",
            f"{_DOCS}/how-to/purge-cache/purge-by-single-file",
        ),
        Statement(
            "purge",
            "100 operations in a request; by the plan 5 a minute to 50 a second; there is no soft "
            "purge.",
            f"{_DOCS}/how-to/purge-cache",
        ),
    ),
)  # fmt: skip
