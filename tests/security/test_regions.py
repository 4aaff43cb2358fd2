"""G1 and G2: a region is believed from a trusted peer, and from nobody else."""

from typing import Any

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from regionware import Region, Regionware, Topology
from regionware.locate import Header, Platform
from regionware.locate.peers import Peers
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Response, Seen, text
from tests.conformance.conftest import World
from tests.conformance.harness import Site

PROXY = "10.0.0.1"
BY_REGION = Route("/{path:path}", cache=Cache(ttl=60, by="region"))
IN_GERMANY = {"CF-IPCountry": "DE", "CF-Connecting-IP": "192.0.2.1", "X-Region": "fra"}


def shows(seen: Seen) -> Response:
    """The region that the application is told of."""
    assert seen.state is not None
    return text(seen.state.region.name)


def site(world: World, **options: Any) -> Site:
    """An application in `iad`; there is a region in Germany, too."""
    regions = [
        Region("iad", primary=True, location=(38.95, -77.45), redis=world._url),
        Region("fra", location=(50.04, 8.56)),
    ]
    rw = Regionware(
        topology=Topology(here="iad", regions=regions), routes=[BY_REGION],
        region=[Header("X-Region"), Platform("cloudflare")], **{"trusted": [PROXY], **options},
    )  # fmt: skip
    return world.behind(world.ready(rw), Application(shows))


PEERS = [
    "192.0.2.9",
    "127.0.0.1",
    "10.0.0.2",
    "",
    "not an address",
    "::ffff:192.0.2.9",
    "10.0.0.1x",
]


@pytest.mark.parametrize("peer", PEERS)
def test_g1_a_stranger_s_word_is_none(world: World, peer: str) -> None:
    one = site(world)
    assert one.get("/x", headers=IN_GERMANY, peer=peer).body == b"iad"
    # Nor does it split the key: everybody else is answered from that.
    assert one.get("/x").hit
    # The benign one: a trusted peer's word counts, and is a key of its own.
    assert one.get("/x", headers=IN_GERMANY, peer=PROXY).body == b"fra"
    assert one.get("/x", headers=IN_GERMANY, peer=PROXY).hit
    assert one.get("/x").body == b"iad"


def test_g1_without_the_protection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Peers, "trusts", lambda *_: True)
    assert site(world).get("/x", headers=IN_GERMANY).body == b"fra"


def behind_uvicorn(world: World, **options: Any) -> Site:
    """What uvicorn does by default: it believes 127.0.0.1, and rewrites the peer."""
    one = site(world, **options)
    if world.flavour == "asgi":
        one._asgi = ProxyHeadersMiddleware(one._asgi, trusted_hosts="127.0.0.1")  # type: ignore[assignment, arg-type]  # its own types of a scope
    return one


@pytest.mark.parametrize("forwarded", ["127.0.0.1", "10.0.0.1", "127.0.0.1, 10.0.0.1"])
def test_g2_a_direct_client_names_a_trusted_address(world: World, forwarded: str) -> None:
    one = behind_uvicorn(world, trusted=["127.0.0.1", PROXY])
    direct = {"X-Forwarded-For": forwarded, **IN_GERMANY}
    assert one.get("/x", headers=direct).body == b"iad"
    assert one.get("/x").hit
    # A client of the proxy: the proxy appends its address, and uvicorn makes that the peer. Its
    # region is not believed then, which costs speed and nothing else.
    behind = {"X-Forwarded-For": f"{forwarded}, 192.0.2.9", **IN_GERMANY}
    found = one.get("/y", headers=behind, peer="127.0.0.1").body
    assert found == (b"iad" if world.flavour == "asgi" else b"fra")


def test_g2_without_the_protection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Peers, "trusts", lambda *_: True)
    direct = {"X-Forwarded-For": "127.0.0.1", **IN_GERMANY}
    assert behind_uvicorn(world).get("/x", headers=direct).body == b"fra"
