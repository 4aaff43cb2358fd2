"""Which rows are new, as tables: nothing is connected here."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from regionware.caching.coherence import tag_name
from regionware.database import purges
from regionware.database.position import Position
from regionware.database.purge_sql import _LARGEST, _texts, riding
from regionware.database.purges import MOST, Asked, Row, Table, Taken, Window, read_facts

TABLE = Table("public.regionware_purges", reads=True, adds=True, deletes=True)
HERE = Position(1, 0x5000)


def row(id_: int, xid: int, *tags: str, pruned: int | None = None, **more: Any) -> list[Any]:
    told = {"soft": False, "everything": False, "urls": None, "names": None} | more
    return [
        id_, 7, str(xid), told["soft"], told["everything"], list(tags) or None, told["urls"],
        told["names"], None if pruned is None else str(pruned), 0.5,
    ]  # fmt: skip


def take(
    window: Window,
    xmin: int,
    *rows: Sequence[Any],
    at: Position = HERE,
    clock: float = 1000.0,
    asked: Asked | None = None,
    role: str = "primary",
    received: str = "",
) -> Taken:
    asked = asked or window.ask(TABLE)
    return window.read(
        asked,
        [str(xmin), str(clock), received, json.dumps([rows, len(rows) == purges.BATCH])],
        at,
        role,
    )


def names(taken: Taken) -> list[str]:
    return [name for each in taken.rows for name in each.names]


def begun(xmin: int = 100) -> Window:
    window = Window("77")
    take(window, xmin)
    return window


def test_a_row_is_new_once() -> None:
    window = begun()
    assert names(take(window, 100, row(1, 100, "a"))) == ["hta"]
    assert names(take(window, 100, row(1, 100, "a"))) == []
    assert "id BETWEEN 1 AND 1" in window.ask(TABLE).columns


def test_what_commits_later_with_a_smaller_id_is_not_lost() -> None:
    window = begun()
    # Transactions 100 and 101 are in progress; the second, with the larger id, is committed first.
    assert names(take(window, 100, row(2, 101, "b"))) == ["htb"]
    assert (window.floor, list(window._seen)) == (100, [2])
    assert names(take(window, 102, row(1, 100, "a"))) == ["hta"]
    assert (window.floor, window._seen) == (102, {})


def test_a_reader_of_the_largest_id_loses_it() -> None:
    """The positive control: that row is below the largest id, and never asked for again."""
    largest = 0
    for answer in ([row(2, 101, "b")], [row(1, 100, "a")]):
        new = [each for each in answer if each[0] > largest]
        largest = max([largest, *(each[0] for each in new)])
        assert bool(new) is (answer[0][0] == 2)


def test_ids_that_follow_each_other_are_one_range() -> None:
    window = begun()
    take(window, 100, *(row(id_, 105, "a") for id_ in (1, 2, 3, 5, 9, 10)))
    condition = window._condition()
    assert condition == (
        "(xid >= '100'::xid8) AND"
        " NOT (id BETWEEN 1 AND 3 OR id BETWEEN 5 AND 5 OR id BETWEEN 9 AND 10)"
    )


def test_another_table_counts_from_one_again() -> None:
    window = begun()
    take(window, 100, row(1, 105, "a"))
    window.vanished()
    assert names(take(window, 100, row(1, 106, "b"))) == ["htb"]


def test_a_host_that_lags_takes_nothing_back() -> None:
    window = begun(200)
    take(window, 150)
    assert window.floor == 200


def test_a_full_answer_is_followed_by_another_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purges, "BATCH", 2)
    window = begun()
    taken = take(window, 300, row(1, 100, "a"), row(2, 101, "b"))
    # The floor stays: what was left out is above it.
    assert (taken.more, window.floor) == (True, 100)
    assert not take(window, 300, row(3, 102, "c")).more
    assert window.floor == 300


def test_of_very_many_everything_is_purged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purges, "BATCH", 2)
    monkeypatch.setattr(purges, "MOST", 3)
    assert MOST > 3
    window = Window("77")
    take(window, 300, row(1, 100, "a"), row(2, 101, "b"))
    taken = take(window, 300, row(3, 102, "c"), row(4, 103, "d"))
    assert (names(taken), [each.missed for each in taken.rows]) == (["h*"], [True])
    assert window.floor == 300


@pytest.mark.parametrize(
    ("received", "need"),
    [("0/5000", 0x5000), ("0/6000", 0x5001), ("0/4000", 0x5001), ("", 0x5001)],
)
def test_what_a_refill_must_have_reached(received: str, need: int) -> None:
    """A commit is visible on a standby before its position covers it."""
    assert take(begun(), 100, role="replica", received=received).need == Position(1, need)
    assert take(begun(), 100, role="primary").need == HERE


def test_the_header_of_a_page_is_no_record() -> None:
    page = Position(1, 0x6000)
    assert take(begun(), 100, role="replica", received="0/6018", at=page).need == page


def test_after_a_new_connection_what_was_written_lately_is_read_again() -> None:
    """A primary that has crashed may give numbers again that it had given before."""
    window = begun(500)
    window.again()
    asked = window.ask(TABLE)
    assert "xid >= '500'::xid8 OR written >= to_timestamp(940.0)" in asked.columns
    assert names(take(window, 480, row(9, 470, "a"), asked=asked)) == ["hta"]
    assert (window.floor, window.since) == (480, None)


def test_another_question_on_the_way_ends_no_such_reading() -> None:
    window = begun(500)
    before = window.ask(TABLE)
    window.again()
    take(window, 500, asked=before)
    assert window.since == 940.0


def test_a_promotion_may_take_numbers_back() -> None:
    window = begun(500)
    new = Position(2, 0x5000)
    assert take(window, 450, at=new).more  # asked again, for what was written lately
    assert names(take(window, 450, row(1, 440, "a"), at=new)) == ["hta"]
    assert window.floor == 450
    # The old primary is heard no more.
    assert names(take(window, 600, row(7, 590, "b"))) == []
    assert window.floor == 450


def test_a_cursor_is_where_another_reader_begins() -> None:
    cursor = take(begun(500), 510, clock=2000.5).cursor
    assert cursor == "77:1:510:2000.5"
    window = Window("77", cursor)
    assert (window.floor, window.since) == (510, 1940.5)
    assert take(window, 520).cursor


@pytest.mark.parametrize(
    "cursor", ["", "other:1:510:2000.5", "77:1:510", "77:1:x:2000.5", "\ufffd"]
)
def test_what_is_no_cursor_of_this_cluster_is_none(cursor: str) -> None:
    window = Window("77", cursor)
    assert (window.floor, window._condition()) == (None, "true")


def test_a_cursor_is_not_given_before_everything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purges, "BATCH", 1)
    assert take(Window("77"), 300, row(1, 100, "a")).cursor == ""


@pytest.mark.parametrize(
    ("floor", "missed"), [(100, True), (150, True), (151, False), (None, False)]
)
def test_rows_that_were_deleted_before_they_were_read(floor: int | None, missed: bool) -> None:
    window = Window("77") if floor is None else begun(floor)
    taken = take(window, 300, row(5, 200, pruned=150))
    assert names(taken) == (["h*"] if missed else [])


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (row(1, 100, "a", "b", soft=True), ["sta", "stb"]),
        (
            row(1, 100, urls=["/x?y=1", "https://Site.test/z"]),
            ["hu/x?y=1", "huhttps://site.test/z"],
        ),
        (row(1, 100, everything=True), ["h*"]),
        (row(1, 100, "a", everything=True), ["hta", "h*"]),
        (row(1, 100, names='["hta", "su/x"]'), ["hta", "su/x"]),
        (row(1, 100, "a" * 300), [f"ht{tag_name('a' * 300)[1:]}"]),
        # What cannot be read means everything.
        (row(1, 100, urls=["nonsense"]), ["h*"]),
        (row(1, 100, names="["), ["h*"]),
        (row(1, 100, names="[1]"), ["h*"]),
        (row(1, 100, names='["x"]'), ["h*"]),
        (row(1, 100, names="3"), ["h*"]),
        (row(1, 100, names='["ht\\ud800"]'), ["h*"]),
        # And nothing is nothing.
        (row(1, 100), []),
        (row(1, 100, ""), []),
    ],
)
def test_what_a_row_names(told: list[Any], expected: list[str]) -> None:
    assert names(take(begun(), 100, told)) == expected


def test_a_row_has_a_name_of_its_own() -> None:
    """Not its id alone: a promotion may give that again, to another purge."""
    (first,) = take(begun(), 100, row(255, 100, "a")).rows
    other = row(255, 100, "a")
    other[1] = 8
    (second,) = take(begun(), 100, other).rows
    assert (first, second.mark) == (Row("=ff.7", ("hta",), 0.5), "=ff.8")


def test_facts() -> None:
    assert read_facts("") is None
    assert read_facts('["public.regionware_purges", true, true, true]') == TABLE
    blind = Table("t", reads=False, adds=True, deletes=True)
    for table in (None, blind):
        assert not begun().ask(table).rows


def test_names_that_ride_need_no_quoting() -> None:
    wild = riding("t", ["ht'$regionware$\\; \N{SNOWMAN}\0", "su/%s"])
    assert wild.isascii()
    assert wild.count("$regionware$") == 2
    text = wild.partition("decode('")[2].partition("'")[0]
    assert json.loads(bytes.fromhex(text)) == ["ht'$regionware$\\; \N{SNOWMAN}\0", "su/%s"]


def test_many_names_ride_in_several_rows() -> None:
    names = [f"ht{number:040}" for number in range(3000)]
    texts = _texts(names)
    assert len(texts) > 3
    assert all(len(text) <= _LARGEST for text in texts)
    assert [name for text in texts for name in json.loads(text)] == names
    assert _texts(["ht" + "x" * 2 * _LARGEST]) == [json.dumps(["ht" + "x" * 2 * _LARGEST]).encode()]
