"""Django's models over a real primary and its replica, over WSGI and ASGI."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import InternalError, connections, transaction

from regionware.adapters import django as adapter
from tests.conformance.harness import Flavour, Loop
from tests.layers.common import (
    test_a_commit_of_unknown_outcome,
    test_a_position_that_nobody_asked_keeps_the_session_on_the_primary,
    test_a_purge_is_sent_after_the_commit,
    test_a_purge_waits_for_the_commit_and_the_refill_has_it,
    test_a_read_whose_session_no_replica_has_reached,
    test_a_session_reads_its_own_write,
    test_a_write_in_a_read_context,
    test_a_write_that_escalates,
    test_one_question_for_each_request,
    test_what_was_not_committed_is_not_owed,
    test_without_capture_it_misses_its_own_write,
)
from tests.layers.conftest import Replay, Work
from tests.layers.djangosettings import configure
from tests.layers.site import AsgiSite, Customer, Open, Site, WsgiSite, stranger

__all__ = [
    "test_a_commit_of_unknown_outcome",
    "test_a_position_that_nobody_asked_keeps_the_session_on_the_primary",
    "test_a_purge_is_sent_after_the_commit",
    "test_a_purge_waits_for_the_commit_and_the_refill_has_it",
    "test_a_read_whose_session_no_replica_has_reached",
    "test_a_session_reads_its_own_write",
    "test_a_write_in_a_read_context",
    "test_a_write_that_escalates",
    "test_one_question_for_each_request",
    "test_what_was_not_committed_is_not_owed",
    "test_without_capture_it_misses_its_own_write",
]


@pytest.fixture
def open_shop(worker: Work, flavour: Flavour, loop: Loop) -> Open:
    """Makes a site where the replica is."""

    def open_shop() -> Site:
        rw = worker()
        configure(rw)
        if flavour == "wsgi":
            return WsgiSite(rw.wsgi(WSGIHandler()))
        return AsgiSite(rw.asgi(ASGIHandler()), loop)

    return open_shop


@pytest.fixture
def outside(worker: Work) -> Iterator[Any]:
    """Django without a request; its connections are closed afterwards."""
    configure(worker())
    yield connections
    connections.close_all()


@pytest.mark.parametrize("kind", ["whole", "single", "loop"])
@pytest.mark.parametrize("more", ["", "&raw=1"])
def test_every_way_to_commit(
    open_shop: Open, item: int, replay: Replay, kind: str, more: str
) -> None:
    site, path = open_shop(), f"/{kind}/{item}"
    replay.pause()
    customer = Customer(site)
    customer.put(path + "?value=1" + more)
    assert customer.look(path) == (1, False)
    assert stranger(site).look(path) == (0, True)


def test_a_purge_of_a_whole_request(open_shop: Open, item: int, replay: Replay) -> None:
    """It is sent after the commit that `ATOMIC_REQUESTS` makes when the view has returned."""
    site, path = open_shop(), f"/cached/{item}"
    assert stranger(site).look(path) == (0, True)
    replay.pause()
    stranger(site).put(f"/whole/{item}?value=1&early=1")
    assert stranger(site).look(path) == (1, False)


def test_a_read_by_name_has_no_bound(open_shop: Open, item: int) -> None:
    site, path = open_shop(), f"/items/{item}"
    assert stranger(site).ask("GET", path).json["bound"] is True
    assert stranger(site).ask("GET", path + "?named=1").json["bound"] is False


def test_the_server_enforces_it(outside: Any, item: int) -> None:
    for alias in ("fra/replica-1", "iad/primary"):
        with outside[alias].cursor() as cursor:
            cursor.execute("SHOW default_transaction_read_only")
            assert cursor.fetchone() == ("on",)
            with pytest.raises(InternalError):
                cursor.execute("UPDATE goods SET value = 1")


def test_outside_of_a_request(outside: Any, item: int) -> None:
    """Everything is the primary's, and what is written needs no token."""
    from tests.layers.djangosite import Item, look  # noqa: PLC0415 - after the settings

    with transaction.atomic():
        Item.objects.filter(pk=item).update(value=4)
        assert look(item) == {"value": 4, "replica": False}


def test_the_router(outside: Any) -> None:
    router = adapter.Router()
    assert router.allow_migrate("default", "layers") is True
    assert router.allow_migrate("fra/replica-1", "layers") is False
    one, other = [SimpleNamespace(_state=SimpleNamespace(db=db)) for db in outside][:2]
    assert router.allow_relation(one, other) is True


def test_what_is_missing_is_said(outside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings  # noqa: PLC0415 - beside its use
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415 - the same

    monkeypatch.setattr(settings, "REGIONWARE", None)
    with pytest.raises(ImproperlyConfigured, match="REGIONWARE"):
        adapter._selector()
    monkeypatch.setattr(settings, "REGIONWARE", "tests.layers.test_django.HELD")
    assert str(adapter._selector()) == "the selector"


HELD = SimpleNamespace(selector="the selector")
