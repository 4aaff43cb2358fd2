"""The signed cookie: whose word it is, how long it holds, and what counts as absent."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware import ConfigurationError, Regionware
from regionware.http.request import Request
from regionware.locate import Claim, Pin, Resolver, Trust
from regionware.locate.healthy import Marks
from regionware.locate.pin import LONGEST, Pinned, PinSigner
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Response
from tests.locate.geo import FRA, IAD, SIN, TOPOLOGY, Asked
from tests.rig import Rig

SECRET = "0123456789abcdef"
OTHER = "fedcba9876543210"
NOW = 1_800_000_000.0


def pinned(*secrets: str, now: float = NOW, secure: bool = False, **options: Any) -> Pinned:
    return Pinned(
        Pin(**options),
        PinSigner(secrets or [SECRET]),
        TOPOLOGY.by_name,
        secure=lambda _: secure,
        wall=lambda: now,
    )


def cookie(region: str = "fra", secret: str = SECRET, issued: float = NOW) -> str:
    return f"regionware-region={PinSigner([secret]).sign(region, issued)}"


def region_of(provider: Pinned, text: str) -> str | None:
    claim = provider(Asked(cookie=text))
    return None if claim is None else claim.region


def test_a_pin_is_the_clients_own_word() -> None:
    claim = pinned()(Asked(cookie=cookie()))
    assert claim == Claim(region="fra", source="pin", trust=Trust.ASSERTED)
    assert pinned()(Asked()) is None
    assert pinned()(Asked(cookie="a=b")) is None


def test_rotation() -> None:
    """The first secret signs, all verify."""
    assert region_of(pinned(OTHER, SECRET), cookie()) == "fra"
    assert region_of(pinned(OTHER), cookie()) is None
    assert PinSigner([OTHER, SECRET]).sign("fra", NOW) == PinSigner([OTHER]).sign("fra", NOW)
    assert PinSigner([OTHER]).sign("fra", NOW) == PinSigner([OTHER.encode()]).sign("fra", NOW)


@pytest.mark.parametrize(
    ("age", "holds"),
    [(0, True), (LONGEST, True), (LONGEST + 1, False), (10 * LONGEST, False), (-3600, True)],
)
def test_a_pin_holds_for_a_day(age: float, holds: bool) -> None:
    assert (region_of(pinned(now=NOW + age), cookie()) == "fra") is holds
    assert region_of(pinned(now=NOW + 61, max_age=60), cookie()) is None


def test_a_region_that_is_gone_counts_as_absent() -> None:
    assert region_of(pinned(), cookie("ams")) is None
    assert region_of(pinned(), cookie("sin")) == "sin"


def test_every_changed_character_is_noticed() -> None:
    text = cookie().partition("=")[2]
    for place, letter in itertools.product(range(len(text)), "A1.-f"):
        changed = text[:place] + letter + text[place + 1 :]
        if changed != text:
            assert region_of(pinned(), f"regionware-region={changed}") is None, changed


def test_without_the_comparison_it_would_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what was changed is believed when nobody compares."""
    changed = cookie().replace(".fra.", ".sin.")
    assert region_of(pinned(), changed) is None
    monkeypatch.setattr("regionware.locate.pin.hmac.compare_digest", lambda *_: True)
    assert region_of(pinned(), changed) == "sin"


@pytest.mark.parametrize(
    "text",
    [
        "", "fra", "1.00000000.1.fra", "1.00000000.1.fra.", "2.00000000.1.fra." + "A" * 22,
        "1.00000000.-1.fra." + "A" * 22, "1.00000000.1.FRA." + "A" * 22,
        "1.0000000\u0661.1.fra." + "A" * 22, "1.00000000.\u0661.fra." + "A" * 22, "x" * 100_000,
        "1" * 5000, "é", "\0",
    ],
)  # fmt: skip
def test_what_is_no_pin(text: str) -> None:
    assert region_of(pinned(), f"regionware-region={text}") is None


@given(st.text(max_size=150) | st.from_regex(r"1\.[0-9a-f]{8}\.[0-9]{1,12}\.fra\.[\w-]{22}"))
def test_nothing_that_is_sent_raises(text: str) -> None:
    assert region_of(pinned(), f"regionware-region={text}") is None


def test_of_several_the_first_that_holds() -> None:
    text = f"{cookie('sin', OTHER)}; {cookie('fra')}; {cookie('iad')}"
    assert region_of(pinned(), text) == "fra"


def test_it_looks_in_no_endless_field() -> None:
    assert region_of(pinned(), "a=b; " * 4000 + cookie()) is None
    assert region_of(pinned(), "a=b; " * 1000 + cookie()) == "fra"


def test_on_https_the_name_is_bound_to_the_host() -> None:
    assert region_of(pinned(secure=True), cookie()) is None
    assert region_of(pinned(secure=True), f"__Host-{cookie()}") == "fra"
    assert region_of(pinned(), f"__Host-{cookie()}") is None
    made = pinned(secure=True).cookie(Asked(), "fra")
    assert made.startswith("__Host-regionware-region=1.")
    assert made.split("; ")[1:] == [
        "Path=/", "Max-Age=86400", "HttpOnly", "SameSite=Lax", "Secure",
    ]  # fmt: skip
    assert "Secure" not in pinned().cookie(Asked(), "fra")
    assert pinned(name="r").cookies == {"r", "__Host-r"}


# --- what it is worth


def derived(_: Request) -> Claim:
    return Claim(country="SG", source="geoip", trust=Trust.DERIVED)


def nothing(_: Request) -> None:
    return None


@pytest.mark.parametrize(
    ("outranks", "others", "region"),
    [
        (False, [derived], SIN),
        (True, [derived], FRA),
        (False, [nothing], FRA),
        (True, [nothing], FRA),
    ],
)
def test_it_outranks_nobody_unless_it_is_said(
    outranks: bool, others: list[Any], region: object
) -> None:
    resolver = Resolver([pinned(outranks=outranks), *others], TOPOLOGY)
    assert resolver.resolve(Asked(cookie=cookie())).region == region


def test_a_region_that_is_down_is_skipped_and_the_pin_stays() -> None:
    marks = Marks(TOPOLOGY)
    resolver = Resolver([pinned(outranks=True), derived], TOPOLOGY, marks=marks)
    asked = Asked(cookie=cookie())
    assert resolver.resolve(asked).region == FRA
    marks.down("fra", 30)
    assert resolver.resolve(asked).region == SIN
    marks.up("fra")
    assert resolver.resolve(asked).region == FRA


# --- in a configuration


def test_it_needs_a_secret() -> None:
    with pytest.raises(ConfigurationError, match=r"Pin\(\) is signed with secret"):
        Regionware(topology=TOPOLOGY, region=[Pin()])
    Regionware(topology=TOPOLOGY, region=[Pin()], secret=SECRET)


def test_alone_it_says_nothing() -> None:
    assert Pin()(Asked(cookie=cookie())) is None
    assert repr([Pin(), pinned()]) == "[Pin('regionware-region'), Pin('regionware-region')]"


def test_its_cookie_is_no_reason_to_bypass_and_no_part_of_the_request(rig: Rig) -> None:
    rw = rig.worker(
        TOPOLOGY, Route("/{path:path}", cache=Cache(ttl=60)),
        region=[Pin()], secret=SECRET, wall=lambda: NOW,
    )  # fmt: skip
    app = Application(lambda seen: Response([seen.headers.get("cookie", "none").encode()]))
    site = rig.site(rw, app)
    first = site.get("/a", headers={"Cookie": cookie("fra")})
    second = site.get("/a", headers={"Cookie": cookie("sin")})
    assert (first.body, first.hit, second.hit) == (b"none", False, True)
    # The control: any other cookie is one.
    assert site.get("/a", headers={"Cookie": "other=1"}).cache_status["detail"] == "cookie"


def test_it_is_part_of_a_key_where_the_region_is(rig: Rig) -> None:
    rw = rig.worker(
        TOPOLOGY, Route("/{path:path}", cache=Cache(ttl=60, by="region")),
        region=[Pin()], secret=SECRET, wall=lambda: NOW,
    )  # fmt: skip
    site = rig.site(rw, Application(lambda _: Response([_region()])))
    for _ in range(2):
        for name in ("fra", "sin", "iad"):
            answer = site.get("/a", headers={"Cookie": cookie(name)})
            assert answer.body == name.encode()
    assert answer.hit
    forged = site.get("/a", headers={"Cookie": cookie("fra", OTHER)})
    assert forged.body == IAD.name.encode()


def _region() -> bytes:
    import regionware  # noqa: PLC0415 - of one test

    state = regionware.current()
    assert state is not None
    return state.region.name.encode()
