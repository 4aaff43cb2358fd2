"""Regions and topologies: what is accepted, what is refused, and which region is here."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.errors import ConfigurationError
from regionware.topology import PLATFORM_VARIABLES, Region, Topology

IAD = Region("iad", primary=True, location=(38.95, -77.45), database="postgresql://primary/app")
FRA = Region("fra", location=(50.04, 8.56), replicas=["postgresql://replica/app"])
SIN = Region("sin", location=(1.36, 103.99))

LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)


def make(*regions: Region, here: str | None = "iad", **environ: str) -> Topology:
    return Topology(here=here, regions=regions or (IAD, FRA, SIN), environ=environ)


# --- a region


@pytest.mark.parametrize("name", ["iad", "eu-west-1", "0", "a_b", "x" * 32])
def test_names_that_are_names(name: str) -> None:
    assert Region(name).name == name


@pytest.mark.parametrize(
    "name", ["", "IAD", "-a", "_a", "a b", "a\n", "é", "x" * 33, "a.b", None, 7]
)
def test_names_that_are_none(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="Region: a name"):
        Region(name)


@pytest.mark.parametrize(
    "location",
    [
        (91, 0),
        (-90.1, 0),
        (0, 180.5),
        (math.nan, 0),
        (0, math.inf),
        (1,),
        (1, 2, 3),
        (),
        "12",
        5,
        ("a", 1),
    ],
)
def test_places_that_are_not_on_earth(location: Any) -> None:
    with pytest.raises(ConfigurationError, match="Region 'r': location"):
        Region("r", location=location)


def test_a_location_may_be_any_two_numbers() -> None:
    region = Region("r", location=[90, -180])  # type: ignore[arg-type]  # as from a file
    assert region.location == (90.0, -180.0)
    assert hash(region) == hash(Region("r", location=(90.0, -180.0)))


@pytest.mark.parametrize(
    "url",
    ["postgresql://h/d", "postgres://u:p@h:5/d?x=1", "host=h dbname=d", "postgresql://a:1,b:2/d"],
)
def test_database_urls(url: str) -> None:
    region = Region("r", database=url, replicas=[url])
    assert (region.database, region.replicas) == (url, (url,))


@pytest.mark.parametrize(
    "url", ["", "h/d", "mysql://h/d?a=b", "postgresql+psycopg://h/d", "POSTGRES:/x", 3]
)
def test_urls_of_something_else(url: Any) -> None:
    for wrong in ({"database": url}, {"replicas": ["postgres://h/d", url]}):
        with pytest.raises(ConfigurationError, match=r"Region 'r': (database|replica 2) must be"):
            Region("r", **wrong)


def test_replicas_are_a_list() -> None:
    with pytest.raises(ConfigurationError, match="not one text"):
        Region("r", replicas="postgresql://h/d")


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://:p@h:1/0",
        "rediss://h/1?ssl_cert_reqs=none",
        "unix:///run/r.sock?db=1",
        "redis+sentinel://h/m",
        "rediss+sentinel://u:p,@h:1,[::1]:2,i/m/3?sentinel_password=q&client_name=c",
        "redis+cluster://h",
        "rediss+cluster://u:p@h:1,i:2/0",
    ],
)
def test_redis_urls(url: str) -> None:
    assert Region("r", redis=url).redis == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis+sentinel://h", "needs the name"),
        ("redis+sentinel://h/", "needs the name"),
        ("redis+sentinel://h/a b", "needs the name"),
        ("redis+sentinel:///m", "needs hosts"),
        ("redis+sentinel://h,,i/m", "needs hosts"),
        ("redis+sentinel://h:port/m", "not a URL"),
        ("redis+sentinel://h/m/x", "one number for the database"),
        ("redis+sentinel://h/m/1?db=2", "one number for the database"),
        ("redis+sentinel://:p#w@h/m", "# begins a fragment"),
        ("redis+cluster://h/1", "a cluster has none but 0"),
        ("redis+cluster://h?db=1", "a cluster has none but 0"),
        ("redis+cluster://h?sentinel_password=p", "not one of"),
        ("redis+cluster://", "needs hosts"),
        ("redis://h/?socket_timeout=5", "not one of"),
        ("redis://h?decode_responses=1", "not one of"),
        ("redis://h/zero", "not a database's number"),
        ("redis://h?db=x", "not a database's number"),
        ("valkey://h", "must be a redis"),
        ("h:6379", "must be a redis"),
        ("redis://h:port", "not a URL"),
        ("redis://h:99999", "not a URL"),
        ("redis://[::1", "not a URL"),
        ("unix://", "path of the socket"),
        (1, "must be a redis"),
    ],
)
def test_redis_urls_that_do_not_work(url: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"Region 'r': redis.*{why}"):
        Region("r", redis=url)


def test_application_urls() -> None:
    assert Region("r", url="https://fra.example.com/app").url == "https://fra.example.com/app"
    for url in (
        "ftp://h",
        "h",
        "http://",
        "https://u:p@h",
        "http://h?x",
        "http://h#x",
        "http://h:x",
    ):
        with pytest.raises(ConfigurationError, match="Region 'r': url"):
            Region("r", url=url)


@pytest.mark.parametrize(
    "wrong",
    [
        {"database": "mysql://u:hunter2@h/d"},
        {"replicas": ["hunter2"]},
        {"redis": "redis://:hunter2@h:hunter2"},
        {"redis": "redis+cluster://:hunter2@h/hunter2"},
        {"redis": "redis+sentinel://:hunter2@h/hunter2?sentinel_password=hunter2&password=hunter2"},
        {"url": "https://u:hunter2@h"},
    ],
)
def test_no_message_shows_a_password(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Region("r", **wrong)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_no_repr_shows_a_password() -> None:
    secret = "postgresql://u:hunter2@h/d"
    region = Region(
        "r", database=secret, replicas=[secret], redis="redis://:hunter2@h", url="http://h"
    )
    topology = Topology(here="r", regions=[region])
    assert "hunter2" not in f"{region!r} {topology!r} {topology}"
    assert "'r'" in repr(topology)


# --- a topology


def test_a_topology() -> None:
    topology = make(here="fra")
    assert topology.regions == (IAD, FRA, SIN)
    assert (topology.here, topology.primary, topology.region("sin")) == (FRA, IAD, SIN)
    assert topology.has_database
    assert topology == make(here="fra")
    assert len({topology, make(here="fra"), make(here="iad")}) == 2
    with pytest.raises(AttributeError):
        topology.here = IAD  # type: ignore[misc]  # what is being tested


def test_a_region_that_is_alone_is_the_primary() -> None:
    topology = make(Region("solo"), here="solo")
    assert topology.primary is topology.here is topology.region("solo")
    assert topology.primary.primary
    assert not topology.has_database


@pytest.mark.parametrize(
    ("regions", "why"),
    [
        ([], "at least one"),
        ([Region("a", primary=True), Region("a")], "named twice: a"),
        (
            [Region("a", primary=True), Region("b", primary=True)],
            "one region can be primary, not a, b",
        ),
        ([Region("a"), Region("b")], "must say primary=True"),
        ([IAD, Region("b", database="postgres://h/d")], "'b': only the primary, 'iad'"),
        (
            [Region("a", primary=True), FRA],
            "'fra' has replicas, but the primary, 'a', has no database",
        ),
        ([Region("a", replicas=["postgres://h/d"])], "'a' has replicas, but"),
    ],
)
def test_regions_that_contradict_each_other(regions: list[Region], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        Topology(here="a", regions=regions)


def test_an_unknown_region_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"region 'xxx' .*\(iad, fra, sin\)"):
        make().region("xxx")


# --- here


def test_the_code_says_what_is_here() -> None:
    assert make(here="fra", REGIONWARE_REGION="sin", FLY_REGION="iad").here == FRA
    with pytest.raises(ConfigurationError, match=r"here 'xxx' .*iad, fra, sin"):
        make(here="xxx")


def test_then_our_own_variable() -> None:
    assert make(here=None, REGIONWARE_REGION=" sin ", FLY_REGION="iad").here == SIN
    with pytest.raises(ConfigurationError, match=r"REGIONWARE_REGION 'xxx' .*iad, fra, sin"):
        make(here=None, REGIONWARE_REGION="xxx", FLY_REGION="iad")


@pytest.mark.parametrize("variable", PLATFORM_VARIABLES)
def test_then_the_variable_of_a_platform(variable: str) -> None:
    assert make(here=None, REGIONWARE_REGION="", **{variable: "fra"}).here == FRA


def test_a_variable_that_names_another_scheme_is_passed_over() -> None:
    assert make(here=None, VERCEL_REGION="fra", AWS_REGION="eu-central-1").here == FRA
    assert make(here=None, VERCEL_REGION="fra1", AWS_REGION="sin").here == SIN
    azure = Region("westeurope", primary=True)
    assert make(azure, SIN, here=None, REGION_NAME="West Europe").here == azure


def test_nothing_says_what_is_here() -> None:
    with pytest.raises(
        ConfigurationError, match=r"REGIONWARE_REGION .*iad, fra, sin .*no platform"
    ):
        make(here=None)
    with pytest.raises(ConfigurationError, match="found AWS_REGION=us-east-1"):
        make(Region("solo"), here=None, AWS_REGION="us-east-1")


def test_the_process_has_an_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIONWARE_REGION", "fra")
    assert Topology(regions=[IAD, FRA]).here == FRA
    monkeypatch.setenv("REGIONWARE_REGIONS", "fra")
    assert Topology.from_env().here.name == "fra"


# --- from the environment

ENVIRON = {
    "REGIONWARE_REGION": "fra-1",
    "REGIONWARE_REGIONS": "iad, fra-1",
    "REGIONWARE_PRIMARY": "iad",
    "REGIONWARE_IAD_DATABASE": "host=primary dbname=app",
    "REGIONWARE_IAD_LOCATION": "38.95,-77.45",
    "REGIONWARE_FRA_1_REPLICAS": "postgresql://a/app  postgresql://b/app",
    "REGIONWARE_FRA_1_REDIS": "redis://cache/0",
    "REGIONWARE_FRA_1_URL": "https://fra.example.com",
    "REGIONWARE_FRA_1_LOCATION": " 50.04 , 8.56 ",
    "REGIONWARE_IAD_REDIS": "",
    "REGIONWARE_MODE": "off",
}


def test_a_topology_from_the_environment() -> None:
    topology = Topology.from_env(ENVIRON)
    assert topology.primary == Region(
        "iad", primary=True, location=(38.95, -77.45), database="host=primary dbname=app"
    )
    assert topology.here == Region(
        "fra-1",
        location=(50.04, 8.56),
        replicas=("postgresql://a/app", "postgresql://b/app"),
        redis="redis://cache/0",
        url="https://fra.example.com",
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"REGIONWARE_REGIONS": " , "}, "REGIONWARE_REGIONS must list"),
        ({"REGIONWARE_PRIMARY": "xxx"}, "REGIONWARE_PRIMARY is 'xxx'"),
        ({"REGIONWARE_PRIMARY": ""}, "primary=True"),
        ({"REGIONWARE_IAD_DATABSE": "x"}, "REGIONWARE_IAD_DATABSE: unknown"),
        ({"REGIONWARE_IAD_LOCATION": "here"}, "REGIONWARE_IAD_LOCATION"),
        ({"REGIONWARE_IAD_LOCATION": "1,2,3"}, "REGIONWARE_IAD_LOCATION"),
        ({"REGIONWARE_IAD_REPLICAS": "host=a dbname=b"}, "REGIONWARE_IAD_REPLICAS: URLs"),
        ({"REGIONWARE_REGIONS": "iad,fra-1,fra_1"}, "two names are one"),
        ({"REGIONWARE_REGIONS": "iad,fra-1,iad"}, "named twice: iad"),
        ({"REGIONWARE_REGION": "xxx"}, "REGIONWARE_REGION 'xxx'"),
    ],
)
def test_an_environment_that_cannot_work(change: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        Topology.from_env(ENVIRON | change)


# --- the nearest


@pytest.mark.parametrize(
    ("point", "nearest"),
    [
        ((40.7, -74.0), "iad"),
        ((48.9, 2.3), "fra"),
        ((-33.9, 151.2), "sin"),
        ((35.7, 139.7), "sin"),
        ((-34.6, -58.5), "iad"),
        ((55.8, 37.6), "fra"),
    ],
)
def test_the_nearest_region(point: tuple[float, float], nearest: str) -> None:
    assert make().nearest(*point) == make().region(nearest)


def test_the_date_line_and_the_poles_are_no_borders() -> None:
    west = Region("west", primary=True, location=(0, -179))
    east = Region("east", location=(0, 170))
    north = Region("north", location=(80, 20))
    topology = make(west, east, north, here="west")
    assert topology.nearest(0, 179) == west
    assert topology.nearest(88, -160) == north


@given(LATITUDES, LONGITUDES)
def test_the_nearest_has_the_smallest_great_circle_distance(
    latitude: float, longitude: float
) -> None:
    def distance(region: Region) -> float:
        a, b = map(math.radians, region.location or ())
        c, d = math.radians(latitude), math.radians(longitude)
        h = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
        return 2 * math.asin(min(1.0, math.sqrt(h)))

    nearest = make().nearest(latitude, longitude)
    assert nearest is not None
    assert distance(nearest) <= min(map(distance, (IAD, FRA, SIN))) + 1e-6


@pytest.mark.parametrize(
    "ask", [lambda t: t.nearest(91, 0), lambda t: t.nearest(math.nan, math.nan)]
)
def test_nothing_is_near_to_no_point(ask: Callable[[Topology], Region | None]) -> None:
    assert ask(make()) is None


def test_a_region_without_a_location_is_never_nearest() -> None:
    assert make(Region("a"), here="a").nearest(0, 0) is None
    assert make(Region("a", primary=True), SIN, here="a").nearest(38.9, -77.4) == SIN
