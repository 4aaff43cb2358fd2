"""Several workers of one region, and several regions: what they share, and when they know of it."""

from threading import enumerate as enumerate_threads

import pytest

from regionware import PurgeError, Region, Regionware, Topology
from regionware.policies import Cache, Route
from tests.conformance.application import Gate, Response, counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import Site, until
from tests.conformance.test_purge import ROUTES, purge


@pytest.fixture
def tier() -> str:
    """Workers without a Redis do not hear of each other."""
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


@pytest.fixture
def workers(world: World) -> tuple[Site, Site]:
    """Two processes of one region, as far as Redis can tell."""
    one = world.site(counting(), *ROUTES)
    return one, world.behind(world.regionware(*ROUTES), one.app)


def test_another_worker_forgets_soon(workers: tuple[Site, Site]) -> None:
    one, other = workers
    assert [one.get("/items/7").body, other.get("/items/7").body] == [b"1", b"1"]
    assert other.get("/items/7").cache_status["detail"] == "memory"
    purge(one, tags=["item:7"])
    until(lambda: other.get("/items/7").body == b"2", one.rw.staleness_bound + 1)
    assert one.get("/items/7").body == b"2"


def test_another_worker_s_unfinished_fill_is_overtaken(workers: tuple[Site, Site]) -> None:
    one, other = workers
    gate = Gate()
    answers = iter([Response([b"old"], hold=gate)])
    one.app.handler = lambda _: next(answers, text("new"))
    filling = other.start("/items/7")
    gate.reached()
    purge(one, tags=["item:7"])
    gate.open()
    filling.result()
    until(lambda: one.get("/items/7").body == other.get("/items/7").body == b"new")


def test_redis_forgets_for_a_worker_that_comes_later(
    world: World, workers: tuple[Site, Site]
) -> None:
    one, _ = workers
    one.get("/items/7")
    purge(one, tags=["item:7"])
    late = world.behind(world.regionware(*ROUTES), one.app)
    assert late.get("/items/7").body == b"2"


def test_a_purge_reaches_the_other_regions(redis_url: str, second_redis_url: str) -> None:
    regions = [Region("a", primary=True, redis=redis_url), Region("b", redis=second_redis_url)]
    with (
        Regionware(topology=Topology(here="a", regions=regions), routes=ROUTES) as a,
        Regionware(topology=Topology(here="b", regions=regions), routes=ROUTES) as b,
    ):
        purged = a.purge(tags=["item:7"], wait="all")
        assert set(purged.regions) == {"a", "b"}
        fences = b._parts.prepared.fences
        until(lambda: len(fences) == 2)  # the tag's, and that of a Redis without history


def test_an_unreachable_redis_is_an_error_that_says_what_is_queued(free_port: int) -> None:
    here = Region("here", primary=True, redis=f"redis://127.0.0.1:{free_port}/0")
    with Regionware(topology=Topology(here="here", regions=[here]), routes=ROUTES) as rw:
        with pytest.raises(PurgeError) as error:
            rw.purge(tags=["item:7"])
        assert "here" in error.value.queued
    until(lambda: "regionware-relay-here" not in {each.name for each in enumerate_threads()}, 5)
