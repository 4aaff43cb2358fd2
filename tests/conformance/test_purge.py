"""A purge that was acknowledged is a promise."""

import asyncio
from typing import Any

import pytest

from regionware import ConfigurationError
from regionware.policies import Cache, Route
from tests.conformance.application import Gate, Response, counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import Site, until

ROUTES = (
    Route("/items/{item}", cache=Cache(ttl=60, tags=["item:{item}", "items"])),
    Route("/{path:path}", cache=Cache(ttl=60)),
)


def purge(site: Site, **names: Any) -> Any:
    """In the protocol's own way."""
    if site.flavour == "wsgi":
        return site.rw.purge(**names)
    coroutine = site.rw.apurge(**names)
    return asyncio.run_coroutine_threadsafe(coroutine, site._loop).result(10)


REACHED = [
    ({"tags": ["item:7"]}, True), ({"tags": ["items"]}, True), ({"tags": ["x", "item:7"]}, True),
    ({"tags": ["item:8"]}, False), ({"tags": ["item:"]}, False), ({"tags": ["ITEM:7"]}, False),
    ({"urls": ["/items/7"]}, True), ({"urls": ["http://site.test/items/7"]}, True),
    ({"urls": ["http://SITE.test/items/7"]}, True), ({"urls": ["/items/7?"]}, True),
    ({"urls": ["https://site.test/items/7"]}, False), ({"urls": ["/items/7?a=1"]}, False),
    ({"urls": ["http://other.test/items/7"]}, False), ({"urls": ["/items"]}, False),
    ({"everything": True}, True),
]  # fmt: skip


@pytest.mark.parametrize(("names", "reached"), REACHED, ids=[str(names) for names, _ in REACHED])
def test_a_purge_reaches_what_it_names(world: World, names: dict[str, Any], reached: bool) -> None:
    site = world.site(counting(), *ROUTES)
    assert site.bodies["/items/7", "/items/7"] == [b"1", b"1"]
    purge(site, **names)
    expected = b"2" if reached else b"1"
    assert site.bodies["/items/7", "/items/7"] == [expected, expected]


def test_the_url_of_a_purge_has_its_query(world: World) -> None:
    site = world.site(counting(), *ROUTES)
    assert [site.get("/q", query="a=1").body for _ in range(2)] == [b"1", b"1"]
    purge(site, urls=["/q?a=1"])
    assert site.get("/q", query="a=1").body == b"2"


@pytest.mark.parametrize("url", ["/%C3%A9%20x", "http://site.test/%C3%A9%20x"])
def test_the_url_of_a_purge_may_be_spelled_as_on_the_wire(world: World, url: str) -> None:
    site = world.site(counting())
    assert site.bodies["/%C3%A9%20x", "/%C3%A9%20x"] == [b"1", b"1"]
    purge(site, urls=[url])
    assert site.get("/%C3%A9%20x").body == b"2"


def test_a_purge_reaches_every_variant(world: World) -> None:
    site = world.site(lambda _: text(str(len(site.app.calls)), Vary="X-A"), *ROUTES)
    asks: list[dict[str, Any]] = [{"headers": {"X-A": value}} for value in "12"]
    before = [site.get("/items/7", **ask).body for ask in asks]
    assert [site.get("/items/7", **ask).body for ask in asks] == before
    purge(site, tags=["item:7"])
    assert not {site.get("/items/7", **ask).body for ask in asks} & set(before)


def test_an_acknowledged_purge_says_where(world: World) -> None:
    site = world.site(counting(), *ROUTES)
    purged = purge(site, tags=["a", "b"], urls=["/x"])
    assert (purged.names, purged.regions, purged.deferred) == (3, ("here",), False)


@pytest.mark.parametrize("names", [{}, {"tags": []}, {"tags": "text"}, {"urls": ["items"]}])
def test_a_purge_that_names_nothing_is_an_error(world: World, names: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        purge(world.site(counting()), **names)


def test_read_your_purge_many_times(world: World) -> None:
    site = world.site(counting(), *ROUTES)
    seen = []
    for _ in range(50):
        seen.append(int(site.get("/items/7").body))
        assert int(site.get("/items/7").body) == seen[-1]
        purge(site, tags=["item:7"])
    assert seen == sorted(set(seen))


def test_a_soft_purge_may_be_served_stale_while_it_is_refreshed(world: World) -> None:
    route = Route("/x", cache=Cache(ttl=60, stale_while_revalidate=60, tags=["t"]))
    site = world.site(counting(), route)
    site.get("/x")
    purge(site, tags=["t"], soft=True)
    stale = site.get("/x")
    assert (stale.body, stale.cache_status["detail"]) == (b"1", "stale-while-revalidate")
    until(lambda: site.get("/x").body == b"2")
    assert len(site.app.calls) == 2


@pytest.mark.parametrize("error", [False, True])
def test_a_hard_purge_is_never_served_again(world: World, error: bool) -> None:
    """Not even where stale answers are allowed, and not even in need."""
    answers = iter([text("old")])
    cache = Cache(ttl=60, stale_while_revalidate=60, stale_if_error=60, tags=["t"])
    site = world.site(
        lambda _: next(answers, text("new", 500 if error else 200)), Route("/x", cache=cache)
    )
    site.get("/x")
    purge(site, tags=["t"])
    assert site.bodies["/x", "/x"] == [b"new", b"new"]


def test_a_soft_purge_does_not_soften_a_hard_one(world: World) -> None:
    route = Route("/x", cache=Cache(ttl=60, stale_while_revalidate=60, tags=["t"]))
    site = world.site(counting(), route)
    site.get("/x")
    purge(site, tags=["t"])
    purge(site, tags=["t"], soft=True)
    assert site.get("/x").body == b"2"


# A fill begun before a purge


@pytest.mark.parametrize("where", ["head", "body"])
@pytest.mark.parametrize("name", ["item:7", "item:8"])
def test_a_fill_that_a_purge_overtakes_is_not_stored(world: World, where: str, name: str) -> None:
    """`item:8` is the control: without a purge of its own the fill is stored."""
    gate = Gate()
    before = gate if where == "head" else None
    answers = iter([Response([b"o", gate, b"ld"], hold=before)])
    site = world.site(lambda _: next(answers, text("new")), *ROUTES)
    filling = site.start("/items/7")
    gate.reached()
    waiting = site.start("/items/7")
    until(lambda: site.parked == 1)
    purge(site, tags=[name])
    late = site.start("/items/7")  # asks after the purge was acknowledged
    gate.open()
    assert filling.result().body == b"old"
    expected = b"new" if name == "item:7" else b"old"
    assert late.result().body == expected
    assert site.get("/items/7").body == expected
    assert waiting.result().body in {b"old", b"new"}


def test_a_fill_that_only_the_application_tagged_is_overtaken_too(world: World) -> None:
    gate = Gate()

    def tagging(seen: Any) -> Response:
        seen.state.tag("own")
        number = str(len(site.app.calls)).encode()
        return Response([number], hold=gate if number == b"1" else None)

    site = world.site(tagging)
    filling = site.start("/x")
    gate.reached()
    purge(site, tags=["own"])
    gate.open()
    filling.result()
    assert site.bodies["/x", "/x"] == [b"2", b"2"]
