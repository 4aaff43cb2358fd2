"""Every forged header, and every configuration: no effect, not even on the application.

The same headers from whoever may send them are the positive control: there each has an effect.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from regionware import Regionware
from regionware.locate import Cookie, Header, Ingress, Platform
from regionware.locate.border import Border
from regionware.locate.platforms import PLATFORMS
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Response, Seen, text
from tests.conformance.harness import Site
from tests.locate.cases import (
    CLIENT,
    FORGED,
    FORGERIES,
    PROXY,
    SECRET,
    STRANGER,
    TOLD,
    TOPOLOGY,
    preset,
    proven,
)
from tests.rig import Rig

ALL = [Header("X-Region"), *map(Platform, PLATFORMS)]
BALANCER = Ingress.load_balancer("10.0.0.0/8")
ROUTES = (
    Route("/cached", cache=Cache(ttl=60)),
    Route("/region", cache=Cache(ttl=60, by="region")),
    Route("/varied", cache=Cache(ttl=60, vary=["CF-IPCountry", "X-Region", "X-Forwarded-For"])),
    Route("/standard", cache=Cache.standard()),
)
ONE = ("/plain",)
PATHS = ("/plain", "/cached", "/region", "/varied", "/standard")

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "nobody is trusted": {"region": ALL},
    "own proxies": {"region": ALL, "trusted": ["10.0.0.0/8"]},
    "a socket": {"region": ALL, "trusted": ["unix"]},
    "no providers": {"trusted": ["10.0.0.0/8"]},
    "a hint": {"region": [Cookie("region")]},
    "a balancer": {"region": ALL, "trusted": [BALANCER]},
    "a balancer that speaks RFC 7239": {
        "region": ALL,
        "trusted": [Ingress("10.0.0.0/8", client="Forwarded", host=True)],
    },
    "all platforms": {"region": ALL, "trusted": [preset(name) for name in TOLD]},
    "all platforms behind a balancer": {
        "region": ALL,
        "trusted": [
            *(preset(name, behind=BALANCER) for name in TOLD if name != "azure"), BALANCER,
        ],
    },
    **{
        name: {"region": [Platform(name)], "trusted": [preset(name)]}
        for name in TOLD
    },
}  # fmt: skip

#: And a header of the application's own proxies: forged only where somebody believes it.
WITH_OWN = {**FORGERIES, "X-Region": "fra"}


def shown(seen: Seen) -> Response:
    """Everything that anybody in the application could notice."""
    state = seen.state
    assert state is not None
    fields = sorted((name, value) for name, value in seen.headers.items() if name != "cookie")
    facts = state.region.name, state.located.label, str(state.client), state.client.trust.name
    return text(repr((seen.method, seen.path, fields, facts)))


def site(rig: Rig, **options: Any) -> Site:
    return rig.site(rig.worker(TOPOLOGY, *ROUTES, **options), Application(shown))


def ask(site: Site, path: str, headers: dict[str, str], peer: str) -> bytes:
    """What the application shows, made anew."""
    site.rw.memory.clear()
    return site.get(path, headers=headers, peer=peer).body


def effects(
    site: Site,
    peer: str,
    more: dict[str, str],
    forgeries: dict[str, str] = FORGERIES,
    paths: tuple[str, ...] = PATHS,
) -> Iterator[tuple[str, str]]:
    """The forgeries that make a difference."""
    for path in paths:
        clean = ask(site, path, more, peer)
        for name, value in forgeries.items():
            if name not in more and ask(site, path, {**more, name: value}, peer) != clean:
                yield path, name


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_a_stranger_has_no_effect(rig: Rig, configuration: str) -> None:
    wrong = {"X-Origin-Auth": "not-the-secret-at-all"}
    peers = [STRANGER] if configuration == "a hint" else [STRANGER, "::ffff:203.0.113.9"]
    options = CONFIGURATIONS[configuration]
    forgeries = WITH_OWN if options.get("region") is ALL else FORGERIES
    here = site(rig, **options)
    for peer in peers:
        # Together, and one by one.
        for path in PATHS:
            clean = ask(here, path, {}, peer)
            assert ask(here, path, forgeries, peer) == clean
            assert ask(here, path, {**forgeries, **wrong}, peer) in (
                clean, ask(here, path, wrong, peer),
            )  # fmt: skip
    # What a platform's own configuration adds is the same on every route.
    paths = ("/plain", "/region") if configuration in TOLD else PATHS
    assert list(effects(here, STRANGER, {}, forgeries, paths)) == []


@pytest.mark.parametrize("platform", [name for name in TOLD if name != "azure"])
def test_the_peer_without_the_secret_is_a_stranger(rig: Rig, platform: str) -> None:
    """As anybody is who reaches the application through a CDN of another customer."""
    ingress = preset(platform, "10.0.0.0/8")
    here = site(rig, region=[Platform(platform)], trusted=[ingress])
    assert list(effects(here, PROXY, {}, paths=("/plain", "/region"))) == []


def test_whoever_is_believed_anything_has_an_effect_with_every_header(rig: Rig) -> None:
    """The positive control: nothing else removes these headers."""
    here = site(rig, region=ALL, trusted=["10.0.0.0/8"])
    told = {name for _, name in effects(here, PROXY, {}, WITH_OWN, ONE)}
    assert told == WITH_OWN.keys() - {"Regionware-Hop"}  # which no application ever sees


def test_an_ingress_that_sets_a_header_passes_it_on(rig: Rig) -> None:
    """The positive control of `Ingress`: every header, through one that names it."""
    names = FORGERIES.keys() - {"Forwarded", "Regionware-Hop"}
    ingress = Ingress("10.0.0.0/8", headers=sorted(names - {"X-Forwarded-For"}))
    here = site(rig, trusted=[ingress])
    assert {name for _, name in effects(here, PROXY, {}, paths=ONE)} == names
    ingress = Ingress("10.0.0.0/8", client="Forwarded")
    here = site(rig, trusted=[ingress])
    assert ("/plain", "Forwarded") in list(effects(here, PROXY, {}, paths=ONE))


@pytest.mark.parametrize("platform", TOLD)
def test_a_platform_has_an_effect_with_what_it_sets_and_nothing_else(
    rig: Rig, platform: str
) -> None:
    here = site(rig, region=[Platform(platform)], trusted=[preset(platform)])
    answer = ask(here, "/plain", proven(platform), PROXY).decode()
    assert f"'fra', 'fra/platform:{platform}/platform', '{CLIENT}', 'PLATFORM'" in answer
    assert SECRET not in answer
    sets = {name.lower() for name in PLATFORMS[platform].sets}
    through = {name.lower() for _, name in effects(here, PROXY, proven(platform), paths=ONE)}
    also = {"x-forwarded-proto", "x-forwarded-host", "x-forwarded-for"}
    assert through <= sets | also
    # What only the client can have written does not come through beside it.
    assert FORGED not in ask(
        here, "/plain", {**proven(platform), "X-Forwarded-For": f"{FORGED}, {CLIENT}, 192.0.2.1"},
        PROXY,
    ).decode()  # fmt: skip


@pytest.mark.parametrize("switched_off", ["the border", "the check of the peer"])
def test_these_tests_can_fail(rig: Rig, monkeypatch: pytest.MonkeyPatch, switched_off: str) -> None:
    if switched_off == "the border":
        monkeypatch.setattr(Border, "admit", lambda *_: None)
    else:
        monkeypatch.setattr("regionware.locate.peers.Peers.trusts", lambda *_: True)
    here = site(rig, region=ALL, trusted=["10.0.0.0/8"])
    found = {name for _, name in effects(here, STRANGER, {}, paths=ONE)}
    assert len(found) > 90


def test_without_any_configuration_plain_routes_are_left_alone(rig: Rig) -> None:
    """And those with a cache lose what is not in the key; by the book it is the application's."""
    here = site(rig)
    found = set(effects(here, STRANGER, {}, WITH_OWN))
    assert {name for path, name in found if path == "/plain"} == WITH_OWN.keys()
    assert {name for path, name in found if path == "/cached"} == {"X-Region"}
    assert {name for path, name in found if path == "/varied"} == {
        "CF-IPCountry", "X-Region", "X-Forwarded-For",
    }  # fmt: skip


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_a_worker_that_changes_nothing_changes_nothing_here(rig: Rig, mode: str) -> None:
    here = site(rig, region=ALL, trusted=["10.0.0.0/8"], mode=mode)
    site_of = here.rw
    assert isinstance(site_of, Regionware)
    seen: dict[str, str] = {}

    def reading(asked: Seen) -> Response:
        seen.update(asked.headers)
        return text("ok")

    here.app.handler = reading
    here.get("/plain", headers={"CF-IPCountry": "FR"}, peer=STRANGER)
    assert seen["cf-ipcountry"] == "FR"
    if mode == "observe":
        assert here.rw.counts()["stripped"] == 1
        assert here.app.calls[0].state is not None
        assert here.app.calls[0].state.region.name == "iad"


def test_what_was_removed_is_counted_and_told_once(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    here = site(rig, region=[Platform("fly")], trusted=[Ingress.fly(), Ingress(secret=SECRET)])
    for _ in range(3):
        here.get("/plain", headers={"Fly-Region": "cdg"}, peer=STRANGER)
        here.get("/plain", headers={"CF-IPCountry": "DE", "Fly-Region": "cdg"}, peer=PROXY)
    messages = [each.getMessage() for each in caplog.records]
    assert len(messages) == 2
    assert f"removed fly-region sent by {STRANGER}, which is not trusted" in messages[0]
    assert "ingress fly does not set cf-ipcountry, which came through it" in messages[1]
    counts = here.rw.counts()
    assert sum(n for name, n in counts.items() if name.partition(":")[0] == "stripped") == 6
