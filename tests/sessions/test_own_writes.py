"""Whoever has written sees it, whatever the replica and the caches still have."""

from itertools import product

import pytest

from tests.conformance.harness import Site
from tests.sessions.conftest import Open, Replay, stranger
from tests.sessions.shop import Customer

CACHED = ["/items", "/lag"]


def warm(site: Site, path: str, value: int = 0) -> None:
    """Have an entry with this value in memory and in Redis."""
    assert stranger(site).see(path) == value
    assert stranger(site).look(path) == (value, stranger(site).look(path)[1], True)


def stored_elsewhere(site: Site, path: str) -> bool:
    """Whether Redis answers once memory is empty."""
    site.rw.memory.clear()
    return stranger(site).ask("GET", path).cache_status.get("detail") == "redis"


@pytest.mark.parametrize("kind", [*CACHED, "/plain", "/strong"])
def test_own_writes_are_seen_while_the_replica_is_behind(
    open_shop: Open, item: int, replay: Replay, kind: str
) -> None:
    path, writer = f"{kind}/{item}", Customer(open_shop())
    replay.pause()
    for value in range(1, 4):
        writer.put(path, value)
        assert writer.look(path)[:2] == (value, False)


def test_without_the_token_they_are_not(open_shop: Open, item: int, replay: Replay) -> None:
    """The positive control: the replica is behind, and would be read."""
    path, forgetful = f"/plain/{item}", stranger(open_shop())
    replay.pause()
    forgetful.put(path, 1)
    assert forgetful.look(path)[:2] == (0, True)


def test_the_replica_is_read_again_once_it_has_the_write(
    open_shop: Open, item: int, replay: Replay
) -> None:
    path, writer = f"/plain/{item}", Customer(open_shop())
    replay.pause()
    writer.put(path, 1)
    assert writer.look(path)[:2] == (1, False)
    replay.resume()
    assert writer.look(path)[:2] == (1, True)


@pytest.mark.parametrize(("kind", "tier"), list(product(CACHED, ["memory", "redis"])))
@pytest.mark.parametrize("behind", [True, False], ids=["behind", "replayed"])
def test_an_old_entry_is_not_served_to_whoever_wrote(  # noqa: PLR0917 - fixtures
    open_shop: Open, item: int, replay: Replay, kind: str, tier: str, behind: bool
) -> None:
    site, path = open_shop(), f"{kind}/{item}"
    warm(site, path)
    if behind:
        replay.pause()
    writer, forgetful = Customer(site), stranger(site)
    writer.put(path, 1)
    # The positive controls: nothing was purged, and others are served the old entry.
    assert forgetful.look(path)[::2] == (0, True)
    if tier == "redis":
        assert stored_elsewhere(site, path)
        site.rw.memory.clear()
    assert writer.see(path) == 1
    # What the writer had made for everybody is newer, so everybody has it now.
    assert writer.look(path)[::2] == (1, True)
    assert forgetful.look(path)[::2] == (1, True)


def test_whoever_loses_the_cookie_is_a_stranger(open_shop: Open, item: int) -> None:
    """The positive control of the above: it is the cookie that makes the difference."""
    site, path = open_shop(), f"/items/{item}"
    warm(site, path)
    writer = Customer(site)
    writer.put(path, 1)
    assert list(writer.cookies) == ["regionware-session"]
    writer.cookies.clear()
    assert writer.look(path)[::2] == (0, True)


@pytest.mark.parametrize("here", ["fra", "iad"])
@pytest.mark.parametrize("kind", CACHED)
def test_own_writes_are_seen_by_other_workers(
    open_shop: Open, item: int, here: str, kind: str
) -> None:
    one, other, path = open_shop(), open_shop(here), f"{kind}/{item}"
    warm(one, path)
    warm(other, path)
    writer = Customer(one)
    writer.put(path, 1)
    assert stranger(other).look(path)[::2] == (0, True)
    assert writer.at(other).see(path) == 1
    assert writer.at(other).look(path)[::2] == (1, True)
    # And back again, where memory still has the old one.
    assert writer.see(path) == 1


def test_a_write_in_the_far_region_is_seen_here(open_shop: Open, item: int, replay: Replay) -> None:
    one, other, path = open_shop(), open_shop("iad"), f"/items/{item}"
    warm(one, path)
    replay.pause()
    writer = Customer(other)
    writer.put(path, 1)
    assert writer.at(one).see(path) == 1


def test_a_session_owes_itself_the_last_write(open_shop: Open, item: int) -> None:
    """The token grows with every write, in whichever worker."""
    one, other, path = open_shop(), open_shop("iad"), f"/items/{item}"
    writer = Customer(one)
    for value in range(1, 6):
        site = one if value % 2 else other
        writer.at(site).put(path, value)
        for each in (one, other):
            assert writer.at(each).see(path) == value


def test_an_eventual_route_compares_nothing(open_shop: Open, item: int) -> None:
    site, path = open_shop(), f"/eventual/{item}"
    warm(site, path)
    writer = Customer(site)
    writer.put(path, 1)
    assert writer.look(path)[::2] == (0, True)


def test_the_fill_of_a_lagging_route_is_strengthened(
    open_shop: Open, item: int, replay: Replay
) -> None:
    """Whatever lag the route allows: a session's fill sees the session's writes."""
    path, writer = f"/lag/{item}", Customer(open_shop())
    replay.pause()
    writer.put(path, 1)
    assert writer.look(path) == (1, False, False)


def test_the_fill_of_a_lagging_route_without_a_session(
    open_shop: Open, item: int, replay: Replay
) -> None:
    """The positive control: the same route reads the replica for others."""
    path, forgetful = f"/lag/{item}", stranger(open_shop())
    replay.pause()
    forgetful.put(path, 1)
    assert forgetful.look(path) == (0, True, False)
