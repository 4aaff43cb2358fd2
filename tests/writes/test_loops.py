"""Nothing goes round in circles, and nobody but another region is believed to be one."""

import time
from typing import Any

import pytest

from regionware import Region
from regionware.forwarding.hop import Hop, Hops
from regionware.parts.process import free_port
from regionware.policies import Route
from tests.writes.served import FORWARDS, SECRET, Place, Worlds

ROUTES = [Route("/{path:path}", write=FORWARDS)]


def _misconfigured(worlds: Worlds, *, second: str = SECRET) -> tuple[Place, Place]:
    """Two regions, each of which takes the other for the primary's."""
    proxies = []
    one = two = None
    from regionware.parts.proxy import DelayProxy  # noqa: PLC0415 - of this helper alone

    for _ in range(2):
        proxies.append(DelayProxy(1, port=free_port()).start())
        worlds._ends.append(proxies[-1].close)
    to_two = f"http://127.0.0.1:{proxies[1].port}"
    to_one = f"http://127.0.0.1:{proxies[0].port}"
    one = worlds.place("one", [Region("one"), Region("two", primary=True, url=to_two)], ROUTES)
    two = worlds.place(
        "two", [Region("one", primary=True, url=to_one), Region("two")], ROUTES, secret=second
    )
    proxies[0].target_port, proxies[1].target_port = one.server.port, two.server.port
    return one, two


def test_two_misconfigured_primaries_end_at_once(
    worlds: Worlds, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = _misconfigured(worlds)
    assert one.ask().status == 200
    assert (len(one.app.seen), len(two.app.seen)) == (0, 1)
    assert two.rw.counts()["hop-refused:misdirected"] == 1
    assert "takes one for the primary's region" in caplog.text
    assert two.ask().status == 200
    assert (len(one.app.seen), len(two.app.seen)) == (1, 1)


def test_it_ends_where_hops_are_not_understood(worlds: Worlds) -> None:
    """Each has a secret of its own, too: CDN-Loop is the second net."""
    one, two = _misconfigured(worlds, second="quite another secret of the tests")
    assert one.ask().status == 200
    assert len(one.app.seen) + len(two.app.seen) == 1
    assert one.count("hop-refused") + two.count("hop-refused") >= 3


def test_without_either_it_does_not(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control: it goes round until something else stops it."""
    one, two = _misconfigured(worlds, second="quite another secret of the tests")
    monkeypatch.setattr("regionware.forwarding.decision._MOST_LOOPS", 12)
    assert one.ask().status == 200
    assert one.count("forwarded") + two.count("forwarded") == 12


def test_a_url_that_leads_back_ends_at_once(worlds: Worlds) -> None:
    port = free_port()
    from regionware.parts.proxy import DelayProxy  # noqa: PLC0415 - of this test alone

    proxy = DelayProxy(1, port=port).start()
    worlds._ends.append(proxy.close)
    far = worlds.far(port)
    proxy.target_port = far.server.port
    assert far.ask().status == 200
    assert len(far.app.seen) == 1
    assert far.rw.counts()["hop-refused:misdirected"] == 1


def _hop(secret: str = SECRET, late: float = 0.0, path: str = "/things") -> str:
    hop = Hop(
        origin="fra", target="iad", scheme="https", host="victim.example", client="203.0.113.5",
        port=1, fields=(("x-forwarded-for", "203.0.113.6"),),
    )  # fmt: skip
    return Hops([secret]).sign(hop, "POST", path, "", now=time.time() + late) or ""


FORGED = {
    "empty": "",
    "words": "v1;mac=00",
    "another secret": _hop("another secret of the tests"),
    "another request": _hop(path="/other"),
    "twice": f"{_hop()}, {_hop()}",
    "older": "v0" + _hop()[2:],
    "long": "x" * 5000,
}


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED)
@pytest.mark.parametrize("where", ["fra", "iad"])
def test_a_forged_hop_has_no_effect(worlds: Worlds, text: str, where: str) -> None:
    far, near = worlds.pair()
    place = far if where == "fra" else near
    fields = [("Host", "shop.example"), ("X-Forwarded-For", "198.51.100.7")]
    assert place.ask(headers=[*fields, ("Regionware-Hop", text)]).status == 200
    # It goes where it would, and is what it is.
    assert (len(far.app.seen), len(near.app.seen)) == (0, 1)
    seen = near.app.seen[0]
    assert (seen.of("host"), seen.of("x-forwarded-for")) == (["shop.example"], ["198.51.100.7"])
    assert (seen.scheme, seen.client) == ("http", "127.0.0.1")
    assert seen.of("regionware-hop") == []
    assert place.count("hop-refused") == 1


@pytest.mark.parametrize("late", [-61 - 60, 61 + 60])
def test_one_of_another_time_is_not_believed(worlds: Worlds, late: float) -> None:
    far, near = worlds.pair()
    near.ask(headers=[("Host", "shop.example"), ("Regionware-Hop", _hop(late=late))])
    seen = near.app.seen[0]
    assert (seen.of("host"), seen.scheme, seen.client) == (["shop.example"], "http", "127.0.0.1")
    assert near.rw.counts()["hop-refused:expired"] == 1
    # All the same nothing is sent on that has come from one of us: clocks may be wrong.
    far.ask(headers=[("Regionware-Hop", _hop(late=late))])
    assert (len(far.app.seen), len(near.app.seen)) == (1, 1)


def test_a_real_one_has(worlds: Worlds) -> None:
    """The positive control: whoever has the secret is believed."""
    far, near = worlds.pair()
    near.ask(headers=[("Host", "shop.example"), ("Regionware-Hop", _hop())])
    seen = near.app.seen[0]
    assert (seen.of("host"), seen.scheme, seen.client) == (
        ["victim.example"],
        "https",
        "203.0.113.5",
    )
    assert seen.of("x-forwarded-for") == ["203.0.113.6"]
    far.ask(headers=[("Regionware-Hop", _hop())])
    assert (len(far.app.seen), len(near.app.seen)) == (1, 1)


@pytest.mark.parametrize("header", ["regionware.hop", "Regionware.Hop", "regionware_hop"])
def test_no_field_becomes_what_an_adapter_notes(worlds: Worlds, header: str) -> None:
    far, near = worlds.pair()
    far.ask(headers=[(header, "x")])
    assert (len(far.app.seen), len(near.app.seen)) == (0, 1)


def _fails(options: dict[str, Any]) -> str:
    from regionware import Regionware, Topology  # noqa: PLC0415 - of this helper alone
    from regionware.errors import ConfigurationError  # noqa: PLC0415 - the same

    regions = options.pop("regions")
    with pytest.raises(ConfigurationError) as caught:
        Regionware(topology=Topology(here="fra", regions=regions), **options)
    return str(caught.value)


def test_what_is_missing_is_said_at_start() -> None:
    iad, fra = Region("iad", primary=True, url="http://iad.example"), Region("fra")
    said = _fails({"regions": [iad, fra], "routes": ROUTES})
    assert said.startswith("route /{path:path}: a write that travels is signed")
    said = _fails(
        {"regions": [Region("iad", primary=True), fra], "routes": ROUTES, "secret": SECRET}
    )
    assert "region iad" in said
    database = Region("iad", primary=True, url="http://iad", database="postgresql://h/d")
    replica = Region("fra", replicas=["postgresql://r/d"])
    said = _fails({"regions": [database, replica], "routes": ROUTES, "secret": SECRET})
    assert "region fra may hold the primary" in said
