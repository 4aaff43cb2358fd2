"""Bunny CDN."""

from typing import Final

from regionware.vendors.data.alphabets import NO_WILDCARD
from regionware.vendors.model import Statement, TagField, Vendor

_DOCS: Final = "docs.bunny.net/cdn"

VENDOR: Final = Vendor(
    name="bunny",
    title="Bunny CDN",
    reads=("Cache-Control",),
    # Long tags would fill the field: from 33 octets on they are hashed.
    tags=TagField(name="CDN-Tag", separator=",", marks=NO_WILDCARD, longest=32, total=1024),
    ignores_vary=True,
    variance="configured",
    variance_field="CDN-RequestCountryCode",
    purges=("tag", "url", "everything"),
    statements=(
        Statement("lifetime", "s-maxage, then max-age, unless the pull zone overrides them.",
                  f"{_DOCS}/cache"),
        Statement("lifetime", "Smart Cache keeps answers by their extension and media type alone.",
                  f"{_DOCS}/smart-cache"),
        Statement("stale windows", "A setting of the pull zone, not taken from the origin.",
                  f"{_DOCS}/stale-cache"),
        Statement(
            "variants",
            "Vary Cache of the pull zone: country, cookies, query parameters, device and others.",
            f"{_DOCS}/vary-cache",
        ),
        Statement("cookies", "Removed from what is cached, if the pull zone says so.",
                  f"{_DOCS}/cache", "unverified"),
        Statement("tags", "CDN-Tag, separated by commas, 1,024 octets in total; * is a wildcard.",
                  f"{_DOCS}/purge-cache"),
        Statement("region", "Vary Cache by country code.", f"{_DOCS}/vary-cache"),
        Statement("purge", "One tag in a call; there is no soft purge.", f"{_DOCS}/purge-cache"),
    ),
)  # fmt: skip
