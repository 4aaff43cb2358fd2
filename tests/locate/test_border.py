"""What of a request's header the application sees, and what answers are stored under."""

import asyncio
from functools import partial
from typing import Any

import pytest

from regionware import Regionware
from regionware.http.request import Request
from regionware.locate import Header, Ingress, Platform
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Response, Seen, text
from tests.conformance.conftest import Clock
from tests.conformance.harness import Site, until
from tests.locate.cases import (
    CLIENT,
    FORGED,
    PROXY,
    SECRET,
    STRANGER,
    TOPOLOGY,
    Asked,
    preset,
    proven,
)
from tests.rig import Rig

BALANCER = Ingress.load_balancer("10.0.0.0/8")


def seen_by(site: Site, path: str = "/x", peer: str = PROXY, **ask: Any) -> dict[str, str]:
    """The header of one request as the application saw it."""
    before = len(site.app.calls)
    site.get(path, peer=peer, **ask)
    assert len(site.app.calls) == before + 1
    return {k: v for k, v in site.app.calls[-1].headers.items() if k not in ("host", "cookie")}


def plain(_: Seen) -> Response:
    return text("ok")


def site(rig: Rig, *routes: Route, handler: Any = plain, **options: Any) -> Site:
    routes = routes or (Route("/cached", cache=Cache(ttl=60)),)
    return rig.site(rig.worker(TOPOLOGY, *routes, **options), Application(handler))


@pytest.mark.parametrize("path", ["/x", "/cached"])
@pytest.mark.parametrize("secret", [SECRET, "wrong-and-long-enough"])
def test_no_application_sees_a_secret(rig: Rig, path: str, secret: str) -> None:
    here = site(rig, trusted=["10.0.0.0/8", Ingress.cloudflare(secret=SECRET)])
    for peer in (PROXY, STRANGER):
        sent = {"X-Origin-Auth": secret, "X-Other": "kept"}
        here.rw.memory.clear()
        assert seen_by(here, path, peer, headers=sent) == {"x-other": "kept"}
    # The control: without the ingress it is nobody's business.
    here = site(rig, trusted=["10.0.0.0/8"])
    assert seen_by(here, headers={"X-Origin-Auth": secret}) == {"x-origin-auth": secret}


def test_a_secret_is_in_no_key(rig: Rig) -> None:
    """One whole CDN shares what is stored, also while its secret is exchanged."""
    other = "another-secret-of-that-origin"
    route = Route("/cached", cache=Cache(ttl=60, vary=["X-Origin-Auth"]))
    here = site(rig, route, trusted=[Ingress.cloudflare(secret=[SECRET, other])])
    for secret in (SECRET, other):
        here.get("/cached", headers={**proven("cloudflare"), "X-Origin-Auth": secret})
    assert len(here.app.calls) == 1


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (CLIENT, CLIENT),
        (f"{FORGED}, {CLIENT}", CLIENT),
        (f"{FORGED},{CLIENT}, 10.0.0.8", f"{CLIENT}, 10.0.0.8"),
        (f"{CLIENT}:80, 10.0.0.8", f"{CLIENT}:80, 10.0.0.8"),
        (f"{FORGED}, garbage, 10.0.0.8", "10.0.0.8"),
        ("garbage", None),
        (f"{FORGED}, ", None),
        (f"{FORGED}{' ' * 5000}, {CLIENT}", None),
    ],
)
def test_the_application_sees_of_x_forwarded_for_what_proxies_vouch_for(
    rig: Rig, sent: str, seen: str | None
) -> None:
    """Many take the first address for the client's; a client can have written it."""
    here = site(rig, trusted=[BALANCER])
    expected = {} if seen is None else {"x-forwarded-for": seen}
    assert seen_by(here, headers={"X-Forwarded-For": sent}) == expected
    assert seen_by(here, "/cached", headers={"X-Forwarded-For": sent}) == {}


def test_peers_that_are_believed_anything_keep_it_as_it_is(rig: Rig) -> None:
    here = site(rig, trusted=["10.0.0.0/8"])
    sent = {"x-forwarded-for": f"{FORGED}, {CLIENT}", "x-real-ip": FORGED, "forwarded": "for=_x"}
    assert seen_by(here, headers=sent) == sent


def test_lines_are_joined_in_their_order(rig: Rig) -> None:
    here = site(rig, trusted=[BALANCER])
    lines = [("X-Forwarded-For", FORGED), ("X-A", "1"), ("X-Forwarded-For", CLIENT)]
    assert seen_by(here, headers=lines)["x-forwarded-for"] == CLIENT
    assert seen_by(here, headers=lines[::-1])["x-forwarded-for"] == FORGED  # the control


def test_x_forwarded_for_agrees_with_the_header_that_is_named(rig: Rig) -> None:
    here = site(rig, trusted=[Ingress.cloudflare(secret=SECRET)])
    sent = {**proven("cloudflare"), "X-Forwarded-For": f"{FORGED}, 192.0.2.77"}
    assert seen_by(here, headers=sent)["x-forwarded-for"] == CLIENT
    sent["CF-Connecting-IP"] = "garbage"
    assert "x-forwarded-for" not in seen_by(here, headers=sent)


# --- Forwarded


SPEAKS = Ingress("10.0.0.0/8", client="Forwarded", host=True)


def test_of_forwarded_one_element_is_left(rig: Rig) -> None:
    here = site(rig, trusted=[SPEAKS])
    field = (
        f"for={FORGED};host=evil;proto=http, for={CLIENT};proto=https;host=Shop.test, for=10.0.0.8"
    )
    sent = {"Forwarded": field, "X-Forwarded-For": FORGED, "X-Forwarded-Host": "evil"}
    for path, client in (("/x", f"for={CLIENT};"), ("/cached", "")):
        seen = seen_by(here, path, headers=sent)
        assert seen == {"forwarded": f"{client}proto=https;host=shop.test"}
    for malformed in (field + '"', "garbage", f"for={FORGED}, for=_hidden"):
        assert seen_by(here, headers={"Forwarded": malformed}) == {}


def test_scheme_and_host_of_forwarded_are_in_the_key_and_the_client_is_not(rig: Rig) -> None:
    here = site(rig, trusted=[SPEAKS])

    def calls(forwarded: str) -> int:
        before = len(here.app.calls)
        here.get("/cached", headers={"Forwarded": forwarded}, peer=PROXY)
        return len(here.app.calls) - before

    assert calls(f"for={CLIENT};proto=https;host=shop.test") == 1
    assert calls(f"for={FORGED};proto=https;host=shop.test") == 0
    assert calls(f"host=evil;proto=http, for={CLIENT};proto=https;host=shop.test") == 0
    assert calls(f"for={CLIENT};proto=http;host=shop.test") == 1
    assert calls(f"for={CLIENT};proto=https;host=other.test") == 1


COUNTRY = {"CF-IPCountry": "DE", "CF-Connecting-IP": CLIENT, "X-Region": "fra"}


@pytest.mark.parametrize("trusted", [
    [Ingress.cloudflare(secret=SECRET)], ["10.0.0.0/8"],
    [Ingress("10.0.0.0/8", platforms=["cloudflare"], headers=["X-Region"])],
])  # fmt: skip
def test_what_tells_of_one_client_is_in_no_answer_for_everybody(rig: Rig, trusted: Any) -> None:
    """An ingress tells the truth, and it is one client's all the same."""
    routes = [Route("/cached", cache=Cache(ttl=60)),
              Route("/by", cache=Cache(ttl=60, by=["CF-IPCountry"])),
              Route("/region", cache=Cache(ttl=60, by="region")),
              Route("/own", cache=Cache(ttl=60, by=[lambda r: r.header("cf-ipcountry") or ""])),
              Route("/book", cache=Cache.standard())]  # fmt: skip
    own = [Header("X-Region")]
    here = site(rig, *routes, trusted=trusted, region=[Platform("cloudflare"), *own])
    sent = {**proven("cloudflare"), **COUNTRY, "X-Forwarded-For": CLIENT}

    def told(path: str) -> set[str]:
        seen = seen_by(here, path, headers=sent)
        return {name for name in seen if name.startswith(("cf-", "x-f", "x-r"))}

    assert told("/cached") == told("/region") == set()
    assert told("/by") == told("/own") == {"cf-ipcountry"}
    assert told("/x") == told("/book") >= {"cf-ipcountry", "cf-connecting-ip", "x-forwarded-for"}
    hidden = here.rw.explain("GET", "/cached", sent, peer=PROXY)["cache"]["removed"]
    assert {"cf-ipcountry", "x-forwarded-for"} <= set(hidden)
    # What bypasses is for one client, who is told of nothing less.
    bypassing = {**sent, "Cookie": "sid=1"}
    assert "cf-ipcountry" in seen_by(here, "/cached", headers=bypassing)


def test_what_an_ingress_does_not_say_of_the_host_is_the_clients(rig: Rig) -> None:
    here = site(rig, trusted=[Ingress("10.0.0.0/8", client="Forwarded")])
    sent = {"Forwarded": f"for={CLIENT};proto=https;host=evil"}
    assert seen_by(here, headers=sent) == {"forwarded": f"for={CLIENT};proto=https"}
    here = site(rig, trusted=[BALANCER])
    sent = {"X-Forwarded-Host": "evil", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/e"}
    assert seen_by(here, headers=sent) == {"x-forwarded-proto": "https"}
    here = site(rig, trusted=[Ingress("10.0.0.0/8", host=True, proto=False)])
    assert seen_by(here, headers=sent) == {"x-forwarded-host": "evil"}


def test_a_refresh_knows_the_scheme_and_no_client(rig: Rig) -> None:
    """It is made for everybody, in the background."""
    route = Route("/cached", cache=Cache(ttl=1, stale_while_revalidate=60))
    for ingress, field, left in (
        (SPEAKS, "Forwarded", {"forwarded": "proto=https;host=shop.test"}),
        (BALANCER, "X-Forwarded-For", {"x-forwarded-proto": "https"}),
    ):
        now = Clock()
        here = site(rig, route, trusted=[ingress], clock=now)
        sent = {
            "Forwarded": f"for={CLIENT};proto=https;host=shop.test", "X-Forwarded-Proto": "https",
            "X-Forwarded-For": f"{FORGED}, {CLIENT}",
        }  # fmt: skip
        here.get("/cached", headers=sent, peer=PROXY)
        now.now += 2
        here.get("/cached", headers=sent, peer=PROXY)
        until(partial(_asked_twice, here))
        refresh = here.app.calls[1]
        seen = {k: v for k, v in refresh.headers.items() if k.startswith(("x-f", "forw"))}
        assert seen == left, field
        assert refresh.state is not None
        assert refresh.state.client.address is None


# --- Names


@pytest.mark.parametrize(
    "name", ["x_forwarded_for", "X_Forwarded-Host", "cf_ipcountry", "x-forwarded_proto",
             "x_origin_auth"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/x", "/cached"])
def test_spellings_that_cgi_cannot_tell_apart(rig: Rig, name: str, path: str) -> None:
    """A server of WSGI has one variable for both; over ASGI nothing hides behind the other one."""
    ingress = Ingress.cloudflare("10.0.0.0/8", secret=SECRET)
    here = site(rig, trusted=[ingress, BALANCER])
    peers = (PROXY, STRANGER) if rig.flavour == "asgi" else (STRANGER,)
    for peer in peers:
        here.rw.memory.clear()
        assert seen_by(here, path, peer, headers={name: FORGED}) == {}


def test_without_a_border_only_cached_routes_lose_such_spellings(rig: Rig) -> None:
    here = site(rig)
    sent = {"x_forwarded-host": "evil", "cf_ipcountry": "FR"}
    assert seen_by(here, "/cached", headers=sent) == {}
    assert len(seen_by(here, headers=sent)) == 2


def test_nobody_is_poisoned_by_a_forged_country(rig: Rig) -> None:
    """A stranger's answer is stored under what the application saw, not under what it sent."""

    def country(seen: Seen) -> Response:
        return text(seen.headers.get("cf-ipcountry", "nowhere"))

    for vary in (
        {"vary": ["CF-IPCountry"]},
        {"by": lambda request: request.header("cf-ipcountry")},
    ):
        route = Route("/cached", cache=Cache(ttl=60, **vary))
        here = site(rig, route, handler=country, trusted=[Ingress.cloudflare(secret=SECRET)])
        forged = {"CF-IPCountry": "FR"}
        assert here.get("/cached", headers=forged, peer=STRANGER).body == b"nowhere"
        assert here.get("/cached", headers=proven("cloudflare"), peer=STRANGER).body == b"FR"
        assert here.get("/cached", headers=forged, peer=STRANGER).body == b"nowhere"
        assert here.get("/cached", peer=STRANGER).body == b"nowhere"


def test_by_the_book_a_request_without_forgeries_is_not_bypassed(rig: Rig) -> None:
    """`Cache.standard()` leaves requests as they are, but for what the border takes."""

    def fresh(_: Seen) -> Response:
        return text("ok", Cache_Control="max-age=60")

    route = Route("/cached", cache=Cache.standard())
    here = site(rig, route, handler=fresh, trusted=[BALANCER])
    for _ in range(2):
        here.get("/cached", headers={"X-Forwarded-Host": "evil"}, peer=STRANGER)
    assert len(here.app.calls) == 1


@pytest.mark.parametrize("method", ["POST", "DELETE", "HEAD"])
def test_every_method_is_guarded(rig: Rig, method: str) -> None:
    sent = {"CF-IPCountry": "FR", "X-HTTP-Method-Override": "DELETE", "X-Other": "kept"}
    here = site(rig, trusted=[BALANCER])
    for path in ("/x", "/cached"):
        seen = seen_by(here, path, STRANGER, method=method, headers=sent)
        assert seen == {"x-other": "kept"}
    # The control: nobody asks who is believed, and what is not cached is left alone.
    assert len(seen_by(site(rig), "/x", STRANGER, method=method, headers=sent)) == 3


def test_a_note_that_nothing_is_stored_lets_no_forgery_through(rig: Rig) -> None:
    """What needs no look at the other headers of a request must not forget to remove them."""

    def never(_: Seen) -> Response:
        return text("ok", Cache_Control="no-store")

    for options in ({}, {"trusted": [BALANCER]}):
        here = site(rig, handler=never, **options)
        for _ in range(3):
            sent = {"CF-IPCountry": "FR", "X-Forwarded-For": FORGED, "X-Other": "kept"}
            assert seen_by(here, "/cached", STRANGER, headers=sent) == {"x-other": "kept"}


def test_hits_behind_a_proxy_are_those_of_the_scheme_that_it_tells(rig: Rig) -> None:
    here = site(rig, handler=lambda seen: text(str(seen.headers)), trusted=[BALANCER])

    def ask(proto: str | None, peer: str = PROXY, **more: str) -> tuple[bytes, bool]:
        before = len(here.app.calls)
        sent = {"X-Forwarded-For": CLIENT, **more}
        sent |= {} if proto is None else {"X-Forwarded-Proto": proto}
        answer = here.get("/cached", headers=sent, peer=peer).body
        return answer, len(here.app.calls) == before

    secure, _ = ask("https")
    assert ask("https") == ask(" HTTPS ") == (secure, True)
    plain, stored = ask(None)
    assert not stored
    assert plain != secure
    # A stranger's word counts for nothing, and gets what anybody gets who says nothing.
    assert ask("https", STRANGER) == ask(None, STRANGER) == (plain, True)
    # Of a list the application might read any member.
    assert not ask("http, https")[1]
    assert ask("https", X_Forwarded_Host="evil".replace("_", "-")) == (secure, True)
    assert not ask("https", Cookie="a=1")[1]


def test_our_own_header_is_for_us_alone(rig: Rig) -> None:
    """It is signed, so whoever reads it needs no ingress; no application sees it."""
    here = site(rig, trusted=[BALANCER])
    border = here.rw._parts.prepared.border
    assert border is not None
    for peer in (PROXY, STRANGER):
        asked = Asked(peer, {"Host": "a", "Regionware-Hop": "signed", "X-Original-URL": "/evil"})
        admitted = border.admit(asked)
        assert admitted is not None
        assert admitted.told == {"x-original-url"}
        assert asked.special == {"host": "a", "regionware-hop": "signed"}
        assert asked.header("regionware-hop") is None
        assert seen_by(here, peer=peer, headers={"Regionware-Hop": "signed"}) == {}


# --- Where the application asks


def test_the_client_and_the_region_inside_of_a_request(rig: Rig) -> None:
    told: list[Any] = []

    def tell(seen: Seen) -> Response:
        assert seen.state is not None
        told.append((str(seen.state.client), seen.state.client.source, seen.state.located.label))
        assert seen.state.client is seen.state.client
        return text("ok")

    routes = (Route("/cached", cache=Cache(ttl=60)), Route("/by", cache=Cache(ttl=60, by="region")))
    ingress = Ingress.cloudflare(secret=SECRET)
    here = site(rig, *routes, handler=tell, region=[Platform("cloudflare")], trusted=[ingress])
    for path, peer, headers, expected in (
        ("/x", PROXY, proven("cloudflare"),
         (CLIENT, "cf-connecting-ip", "fra/platform:cloudflare/platform")),
        ("/x", STRANGER, {}, (STRANGER, "peer", "iad/default/unknown")),
        # What an answer for others must not be made from is not there.
        ("/cached", PROXY, proven("cloudflare"), ("", "unknown", "iad/default/unknown")),
        ("/by", PROXY, proven("cloudflare"),
         ("", "unknown", "fra/platform:cloudflare/platform")),
    ):  # fmt: skip
        here.get(path, headers=headers, peer=peer)
        assert told[-1] == expected


@pytest.mark.parametrize(
    ("peer", "fields", "client"),
    [
        (STRANGER, {}, STRANGER),
        (None, {}, ""),  # a Unix socket has no address
        (STRANGER, {"X-Forwarded-For": FORGED}, STRANGER),
        (PROXY, {"X-Forwarded-For": f"{FORGED}, {CLIENT}"}, CLIENT),
        # What is only a proxy's address is not the client's.
        (PROXY, {"X-Forwarded-For": "unknown"}, ""),
        (None, {"X-Forwarded-For": FORGED}, ""),
    ],
)
def test_a_provider_is_told_the_clients_address(
    peer: str | None, fields: dict[str, str], client: str | None
) -> None:
    told: list[str | None] = []

    def provider(request: Request) -> None:
        told.append(request.client)

    rw = Regionware(topology=TOPOLOGY, region=[provider], trusted=[BALANCER])
    rw.explain("GET", "/", fields, peer=peer)
    assert told == [client]


def test_a_binding_inside_of_a_request_knows_its_client(rig: Rig) -> None:
    told: list[str] = []

    def tell(_: Seen) -> Response:
        with here.rw.bind() as state:
            told.append(f"{state.client} {state.region.name}")
        return text("ok")

    here = site(rig, handler=tell, region=[Platform("fly")], trusted=[preset("fly")])
    here.get("/x", headers=proven("fly"), peer=PROXY)
    assert told == [f"{CLIENT} fra"]
    with here.rw.bind() as state:
        assert (state.client.address, state.located.label) == (None, "iad/default/unknown")


def _asked_twice(site: Site) -> bool:
    return len(site.app.calls) == 2


async def _nothing(*_: Any) -> Any:
    """A client of whom nothing is heard."""


def test_the_handshake_of_a_websocket_is_cleaned_too() -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    async def connect(rw: Regionware, peer: str) -> list[tuple[bytes, bytes]]:
        sent = {"Host": "a", "X-Origin-Auth": SECRET, "CF-IPCountry": "FR", "X-Rewrite-URL": "/e"}
        headers = [(n.lower().encode(), v.encode()) for n, v in sent.items()]
        scope = {
            "type": "websocket", "path": "/", "query_string": b"", "headers": headers,
            "client": (peer, 1), "scheme": "wss",
        }  # fmt: skip
        await rw.asgi(app)(scope, _nothing, _nothing)
        headers = scopes[-1]["headers"]
        return [pair for pair in headers if pair[0] != b"host"]

    ingress = Ingress.cloudflare("10.0.0.0/8", secret=SECRET)
    guarded = Regionware(trusted=[ingress])
    assert asyncio.run(connect(guarded, STRANGER)) == []
    assert asyncio.run(connect(guarded, PROXY)) == [(b"cf-ipcountry", b"FR")]
    assert len(asyncio.run(connect(Regionware(), STRANGER))) == 3
    assert len(asyncio.run(connect(Regionware(trusted=[ingress], mode="off"), STRANGER))) == 3
