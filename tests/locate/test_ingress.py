"""Ingresses: who is believed, about what, and what cannot be configured."""

import logging
from typing import Any

import pytest

from regionware import ConfigurationError, Regionware
from regionware.http.request import Request
from regionware.locate import Claim, Header, Ingress, Platform, Resolver, Trust
from regionware.locate.peers import Peers
from regionware.locate.platforms import PLATFORMS
from tests.locate.cases import (
    CLIENT,
    FORGED,
    FRA,
    IAD,
    PROXY,
    SECRET,
    STRANGER,
    TOLD,
    TOPOLOGY,
    Asked,
    preset,
    proven,
)

NEW = "another-secret-of-that-origin"
EDGE = "192.0.2.77"


@pytest.mark.parametrize("platform", TOLD)
def test_a_preset_reads_its_platform(platform: str) -> None:
    resolver = Resolver([Platform(platform)], TOPOLOGY, [preset(platform)])
    request = Asked(PROXY, proven(platform))
    found, client = resolver.resolve(request), resolver.client(request)
    assert (found.region, found.source, found.trust) == (
        FRA,
        f"platform:{platform}",
        Trust.PLATFORM,
    )
    assert (str(client), client.trust) == (CLIENT, Trust.PLATFORM)
    # Without the proof, and with another.
    for proof in ({}, {"X-Origin-Auth": NEW, "X-Azure-FDID": NEW}):
        forged = Asked(PROXY, {**TOLD[platform], "X-Azure-FDID": "", **proof})
        assert resolver.resolve(forged).region == IAD
        assert (str(resolver.client(forged)), resolver.client(forged).trust) == (PROXY, Trust.LOCAL)


@pytest.mark.parametrize("platform", [*TOLD, "appengine"])
def test_an_ingress_speaks_for_its_own_platform_alone(platform: str) -> None:
    """Whatever else a client sends through it, nobody vouches for that."""
    others = [name for name in TOLD if name != platform]
    sent = {name: value for other in others for name, value in TOLD[other].items()}
    ingress = Ingress(PROXY, platforms=[platform])
    resolver = Resolver(list(map(Platform, others)), TOPOLOGY, [ingress])
    assert resolver.resolve(Asked(PROXY, sent)).region == IAD
    everything = Resolver(list(map(Platform, others)), TOPOLOGY, [PROXY])
    assert everything.resolve(Asked(PROXY, sent)).region == FRA  # the control


def test_a_header_of_the_own_proxy_must_be_named() -> None:
    asked = Asked(PROXY, {"X-Region": "fra"})
    for ingress, region in ((Ingress(PROXY, headers=["X-Region"]), FRA), (Ingress(PROXY), IAD)):
        assert Resolver([Header("X-Region")], TOPOLOGY, [ingress]).resolve(asked).region == region
        asked = Asked(PROXY, {"X-Region": "fra"})


def test_a_provider_that_does_not_say_what_it_reads_is_not_asked() -> None:
    class Secretive:
        forgeable = True

        def __call__(self, request: Request, /) -> Claim | None:
            return Claim(region="fra")

    for trusted, region in ((Ingress(PROXY), IAD), (PROXY, FRA)):
        resolver = Resolver([Secretive()], TOPOLOGY, [trusted])
        assert resolver.resolve(Asked(PROXY)).region == region


# --- Conditions


def test_a_secret_that_is_exchanged() -> None:
    """Both are good for as long as both are listed."""
    ingress = Ingress(secret=[NEW, SECRET])
    for secret in (NEW, SECRET):
        assert Resolver([], TOPOLOGY, [ingress]).client(
            Asked(STRANGER, {"X-Origin-Auth": secret, "X-Forwarded-For": CLIENT})
        ).trust is Trust.PLATFORM  # fmt: skip
    for wrong in (None, "", SECRET[:-1], SECRET + "x", f"{SECRET}, {SECRET}", SECRET.upper(), "é"):
        fields = {"X-Forwarded-For": CLIENT} | ({} if wrong is None else {"X-Origin-Auth": wrong})
        found = Resolver([], TOPOLOGY, [ingress]).client(Asked(STRANGER, fields))
        assert (str(found), found.trust) == (STRANGER, Trust.LOCAL)


def test_secrets_are_compared_in_constant_time_and_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[bytes] = []

    def compare(given: bytes, secret: bytes) -> bool:
        compared.append(secret)
        return given == secret

    monkeypatch.setattr("regionware.locate.way.hmac.compare_digest", compare)
    ingress = Ingress(secret=[SECRET, NEW])
    assert ingress.admits(Asked(STRANGER, {"X-Origin-Auth": SECRET}), replaced=False)
    assert compared == [SECRET.encode(), NEW.encode()]


@pytest.mark.parametrize(
    ("peer", "secret", "admitted"),
    [(PROXY, SECRET, True), (STRANGER, SECRET, False), (PROXY, NEW, False), (STRANGER, NEW, False)],
)
def test_all_conditions_must_hold(peer: str, secret: str, admitted: bool) -> None:
    ingress = Ingress("10.0.0.0/8", secret=SECRET)
    asked = Asked(peer, {"X-Origin-Auth": secret, "X-Forwarded-For": CLIENT})
    assert ingress.admits(asked, replaced=False) is admitted


@pytest.mark.parametrize(
    ("peer", "private"),
    [
        ("10.1.2.3", True), ("172.31.0.1", True), ("192.168.1.1", True), ("127.0.0.1", True),
        ("::1", True), ("fdaa::3", True), ("fe80::1%eth0", True), ("::ffff:10.0.0.1", True),
        ("169.254.1.1", True), (None, True), ("172.32.0.1", False), ("203.0.113.1", False),
        ("100.64.0.1", False), ("2001:db8::1", False), ("0.0.0.0", False), ("garbage", False),
    ],
)  # fmt: skip
def test_a_private_network(peer: str | None, private: bool) -> None:
    for ingress in (Ingress(private=True), Ingress("private", "unix"), Ingress.fly()):
        assert ingress.admits(Asked(peer, {}), replaced=False) is private


def test_private_is_a_word_of_trusted_too() -> None:
    assert Peers(["private"]).trusts("192.168.7.7")
    assert not Peers(["private"]).trusts(None)
    assert Resolver([], TOPOLOGY, ["private"]).client(
        Asked("10.1.1.1", {"X-Forwarded-For": CLIENT})
    ).trust is Trust.PLATFORM  # fmt: skip


# --- A CDN, then a load balancer


BALANCER = Ingress.load_balancer("10.0.0.0/8")


@pytest.mark.parametrize("platform", [name for name in TOLD if name not in ("azure", "google")])
def test_a_cdn_behind_a_load_balancer(platform: str) -> None:
    """The balancer is known by its address, the CDN by its secret."""
    ingress = preset(platform, behind=BALANCER)
    resolver = Resolver([Platform(platform)], TOPOLOGY, [ingress, BALANCER])
    passed = {**proven(platform), "X-Forwarded-For": f"{FORGED}, {CLIENT}, {EDGE}"}
    asked = Asked(PROXY, passed)
    assert resolver.resolve(asked).region == FRA
    assert str(resolver.client(asked)) == CLIENT
    # Around the CDN, directly to the balancer; and around both.
    asked = Asked(PROXY, {**passed, "X-Origin-Auth": NEW, "X-Forwarded-For": f"{CLIENT}, {FORGED}"})
    assert (resolver.resolve(asked).region, str(resolver.client(asked))) == (IAD, FORGED)
    asked = Asked(STRANGER, passed)
    assert (resolver.resolve(asked).region, str(resolver.client(asked))) == (IAD, STRANGER)


def test_a_cdn_that_is_known_by_its_addresses_behind_a_load_balancer() -> None:
    """The balancer says from where it was asked; a client can write that only to the left of it."""
    ingress = Ingress.cloudflare("192.0.2.0/24", behind=BALANCER)
    resolver = Resolver([], TOPOLOGY, [ingress, BALANCER])
    for field, expected in (
        (f"{FORGED}, {CLIENT}, {EDGE}", CLIENT),
        (f"{CLIENT}, {EDGE}, {FORGED}", FORGED),
        ("garbage", PROXY),
    ):
        found = resolver.client(
            Asked(PROXY, {"CF-Connecting-IP": CLIENT, "X-Forwarded-For": field})
        )
        assert str(found) == expected


def test_both_append_to_one_field() -> None:
    ingress = Ingress(secret=SECRET, behind=BALANCER)
    resolver = Resolver([], TOPOLOGY, [ingress])
    field = f"{FORGED}, {CLIENT}, {EDGE}, 10.0.0.9"
    found = resolver.client(Asked(PROXY, {"X-Origin-Auth": SECRET, "X-Forwarded-For": field}))
    assert (str(found), found.trust) == (CLIENT, Trust.PLATFORM)
    field = f"{FORGED}, {EDGE}, unknown, 10.0.0.9"
    found = resolver.client(Asked(PROXY, {"X-Origin-Auth": SECRET, "X-Forwarded-For": field}))
    assert (str(found), found.trust, found.stopped) == ("10.0.0.9", Trust.UNKNOWN, "hop")


def test_the_first_ingress_that_admits_counts() -> None:
    cdn, own = Ingress.cloudflare(secret=SECRET), Ingress("10.0.0.0/8")
    resolver = Resolver([], TOPOLOGY, ["10.0.0.0/8", cdn, own])
    asked = Asked(PROXY, proven("cloudflare"))
    assert resolver.ingresses.of(asked).way is cdn
    assert resolver.ingresses.of(Asked(PROXY, {})).way is own  # before those believed anything


# --- What cannot be configured


@pytest.mark.parametrize("platform", ["cloudflare", "cloudfront", "fastly", "akamai", "netlify",
                                      "google", "bunny", "azure"])  # fmt: skip
def test_a_cdn_must_be_authenticated(platform: str, caplog: pytest.LogCaptureFixture) -> None:
    make = getattr(Ingress, platform)
    with pytest.raises(ConfigurationError, match=r"needs a secret .* shared by all .* customers"):
        make()
    with pytest.raises(ConfigurationError, match="needs a secret"):
        make(behind=BALANCER)
    for options in ({"secret": SECRET}, {"private": True}):
        assert make(**options).name == platform
    assert not caplog.records
    make("10.0.0.0/8", "fd00::/8")
    assert not caplog.records
    make("192.0.2.0/24")
    assert "shared by all of its customers" in caplog.text


def test_platforms_on_which_the_application_runs_need_no_secret() -> None:
    assert [make().name for make in (Ingress.fly, Ingress.vercel)] == ["fly", "vercel"]
    only = Ingress.fly("fdaa::/16")
    assert not only.admits(Asked("10.0.0.1", {}), replaced=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "name its peers or a secret, or say private=True"),
        ({"secret": []}, "secret is .* 16 to 256|list"),
        ({"secret": "short"}, "16 to 256 visible"),
        ({"secret": "with a space in the middle"}, "16 to 256 visible"),
        ({"secret": [SECRET, 7]}, "secret"),
        ({"secret": SECRET, "header": "X_Origin"}, "header"),
        ({"secret": SECRET, "header": "Cookie"}, "header"),
        ({"secret": SECRET, "header": "Authorization"}, "header"),
        ({"secret": SECRET, "header": "X-Forwarded-For"}, "holds the secret, nothing else"),
        ({"private": "yes"}, "private is True or False"),
        ({"private": True, "client": "X Y"}, "client"),
        ({"private": True, "client": "Host"}, "client"),
        ({"private": True, "client": 7}, "client"),
        (
            {"private": True, "headers": ["Forwarded"]},
            "appends to one lets a client send the other",
        ),
        ({"private": True, "client": "Forwarded", "headers": ["X-Forwarded-For"]}, "beside"),
        ({"private": True, "headers": "X-Region"}, "headers is a list"),
        ({"private": True, "headers": ["Cookie"]}, "headers"),
        ({"private": True, "platforms": ["heroku"]}, "'heroku' is not one of akamai"),
        ({"private": True, "hops": "10.0.0.0/8"}, "hops is a list"),
        ({"private": True, "hops": ["garbage"]}, "garbage"),
        ({"private": True, "behind": "10.0.0.0/8"}, "behind is an Ingress"),
        ({"private": True, "name": "A B"}, "name"),
        ({"private": True, "rewritten": 1}, "rewritten"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as found:
        Ingress(**options)
    assert SECRET not in str(found.value)
    assert "short" not in str(found.value)


def test_an_id_is_no_secret() -> None:
    with pytest.raises(ConfigurationError, match=r"name the peers as well"):
        Ingress.azure(fdid=SECRET)
    with pytest.raises(ConfigurationError, match="exclude each other"):
        Ingress.azure("10.0.0.0/8", fdid=SECRET, secret=SECRET)


@pytest.mark.parametrize("cidr", ["garbage", "10.0.0.1/8", "", 7])
def test_networks_that_are_none(cidr: Any) -> None:
    with pytest.raises(ConfigurationError, match="is not a network"):
        Ingress(cidr)
    with pytest.raises(ConfigurationError, match="is not a network"):
        Regionware(trusted=[Ingress.fly(), cidr])


def test_secrets_show_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ingress = Ingress.cloudflare(secret=[SECRET, NEW])
        rw = Regionware(topology=TOPOLOGY, region=[Platform("cloudflare")], trusted=[ingress])
        told = rw.explain("GET", "/", {"X-Origin-Auth": SECRET, "CF-IPCountry": "FR"})
    assert told["ingress"] == "cloudflare"
    for text in (repr(ingress), str(ingress), repr(rw), repr(told), caplog.text):
        assert SECRET not in text
        assert NEW not in text


def test_presets_and_the_table_of_platforms_agree() -> None:
    """What a platform sets is in its entry, and no platform vouches for what rewrites a request."""
    for name, vendor in PLATFORMS.items():
        assert "x-forwarded-host" not in vendor.sets, name
        assert not vendor.sets & {"x-original-url", "x-http-method-override", "forwarded"}, name
        assert (vendor.client.lower() in vendor.sets) is bool(vendor.client)


def test_providers_that_no_ingress_speaks_for_are_told(caplog: pytest.LogCaptureFixture) -> None:
    Resolver([Platform("fly")], TOPOLOGY, [Ingress.cloudflare(secret=SECRET)])
    assert "no ingress sets their headers" in caplog.text
    caplog.clear()
    Resolver([Platform("fly")], TOPOLOGY, [Ingress.fly()])
    assert not caplog.records
