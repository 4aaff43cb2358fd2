"""From a claim to a region: overrides, measured latency, distance, and what is down."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware import ConfigurationError, Regionware
from regionware.locate import Claim, Cookie, Header, HeaderMap, Latency, RegionMap, Resolver, Trust
from regionware.locate.claim import Provider
from regionware.locate.countries import POINTS
from regionware.locate.healthy import Marks
from regionware.locate.latency import Measured, between, vector
from regionware.locate.mapping import Ranker
from regionware.region import Region
from regionware.topology import Topology
from tests.locate.geo import FRA, IAD, PROXY, SIN, TOPOLOGY, TRUSTED, Asked

LHR = Region("lhr", location=(51.5, -0.1))
JNB = Region("jnb", location=(-26.2, 28.0))
AFRICA = Topology(here="lhr", regions=[Region("lhr", primary=True, location=(51.5, -0.1)), JNB])


def says(**claim: Any) -> Provider:
    """A provider that always says the same, as an application's own would."""
    fixed = Claim(trust=Trust.DERIVED, **claim)
    return lambda _: fixed


def name(resolver: Resolver) -> str:
    return resolver.resolve(Asked()).region.name


# --- overrides and weights


def test_an_override_goes_before_the_nearest() -> None:
    lagos = says(country="NG", location=(6.5, 3.4))
    assert name(Resolver([lagos], AFRICA)) == "jnb"  # 4,500 km, and no cable that is so short
    overridden = Resolver([lagos], AFRICA, mapping=RegionMap(overrides={"NG": "lhr"}))
    located = overridden.resolve(Asked())
    assert (located.region.name, located.by) == ("lhr", "override")
    assert name(Resolver([says(country="KE")], AFRICA, mapping=RegionMap(overrides={"NG": "lhr"})))\
        == "jnb"  # fmt: skip


def test_a_named_region_goes_before_an_override() -> None:
    resolver = Resolver(
        [says(region="jnb", country="NG")], AFRICA, mapping=RegionMap(overrides={"NG": "lhr"})
    )
    assert (name(resolver), resolver.resolve(Asked()).by) == ("jnb", "name")


def test_an_override_needs_no_location() -> None:
    bare = Topology(here="a", regions=[Region("a", primary=True), Region("b")])
    country = HeaderMap("x", country="X-Country")
    with pytest.raises(ConfigurationError, match="needs the location"):
        Resolver([country], bare, TRUSTED)
    resolver = Resolver([country], bare, TRUSTED, RegionMap(overrides={"FR": "b"}))
    assert resolver.resolve(Asked(PROXY, x_country="FR")).region.name == "b"
    assert resolver.resolve(Asked(PROXY, x_country="DE")).source == "default"


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"overrides": {"NG": "ams"}}, r"overrides\['NG'\].*'ams' is not one of the regions"),
        ({"overrides": {"UK": "lhr"}}, r"overrides: 'UK' is not a country"),
        ({"weights": {"ams": 1}}, r"weights\['ams'\].*not one of the regions"),
        ({"weights": {"lhr": 0}}, r"weights\['lhr'\]"),
    ],
)
def test_what_cannot_be_is_said_at_the_start(mapping: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Regionware(topology=AFRICA, mapping=RegionMap(**mapping))


def test_a_weight_draws_clients() -> None:
    vienna = says(location=(48.2, 16.4))
    two = Topology(here="fra", regions=[Region("fra", primary=True, location=FRA.location), LHR])
    assert name(Resolver([vienna], two)) == "fra"
    assert name(Resolver([vienna], two, mapping=RegionMap(weights={"lhr": 0.3}))) == "lhr"
    assert name(Resolver([vienna], two, mapping=RegionMap(weights={"lhr": 0.9}))) == "fra"


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_without_weights_it_is_the_nearest(latitude: float, longitude: float) -> None:
    ranked = Ranker(TOPOLOGY).by_point((latitude, longitude))
    assert set(ranked) == set(TOPOLOGY.regions)
    nearest = TOPOLOGY.nearest(latitude, longitude)
    assert nearest is not None
    if ranked[0] != nearest:  # two that are equally far, but for the last digits
        spread = [
            round(between(vector((latitude, longitude)),
                                         vector(each.location or (0, 0))), 6)
            for each in (ranked[0], nearest)
        ]  # fmt: skip
        assert spread[0] == spread[1]


def test_which_countries_regions_divide() -> None:
    """Three regions divide few countries: elsewhere the country alone is enough."""
    table = Ranker(TOPOLOGY)._countries
    assert set(table) == set(POINTS)
    divided = {code for code, (_, alone) in table.items() if not alone}
    assert "RU" in divided
    assert len(divided) < 8
    coasts = [*TOPOLOGY.regions, Region("sjc", location=(37.3, -121.9))]
    more = Ranker(Topology(here="iad", regions=coasts))._countries
    assert {"US", "CA"} <= {code for code, (_, alone) in more.items() if not alone}


def test_an_alias_is_a_name() -> None:
    regions = [Region("iad", primary=True), Region("fra", aliases=["eu-central-1", "frankfurt"])]
    topology = Topology(here="iad", regions=regions)
    for said in ("fra", "eu-central-1", "frankfurt"):
        located = Resolver([Header("x-region")], topology, TRUSTED).resolve(
            Asked(PROXY, x_region=said)
        )
        assert located.region.name == "fra"
        assert topology.region(said).name == "fra"
    assert Topology(regions=regions, environ={"AWS_REGION": "eu-central-1"}).here.name == "fra"
    assert len(topology.regions) == 2
    environ = {
        "REGIONWARE_REGIONS": "fra", "REGIONWARE_FRA_ALIASES": "eu-central-1, frankfurt",
        "AWS_REGION": "eu-central-1",
    }  # fmt: skip
    assert Topology.from_env(environ).region("frankfurt").aliases == ("eu-central-1", "frankfurt")


@pytest.mark.parametrize("aliases", [["iad"], ["x", "other"]])
def test_an_alias_belongs_to_one_region(aliases: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="is a name or alias of"):
        Topology(
            here="iad",
            regions=[Region("iad", primary=True, aliases=["other"]), Region("b", aliases=aliases)],
        )


# --- health


class Health:
    def __init__(self) -> None:
        self.down: set[str] = set()

    def __call__(self, region: str) -> bool:
        if "boom" in self.down:
            raise RuntimeError("nobody knows")
        return region not in self.down


def test_what_is_down_is_skipped_and_comes_back() -> None:
    now = [100.0]
    rw = Regionware(
        topology=TOPOLOGY, region=[says(location=(48.85, 2.35))], clock=lambda: now[0],
    )  # fmt: skip
    resolver = rw._parts.prepared.resolver
    assert name(resolver) == "fra"
    rw.regions.mark_down("fra", seconds=30)
    assert (name(resolver), rw.regions.is_up("fra")) == ("iad", False)
    rw.regions.mark_down("iad", seconds=10)
    assert name(resolver) == "sin"
    rw.regions.mark_down("sin")
    # Nobody is up: an unknown client belongs to here.
    assert (name(resolver), resolver.resolve(Asked()).source) == ("iad", "default")
    now[0] += 10
    assert name(resolver) == "iad"
    now[0] += 19.9
    assert name(resolver) == "iad"
    now[0] += 0.1
    assert (name(resolver), rw.regions.is_up("fra")) == ("fra", True)
    rw.regions.mark_down("fra")
    rw.regions.mark_up("fra")
    rw.regions.mark_up("fra")
    assert name(resolver) == "fra"
    assert rw.counts() == {
        "region-down:fra": 2, "region-down:iad": 1, "region-down:sin": 1, "region-up:fra": 1,
    }  # fmt: skip


def test_a_named_region_that_is_down_is_skipped_for_the_next_provider() -> None:
    marks = Marks(TOPOLOGY)
    providers = [Cookie("region"), says(country="SG")]
    resolver = Resolver(providers, TOPOLOGY, marks=marks)
    asked = Asked(cookie="region=fra")
    assert resolver.resolve(asked).region == FRA
    marks.down("fra", 30)
    assert resolver.resolve(asked).region == SIN
    marks.up("fra")
    assert resolver.resolve(asked).region == FRA


@pytest.mark.parametrize("seconds", [0, -1, 86_401, "30", None, float("nan"), True])
def test_marks_that_cannot_be(seconds: Any) -> None:
    regions = Regionware(topology=TOPOLOGY).regions
    with pytest.raises(ConfigurationError, match="seconds"):
        regions.mark_down("fra", seconds=seconds)
    with pytest.raises(ConfigurationError, match="ams"):
        regions.mark_down("ams")
    with pytest.raises(ConfigurationError, match="ams"):
        regions.mark_up("ams")


def test_the_applications_own_knowledge_counts_as_well(caplog: pytest.LogCaptureFixture) -> None:
    health = Health()
    rw = Regionware(
        topology=TOPOLOGY, region=[says(country="FR")], mapping=RegionMap(health=health)
    )
    resolver = rw._parts.prepared.resolver
    assert name(resolver) == "fra"
    health.down = {"fra"}
    assert name(resolver) == "iad"
    health.down = {"boom"}
    assert [name(resolver) for _ in range(3)] == ["fra"] * 3
    assert caplog.text.count("when it does, regions are up") == 1


# --- measured latency


def feed(measured: Measured, region: str, milliseconds: float, times: int = 50) -> None:
    for _ in range(times):
        measured.add("NG", "jnb", region, milliseconds)


@pytest.mark.parametrize(
    ("here", "there", "switches"),
    [
        (100, 84, True),
        (100, 86, False),  # not by 15 %
        (50, 41, False),  # not by 10 ms
        (50, 39, True),
        (40, 31, False),
        (300, 240, True),
        (300, 260, False),
    ],
)
def test_another_region_must_be_clearly_faster(here: float, there: float, switches: bool) -> None:
    measured = Measured(Latency())
    feed(measured, "jnb", here)
    feed(measured, "lhr", there)
    assert measured.best("NG") == ("lhr" if switches else None)
    assert measured.version == int(switches)


def test_few_measurements_count_for_nothing() -> None:
    measured = Measured(Latency())
    feed(measured, "jnb", 200, 50)
    feed(measured, "lhr", 90, 49)
    assert (measured.best("NG"), measured.average("NG", "lhr")) == (None, None)
    feed(measured, "lhr", 90, 1)
    assert measured.best("NG") == "lhr"
    assert measured.average("NG", "lhr") == pytest.approx(90)


def test_what_is_faster_must_be_faster_than_something_that_was_measured() -> None:
    measured = Measured(Latency())
    feed(measured, "lhr", 1)
    assert measured.best("NG") is None


def test_it_does_not_go_to_and_fro() -> None:
    """Without hysteresis it would: the control."""
    flips = {}
    for rules in (Latency(), Latency(better=0, by=0)):
        measured = Measured(rules)
        feed(measured, "jnb", 100)
        feed(measured, "lhr", 100)
        for number in range(400):
            feed(measured, "lhr" if number % 2 else "jnb", 95 if number % 4 < 2 else 105, 3)
        flips[rules.by] = measured.version
    assert flips[10.0] == 0
    assert flips[0] > 20


def test_it_goes_back_when_that_is_clearly_faster() -> None:
    measured = Measured(Latency())
    feed(measured, "jnb", 200)
    feed(measured, "lhr", 100)
    assert measured.best("NG") == "lhr"
    feed(measured, "jnb", 60, 200)
    assert measured.best("NG") == "jnb"


@given(st.lists(st.tuples(st.sampled_from(["jnb", "lhr"]), st.floats()), max_size=60))
def test_no_measurement_ever_raises(some: list[tuple[str, float]]) -> None:
    measured = Measured(Latency(minimum=1, better=0, by=0))
    for region, milliseconds in some:
        measured.add("NG", "jnb", region, milliseconds)
    for averages in measured.table().values():
        assert all(0 < average <= 5000 or average == 0 for average, _ in averages.values())


def test_measurements_decide_for_a_country() -> None:
    rw = Regionware(
        topology=AFRICA, region=[says(country="NG")], mapping=RegionMap(latency=Latency())
    )
    resolver = rw._parts.prepared.resolver
    assert name(resolver) == "jnb"
    for _ in range(50):
        rw.regions.measured("NG", "jnb", 190)
        rw.regions.measured("NG", "lhr", 95)
    located = resolver.resolve(Asked())
    assert (located.region.name, located.by) == ("lhr", "latency")
    rw.regions.mark_down("lhr")
    assert name(resolver) == "jnb"
    assert rw.regions.latency() == {"NG": {"jnb": (190.0, 50), "lhr": (95.0, 50)}}
    overridden = RegionMap(latency=Latency(minimum=1), overrides={"NG": "jnb"})
    other = Regionware(topology=AFRICA, region=[says(country="NG")], mapping=overridden)
    other.regions.measured("NG", "jnb", 190)
    other.regions.measured("NG", "lhr", 95)
    assert name(other._parts.prepared.resolver) == "jnb"


def test_a_divided_country_is_measured_by_its_parts() -> None:
    coasts = Topology(here="iad", regions=[IAD, Region("sjc", location=(37.3, -121.9)), SIN])
    mapping = RegionMap(latency=Latency(minimum=1))
    ranker = Ranker(coasts, mapping)
    west = Claim(country="US", location=(47.6, -122.3))
    east = Claim(country="US", location=(40.7, -74.0))
    ranker.measure(west, "sjc", 90)
    ranker.measure(west, "iad", 60)
    assert ranker.rank(west)[0][0].name == "iad"
    assert (ranker.rank(east)[0][0].name, ranker.rank(east)[1]) == ("iad", "location")
    assert ranker.measured is not None
    assert set(ranker.measured.table()) == {"US/sjc"}


def test_what_cannot_be_true_is_not_counted() -> None:
    ranker = Ranker(AFRICA, RegionMap(latency=Latency(minimum=1)))
    assert ranker.measured is not None
    oslo = Claim(country="NO")
    for milliseconds in (0, -1, 20, 5001, float("nan"), float("inf")):
        ranker.measure(oslo, "jnb", milliseconds)  # 10,000 km in 20 ms
    ranker.measure(Claim(country="QQ"), "jnb", 100)
    ranker.measure(Claim(location=(1, 1)), "jnb", 100)
    ranker.measure(oslo, "ams", 100)
    assert ranker.measured.table() == {}
    ranker.measure(oslo, "lhr", 20)
    ranker.measure(oslo, "jnb", 160)
    assert set(ranker.measured.table()["NO"]) == {"jnb", "lhr"}


def test_what_the_application_measures_is_checked() -> None:
    plain = Regionware(topology=AFRICA).regions
    with pytest.raises(ConfigurationError, match="latency"):
        plain.measured("NG", "lhr", 90)
    assert plain.latency() == {}
    regions = Regionware(topology=AFRICA, mapping=RegionMap(latency=Latency())).regions
    with pytest.raises(ConfigurationError, match="ams"):
        regions.measured("NG", "ams", 90)
    with pytest.raises(ConfigurationError, match="QQ"):
        regions.measured("QQ", "lhr", 90)


@pytest.mark.parametrize(("edge", "counted"), [(True, {"FR": {"iad": (95.0, 1)}}), (False, {})])
def test_the_edges_round_trip_counts_where_it_is_one_to_here(
    edge: bool, counted: dict[str, Any]
) -> None:
    from regionware.locate import Platform  # noqa: PLC0415 - of this test alone

    mapping = RegionMap(latency=Latency(edge=edge))
    resolver = Resolver([Platform("google")], TOPOLOGY, TRUSTED, mapping)
    resolver.resolve(Asked(PROXY, x_client_geo="FR,FRIDF,Paris,48.85,2.35,95"))
    resolver.resolve(Asked("203.0.113.9", x_client_geo="FR,FRIDF,Paris,48.85,2.35,95"))
    resolver.resolve(Asked(PROXY, x_client_geo="FR,FRIDF,Paris,48.86,2.35,"))
    resolver.resolve(Asked(PROXY, x_client_geo="FR,FRIDF,Paris,48.86,2.36,x"))
    assert resolver.placing.ranker.measured is not None
    assert resolver.placing.ranker.measured.table() == counted


# --- a map of headers


def test_a_map_of_headers_reads_what_it_is_told() -> None:
    told = HeaderMap("contentstack", country="Visitor-IP-Country", subdivision="Visitor-IP-Region")
    assert repr(told) == (
        "HeaderMap('contentstack', country='Visitor-IP-Country', subdivision='Visitor-IP-Region')"
    )
    resolver = Resolver([told], TOPOLOGY, TRUSTED)
    assert resolver.headers == {"visitor-ip-country", "visitor-ip-region"}
    located = resolver.resolve(Asked(PROXY, visitor_ip_country="FR"))
    assert (located.region, located.source, located.trust) == (
        FRA, "headers:contentstack", Trust.PLATFORM,
    )  # fmt: skip
    assert resolver.resolve(Asked("203.0.113.9", visitor_ip_country="FR")).source == "default"


MAPS: list[tuple[dict[str, str], dict[str, str], Region]] = [
    ({"region": "X-R"}, {"x_r": "sin"}, SIN),
    ({"region": "X-R", "country": "X-C"}, {"x_r": "ams", "x_c": "FR"}, FRA),
    ({"pair": "X-P"}, {"x_p": "1.3, 103.8"}, SIN),
    ({"latitude": "X-A", "longitude": "X-O"}, {"x_a": "1.3", "x_o": "103.8"}, SIN),
    ({"zone": "X-Z"}, {"x_z": "Asia/Singapore"}, SIN),
    ({"country": "X-C", "zone": "X-Z"}, {"x_z": "Europe/Kiev", "x_c": "?"}, FRA),
]


@pytest.mark.parametrize(("words", "fields", "region"), MAPS)
def test_each_kind_of_header(words: dict[str, str], fields: dict[str, str], region: Region) -> None:
    resolver = Resolver([HeaderMap("x", **words)], TOPOLOGY, TRUSTED)
    assert resolver.resolve(Asked(PROXY, **fields)).region == region
    assert resolver.resolve(Asked("203.0.113.9", **fields)).region == IAD


@pytest.mark.parametrize(
    "words",
    [{}, {"subdivision": "X-S"}, {"latitude": "X-A"}, {"longitude": "X-O"},
     {"pair": "X-P", "latitude": "X-A", "longitude": "X-O"}],
)  # fmt: skip
def test_a_map_that_tells_nothing(words: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="HeaderMap"):
        HeaderMap("x", **words)


# --- who may say it


def yielding(region: str) -> Provider:
    class Hint:
        yields = True

        def __call__(self, request: object, /) -> Claim:
            return Claim(region=region)

    return Hint()


@pytest.mark.parametrize(
    ("providers", "region"),
    [
        ([yielding("fra"), says(country="SG")], SIN),
        ([yielding("fra"), lambda _: None], FRA),
        ([yielding("fra"), yielding("sin")], FRA),
        ([says(country="SG"), yielding("fra")], SIN),
        ([yielding("xxx"), yielding("sin")], SIN),
    ],
)
def test_a_hint_that_yields(providers: list[Callable[..., Any]], region: Region) -> None:
    assert Resolver(providers, TOPOLOGY).resolve(Asked()).region == region
