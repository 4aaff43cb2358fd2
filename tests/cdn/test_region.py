"""Answers that differ by region: an edge keeps them apart, or keeps nothing."""

import base64
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from regionware import ConfigurationError, Region, Regionware, Topology
from regionware.locate import Cookie, Header, Platform
from regionware.policies import Cache, Cdn, Route
from regionware.variance import Variance
from tests.cdn.edges import EDGES
from tests.conformance.application import Application, Response, Seen, text
from tests.conformance.conftest import World
from tests.conformance.harness import Answer, Site

TOPOLOGY = Topology(
    here="fra",
    regions=[
        Region("fra", primary=True, location=(50.04, 8.56)),
        Region("iad", location=(38.95, -77.45)),
        Region("lax", location=(33.94, -118.4)),
    ],
)
PEER = "192.0.2.9"
COUNTRIES = {"DE": (52.5, 13.4), "FR": (48.9, 2.3), "US": (40.7, -74.0), "XX": None}
#: A client of a country that is nearer to another region than most of its people are.
WEST = (34.0, -118.2)

Headers = Mapping[str, str]


def country_fields(vendor: str, country: str, point: tuple[float, float] | None) -> dict[str, str]:
    """What an edge tells of a client."""
    latitude, longitude = ("", "") if point is None else map(str, point)
    if vendor == "netlify":
        told: dict[str, Any] = {"country": {"code": country}}
        if point is not None:
            told |= {"latitude": point[0], "longitude": point[1]}
        return {"X-Nf-Geo": base64.b64encode(json.dumps(told).encode()).decode()}
    if vendor == "akamai":
        return {"X-Akamai-Edgescape": f"country_code={country},lat={latitude},long={longitude}"}
    name = {
        "cloudflare": ("CF-IPCountry", "CF-IPLatitude", "CF-IPLongitude"),
        "cloudfront": ("CloudFront-Viewer-Country", "CloudFront-Viewer-Latitude",
                       "CloudFront-Viewer-Longitude"),
        "vercel": ("X-Vercel-IP-Country", "X-Vercel-IP-Latitude", "X-Vercel-IP-Longitude"),
        "bunny": ("CDN-RequestCountryCode", "", ""),
    }[vendor]  # fmt: skip
    told = dict(zip(name, (country, latitude, longitude), strict=True))
    return {key: value for key, value in told.items() if key and value}


BY_COUNTRY = ["akamai", "bunny", "cloudflare", "cloudfront", "netlify", "vercel"]
BY_FIELD = ["fastly", "nginx", "varnish"]


def edge_key(vendor: str, asked: Headers, answer: Answer) -> object:
    """What the vendor's edge, configured as it must be, keys a kept answer of one URL on."""
    if vendor in BY_FIELD or vendor == "vercel":
        names = [name.strip().lower() for name in answer["vary"].split(",") if name.strip()]
        fields = {name.lower(): value for name, value in asked.items()}
        return tuple(fields.get(name) for name in names)
    told = json.dumps(asked, sort_keys=True)
    if vendor != "netlify":
        return tuple(code for code in COUNTRIES if f'"{code}"' in told or f"={code}," in told)
    geo = json.loads(base64.b64decode(asked["X-Nf-Geo"])) if "X-Nf-Geo" in asked else None
    code = geo["country"]["code"].lower() if geo else ""
    groups = answer["netlify-vary"].removeprefix("country=").split("|")
    return next((number for number, each in enumerate(groups) if code in each.split("+")), "other")


class EdgeOf:
    """A cache for one URL, that keeps whatever the vendor's model keeps."""

    def __init__(self, vendor: str, site: Site) -> None:
        self.vendor = vendor
        self.site = site
        self.kept: list[tuple[object, Answer]] = []
        self.hits = 0

    def get(self, asked: Headers, path: str = "/x") -> tuple[bytes, bytes]:
        """What a client is given, and what the application says to it."""
        answer = self.site.get(path, headers=asked)
        for key, known in self.kept:
            if key == edge_key(self.vendor, asked, known):
                self.hits += 1
                return known.body, answer.body
        fields = {name.lower(): value for name, value in answer.headers}
        kept = EDGES[self.vendor](fields)
        if kept is not None and kept.fresh:
            self.kept.append((edge_key(self.vendor, asked, answer), answer))
        return answer.body, answer.body


def region_of(seen: Seen) -> Response:
    assert seen.state is not None
    return text(seen.state.region.name)


def site_of(world: World, vendor: str, *, cached: bool, pins: bool = False) -> Site:
    located = Header("X-Region") if vendor in BY_FIELD else Platform(vendor)
    cache = Cache(ttl=60, by="region", consistency="eventual") if cached else None
    cdn = Cdn(max_age=30, shared_max_age=300, by="region", attested=True, vendor=vendor)
    rw = Regionware(
        topology=TOPOLOGY, routes=[Route("/{x}", cache=cache, cdn=cdn)],
        region=[Cookie("pin"), located] if pins else [located], trusted=[f"{PEER}/32"],
    )  # fmt: skip
    world._made.append(rw)
    rw._parts.prepared.random = lambda: 0.0
    return world.behind(rw, Application(region_of))


def clients(vendor: str) -> list[dict[str, str]]:
    if vendor in BY_FIELD:
        return [{"X-Region": name} for name in ("fra", "iad", "lax", "nowhere")] + [{}]
    some = [country_fields(vendor, code, point) for code, point in COUNTRIES.items()]
    return [*some, country_fields(vendor, "US", WEST), {}]


def mixed(vendor: str, site: Site) -> list[str]:
    """The clients that an edge gives the answer for another region."""
    found = []
    for order in (1, -1):
        edge = EdgeOf(vendor, site)
        for asked in (clients(vendor) * 3)[::order]:
            given, own = edge.get(asked)
            if given != own:
                found.append(f"{asked}: given {given!r}, and not {own!r}")
        assert edge.hits > 3, "the control: what can be kept is kept"
    return found


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("vendor", BY_COUNTRY + BY_FIELD)
def test_regions_are_not_mixed(world: World, vendor: str, cached: bool) -> None:
    assert not mixed(vendor, site_of(world, vendor, cached=cached))


@pytest.mark.parametrize("vendor", ["netlify", "cloudflare", "vercel"])
def test_an_edge_that_is_always_told_to_keep_is_found(
    world: World, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: with clients placed more precisely than edges do, the west is told east."""
    monkeypatch.setattr(Variance, "region", lambda _, located: located.region)
    assert mixed(vendor, site_of(world, vendor, cached=False))


@pytest.mark.parametrize("flavour", ["asgi"], indirect=True)
def test_an_entry_for_the_edge_is_not_given_to_whom_it_keys_otherwise(world: World) -> None:
    """Pinned to fra, the client of iad is answered from what was made for fra: not for the edge."""
    site = site_of(world, "varnish", cached=True, pins=True)
    first = site.get("/x", headers={"X-Region": "fra", "Cookie": "pin=fra"})
    other = site.get("/x", headers={"X-Region": "iad", "Cookie": "pin=fra"})
    again = site.get("/x", headers={"X-Region": "fra", "Cookie": "pin=fra"})
    assert (first.body, other.body) == (b"fra", b"fra")
    assert "public" in first["cache-control"]
    assert "X-Region" in first["vary"]
    assert other["cache-control"] == "private, no-store"
    assert again.hit
    assert "public" in again["cache-control"]


def test_a_public_answer_without_by_is_for_the_region_that_answers(world: World) -> None:
    """What an edge gives to everybody cannot depend on where one client is."""
    rw = Regionware(
        topology=TOPOLOGY, region=[Header("X-Region")], trusted=[f"{PEER}/32"],
        routes=[Route("/public", cdn=Cdn(max_age=30)), Route("/{x}", cdn=Cdn.private())],
    )  # fmt: skip
    world._made.append(rw)
    site = world.behind(rw, Application(region_of))
    assert site.get("/public", headers={"X-Region": "iad"}).body == b"fra"
    assert site.get("/own", headers={"X-Region": "iad"}).body == b"iad"


# At start


def start(route: Callable[[], Route], **options: Any) -> Regionware:
    return Regionware(topology=TOPOLOGY, routes=[route()], **options)


REFUSED: dict[str, tuple[Callable[[], Route], str]] = {
    "no vendor": (lambda: Route("/r", cdn=Cdn(max_age=1, by="region")), "any CDN cannot"),
    "azure": (lambda: Route("/r", cdn=Cdn(max_age=1, by="region", vendor="azure")), "Azure Front"),
    "google": (lambda: Route("/r", cdn=Cdn(max_age=1, by="region", vendor="google", attested=True)),
               "Google.*cannot"),
    "not attested": (lambda: Route("/r", cdn=Cdn(max_age=1, by="region", vendor="varnish")),
                     "attested=True"),
    "one of two": (
        lambda: Route("/r", cdn=Cdn(max_age=1, by="region", vendor=["netlify", "fastly"])),
        "Fastly.*attested=True",
    ),
    "by the cache": (
        lambda: Route("/r", cdn=Cdn(max_age=1),
                      cache=Cache(ttl=1, by="region", consistency="eventual")), "any CDN cannot",
    ),
    "not by the cache": (
        lambda: Route("/r", cdn=Cdn(max_age=1, by="region", vendor="netlify"),
                      cache=Cache(ttl=1, consistency="eventual")), 'needs Cache\\(by="region"\\)',
    ),
    "private": (lambda: Route("/r", cdn=Cdn(by="region", visibility="private", vendor="netlify")),
                "nothing is kept"),
    "tags without a field": (lambda: Route("/r", cdn=Cdn(max_age=1, tags=["a"], vendor="nginx")),
                             "nginx has no tags"),
    "tags that are the same": (
        lambda: Route("/r", cdn=Cdn(max_age=1, tags=["a", "A"], vendor="cloudflare")), "the same",
    ),
    "more tags than it takes": (
        lambda: Route("/r", cdn=Cdn(max_age=1, tags=[f"{n}" for n in range(51)],
                                    vendor="cloudfront")), "fewer tags",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_an_edge_cannot_do_is_refused(case: str) -> None:
    route, reason = REFUSED[case]
    with pytest.raises(ConfigurationError, match=f"route /r: .*{reason}"):
        start(route)


def test_a_pin_is_refused_where_the_edge_cannot_see_it() -> None:
    def route() -> Route:
        return Route("/r", cdn=Cdn(max_age=1, by="region", vendor="netlify"))

    start(route, region=[Platform("netlify")])
    with pytest.raises(ConfigurationError, match=r"route /r: .*cookie"):
        start(route, region=[Cookie("pin"), Platform("netlify")])


TOLD: dict[str, tuple[Cdn, str]] = {
    "windows": (Cdn(max_age=1, stale_while_revalidate=5, stale_if_error=5, vendor="cloudfront"),
                "Amazon CloudFront does not take stale-while-revalidate and stale-if-error"),
    "one window": (Cdn(max_age=1, stale_while_revalidate=5, stale_if_error=5, vendor="vercel"),
                   "Vercel does not take stale-if-error from"),
    "hashed tags": (Cdn(max_age=1, tags=["product:{id}"], vendor="akamai"), "product:{id}"),
    "no cache": (Cdn(max_age=1, shared_max_age=5, vendor="fly"), "Fly.io keeps no responses"),
}  # fmt: skip


@pytest.mark.parametrize("case", TOLD)
def test_what_an_edge_will_not_obey_is_told(case: str, caplog: pytest.LogCaptureFixture) -> None:
    cdn, words = TOLD[case]
    with caplog.at_level(logging.WARNING, "regionware"):
        Regionware(routes=[Route("/r/{id}", cdn=cdn)])
    assert any("route /r/{id}" in message and words in message for message in caplog.messages)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "regionware"):
        Regionware(routes=[Route("/r/{id}", cdn=Cdn(max_age=1, tags=["product"], vendor="fastly"))])
    assert not caplog.messages


def test_inherited_tags_that_no_purge_reaches_are_told(caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache(ttl=1, tags=["a"], consistency="eventual")
    with caplog.at_level(logging.WARNING, "regionware"):
        Regionware(routes=[Route("/r", cache=cache, cdn=Cdn(max_age=1, vendor="nginx"))])
    assert any("a purge by tag does not reach it" in message for message in caplog.messages)
