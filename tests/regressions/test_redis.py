"""The region's Redis stays of use, and what it has lost or holds wrongly does no harm."""

import asyncio
from typing import Any

import pytest

from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from tests.conformance.application import counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import Answer, Site, until

TAGGED = Route("/{path:path}", cache=Cache(ttl=600, tags=["t"]))
#: More than redis-py's pools make by default.
MANY = 150


@pytest.fixture
def tier() -> str:
    """All of this is about Redis."""
    return "redis"


def again(site: Site, path: str, **ask: Any) -> Answer:
    """Once more, when this process has forgotten everything."""
    site.rw.memory.clear()
    return site.get(path, **ask)


def stored(site: Site, path: str, **ask: Any) -> bytes:
    """The body that Redis has, once it has it."""
    answers: list[Answer] = []

    def found() -> bool:
        answers.append(again(site, path, **ask))
        return answers[-1].cache_status.get("detail") == "redis"

    until(found)
    return answers[-1].body


def purge(site: Site) -> None:
    if site.flavour == "wsgi":
        site.rw.purge(tags=["t"])
    else:
        work = site.rw.apurge(tags=["t"])
        asyncio.run_coroutine_threadsafe(work, site._loop).result(20)


def test_many_purges_of_a_thread(world: World) -> None:
    """However many purges one process has sent, the next is acknowledged, and Redis used."""
    site = world.site(counting(), TAGGED)
    for _ in range(MANY):
        assert site.rw.purge(tags=["t"]).regions == ("here",)
    stored(site, "/a")


def test_many_broken_connections(world: World, redis_server: RedisServer) -> None:
    """However often its connections have broken, a healthy Redis is used."""
    site = world.site(counting(), TAGGED)
    for number in range(MANY):
        again(site, f"/{number}")
        redis_server.command("CLIENT KILL TYPE normal")
        again(site, f"/{number}")  # finds it broken, and the next connects anew
    stored(site, "/a")


def test_a_purge_over_a_connection_that_broke_while_idle(
    world: World, redis_server: RedisServer
) -> None:
    """A purge is acknowledged although Redis has closed every connection since the last."""
    site = world.site(counting(), TAGGED)
    purge(site)
    redis_server.command("CLIENT KILL TYPE normal")
    purge(site)


def test_purges_that_redis_has_forgotten(world: World, redis_server: RedisServer) -> None:
    """A worker that starts after Redis has lost its fences serves nothing that was purged."""
    handler = counting()
    site = world.site(handler, TAGGED)
    old = stored(site, "/a")
    purge(site)
    assert redis_server.command("DEL {regionware}:fences") == "1"
    assert world.site(handler, TAGGED).get("/a").body > old


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Proto", "Upgrade-Insecure-Requests", "TE"])
def test_any_field_may_select_a_variant(world: World, name: str) -> None:
    """An answer whose `Vary` names a field of the request's own line is found in Redis."""
    site = world.site(counting(vary=name))
    fields = {} if name == "Host" else {name: "1"}
    assert site.get("/a", headers=fields).body == b"1"
    assert stored(site, "/a", headers=fields) >= b"1"


@pytest.mark.parametrize("names", ["€", '"a b"', "a:b", "x" * 4096])
def test_names_of_variants_that_are_none(
    world: World, redis_server: RedisServer, names: str
) -> None:
    """An entry in Redis whose selecting fields are no names is a miss."""
    site = world.site(lambda _: text("fine"))
    stored(site, "/a")
    found = "return redis.call('KEYS','regionware:e:*')[1]"
    key = redis_server.command(f'EVAL "{found}" 0')
    redis_server.command(f"HSET {key} vary {names}")
    answer = again(site, "/a")
    assert (answer.status, answer.body, answer.hit) == (200, b"fine", False)
