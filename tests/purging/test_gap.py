"""A log that has lost events is no log to trust."""

import time
from typing import Any

import pytest
import redis as redis_py

from regionware.caching import following, log
from regionware.caching.following import Follower
from regionware.caching.scripts import PURGE, Names, purge_keys
from regionware.parts.redis import RedisServer
from tests.conformance.harness import until
from tests.purging.site import TAG, Item, purge, version, warm
from tests.rig import Rig

NAMES = Names.of("regionware", "")


def purge_untold(url: str) -> None:
    """A purge whose event nobody sees: the log is trimmed in the same moment."""
    with redis_py.Redis.from_url(url, protocol=2) as client, client.pipeline() as together:
        keys = purge_keys(NAMES)
        together.eval(PURGE.text, len(keys), *keys, "0" * 24, 10**12, 0, 0, f"ht{TAG}")
        together.xtrim(NAMES.log, maxlen=0, approximate=False)
        together.execute()


@pytest.mark.parametrize("then", ["nothing", "another"])
def test_a_trimmed_log(rig: Rig, redis_url: str, then: str) -> None:
    item = Item()
    site = item.site(rig, redis_url)
    warm(site)
    item.version = 2
    purge_untold(redis_url)
    if then == "another":
        with redis_py.Redis.from_url(redis_url, protocol=2) as client:
            keys = purge_keys(NAMES)
            client.eval(PURGE.text, len(keys), *keys, "0" * 24, 10**12, 0, 0, "htother")
    until(lambda: version(site) == 2)
    assert site.rw.backplane is not None
    assert site.rw.backplane.gaps >= 1
    assert [name for name in site.rw.counts() if name.startswith("gap:")]


def test_a_trimmed_log_without_the_checks(
    rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: neither the events' order nor the latest stamp is looked at."""
    monkeypatch.setattr(following, "_BEFORE", b"?")
    monkeypatch.setattr(Follower, "registered", lambda *_: None)
    item = Item()
    site = item.site(rig, redis_url)
    warm(site)
    item.version = 2
    purge_untold(redis_url)
    other = Item().site(rig, redis_url)
    purge(rig, other.rw, tags=["other"])
    until(lambda: "htother" in site.rw._parts.prepared.fences._table)
    assert version(site) == 1


def test_a_log_that_somebody_deletes(rig: Rig, redis_server: RedisServer, redis_url: str) -> None:
    """Later purges are heard all the same."""
    item = Item()
    one, other = (item.site(rig, redis_url) for _ in range(2))
    warm(one, other)
    for number in range(2, 5):
        redis_server.command(f"DEL {NAMES.log}")
        item.version = number
        purge(rig, one.rw)
        until(lambda number=number: version(other) == number)  # type: ignore[misc]


def ids(url: str) -> list[int]:
    """The stamps of the events that are there."""
    with redis_py.Redis.from_url(url, protocol=2) as client:
        events: Any = client.xrange(NAMES.log)
    return [int(position.partition(b"-")[0]) for position, _ in events]


def test_a_log_is_bounded_by_age(rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old events go, whatever their number; a reader that was away for longer is missing some."""
    item = Item()
    one, other = (item.site(rig, redis_url) for _ in range(2))
    warm(one, other)
    reader = other.rw._parts.rim._log
    assert reader is not None
    read = reader._read

    def away(*_: object) -> bool:
        time.sleep(0.05)
        return True

    reader._read = away  # type: ignore[method-assign,assignment] # it hears nothing
    time.sleep(1.5)  # until its last read has come back
    gaps = reader.backplane.gaps
    old = [purge(rig, one.rw).stamp, purge(rig, one.rw, tags=["x"]).stamp]
    time.sleep(0.6)
    monkeypatch.setattr(log, "_KEPT", 500_000)
    monkeypatch.setattr(log, "_TRIMMING", 0.2)
    with redis_py.Redis.from_url(redis_url, protocol=2) as client:
        # A full node of the stream is what is forgotten at once.
        client.config_set("stream-node-max-entries", 1)
        try:
            item.version = 2
            new = [purge(rig, one.rw, tags=[f"y{number}"]).stamp for number in range(3)]
            until(lambda: not set(old) & set(ids(redis_url)))
            assert set(new) <= set(ids(redis_url))
            reader._read = read  # type: ignore[method-assign] # it is back
            until(lambda: version(other) == 2)
            assert reader.backplane.gaps > gaps
        finally:
            client.config_set("stream-node-max-entries", 100)


@pytest.mark.parametrize("lost", [NAMES.clock, NAMES.ages])
def test_other_keys_that_somebody_deletes(
    rig: Rig, redis_server: RedisServer, redis_url: str, lost: str
) -> None:
    item = Item()
    one, other = (item.site(rig, redis_url) for _ in range(2))
    warm(one, other)
    purge(rig, one.rw)
    for number in range(2, 5):
        redis_server.command(f"DEL {lost}")
        item.version = number
        purge(rig, one.rw)
        until(lambda number=number: version(other) == number)  # type: ignore[misc]
