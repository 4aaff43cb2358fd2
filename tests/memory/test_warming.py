"""A worker that starts fetches what the others of its region are asked for most."""

from collections.abc import Callable
from threading import Event
from threading import enumerate as threads
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from regionware import ConfigurationError, Region, Regionware, Topology
from regionware.caching import warming
from regionware.caching.echo import asked, base_of, key_of, mention
from regionware.caching.entry import Entry, Variants
from regionware.caching.keys import canonical
from regionware.caching.variants import variant_key
from regionware.caching.warming import Warming
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Seen, counting
from tests.conformance.conftest import World
from tests.conformance.harness import Site, until

ROUTE = Route("/{path:path}", cache=Cache(ttl=60, tags=["all"]))
HOT = "{regionware}:hot:"


@pytest.fixture
def tier() -> str:
    """It goes through the region's Redis."""
    return "redis"


@pytest.fixture
def worker(world: World) -> Callable[..., Site]:
    """A worker of the region; its background does nothing by itself unless `starts`."""

    def make(app: Application, *, warm: int = 100, starts: bool = False, **options: Any) -> Site:
        site = world.behind(world.regionware(ROUTE, warm=warm, **options), app)
        if not starts:
            chore(site).stop()
        return site

    return make


def chore(site: Site) -> Warming:
    (found,) = (each for each in site.rw._parts.rim._chores if isinstance(each, Warming))
    return found


def visited(site: Site, *paths: str, **ask: Any) -> None:
    for path in paths:
        site.get(path, **ask)
        site.get(path, **ask)


def started(worker: Callable[..., Site], app: Application, count: int, **options: Any) -> Site:
    """A worker that begins now, and has fetched as much."""
    site = worker(app, starts=True, **options)
    until(lambda: site.rw.counts().get("warmed", 0) >= count)
    return site


def test_a_worker_begins_with_what_others_are_asked_for(worker: Callable[..., Site]) -> None:
    app = Application(counting())
    first = worker(app)
    visited(first, "/a", "/b")
    first.get("/once")  # nobody wanted it again
    assert chore(first).publish() == 2
    second = started(worker, app, 2)
    calls = len(app.calls)
    for path in ("/a", "/b"):
        answer = second.get(path)
        assert answer.cache_status["detail"] == "memory"
        assert answer.body == first.get(path).body
    assert second.get("/once").cache_status["detail"] == "redis"
    assert len(app.calls) == calls


def test_variants_are_found_again(worker: Callable[..., Site]) -> None:
    def handler(seen: Seen) -> Any:
        answer = counting_handler(seen)
        answer.headers = [("Vary", "Accept-Language, X-None")]
        return answer

    counting_handler = counting()
    app = Application(handler)
    first = worker(app)
    for language in ("de", "en"):
        visited(first, "/a", headers={"Accept-Language": language})
    assert chore(first).publish() == 2
    second = started(worker, app, 2)
    for language in ("de", "en"):
        asked_for = {"Accept-Language": language}
        answer = second.get("/a", headers=asked_for)
        assert answer.cache_status["detail"] == "memory"
        assert answer.body == first.get("/a", headers=asked_for).body
    assert any(isinstance(each, Variants) for each in second.rw.memory.records())
    assert len(app.calls) == 2


def test_what_was_purged_meanwhile_is_not_kept(worker: Callable[..., Site]) -> None:
    app = Application(counting())
    first = worker(app)
    visited(first, "/a")
    chore(first).publish()
    first.rw.purge(tags=["all"])
    second = worker(app)
    chore(second).fetch(Event())
    assert len(second.rw.memory) == 0
    assert second.get("/a").body == b"2"


def test_a_host_that_is_not_listed_any_more_is_not_fetched(worker: Callable[..., Site]) -> None:
    app = Application(counting())
    first = worker(app)
    visited(first, "/a", host="evil")
    visited(first, "/a")
    assert chore(first).publish() == 2
    for options, hosts in (({"hosts": ["site.test"]}, {"site.test"}), ({}, {"site.test", "evil"})):
        second = worker(app, **options)
        chore(second).fetch(Event())
        assert {record.key[1] for record in second.rw.memory.records()} == hosts


def test_what_was_purged_is_kept_where_no_fence_is_asked(
    worker: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positive control of the one above."""
    app = Application(counting())
    first = worker(app)
    visited(first, "/a")
    chore(first).publish()
    first.rw.purge(tags=["all"])
    monkeypatch.setattr(warming, "is_fresh", lambda *_: True)
    second = worker(app)
    chore(second).fetch(Event())
    assert len(second.rw.memory) == 1


def test_nothing_is_fetched_before_the_fences_are_known(worker: Callable[..., Site]) -> None:
    app = Application(counting())
    first = worker(app)
    visited(first, "/a")
    chore(first).publish()
    second = worker(app)
    synced, late = Event(), chore(second)
    late._synced = lambda: synced
    late.start()
    assert not late._stop.wait(0.3)
    assert len(second.rw.memory) == 0
    synced.set()
    until(lambda: len(second.rw.memory) == 1)
    late.stop()


def test_only_as_many_as_are_wanted(worker: Callable[..., Site]) -> None:
    app = Application(counting())
    first = worker(app)
    visited(first, *(f"/{number}" for number in range(10)))
    assert chore(first).publish() == 10
    chore(first).publish()
    few = worker(app, warm=3)
    chore(few).fetch(Event())
    assert len(few.rw.memory) == 3


def test_the_region_s_list_is_bounded_and_forgets(
    worker: Callable[..., Site], redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "MOST", 5)
    app = Application(counting())
    first, other = worker(app), worker(app)
    visited(first, *(f"/{number}" for number in range(8)))
    visited(other, "/other")
    assert chore(first).publish() == 5
    for _ in range(12):
        chore(other).publish()
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.zcard(HOT) == 5
        first_of_all = client.zrevrange(HOT, 0, 0)
        assert 0 < client.pttl(HOT) <= 3_600_000
    assert [each.decode() for each in first_of_all] == chore(other).wanted()


@pytest.mark.parametrize(
    "member", ["", "x", "0" * 32, "0" * 32 + "\nno colon", "\xff" * 40, "a" * 2000]
)
def test_what_others_have_written_is_a_clean_miss(
    worker: Callable[..., Site], redis_server: RedisServer, member: str
) -> None:
    app = Application(counting())
    first = worker(app)
    visited(first, "/a")
    chore(first).publish()
    with redis.Redis.from_url(redis_server.url) as client:
        client.zincrby(HOT, 100, member)
    assert len(started(worker, app, 1).rw.memory) == 1


def test_a_list_of_another_type_ends_it_and_nothing_else(
    worker: Callable[..., Site], redis_server: RedisServer
) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.set(HOT, "text")
    site = worker(Application(counting()), starts=True)
    visited(site, "/a")
    with pytest.raises(redis.ResponseError):
        chore(site).publish()
    chore(site)._guarded(chore(site).publish)
    assert site.get("/a").hit


def test_a_frame_under_another_key_is_not_taken(
    worker: Callable[..., Site], redis_server: RedisServer
) -> None:
    app = Application(counting())
    first = worker(app)
    visited(first, "/a", "/b")
    chore(first).publish()
    with redis.Redis.from_url(redis_server.url) as client:
        one, other = sorted(client.keys("regionware:e:*"))
        client.hset(one, b"e", client.hget(other, b"e"))
    second = started(worker, app, 1)
    chore(second).fetch(Event())
    assert len(second.rw.memory) == 1


def test_a_redis_that_is_down_ends_it(
    worker: Callable[..., Site], redis_server: RedisServer
) -> None:
    app = Application(counting())
    first = worker(app)
    visited(first, *(f"/{number}" for number in range(20)))
    chore(first).publish()
    second = worker(app)
    taken = second.rw._parts.rim.tier
    assert taken is not None
    lookup, calls = taken.lookup, list[object]()

    def failing(ask: Any) -> Any:
        calls.append(ask)
        if len(calls) == 3:
            redis_server.kill()
        return lookup(ask)

    taken.lookup = failing  # type: ignore[method-assign] # it fails on command
    chore(second).fetch(Event())
    assert len(calls) == 3
    assert len(second.rw.memory) == 2


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_nothing_is_told_or_fetched_in_another_mode(worker: Callable[..., Site], mode: str) -> None:
    app = Application(counting())
    first = worker(app)
    visited(first, "/a")
    chore(first).publish()
    second = worker(app)
    second.rw.mode = mode  # type: ignore[assignment] # the words are its own
    chore(second).fetch(Event())
    first.rw.mode = mode  # type: ignore[assignment] # as above
    assert chore(first).publish() == 0
    assert len(second.rw.memory) == 0


def test_the_thread_ends_with_the_worker(redis_url: str) -> None:
    here = Region("here", primary=True, redis=redis_url)
    topology = Topology(here="here", regions=[here])

    def running() -> list[str]:
        return [each.name for each in threads() if each.name == "regionware-warming"]

    before = len(running())
    with Regionware(topology=topology, routes=[ROUTE], warm=10):
        assert len(running()) == before + 1
    assert len(running()) == before


@pytest.mark.parametrize("options", [{"warm": -1}, {"warm": 5001}, {"warm": 1}, {"shadow": 11.0}])
def test_a_wish_that_cannot_be_met_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Regionware(routes=[ROUTE], **options)


# What is told

TEXT = st.text(max_size=12)
KEYS = st.lists(TEXT, min_size=4, max_size=7).map(tuple)


@given(KEYS)
def test_a_key_comes_back_from_its_material(key: tuple[str, ...]) -> None:
    assert key_of(canonical(key)) == key


@given(st.binary(max_size=60) | TEXT.map(lambda text: repr((text,) * 4).encode("utf-8", "replace")))
def test_only_what_is_written_so_is_a_key(material: bytes) -> None:
    key = key_of(material)
    assert key is None or canonical(key) == material


@pytest.mark.parametrize(
    "material",
    [
        b"", b"()", b"('a',)", b"('a', 'b', 'c')", b"('a', 'b', 'c', 1)", b"(" * 100_000,
        b"('a', 'b', 'c', ('d',))", b"['a', 'b', 'c', 'd']", b"('a', 'b', 'c', 'd') + ()",
        b"('a', 'b', 'c', \"d\")", b"('a',  'b', 'c', 'd')", b"('a', 'b', 'c', 'd\\x')",
    ],
)  # fmt: skip
def test_what_is_no_key_is_none(material: bytes) -> None:
    assert key_of(material) is None


def entry(key: tuple[str, ...], flags: int = 0) -> Entry:
    return Entry(
        key, status=200, headers=(), body=b"", tags=(), created=1, born=0, fresh_until=1,
        flags=flags,
    )  # fmt: skip


def test_what_a_mention_says() -> None:
    key = ("http", "h", "/", "")
    plain, names = mention(entry(key)), ("accept", "x-a")
    assert asked(plain) == (plain, "")
    varied = mention(entry(variant_key(key, names, ("", "=1"))))
    assert asked(varied) == (plain, "x-a:=1\n")
    assert mention(entry((*key, "\0", "part"))) == ""
    assert mention(entry(key, flags=4)) == ""
    assert mention(entry(variant_key(key, ("a",), ("x" * 2000,)))) == ""
    assert base_of(variant_key(key, names, ("", "=1"))) == (key, names, ("", "=1"))


@pytest.fixture(autouse=True)
def _seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests say when something is published."""
    monkeypatch.setattr(warming, "EVERY", 1000.0)
