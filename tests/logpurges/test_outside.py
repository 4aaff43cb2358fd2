"""A change by somebody who never heard of regionware shows in every region."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import psycopg
import pytest

from regionware import Region
from regionware.database.connection import Databases
from regionware.database.purges import Window
from regionware.installing import drop_trigger
from tests.conformance.harness import Site, until
from tests.logpurges.conftest import Database, Open, apart, count, knows
from tests.sessions.conftest import Replay, stranger

PATH = "/items/7"


def shows(site: Site, value: int, path: str = PATH) -> bool:
    return stranger(site).see(path) == value


def keep(*sites: Site, path: str = PATH, value: int = 0) -> None:
    """The answer is stored in every one of them."""
    for site in sites:
        until(partial(shows, site, value, path))
        assert stranger(site).look(path)[::2] == (value, True)


def probes(site: Site, number: int = 3) -> None:
    """Wait until every host has been asked a few times more."""
    databases = site.rw._parts.databases
    assert databases is not None
    for _ in range(number):
        until(partial(_later, databases, {name: m.when for name, m in databases.marks.items()}))


def _later(databases: Databases, before: dict[str, float]) -> bool:
    return all(databases.marks[name].when > when for name, when in before.items())


def test_an_update_shows_in_every_region(open_shop: Open, database: Database) -> None:
    sites = [knows(open_shop("iad")), knows(open_shop("fra")), knows(open_shop("fra"))]
    keep(*sites)
    for value in range(1, 6):
        database.execute("UPDATE goods SET value = %s WHERE id = 7", value)
        for site in sites:
            until(partial(shows, site, value))
        # Nobody is shown the old row again, from memory, from Redis or from the database.
        for turn in range(20):
            assert [stranger(site).see(PATH) for site in sites] == [value] * 3
            if turn == 10:
                for site in sites:
                    site.rw.memory.clear()
    assert [stranger(site).look(PATH)[2] for site in sites] == [True] * 3


def test_without_the_trigger_it_does_not(open_shop: Open, database: Database) -> None:
    """The positive control."""
    drop_trigger(database.url, "goods")
    site = knows(open_shop("fra"))
    keep(site)
    database.execute("UPDATE goods SET value = 1 WHERE id = 7")
    database.cluster.settle()
    probes(site)
    assert stranger(site).look(PATH)[::2] == (0, True)
    # A row is enough: whoever can write one can purge.
    database.execute("INSERT INTO regionware_purges (urls) VALUES (%s)", [PATH])
    until(partial(shows, site, 1))


@pytest.mark.parametrize(
    ("sql", "path", "then"),
    [
        ("INSERT INTO goods VALUES (70, 5)", "/items/70", 5),
        ("DELETE FROM goods WHERE id = 7", PATH, None),
        ("UPDATE goods SET id = 700 WHERE id = 7", PATH, None),
        ("UPDATE goods SET id = 700, value = 3 WHERE id = 7", "/items/700", 3),
        ("UPDATE goods SET value = 8", PATH, 8),
        ("TRUNCATE goods", PATH, None),
        (
            "INSERT INTO goods VALUES (7, 9) ON CONFLICT (id) DO UPDATE SET value = excluded.value",
            PATH,
            9,
        ),
    ],
)
def test_every_kind_of_change(
    open_shop: Open, database: Database, sql: str, path: str, then: int | None
) -> None:
    site = knows(open_shop("fra"))
    before = stranger(site).see(path)
    assert stranger(site).look(path)[::2] == (before, True)
    database.execute(sql)
    until(lambda: stranger(site).see(path) == then)


def test_a_change_that_is_rolled_back_purges_nothing(open_shop: Open, database: Database) -> None:
    site = knows(open_shop("fra"))
    keep(site)
    with psycopg.connect(database.url) as connection:
        connection.execute("UPDATE goods SET value = 1 WHERE id = 7")
        connection.rollback()
    with psycopg.connect(database.url) as connection:
        connection.execute("SAVEPOINT here")
        connection.execute("UPDATE goods SET value = 1 WHERE id = 7")
        connection.execute("ROLLBACK TO here")
        connection.execute("UPDATE goods SET value = 2 WHERE id = 8")
    until(lambda: count(site, "log-purge") == 1)
    assert database.rows() == [(["item:8"], None, False, False)]
    assert stranger(site).look(PATH)[::2] == (0, True)


def test_replay_that_is_paused(open_shop: Open, database: Database, replay: Replay) -> None:
    """The far region serves on what it has, and purges when it has the data."""
    far, near = knows(open_shop("fra")), knows(open_shop("iad"))
    keep(far, near)
    replay.pause()
    database.execute("UPDATE goods SET value = 1 WHERE id = 7")
    until(partial(shows, near, 1))
    probes(far)
    assert stranger(far).look(PATH)[::2] == (0, True)
    replay.resume()
    until(partial(shows, far, 1))
    for _ in range(20):
        far.rw.memory.clear()
        assert stranger(far).see(PATH) == 1
    until(lambda: stranger(far).look(PATH)[2])


def only_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an ordinary queue does: it remembers the largest id."""
    largest = 0

    def condition(window: Window) -> str:
        nonlocal largest
        largest = max([largest, *window._seen])
        return f"id > {largest}"

    monkeypatch.setattr(Window, "_condition", condition)


@pytest.mark.parametrize("here", ["iad", "fra"])
@pytest.mark.parametrize("naive", [False, True])
def test_transactions_that_commit_in_the_opposite_order_of_their_rows(
    open_shop: Open, database: Database, monkeypatch: pytest.MonkeyPatch, here: str, naive: bool
) -> None:
    if naive:  # the positive control
        only_the_largest(monkeypatch)
    site = knows(open_shop(here))
    keep(site)
    keep(site, path="/items/8")
    keep(site, path="/items/9")
    connect: Callable[[], psycopg.Connection] = partial(psycopg.connect, database.url)
    with connect() as first, connect() as second, connect() as third:
        for number, each in enumerate((first, second, third), 7):
            each.execute("UPDATE goods SET value = 1 WHERE id = %s", (number,))
        third.commit()
        until(partial(shows, site, 1, "/items/9"))
        second.commit()
        if not naive:
            until(partial(shows, site, 1, "/items/8"))
        first.commit()
    if not naive:
        until(partial(shows, site, 1))
        assert count(site, "log-purge") == 3
        return
    database.cluster.settle()
    probes(site)
    assert [stranger(site).see(f"/items/{n}") for n in (7, 8, 9)] == [0, 0, 1]


def test_with_servers_that_cannot_be_reached(
    open_shop: Open, database: Database, regions: list[Region], free_port: int
) -> None:
    """Each knows the other's Redis, and no relay gets there."""
    cut = [
        [each if each.name == here else _nowhere(each, free_port) for each in regions]
        for here in ("iad", "fra")
    ]
    near, far = (
        knows(open_shop(here, regions=each)) for here, each in zip(("iad", "fra"), cut, strict=True)
    )
    keep(near, far)
    stranger(near).put(PATH, 1, "&purge=inside")
    until(partial(shows, far, 1))
    database.execute("UPDATE goods SET value = 2 WHERE id = 7")
    until(partial(shows, far, 2))
    until(partial(shows, near, 2))


def _nowhere(region: Region, port: int) -> Region:
    return replace(region, redis=f"redis://127.0.0.1:{port}/0")


def test_without_a_redis(open_shop: Open, database: Database, regions: list[Region]) -> None:
    """Each process raises its own fences."""
    site = knows(open_shop("fra", regions=apart(regions, "")))
    keep(site)
    database.execute("UPDATE goods SET value = 1 WHERE id = 7")
    until(partial(shows, site, 1))
    until(lambda: stranger(site).look(PATH)[2])
