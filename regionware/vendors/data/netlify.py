"""Netlify."""

from typing import Final

from regionware.vendors.data.alphabets import USUAL
from regionware.vendors.model import Statement, TagField, Vendor

_CACHING: Final = "docs.netlify.com/build/caching/caching-overview"

VENDOR: Final = Vendor(
    name="netlify",
    title="Netlify",
    reads=("Netlify-CDN-Cache-Control", "CDN-Cache-Control", "Cache-Control"),
    targeted="Netlify-CDN-Cache-Control",
    stale=("stale-while-revalidate",),
    tags=TagField(
        name="Netlify-Cache-Tag", separator=",", marks=USUAL, longest=1024, total=8192, count=500
    ),
    variance="values",
    variance_field="X-Nf-Geo",
    strips=("Netlify-CDN-Cache-Control",),
    purges=("tag", "everything"),
    statements=(
        Statement(
            "lifetime",
            "Netlify-CDN-Cache-Control, then CDN-Cache-Control, then Cache-Control.",
            _CACHING,
        ),
        Statement("stale windows", "stale-while-revalidate is obeyed.", _CACHING),
        Statement(
            "stale windows", "stale-if-error is not documented: assumed ignored.", _CACHING,
            "unverified",
        ),
        Statement(
            "variants",
            "Vary and Netlify-Vary, which lists values; it must be the same on every answer of a "
            "URL.",
            _CACHING,
        ),
        Statement(
            "cookies", "An answer with Set-Cookie is cached as it is: it must be private.",
            _CACHING, "unverified",
        ),
        Statement(
            "tags",
            "Netlify-Cache-Tag, or Cache-Tag. Tagged answers survive a deploy: purge at a release.",
            _CACHING,
        ),
        Statement(
            "tags", "500 tags of an answer and 1,024 characters of each; 8,192 octets in total.",
            _CACHING, "unverified",
        ),
        Statement("strips", "Netlify-CDN-Cache-Control.", _CACHING),
        Statement(
            "region",
            "Netlify-Vary: country=de+fr|us has a variant for each group of countries, and one "
            "for all the others.",
            _CACHING,
        ),
        Statement("purge", "By tags, or a whole site.", "docs.netlify.com, purge by cache tag",
                  "unverified"),
    ),
)  # fmt: skip
