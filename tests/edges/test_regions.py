"""Clients of two regions ask through one edge, and each gets what was made for its own region."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from regionware import Region, Regionware, Topology
from regionware.errors import ConfigurationError
from regionware.locate import Header
from regionware.parts.edge import Edge
from regionware.policies import Cache, Cdn, Route
from regionware.variance import Variance
from tests.conformance.application import Response, Seen
from tests.edges import configuration
from tests.edges.conftest import Kind
from tests.edges.rig import parts_of_edges
from tests.edges.served import Browser, Mounted, Origin, new_path

pytestmark = parts_of_edges

HERE, THERE = "iad", "fra"
ROUNDS = 4


def worker(kind: Kind, **cdn: Any) -> Regionware:
    """Two regions; a client is where it is pinned, or where the edge says."""
    regions = [
        Region(HERE, primary=True, location=(38.95, -77.45)),
        Region(THERE, location=(50.04, 8.56)),
    ]
    route = Route(
        "/{path:path}",
        cache=Cache(ttl=60, by="region", cookies="ignore", consistency="eventual"),
        cdn=Cdn(max_age=60, vendor=kind, **{"attested": True, **cdn}),
    )
    return Regionware(
        topology=Topology(here=HERE, regions=regions),
        routes=[route],
        region=[Header("X-Pinned"), Header("X-Region")],
        trusted=["127.0.0.1/32"],
    )


@pytest.fixture(scope="module")
def regional(kind: Kind, origin: Origin) -> Iterator[Edge]:
    """An edge that keeps regions apart, and believes the proxy in front of it: this test."""
    make = {"varnish": configuration.varnish, "nginx": configuration.nginx}[kind]
    with make(origin.port, worker(kind), fronts=["127.0.0.1/32"]) as edge:
        yield edge


@pytest.fixture(scope="module")
def browser(regional: Edge) -> Iterator[Browser]:
    """A client of it."""
    with Browser(regional.url) as found:
        yield found


@pytest.fixture(scope="module")
def forgetful(kind: Kind, origin: Origin) -> Iterator[Browser]:
    """A client of an edge that does not keep regions apart, whatever the answer says."""
    make = {"varnish": configuration.varying_varnish, "nginx": configuration.varying_nginx}[kind]
    with make(origin.port) as edge, Browser(edge.url) as found:
        yield found


def regional_page(origin: Origin, rw: Regionware) -> Mounted:
    """An application that says for which region it answers, and counts."""
    numbers = itertools.count()

    def handler(seen: Seen) -> Response:
        assert seen.state is not None
        return Response([f"{seen.state.region.name} {next(numbers)}".encode()])

    return origin.mount(handler, rw)


def leaks(browser: Browser, site: Mounted, clients: Mapping[str, dict[str, str]]) -> set[str]:
    """Which clients get what was made for another region; they ask in turn, again and again."""
    path, found = new_path(), set()
    for _ in range(ROUNDS):
        for region, fields in clients.items():
            made_for, _ = browser.ask(site, path, **fields).text.split()
            if made_for != region:
                found.add(region)
    return found


BY_EDGE: dict[str, dict[str, str]] = {THERE: {"X-Region": THERE}, HERE: {"X-Region": HERE}}
#: One is placed by what no edge keys on.
PINNED: dict[str, dict[str, str]] = {
    THERE: {"X-Region": HERE, "X-Pinned": THERE},
    HERE: {"X-Region": HERE},
}


def test_regions_are_kept_apart(kind: Kind, origin: Origin, browser: Browser) -> None:
    site = regional_page(origin, worker(kind))
    assert not leaks(browser, site, BY_EDGE)
    assert site.asked == len(BY_EDGE)  # Each region's answer is kept.


def test_whoever_is_placed_by_something_else_has_nothing_kept(
    kind: Kind, origin: Origin, browser: Browser
) -> None:
    """What was made for them reaches nobody else.

    They may get what is kept for their edge's region: an edge looks at no field but its own.
    """
    pinned = regional_page(origin, worker(kind))
    assert not leaks(browser, pinned, {THERE: PINNED[THERE]})
    assert pinned.asked == ROUNDS
    assert HERE not in leaks(browser, regional_page(origin, worker(kind)), PINNED)


def test_a_client_without_a_region_is_apart_too(
    kind: Kind, origin: Origin, browser: Browser
) -> None:
    site = regional_page(origin, worker(kind))
    nowhere = {"X-Region": "atlantis"}
    assert not leaks(browser, site, {HERE: {}, THERE: {"X-Region": THERE}})
    assert browser.ask(site, "/", **nowhere).text.startswith(HERE)


def test_without_its_word_an_edge_is_not_trusted_with_regions(kind: Kind) -> None:
    with pytest.raises(ConfigurationError, match=r"Cdn\(attested=True\)"):
        worker(kind, attested=False)


def test_a_stranger_does_not_choose_a_region(kind: Kind, origin: Origin) -> None:
    make = {"varnish": configuration.varnish, "nginx": configuration.nginx}[kind]
    with make(origin.port, worker(kind)) as edge, Browser(edge.url) as browser:
        site = regional_page(origin, worker(kind))
        assert leaks(browser, site, BY_EDGE) == {THERE}  # Everybody is here.


# Controls: the same clients would notice


def test_an_edge_that_drops_vary_leaks(kind: Kind, origin: Origin, forgetful: Browser) -> None:
    """The word was given, and the edge is not what was said."""
    assert leaks(forgetful, regional_page(origin, worker(kind)), BY_EDGE)


def test_an_answer_that_says_nothing_leaks(
    kind: Kind, origin: Origin, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Variance, "fields", lambda *_: [])
    for clients in (BY_EDGE, PINNED):
        assert HERE in leaks(browser, regional_page(origin, worker(kind)), clients)
