"""What the common platforms tell about a client, and in which header. Dated data, no decisions.

Vendors change these; `checked` says when an entry was last compared with the documentation named
in `documentation`. What locates a client is here, the client's address, and what else a platform
sets in every request. A header that it only passes on is not: a client can have sent that. No city
is read: a region is not chosen by its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from regionware.region import Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """The headers of one platform, in the documented spelling; an empty one is not sent.

    Attributes:
        checked: year and month of the last comparison with the documentation.
        documentation: where it says so.
        country: holds an ISO 3166-1 code of two letters.
        subdivision: holds an ISO 3166-2 code, with the country or without.
        zone: holds the name of a time zone.
        latitude: holds decimal degrees; with `longitude`.
        longitude: holds decimal degrees.
        pair: holds latitude and longitude, separated by a comma.
        region: holds the platform's own name of a place.
        places: where those names are.
        packed: holds everything, in the form `form`.
        form: how `packed` is written; one of `regionware.locate.decode.FORMS`.
        setup: what must be configured at the edge before it sends this.
        client: holds the client's address; without it, that is in `X-Forwarded-For`.
        client_form: how `client` is written; one of `regionware.locate.addresses.SINGLE`.
        appends: how many addresses it appends to `X-Forwarded-For` behind the client's.
        proto: it sets `X-Forwarded-Proto`.
        host: it sets `X-Forwarded-Host`.
        others: further headers that it sets.
    """

    checked: str
    documentation: str
    country: str = ""
    subdivision: str = ""
    zone: str = ""
    latitude: str = ""
    longitude: str = ""
    pair: str = ""
    region: str = ""
    places: Mapping[str, Point] = field(default_factory=dict)
    packed: str = ""
    form: Literal["", "edgescape", "geo-json", "template"] = ""
    setup: str = ""
    client: str = ""
    client_form: Literal["address", "address:port"] = "address"
    appends: int = 0
    proto: bool = False
    host: bool = False
    others: tuple[str, ...] = ()

    @property
    def sets(self) -> frozenset[str]:
        """The lower-case names of all headers that it sets, but for the scheme and the host."""
        names = {name.lower() for name in (self.client, *self.others) if name}
        return self.headers | names

    @property
    def headers(self) -> frozenset[str]:
        """The lower-case names of all headers that are read."""
        names = (
            self.country, self.subdivision, self.zone, self.latitude, self.longitude, self.pair,
            self.region, self.packed,
        )  # fmt: skip
        return frozenset(name.lower() for name in names if name)


#: Fly.io's regions by their airports: latitude and longitude of the city, in degrees.
_FLY: Final[dict[str, Point]] = {
    "ams": (52.4, 4.9), "arn": (59.3, 18.1), "bom": (19.1, 72.9), "cdg": (48.9, 2.4),
    "dfw": (32.8, -96.8), "ewr": (40.8, -74.1), "fra": (50.1, 8.7), "gru": (-23.5, -46.6),
    "iad": (39.0, -77.5), "jnb": (-26.2, 28.0), "lax": (34.1, -118.2), "lhr": (51.5, -0.1),
    "nrt": (35.7, 139.7), "ord": (41.9, -87.6), "sin": (1.4, 103.8), "sjc": (37.3, -121.9),
    "syd": (-33.9, 151.2), "yyz": (43.7, -79.4),
}  # fmt: skip

#: `visits_this_service`: behind a shield the second pass would see the shield as the client.
_FASTLY_VCL = """\
if (fastly.ff.visits_this_service == 0 && req.restarts == 0) {
  set req.http.X-Geo-Country = client.geo.country_code;
  set req.http.X-Geo-Region = client.geo.region;
  set req.http.X-Geo-Latitude = client.geo.latitude;
  set req.http.X-Geo-Longitude = client.geo.longitude;
  set req.http.Fastly-Client-IP = client.ip;
}"""

PLATFORMS: Final[Mapping[str, Vendor]] = MappingProxyType(
    {
        "akamai": Vendor(
            checked="2026-11",
            documentation="techdocs.akamai.com, Property Manager, Content Targeting",
            packed="X-Akamai-Edgescape",
            form="edgescape",
            setup='the behaviour "Content Targeting (EdgeScape)"',
            client="True-Client-IP",  # the behaviour "Origin Server" must be told to send it
            others=("Akamai-Origin-Hop",),
        ),
        "appengine": Vendor(
            checked="2026-11",
            documentation="cloud.google.com/appengine, request headers",
            country="X-Appengine-Country",
            subdivision="X-Appengine-Region",
            pair="X-Appengine-CityLatLong",
            client="X-Appengine-User-IP",
            proto=True,
            others=("X-Appengine-Region", "X-Appengine-City"),
        ),
        "azure": Vendor(
            checked="2026-11",
            documentation="learn.microsoft.com, Front Door, Rules Engine server variables",
            country="X-Geo-Country",
            setup="a Rules Engine action that overwrites the request header X-Geo-Country with "
            "{geo_country}",
            client="X-Azure-SocketIP",  # X-Azure-ClientIP is what X-Forwarded-For begins with
            proto=True,
            host=True,
            others=("X-Azure-FDID", "X-Azure-Ref", "X-Azure-RequestChain", "X-FD-HealthProbe"),
        ),
        "bunny": Vendor(
            checked="2026-11",
            documentation="docs.bunny.net, request headers sent to the origin",
            country="CDN-RequestCountryCode",
            subdivision="CDN-RequestStateCode",
            client="X-Real-IP",
            proto=True,
            others=("CDN-LoopCount", "CDN-ServerId", "CDN-ServerZone"),
        ),
        "cloudflare": Vendor(
            checked="2026-11",
            documentation="developers.cloudflare.com, HTTP headers and managed transforms",
            country="CF-IPCountry",
            subdivision="CF-Region-Code",
            zone="CF-Timezone",
            latitude="CF-IPLatitude",
            longitude="CF-IPLongitude",
            setup='the managed transform "Add visitor location headers"',
            client="CF-Connecting-IP",
            proto=True,
            others=(
                "CF-IPCity",
                "CF-IPContinent",
                "CF-Region",
                "CF-Region-Code",
                "CF-Metro-Code",
                "CF-Postal-Code",
                "CF-Timezone",
                "CF-Ray",
                "CF-Visitor",
                "CF-Worker",
                "CF-EW-Via",
                "CDN-Loop",
            ),
        ),
        "cloudfront": Vendor(
            checked="2026-11",
            documentation="docs.aws.amazon.com, CloudFront, adding CloudFront request headers",
            country="CloudFront-Viewer-Country",
            subdivision="CloudFront-Viewer-Country-Region",
            zone="CloudFront-Viewer-Time-Zone",
            latitude="CloudFront-Viewer-Latitude",
            longitude="CloudFront-Viewer-Longitude",
            setup="an origin request policy that lists these headers",
            client="CloudFront-Viewer-Address",
            client_form="address:port",
            others=(
                "CloudFront-Viewer-Country-Name",
                "CloudFront-Viewer-Country-Region",
                "CloudFront-Viewer-Country-Region-Name",
                "CloudFront-Viewer-City",
                "CloudFront-Viewer-Postal-Code",
                "CloudFront-Viewer-Time-Zone",
                "CloudFront-Viewer-Metro-Code",
                "CloudFront-Viewer-ASN",
                "CloudFront-Forwarded-Proto",
                "X-Amz-Cf-Id",
            ),
        ),
        "fastly": Vendor(
            checked="2026-11",
            documentation="fastly.com/documentation, VCL geolocation variables",
            country="X-Geo-Country",
            subdivision="X-Geo-Region",
            latitude="X-Geo-Latitude",
            longitude="X-Geo-Longitude",
            setup=_FASTLY_VCL,
            client="Fastly-Client-IP",
        ),
        "fly": Vendor(
            checked="2026-11",
            documentation="fly.io/docs, networking, request headers; reference, regions",
            region="Fly-Region",  # the edge that took the connection, by anycast near the client
            places=MappingProxyType(_FLY),
            client="Fly-Client-IP",
            appends=1,  # the address of the application itself
            proto=True,
            others=(
                "X-Forwarded-Port",
                "X-Forwarded-SSL",
                "fly-replay-src",
                "fly-replay-failed",
                "fly-replay-cache-status",
                "fly-preferred-instance-unavailable",
            ),
        ),
        "google": Vendor(
            checked="2026-11",
            documentation="cloud.google.com/load-balancing, custom headers in backend services",
            packed="X-Client-Geo",
            form="template",
            setup="--custom-request-header='X-Client-Geo:{client_region},{client_region_subdivision},"
            "{client_city},{client_city_lat_long},{client_rtt_msec}'",
            appends=1,  # the address of the load balancer
            proto=True,
        ),
        "netlify": Vendor(
            checked="2026-11",
            documentation="no reference page; read in public sources that use it",
            packed="X-Nf-Geo",
            form="geo-json",
            client="X-NF-Client-Connection-IP",
            others=("X-NF-Request-ID", "X-Country", "X-Language"),
        ),
        "vercel": Vendor(
            checked="2026-11",
            documentation="github.com/vercel/vercel, packages/functions/src/headers.ts",
            country="X-Vercel-IP-Country",
            subdivision="X-Vercel-IP-Country-Region",
            zone="X-Vercel-IP-Timezone",
            latitude="X-Vercel-IP-Latitude",
            longitude="X-Vercel-IP-Longitude",
            client="X-Real-IP",
            proto=True,
            host=True,
            others=(
                "X-Vercel-IP-Country-Region",
                "X-Vercel-IP-City",
                "X-Vercel-IP-Continent",
                "X-Vercel-IP-Timezone",
                "X-Vercel-IP-Postal-Code",
                "X-Vercel-ID",
                "X-Vercel-Forwarded-For",
            ),
        ),
    }
)
