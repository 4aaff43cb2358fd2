"""Lifetimes by the region's own clock, which is its Redis's."""

import pytest

from regionware.policies import Cache, Route
from tests.conformance.application import counting
from tests.conformance.conftest import World
from tests.conformance.harness import until


@pytest.fixture
def tier() -> str:
    return "redis"


def test_an_entry_of_another_worker_has_its_age_and_ends_in_time(world: World) -> None:
    routes = (Route("/x", cache=Cache(ttl=2)),)
    one = world.site(counting(), *routes)
    other = world.behind(world.regionware(*routes), one.app)
    one.get("/x")
    found = other.get("/x")
    assert found.cache_status["detail"] == "redis"
    assert found["age"] in {"0", "1"}
    until(lambda: other.get("/x").body == b"2")
    assert len(one.app.calls) == 2


def test_stale_while_revalidate_across_workers(world: World) -> None:
    routes = (Route("/x", cache=Cache(ttl=1, stale_while_revalidate=60)),)
    one = world.site(counting(), *routes)
    one.get("/x")
    until(lambda: one.get("/x").cache_status["detail"] == "stale-while-revalidate")
    until(lambda: one.get("/x").body == b"2")
    other = world.behind(world.regionware(*routes), one.app)
    assert other.get("/x").hit


def test_releases_do_not_read_each_other_s_entries_and_share_purges(world: World) -> None:
    routes = (Route("/x", cache=Cache(ttl=60, tags=["t"])),)
    blue = world.site(counting(), *routes, release="blue")
    green = world.behind(world.regionware(*routes, release="green"), blue.app)
    assert [blue.get("/x").body, green.get("/x").body] == [b"1", b"2"]
    assert [blue.get("/x").hit, green.get("/x").hit] == [True, True]
    blue.rw.purge(tags=["t"])
    until(lambda: not green.get("/x").hit)


def test_namespaces_share_nothing(world: World) -> None:
    routes = (Route("/x", cache=Cache(ttl=60, tags=["t"])),)
    one = world.site(counting(), *routes, namespace="one")
    two = world.behind(world.regionware(*routes, namespace="two"), one.app)
    assert [one.get("/x").body, two.get("/x").body] == [b"1", b"2"]
    one.rw.purge(tags=["t"], everything=True)
    assert not one.get("/x").hit
    assert two.get("/x").hit
