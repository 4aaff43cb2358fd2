"""What holds for every database layer; imported by the module of each, which opens the shop."""

import time
from typing import Any

import psycopg
import pytest

from regionware.context import Current
from regionware.database.connection import Databases
from regionware.exchange import Exchange
from regionware.parts.postgres import Cluster
from regionware.purger import Purger
from tests.conformance.application import DEADLINE
from tests.layers.conftest import Replay
from tests.layers.site import Customer, Open, stranger


def test_a_session_reads_its_own_write(open_shop: Open, item: int, replay: Replay) -> None:
    site, path = open_shop(), f"/items/{item}"
    assert stranger(site).look(path) == (0, True)
    replay.pause()
    customer = Customer(site)
    customer.put(path + "?value=1")
    assert customer.look(path) == (1, False)
    assert stranger(site).look(path) == (0, True)
    # Its position was asked: the replica will do as soon as it is there.
    replay.resume()
    caught_up(customer, path)


def caught_up(customer: Customer, path: str, seconds: float = DEADLINE) -> None:
    """The session reads from the replica again, once the prober has heard of its position."""
    limit = time.monotonic() + seconds
    while customer.look(path) != (1, True):
        assert time.monotonic() < limit, "kept on the primary"


def test_without_capture_it_misses_its_own_write(
    open_shop: Open, item: int, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control."""
    monkeypatch.setattr(Current, "wrote", lambda *_, **__: None)
    site, path = open_shop(), f"/items/{item}"
    replay.pause()
    customer = Customer(site)
    customer.put(path + "?value=1")
    assert customer.look(path) == (0, True)


def test_a_position_that_nobody_asked_keeps_the_session_on_the_primary(
    open_shop: Open, item: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Safe, and slow: so it is asked."""
    monkeypatch.setattr(Exchange, "owing", False)
    site, path = open_shop(), f"/items/{item}"
    customer = Customer(site)
    customer.put(path + "?value=1")
    with pytest.raises(AssertionError, match="kept on the primary"):
        caught_up(customer, path, 2.0)


def test_one_question_for_each_request(
    open_shop: Open, item: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("primary_position", "aprimary_position"):
        original = getattr(Databases, name)

        def counting(self: Databases, original: Any = original) -> Any:
            asked.append("")
            return original(self)

        monkeypatch.setattr(Databases, name, counting)
    site, path = open_shop(), f"/items/{item}"
    customer = Customer(site)
    customer.look(path)
    assert asked == []
    customer.put(path + "?value=1&times=3")
    assert len(asked) == 1
    customer.put(path + "?value=1&purge=1")
    assert len(asked) == 2
    customer.put(path + "?value=1&rollback=1")
    assert len(asked) == 2


@pytest.mark.parametrize("more", ["&rollback=1", "&refused=1"])
def test_what_was_not_committed_is_not_owed(open_shop: Open, item: int, more: str) -> None:
    site, path = open_shop(), f"/cached/{item}"
    assert stranger(site).look(path) == (0, True)
    reply = Customer(site).ask("PUT", f"/items/{item}?value=1&purge=1{more}")
    assert (reply.status == 200) is ("rollback" in more)
    assert reply.all("set-cookie") == []
    # The purge was dropped with it: the positive control is the next test.
    assert "hit" in stranger(site).ask("GET", path).all("cache-status")[0]


@pytest.mark.parametrize("more", ["&purge=1", "&early=1", "&purge=1&savepoint=1"])
def test_a_purge_waits_for_the_commit_and_the_refill_has_it(
    open_shop: Open, item: int, replay: Replay, more: str
) -> None:
    site, path = open_shop(), f"/cached/{item}"
    assert stranger(site).look(path) == (0, True)
    replay.pause()
    reply = stranger(site).put(f"/items/{item}?value=1{more}")
    assert len(reply.all("set-cookie")) == 1
    assert stranger(site).look(path) == (1, False)


@pytest.mark.parametrize("more", ["&purge=1", "&early=1"])
@pytest.mark.parametrize("guarded", [True, False])
def test_a_purge_is_sent_after_the_commit(  # noqa: PLR0917 - fixtures
    open_shop: Open, item: int, postgres: Cluster, monkeypatch: pytest.MonkeyPatch,
    more: str, guarded: bool,
) -> None:  # fmt: skip
    """With its positive control: sent at once, it is followed by a refill from before."""
    seen: list[Any] = []
    relay = Purger._relay

    def looking(self: Purger, *words: Any) -> Any:
        seen.extend(postgres.primary.query(f"SELECT value FROM goods WHERE id = {item}")[0])
        return relay(self, *words)

    monkeypatch.setattr(Purger, "_relay", looking)
    if not guarded:
        monkeypatch.setattr(Purger, "_defer", lambda *_: None)
    stranger(open_shop()).put(f"/items/{item}?value=1{more}")
    assert seen == ([1] if guarded else [0])


def test_a_write_in_a_read_context(open_shop: Open, item: int) -> None:
    site = open_shop()
    for kind, host in (("items", "fra/replica-1"), ("strong", "iad/primary")):
        reply = stranger(site).ask("GET", f"/{kind}/{item}?value=1")
        assert reply.status == 409
        assert reply.json["error"] == "25006"
        (note,) = reply.json["notes"]
        assert host in note
        assert "goods" in note
        assert reply.all("set-cookie") == []
    assert "/strong/{id}" in note


def test_a_write_that_escalates(open_shop: Open, item: int, replay: Replay) -> None:
    """Nothing was done before it: the request is a write, with all that belongs to one."""
    site, path = open_shop(), f"/escalate/{item}"
    replay.pause()
    customer = Customer(site)
    reply = customer.ask("GET", path + "?value=1&blind=1")
    assert (reply.status, reply.json["value"], reply.json["replica"]) == (200, 1, False)
    assert len(reply.all("set-cookie")) == 1
    assert customer.look(path) == (1, False)
    assert stranger(site).look(path) == (0, True)


def test_a_read_whose_session_no_replica_has_reached(
    open_shop: Open, item: int, replay: Replay
) -> None:
    site = open_shop()
    replay.pause()
    customer = Customer(site)
    customer.put(f"/items/{item}?value=1")
    reply = customer.ask("GET", f"/fail/{item}")
    assert reply.status == 503
    assert reply.all("retry-after")


def test_a_commit_of_unknown_outcome(
    open_shop: Open, item: int, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, path = open_shop(), f"/items/{item}"
    replay.pause()
    sync_commit, async_commit = psycopg.Connection.commit, psycopg.AsyncConnection.commit

    def commit(self: Any) -> None:
        sync_commit(self)
        lose(self)

    async def acommit(self: Any) -> None:
        await async_commit(self)
        lose(self)

    def lose(connection: Any) -> None:
        connection.pgconn.finish()
        raise psycopg.OperationalError("lost in COMMIT")

    customer = Customer(site)
    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Connection, "commit", commit)
        patched.setattr(psycopg.AsyncConnection, "commit", acommit)
        assert customer.ask("PUT", path + "?value=1").status >= 400
    assert customer.look(path) == (1, False)
