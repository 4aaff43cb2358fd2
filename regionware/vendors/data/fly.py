"""Fly.io."""

from typing import Final

from regionware.vendors.model import Statement, Vendor

VENDOR: Final = Vendor(
    name="fly",
    title="Fly.io",
    reads=(),
    caches=False,
    statements=(
        Statement(
            "lifetime",
            "The proxy of Fly.io routes requests; it keeps no responses. Only browsers, and a CDN "
            "that you put in front, do: name that CDN as the vendor.",
            "github.com/superfly/docs, networking",
            "source",
        ),
        Statement(
            "lifetime", "What a cached fly-replay keeps is a routing decision, no response.",
            "github.com/superfly/docs, networking/dynamic-request-routing", "source",
        ),
        Statement(
            "region", "Nothing is kept, so nothing can leak between regions.",
            "github.com/superfly/docs, networking", "source",
        ),
    ),
)  # fmt: skip
