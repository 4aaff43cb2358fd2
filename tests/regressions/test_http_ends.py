"""What a request ends is ended, wherever it is kept and however its client came to it."""

import asyncio
import concurrent.futures
from collections.abc import Iterator
from hashlib import sha1
from typing import Any

import pytest
import redis

from regionware import Region, Regionware, Topology
from regionware.caching.purging import Order, Relay
from regionware.caching.redis import RedisTier
from regionware.caching.scripts import PURGE, Names, Script
from regionware.errors import ConfigurationError, RegionwareError
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from tests.conformance.application import DEADLINE, Handler, Response, Seen, counting
from tests.conformance.conftest import World
from tests.conformance.harness import until
from tests.conformance.standard import (
    KINDS,
    MEMORY,
    Kind,
    Lines,
    Time,
    cached,
    fields,
    numbered,
    verdict,
)

TAG = 'ETag: "1"'
MINUTE = "Cache-Control: max-age=60"
REDIS = pytest.mark.parametrize("tier", ["redis"], indirect=True)
TRUSTED = ["192.0.2.0/24"]
EVERYWHERE = Route("/{path:path}", cache=Cache(ttl=600))
FORWARDED = [("https", "site.test"), ("http", "shop.test"), ("https", "shop.test")]


def shop(changed: Lines = (), stored: Lines = (MINUTE,)) -> Handler:
    """Numbers its answers to GET, and says the same to every POST."""
    plain = numbered(stored)
    return lambda seen: Response((), 201, fields(changed)) if seen.method == "POST" else plain(seen)


# Of which URL


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("named", ["itself", "location", "group"])
@pytest.mark.parametrize(("scheme", "host"), FORWARDED)
def test_a_change_behind_a_trusted_proxy(
    world: World, kind: Kind, named: str, scheme: str, host: str
) -> None:
    """RFC 9111, section 4.4: what ends is named as it is stored, by what the proxy says."""
    words = {"location": f"Location: {scheme}://{host}/x", "group": 'Cache-Group-Invalidation: "g"'}
    handler = shop([words[named]] if named in words else [], [MINUTE, 'Cache-Groups: "g"'])
    site = cached(world, handler, kind, trusted=TRUSTED)
    proxy = [f"X-Forwarded-Proto: {scheme}", f"X-Forwarded-Host: {host}"]
    site.get(lines=proxy)
    path = "/x" if named == "itself" else "/y"
    site.get(path, method="POST")  # of another origin
    assert verdict(site, lines=proxy) == "reused"
    site.get(path, proxy, method="POST")
    assert verdict(site, lines=proxy) == "forwarded"


QUERIES = [
    Cache(ttl=60, query=["page"]),
    Cache(ttl=60, ignore_query=["utm_*"]),
    Cache(ttl=60, query="key-order"),
]


@pytest.mark.parametrize("policy", QUERIES, ids=["some", "without", "order"])
@pytest.mark.parametrize("named", ["itself", "location"])
def test_a_change_under_a_query_that_does_not_count(
    world: World, policy: Cache, named: str
) -> None:
    """RFC 9111, section 4.4: the target's answer ends, however its query is spelt."""
    query = "page=2&utm_a=1&b=3&a=1"
    site = cached(world, shop([f"Location: /x?{query}"] if named == "location" else []), policy)
    site.get(query="page=3")
    site.get(query=query)
    site.get("/y" if named == "location" else "/x", query=query, method="POST")
    assert verdict(site, query="page=3") == "reused"
    assert verdict(site, query=query) == "forwarded"


@pytest.mark.parametrize("word", ["no-store", "private", "max-age=10"])
def test_a_head_may_end_what_is_stored(world: World, word: str) -> None:
    """RFC 9111, section 4.3.5: as a 304 may, which says that nothing is to be stored any more."""

    def application(seen: Seen) -> Response:
        control = word if seen.method == "HEAD" else "max-age=10"
        return Response([b"x"], headers=fields([TAG, f"Cache-Control: {control}", "Age: 20"]))

    site = cached(world, application)
    site.get()
    site.get(method="HEAD")
    found = verdict(site, lines=["Cache-Control: max-stale"])
    assert found == ("stale" if word == "max-age=10" else "forwarded")


@MEMORY
def test_a_part_ends_with_a_newer_whole(world: World) -> None:
    """Who has seen the new whole is not given bytes of the old one."""
    time, version = Time(), ["v1"]

    def application(seen: Seen) -> Response:
        if "range" in seen.headers:
            part = ["Cache-Control: max-age=600", "Content-Range: bytes 0-1/10"]
            return Response([version[0].encode()], 206, fields(part))
        return Response([b"%b wholly" % version[0].encode()], 200, fields([MINUTE]))

    site, part = cached(world, application, **time.options), ["Range: bytes=0-1"]
    site.get(lines=part)
    assert verdict(site, lines=part) == "reused"
    version[0] = "v2"
    assert site.get().body == b"v2 wholly"
    time.pass_(61)
    assert site.get(lines=part).body == b"v2"


# Whose client has gone


@REDIS
def test_a_change_is_not_lost_with_its_client(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that is cut off while its fences are raised has changed something all the same."""

    def cut(*_: object) -> int:
        raise asyncio.CancelledError

    async def acut(*_: object) -> int:
        raise asyncio.CancelledError

    sites = cached(world, counting(), "declared")
    here, there = sites.all
    assert [each.get("/x").body for each in (here, there)] == [b"1", b"1"]
    with monkeypatch.context() as patch:
        patch.setattr(RedisTier, "invalidate", cut)
        patch.setattr(RedisTier, "ainvalidate", acut)
        call = here.start("/x", method="POST")
        with pytest.raises((asyncio.CancelledError, concurrent.futures.CancelledError)):
            call.result()
    assert here.get("/x").body != b"1"
    until(lambda: there.get("/x").body != b"1")


# How many are remembered


MANY = 100
FEW = ("KEYS[3]) - 100000", f"KEYS[3]) - {MANY}")
RECENT = ("now - 600000000", "now")


def change(monkeypatch: pytest.MonkeyPatch, *changes: tuple[str, str]) -> None:
    """Give the script that raises fences other bounds."""
    text = PURGE.text
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    script = Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())
    monkeypatch.setattr("regionware.caching.redis.PURGE", script)


@REDIS
@pytest.mark.parametrize("flavour", ["wsgi"])
def test_a_region_remembers_a_bounded_number_of_fences(
    world: World, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer
) -> None:
    """In every worker, and what a forgotten one refused stays refused, by workers to come too."""
    change(monkeypatch, FEW, RECENT)
    handler, logins = counting(), 3 * MANY
    one, other = (world.site(handler, EVERYWHERE) for _ in range(2))
    assert [site.get("/old").body for site in (one, other)] == [b"1", b"1"]
    one.rw.purge(urls=["/old"])
    for number in range(logins):
        one.get("/login", query=f"x={number}", method="POST")
    assert int(redis_server.command("HLEN {regionware}:fences")) <= MANY + 3
    last = f"huhttp://site.test/login?x={logins - 1}"
    for site in (world.site(handler, EVERYWHERE), other, one):
        fences = site.rw._parts.prepared.fences
        until(lambda: fences.horizon > 0 and last in fences._table)  # noqa: B023 - called at once
        assert len(fences) <= MANY + 3
        assert int(site.get("/old").body) > logins


@REDIS
@pytest.mark.parametrize("flavour", ["wsgi"])
def test_fences_of_the_last_minutes_stay(
    world: World, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer
) -> None:
    """However many they are: a replica may still lag behind their positions."""
    change(monkeypatch, FEW)
    site = world.site(counting(), EVERYWHERE)
    for number in range(2 * MANY):
        site.get("/login", query=f"x={number}", method="POST")
    assert int(redis_server.command("HLEN {regionware}:fences")) >= 2 * MANY


@pytest.mark.parametrize("by", ["change", "url", "path", "tag"])
def test_long_names_are_remembered_shortly(world: World, by: str) -> None:
    """A client chooses how long a URL is; what is purged and what is stored name it alike."""
    name = "y" * 1000
    route = Route("/{path:path}", cache=Cache(ttl=600, tags=["t-{path}"]))
    site = world.site(counting(), route)
    site.get(f"/{name}")
    site.get(f"/{name}z")
    if by == "change":
        site.get(f"/{name}", method="POST")
    elif by == "tag":
        site.rw.purge(tags=[f"t-{name}"])
    else:
        site.rw.purge(urls=[f"http://site.test/{name}" if by == "url" else f"/{name}"])
    until(lambda: not site.get(f"/{name}").hit)
    assert site.get(f"/{name}z").hit
    assert max(map(len, site.rw._parts.prepared.fences._table)) <= 300


# What is relayed


@pytest.fixture
def far(redis_url: str, second_redis_url: str) -> Iterator[Regionware]:
    """A worker of one region, which tells another."""
    regions = [
        Region("here", primary=True, redis=redis_url), Region("there", redis=second_redis_url),
    ]  # fmt: skip
    rw = Regionware(topology=Topology(here="here", regions=regions), routes=[EVERYWHERE])
    with rw:
        rw.start()
        yield rw


@pytest.mark.parametrize(
    ("named", "error"),
    [({"tags": ["\udc80"]}, ConfigurationError), ({"urls": ["/\udc80"]}, RegionwareError)],
)
def test_what_cannot_be_sent_is_in_nobodys_way(
    far: Regionware, named: Any, error: type[Exception]
) -> None:
    """A name that is no text is refused, and later purges reach every region."""
    with pytest.raises(error):
        far.purge(**named)
    assert far.purge(tags=["fine"], wait="all", timeout=DEADLINE).regions == ("here", "there")


def test_a_relay_tries_once_more_when_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the order to stop comes while it waits: the region may be back."""
    tries: list[object] = []

    def fails(*asked: object) -> bytes:
        tries.append(asked)
        if len(tries) == 1:
            raise redis.ConnectionError
        return b"0" * 16

    monkeypatch.setattr("regionware.caching.purging._PAUSE", 600.0)
    monkeypatch.setattr(redis.Redis, "eval", fails)
    relay = Relay("there", "redis://127.0.0.1:1/0", Names.of("n", ""), lambda _: None)
    done = relay.send(Order(("htx",), None, 1))
    until(lambda: tries)
    assert not done.wait(0.05)
    relay.stop()
    assert done.is_set()
    assert len(tries) == 2
