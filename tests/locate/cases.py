"""Headers that somebody believes, with values that would tell, and requests that carry them.

Written from the vendors' documentation, not from the tables that are tested.
"""

import base64
import json
from collections.abc import Iterator, Mapping

from regionware import Region, Topology
from regionware.http.request import Request, RequestEdits
from regionware.locate import Ingress

IAD = Region("iad", primary=True, location=(38.95, -77.45))
FRA = Region("fra", location=(50.04, 8.56))
SIN = Region("sin", location=(1.36, 103.99))
TOPOLOGY = Topology(here="iad", regions=[IAD, FRA, SIN])

PROXY, STRANGER, CLIENT = "10.0.0.7", "203.0.113.9", "198.51.100.20"
SECRET = "the-secret-of-one-origin"
FORGED = "198.51.100.66"

_NETLIFY = json.dumps({"country": {"code": "FR"}, "latitude": 48.85, "longitude": 2.35})

#: One client in Paris, as each platform tells of it; and its address, as each platform tells it.
TOLD: dict[str, dict[str, str]] = {
    "akamai": {
        "X-Akamai-Edgescape": "georegion=80,country_code=FR,lat=48.87,long=2.33",
        "True-Client-IP": CLIENT,
    },
    "azure": {"X-Geo-Country": "FR", "X-Azure-SocketIP": CLIENT, "X-Azure-FDID": SECRET},
    "bunny": {"CDN-RequestCountryCode": "FR", "X-Real-IP": CLIENT},
    "cloudflare": {
        "CF-IPCountry": "FR", "CF-IPLatitude": "48.8323", "CF-IPLongitude": "2.4075",
        "CF-Connecting-IP": CLIENT,
    },
    "cloudfront": {
        "CloudFront-Viewer-Country": "FR", "CloudFront-Viewer-Latitude": "48.85820",
        "CloudFront-Viewer-Longitude": "2.33870", "CloudFront-Viewer-Address": f"{CLIENT}:53211",
    },
    "fastly": {
        "X-Geo-Country": "FR", "X-Geo-Latitude": "48.860", "X-Geo-Longitude": "2.350",
        "Fastly-Client-IP": CLIENT,
    },
    "fly": {"Fly-Region": "cdg", "Fly-Client-IP": CLIENT},
    "google": {
        "X-Client-Geo": "FR,FRIDF,Paris,48.856614,2.352222,12",
        "X-Forwarded-For": f"{FORGED}, {CLIENT}, 203.0.113.200",
    },
    "netlify": {
        "X-Nf-Geo": base64.b64encode(_NETLIFY.encode()).decode(),
        "X-NF-Client-Connection-IP": CLIENT,
    },
    "vercel": {
        "X-Vercel-IP-Country": "FR", "X-Vercel-IP-Latitude": "48.8566",
        "X-Vercel-IP-Longitude": "2.3522", "X-Real-IP": CLIENT,
    },
}  # fmt: skip

_ADDRESSES = """
CF-Connecting-IP True-Client-IP CF-Connecting-IPv6 CF-Pseudo-IPv4 Fastly-Client-IP Fly-Client-IP
X-Real-IP X-Vercel-Forwarded-For X-NF-Client-Connection-IP X-Azure-ClientIP X-Azure-SocketIP
X-Forwarded-For
"""
_REST = """
CF-IPCity CF-IPContinent CF-Region CF-Region-Code CF-Metro-Code CF-Postal-Code CF-Timezone CF-Ray
CF-Placement CDN-Loop CF-EW-Via CF-Worker
CloudFront-Viewer-Country-Name CloudFront-Viewer-Country-Region
CloudFront-Viewer-Country-Region-Name CloudFront-Viewer-City CloudFront-Viewer-Postal-Code
CloudFront-Viewer-Time-Zone CloudFront-Viewer-Metro-Code CloudFront-Viewer-ASN
CloudFront-Forwarded-Proto X-Amz-Cf-Id X-Amz-Cf-Pop Akamai-Origin-Hop
fly-replay-src fly-replay-failed fly-replay-cache-status fly-preferred-instance-unavailable
X-Vercel-IP-Country-Region X-Vercel-IP-City X-Vercel-IP-Continent X-Vercel-IP-Timezone
X-Vercel-IP-Postal-Code X-Vercel-Id X-NF-Request-ID
X-Appengine-Country X-Appengine-Region X-Appengine-City
X-Azure-FDID X-Azure-Ref X-Azure-RequestChain X-FD-HealthProbe
CDN-RequestStateCode CDN-LoopCount CDN-ServerId CDN-ServerZone
Visitor-IP-Country Visitor-IP-Region Visitor-IP-City
x-middleware-subrequest x-middleware-rewrite x-nextjs-data X-Original-URL X-Rewrite-URL
X-HTTP-Method-Override X-HTTP-Method X-Method-Override X-Forwarded-Host X-Forwarded-Proto
X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Server X-Forwarded-Scheme X-Forwarded-Ssl
X-Host X-Script-Name Regionware-Hop
"""

#: Every header that must not reach anybody from a stranger, by its documented name.
FORGERIES: dict[str, str] = {
    **{name: value for told in TOLD.values() for name, value in told.items()},
    "X-Appengine-CityLatLong": "48.856614,2.352222",
    **dict.fromkeys(_ADDRESSES.split(), FORGED),
    **dict.fromkeys(_REST.split(), "FR"),
    "Forwarded": f"for={FORGED};host=evil;proto=https",
    "CloudFront-Viewer-Address": f"{FORGED}:53211",
}


class Asked(Request):
    """A request, as far as a resolver looks."""

    def __init__(
        self,
        peer: str | None = PROXY,
        fields: Mapping[str, str] | None = None,
        *,
        replaced: bool = False,
    ) -> None:
        self.peer = peer
        self.path = "/"
        self.fields = {name.lower(): value for name, value in (fields or {}).items()}
        self.special = dict(self.fields)
        self._replaced = replaced

    def header(self, name: str) -> str | None:
        return self.fields.get(name)

    def headers(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields.items())

    def replaced(self) -> bool:
        return self._replaced

    def alter(self, edits: RequestEdits) -> None:
        kept = {name: value for name, value in self.fields.items() if name not in edits.remove}
        self.fields = kept | edits.put


def preset(platform: str, *peers: str, behind: Ingress | None = None) -> Ingress:
    """A platform's ingress; `PROXY` comes in by it with the headers of `proven`."""
    if platform == "azure":
        return Ingress.azure(*(peers or ("10.0.0.0/8",)), fdid=SECRET, behind=behind)
    make = getattr(Ingress, platform)
    found: Ingress = make(*peers, secret=SECRET, behind=behind)
    return found


def proven(platform: str) -> dict[str, str]:
    """What a platform sends of the client in Paris, with the proof that it is the platform."""
    return TOLD[platform] | ({} if platform == "azure" else {"X-Origin-Auth": SECRET})
