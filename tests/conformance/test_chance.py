"""Early refreshes, jitter and delays after failures; the clock and the chance are the test's."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.caching.chance import FIRST, LAST, delay, delays, is_early, quiet_until, shortened
from regionware.errors import ConfigurationError
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Response, Seen, counting
from tests.conformance.conftest import Clock, World
from tests.conformance.harness import Site, until

CHANCE = st.floats(0, 1, exclude_max=True)
#: A chance of which the logarithm is about -3: three costs before its end an entry is refreshed.
LIKELY = 0.95


@given(cost=st.floats(0.001, 100), left=st.floats(0.001, 10_000), chance=CHANCE)
def test_nobody_refreshes_early_while_it_is_quiet(cost: float, left: float, chance: float) -> None:
    end = 10_000.0
    if chance < 0.9999 and end - left < quiet_until(end, cost):
        assert not is_early(end, cost, end - left, chance)
    assert is_early(end, cost, end, chance)
    assert not is_early(end, 0.0, end - left, chance)


@given(cost=st.floats(0.001, 100), first=CHANCE, second=CHANCE, left=st.floats(0, 100))
def test_the_likelier_the_later_and_the_dearer(
    cost: float, first: float, second: float, left: float
) -> None:
    low, high = sorted((first, second))
    if is_early(left, cost, 0.0, low):
        assert is_early(left, cost, 0.0, high)
        assert is_early(left, 2 * cost, 0.0, low)
        assert is_early(left, cost, left / 2, low)


@given(left=st.floats(-100, 1e6), jitter=st.floats(0, 0.5), chance=CHANCE)
def test_jitter_only_shortens_and_by_no_more_than_it_says(
    left: float, jitter: float, chance: float
) -> None:
    assert min(left, left * (1 - jitter)) <= shortened(left, jitter, chance) <= left


@given(failures=st.integers(1, 1000), chance=CHANCE)
def test_delays_double_and_have_an_end(failures: int, chance: float) -> None:
    first, last = delays(chance)
    assert 0.9 * FIRST <= first <= 1.1 * FIRST
    assert 0.9 * LAST <= last <= 1.1 * LAST
    assert first <= delay(failures, chance) <= delay(failures + 1, chance) <= last
    assert delay(1, chance) * 2 == pytest.approx(delay(2, chance))


# Early refreshes


def slow(clock: Clock) -> Any:
    """Answers "1", "2", ..., each of which takes a second of the test's clock."""
    answers = counting()

    def answer(seen: Any) -> Response:
        response = answers(seen)
        clock.now += 1.0
        return response

    return answer


@pytest.mark.parametrize(
    ("cache", "chance", "refreshed"),
    [
        ({"stale_while_revalidate": 60}, LIKELY, True),
        ({"stale_while_revalidate": 60}, 0.5, False),
        ({}, LIKELY, False),
        ({"stale_if_error": 60}, LIKELY, False),
    ],
)
@pytest.mark.parametrize("tier", ["memory"])  # a Redis has a clock of its own
def test_a_dear_answer_is_refreshed_before_its_end(
    world: World, clock: Clock, cache: dict[str, Any], chance: float, refreshed: bool
) -> None:
    site = world.site(slow(clock), Route("/x", cache=Cache(ttl=60, **cache)), clock=clock)
    site.rw._parts.prepared.random = lambda: chance
    site.get("/x")
    clock.now += 40  # not within ten costs of the end
    assert site.get("/x").body == b"1"
    clock.now += 17  # within three
    hit = site.get("/x")
    assert (hit.body, hit.cache_status["detail"]) == (b"1", "memory")
    if refreshed:
        until(lambda: site.get("/x").body == b"2")
        assert site.rw.counts()["early-refresh"] == 1
    assert len(site.app.calls) == 1 + refreshed


@pytest.mark.parametrize("tier", ["memory"])  # a Redis has a clock of its own
def test_a_cache_by_the_book_refreshes_nothing_early(world: World, clock: Clock) -> None:
    handler = slow(clock)
    route = Route("/x", cache=Cache.standard())

    def answer(seen: Any) -> Response:
        response: Response = handler(seen)
        control = ("Cache-Control", "max-age=60, stale-while-revalidate=60")
        return Response(response.chunks, headers=[control])

    site = world.site(answer, route, clock=clock)
    site.rw._parts.prepared.random = lambda: LIKELY
    site.get("/x")
    clock.now += 58
    assert site.get("/x").body == site.get("/x").body == b"1"


def dear(world: World, app: Application, cost: float) -> Site:
    """A worker that takes what comes to have cost so many seconds."""
    route = Route("/x", cache=Cache(ttl=30, stale_while_revalidate=60))
    site = world.behind(world.regionware(route), app)
    site.rw._parts.prepared.random = lambda: LIKELY
    return site


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("tier", ["redis"])
def test_one_early_refresh_for_the_region_and_the_others_learn_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    """The cost travels in the frame; without it no other worker refreshes early."""
    monkeypatch.setattr("regionware.caching.filling.Filling._cost", lambda *_: 20.0)
    if not told:
        monkeypatch.setattr("regionware.caching.storing.DEAREST", 0)
    app = Application(counting())
    one, other = dear(world, app, 20.0), dear(world, app, 20.0)
    one.rw._parts.prepared.random = lambda: 0.0
    assert one.get("/x").body == b"1"
    monkeypatch.setattr("regionware.caching.filling.Filling._cost", lambda *_: 0.0)
    assert other.get("/x").cache_status["detail"] == "redis"
    if not told:
        assert [other.get("/x").body for _ in range(20)] == [b"1"] * 20
        return
    until(lambda: other.get("/x").body == b"2")
    # The first one hears of it when it would refresh itself, and calls nobody.
    one.rw._parts.prepared.random = lambda: LIKELY
    until(lambda: one.get("/x").body == b"2")
    assert len(app.calls) == 2
    assert "early-refresh" not in one.rw.counts()


# Jitter


@pytest.mark.parametrize(("chance", "ttl"), [(0.0, 100), (0.5, 90), (0.999999, 80)])
def test_a_lifetime_is_shortened_once_for_all_workers(
    world: World, chance: float, ttl: int
) -> None:
    app = Application(counting())
    routes = (Route("/x", cache=Cache(ttl=100, jitter=0.2)),)
    one = world.behind(world.regionware(*routes), app)
    one.rw._parts.prepared.random = lambda: chance
    one.get("/x")
    assert ttl - 15 <= int(one.get("/x").cache_status["ttl"]) <= ttl
    if world.tier == "redis":
        other = world.behind(world.regionware(*routes), app)
        other.rw._parts.prepared.random = lambda: 0.999
        assert ttl - 15 <= int(other.get("/x").cache_status["ttl"]) <= ttl


@pytest.mark.parametrize("jitter", [-0.1, 0.51, float("nan")])
def test_jitter_is_a_small_share(jitter: float) -> None:
    with pytest.raises(ConfigurationError, match="jitter"):
        Cache(ttl=60, jitter=jitter)


def test_jitter_is_not_by_the_book() -> None:
    with pytest.raises(ConfigurationError, match="jitter"):
        Cache(ttl=60, jitter=0.1, is_standard=True)


# Failures, without Redis


@pytest.mark.parametrize("window", ["stale_while_revalidate", "stale_if_error"])
@pytest.mark.parametrize("tier", ["memory"])  # a Redis has a clock of its own
def test_a_failure_is_not_followed_by_another_attempt_at_once(
    world: World, clock: Clock, window: str
) -> None:
    broken: list[OSError] = []
    answers = counting()

    def handler(seen: Seen) -> Response:
        for error in broken:
            raise error
        return answers(seen)

    site = world.site(
        handler,
        Route("/x", cache=Cache(ttl=60, **{window: 600})),  # type: ignore[arg-type] # by its name
        clock=clock,
    )
    site.get("/x")
    broken.append(OSError("it broke"))
    clock.now += 61
    for seconds, calls in ((0.0, 2), (0.8, 2), (0.2, 3), (1.7, 3), (0.2, 4), (3.5, 4), (0.2, 5)):
        clock.now += seconds
        assert site.get("/x").body == b"1"
        until(lambda wanted=calls: len(site.app.calls) >= wanted)  # type: ignore[misc] # bound now
        until(lambda: len(site.rw._parts.rim._flights) == 0)
        assert len(site.app.calls) == calls
    broken.clear()
    clock.now += 30
    until(lambda: site.get("/x").body == b"2")
