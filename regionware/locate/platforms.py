"""What the common platforms tell about a client, and in which header. Dated data, no decisions.

Vendors change these; `checked` says when an entry was last compared with the documentation named
in `documentation`. Only what locates a client is here: not the client's address, not the edge's
name where a platform sends it beside something better, and no city: a region is not chosen by its
name.
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
}"""

PLATFORMS: Final[Mapping[str, Vendor]] = MappingProxyType(
    {
        "akamai": Vendor(
            checked="2026-11",
            documentation="techdocs.akamai.com, Property Manager, Content Targeting",
            packed="X-Akamai-Edgescape",
            form="edgescape",
            setup='the behaviour "Content Targeting (EdgeScape)"',
        ),
        "appengine": Vendor(
            checked="2026-11",
            documentation="cloud.google.com/appengine, request headers",
            country="X-Appengine-Country",
            subdivision="X-Appengine-Region",
            pair="X-Appengine-CityLatLong",
        ),
        "azure": Vendor(
            checked="2026-11",
            documentation="learn.microsoft.com, Front Door, Rules Engine server variables",
            country="X-Geo-Country",
            setup="a Rules Engine action that overwrites the request header X-Geo-Country with "
            "{geo_country}",
        ),
        "bunny": Vendor(
            checked="2026-11",
            documentation="docs.bunny.net, request headers sent to the origin",
            country="CDN-RequestCountryCode",
            subdivision="CDN-RequestStateCode",
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
        ),
        "fastly": Vendor(
            checked="2026-11",
            documentation="fastly.com/documentation, VCL geolocation variables",
            country="X-Geo-Country",
            subdivision="X-Geo-Region",
            latitude="X-Geo-Latitude",
            longitude="X-Geo-Longitude",
            setup=_FASTLY_VCL,
        ),
        "fly": Vendor(
            checked="2026-11",
            documentation="fly.io/docs, networking, request headers; reference, regions",
            region="Fly-Region",  # the edge that took the connection, by anycast near the client
            places=MappingProxyType(_FLY),
        ),
        "google": Vendor(
            checked="2026-11",
            documentation="cloud.google.com/load-balancing, custom headers in backend services",
            packed="X-Client-Geo",
            form="template",
            setup="--custom-request-header='X-Client-Geo:{client_region},{client_region_subdivision},"
            "{client_city},{client_city_lat_long},{client_rtt_msec}'",
        ),
        "netlify": Vendor(
            checked="2026-11",
            documentation="no reference page; read in public sources that use it",
            packed="X-Nf-Geo",
            form="geo-json",
        ),
        "vercel": Vendor(
            checked="2026-11",
            documentation="github.com/vercel/vercel, packages/functions/src/headers.ts",
            country="X-Vercel-IP-Country",
            subdivision="X-Vercel-IP-Country-Region",
            zone="X-Vercel-IP-Timezone",
            latitude="X-Vercel-IP-Latitude",
            longitude="X-Vercel-IP-Longitude",
        ),
    }
)
