"""What was purged hard is never served again, whatever way it might take; a soft purge may be."""

import time

import pytest

from regionware import PurgeError
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Gate, Response, Seen, text
from tests.conformance.harness import Site, until
from tests.purging.site import TAG, Item, purge, ready, tier, version, warm
from tests.rig import Rig

#: Everything that may be served stale.
STALE = Route(
    "/{path:path}",
    cache=Cache(ttl=1, stale_while_revalidate=600, stale_if_error=600, tags=[TAG]),
)
IN_NEED = Route("/{path:path}", cache=Cache(ttl=1, stale_if_error=600, tags=[TAG]))
SOFT = pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
BY = pytest.mark.parametrize("by", ["itself", "another"])


def expired(rig: Rig, url: str, app: Application, route: Route) -> Site:
    """A site whose answer to `/x` has expired; it may be served stale."""
    rw = rig.worker(url, route)
    ready(rw)
    site = rig.site(rw, app)
    assert site.get("/x").body == b"old"
    time.sleep(1.1)
    return site


def purge_by(rig: Rig, url: str, site: Site, by: str, *, soft: bool) -> None:
    """A purge by this worker, or by another, which this one has heard of."""
    rw = site.rw if by == "itself" else Item().site(rig, url).rw
    purge(rig, rw, soft=soft, wait="workers")


@BY
@SOFT
def test_instead_of_an_error(rig: Rig, redis_url: str, by: str, soft: bool) -> None:
    """The purge comes while the application is asked, which then fails."""
    gate, answers = Gate(), iter([text("old")])
    app = Application(lambda _: next(answers, Response([b"failed"], 500, hold=gate)))
    site = expired(rig, redis_url, app, IN_NEED)
    call = site.start("/x")
    gate.reached()
    purge_by(rig, redis_url, site, by, soft=soft)
    gate.open()
    answer = call.result()
    assert (answer.status, answer.body) == ((200, b"old") if soft else (500, b"failed"))


@BY
@SOFT
def test_while_it_is_refreshed(rig: Rig, redis_url: str, by: str, soft: bool) -> None:
    """Also to those who come while the refresh that began before the purge is under way."""
    gate = Gate()
    answers = iter([text("old"), Response([b"old"], hold=gate)])
    app = Application(lambda _: next(answers, text("new")))
    site = expired(rig, redis_url, app, STALE)
    assert site.get("/x").cache_status["detail"] == "stale-while-revalidate"
    gate.reached()
    purge_by(rig, redis_url, site, by, soft=soft)
    call = site.start("/x")
    if soft:
        assert call.result().body == b"old"
    gate.open()
    assert call.result().body == (b"old" if soft else b"new")
    until(lambda: site.get("/x").body == b"new")


@BY
@SOFT
def test_for_who_takes_stale_answers(rig: Rig, redis_url: str, by: str, soft: bool) -> None:
    answers = iter([text("old")])
    app = Application(lambda _: next(answers, text("new")))
    site = expired(rig, redis_url, app, Route("/{path:path}", cache=Cache(ttl=1, tags=[TAG])))
    purge_by(rig, redis_url, site, by, soft=soft)
    answer = site.get("/x", headers={"Cache-Control": "max-stale=600"})
    assert answer.body == (b"old" if soft else b"new")


@BY
@SOFT
def test_of_a_part(rig: Rig, redis_url: str, by: str, soft: bool) -> None:
    """A part has no stale windows: neither purge leaves it."""

    def answer(seen: Seen) -> Response:
        fields = [("Content-Range", "bytes 0-3/9"), ("ETag", '"1"')]
        return Response([b"part"], 206, fields) if "range" in seen.headers else text("whole")

    rw = rig.worker(redis_url, STALE)
    ready(rw)
    site = rig.site(rw, Application(answer))
    ask = {"headers": {"Range": "bytes=0-3"}}
    assert site.get("/x", **ask).status == 206
    assert site.get("/x", **ask).hit  # the positive control
    purge_by(rig, redis_url, site, by, soft=soft)
    assert not site.get("/x", **ask).hit


@BY
@SOFT
def test_nobody_is_asked_whether_it_holds(rig: Rig, redis_url: str, by: str, soft: bool) -> None:
    answers = iter([text("old", ETag='"1"')])
    app = Application(lambda _: next(answers, text("new", ETag='"2"')))
    site = expired(rig, redis_url, app, IN_NEED)
    purge_by(rig, redis_url, site, by, soft=soft)
    assert site.get("/x").body == b"new"
    assert ("if-none-match" in app.calls[-1].headers) is soft


# A Redis that takes no purge


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_redis_that_takes_no_purge(rig: Rig, redis_server: RedisServer, how: str) -> None:
    """Either it is acknowledged, and nobody is answered with what it ended, or it is an error."""
    item = Item()
    with RedisServer() as small:
        sites = [item.site(rig, small.url) for _ in range(3)]
        warm(*sites)
        one, *others = sites
        item.version = 2
        if how == "full":
            small.command("CONFIG SET maxmemory-policy noeviction")
            small.command("CONFIG SET maxmemory 1")
        else:
            small.command(f"REPLICAOF 127.0.0.1 {redis_server.port}")
            until(lambda: "role:slave" in small.command("INFO replication"))
        with pytest.raises(PurgeError, match="here") as caught:
            purge(rig, one.rw, timeout=2.0)
        assert caught.value.queued == {"here": "queued in this process"}
        assert version(one) == 2
        small.command("CONFIG SET maxmemory 0")
        small.command("REPLICAOF NO ONE")
        until(lambda: [version(site) for site in others] == [2, 2])
        item.version = 3
        purge(rig, one.rw, wait="workers")
        assert [version(site) for site in sites] == [3, 3, 3]
        for site in sites:
            rig.shut(site.rw)


def test_memory_is_trusted_beside_a_full_redis(rig: Rig) -> None:
    """What a worker says of itself needs no room."""
    item = Item()
    with RedisServer() as small:
        site = item.site(rig, small.url)
        warm(site)
        small.command("CONFIG SET maxmemory-policy noeviction")
        small.command("CONFIG SET maxmemory 1")
        limit = time.monotonic() + site.rw.staleness_bound + 2
        while time.monotonic() < limit:
            assert tier(site) == "memory"
            time.sleep(0.2)
        rig.shut(site.rw)
