"""Tags, namespaces and names, as other caches have mixed them up, forgotten or piled them up.

Each test is named after the cache and its issue; the docstring says what happened there.
"""

from typing import Any

import pytest

from regionware import ConfigurationError, Regionware
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from tests.conformance.application import Response, Seen, counting, text
from tests.conformance.conftest import World
from tests.regressions.rivals import (
    GUARDED,
    REDIS,
    TAGGED,
    commands,
    detail,
    direct,
    heard,
    in_redis,
    pair,
    purge,
    unfenced,
)

ONLY_STORED = {"Cache-Control": "only-if-cached"}
NAMES: dict[str, dict[str, Any]] = {
    "tag": {"tags": ["t"]}, "own tag": {"tags": ["own"]}, "url": {"urls": ["/x"]},
    "all": {"everything": True},
}  # fmt: skip


def tagging(body: bytes = b"") -> Any:
    """Numbers its answers, and tags them itself."""
    plain = counting()

    def handler(seen: Seen) -> Response:
        assert seen.state is not None
        seen.state.tag("own")
        answer = plain(seen)
        return Response([*answer.chunks, body])

    return handler


@REDIS
@GUARDED
@pytest.mark.parametrize("by", NAMES)
def test_fusioncache_419_what_is_in_redis_only(
    world: World, monkeypatch: pytest.MonkeyPatch, guarded: bool, by: str
) -> None:
    """FusionCache #419, #573: a tag did not reach what was kept in Redis and not in memory."""
    one, other = pair(world, tagging(bytes(10_000)), TAGGED, memory=1 << 16)
    one.get("/x")
    in_redis(one, "/x")
    assert [detail(site, "/x") for site in (one, other, other)] == ["redis"] * 3
    if not guarded:
        unfenced(monkeypatch)
    heard(other, purge(one, **NAMES[by]))
    for site in (other, one):
        assert site.get("/x").body[:1] == (b"2" if guarded else b"1")


@REDIS
@GUARDED
@pytest.mark.parametrize("tags", [[], ["another"]], ids=["none", "others"])
def test_hybridcache_122143_a_reader_that_knows_other_tags(
    world: World, monkeypatch: pytest.MonkeyPatch, guarded: bool, tags: list[str]
) -> None:
    """dotnet/runtime #122143: a reader that does not name an entry's tags got it when it was gone.

    An entry's tags are those it was stored with, whoever reads it.
    """
    one = world.site(tagging(), TAGGED)
    lenient = Route("/{path:path}", cache=Cache(ttl=600, tags=tags))
    other = world.behind(world.regionware(lenient), one.app)
    for name in ("t", "own"):
        before = one.get("/x").body
        in_redis(one, "/x")
        assert other.get("/x").body == before
        if not guarded:
            unfenced(monkeypatch)
        heard(other, purge(one, tags=[name]))
        assert (other.get("/x").body != before) is guarded
        one.rw.memory.clear()


@REDIS
@pytest.mark.parametrize("where", ["memory", "redis"])
def test_bentocache_83_tags_that_a_new_version_of_the_code_gives(world: World, where: str) -> None:
    """BentoCache #83: new tags in the code do not reach what was stored with the old ones."""
    routes = [Route("/{path:path}", cache=Cache(ttl=600, tags=[tag])) for tag in ("old", "new")]
    one = world.site(counting(), routes[0])
    before = one.get("/x").body
    in_redis(one, "/x")
    other = world.behind(world.regionware(routes[1]), one.app)
    if where == "memory":
        assert other.get("/x").body == before
    purge(other, tags=["new"])
    assert other.get("/x").body != before


@pytest.mark.parametrize("ask", [{"headers": ONLY_STORED}, {"method": "HEAD"}], ids=str)
def test_bentocache_64_has_what_a_tag_has_removed(world: World, ask: dict[str, Any]) -> None:
    """BentoCache #64: asked whether it has an entry, it said yes after the removal by its tag."""
    site = world.site(counting(), TAGGED)
    site.get("/x")
    assert site.get("/x", **ask).hit
    purge(site)
    assert not site.get("/x", **ask).hit


def test_bentocache_71_to_expire_is_not_to_delete(world: World) -> None:
    """BentoCache #63, #71, #80: what was named a deletion by tag was served on, as expired."""
    broken: list[bool] = []

    def handler(_: Seen) -> Response:
        if broken:
            return text("broken", 500)
        return text(str(len(site.app.calls)))

    lenient = Route("/{path:path}", cache=Cache(ttl=600, stale_if_error=600, tags=["t"]))
    site = world.site(handler, lenient)
    site.get("/x")
    broken.append(True)
    purge(site, tags=["t"], soft=True)
    assert site.get("/x").body == b"1"
    purge(site, tags=["t"])
    assert site.get("/x").body == b"broken"


# Namespaces


@REDIS
def test_bentocache_32_one_namespace_of_several(world: World) -> None:
    """BentoCache #32: to clear a namespace cleared all of them, and no other node's memory.

    Bitwarden (#8004) had several named caches of FusionCache on one backplane: all of them heard
    one channel, the last one's.
    """
    blue, blue_too = pair(world, counting(), TAGGED, namespace="blue")
    green, green_too = (
        world.behind(world.regionware(TAGGED, namespace="green"), blue.app) for _ in range(2)
    )
    before = [site.get("/x").body for site in (blue, blue_too, green, green_too)]
    assert before == [b"1", b"1", b"2", b"2"]
    heard(blue_too, purge(blue, everything=True))
    assert [site.get("/x").body for site in (blue_too, blue)] == [b"3", b"3"]
    assert [site.get("/x").body for site in (green, green_too)] == [b"2", b"2"]
    heard(green, purge(green_too, everything=True))
    assert green.get("/x").body == b"4"
    assert blue.get("/x").body == b"3"


def test_bentocache_72_a_namespace_without_a_name() -> None:
    """BentoCache #72: with an empty prefix, nobody's memory heard of a removal."""
    with pytest.raises(ConfigurationError, match="namespace"):
        Regionware(namespace="")


ODD = ["a b", "é", "x:y*", "{x}", "[a-z]+", "1,2", "ⅷ😀", "a\\", "'", '"', "%2F", "l" * 300]


@REDIS
@pytest.mark.parametrize("tag", ODD, ids=ascii)
def test_bentocache_38_every_name_gets_through(world: World, tag: str) -> None:
    """BentoCache #38: the message of a removal was read as another one, and memories kept all."""

    def handler(seen: Seen) -> Response:
        assert seen.state is not None
        seen.state.tag(tag)
        return text(str(len(one.app.calls)))

    one, other = pair(world, handler)
    assert [site.get("/x").body for site in (one, other)] == [b"1", b"1"]
    heard(other, purge(one, tags=[tag[:-1] + "?"]))
    assert other.get("/x").body == b"1"
    heard(other, purge(one, tags=[tag]))
    assert other.get("/x").body == b"2"


REACHED = [
    ({"urls": ["/a"]}, {"/a"}), ({"urls": ["/a/"]}, set()), ({"urls": ["/.*"]}, set()),
    ({"tags": ["item:1"]}, {"/items/1"}), ({"tags": ["item:"]}, set()), ({"tags": [".*"]}, set()),
    ({"tags": ["item:1|2"]}, set()), ({"tags": ["*"]}, set()),
]  # fmt: skip


@pytest.mark.parametrize(("names", "gone"), REACHED, ids=[str(names) for names, _ in REACHED])
def test_souin_84_a_name_is_no_pattern(world: World, names: dict[str, Any], gone: set[str]) -> None:
    """Souin, components-web-app #84: an unanchored pattern purged others' names for a year."""
    routes = [Route("/items/{id}", cache=Cache(ttl=600, tags=["item:{id}"])), TAGGED]
    site = world.site(counting(), *routes)
    paths = ["/a", "/ab", "/a/b", "/b/a", "/items/1", "/items/11", "/items/2"]
    before = {path: site.get(path).body for path in paths}
    purge(site, **names)
    assert {path for path in paths if site.get(path).body != before[path]} == gone
    # And what it did not name can still be purged.
    for path in paths:
        known = site.get(path).body
        purge(site, urls=[path])
        assert site.get(path).body != known


# What is left in Redis


@REDIS
def test_souin_646_there_is_no_index(world: World, redis_server: RedisServer) -> None:
    """Souin #646, cache-handler #118 and #127, storages #23: the index of tags outgrew all else.

    It was rewritten whole at every fill (50 MB), scanned every minute, and never ended. Varnish's
    xkey and Symfony's tags have one too.
    """
    site = world.site(counting(), TAGGED)
    sizes = []
    for many in (10, 80):
        for number in range(many):
            site.get(f"/{many}/{number}")
        purge(site)
        with direct(redis_server) as client:
            keys: Any = client.keys("*")
            entries = [key for key in keys if b":e:" in key]
            assert all(client.pttl(key) > 0 for key in entries)
            assert len(entries) >= many
            others = [key for key in keys if key not in entries]
            sizes.append((len(others), sum(client.memory_usage(key) or 0 for key in others)))
    assert sizes[1][0] <= sizes[0][0] + 1
    assert sizes[1][1] < 2 * sizes[0][1]


@REDIS
def test_async_hybrid_cache_nothing_is_left_of_a_process(
    world: World, redis_server: RedisServer
) -> None:
    """In async-hybrid-cache 0.5 each start of a process made a consumer group that nobody ended."""
    sites = pair(world, counting())
    for site in sites:
        site.get("/x")
    purge(sites[0])
    with direct(redis_server) as client:
        streams = list(client.scan_iter(_type="stream"))
        assert streams
        assert [client.xinfo_groups(name) for name in streams] == [[]] * len(streams)


@REDIS
def test_bentocache_tags_cost_no_round_trips(world: World, redis_server: RedisServer) -> None:
    """BentoCache and FusionCache ask Redis for every unknown tag of an entry, one by one."""
    route = Route("/{path:path}", cache=Cache(ttl=600, tags=[f"t{n}" for n in range(5)]))
    site = world.site(tagging(), route)
    site.get("/x")
    in_redis(site, "/x")
    names = ("evalsha", "get", "mget", "hgetall")
    before = [commands(redis_server, name) for name in names]
    assert detail(site, "/x") == "redis"
    after = [commands(redis_server, name) for name in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 0, 0, 0]
