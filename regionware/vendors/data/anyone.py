"""Fields that any CDN may read, and that hurt none."""

from typing import Final

from regionware.vendors.data.alphabets import NO_WILDCARD
from regionware.vendors.model import BOTH, Statement, TagField, Vendor

VENDOR: Final = Vendor(
    name="",
    title="any CDN",
    reads=("CDN-Cache-Control", "Cache-Control"),
    targeted="CDN-Cache-Control",
    stale=BOTH,
    # The smallest limits of all vendors, since it is not known who reads this: what this field
    # carries as it is, every vendor that reads it does too.
    tags=TagField(name="Cache-Tag", separator=",", marks=NO_WILDCARD, longest=120, total=1024),
    statements=(
        Statement(
            "lifetime",
            "A cache that knows the targeted field obeys it and ignores Cache-Control; all others "
            "obey Cache-Control, which is therefore never looser.",
            "RFC 9213, section 2.2",
        ),
        Statement(
            "lifetime",
            "Fastly, Varnish 7.7, nginx 1.28, Squid 6.13, Traffic Server 9.2, httpd 2.4, HAProxy "
            "3.0 ignore CDN-Cache-Control: with private or no-store there, beside a positive "
            "max-age, the second answer comes from their cache.",
            "http-tests/cache-tests, published results, revision b55b8bd",
            "measured",
        ),
        Statement(
            "stale windows",
            "s-maxage has the meaning of proxy-revalidate, so it ends stale serving; the targeted "
            "field says max-age instead.",
            "RFC 9111, section 5.2.2.10",
        ),
        Statement(
            "cookies",
            "Set-Cookie does not inhibit caching: that is the origin's job.",
            "RFC 9111, section 7.3",
        ),
    ),
)  # fmt: skip
