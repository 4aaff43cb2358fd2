"""Whatever the edge sends, or somebody in its place: nothing raises, and unknown is nothing."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.locate import HeaderMap, Platform, Resolver, decode, subdivisions, zones
from regionware.locate.countries import POINTS
from regionware.locate.platforms import PLATFORMS
from tests.locate.geo import PROXY, TOPOLOGY, TRUSTED, Asked

UNKNOWN = ["XX", "T1", "ZZ", "A1", "A2", "EU", "AP", "O1", "?", "", " ", "reserved", "-", "null"]
NOWHERE = ["0", "0.0", "0.000000", "-0", "999.0", "999", "nan", "inf", "reserved", "?", "", "1e400"]
HOSTILE = st.text(max_size=80) | st.text("%0123456789ABCDEFabcdef\0\r\n,;=\"'{}[]", max_size=80)
TEXTS = HOSTILE | st.sampled_from(
    [*UNKNOWN, *NOWHERE, *list(zones.ZONES)[::40], *list(zones.ALIASES)[::40], "US", "FR", "CA",
     "US-CA", "USCA", "48.8,2.3", "%", "%2", "%ZZ", "%C3%28", "S%C3%A3o%20Paulo", "Europe%2FParis"]
)  # fmt: skip


@pytest.mark.parametrize("code", UNKNOWN)
@pytest.mark.parametrize("name", sorted(PLATFORMS))
def test_unknown_is_nothing_on_every_platform(name: str, code: str) -> None:
    vendor = PLATFORMS[name]
    fields = {
        "country": code, "subdivision": code, "zone": code, "latitude": "0", "longitude": "0.00",
        "pair": "0.000000,0.000000", "region": code or "?",
    }  # fmt: skip
    sent = {getattr(vendor, kind): value for kind, value in fields.items() if getattr(vendor, kind)}
    if vendor.packed:
        sent[vendor.packed] = {
            "edgescape": f"country_code={code},region_code={code},lat=0,long=0,timezone={code}",
            "template": f"{code},{code},{code},0.000000,0.000000,0",
            "geo-json": json.dumps({"country": {"code": code}, "latitude": 0, "longitude": 0,
                                    "subdivision": {"code": code}, "timezone": code}),
        }[vendor.form]  # fmt: skip
    asked = Asked(PROXY, **sent)
    assert Resolver([Platform(name)], TOPOLOGY, TRUSTED).resolve(asked).source == "default"


@pytest.mark.parametrize("value", NOWHERE)
def test_no_point_is_made_of_what_is_none(value: str) -> None:
    assert decode.point(value, value) is None
    assert decode.pair(f"{value},{value}") is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CA", "US-CA"), ("ca", "US-CA"), (" CA ", "US-CA"), ("USCA", "US-CA"), ("US-CA", "US-CA"),
        ("us-ca", "US-CA"), ("US", "US-US"), ("1", "US-1"), ("", None), ("?", None), (None, None),
        ("-", None), ("US-", None), ("CALIFORNIA", None), ("CA\n", None), ("\u00c7A", None),
        ("\uff23A", None), ("C A", None), ("GB-ENG", None), ("\u0131", None),
    ],
)  # fmt: skip
def test_subdivisions(text: str | None, code: str | None) -> None:
    assert decode.subdivision("US", text) == code
    assert decode.subdivision(None, text) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Europe/Paris", "Europe/Paris"), (" Europe/Paris\t", "Europe/Paris"),
        ("Europe%2FParis", "Europe/Paris"), ("Asia/Calcutta", "Asia/Kolkata"), ("", None),
        ("Europe/Paris\n", None), ("PST", None), ("GMT+1", None), ("%", None), ("%FF", None),
        ("x" * 65, None), (None, None),
    ],
)  # fmt: skip
def test_zones(text: str | None, name: str | None) -> None:
    assert decode.zone(text) == name


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), (" 12.5 ", 12.5), ("0", None), ("0.0", None), ("", None), ("-1", None),
     ("1e3", None), ("nan", None), ("999999", None), ("1" * 99, None), ("\u0661", None)],
)  # fmt: skip
def test_round_trips(text: str, number: float | None) -> None:
    assert decode.milliseconds(text) == number
    assert decode.template_round_trip(f"US,USCA,A, B,1,2,{text}") == number


@given(st.data())
def test_no_header_of_any_platform_raises(data: st.DataObject) -> None:
    maps = [HeaderMap("x", country="a", zone="b", subdivision="c", pair="d", region="e")]
    for provider in (*map(Platform, PLATFORMS), *maps):
        fields = {name: data.draw(TEXTS) for name in sorted(provider.headers)}
        claim = provider(Asked(PROXY, **fields))
        if claim is not None:
            check(claim)


def check(claim: Any) -> None:
    """A claim is made of bounded values."""
    assert claim.country is None or (len(claim.country) == 2 and claim.country.isascii())
    assert claim.zone is None or claim.zone in zones.ZONES
    assert claim.location is None or TOPOLOGY.nearest(*claim.location) is not None
    assert claim.subdivision is None or claim.subdivision.startswith(f"{claim.country}-")
    assert claim.round_trip is None or 0 < claim.round_trip < 100_000


@given(TEXTS, TEXTS)
def test_no_decoder_raises(one: str, other: str) -> None:
    decode.country(one)
    decode.point(one, other)
    decode.pair(one)
    decode.milliseconds(one)
    assert (decode.zone(one) or "Europe/Paris") in zones.ZONES
    for code in (*UNKNOWN, "US"):
        decode.subdivision(code, other)


@given(st.binary(max_size=120), st.booleans())
def test_no_packed_rest_raises(raw: bytes, encoded: bool) -> None:
    text = base64.b64encode(raw).decode() if encoded else raw.decode("latin-1")
    for form in decode.RESTS.values():
        area, zone = form(text)
        assert area is None or area[:2].isalpha()
        assert zone is None or zone in zones.ZONES


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_no_json_rest_raises(value: Any) -> None:
    for facts in (value, {"country": value, "subdivision": value, "timezone": value},
                  {"country": {"code": "US"}, "subdivision": {"code": value}}):  # fmt: skip
        decode.geo_json_rest(json.dumps(facts))


def test_the_same_answer_is_remembered_once() -> None:
    platform = Platform("bunny")
    asked = Asked(PROXY, cdn_requestcountrycode="US", cdn_requeststatecode="CA")
    assert platform(asked) is platform(asked)
    assert len(platform._claims) == 2  # what is asked first, and all of it
    for number in range(5000):
        platform(Asked(PROXY, cdn_requestcountrycode="US", cdn_requeststatecode=str(number)))
    assert len(platform._claims) <= 2048


def test_points_of_states_are_of_countries_that_are_known() -> None:
    assert {code[:2] for code in subdivisions.POINTS} <= set(POINTS)
