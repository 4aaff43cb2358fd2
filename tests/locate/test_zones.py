"""The tables of time zones, states and provinces, held against each other and against tzdata."""

import zoneinfo
from typing import Final

import pytest

from regionware.locate import Platform, Resolver, subdivisions, zones
from regionware.locate.countries import POINTS
from regionware.locate.latency import between, vector
from regionware.region import Region, valid
from regionware.topology import Topology
from tests.locate.geo import FRA, IAD, PROXY, SIN, TRUSTED, Asked

_KILOMETRES: Final = 6371.0

#: What browsers say where the database says something else (ECMA-402, as shipped in 2026).
OF_BROWSERS = {
    "Asia/Calcutta": "Asia/Kolkata",
    "Asia/Katmandu": "Asia/Kathmandu",
    "Asia/Rangoon": "Asia/Yangon",
    "Asia/Saigon": "Asia/Ho_Chi_Minh",
    "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
    "America/Indianapolis": "America/Indiana/Indianapolis",
    "America/Louisville": "America/Kentucky/Louisville",
    "America/Godthab": "America/Nuuk",
    "Atlantic/Faeroe": "Atlantic/Faroe",
    "Africa/Asmera": "Africa/Asmara",
    "Europe/Kiev": "Europe/Kyiv",
    "Pacific/Truk": "Pacific/Chuuk",
    "Pacific/Ponape": "Pacific/Pohnpei",
    "US/Pacific": "America/Los_Angeles",
    "Japan": "Asia/Tokyo",
}


def test_every_zone_is_a_place_in_a_country_that_is_known() -> None:
    assert len(zones.ZONES) > 400
    assert list(zones.ZONES) == sorted(zones.ZONES)
    for name, (country, *place) in zones.ZONES.items():
        assert country in POINTS
        assert valid(*place)
        assert "/" in name
        assert zones.known(name) == name


def test_every_country_but_kosovo_has_a_zone() -> None:
    assert set(POINTS) - {country for country, *_ in zones.ZONES.values()} == {"XK"}


def test_aliases_lead_to_zones() -> None:
    assert set(zones.ALIASES.values()) <= set(zones.ZONES)
    assert not set(zones.ALIASES) & set(zones.ZONES)
    for alias, name in OF_BROWSERS.items():
        assert zones.known(alias) == name


def test_no_name_is_missing_but_those_of_no_place() -> None:
    nowhere = ("Etc/", "GMT", "UTC", "UCT", "Universal", "Zulu", "Greenwich", "Factory")
    # Names of an offset that some country has, or had; `tzdata` may link them to a city.
    offsets = {"CET", "CST6CDT", "EET", "EST", "EST5EDT", "HST", "MET", "MST", "MST7MDT", "PST8PDT",
               "WET"}  # fmt: skip
    missing = {
        name
        for name in zoneinfo.available_timezones()
        if zones.known(name) is None and not name.startswith(nowhere) and name not in offsets
    }
    assert missing <= {"localtime", "posixrules"}


@pytest.mark.parametrize("name", ["UTC", "Etc/GMT+5", "", "Mars/Olympus", "europe/paris", "GMT"])
def test_names_of_no_place(name: str) -> None:
    assert zones.known(name) is None


def test_states_lie_in_their_country() -> None:
    """Each is near one of the country's zones, and no two are one place."""
    assert {code[:2] for code in subdivisions.POINTS} == {"AU", "BR", "CA", "US"}
    assert len([code for code in subdivisions.POINTS if code.startswith("US-")]) == 51
    assert len(set(subdivisions.POINTS.values())) == len(subdivisions.POINTS)
    for code, place in subdivisions.POINTS.items():
        near = min(
            between(vector(place), vector(spot)) * _KILOMETRES
            for nation, *rest in zones.ZONES.values()
            if nation == code[:2] and (spot := (rest[0], rest[1]))
        )
        assert near < 1300, (code, near)  # Houston to Chicago


SJC = Region("sjc", location=(37.3, -121.9))
COASTS = Topology(here="iad", regions=[IAD, SJC, FRA, SIN])


@pytest.mark.parametrize(
    ("fields", "region", "by"),
    [
        ({"cf_timezone": "America/Los_Angeles", "cf_ipcountry": "US"}, "sjc", "zone"),
        ({"cf_timezone": "America/Los_Angeles"}, "sjc", "zone"),
        ({"cf_timezone": "US/Pacific"}, "sjc", "zone"),
        ({"cf_timezone": "America%2FLos_Angeles"}, "sjc", "zone"),
        ({"cf_region_code": "WA", "cf_ipcountry": "US"}, "sjc", "subdivision"),
        ({"cf_region_code": "WA", "cf_ipcountry": "AU"}, "sin", "country"),
        ({"cf_region_code": "US-WA", "cf_ipcountry": "US"}, "sjc", "subdivision"),
        (
            {"cf_region_code": "ZZ", "cf_timezone": "US/Pacific", "cf_ipcountry": "US"},
            "sjc",
            "zone",
        ),
        ({"cf_region_code": "NY", "cf_ipcountry": "US"}, "iad", "subdivision"),
        ({"cf_ipcountry": "US"}, "iad", "country"),
        ({"cf_timezone": "UTC", "cf_ipcountry": "US"}, "iad", "country"),
        ({"cf_timezone": "Asia/Calcutta", "cf_ipcountry": "XX"}, "sin", "zone"),
        ({"cf_timezone": "America/Los_Angeles", "cf_ipcountry": "FR"}, "fra", "country"),
        ({"cf_timezone": "Mars/Olympus"}, "iad", "default"),
    ],
)
def test_a_state_or_a_zone_tells_where_in_a_large_country(
    fields: dict[str, str], region: str, by: str
) -> None:
    resolver = Resolver([Platform("cloudflare")], COASTS, TRUSTED)
    for _ in range(2):
        located = resolver.resolve(Asked(PROXY, **fields))
        assert (located.region.name, located.by) == (region, by)
    assert resolver.resolve(Asked("203.0.113.9", **fields)).source == "default"


@pytest.mark.parametrize(
    ("platform", "fields"),
    [
        ("bunny", {"CDN_RequestCountryCode": "US", "CDN_RequestStateCode": "CA"}),
        ("appengine", {"X_Appengine_Country": "US", "X_Appengine_Region": "ca",
                       "X_Appengine_CityLatLong": "0.000000,0.000000"}),
        ("google", {"X_Client_Geo": "US,USCA,,,"}),
        ("akamai", {"X_Akamai_Edgescape": "country_code=US,region_code=CA,lat=reserved"}),
        ("netlify", {"X_Nf_Geo": '{"country":{"code":"US"},"subdivision":{"code":"CA"}}'}),
        ("netlify", {"X_Nf_Geo": '{"timezone":"America/Los_Angeles"}'}),
        ("fastly", {"X_Geo_Country": "US", "X_Geo_Region": "CA", "X_Geo_Latitude": "999.0",
                    "X_Geo_Longitude": "999.0"}),
        ("vercel", {"X_Vercel_IP_Country": "US", "X_Vercel_IP_Country_Region": "CA"}),
        ("cloudfront", {"CloudFront_Viewer_Country": "US",
                        "CloudFront_Viewer_Time_Zone": "America/Los_Angeles"}),
    ],
)  # fmt: skip
def test_each_platforms_words_for_california(platform: str, fields: dict[str, str]) -> None:
    resolver = Resolver([Platform(platform)], COASTS, TRUSTED)
    assert resolver.resolve(Asked(PROXY, **fields)).region == SJC
