"""A log that has lost events is no log to trust."""

import pytest
import redis as redis_py

from regionware.caching import following
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
