"""Positions: rounding, comparing, and their text forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.database.position import PAGE, SEGMENT, Position, lower, merge

positions = st.builds(Position, st.integers(1, 2**32 - 1), st.integers(0, 2**64 - 1))
maybe = st.none() | positions


def text(lsn: int) -> str:
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


@given(st.integers(0, 2**64 - 1))
def test_parsing_rounds_down_by_a_page_header_at_most(lsn: int) -> None:
    found = Position.parse(text(lsn), 3)
    assert found.timeline == 3
    assert lsn - found.lsn in {0, 24, 40}
    if found.lsn != lsn:
        assert found.lsn % PAGE == 0


@pytest.mark.parametrize(
    ("lsn", "rounded"),
    [
        (5 * PAGE, 5 * PAGE),
        (5 * PAGE + 24, 5 * PAGE),
        (5 * PAGE + 40, 5 * PAGE + 40),
        (7 * SEGMENT + 40, 7 * SEGMENT),
        (7 * SEGMENT + 24, 7 * SEGMENT),
        (5 * PAGE + 25, 5 * PAGE + 25),
    ],
)
def test_behind_a_page_header_is_the_page_boundary(lsn: int, rounded: int) -> None:
    assert Position.parse(text(lsn), 1).lsn == rounded


@pytest.mark.parametrize("wrong", ["", "0", "0/", "/0", "0/G", "0/0\n", "100000000/0", "-1/0"])
def test_what_is_not_an_lsn_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="not an LSN"):
        Position.parse(wrong, 1)


@given(positions)
def test_the_hexadecimal_form_round_trips(position: Position) -> None:
    assert len(position.hex) == 24
    assert Position.from_hex(position.hex) == position


@given(positions, positions)
def test_the_hexadecimal_form_sorts_like_positions(left: Position, right: Position) -> None:
    as_pairs = (left.timeline, left.lsn) < (right.timeline, right.lsn)
    assert (left.hex < right.hex) == as_pairs


@given(positions, positions)
def test_another_timeline_is_never_reached(left: Position, right: Position) -> None:
    assert left.reached(right) == (left.timeline == right.timeline and left.lsn >= right.lsn)
    assert left.reached(None)


@given(positions)
def test_below_excludes_exactly_the_position(position: Position) -> None:
    below = position.below()
    assert below.lsn == max(position.lsn - 1, 0)
    assert below.reached(position) == (position.lsn == 0)


@given(maybe, maybe, maybe)
def test_merge_is_commutative_and_associative(
    a: Position | None, b: Position | None, c: Position | None
) -> None:
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, a) == a


@given(maybe, maybe)
def test_the_lower_bound_holds_for_both(a: Position | None, b: Position | None) -> None:
    found = lower(a, b)
    if found is None:
        assert a is None or b is None or a.timeline != b.timeline
    else:
        assert a is not None
        assert b is not None
        assert a.reached(found)
        assert b.reached(found)


def test_people_read_postgresqls_form() -> None:
    assert str(Position(2, 0x1_0000_00FF)) == "2:1/FF"
