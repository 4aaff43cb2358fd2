"""The positive controls of what is asserted of sessions: each violation is found, and no other."""

from typing import Any

import pytest

from tests.faults.drills.visits import Switchover, Visit, Visits, right, sound

OLD, NEW = 5001, 5002
#: The promoted server had item 7 at 2; process 1 certainly knew of it at 10.
SWITCH = Switchover({1: 10.0}, OLD, {7: 2})


def read(at: float, value: int | None, what: str = "session", **more: Any) -> Visit:
    return Visit(at, 0.1, 1, what, 7, value=value, port=OLD, pid=1)._replace(**more)


def write(at: float, value: int, **more: Any) -> Visit:
    return read(at, value, "write", sent=value, **more)


@pytest.mark.parametrize("what", ["session", "cached", "again", "strong"])
def test_less_than_was_written_or_seen_is_found(what: str) -> None:
    written = [write(1, 3), read(2, 2, what)]
    seen = [read(1, 3, what), read(2, 2, what)]
    for visits in (written, seen):
        assert Visits(visits).going_back() == visits[1:]
        with pytest.raises(AssertionError):
            right(Visits(visits))
    # What somebody else has seen, another item, and a refused write promise nothing.
    for first in (read(1, 3, client=2), read(1, 3, item=8), write(1, 3, status=503)):
        right(Visits([first, read(2, 2, what)]))
    right(Visits([read(1, 2, what), read(2, 3, what)]))


def test_where_only_a_lag_is_promised_nothing_is_remembered() -> None:
    right(Visits([write(1, 3), read(2, 1, "lagging"), read(3, 3)]))
    right(Visits([read(1, 3, "bounded"), read(2, 1, "bounded"), read(3, 1)]))


def test_other_wrong_answers_are_found() -> None:
    wrong = [read(1, None), write(1, 1, replica=True)]
    for each in wrong:
        with pytest.raises(AssertionError):
            right(Visits([each]))
    right(Visits([read(1, None, status=503)]))
    with pytest.raises(AssertionError):
        sound(Visits([read(1, None, status=503)]))
    with pytest.raises(AssertionError, match="too few"):
        sound(Visits([read(1, 1)]), least=2)


def test_who_owes_nothing_to_the_primary() -> None:
    free = [read(1, 1, replica=True), read(2, None, status=503)]
    assert Visits([*free, write(3, 1), read(4, 1, replica=True)]).of_replicas_alone().all == free
    assert Visits([read(1, 1), read(2, 1, replica=True)]).of_replicas_alone().all == []


# A promotion

LOST = write(1, 3)


def test_what_was_lost_may_be_missing_and_what_was_kept_may_not() -> None:
    told = read(11, 2, port=NEW, reason="orphaned")
    right(Visits([LOST, told]), SWITCH)
    assert Visits([LOST, told._replace(value=1)]).going_back(SWITCH)
    # The old history must hold for as long as the process knows no better.
    early = read(9, 2, replica=True, port=NEW)
    assert Visits([LOST, early]).going_back(SWITCH) == [early]
    # What the new primary has taken is not lost.
    kept = write(9, 4, port=NEW)
    assert Visits([LOST, kept, told]).going_back(SWITCH) == [told]


def test_a_lost_value_that_is_shown_is_found() -> None:
    ghost = read(11, 3, client=2, hit=True)
    assert Visits([LOST, ghost]).ghosts(SWITCH) == [ghost]
    for other in (ghost._replace(began=9.0), ghost._replace(value=2)):
        assert Visits([LOST, other]).ghosts(SWITCH) == []


def test_a_session_that_is_not_told_of_its_loss_is_found() -> None:
    silent = read(11, 2, port=NEW, reason="caught-up")
    assert Visits([LOST, silent]).bereft(SWITCH) == {1}
    assert Visits([LOST, silent]).unannounced(SWITCH) == [silent]
    told = silent._replace(reason="orphaned")
    later = silent._replace(began=12.0)
    assert Visits([LOST, told, later]).unannounced(SWITCH) == []
    refused = told._replace(status=503, reason="")
    assert Visits([LOST, refused, later]).unannounced(SWITCH) == [later]
    assert Visits([LOST, refused._replace(token=True), later]).unannounced(SWITCH) == []
    # It begins anew with a write; one that the server had lost nothing.
    assert Visits([LOST, write(11, 4, port=NEW), later]).unannounced(SWITCH) == []
    assert Visits([write(1, 2), silent]).unannounced(SWITCH) == []
