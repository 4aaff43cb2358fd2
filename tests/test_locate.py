"""Locating clients: whose word is believed, what it says, and which region that makes."""

import base64
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.errors import ConfigurationError
from regionware.http.request import Request
from regionware.locate import (
    Claim,
    Cookie,
    Header,
    Located,
    Platform,
    Provider,
    Resolver,
    Trust,
    decode,
)
from regionware.locate.countries import POINTS
from regionware.locate.peers import Peers
from regionware.locate.platforms import PLATFORMS
from regionware.topology import Region, Topology

IAD = Region("iad", primary=True, location=(38.95, -77.45))
FRA = Region("fra", location=(50.04, 8.56))
SIN = Region("sin", location=(1.36, 103.99))
TOPOLOGY = Topology(here="iad", regions=[IAD, FRA, SIN])
NAMELESS = Topology(here="a", regions=[Region("a", primary=True), Region("b")])

PROXY = "10.0.0.7"
TRUSTED = ("10.0.0.0/8",)
STRANGER = "203.0.113.9"


class Asked(Request):
    """A request, as far as a provider may look."""

    def __init__(self, peer: str | None = PROXY, fields: Mapping[str, str] | None = None) -> None:
        self.peer = peer
        self.path = "/"
        self.fields = {name.lower(): value for name, value in (fields or {}).items()}

    def header(self, name: str) -> str | None:
        return self.fields.get(name)

    def headers(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields.items())


def locate(
    *providers: Provider,
    peer: str | None = PROXY,
    trusted: tuple[str, ...] = TRUSTED,
    topology: Topology = TOPOLOGY,
    **fields: str,
) -> Located:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return Resolver(providers, topology, trusted).resolve(Asked(peer, named))


def netlify(**facts: Any) -> str:
    return base64.b64encode(json.dumps(facts).encode()).decode()


#: One client in Paris, as each platform describes it.
PARIS: dict[str, dict[str, str]] = {
    "akamai": {
        "X-Akamai-Edgescape": "georegion=80,country_code=FR,region_code=IDF,city=PARIS,lat=48.87,"
        "long=2.33,timezone=GMT+1,continent=EU,throughput=vhigh,network=orange,asnum=3215"
    },
    "appengine": {
        "X-Appengine-Country": "FR",
        "X-Appengine-Region": "idf",
        "X-Appengine-CityLatLong": "48.856614,2.352222",
    },
    "azure": {"X-Geo-Country": "FR"},
    "bunny": {"CDN-RequestCountryCode": "FR", "CDN-RequestStateCode": "IDF"},
    "cloudflare": {
        "CF-IPCountry": "FR",
        "cf-region-code": "IDF",
        "cf-timezone": "Europe/Paris",
        "cf-iplatitude": "48.8323",
        "cf-iplongitude": "2.4075",
    },
    "cloudfront": {
        "CloudFront-Viewer-Country": "FR",
        "CloudFront-Viewer-Country-Region": "IDF",
        "CloudFront-Viewer-Time-Zone": "Europe/Paris",
        "CloudFront-Viewer-Latitude": "48.85820",
        "CloudFront-Viewer-Longitude": "2.33870",
    },
    "fastly": {
        "X-Geo-Country": "FR",
        "X-Geo-Region": "IDF",
        "X-Geo-Latitude": "48.860",
        "X-Geo-Longitude": "2.350",
    },
    "fly": {"Fly-Region": "cdg"},
    "google": {"X-Client-Geo": "FR,FRIDF,Paris,48.856614,2.352222,12"},
    "netlify": {"X-Nf-Geo": netlify(country={"code": "FR"}, latitude=48.85, longitude=2.35)},
    "vercel": {
        "x-vercel-ip-country": "FR",
        "x-vercel-ip-country-region": "IDF",
        "x-vercel-ip-timezone": "Europe/Paris",
        "x-vercel-ip-latitude": "48.8566",
        "x-vercel-ip-longitude": "2.3522",
    },
}

#: Every single header of every platform, such that it alone tells where the client is.
ALONE = [
    ("akamai", {"X-Akamai-Edgescape": "lat=48.87,long=2.33"}),
    ("appengine", {"X-Appengine-CityLatLong": "48.856614,2.352222"}),
    ("google", {"X-Client-Geo": ",,,48.856614,2.352222,12"}),
    ("google", {"X-Client-Geo": "FR,,,,12"}),
    ("netlify", {"X-Nf-Geo": '{"country": {"code": "FR"}}'}),
    *((name, {vendor.country: "FR"}) for name, vendor in PLATFORMS.items() if vendor.country),
    *(
        (name, {vendor.latitude: "48.8", vendor.longitude: "2.3"})
        for name, vendor in PLATFORMS.items()
        if vendor.latitude
    ),
    *((name, {vendor.zone: "Europe/Paris"}) for name, vendor in PLATFORMS.items() if vendor.zone),
    *PARIS.items(),
]


# --- whose word is believed: each forgery beside its positive control


@pytest.mark.parametrize(("name", "fields"), ALONE)
def test_a_platform_is_believed_only_through_a_trusted_peer(
    name: str, fields: dict[str, str]
) -> None:
    resolver = Resolver([Platform(name)], TOPOLOGY, TRUSTED)
    believed = resolver.resolve(Asked(PROXY, fields))
    assert (believed.region, believed.trust) == (FRA, Trust.PLATFORM)
    assert believed.source == f"platform:{name}"
    for peer in (STRANGER, "::1", "10.0.0.7:80", "10.0.0.7.", "garbage", "", None):
        forged = resolver.resolve(Asked(peer, fields))
        assert (forged.region, forged.source, forged.claim) == (IAD, "default", None)


def test_all_forgeries_at_once_have_no_effect() -> None:
    fields = {name: value for each in PARIS.values() for name, value in each.items()}
    resolver = Resolver([Header("X-Region"), *map(Platform, PLATFORMS)], TOPOLOGY, TRUSTED)
    fields["X-Region"] = "sin"
    assert resolver.resolve(Asked(STRANGER, fields)).region == IAD
    assert resolver.resolve(Asked(PROXY, fields)).region == SIN


def test_nobody_is_trusted_by_default(caplog: pytest.LogCaptureFixture) -> None:
    resolver = Resolver([Header("X-Region")], TOPOLOGY)
    assert "no peer is trusted" in caplog.text
    for peer in (PROXY, STRANGER, "127.0.0.1", "::1", None):
        assert resolver.resolve(Asked(peer, {"x-region": "fra"})).region == IAD


def test_a_header_of_the_own_proxy() -> None:
    believed = locate(Header("X-Region"), X_Region="fra")
    assert believed == Located(
        FRA,
        "header:x-region",
        Trust.PLATFORM,
        Claim(region="fra", source="header:x-region", trust=Trust.PLATFORM),
    )
    assert locate(Header("X-Region"), peer=STRANGER, X_Region="fra").region == IAD


def test_a_cookie_is_a_hint_of_the_client_whoever_its_peer_is() -> None:
    for peer in (PROXY, STRANGER, None):
        hint = locate(Cookie("region"), peer=peer, trusted=(), cookie="a=b; region=fra")
        assert (hint.region, hint.trust, hint.source) == (FRA, Trust.ASSERTED, "cookie:region")


def test_trust_is_an_order() -> None:
    assert Trust.LOCAL > Trust.PLATFORM > Trust.DERIVED > Trust.ASSERTED > Trust.UNKNOWN


# --- header and cookie


@pytest.mark.parametrize(
    "value", ["", "xxx", "FRA", "fra, fra", "fra,iad", "fra\n", "fra ", "é", "fra;", "x" * 9999]
)
def test_headers_that_name_no_region(value: str) -> None:
    assert locate(Header("x-region"), x_region=value).source == "default"
    assert locate(Header("x-region"), x_region="fra").source == "header:x-region"


@pytest.mark.parametrize(
    ("value", "region"),
    [
        ("region=fra", FRA),
        ('a=1;region="fra" ; b=2', FRA),
        ("region=xxx; region=fra", IAD),
        ("region=; region=sin", SIN),
        ("region=fra; region=sin", FRA),
        ("a=1,region=sin", SIN),
        ("xregion=fra", IAD),
        ("region.x=fra", IAD),
        ("region =fra", IAD),
        ("region=FRA", IAD),
        ('region="fra', IAD),
        ("region=fra%20", IAD),
        ("region", IAD),
        ("a=region=fra", IAD),
        ("", IAD),
        ("; " * 10_000 + "region=fra", IAD),
        ("a=" + "b" * 10_000 + "; region=fra", FRA),
    ],
)
def test_cookies(value: str, region: Region) -> None:
    assert locate(Cookie("region"), cookie=value).region == region


def test_a_name_is_no_pattern() -> None:
    assert locate(Cookie("r.*"), cookie="rxx=fra; region=fra").region == IAD
    assert locate(Cookie("r.*"), cookie="r.*=fra").region == FRA


@pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\n"])
def test_names_that_are_no_tokens(name: str) -> None:
    for kind in (Header, Cookie):
        with pytest.raises(ConfigurationError, match=kind.__name__):
            kind(name)


def test_a_header_with_an_underscore_cannot_be_told_from_another() -> None:
    with pytest.raises(ConfigurationError, match="without underscores"):
        Header("X_Region")


# --- platforms


@pytest.mark.parametrize("name", PLATFORMS)
def test_what_a_platform_claims(name: str) -> None:
    claim = Platform(name)(Asked(PROXY, PARIS[name]))
    assert claim is not None
    if name == "fly":
        assert (claim.region, claim.country) == ("cdg", None)
    else:
        assert (claim.region, claim.country) == (None, "FR")
    if claim.location:
        assert claim.location == pytest.approx((48.85, 2.35), abs=0.1)
    else:
        assert name in ("azure", "bunny")
    assert claim.trust is Trust.PLATFORM


def test_the_table_is_dated_documented_and_complete() -> None:
    assert list(PLATFORMS) == sorted(PLATFORMS) == sorted(PARIS)
    for name, vendor in PLATFORMS.items():
        assert vendor.checked >= "2026-01"
        assert vendor.documentation
        assert bool(vendor.latitude) == bool(vendor.longitude)
        assert bool(vendor.packed) == bool(vendor.form)
        assert {header.lower() for header in PARIS[name]} == vendor.headers


def test_an_unknown_platform_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'herokuish' .*akamai.*vercel"):
        Platform("herokuish")


def test_a_platforms_own_name_of_a_region_comes_first() -> None:
    assert locate(Platform("fly"), Fly_Region="sin").region == SIN
    assert locate(Platform("fly"), Fly_Region="sin", topology=NAMELESS).region.name == "a"
    ams = Topology(here="iad", regions=[IAD, Region("ams", location=(52.4, 4.9)), FRA])
    assert locate(Platform("fly"), Fly_Region="ams", topology=ams).region.name == "ams"
    assert locate(Platform("fly"), Fly_Region="xyz").source == "default"


def test_what_is_remembered_is_bounded_and_the_same() -> None:
    platform = Platform("cloudflare")
    resolver = Resolver([platform], TOPOLOGY, TRUSTED)
    paris = Asked(PROXY, PARIS["cloudflare"])
    first = resolver.resolve(paris)
    assert resolver.resolve(paris) is first
    for number in range(6000):
        resolver.resolve(Asked(PROXY, {"cf-iplatitude": f"1.{number}", "cf-iplongitude": "104"}))
    assert len(platform._claims) <= 2048
    assert len(resolver.placing._placed) <= 4096
    assert resolver.resolve(paris) == first
    before = len(platform._claims)
    assert resolver.resolve(Asked(PROXY, {"cf-ipcountry": "F" * 600})).source == "default"
    assert len(platform._claims) == before


def test_a_point_is_better_than_a_country() -> None:
    west = Topology(here="iad", regions=[IAD, Region("sjc", location=(37.3, -121.9))])
    seattle = {"CF-IPCountry": "US", "CF-IPLatitude": "47.6", "CF-IPLongitude": "-122.3"}
    resolver = Resolver([Platform("cloudflare")], west, TRUSTED)
    assert resolver.resolve(Asked(PROXY, seattle)).region.name == "sjc"
    seattle["CF-IPLatitude"] = "999.0"
    assert resolver.resolve(Asked(PROXY, seattle)).region.name == "iad"


UNKNOWN_COUNTRIES = ["XX", "T1", "ZZ", "A1", "A2", "EU", "AP", "O1", "?", "", " ", "reserved", "F"]
HOSTILE_COUNTRIES = [
    "FRA",
    "FR, DE",
    "F\u0280",
    "\uff26\uff32",
    "FR\x00",
    "FR\n",
    "F" * 99,
    "\u017fs",
    "\xdf",
]


@pytest.mark.parametrize("value", UNKNOWN_COUNTRIES + HOSTILE_COUNTRIES)
def test_words_that_are_no_country(value: str) -> None:
    assert decode.country(value) is None
    assert locate(Platform("bunny"), CDN_RequestCountryCode=value).source == "default"


def test_words_that_are_a_country() -> None:
    assert [decode.country(text) for text in ("FR", "fr", " FR\t", None)] == [
        "FR",
        "FR",
        "FR",
        None,
    ]
    unheard = locate(Platform("bunny"), CDN_RequestCountryCode="QQ")
    assert unheard.source == "default"


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        ("0", "0"),
        ("0.000000", "-0.000000"),
        ("999.0", "999.0"),
        ("91", "0"),
        ("1", "180.1"),
        ("", "1"),
        ("nan", "1"),
        ("inf", "1"),
        ("1e1", "1"),
        ("0x1", "1"),
        ("1_0", "1"),
        ("\u0661", "1"),
        ("1, 2", "1"),
        ("1" * 400, "1"),
        ("reserved", "reserved"),
        ("?", "?"),
        (None, "1"),
        ("1", None),
    ],
)
def test_words_that_are_no_point(latitude: str | None, longitude: str | None) -> None:
    assert decode.point(latitude, longitude) is None
    if latitude is not None and longitude is not None:
        assert decode.pair(f"{latitude},{longitude}") is None
        if "," not in latitude:
            assert decode.edgescape(f"lat={latitude},long={longitude}") == decode.NOTHING


def test_words_that_are_a_point() -> None:
    assert decode.point("-90", " +180. ") == (-90.0, 180.0)
    assert decode.pair("37.386051, -122.083851") == (37.386051, -122.083851)
    assert [decode.pair(text) for text in (None, "1", "1,2,3")] == [None, None, None]
    assert decode.point("0", "1") == (0.0, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "", "!", "e30", "e30=", "bnVsbA==", "W10=", "{", "[", "[" * 3000, '{"a":' * 700,
        base64.b64encode(b"[" * 3000).decode(), base64.b64encode(b"\xff\xfe").decode(),
        '{"country": "FR"}', '{"country": {"code": 7}}', '{"country": {"code": null}}',
        '{"latitude": NaN, "longitude": Infinity}', '{"latitude": true, "longitude": false}',
        '{"latitude": "1", "longitude": "2"}', '{"latitude": 1}',
        '{"latitude": 0, "longitude": 0.0}',
        '{"latitude": 1' + "0" * 400 + ', "longitude": 1}', '{"latitude": 1e999, "longitude": 1}',
        '{"latitude": 1' + "0" * 4000 + ', "longitude": 1}', '{"x": "' + "x" * 9999 + '"}',
        "\xe9\xe9", '{"country": {"code": "ZZ"}}', "\U0001f30d" * 9,
    ],
)  # fmt: skip
def test_json_that_tells_nothing(text: str) -> None:
    assert decode.geo_json(text) == decode.NOTHING
    assert locate(Platform("netlify"), X_Nf_Geo=text).source == "default"


def test_json_that_tells_something() -> None:
    assert decode.geo_json('{"latitude": 1, "longitude": -2.5}') == (None, (1.0, -2.5))
    assert decode.geo_json(netlify(country={"code": "FR", "name": "é"})) == ("FR", None)


def test_lists_that_tell_half() -> None:
    assert decode.template("FR,FRIDF,A, B,48.85,2.35,12") == ("FR", (48.85, 2.35))
    assert decode.template("FR,FRIDF,Paris,,0") == ("FR", None)
    assert decode.template("US,FRIDF,Paris,0.000000,0.000000,12") == ("US", None)
    assert decode.template("F" * 9999) == decode.NOTHING
    assert decode.edgescape("country_code=reserved,lat=1,long=2") == (None, (1.0, 2.0))
    assert decode.edgescape("country_code=FR, country_code=DE,lat,=,==") == ("FR", None)


TEXTS = st.text(max_size=60) | st.from_regex(r"[-+0-9.,]{0,12}") | st.sampled_from(
    [value for fields in PARIS.values() for value in fields.values()] + UNKNOWN_COUNTRIES
)  # fmt: skip


@given(st.data())
def test_no_header_value_ever_raises(data: st.DataObject) -> None:
    providers: list[Provider] = [Header("X-Region"), Cookie("region"), *map(Platform, PLATFORMS)]
    for provider in providers:
        headers = sorted(Resolver([provider], TOPOLOGY, TRUSTED).headers)
        request = Asked(PROXY, {name: data.draw(TEXTS) for name in headers})
        claim = provider(request)
        if claim is not None and claim.location is not None:
            assert TOPOLOGY.nearest(*claim.location) in TOPOLOGY.regions
        if claim is not None and claim.country is not None:
            assert len(claim.country) == 2
            assert claim.country.isascii()
        assert Resolver([provider], TOPOLOGY, TRUSTED).resolve(request).region in TOPOLOGY.regions


@given(st.binary(max_size=80), st.booleans())
def test_no_packed_value_ever_raises(raw: bytes, encoded: bool) -> None:
    text = base64.b64encode(raw).decode() if encoded else raw.decode("latin-1")
    for form in decode.FORMS.values():
        country, place = form(text)
        assert country is None or len(country) == 2
        assert place is None or TOPOLOGY.nearest(*place) is not None


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_no_json_ever_raises(value: Any) -> None:
    for facts in (value, {"country": value}, {"country": {"code": value}}):
        decode.geo_json(json.dumps(facts))
    country, place = decode.geo_json(json.dumps({"latitude": value, "longitude": value}))
    assert country is None
    assert place is None or TOPOLOGY.nearest(*place) is not None


# --- the resolver


def test_without_providers_everybody_is_here() -> None:
    resolver = Resolver([], TOPOLOGY)
    located = resolver.resolve(Asked(STRANGER, {"x-region": "fra"}))
    assert located == Located(IAD, "default", Trust.UNKNOWN, None)
    assert resolver.resolve(Asked()) is located
    assert resolver.headers == frozenset()


def test_the_first_usable_claim_wins() -> None:
    providers: list[Provider] = [Header("X-Region"), Cookie("region"), Platform("cloudflare")]
    fields = {"x-region": "xxx", "cookie": "region=sin", "cf-ipcountry": "FR"}
    resolver = Resolver(providers, TOPOLOGY, TRUSTED)
    assert resolver.resolve(Asked(PROXY, fields)).source == "cookie:region"
    assert resolver.resolve(Asked(PROXY, fields | {"x-region": "fra"})).source == "header:x-region"
    assert resolver.resolve(Asked(PROXY, {"cf-ipcountry": "FR"})).source == "platform:cloudflare"
    assert resolver.headers == {
        "x-region", "cookie", "cf-ipcountry", "cf-iplatitude", "cf-iplongitude", "cf-region-code",
        "cf-timezone",
    }  # fmt: skip


def test_any_callable_is_a_provider() -> None:
    def by_path(request: Request) -> Claim | None:
        return Claim(region="fra") if request.path.startswith("/fra") else None

    def by_nation(request: Request) -> Claim | None:
        return Claim(country=request.header("x-nation"), source="nation", trust=Trust.LOCAL)

    nation = Resolver([by_path, by_nation], TOPOLOGY).resolve(Asked(None, {"x-nation": "SG"}))
    assert (nation.region, nation.source, nation.trust) == (SIN, "nation", Trust.LOCAL)
    assert Claim().trust is Trust.ASSERTED


def test_a_callable_may_say_that_it_is_forgeable() -> None:
    class Nation:
        forgeable = True
        headers = frozenset({"x-nation"})

        def __call__(self, request: Request, /) -> Claim | None:
            return Claim(country=request.header("x-nation"))

    resolver = Resolver([Nation()], TOPOLOGY, ["unix"])
    assert resolver.headers == {"x-nation"}
    assert resolver.resolve(Asked(None, {"x-nation": "SG"})).region == SIN
    assert resolver.resolve(Asked(STRANGER, {"x-nation": "SG"})).region == IAD


UNUSABLE: list[Callable[[Any], Any]] = [
    lambda _: None,
    lambda _: Claim(),
    lambda _: Claim(region="xxx"),
    lambda _: Claim(country="QQ"),
    lambda _: Claim(location=(float("nan"), 0)),
    lambda _: Claim(location=(91, 0)),
]

BROKEN: list[Callable[[Any], Any]] = [
    lambda _: 1 / 0,
    lambda _: "fra",
    lambda _: Claim(location=(1,)),  # type: ignore[arg-type]  # what is being tested
    lambda _: Claim(country=[]),  # type: ignore[arg-type]  # what is being tested
]


@pytest.mark.parametrize("provider", UNUSABLE)
def test_an_unusable_claim_is_passed_over(
    provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    assert locate(provider, Cookie("r"), cookie="r=fra").region == FRA
    assert locate(provider).source == "default"
    assert not caplog.text


@pytest.mark.parametrize("provider", BROKEN)
def test_a_provider_that_fails_fails_no_request(
    provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    resolver = Resolver([provider, Cookie("r")], TOPOLOGY)
    for _ in range(3):
        assert resolver.resolve(Asked(None, {"cookie": "r=fra"})).region == FRA
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1


def test_cancellation_is_no_failure_of_a_provider() -> None:
    def cancelled(_: Request, /) -> Claim | None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Resolver([cancelled], TOPOLOGY).resolve(Asked())


def test_providers_that_can_never_have_an_effect() -> None:
    with pytest.raises(ConfigurationError, match=r"Platform\('bunny'\) needs the location"):
        Resolver([Platform("bunny")], NAMELESS, TRUSTED)
    with pytest.raises(ConfigurationError, match="'fra' is not a provider"):
        Resolver(["fra"], TOPOLOGY)  # type: ignore[list-item]  # what is being tested
    solo = Topology(here="a", regions=[Region("a")])
    assert locate(Platform("bunny"), topology=solo, CDN_RequestCountryCode="FR").region.name == "a"


def test_what_is_written_is_what_is_read() -> None:
    providers = [Header("X-Region"), Cookie("region"), Platform("fly")]
    assert repr(providers) == "[Header('x-region'), Cookie('region'), Platform('fly')]"


# --- countries


def test_every_country_has_a_nearest_region() -> None:
    assert len(POINTS) == 248
    for code, point in POINTS.items():
        assert decode.country(code) == code
        assert TOPOLOGY.nearest(*point) is not None


@pytest.mark.parametrize(
    ("code", "region"),
    [("US", IAD), ("BR", IAD), ("GB", FRA), ("RU", FRA), ("EG", FRA), ("AU", SIN), ("JP", SIN)],
)
def test_a_country_belongs_to_the_nearest_region(code: str, region: Region) -> None:
    assert locate(Platform("azure"), X_Geo_Country=code).region == region


# --- peers


@pytest.mark.parametrize(
    ("cidr", "peer"),
    [
        ("10.0.0.0/8", "10.255.0.1"),
        ("10.0.0.0/8", "::ffff:10.1.2.3"),
        ("::ffff:10.0.0.0/104", "10.1.2.3"),
        ("192.0.2.7", "192.0.2.7"),
        ("fd00::/8", "fd12::1"),
        ("fe80::/10", "fe80::1%eth0"),
        ("0.0.0.0/0", "203.0.113.9"),
        ("::/0", "2001:db8::1"),
        ("unix", None),
        ("unix", ""),
    ],
)
def test_trusted_peers(cidr: str, peer: str | None) -> None:
    peers = Peers(["198.51.100.0/24", cidr])
    assert peers
    assert peers.trusts(peer)
    assert peers.trusts(peer)
    assert not Peers(["198.51.100.0/24"]).trusts(peer)


@pytest.mark.parametrize(
    "peer",
    [
        None, "", "11.0.0.1", "::1", "10.0.0.1:80", "[fd00::1]", "10.0.0.01", "10.1", "0xa000001",
        "167772161", "10.0.0.1 ", "10.0.0.1/8", "unix", "testclient", "\u0661\u0660.0.0.1",
        "x" * 99,
    ],
)  # fmt: skip
def test_peers_that_are_strangers(peer: str | None) -> None:
    assert not Peers(["10.0.0.0/8", "fd00::/8"]).trusts(peer)


@pytest.mark.parametrize(
    "cidr", ["10.0.0.1/8", "10.0.0.0/33", "", "*", "localhost", "Unix", None, 7]
)
def test_networks_that_are_none(cidr: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"trusted: .* is not a network"):
        Peers([cidr])


def test_a_single_text_is_no_list_of_networks() -> None:
    with pytest.raises(ConfigurationError, match="list of networks"):
        Peers("10.0.0.0/8")


def test_a_scan_from_many_addresses_does_not_fill_the_memory() -> None:
    peers = Peers(["10.0.0.0/8"])
    assert not Peers()
    for number in range(10_000):
        assert not peers.trusts(f"2001:db8::{number:x}")
    assert len(peers._known) <= 4096
    assert peers.trusts("10.0.0.1")


def test_peers_are_shared() -> None:
    peers = Peers(["10.0.0.0/8"])
    assert Resolver([], TOPOLOGY, peers).ingresses.peers is peers
