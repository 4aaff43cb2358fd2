"""How timelines hang together: what survived a promotion, what was lost, and what nobody knows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.database.position import Position
from regionware.database.timelines import NO_HISTORY, Place, Switch, Timelines

ONCE = NO_HISTORY.advance(1, None).advance(2, Switch(1, 500))
TWICE = ONCE.advance(3, Switch(2, 800))


@pytest.mark.parametrize(
    ("history", "position", "place"),
    [
        (ONCE, Position(2, 9), Place.HERE),
        (ONCE, Position(1, 500), Place.HERE),
        (ONCE, Position(1, 501), Place.LOST),
        (TWICE, Position(1, 500), Place.HERE),
        (TWICE, Position(1, 501), Place.LOST),
        (TWICE, Position(2, 800), Place.HERE),
        (TWICE, Position(2, 801), Place.LOST),
        # Nobody has seen where the third began, so nothing before it can be compared.
        (ONCE.advance(3, None), Position(2, 1), Place.UNKNOWN),
        (ONCE.advance(4, Switch(2, 800)), Position(3, 1), Place.UNKNOWN),
        # From the future: this process has not heard of it yet.
        (ONCE, Position(3, 1), Place.UNKNOWN),
        # A switch point that is only known to be no earlier than this.
        (NO_HISTORY.advance(2, Switch(1, 500, exact=False)), Position(1, 500), Place.HERE),
        (NO_HISTORY.advance(2, Switch(1, 500, exact=False)), Position(1, 501), Place.UNKNOWN),
        # A second promotion before the first one's writes: the earlier switch point counts.
        (ONCE.advance(3, Switch(2, 400)), Position(1, 450), Place.LOST),
    ],
)
def test_the_place_of_a_position(history: Timelines, position: Position, place: Place) -> None:
    assert history.place(position) is place


def test_an_obligation_is_put_in_words_of_the_current_timeline() -> None:
    assert ONCE.current_form(Position(1, 400)) == Position(2, 400)
    # What was lost cannot be asked for: what survived of it can.
    assert ONCE.current_form(Position(1, 600)) == Position(2, 500)
    assert ONCE.current_form(Position(3, 600)) == Position(3, 600)
    assert ONCE.current_form(Position(2, 600)) == Position(2, 600)
    assert ONCE.current_form(None) is None


def test_entries_past_the_switch_point_are_dropped() -> None:
    before, after = Position(1, 400), Position(1, 501)
    assert ONCE.keeps(before, Position(1, 500))
    assert not ONCE.keeps(before, after)
    # Without an upper bound nobody can tell what is in it.
    assert not ONCE.keeps(before, None)
    assert ONCE.keeps(Position(2, 1), None)
    assert ONCE.keeps(None, None)
    assert ONCE.keeps(Position(3, 1), None)
    # The positive control: while nobody has seen a failover, all of them are good.
    assert NO_HISTORY.keeps(before, after)
    assert NO_HISTORY.advance(1, None).keeps(before, after)


def test_what_is_exact_is_not_replaced() -> None:
    assert ONCE.advance(2, Switch(1, 300, exact=False)) is ONCE
    assert ONCE.advance(2, Switch(1, 700)) is ONCE
    assert ONCE.advance(1, None) is ONCE
    vague = NO_HISTORY.advance(2, Switch(1, 300, exact=False))
    assert vague.advance(2, Switch(1, 500)) == NO_HISTORY.advance(2, Switch(1, 500))


chains = st.lists(st.integers(1, 1000), min_size=1, max_size=4)


@given(chains, st.integers(1, 6), st.integers(0, 1200))
def test_what_every_history_keeps(switches: list[int], line: int, lsn: int) -> None:
    history = NO_HISTORY.advance(1, None)
    for number, at in enumerate(switches, 2):
        history = history.advance(number, Switch(number - 1, at))
    position = Position(line, lsn)
    place, form = history.place(position), history.current_form(position)
    later = switches[line - 1 :]
    if line > history.current:
        assert (place, form) == (Place.UNKNOWN, position)
    else:
        survived = min([*later, lsn])
        assert place is (Place.HERE if survived == lsn else Place.LOST)
        assert form == Position(history.current, survived)
    assert history.keeps(position, position) is (place is not Place.LOST)
