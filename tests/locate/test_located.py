"""What is found: how, how sure, and that there is never much of it."""

import pytest

from regionware import InsufficientTrust, Regionware, RegionwareError
from regionware.http.request import Request
from regionware.locate import Claim, Cookie, Header, Ingress, Platform, Provider, Resolver, Trust
from tests.locate.cases import (
    CLIENT,
    FORGED,
    FRA,
    IAD,
    PROXY,
    SECRET,
    SIN,
    STRANGER,
    TOPOLOGY,
    Asked,
    proven,
)


def test_trust_that_is_required() -> None:
    resolver = Resolver([Platform("fly"), Cookie("region")], TOPOLOGY, [Ingress.fly()])
    sure = resolver.resolve(Asked(PROXY, {"Fly-Region": "fra"}))
    assert sure.require(Trust.PLATFORM) is sure
    hint = resolver.resolve(Asked(PROXY, {"Cookie": "region=sin"}))
    assert hint.require(Trust.ASSERTED).region == SIN
    with pytest.raises(InsufficientTrust, match="cookie:region, with trust asserted") as found:
        hint.require(Trust.PLATFORM)
    assert (found.value.source, isinstance(found.value, RegionwareError)) == ("cookie:region", True)
    with pytest.raises(InsufficientTrust):
        resolver.resolve(Asked(STRANGER, {"Fly-Region": "fra"})).require(Trust.ASSERTED)


def test_what_is_found_is_bounded_whatever_a_provider_says() -> None:
    class Talkative:
        def __call__(self, request: Request, /) -> Claim | None:
            return Claim(region="fra", source=request.header("x-any") or "", country="FR")

    resolver = Resolver([Talkative()], TOPOLOGY)
    words = ["x" * 65, "", "A", "a b", "a\n", "é", *(f"s{number}" for number in range(500))]
    found = {resolver.resolve(Asked(None, {"X-Any": word})) for word in words}
    assert len(found) <= 65
    assert {one.label for one in found} >= {"fra/provider/asserted", "fra/s1/asserted"}
    assert all(one.label.isprintable() and len(one.label) < 120 for one in found)
    # What was said is told, and makes no difference.
    (first, second) = (resolver.resolve(Asked(None, {"X-Any": "a b"})) for _ in range(2))
    assert first.claim is not second.claim
    assert first == second


# --- Two CDNs: the inner one describes the outer one's server


OUTER = {"X-Origin-Auth": SECRET, "CF-IPCountry": "SG", "CF-Connecting-IP": "192.0.2.77"}


def test_a_platform_that_means_another_client_is_not_believed() -> None:
    """Fastly in front of Cloudflare: Cloudflare sees a server of Fastly's in Singapore."""
    stacked = Ingress("10.0.0.0/8", secret=SECRET, platforms=["cloudflare"], client="X-Real-IP")
    providers: list[Provider] = [Platform("cloudflare"), Cookie("region")]
    resolver = Resolver(providers, TOPOLOGY, [stacked])
    fields = {**OUTER, "X-Real-IP": CLIENT, "Cookie": "region=fra"}
    assert resolver.resolve(Asked(PROXY, fields)).source == "cookie:region"
    # The controls: they agree; one of them does not tell; and Cloudflare alone.
    same = {**fields, "CF-Connecting-IP": CLIENT}
    assert resolver.resolve(Asked(PROXY, same)).region == SIN
    silent = {name: value for name, value in fields.items() if name != "CF-Connecting-IP"}
    assert resolver.resolve(Asked(PROXY, silent)).region == SIN
    alone = Resolver(providers, TOPOLOGY, [Ingress.cloudflare(secret=SECRET)])
    assert alone.resolve(Asked(PROXY, fields)).region == SIN


@pytest.mark.parametrize("told", ["garbage", "", "192.0.2.77, 192.0.2.78", FORGED])
def test_what_cannot_be_compared_differs(told: str) -> None:
    stacked = Ingress("10.0.0.0/8", platforms=["cloudflare"], client="X-Real-IP")
    resolver = Resolver([Platform("cloudflare")], TOPOLOGY, [stacked])
    fields = {"CF-IPCountry": "SG", "CF-Connecting-IP": told, "X-Real-IP": CLIENT}
    assert resolver.resolve(Asked(PROXY, fields)).region == IAD


def test_where_the_client_is_not_known_nothing_is_compared() -> None:
    stacked = Ingress("10.0.0.0/8", platforms=["cloudflare"], client="X-Real-IP")
    resolver = Resolver([Platform("cloudflare")], TOPOLOGY, [stacked])
    fields = {"CF-IPCountry": "SG", "CF-Connecting-IP": CLIENT, "X-Real-IP": "unknown"}
    assert resolver.resolve(Asked(PROXY, fields)).region == SIN


def test_cloudfront_writes_a_port_behind_the_address() -> None:
    stacked = Ingress("10.0.0.0/8", platforms=["cloudfront"])
    resolver = Resolver([Platform("cloudfront")], TOPOLOGY, [stacked])
    for address, told in ((CLIENT, f"{CLIENT}:53211"), ("2001:db8::7", "2001:db8::7:53211")):
        fields = {"CloudFront-Viewer-Country": "SG", "CloudFront-Viewer-Address": told}
        asked = Asked(PROXY, {**fields, "X-Forwarded-For": address})
        assert resolver.resolve(asked).region == SIN
        asked = Asked(PROXY, {**fields, "X-Forwarded-For": FORGED})
        assert resolver.resolve(asked).region == IAD


# --- What explain shows


def outcomes(rw: Regionware, fields: dict[str, str], peer: str) -> list[str]:
    told = rw.explain("GET", "/", fields, peer=peer)["region"]["chain"]
    assert told[0]["provider"] == "Header('x-region')"
    return [one["outcome"] for one in told]


def test_explain_tells_what_became_of_every_provider() -> None:
    class Broken:
        def __call__(self, request: Request, /) -> Claim | None:
            raise RuntimeError

        def __repr__(self) -> str:
            return "Broken"

    ingress = Ingress.cloudflare("10.0.0.0/8", secret=SECRET)
    providers: list[Provider] = [
        Header("X-Region"),
        Platform("cloudflare"),
        Broken(),
        Cookie("region"),
    ]
    rw = Regionware(topology=TOPOLOGY, region=providers, trusted=[ingress])
    through = {**proven("cloudflare"), "X-Region": "sin"}
    unset = "not believed: the ingress cloudflare does not set it"
    nobody = "not believed: the request came through no ingress"
    assert outcomes(rw, through, PROXY) == [unset, "accepted", "not asked", "not asked"]
    lost = {**through, "CF-IPCountry": "XX", "CF-IPLatitude": "999", "Cookie": "region=mars"}
    assert outcomes(rw, lost, PROXY) == [unset, "says nothing", "failed", "names no region"]
    assert outcomes(rw, through, STRANGER) == [nobody, nobody, "failed", "says nothing"]

    told = rw.explain("GET", "/", through, peer=PROXY)
    assert (told["ingress"], told["region"]["name"]) == ("cloudflare", "fra")
    assert told["client"] == {
        "address": CLIENT, "source": "cf-connecting-ip", "trust": "platform", "stopped": None,
    }  # fmt: skip
    assert told["removed"] == ["x-origin-auth", "x-region"]
    told = rw.explain("GET", "/", through, peer=STRANGER)
    assert (told["ingress"], told["region"]["name"]) == (None, "iad")
    assert told["client"] == {
        "address": STRANGER, "source": "peer", "trust": "local", "stopped": None,
    }  # fmt: skip
    assert "cf-connecting-ip" in told["removed"]
    assert not any(
        one.chain for one in (Resolver(providers, TOPOLOGY).resolve(Asked()),)
    )  # for explain alone


def test_the_region_of_a_resolver_is_the_same_with_and_without_words() -> None:
    resolver = Resolver([Platform("cloudflare")], TOPOLOGY, [Ingress.cloudflare(secret=SECRET)])
    asked = Asked(PROXY, proven("cloudflare"))
    assert resolver.explain(asked) == resolver.resolve(asked)
    assert resolver.resolve(asked).region == FRA
