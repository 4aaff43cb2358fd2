"""Akamai."""

from typing import Final

from regionware.vendors.data.alphabets import AKAMAI
from regionware.vendors.model import Statement, TagField, Vendor

_DOCS: Final = "techdocs.akamai.com"

VENDOR: Final = Vendor(
    name="akamai",
    title="Akamai",
    reads=("Edge-Control", "Cache-Control"),
    targeted="Edge-Control",
    form="edge-control",
    tags=TagField(
        name="Edge-Cache-Tag", separator=",", marks=AKAMAI, longest=128, total=8192, count=128
    ),
    variance="configured",
    variance_field="X-Akamai-Edgescape",
    strips=("Edge-Control", "Edge-Cache-Tag"),
    purges=("tag", "url", "soft"),
    statements=(
        Statement(
            "lifetime",
            "Edge-Control: cache-maxage for the edge, downstream-ttl for what follows.",
            f"{_DOCS}/property-mgr/docs/caching-2",
            "unverified",
        ),
        Statement(
            "lifetime",
            "The property must honor the origin's Cache-Control and Expires, s-maxage included.",
            f"{_DOCS}/property-mgr/docs/caching-2",
        ),
        Statement(
            "lifetime", "CDN-Cache-Control is not in the property documentation: assumed ignored.",
            f"{_DOCS}/property-mgr/docs/caching-2", "unverified",
        ),
        Statement(
            "stale windows", "Not taken from the origin; prefreshing is a setting of the property.",
            f"{_DOCS}/property-mgr/docs/cache-prefresh-refresh",
        ),
        Statement(
            "variants",
            'An answer with Vary may not be cached at all; the behavior "Remove Vary Header" '
            "ignores it.",
            f"{_DOCS}/property-mgr/docs/rm-vary-header",
        ),
        Statement(
            "cookies", "Removed from what is cached, by the property.",
            f"{_DOCS}/property-mgr/docs/caching-2", "unverified",
        ),
        Statement(
            "tags",
            "One field line: only the first counts. 128 tags of at most 128 characters, letters, "
            "digits and !#$%'+./^_`|~- (no colon: such tags are hashed); case counts.",
            f"{_DOCS}/purge-cache/docs/assign-cache-tags",
        ),
        Statement(
            "tags", "A 304 does not change the tags of what is cached.",
            f"{_DOCS}/purge-cache/docs/assign-cache-tags",
        ),
        Statement(
            "tags", "8,192 octets of the field, as others have observed.",
            "drupal.org, Akamai module", "unverified",
        ),
        Statement(
            "strips", "Edge-Control and Edge-Cache-Tag do not reach clients.",
            f"{_DOCS}/purge-cache/docs/assign-cache-tags",
        ),
        Statement(
            "region",
            "The behaviors Content Targeting and Cache ID Modification put a region into the key.",
            f"{_DOCS}/property-mgr/docs/content-tgting",
        ),
        Statement(
            "purge", "A body of at most 50,000 octets; invalidate is soft, delete is hard.",
            f"{_DOCS}/purge-cache/reference",
        ),
    ),
)  # fmt: skip
