"""A change by somebody who never heard of regionware shows in every region."""

import pytest

from regionware import Region
from regionware.database.purges import Window
from tests.conformance.harness import Site, until
from tests.logpurges.conftest import Database, Open, apart, count, knows
from tests.sessions.conftest import Replay, stranger


def keep(*sites: Site, path: str = "/items/7") -> None:
    """The answer is stored in every one of them."""
    for site in sites:
        stranger(site).see(path)
        assert stranger(site).look(path)[::2] == (0, True)


def test_an_update_shows_in_every_region(open_shop: Open, database: Database) -> None:
    sites = [knows(open_shop("iad")), knows(open_shop("fra")), knows(open_shop("fra"))]
    keep(*sites)
    database.execute("UPDATE goods SET value = 1 WHERE id = 7")
    for site in sites:
        until(lambda site=site: stranger(site).see("/items/7") == 1)
    for _ in range(20):
        assert [stranger(site).see("/items/7") for site in sites] == [1, 1, 1]
    assert [stranger(site).look("/items/7")[2] for site in sites] == [True] * 3
