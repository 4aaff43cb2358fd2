"""What stands in front of the far region is seen in the primary's as if it stood there."""

import time
from dataclasses import replace
from typing import Any

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

import regionware
from regionware import Region
from regionware.forwarding.hop import NO_PORT, Hop, Hops
from regionware.locate import Cookie, Header, Ingress
from regionware.parts.process import free_port
from regionware.parts.proxy import DelayProxy
from regionware.policies import Route
from tests.writes.served import FORWARDS, SECRET, Told, Worlds

PROOF = "the-secret-of-an-edge"
CLIENT = "203.0.113.9"
THROUGH = {
    "X-Origin-Auth": PROOF, "CF-Connecting-IP": CLIENT, "CF-IPCountry": "DE",
    "X-Forwarded-For": f"198.51.100.1, {CLIENT}", "X-Forwarded-Proto": "https",
}  # fmt: skip


def test_what_came_through_an_ingress_did_so_there_too(worlds: Worlds) -> None:
    """The application never sees the secret, and yet the primary's region has to."""
    far, near = worlds.pair(trusted=[Ingress.cloudflare(secret=PROOF)])
    here = worlds.place("only", [Region("only", primary=True)], trusted=[
        Ingress.cloudflare(secret=PROOF)
    ])  # fmt: skip
    for place in (far, here):
        assert place.ask(headers=list(THROUGH.items())).status == 200
    (forwarded,), (direct,) = near.app.seen, here.app.seen
    for name in ("cf-connecting-ip", "cf-ipcountry", "x-forwarded-for", "x-forwarded-proto"):
        assert forwarded.of(name) == direct.of(name) != []
    assert forwarded.of("x-origin-auth") == direct.of("x-origin-auth") == []


def test_a_strangers_word_is_none_there_either(worlds: Worlds) -> None:
    far, near = worlds.pair(trusted=[Ingress.cloudflare(secret=PROOF)])
    wrong = {**THROUGH, "X-Origin-Auth": "another-secret-as-long"}
    assert far.ask(headers=list(wrong.items())).status == 200
    names = {name for name, _ in near.app.seen[0].headers}
    assert names.isdisjoint(name.lower() for name in THROUGH)


def test_an_edge_between_the_regions_does_not_speak_for_the_client(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sets what it sets, now for the far region's server."""
    import regionware.adapters.asgi_away as asgi  # noqa: PLC0415 - of this test alone
    import regionware.adapters.wsgi_away as wsgi  # noqa: PLC0415 - the same

    module: Any = asgi if worlds.flavour == "asgi" else wsgi
    made = module.outgoing

    def between(*args: Any, **options: Any) -> Any:
        call = made(*args, **options)
        kept = [pair for pair in call.headers if pair[0] not in (b"cf-connecting-ip", b"cf-ray")]
        call.headers[:] = [*kept, (b"cf-connecting-ip", b"192.0.2.99"), (b"cf-ray", b"between")]
        return call

    monkeypatch.setattr(module, "outgoing", between)
    far, near = worlds.pair(trusted=[Ingress.cloudflare(secret=PROOF)])
    assert far.ask(headers=list(THROUGH.items())).status == 200
    assert near.app.seen[0].of("cf-connecting-ip") == [CLIENT]
    assert near.app.seen[0].of("cf-ray") == []


def test_long_cookies_are_no_part_of_the_hop(worlds: Worlds) -> None:
    """A provider reads them, but no proxy changes them; all of them may be 7 KiB and more."""
    far, near = worlds.pair(region=[Cookie("region")])
    cookie = "a=" + "x%22/" * 1200
    assert far.ask(headers=[("Cookie", cookie)]).status == 200
    assert near.app.seen[0].of("cookie") == [cookie]


def test_a_circle_ends_where_nobody_is_believed(worlds: Worlds) -> None:
    """`CDN-Loop` is a stranger's, and removed; it is counted all the same."""
    proxies = [DelayProxy(1, port=free_port()).start() for _ in range(2)]
    worlds._ends += [proxy.close for proxy in proxies]
    urls = [f"http://127.0.0.1:{proxy.port}" for proxy in proxies]
    routes = [Route("/{path:path}", write=FORWARDS)]
    options: dict[str, Any] = {"region": [Header("X-Region")]}
    one = worlds.place(
        "one", [Region("one"), Region("two", primary=True, url=urls[1])], routes, **options
    )
    two = worlds.place(
        "two", [Region("one", primary=True, url=urls[0]), Region("two")], routes,
        secret="quite another secret of the tests", **options,
    )  # fmt: skip
    proxies[0].target_port, proxies[1].target_port = one.server.port, two.server.port
    assert one.ask().status == 200
    assert len(one.app.seen) + len(two.app.seen) == 1
    assert one.count("forwarded") + two.count("forwarded") == 3
    # Nobody who asks plainly is held for one of us.
    assert one.app.seen == [] or one.app.seen[0].of("cdn-loop") == []


def test_a_server_that_tells_no_port_has_replaced_nobody(worlds: Worlds) -> None:
    """A port of 0 says that a server has put a client in the place of its peer."""
    hop = Hop(
        origin="fra", target="iad", scheme="https", host="shop.test", client="10.0.0.9",
        port=NO_PORT, fields=(("x-forwarded-for", CLIENT), ("x-forwarded-proto", "https")),
    )  # fmt: skip
    _, near = worlds.pair(trusted=[Ingress.load_balancer("10.0.0.0/8")])
    for port, told in ((NO_PORT, [CLIENT]), (4711, [CLIENT]), (0, [])):
        text = Hops([SECRET]).sign(replace(hop, port=port), "POST", "/things", "", now=time.time())
        assert text is not None
        assert near.ask(headers=[("Regionware-Hop", text)]).status == 200
        assert near.app.seen[-1].of("x-forwarded-for") == told
        assert near.app.seen[-1].client == "10.0.0.9"


def test_a_peer_that_was_made_up_is_nobody_there_either(worlds: Worlds) -> None:
    """A server that takes its peer from a header must not make a proxy of whoever sends it."""
    behind = [Ingress("10.0.0.0/8", client="peer", headers=["X-Region"])]
    far, near = worlds.pair(trusted=behind, region=[Header("X-Region")])
    inner: Any = far.server._uvicorn.config if worlds.flavour == "asgi" else far.server._werkzeug
    if worlds.flavour == "asgi":
        inner.loaded_app = ProxyHeadersMiddleware(inner.loaded_app, "*")
    else:
        inner.app = ProxyFix(inner.app)
    told: list[str] = []

    def clients(_: Any) -> Told:
        state = regionware.current()
        assert state is not None
        told.append(str(state.client))
        return Told()

    near.app.told = clients
    assert far.ask(headers=[("X-Forwarded-For", "10.0.0.9"), ("X-Region", "fra")]).status == 200
    assert told == [""]
    assert near.app.seen[0].of("x-region") == []
