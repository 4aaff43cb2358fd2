"""A purge outruns replication: the caches must not be filled again with the old row."""

import psycopg
import pytest

from regionware.database.position import Position
from regionware.parts.postgres import Cluster
from regionware.parts.redis import RedisServer
from tests.conformance.harness import until
from tests.rig import Rig
from tests.sessions.conftest import Open, Replay, stranger

KINDS = ["items", "lag", "eventual"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("when", ["inside", "after"])
def test_a_fill_after_a_purge_has_seen_the_write(
    open_shop: Open, item: int, replay: Replay, kind: str, when: str
) -> None:
    site, path = open_shop(), f"/{kind}/{item}"
    assert stranger(site).look(path)[0] == 0
    replay.pause()
    writer, reader = stranger(site), stranger(site)
    writer.put(path, 1, f"&purge={when}")
    assert reader.look(path) == (1, False, False)
    assert reader.look(path) == (1, False, True)
    # What was stored for the region is the new row as well.
    site.rw.memory.clear()
    assert reader.look(path)[::2] == (1, True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_purge_without_a_position_brings_the_old_row_back(
    open_shop: Open, item: int, replay: Replay, kind: str
) -> None:
    """The positive control: this is what the fence's position is for."""
    site, path = open_shop(), f"/{kind}/{item}"
    assert stranger(site).look(path)[0] == 0
    replay.pause()
    stranger(site).put(path, 1, "&purge=blind")
    assert stranger(site).look(path) == (0, True, False)


@pytest.mark.parametrize("kind", KINDS)
def test_another_worker_fills_no_older(
    open_shop: Open, item: int, replay: Replay, kind: str
) -> None:
    one, other, path = open_shop(), open_shop(), f"/{kind}/{item}"
    for site in (one, other):
        assert stranger(site).look(path)[0] == 0
    replay.pause()
    stranger(one).put(path, 1, "&purge=inside")
    reader = stranger(other)
    until(lambda: reader.see(path) == 1)
    assert reader.look(path)[::2] == (1, True)


def test_the_other_region_fills_no_older(open_shop: Open, item: int, replay: Replay) -> None:
    """The write and its purge are the primary region's; the replica is this region's."""
    here, there, path = open_shop(), open_shop("iad"), f"/items/{item}"
    assert stranger(here).look(path)[0] == 0
    replay.pause()
    stranger(there).put(path, 1, "&purge=inside")
    reader = stranger(here)
    until(lambda: reader.see(path) == 1)
    assert reader.look(path)[::2] == (1, True)


@pytest.mark.parametrize("blind", [False, True])
def test_a_purge_from_outside_a_request(  # noqa: PLR0917 - fixtures
    open_shop: Open, rig: Rig, postgres: Cluster, item: int, replay: Replay, blind: bool
) -> None:
    """By default it asks where the primary is now; the control says where it was long ago."""
    site, path = open_shop(), f"/items/{item}"
    assert stranger(site).look(path)[0] == 0
    replay.pause()
    with psycopg.connect(postgres.url) as connection:
        connection.execute("UPDATE goods SET value = 1 WHERE id = %s", (item,))
    after = Position(1, 1) if blind else None
    if rig.flavour == "asgi":
        rig.run(site.rw.apurge(urls=[path], after=after))
    else:
        site.rw.purge(urls=[path], after=after)
    assert stranger(site).see(path) == (0 if blind else 1)


def test_a_rolled_back_purge_is_none(open_shop: Open, item: int) -> None:
    site, path = open_shop(), f"/items/{item}"
    assert stranger(site).look(path)[0] == 0
    answer = stranger(site).ask("PUT", path, "value=1&purge=inside&rollback=1")
    assert answer.status == 422
    assert stranger(site).look(path)[::2] == (0, True)
    # The positive control: with the commit, it is one.
    stranger(site).put(path, 1, "&purge=inside")
    assert stranger(site).look(path)[::2] == (1, False)


def test_a_commit_stands_when_its_purge_is_not_confirmed(
    open_shop: Open, item: int, redis_server: RedisServer
) -> None:
    """The write is answered, this worker's memory is purged, and the others hear of it later."""
    one, other = (open_shop(patient=False) for _ in range(2))
    path = f"/items/{item}"
    for site in (one, other):
        assert stranger(site).look(path)[0] == 0
    redis_server.pause()
    stranger(one).put(path, 1, "&purge=inside")
    assert stranger(one).see(path) == 1
    redis_server.resume()
    until(lambda: stranger(other).see(path) == 1)
