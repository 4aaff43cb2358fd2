"""What a purge may be told, and what becomes of one that nobody waits for any more."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from regionware import ConfigurationError, Region, Topology
from regionware.parts.redis import RedisServer
from regionware.purger import Purger
from tests.conformance.harness import until
from tests.purging.site import TAG, Item, purge, version, warm
from tests.purging.test_outbox import fences
from tests.rig import Rig

NOWHERE = Topology(here="here", regions=[Region("here", primary=True)])


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"timeout": 0}, "timeout is a number of seconds above 0"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": "2"}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"timeout": None}, "timeout"),
        ({"after": "x"}, "after is a Position, or None"),
        ({"after": (1, 2)}, "after"),
        ({"wait": "nobody"}, "wait"),
        ({"tags": [42]}, r"tags\[0\]"),
        ({"tags": None}, "tags is a list"),
        ({"tags": "x"}, "tags is a list of texts, not one text"),
        ({"tags": {"x": 1}}, "tags"),
        ({"tags": ["\ud800"]}, r"tags\[0\]"),
        ({"urls": [b"/x"]}, r"urls\[0\]"),
        ({"urls": b"/x"}, "urls"),
        ({"urls": ["http://[x/"]}, "no URL"),
        ({"soft": "no"}, "soft is True or False"),
        ({"soft": None}, "soft"),
        ({"everything": 1}, "everything"),
    ],
)
def test_words_of_a_purge_are_checked(rig: Rig, words: dict[str, Any], named: str) -> None:
    rw = rig.worker(NOWHERE)
    with pytest.raises(ConfigurationError, match=f"purge: .*{named}"):
        purge(rig, rw, **words)
    assert rw.counts().get("purge", 0) == 0


@pytest.mark.parametrize("tags", [["a", "b"], ("a", "b"), {"a", "b"}, {"a": 1, "b": 2}.keys()])
def test_whatever_gives_one_text_after_the_other_is_a_list(rig: Rig, tags: Any) -> None:
    """The control; of an iterator too, which can be read only once."""
    rw = rig.worker(NOWHERE)
    assert purge(rig, rw, tags=tags).names == 2
    assert purge(rig, rw, tags=iter(tags), timeout=1).names == 2


# Interrupted


@contextmanager
def unprotected() -> Iterator[None]:
    """In place of what queues a purge that is interrupted."""
    yield


async def impatient(work: Any) -> None:
    async with asyncio.timeout(0.3):
        await work


@pytest.mark.parametrize("guarded", [True, False])
def test_a_purge_that_is_cancelled_holds_here_and_is_queued(
    rig: Rig, redis_server: RedisServer, redis_url: str, monkeypatch: pytest.MonkeyPatch,
    guarded: bool,
) -> None:  # fmt: skip
    """Its caller waits no longer while Redis hangs: what has changed stands."""
    if not guarded:
        monkeypatch.setattr(Purger, "_unconfirmed", lambda *_: unprotected())
    item = Item()
    site = item.site(rig, redis_url)
    warm(site)
    item.version = 2
    redis_server.pause()
    with pytest.raises(TimeoutError):
        rig.run(impatient(site.rw.apurge(tags=[TAG], timeout=20.0)))
    assert version(site) == (2 if guarded else 1)
    assert site.rw.counts().get("purge-queued:here", 0) == guarded
    redis_server.resume()
    if guarded:
        until(lambda: b"htitem" in fences(redis_url))


def test_a_purge_that_is_cancelled_before_it_has_a_position(rig: Rig, redis_url: str) -> None:
    """The primary does not answer: it holds without, as if that had been said."""
    item = Item()
    site = item.site(rig, redis_url)
    warm(site)
    item.version = 2

    async def never(_: float) -> None:
        await asyncio.sleep(60)

    site.rw._parts.purger._aposition = never
    with pytest.raises(TimeoutError):
        rig.run(impatient(site.rw.apurge(tags=[TAG], timeout=20.0)))
    assert version(site) == 2
    until(lambda: b"htitem" in fences(redis_url))


def test_a_thread_that_is_interrupted(rig: Rig, redis_url: str) -> None:
    """As by a server that ends a request which takes too long."""
    item = Item()
    site = item.site(rig, redis_url)
    warm(site)
    item.version = 2
    tier = site.rw._parts.rim.tier
    assert tier is not None

    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    tier.purge = interrupted  # type: ignore[method-assign,assignment] # as if a signal had come
    with pytest.raises(KeyboardInterrupt):
        site.rw.purge(tags=[TAG])
    assert version(site) == 2
    until(lambda: b"htitem" in fences(redis_url))


def test_the_primary_is_asked_for_no_longer_than_the_caller_waits(rig: Rig) -> None:
    rw = rig.worker(NOWHERE)
    given: list[float] = []
    purger = rw._parts.purger

    async def aposition(seconds: float) -> None:
        given.append(seconds)

    purger._position, purger._aposition = given.append, aposition
    purge(rig, rw, timeout=0.25)
    assert given == [0.25]
