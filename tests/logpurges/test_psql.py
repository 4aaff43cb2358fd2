"""An UPDATE by psql on a table with a trigger, while both regions are read all the time.

Their Redis servers do not know each other: only the database's log joins them. A region may show
the old value until its replica has the new one and its prober has asked; whoever was answered by
a worker with the new value is never answered by it with an older one.
"""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from regionware.installing import drop_trigger
from regionware.parts.binaries import postgres_bindir
from tests.conformance.harness import Site, until
from tests.logpurges.conftest import Database, Open, count, knows
from tests.logpurges.test_outside import keep, probes, shows
from tests.sessions.conftest import Replay, stranger

PATH = "/items/7"
UPDATES = 4


def psql(database: Database, sql: str) -> None:
    """By somebody who never heard of regionware."""
    program = postgres_bindir() / "psql"
    subprocess.run([program, "-X", "-q", "-d", database.url, "-c", sql], check=True, timeout=60)


class Reader(threading.Thread):
    """Asks one worker over and over.

    Attributes:
        seen: what it was shown, in order.
        hits: how many answers were stored ones.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(daemon=True)
        self.site = site
        self.seen: list[int] = []
        self.hits = 0
        self.over = threading.Event()

    def run(self) -> None:
        customer = stranger(self.site)
        while not self.over.is_set():
            value, _, hit = customer.look(PATH)
            self.seen.append(value)
            self.hits += hit
            if len(self.seen) % 50 == 0:
                self.site.rw.memory.clear()  # then Redis answers, or the database
            time.sleep(0.002)

    def sees(self, value: int) -> bool:
        return self.seen[-1] == value

    def has_asked(self, times: int) -> bool:
        return len(self.seen) >= times


def went_back(seen: list[int]) -> int:
    """How many answers were older than one before them."""
    newest, found = 0, 0
    for value in seen:
        found += value < newest
        newest = max(newest, value)
    return found


@contextmanager
def reading(sites: list[Site]) -> Iterator[list[Reader]]:
    readers = [Reader(site) for site in sites]
    for reader in readers:
        reader.start()
    try:
        yield readers
    finally:
        for reader in readers:
            reader.over.set()
        for reader in readers:
            reader.join()


@pytest.fixture
def sites(open_shop: Open, database: Database) -> list[Site]:
    """One worker next to the primary, two next to the replica; all have stored the answer."""
    found = [knows(open_shop("iad")), knows(open_shop("fra")), knows(open_shop("fra"))]
    keep(*found)
    return found


def test_an_update_by_psql_shows_everywhere_and_nothing_older_again(
    sites: list[Site], database: Database
) -> None:
    with reading(sites) as readers:
        for value in range(1, UPDATES + 1):
            psql(database, f"UPDATE goods SET value = {value} WHERE id = 7")
            for reader in readers:
                until(partial(reader.sees, value))
            for reader in readers:
                until(partial(reader.has_asked, len(reader.seen) + 60))
    assert [went_back(reader.seen) for reader in readers] == [0, 0, 0]
    assert all(reader.hits > UPDATES * 10 for reader in readers), "it was not the cache"


def test_an_old_answer_would_be_counted() -> None:
    assert went_back([0, 1, 1, 0, 2, 1, 2]) == 2


def test_without_its_trigger_the_old_one_is_shown(sites: list[Site], database: Database) -> None:
    """The positive control."""
    drop_trigger(database.url, "goods")
    psql(database, "UPDATE goods SET value = 1 WHERE id = 7")
    database.cluster.settle()
    for site in sites:
        probes(site)
    assert [stranger(site).look(PATH)[::2] for site in sites] == [(0, True)] * 3


def test_it_shows_after_the_lag_and_one_question(
    sites: list[Site], database: Database, replay: Replay
) -> None:
    """The near region does not wait for the far one, and the far one for nothing but its replica.

    Nothing but the replay and the prober's next question stands between the commit and the new
    answer: no lifetime, and no message between the regions.
    """
    near, *far = sites
    replay.pause()
    psql(database, "UPDATE goods SET value = 1 WHERE id = 7")
    until(partial(shows, near, 1))
    for site in far:
        probes(site)
        assert stranger(site).look(PATH)[::2] == (0, True)
    replay.resume()
    # Each has taken the row, or has heard from the one that did, after one question more.
    for site in far:
        probes(site, 2)
    for site in far:
        until(partial(shows, site, 1))
    assert sum(count(site, "log-purge") for site in far) >= 1
