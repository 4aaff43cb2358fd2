"""The judge itself, on histories made by hand: what it calls a violation, and what it does not."""

from typing import Any

import pytest

from regionware.database.position import Position
from regionware.database.token import Token
from tests.sessions.checker.history import Op
from tests.sessions.checker.judge import Failover, Judge
from tests.sessions.checker.ledger import EPOCH, SNEAKED

PRIMARY, STANDBY, PROMOTED = 1, 2, 3
OLD = EPOCH + 1
NEW, LOST, NEXT = OLD + 1, OLD + 2, 2 * EPOCH + 1

TOKEN = Token(write=Position(1, 100))


def op(at: float, version: int | None, route: str = "row", **more: Any) -> Op:
    given = {"session": "one", "worker": 0, "region": "fra", "item": 7, "port": STANDBY, **more}
    return Op(
        number=int(at), sent=at, received=at + 0.5, route=route, version=version, **given
    )  # fmt: skip


def put(at: float, version: int | None, purge: str = "", **more: Any) -> Op:
    return op(at, version, writes=True, purge=purge, **{"port": PRIMARY, **more})


def lost_at_two(**more: Any) -> Failover:
    return Failover(killed=2, known=4, port=PROMOTED, survived={7: NEW}, **more)


def faults(*ops: Op, failover: Failover | None = None) -> list[str]:
    return [each.fault for each in Judge(ops, bound=5, port=PRIMARY, failover=failover).violations]


BROKEN: dict[str, list[Op]] = {
    "own write missed": [put(1, NEW), op(2, OLD, "own")],
    "went back": [op(1, NEW), op(2, OLD, "entry", worker=1)],
    "followed write missed": [op(1, OLD, item=8, other=7, seen=NEW), op(2, OLD)],
    "cached answer older than the token": [
        op(1, OLD, "own", hit=True, lower=Position(1, 99), token=TOKEN)
    ],
    "older than a purge": [
        put(1, NEW, "inside", session="two"),
        op(2, OLD, "public"),
    ],
    "a read handle wrote": [op(1, SNEAKED)],
    "strong read elsewhere": [op(1, OLD, "strong")],
    "written elsewhere": [put(1, OLD, port=STANDBY)],
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_promise_is_found(fault: str) -> None:
    assert faults(*BROKEN[fault]) == [fault]


def test_a_write_that_a_read_handle_was_let_make_is_found() -> None:
    assert faults(op(1, None, "sneak", status=200)) == ["a read handle wrote"]
    assert faults(op(1, None, "sneak", status=500)) == []


@pytest.mark.parametrize(
    "kept",
    [
        [put(1, None), op(2, OLD)],
        [put(1, NEW, session="two"), op(2, OLD)],
        [put(1, NEW), op(2, OLD, "public")],
        [op(1, NEW), op(2, OLD, "own")],
        [op(1, NEW, "own"), op(2, OLD)],
        [op(1, NEW, "strong", port=PRIMARY), op(2, OLD)],
        [put(1, NEW, "region", purged=False, session="two"), op(20, OLD, "public")],
        [put(1, NEW, "region", purged=True, session="two"), op(2, OLD, "public", worker=1)],
        [put(1, NEW, "region", purged=True, region="iad", worker=1), op(20, OLD, "public")],
        [op(1, OLD, "own", hit=True, lower=Position(1, 100), token=TOKEN)],
    ],
)
def test_what_nobody_has_promised_is_no_violation(kept: list[Op]) -> None:
    assert faults(*kept) == []


@pytest.mark.parametrize("reach", ["region", "all"])
def test_a_purge_reaches_other_workers_after_the_bound(reach: str) -> None:
    here = "fra" if reach == "region" else "iad"
    purge = put(1, NEW, reach, purged=True, session="two", worker=3, region=here)
    assert faults(purge, op(20, OLD, "public")) == ["older than a purge"]


class TestFailover:
    """Of what was lost, what is left is owed."""

    def test_what_is_left_is_owed(self) -> None:
        assert faults(put(1, LOST), op(5, NEW), failover=lost_at_two()) == []
        assert faults(put(1, LOST), op(5, OLD), failover=lost_at_two()) == ["own write missed"]

    def test_before_it_everything_is_owed(self) -> None:
        history = [put(0, LOST), op(1, NEW)]
        assert faults(*history, failover=lost_at_two()) == ["own write missed"]

    def test_what_was_lost_is_shown_to_nobody(self) -> None:
        assert faults(op(3, LOST), failover=lost_at_two()) == []
        assert faults(op(5, LOST), failover=lost_at_two()) == ["lost write shown"]
        assert faults(op(5, NEXT), failover=lost_at_two()) == []

    def test_whose_write_was_lost_is_told(self) -> None:
        failover = lost_at_two(mourners=frozenset({"one"}))
        told = op(5, NEW, reasons=("orphaned",))
        assert faults(told, op(6, NEW), failover=failover) == []
        assert faults(op(5, NEW), op(6, NEW), failover=failover) == ["not told of lost writes"]

    def test_the_old_primary_is_left_alone(self) -> None:
        assert faults(put(5, NEXT, port=PRIMARY), failover=lost_at_two()) == ["written elsewhere"]
        assert faults(put(5, NEXT, port=PROMOTED), failover=lost_at_two()) == []
