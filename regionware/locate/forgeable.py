"""Names of request headers that anybody can send, and that somebody believes. Data, no decisions.

Platforms and proxies set these; a client that reaches the application directly, or through a proxy
that passes on what it does not know, can send them too. Headers that rewrite a request, such as
`X-Forwarded-Host`, are listed where keys are made: `regionware.caching.keys.REWRITING`.

Compared with the vendors' documentation in 2026-11. Not here: `Via`, which every proxy on the way
has to send (RFC 9110, section 7.6.3), and Netlify's `X-Country` and `X-Language`, which clients of
other applications send for good reasons; they are removed where Netlify is configured.
"""

from itertools import product
from typing import Final

_ADDRESSES = """
    x-forwarded-for x-real-ip true-client-ip x-client-ip x-cluster-client-ip
    x-original-forwarded-for cf-connecting-ip cf-connecting-ipv6 cf-pseudo-ipv4 fastly-client-ip
    fly-client-ip x-vercel-forwarded-for x-nf-client-connection-ip x-azure-clientip
    x-azure-socketip x-appengine-user-ip cloudfront-viewer-address cloudfront-viewer-asn
"""
_CLOUDFLARE = """
    cf-ipcountry cf-ipcity cf-ipcontinent cf-iplatitude cf-iplongitude cf-region cf-region-code
    cf-metro-code cf-postal-code cf-timezone cf-ray cf-visitor cf-placement cf-ew-via cf-worker
    cdn-loop
"""
_CLOUDFRONT = """
    cloudfront-viewer-country cloudfront-viewer-country-name cloudfront-viewer-country-region
    cloudfront-viewer-country-region-name cloudfront-viewer-city cloudfront-viewer-postal-code
    cloudfront-viewer-time-zone cloudfront-viewer-latitude cloudfront-viewer-longitude
    cloudfront-viewer-metro-code cloudfront-forwarded-proto x-amz-cf-id x-amz-cf-pop
"""
_OTHERS = """
    x-geo-country x-geo-latitude x-geo-longitude x-akamai-edgescape akamai-origin-hop
    x-azure-fdid x-azure-ref x-azure-requestchain x-fd-healthprobe
    fly-region x-vercel-ip-country x-vercel-ip-country-region x-vercel-ip-city
    x-vercel-ip-continent x-vercel-ip-latitude x-vercel-ip-longitude x-vercel-ip-timezone
    x-vercel-ip-postal-code x-vercel-id x-nf-geo x-nf-request-id
    x-client-geo x-appengine-country x-appengine-region x-appengine-city x-appengine-citylatlong
    cdn-requestcountrycode cdn-requeststatecode cdn-loopcount cdn-serverid cdn-serverzone
    visitor-ip-country visitor-ip-region visitor-ip-city
"""
_STEERING = """
    fly-replay-src fly-replay-failed fly-replay-cache-status fly-preferred-instance-unavailable
    fly-prefer-region fly-force-region fly-prefer-instance-id fly-force-instance-id
    x-middleware-subrequest x-middleware-subrequest-id x-middleware-rewrite x-middleware-next
    x-middleware-redirect x-middleware-invoke x-middleware-prefetch x-middleware-skip
    x-middleware-cache x-middleware-override-headers x-middleware-set-cookie x-nextjs-data
    x-matched-path x-accel-internal x-accel-redirect x-accel-mapping x-sendfile x-sendfile-type
    regionware-hop
"""

#: Where a client is, or its address: geography, and what only one platform sends.
TELLING: Final = frozenset((_ADDRESSES + _CLOUDFLARE + _CLOUDFRONT + _OTHERS).split())
#: What steers a platform, a framework or this package from the inside.
STEERING: Final = frozenset(_STEERING.split())
#: What this package reads for itself, as it is signed; no application ever sees it.
OURS: Final = frozenset({"regionware-hop"})


def spellings(name: str) -> list[str]:
    """All other spellings of a header that are the same where `_` stands for `-`, as under CGI."""
    parts = name.split("-")
    joints = product("-_", repeat=len(parts) - 1)
    found = (
        "".join(part + joint for part, joint in zip(parts, (*joint_of, ""), strict=True))
        for joint_of in joints
    )
    return [spelling for spelling in found if spelling != name]
