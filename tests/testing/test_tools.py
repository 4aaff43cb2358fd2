"""The clock, the chaos store, the scripted Redis and the oracle, as users' tests use them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from regionware import ConfigurationError, PurgeError, Region, Regionware, Topology
from regionware.policies import Cache, Route
from regionware.testing import (
    Answer,
    ChaosStore,
    Clock,
    Difference,
    Oracle,
    Request,
    ScriptedRedis,
    erring,
    transparent,
)
from regionware.testing.garbage import ERRORS
from regionware.testing.oracle import Step
from tests.conformance.harness import until
from tests.rig import Rig

SHOP = {"/": 1, "/b": 1}


def asgi_shop(data: dict[str, int]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if scope["method"] == "POST":
            data[path] += 1
        headers = [
            (b"content-type", b"text/plain"),
            (b"x-shop", b"yes"),
            (b"etag", b'"%d"' % data[path]),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"%d" % data[path]})

    return app


def wsgi_shop(data: dict[str, int]) -> Any:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] == "POST":
            data[path] += 1
        headers = [("Content-Type", "text/plain"), ("X-Shop", "yes"), ("ETag", f'"{data[path]}"')]
        start_response("200 OK", headers)
        return [b"%d" % data[path]]

    return app


def shop(flavour: str, data: dict[str, int], clock: Clock) -> tuple[Any, Any]:
    """A bare and a wrapped application, cached for ten seconds in memory."""
    rw = Regionware(
        routes=[Route("/{path:path}", cache=Cache(ttl=10))], clock=clock, wall=clock.wall
    )
    app = asgi_shop(data) if flavour == "asgi" else wsgi_shop(data)
    return app, rw.asgi(app) if flavour == "asgi" else rw.wsgi(app)


# The clock


def test_a_clock_goes_forward_and_is_corrected() -> None:
    clock = Clock(5.0, wall=100.0)
    clock.advance(2.5)
    clock.step_wall(-50)
    assert (clock(), clock.wall()) == (7.5, 52.5)
    with pytest.raises(ValueError, match="step_wall"):
        clock.advance(-1)


# The oracle


def test_what_is_within_the_staleness_passes(flavour: str) -> None:
    data, clock = dict(SHOP), Clock()
    bare, wrapped = shop(flavour, data, clock)
    oracle = Oracle(bare, wrapped, staleness=10, clock=clock)
    steps: list[Step] = [
        "/",
        "/b",
        lambda: data.update({"/": 2}),
        "/",
        lambda: clock.advance(11),
        "/",
    ]
    assert oracle.compare(steps) == []


def test_what_is_older_is_told(flavour: str) -> None:
    """The positive control: the application was promised to be fresher than it is."""
    data, clock = dict(SHOP), Clock()
    bare, wrapped = shop(flavour, data, clock)
    oracle = Oracle(bare, wrapped, staleness=3, clock=clock)
    steps: list[Step] = ["/", lambda: data.update({"/": 2}), "/", lambda: clock.advance(5), "/"]
    (found,) = oracle.compare(steps)
    assert (found.number, found.answer.body) == (4, b"1")
    assert [each.body for each in found.expected] == [b"2"]
    assert "step 4" in str(found)
    with pytest.raises(AssertionError, match="step 0"):
        oracle.check(["/"])


def version(answer: Answer) -> int:
    return int(answer.body)


def test_versions_are_compared_in_place_of_bodies(flavour: str) -> None:
    data, clock = dict(SHOP), Clock()
    bare, wrapped = shop(flavour, data, clock)
    oracle = Oracle(bare, wrapped, staleness=10, version=version, clock=clock)
    change: Callable[[], object] = lambda: data.update({"/": data["/"] + 1})  # noqa: E731 - a step
    assert oracle.compare(["/", change, "/", change, "/"]) == []
    strict = Oracle(bare, wrapped, staleness=0, version=version, clock=clock)
    clock.advance(1)
    assert len(strict.compare(["/", change, "/"])) == 2


def test_an_unsafe_request_is_sent_once_and_ends_what_is_stored(flavour: str) -> None:
    data, clock = dict(SHOP), Clock()
    bare, wrapped = shop(flavour, data, clock)
    oracle = Oracle(bare, wrapped, staleness=0, clock=clock)
    assert oracle.compare(["/", Request("/", "POST"), "/", Request("/", "HEAD")]) == []
    assert data["/"] == 2


def test_conditions_and_parts_are_answered_as_the_standard_says(flavour: str) -> None:
    data, clock = {"/": 12345}, Clock()
    bare, wrapped = shop(flavour, data, clock)
    oracle = Oracle(bare, wrapped, staleness=10, clock=clock)
    conditional = Request("/", headers={"If-None-Match": '"12345"'})
    assert oracle.compare(["/", conditional, Request("/", headers={"Range": "bytes=1-2"})]) == []


def test_a_field_that_is_lost_is_told(flavour: str) -> None:
    data, clock = dict(SHOP), Clock()
    bare, _ = shop(flavour, data, clock)

    async def without(scope: Any, receive: Any, send: Any) -> None:
        async def send_less(message: Any) -> None:
            kept = [pair for pair in message.get("headers", ()) if pair[0] != b"x-shop"]
            await send({**message, "headers": kept} if "headers" in message else message)

        await bare(scope, receive, send_less)

    def without_too(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: Any) -> Any:
            return start_response(status, [pair for pair in headers if pair[0] != "X-Shop"])

        return bare(environ, start)

    lossy = without if flavour == "asgi" else without_too
    assert len(Oracle(bare, lossy).compare(["/"])) == 1
    assert Oracle(bare, lossy, ignored=["X-Shop"]).compare(["/"]) == []


@transparent("/", "/b", "/", staleness=10)
def test_a_function_that_makes_both_is_a_test(flavour: str) -> tuple[Any, Any]:
    return shop(flavour, dict(SHOP), Clock())


# The chaos store


def region(url: str) -> Topology:
    return Topology(here="here", regions=[Region("here", primary=True, redis=url)])


ROUTES = [Route("/{path:path}", cache=Cache(ttl=60))]


def run(seed: int, url: str, **wrong: float) -> tuple[list[Any], dict[str, int]]:
    """Requests with a broken store, each path twice and memory emptied: what differed."""
    data = {f"/{n}": n for n in range(20)}
    rw = Regionware(topology=region(url), routes=ROUTES)
    app = wsgi_shop(data)
    with rw, ChaosStore(rw, seed=seed) as chaos:
        log = rw._parts.rim._log
        assert log is not None
        until(log.synced.is_set)
        for name, value in wrong.items():
            getattr(chaos, name)(value)
        oracle = Oracle(app, rw.wsgi(app), staleness=60)
        steps: list[Any] = []
        for path in [*data, *data]:
            steps += [path, rw.memory.clear]
        return oracle.compare(steps), dict(chaos.counts)


@pytest.mark.parametrize("wrong", [{"fail": 0.5}, {"lie": 0.5}, {"fail": 1.0}, {"delay": 0.002}])
def test_nothing_changes_but_the_speed(redis_url: str, wrong: dict[str, float]) -> None:
    differences, counts = run(7, redis_url, **wrong)
    assert differences == []
    expected = {"fail": "failed", "lie": "lied", "delay": "delayed"}[next(iter(wrong))]
    assert counts[expected] > 5


def test_a_seed_repeats_what_goes_wrong(redis_url: str) -> None:
    def thrown(seed: int) -> list[tuple[str, float]]:
        chaos = ChaosStore(Regionware(topology=region(redis_url)), seed=seed)
        chaos.fail(0.3)
        chaos.lie(0.3)
        chaos.delay(0.1, 0.2, probability=0.5)
        return [chaos.throw() for _ in range(50)]

    assert thrown(3) == thrown(3)
    assert thrown(3) != thrown(4)
    assert {what for what, _ in thrown(3)} == {"failed", "lied", "passed"}


def test_chaos_reaches_event_loops_and_purges_too(rig: Rig, redis_url: str) -> None:
    rw = rig.worker(redis_url)
    rw.start()

    def purge() -> object:
        if rig.flavour == "asgi":
            return rig.run(rw.apurge(tags=["a"]))
        return rw.purge(tags=["a"])

    with ChaosStore(rw) as chaos:
        chaos.down()
        with pytest.raises(PurgeError):
            purge()
        chaos.up()
        purge()
        assert chaos.counts["failed"] == 1
    purge()
    assert chaos.counts["passed"] == 1


def test_chaos_wants_a_redis_and_probabilities(redis_url: str) -> None:
    with pytest.raises(ConfigurationError, match="no Redis"):
        ChaosStore(Regionware())
    chaos = ChaosStore(Regionware(topology=region(redis_url)))
    for wrong in (chaos.fail, chaos.lie):
        with pytest.raises(ValueError, match="from 0 to 1"):
            wrong(1.5)


# The scripted Redis: tests/faults has the rest


def test_a_redis_that_only_errs_is_not_noticed(flavour: str) -> None:
    data = dict(SHOP)
    app = asgi_shop(data) if flavour == "asgi" else wsgi_shop(data)
    with ScriptedRedis(erring("LOADING Redis is loading the dataset in memory")) as server:
        rw = Regionware(topology=region(server.url), routes=ROUTES)
        wrapped = rw.asgi(app) if flavour == "asgi" else rw.wsgi(app)
        oracle = Oracle(app, wrapped, staleness=60)

        async def compare() -> list[Difference]:
            async with rw:
                return await oracle.acompare(["/", "/", "/b"])

        assert asyncio.run(compare()) == []
        assert server.accepted


def test_errors_of_many_kinds_are_ready_to_use() -> None:
    kinds = {error.partition(b" ")[0] for error in ERRORS}
    assert kinds >= {
        b"LOADING", b"READONLY", b"OOM", b"NOAUTH", b"WRONGPASS", b"BUSY", b"NOSCRIPT", b"MOVED",
        b"CLUSTERDOWN", b"MASTERDOWN", b"WRONGTYPE", b"ERR", b"NOPERM", b"EXECABORT", b"TRYAGAIN",
    }  # fmt: skip
