"""Vercel."""

from typing import Final

from regionware.vendors.data.alphabets import USUAL
from regionware.vendors.model import Statement, TagField, Vendor

VENDOR: Final = Vendor(
    name="vercel",
    title="Vercel",
    reads=("Vercel-CDN-Cache-Control", "CDN-Cache-Control", "Cache-Control"),
    targeted="Vercel-CDN-Cache-Control",
    stale=("stale-while-revalidate",),
    tags=TagField(
        name="Vercel-Cache-Tag", separator=",", marks=USUAL, longest=256, total=8192, count=128
    ),
    variance="vary",
    variance_field="X-Vercel-IP-Country",
    strips=("Vercel-CDN-Cache-Control", "Vercel-Cache-Tag"),
    purges=("tag", "soft"),
    statements=(
        Statement(
            "lifetime",
            "Vercel-CDN-Cache-Control, then CDN-Cache-Control, then s-maxage of Cache-Control, "
            "which is consumed; from one second to one year.",
            "vercel.com/docs/headers/cache-control-headers",
        ),
        Statement(
            "stale windows",
            "stale-while-revalidate is obeyed; stale-if-error, must-revalidate and "
            "proxy-revalidate are ignored in silence.",
            "vercel.com/docs/headers/cache-control-headers",
        ),
        Statement(
            "variants",
            "Vary is obeyed; with Cookie, or another header of many values, nothing is stored "
            "(vary_key_denied).",
            "vercel.com/changelog/vary-cookie-responses-no-longer-cached",
        ),
        Statement(
            "cookies", "An answer with Set-Cookie is not cached.",
            "vercel.com/docs/edge-cache", "unverified",
        ),
        Statement(
            "tags",
            "256 characters of a tag in the API. A plain Cache-Tag is not read, and reaches "
            "clients.",
            "vercel.com/docs/rest-api, invalidate by tags",
        ),
        Statement(
            "tags", "128 tags of an answer, and 8,192 octets.",
            "vercel.com/docs/edge-cache", "unverified",
        ),
        Statement(
            "strips", "Both fields of ours.", "vercel.com/docs/headers/cache-control-headers",
        ),
        Statement(
            "region",
            "Vary: X-Vercel-IP-Country makes a variant for each country: right only where the "
            "country alone decides the region.",
            "vercel.com/docs/headers/request-headers",
        ),
        Statement("purge", "By tags; soft unless it is called dangerous.",
                  "vercel.com/docs/rest-api, invalidate by tags"),
    ),
)  # fmt: skip
