"""Whole requests, through the middleware and past it, in turn."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import pytest

from bench.drivers import Answer, Ask, Seen, Side
from bench.measuring import SIZE, Budget, Measure, cpu_per_request
from regionware import Regionware

pytestmark = pytest.mark.benchmark(timer=cpu_per_request)

HTML = {"content-type": "text/html; charset=utf-8"}
PAGE = Answer(b"x" * 1024, HTML | {"cache-control": "public, max-age=600", "etag": '"a1"'})
LARGE = Answer(b"x" * 100 * 1024, PAGE.fields)
UNSTORED = Answer(PAGE.body, HTML | {"cache-control": "no-store"})
UNCHANGED = Answer(b"", PAGE.fields, 304)

#: µs that the bare application costs, on the machine on which the budgets were set.
BARE = {"asgi": 1.1, "wsgi": 2.2}
HIT = {"asgi": Budget(10, BARE["asgi"]), "wsgi": Budget(8, BARE["wsgi"])}
PASS = {name: Budget(5, bare, added=True) for name, bare in BARE.items()}


class Subject:
    """The wrapped application and the bare one, and what the batches are made of."""

    def __init__(self, side: Side, rw: Regionware, answer: Answer) -> None:
        self.side = side
        self.origin = side.application(answer)
        self.wrapped = side.wrap(rw, self.origin)
        self.seen: Seen | None = None
        self.called = 0

    def batch(self, requests: Sequence[dict[str, Any]]) -> None:
        """Through the middleware."""
        before = self.origin.calls
        self.seen = self.side.run(self.wrapped, requests)
        self.called = self.origin.calls - before

    def bare(
        self, asks: Sequence[Ask] | None = None, answer: Answer = PAGE
    ) -> Mapping[str, Callable[[], object]]:
        """Past it, to an application of its own."""
        app = self.side.application(answer)
        requests = self.side.requests(asks if asks is not None else [Ask("/page")] * SIZE)
        return {"bare": lambda: self.side.run(app, requests)}

    def answered(self, cache_status: str, *, calls: int, status: int = 200) -> None:
        """The last batch did what it was to do: this is not about time."""
        assert self.seen is not None
        assert self.seen.status == status
        assert cache_status in self.seen.fields.get("cache-status", "")
        assert self.called == calls


def _measure_same(
    measure: Measure, what: str, subject: Subject, ask: Ask, *, answer: Answer = PAGE, budget: Budget | None = None
) -> None:  # fmt: skip
    """Batches of one request, again and again."""
    asks = [ask] * SIZE
    requests = subject.side.requests(asks)
    subject.batch(requests)
    measure(
        what, subject.side.name, lambda: subject.batch(requests), beside=subject.bare(asks, answer), budget=budget,
    )  # fmt: skip


def test_memory_hit(measure: Measure, side: Side, rw: Regionware) -> None:
    subject = Subject(side, rw, PAGE)
    _measure_same(measure, "memory hit", subject, Ask("/page"), budget=HIT[side.name])
    subject.answered("hit; ttl=599; detail=memory", calls=0)


def test_memory_hit_large(measure: Measure, side: Side, rw: Regionware) -> None:
    subject = Subject(side, rw, LARGE)
    _measure_same(measure, "memory hit, 100 KiB", subject, Ask("/page"), answer=LARGE)
    subject.answered("detail=memory", calls=0)


def test_memory_hit_with_a_cookie(measure: Measure, side: Side, rw: Regionware) -> None:
    """The request carries analytics cookies, so that it has to be screened."""
    subject = Subject(side, rw, PAGE)
    ask = Ask("/page", fields={"cookie": "_ga=GA1.1.1234567890.1700000000; _fbp=fb.1.1700000000"})
    _measure_same(measure, "memory hit, screened", subject, ask)
    subject.answered("detail=memory", calls=0)


def test_memory_hit_of_a_variant(measure: Measure, side: Side, rw: Regionware) -> None:
    subject = Subject(side, rw, PAGE)
    _measure_same(measure, "memory hit, vary and tags", subject, Ask("/tagged/7"))
    subject.answered("detail=memory", calls=0)


def test_not_modified(measure: Measure, side: Side, rw: Regionware) -> None:
    subject = Subject(side, rw, PAGE)
    subject.batch(side.requests([Ask("/page")]))
    ask = Ask("/page", fields={"if-none-match": '"a1"'})
    _measure_same(measure, "304 from memory", subject, ask, answer=UNCHANGED)
    subject.answered("detail=memory", calls=0, status=304)


def test_uncacheable_get(measure: Measure, side: Side, rw: Regionware) -> None:
    """The application forbids storage on a route with a policy."""
    subject = Subject(side, rw, UNSTORED)
    _measure_same(
        measure, "uncacheable GET", subject, Ask("/page"), answer=UNSTORED, budget=PASS[side.name]
    )
    subject.answered("fwd=", calls=SIZE)


def test_post(measure: Measure, side: Side, rw: Regionware) -> None:
    subject = Subject(side, rw, UNSTORED)
    ask = Ask("/page", "POST")
    _measure_same(measure, "POST", subject, ask, answer=UNSTORED, budget=PASS[side.name])
    subject.answered("fwd=bypass; detail=method", calls=SIZE)


def test_no_policy(measure: Measure, side: Side, rw: Regionware) -> None:
    subject = Subject(side, rw, UNSTORED)
    _measure_same(
        measure, "no policy", subject, Ask("/bare/page"), answer=UNSTORED, budget=PASS[side.name]
    )
    subject.answered("", calls=SIZE)


def test_redis_hit(measure: Measure, side: Side, rw: Regionware, redis_url: str) -> None:
    """Many keys, in Redis and not in memory; beside one GET of as many bytes by redis-py."""
    subject = Subject(side, rw, PAGE)
    asks = [Ask(f"/page/{number}") for number in range(SIZE)]
    requests = side.requests(asks)
    subject.batch(requests)
    get = side.gets(redis_url, _put(redis_url))
    measure(
        "Redis hit", side.name, lambda: subject.batch(requests), prepare=rw.memory.clear,
        beside={**subject.bare(asks), "get": lambda: get(SIZE)},
    )  # fmt: skip
    subject.answered("detail=redis", calls=0)


def test_miss_and_store(measure: Measure, side: Side, rw: Regionware) -> None:
    """Keys that nobody has ever asked for."""
    subject = Subject(side, rw, PAGE)
    numbers = count()
    requests: list[dict[str, Any]] = []

    def prepare() -> None:
        requests[:] = side.requests([Ask(f"/new/{next(numbers)}") for _ in range(SIZE)])

    prepare()
    measure(
        "miss and store", side.name, lambda: subject.batch(requests), prepare=prepare,
        beside=subject.bare(),
    )  # fmt: skip
    subject.answered("fwd=miss", calls=SIZE)


def _put(url: str) -> str:
    """A value as long as an entry's frame, and its key."""
    import redis  # noqa: PLC0415

    with redis.Redis.from_url(url, protocol=2) as client:
        client.set("floor", b"x" * (1024 + 300))
    return "floor"
