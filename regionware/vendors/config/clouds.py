"""What is set in the consoles of CDNs that have no configuration file, in words."""

from collections.abc import Iterator
from typing import Final

from regionware.vendors.catalogue import vendor_of
from regionware.vendors.config.setting import Setting
from regionware.vendors.model import Vendor

#: By vendor: what must be set, and what must not.
_STEPS: Final[dict[str, tuple[str, ...]]] = {
    "akamai": (
        "Caching: Honor origin Cache-Control and Expires, with s-maxage (Enhanced RFC support).",
        "Caching: let Edge-Control headers be obeyed; never a TTL that overrides the origin.",
        "Remove Vary Header: off, unless answers vary on nothing but Accept-Encoding.",
        "Cache Tag Visibility: never to clients.",
        "Tags are sent with a 200; a 304 does not change those of what is kept.",
    ),
    "azure": (
        "Route: caching enabled; Query string caching: Use query string.",
        "Cache behavior: Honor origin. Never `Override always`: it keeps private answers.",
        "There are no tags and no stale windows; nothing can differ by region.",
    ),
    "bunny": (
        "Caching: Cache expiration time: Respect origin Cache-Control. Smart Cache: off.",
        "Caching: Query string sort: off; Vary Cache: URL query string: on.",
        "Caching: Strip response cookies: off, so that an answer with a cookie stays private.",
        "Stale Cache: off: it serves for longer than the policies say.",
    ),
    "cloudflare": (
        (
            "Cache Rule: Eligible for cache, for the routes of the application; Edge TTL: Use "
            "cache-control header if present, bypass cache if not. Never `Ignore cache-control`."
        ),
        (
            "Cache Rule behind it: Bypass cache, where the request has a cookie other than those "
            "of analytics."
        ),
        "Browser TTL: Respect existing headers. Always Online: off.",
        "Cache Deception Armor: on, for what is cached by its extension.",
    ),
    "cloudfront": (
        (
            "Cache policy: Minimum TTL 0 (above 0 keeps even private answers), Default TTL 0, "
            "Maximum TTL 31536000."
        ),
        (
            "Cache policy: query strings: all; cookies: all but those of analytics; headers: those "
            "of Vary, and Host."
        ),
        "CacheTagConfig of the distribution: the header name Cache-Tag.",
        "Error caching minimum TTL: 0.",
    ),
    "fly": (
        "Nothing: the proxy keeps no responses. Behind another CDN, name that one as the vendor.",
    ),
    "google": (
        "cacheMode: USE_ORIGIN_HEADERS. Never FORCE_CACHE_ALL: it keeps private answers.",
        "serveWhileStale: 0. negativeCaching: false.",
        "cacheKeyPolicy: includeHost, includeProtocol and includeQueryString.",
        "bypassCacheOnRequestHeaders: Authorization, Regionware-Session, Regionware-Debug.",
    ),
    "netlify": (
        "Nothing in the site: the fields of the answers say it all.",
        "Tagged answers survive a deploy: purge everything at a release.",
    ),
    "vercel": (
        "A rewrite to the application, not a redirect; the answers' own fields decide.",
        "Never a `headers` entry in vercel.json for these paths: it would win.",
    ),
}


def render(setting: Setting, vendor: str) -> str:
    """Steps and facts, one to a paragraph."""
    known = vendor_of(vendor)
    lines = [f"# {known.title}, from `regionware cdn-config {vendor}`.", ""]
    lines += [f"- {step}" for step in _STEPS[vendor]]
    lines += [f"- {line}" for line in _facts(setting, known)]
    return "\n".join(lines) + "\n"


def _facts(setting: Setting, vendor: Vendor) -> Iterator[str]:
    if not vendor.caches:
        return
    cookies = ", ".join(setting.private_cookies)
    if cookies:
        yield f"Cookies of one client, with which nothing may come from the cache: {cookies}."
    yield (
        "Remove from clients' requests, before yours are set: " + ", ".join(setting.forged) + "."
    )
    if setting.static:
        yield "Never dependent on cookies: " + ", ".join(setting.static)
    if setting.varies and vendor.variance == "configured":
        yield (
            f"Answers differ by region: add {vendor.variance_field} to the cache key, and send it "
            "to the application."
        )
    elif setting.varies and vendor.variance in {"values", "vary"}:
        yield "Answers differ by region, and say so themselves."
    if vendor.tags is not None:
        yield f"Tags are in {vendor.tags.name}."
    yield (
        f"Origin: {setting.backend_host}, port {setting.backend_port}. Let it be reached through "
        "this CDN alone, by a secret header or a private network, and name that as an ingress."
    )
