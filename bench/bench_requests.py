"""Whole requests, through the middleware and past it, in turn."""

from itertools import count

import pytest
import redis

from bench.drivers import Answer, Ask, Side
from bench.measuring import SIZE, Budget, Measure, cpu_per_request
from bench.subject import LARGE, PAGE, UNCHANGED, UNSTORED, Subject
from regionware import Regionware
from regionware.parts.redis import RedisServer

pytestmark = pytest.mark.benchmark(timer=cpu_per_request)

#: µs that the bare application costs where the budgets were set: two cores of an AMD EPYC.
BARE = {"asgi": 1.0, "wsgi": 1.15}
HIT = {"asgi": Budget(10, BARE["asgi"]), "wsgi": Budget(8, BARE["wsgi"])}
PASS = {name: Budget(5, bare, added=True) for name, bare in BARE.items()}
#: Octets that a frame has beside the body, about.
_FRAME = 300


def again(
    measure: Measure,
    what: str,
    subject: Subject,
    ask: Ask,
    answer: Answer,
    *,
    budget: Budget | None = None,
) -> None:
    """Measure batches of one request."""
    asks = [ask] * SIZE
    subject.batch(asks)
    beside = subject.bare(asks, answer)
    measure(what, subject.side.name, lambda: subject.batch(asks), beside=beside, budget=budget)


def test_memory_hit(measure: Measure, side: Side, rw: Regionware) -> None:
    subject = Subject(side, rw, PAGE)
    again(measure, "memory hit", subject, Ask(f"/{subject.number}"), PAGE, budget=HIT[side.name])
    subject.answered("; detail=memory", calls=0)


def test_memory_hit_large(measure: Measure, side: Side, rw: Regionware) -> None:
    subject = Subject(side, rw, LARGE)
    again(measure, "memory hit, 100 KiB", subject, Ask(f"/{subject.number}"), LARGE)
    subject.answered("; detail=memory", calls=0)


def test_memory_hit_screened(measure: Measure, side: Side, rw: Regionware) -> None:
    """The request carries analytics cookies, so that it has to be looked at."""
    subject = Subject(side, rw, PAGE)
    cookies = "_ga=GA1.1.1234567890.1700000000; _fbp=fb.1.1700000000.1234567890"
    ask = Ask(f"/{subject.number}", cookie=cookies)
    again(measure, "memory hit, cookies", subject, ask, PAGE)
    subject.answered("; detail=memory", calls=0)


def test_memory_hit_of_a_variant(measure: Measure, side: Side, rw: Regionware) -> None:
    subject = Subject(side, rw, PAGE)
    ask = Ask(f"/tagged/{subject.number}")
    again(measure, "memory hit, vary and tags", subject, ask, PAGE)
    subject.answered("; detail=memory", calls=0)


def test_not_modified(measure: Measure, side: Side, rw: Regionware) -> None:
    subject = Subject(side, rw, PAGE)
    path = f"/{subject.number}"
    subject.batch([Ask(path)])
    again(measure, "304 from memory", subject, Ask(path, if_none_match='"a1"'), UNCHANGED)
    subject.answered("; detail=memory", calls=0, status=304)


def test_uncacheable_get(measure: Measure, side: Side, rw: Regionware) -> None:
    """The application forbids storage on a route with a policy."""
    subject = Subject(side, rw, UNSTORED)
    ask = Ask(f"/{subject.number}")
    again(measure, "uncacheable GET", subject, ask, UNSTORED, budget=PASS[side.name])
    subject.answered("fwd=", calls=SIZE)


def test_post(measure: Measure, side: Side, rw: Regionware) -> None:
    subject = Subject(side, rw, UNSTORED)
    ask = Ask(f"/bare/{subject.number}", "POST")
    again(measure, "POST", subject, ask, UNSTORED, budget=PASS[side.name])
    subject.answered("", calls=SIZE)


def test_post_that_invalidates(measure: Measure, side: Side, rw: Regionware) -> None:
    """What is stored under its URL ends in the region's Redis, before the answer goes out."""
    subject = Subject(side, rw, UNSTORED)
    ask = Ask(f"/{subject.number}", "POST")
    again(measure, "POST, invalidating", subject, ask, UNSTORED)
    subject.answered("fwd=", calls=SIZE)


def test_no_policy(measure: Measure, side: Side, rw: Regionware) -> None:
    subject = Subject(side, rw, UNSTORED)
    ask = Ask(f"/bare/{subject.number}")
    again(measure, "no policy", subject, ask, UNSTORED, budget=PASS[side.name])
    subject.answered("", calls=SIZE)


def test_redis_hit(measure: Measure, side: Side, rw: Regionware, redis_server: RedisServer) -> None:
    """Keys in Redis and not in memory; beside one GET of as many octets by redis-py's client."""
    subject = Subject(side, rw, PAGE)
    asks = [Ask(f"/{subject.number}/{number}") for number in range(SIZE)]
    subject.batch(asks)
    with redis.Redis.from_url(redis_server.url, protocol=2) as client:
        client.set("floor", b"x" * (len(PAGE.body) + _FRAME))
    get = side.gets(redis_server.url, "floor")
    measure(
        "Redis hit", side.name, lambda: subject.batch(asks), prepare=rw.memory.clear,
        beside={**subject.bare(asks, PAGE), "get": lambda: get(SIZE)},
    )  # fmt: skip
    subject.answered("; detail=redis", calls=0)


def test_miss_and_store(measure: Measure, side: Side, rw: Regionware) -> None:
    """Keys that nobody has ever asked for."""
    subject = Subject(side, rw, PAGE)
    numbers = count()
    asks: list[Ask] = []

    def prepare() -> None:
        asks[:] = [Ask(f"/{subject.number}/{next(numbers)}") for _ in range(SIZE)]

    prepare()
    measure(
        "miss and store", side.name, lambda: subject.batch(asks), prepare=prepare,
        beside=subject.bare(list(asks), PAGE),
    )  # fmt: skip
    subject.answered("fwd=miss", calls=SIZE)
