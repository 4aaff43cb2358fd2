"""Conditional requests: what 304, 206 and a validation depend on."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionware.http.conditions import (
    etag_matches,
    is_etag,
    not_modified,
    range_applies,
    strong_match,
)
from regionware.http.dates import format_date

NOW = 1_780_272_000.0
EARLY, MIDDLE, LATE = (format_date(NOW - away) for away in (300, 200, 100))
AFTER = format_date(NOW - 199)
ODD = "Yesterday"

OPAQUE = st.text(st.sampled_from("!#,;\\ab\x7f\x80\xff*W/"), max_size=6).map(
    lambda text: f'"{text}"'.replace("\x7f", "")
)
TAG = st.builds("{}{}".format, st.sampled_from(["", "W/"]), OPAQUE)
PIECES = 'W/|"a"|"|a|*|,| |\t|\\|"a b"|w/"a"|Thu, 01 Jan 1970 00:00:00 GMT'
LATIN = st.text(st.characters(max_codepoint=255), max_size=40)
FIELD = LATIN | st.lists(st.sampled_from(PIECES.split("|")), max_size=8).map("".join)


def opaque(tag: str) -> str:
    return tag.removeprefix("W/")


# Entity tags


@pytest.mark.parametrize(
    "text", ['""', '"a"', 'W/""', 'W/"a"', '"a,b"', '"\\"', '"\xe9"', '"*"', '"\'"']
)
def test_a_tag_is_quoted(text: str) -> None:
    assert is_etag(text)


@pytest.mark.parametrize(
    "text",
    ["", "a", '"', '"a', 'a"', '"a"b"', '"a b"', '"a\t"', 'w/"a"', 'W"a"', ' "a"', '"a"\n', "*",
     'W/ "a"', '"\x7f"', '"\x00"', '"\u0100"', '"a", "b"'],
)  # fmt: skip
def test_nothing_else_is_a_tag(text: str) -> None:
    assert not is_etag(text)


@pytest.mark.parametrize(
    ("left", "right", "strong", "weak"),
    [  # the table of RFC 9110, section 8.8.3.2
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', '"1"', True, True),
    ],
)
def test_tags_are_compared_strongly_or_weakly(
    left: str, right: str, strong: bool, weak: bool
) -> None:
    assert strong_match(left, right) == strong_match(right, left) == strong
    assert etag_matches(left, right) == etag_matches(right, left) == weak


@pytest.mark.parametrize(
    ("field", "etag", "expected"),
    [
        ("*", '"a"', True),
        (" * ", "", True),
        ('"*"', '"a"', False),
        ('"b", W/"a"', '"a"', True),
        ('"b",W/"a",', '"a"', True),
        (', ,"a"', '"a"', True),
        ('"x,\t"a"', '"a"', False),
        ('"a,b"', '"a,b"', True),
        ('"a,b"', '"a"', False),
        ('"a,b"', '"b"', False),
        ('"A"', '"a"', False),
        ("", "", False),
        ('""', '""', True),
        ('""', "", False),
        ("a", "a", True),
        ("b, a", "a", True),
        ("a", '"a"', False),
        ('"a"', "a", False),
        ("W/a", "a", False),
        ('w/"a"', '"a"', False),
        ('"a b"', '"a b"', True),
        ('"a b"', "a", False),
        ('"a', '"a"', False),
        ('"b", "a', '"a"', False),
        ('"b""a"', '"a"', False),
    ],
)
def test_if_none_match_is_a_list(field: str, etag: str, expected: bool) -> None:
    assert etag_matches(field, etag) is expected


@given(st.lists(TAG, max_size=5), TAG)
def test_a_list_matches_what_one_member_matches(tags: list[str], etag: str) -> None:
    expected = opaque(etag) in map(opaque, tags)
    assert etag_matches(", ".join(tags), etag) is expected
    assert any(strong_match(tag, etag) for tag in tags) is (etag in tags and etag[0] == '"')


# 304


@pytest.mark.parametrize(
    ("special", "stored", "expected"),
    [
        ({}, {"etag": '"a"', "last_modified": EARLY}, None),
        ({"if-none-match": '"a"'}, {"etag": '"a"'}, True),
        ({"if-none-match": '"a"'}, {"etag": 'W/"a"'}, True),
        ({"if-none-match": '"b"'}, {"etag": '"a"'}, False),
        ({"if-none-match": '"b"'}, {}, False),
        ({"if-none-match": "*"}, {}, True),
        ({"if-none-match": ""}, {"etag": '"a"'}, False),
        ({"if-none-match": '"b"', "if-modified-since": LATE}, {"last_modified": EARLY}, False),
        ({"if-none-match": '"a"', "if-modified-since": EARLY}, {"etag": '"a"'}, True),
        ({"if-none-match": ODD, "if-modified-since": LATE}, {"last_modified": EARLY}, False),
        ({"if-modified-since": MIDDLE}, {"last_modified": EARLY}, True),
        ({"if-modified-since": MIDDLE}, {"last_modified": MIDDLE}, True),
        ({"if-modified-since": MIDDLE}, {"last_modified": LATE}, False),
        ({"if-modified-since": MIDDLE.upper()}, {"last_modified": EARLY}, True),
        ({"if-modified-since": MIDDLE}, {"last_modified": LATE, "date": EARLY}, False),
        ({"if-modified-since": MIDDLE}, {"date": EARLY}, True),
        ({"if-modified-since": MIDDLE}, {"date": LATE}, False),
        ({"if-modified-since": MIDDLE}, {"last_modified": ODD, "date": EARLY}, True),
        ({"if-modified-since": MIDDLE}, {"last_modified": ODD, "date": ODD}, False),
        ({"if-modified-since": MIDDLE}, {"etag": '"a"'}, False),
        ({"if-modified-since": ODD}, {"last_modified": EARLY}, None),
        ({"if-modified-since": f"{LATE}, {LATE}"}, {"last_modified": EARLY}, None),
        ({"if-unmodified-since": LATE}, {"last_modified": EARLY}, None),
    ],
)
def test_304_follows_the_precedence(
    special: dict[str, str], stored: dict[str, str], expected: bool | None
) -> None:
    known = {"etag": None, "last_modified": None, "date": None} | stored
    assert not_modified(special, now=NOW, **known) is expected


# If-Range


@pytest.mark.parametrize(
    ("if_range", "stored", "expected"),
    [
        (None, {}, True),
        ('"a"', {"etag": '"a"'}, True),
        (' "a"\t', {"etag": '"a"'}, True),
        ('"a"', {"etag": '"b"'}, False),
        ('"a"', {"etag": 'W/"a"'}, False),
        ('W/"a"', {"etag": 'W/"a"'}, False),
        ('W/"a"', {"etag": '"a"'}, False),
        ('"a"', {}, False),
        ("a", {"etag": "a"}, False),
        ("*", {"etag": '"a"'}, False),
        ("", {"etag": ""}, False),
        ('"a", "b"', {"etag": '"a"'}, False),
        (MIDDLE, {"last_modified": MIDDLE, "date": LATE}, True),
        (MIDDLE, {"last_modified": MIDDLE, "date": AFTER}, True),
        (MIDDLE, {"last_modified": MIDDLE, "date": MIDDLE}, False),
        (MIDDLE, {"last_modified": MIDDLE, "date": EARLY}, False),
        (MIDDLE, {"last_modified": MIDDLE}, False),
        (MIDDLE, {"last_modified": MIDDLE, "date": ODD}, False),
        (MIDDLE, {"last_modified": EARLY, "date": LATE}, False),
        (LATE, {"last_modified": MIDDLE, "date": LATE}, False),
        (MIDDLE, {"date": LATE}, False),
        (MIDDLE, {"etag": '"a"', "date": LATE}, False),
        (ODD, {"last_modified": ODD, "date": LATE}, False),
    ],
)
def test_a_range_applies_to_what_the_client_has(
    if_range: str | None, stored: dict[str, str], expected: bool
) -> None:
    known = {"etag": None, "last_modified": None, "date": None} | stored
    assert range_applies(if_range, now=NOW, **known) is expected


# What holds for every input


@given(FIELD, FIELD, FIELD)
@settings(max_examples=200)
def test_no_text_makes_it_raise(one: str, other: str, third: str) -> None:
    check(one, other, third)


@given(st.sampled_from(PIECES.split("|")), FIELD)
@settings(max_examples=30, deadline=None)
def test_long_fields_are_read_in_time(piece: str, end: str) -> None:
    text = (piece * 65536)[:65536] + end
    check(text, '"a"', text)


def check(one: str, other: str, third: str) -> None:
    known: dict[str, str | None] = {"etag": other, "last_modified": third, "date": third}
    tags, since = {"if-none-match": one}, {"if-modified-since": one}
    assert not_modified(tags, now=NOW, **known) is etag_matches(one, other)
    assert not_modified(since | tags, now=NOW, **known) is etag_matches(one, other)
    assert not_modified(since, now=NOW, **known) in (True, False, None)
    if range_applies(one, now=NOW, **known):
        assert strong_match(one.strip(" \t"), other.strip(" \t"))
    assert not strong_match(one, other) or etag_matches(one, other)
