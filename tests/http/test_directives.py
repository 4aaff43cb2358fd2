"""Cache directives: the most restrictive reading of whatever was sent."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionware.http.directives import (
    FOREVER,
    CacheControl,
    Wants,
    delta_seconds,
    parse_cache_control,
    parse_targeted,
    parse_wants,
)

PIECES = (
    "max-age=|s-maxage=|max-age|min-fresh=|max-stale|max-stale=|60|5|-1|1.5|9999999999999999999|"
    'no-store|private|private=|no-cache|no-cache=|only-if-cached|"a, b"|"60"|"|\\|,|;|=|?0|?1|(|)|'
    ":|@| |\t|\n|\xa0|\xb2"
)
LATIN = st.text(st.characters(max_codepoint=255), max_size=40)
FIELD = LATIN | st.lists(st.sampled_from(PIECES.split("|")), max_size=10).map("".join)
LINES = st.lists(FIELD, max_size=3)
LONG = st.builds(
    lambda start, piece, end: (start + piece * 65536)[:65536] + end,
    FIELD, st.sampled_from(PIECES.split("|")) | FIELD, FIELD,
)  # fmt: skip


def one(text: str) -> CacheControl:
    return parse_cache_control((text,))


# Seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0), ("60", 60), ("060", 60), ('"60"', 60), ('"0"', 0), ("0" * 5000 + "7", 7),
        ("2147483647", FOREVER - 1), ("2147483648", FOREVER), ("2147483649", FOREVER),
        ("9999999999", FOREVER), ("99999999999", FOREVER), ("1" * 65536, FOREVER),
        (None, 0), ("", 0), ('""', 0), ('"', 0), ("-1", 0), ("+1", 0), ("1.5", 0), ("1e3", 0),
        (" 60", 0), ("60 ", 0), ('" 60"', 0), ("6 0", 0), ("6_0", 0), ("60s", 0), ("0x10", 0),
        ('"60', 0), ('60"', 0), ('""60""', 0), ("'60'", 0), ("\xb2", 0), ("٦٠", 0), ("60\n", 0),
    ],
)  # fmt: skip
def test_seconds_are_ascii_digits_and_nothing_else(text: str | None, expected: int) -> None:
    assert delta_seconds(text) == expected


@given(st.integers(0, 10**40), st.booleans(), st.integers(0, 30))
def test_any_number_of_digits_is_a_number(number: int, quoted: bool, zeros: int) -> None:
    digits = "0" * zeros + str(number)
    assert delta_seconds(f'"{digits}"' if quoted else digits) == min(number, FOREVER)


# Cache-Control


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (" , ,\t,", {}),
        ("max-age=60", {"max-age": "60"}),
        ("MAX-AGE=60, No-Store", {"max-age": "60", "no-store": None}),
        (" \tmax-age=60\t,no-store ,", {"max-age": "60", "no-store": None}),
        ('max-age="60"', {"max-age": '"60"'}),
        ("max-age=", {"max-age": ""}),
        ("foo=bar;baz, max-age=1", {"foo": "bar;baz", "max-age": "1"}),
        ('foo="a, no-store, b", max-age=1', {"foo": '"a, no-store, b"', "max-age": "1"}),
        (r'foo="a\", no-store", max-age=1', {"foo": r'"a\", no-store"', "max-age": "1"}),
        (r'foo="\\", max-age=1', {"foo": r'"\\"', "max-age": "1"}),
        ("max-age=10, max-age=10", {"max-age": "10"}),
        ("max-age=30, max-age=10, max-age=20", {"max-age": "10"}),
        ("max-age=30, max-age=x", {"max-age": "0"}),
        ("max-age, max-age=30", {"max-age": "0"}),
        ("max-age =100", {"max-age": ""}),
        ("max-age= 100", {"max-age": ""}),
        ('max-age\t=\t"100"', {"max-age": ""}),
        ("max-age =", {"max-age": ""}),
    ],
)
def test_directives_are_read(text: str, expected: dict[str, str | None]) -> None:
    assert one(text) == CacheControl(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=60", {}),
        ('"no-store"', {}),
        ("\xa0no-store", {}),
        ("max-age=60 private", {"max-age": ""}),
        ("max-age=60; max-age=1", {"max-age": ""}),
        ("no-store;", {"no-store": ""}),
        ('max-age=6"0"', {"max-age": ""}),
        ('max-age="60', {"max-age": ""}),
        ('no-store, max-age="60\\', {"no-store": None, "max-age": ""}),
        ('foo="a, max-age=60', {"foo": ""}),
        ('@"a, max-age=60", no-store', {"no-store": None}),
    ],
)
def test_what_cannot_be_read_is_told(text: str, expected: dict[str, str | None]) -> None:
    assert one(text) == CacheControl(expected, malformed=True)


def test_lines_are_one_list() -> None:
    assert parse_cache_control(["max-age=60", "", "no-store"]) == one("max-age=60, no-store")
    assert parse_cache_control(()) == one("")


def test_one_line_hides_nothing_of_the_next() -> None:
    control = parse_cache_control(['foo="a', 'no-store, bar="'])
    assert "no-store" in control
    assert control.malformed


def test_seconds_of_what_is_absent_are_none() -> None:
    control = one("max-age=60, s-maxage=x, public")
    assert control.seconds("max-age") == 60
    assert control.seconds("s-maxage") == control.seconds("public") == 0
    assert control.seconds("stale-if-error") is None


@pytest.mark.parametrize("name", ["private", "no-cache"])
@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (['="Set-Cookie"'], {"set-cookie"}),
        (['="a, B ,,c\t"'], {"a", "b", "c"}),
        ([r'="\a,b"'], {"a", "b"}),
        (["=a"], {"a"}),
        (['="a"', '="b, a"'], {"a", "b"}),
        ([""], set()),
        ([""] * 2, set()),
        (["="], set()),
        (['=""'], set()),
        (['=" , "'], set()),
        (['="a b"'], set()),
        ([r'="a\"b"'], set()),
        ([' ="a"'], set()),
        (['= "a"'], set()),
        (['="a" x'], set()),
        (['="a'], set()),
        (["", '="a"'], set()),
        (['="a"', ""], set()),
        (['="a"', '="b c"'], set()),
        (['="a"', "="], set()),
    ],
)
def test_fields_are_named_or_all_are_meant(
    name: str, arguments: list[str], fields: set[str]
) -> None:
    control = one(", ".join(name + argument for argument in arguments))
    assert control.fields(name) == fields
    assert control.bare(name) is not bool(fields)


def test_an_absent_directive_names_nothing() -> None:
    assert one("max-age=60").fields("private") == set()
    assert not one("max-age=60").bare("private")


# Targeted fields


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max-age=60", {"max-age": "60"}),
        (" max-age=60\t", {"max-age": "60"}),
        ("max-age=60, must-revalidate", {"max-age": "60", "must-revalidate": None}),
        ("max-age=60;x=1, no-store;y", {"max-age": "60", "no-store": None}),
        ("no-store=?1, private=?0, public=?0;a", {"no-store": None}),
        ("no-store=?0", {}),
        ("none", {"none": None}),
        ("max-age=10, max-age=60", {"max-age": "60"}),
        ('private="a, b"', {"private": '"a, b"'}),
    ],
)
def test_a_dictionary_is_read(text: str, expected: dict[str, str | None]) -> None:
    assert parse_targeted((text,)) == CacheControl(expected)


@pytest.mark.parametrize(
    "value",
    ["-1", "1.0", "60.5", "a", '"60"', "?1", ":AAA=:", "(60)", "()", "@60", '%"60"'],
)
def test_seconds_of_another_type_are_none(value: str) -> None:
    control = parse_targeted((f"max-age={value}, s-maxage=5",))
    assert control is not None
    assert control.seconds("max-age") == 0
    assert control.seconds("s-maxage") == 5


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "max-age=60,", "max-age=60, &", "Max-Age=60", "max-age = 60", "max-age=", "=60",
        "max-age=1234567890123456", 'private="\xe9"', 'private="a', "max-age=60 no-store",
        "max-age=60\n", "max-age=\u0100", "private='a'", "max-age=(60", "a=@999999999999999",
    ],
)  # fmt: skip
def test_what_is_no_dictionary_is_ignored(text: str) -> None:
    assert parse_targeted((text,)) is None


def test_no_lines_are_no_field() -> None:
    assert parse_targeted(()) is None
    assert parse_targeted(("max-age=60", "no-store")) == parse_targeted(("max-age=60, no-store",))


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ('"A, b"', {"a", "b"}), ('""', set()), ('"a b"', set()), (r'"a\"b"', set()),
        ("a", set()), ("1", set()), ("?1", set()), ("1.5", set()), ('("a" "b")', set()),
    ],
)  # fmt: skip
def test_only_a_string_names_fields(value: str, fields: set[str]) -> None:
    control = parse_targeted((f"private={value}",))
    assert control is not None
    assert control.fields("private") == fields
    assert control.bare("private") is not bool(fields)


# Requests


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no-store", Wants(no_store=True)),
        ("No-Cache", Wants(no_cache=True)),
        ("only-if-cached", Wants(only_if_cached=True)),
        ("max-age=0", Wants(max_age=0)),
        ('max-age="5"', Wants(max_age=5)),
        ("max-age=x", Wants(max_age=0)),
        ("max-age", Wants(max_age=0)),
        ("max-age =5", Wants(max_age=0)),
        ("max-age=9, max-age=5", Wants(max_age=5)),
        ("min-fresh=0", Wants(min_fresh=0)),
        ("min-fresh=5", Wants(min_fresh=5)),
        ("min-fresh=5, min-fresh=9", Wants(min_fresh=9)),
        ("min-fresh=-5", Wants(min_fresh=FOREVER)),
        ("min-fresh", Wants(min_fresh=FOREVER)),
        ("max-stale", Wants(max_stale=FOREVER)),
        ("max-stale=5", Wants(max_stale=5)),
        ("max-stale=5, max-stale", Wants(max_stale=5)),
        ("max-stale=0", Wants(max_stale=0)),
        ("no-cache, max-stale=x", Wants(no_cache=True)),
        ("no-cache, max-stale=5, max-stale=x", Wants(no_cache=True)),
        ("max-age=1, min-fresh=2, max-stale=3", Wants(max_age=1, min_fresh=2, max_stale=3)),
        ("", None),
        ("public, foo=bar", None),
        ("max-stale=x", None),
        ('foo="no-store"', None),
    ],
)
def test_requests_say_what_they_want(text: str, expected: Wants | None) -> None:
    assert parse_wants(text, None) == expected
    assert parse_wants(text, "no-cache") == expected


@pytest.mark.parametrize(
    ("pragma", "expected"),
    [
        ("no-cache", Wants(no_cache=True)),
        ("foo, No-Cache", Wants(no_cache=True)),
        ("no-store", None),
        ("", None),
        (None, None),
    ],
)
def test_pragma_counts_without_cache_control(pragma: str | None, expected: Wants | None) -> None:
    assert parse_wants(None, pragma) == expected


# What holds for every input


def looser(one: int | None, other: int | None) -> bool:
    return one is not None and (other is None or other > one)


@given(LINES, FIELD, st.booleans())
@settings(max_examples=200)
def test_more_never_makes_it_looser(lines: list[str], more: str, apart: bool) -> None:
    before = parse_cache_control(lines)
    after = parse_cache_control([*lines, more] if apart else [f"{','.join(lines)},{more}"])
    for name in ("max-age", "s-maxage") if apart or not before.malformed else ():
        assert not looser(before.seconds(name), after.seconds(name))
    assert before.directives.keys() <= after.directives.keys() or (before.malformed and not apart)
    for name in ("private", "no-cache"):
        if name in before and apart:
            assert after.bare(name) or before.fields(name) <= after.fields(name) != frozenset()


@given(LINES, st.sampled_from(["private", "no-store", "no-cache"]), FIELD)
def test_what_forbids_is_always_seen(lines: list[str], word: str, more: str) -> None:
    control = parse_cache_control([*lines, f"{word},{more}"])
    assert word in control
    assert word == "no-store" or control.bare(word)


@given(st.data())
def test_the_order_of_directives_does_not_matter(data: st.DataObject) -> None:
    known = st.sampled_from(["max-age=5", "max-age=9", 'private="a"', 'private="b"', "private"])
    words = data.draw(st.lists(known, max_size=6))
    other = data.draw(st.permutations(words))
    assert one(", ".join(words)) == one(", ".join(other))


@given(LINES, FIELD)
@settings(max_examples=200)
def test_no_field_makes_it_raise(lines: list[str], other: str) -> None:
    for control in (parse_cache_control(lines), parse_targeted(lines)):
        if control is not None:
            check(control)
    for wants in (parse_wants(other, None), parse_wants(None, other)):
        assert wants is None or wants != Wants()


def check(control: CacheControl) -> None:
    for name in (*control.directives, "absent"):
        seconds = control.seconds(name)
        assert (seconds is not None) == (name in control)
        assert seconds is None or 0 <= seconds <= FOREVER
        assert control.bare(name) == (name in control and not control.fields(name))


@given(LONG)
@settings(max_examples=50, deadline=None)
def test_long_fields_are_read_in_time(text: str) -> None:
    check(one(text))
    parse_targeted((text,))
    parse_wants(text, text)
