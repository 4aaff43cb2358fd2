"""Varnish Cache."""

from typing import Final

from regionware.vendors.data.alphabets import USUAL
from regionware.vendors.model import BOTH, Statement, TagField, Vendor

VENDOR: Final = Vendor(
    name="varnish",
    title="Varnish Cache",
    reads=("CDN-Cache-Control", "Cache-Control"),
    targeted="CDN-Cache-Control",
    stale=BOTH,
    unsaid=("stale-while-revalidate",),
    tags=TagField(name="xkey", separator=" ", marks=USUAL, longest=1024, total=7500),
    variance="configured",
    variance_field="X-Region",
    by_country=False,
    strips=("CDN-Cache-Control", "xkey"),
    purges=("tag", "url", "everything", "soft", "ban"),
    statements=(
        Statement(
            "lifetime",
            "By itself s-maxage, then max-age, of Cache-Control. CDN-Cache-Control is read by the "
            "VCL of `regionware cdn-config varnish`, and ignored without it.",
            "http-tests/cache-tests, Varnish 7.7; bin/varnishd/cache/cache_rfc2616.c",
            "measured",
        ),
        Statement(
            "stale windows",
            "stale-while-revalidate becomes grace. Where it is absent the parameter default_grace "
            "counts, 10 seconds: zero is said explicitly, and the VCL sets grace and keep.",
            "varnish-cache.org/docs, grace mode; http-tests/cache-tests, Varnish 7.7",
            "measured",
        ),
        Statement(
            "lifetime",
            "By itself it keeps for 120 seconds what says no lifetime, and what says no-store or "
            "private beside any Surrogate-Control. The VCL keeps neither.",
            "Varnish 7.1, tests/edges/test_table.py", "measured",
        ),
        Statement(
            "stale windows",
            "A failed refresh that is stored, even for no time at all, is found before the stale "
            "answer. The VCL abandons it.",
            "Varnish 7.1, tests/edges/test_keeping.py", "measured",
        ),
        Statement("variants", "Vary is obeyed in full.", "http-tests/cache-tests, Varnish 7.7",
                  "measured"),
        Statement("cookies", "The built-in VCL does not cache an answer with Set-Cookie.",
                  "http-tests/cache-tests, Varnish 7.7", "measured"),
        Statement(
            "tags",
            "vmod xkey reads the field xkey: separated by spaces or commas, over several lines. "
            "It is in maintenance, with known limits of scale.",
            "github.com/varnish/varnish-modules, src/vmod_xkey.vcc",
            "source",
        ),
        Statement(
            "tags", "7,500 octets, below http_resp_hdr_len (8 KiB).",
            "github.com/FriendsOfSymfony/FOSHttpCache, Varnish.php", "source",
        ),
        Statement("strips", "What the VCL removes at delivery.", "regionware cdn-config varnish",
                  "source"),
        Statement("region", "The VCL adds a request header, which it has set itself, to the hash.",
                  "varnish-cache.org/docs, hashing"),
        Statement("purge", "PURGE and BAN as the VCL offers them, to each server; xkey.softpurge.",
                  "github.com/varnish/varnish-modules, src/vmod_xkey.vcc", "source"),
    ),
)  # fmt: skip
