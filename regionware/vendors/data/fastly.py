"""Fastly."""

from typing import Final

from regionware.vendors.data.alphabets import USUAL
from regionware.vendors.model import BOTH, Statement, TagField, Vendor

_DOCS: Final = "fastly.com/documentation"

VENDOR: Final = Vendor(
    name="fastly",
    title="Fastly",
    reads=("Surrogate-Control", "Cache-Control"),
    targeted="Surrogate-Control",
    stale=BOTH,
    tags=TagField(name="Surrogate-Key", separator=" ", marks=USUAL, longest=1024, total=16_384),
    variance="configured",
    variance_field="X-Region",
    by_country=False,
    strips=("Surrogate-Control", "Surrogate-Key"),
    purges=("tag", "url", "everything", "soft"),
    statements=(
        Statement(
            "lifetime",
            "Surrogate-Control, then s-maxage, then max-age, then Expires.",
            f"{_DOCS}/guides/concepts/edge-state/cache/cache-freshness",
        ),
        Statement(
            "lifetime", "CDN-Cache-Control is ignored.",
            "http-tests/cache-tests, run of 2025-12-29", "measured",
        ),
        Statement(
            "stale windows",
            "stale-while-revalidate is obeyed; stale-if-error too, but for a 5xx answer of the "
            "origin the VCL must deliver the stale object itself.",
            f"{_DOCS}/guides/concepts/edge-state/cache/stale",
        ),
        Statement(
            "variants", "Vary is obeyed in full; normalize the header in VCL.",
            f"{_DOCS}/reference/http/http-headers/Vary",
        ),
        Statement(
            "cookies", "The default VCL passes an answer with Set-Cookie: it is not cached.",
            "http-tests/cache-tests, run of 2025-12-29", "measured",
        ),
        Statement(
            "tags", "Separated by spaces, of the characters 0x21 to 0x7E.",
            f"{_DOCS}/reference/http/http-headers/Surrogate-Key",
        ),
        Statement(
            "tags", "1,024 octets of a key and 16,384 of the field.",
            f"{_DOCS}/reference/http/http-headers/Surrogate-Key", "unverified",
        ),
        Statement(
            "strips", "Both fields of ours, unless the request carries Fastly-Debug.",
            f"{_DOCS}/reference/http/http-headers/Fastly-Debug",
        ),
        Statement(
            "region",
            "VCL sets a request header from client.geo and adds it to the hash; behind a shield "
            "only the first pass sees the client.",
            f"{_DOCS}/reference/vcl/variables/geolocation",
        ),
        Statement(
            "purge", "256 keys in a request; soft, except for everything.",
            f"{_DOCS}/reference/api/purging",
        ),
    ),
)  # fmt: skip
