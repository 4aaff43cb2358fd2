"""HTTP dates: three formats, and nothing else."""

import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from regionware.http.dates import format_date, parse_date

RFC = 784111777  # the moment of the examples in RFC 9110, section 5.6.7
NOW = 1_780_272_000.0  # 2026-06-01 00:00:00
FIRST, LAST = -62_135_596_800, 253_402_300_799  # of the years 1 and 9999

ACCEPTED = [
    ("Sun, 06 Nov 1994 08:49:37 GMT", RFC),
    ("Sunday, 06-Nov-94 08:49:37 GMT", RFC),
    ("Sun Nov  6 08:49:37 1994", RFC),
    ("Sun Nov 06 08:49:37 1994", RFC),
    ("Wed Nov 16 08:49:37 1994", RFC + 10 * 86400),
    ("sun, 06 nov 1994 08:49:37 gmt", RFC),
    ("SUNDAY, 06-NOV-94 08:49:37 Gmt", RFC),
    ("sUN nOV  6 08:49:37 1994", RFC),
    (" \tSun, 06 Nov 1994 08:49:37 GMT\t ", RFC),
    ("Mon, 06 Nov 1994 08:49:37 GMT", RFC),
    ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
    ("Sat, 31 Dec 2016 23:59:60 GMT", 1483228799),
    ("Thu, 29 Feb 2024 00:00:00 GMT", 1709164800),
    ("Mon, 01 Jan 0001 00:00:00 GMT", FIRST),
    ("Fri, 31 Dec 9999 23:59:59 GMT", LAST),
]

REFUSED = [
    "",
    "0",
    "-1",
    "Sun, 06 Nov 1994 08:49:37",
    "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 06 Nov 1994 08:49:37 EST",
    "Sun, 06 Nov 1994 08:49:37 +0000",
    "Sun, 06 Nov 1994 08:49:37 GMT+1",
    "Sun, 06 Nov 1994 08:49:37  GMT",
    "Sun, 06 Nov 1994 08:49:37GMT",
    "Sun, 06 Nov 1994  08:49:37 GMT",
    "Sun,06 Nov 1994 08:49:37 GMT",
    "Sun 06 Nov 1994 08:49:37 GMT",
    "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 94 08:49:37 GMT",
    "Sun, 06 Nov 1994 8:49:37 GMT",
    "Sun, 06 Nov 1994 08:49 GMT",
    "Sun, 06 Nov 1994 08.49.37 GMT",
    "Sun, 06-Nov-1994 08:49:37 GMT",
    "Sun, 06-Nov-94 08:49:37 GMT",
    "Sunday, 06-Nov-1994 08:49:37 GMT",
    "Sunday, 06 Nov 1994 08:49:37 GMT",
    "Xxx, 06 Nov 1994 08:49:37 GMT",
    "06 Nov 1994 08:49:37 GMT",
    "Sun Nov 6 08:49:37 1994",
    "Sun Nov  6 08:49:37 1994 GMT",
    "Sun Nov  6 08:49:37 94",
    "Sun, 00 Nov 1994 08:49:37 GMT",
    "Sun, 31 Nov 1994 08:49:37 GMT",
    "Wed, 29 Feb 2023 00:00:00 GMT",
    "Sun, 06 Foo 1994 08:49:37 GMT",
    "Sun, 06 Nov 0000 08:49:37 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT",
    "Sun, 06 Nov 1994 08:60:37 GMT",
    "Sun, 06 Nov 1994 08:49:61 GMT",
    "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37 GMT\n",
    "\xa0Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 199\xb2 08:49:37 GMT",
    "Sun, 06 Nov 199٤ 08:49:37 GMT",
    "ſun, 06 Nov 1994 08:49:37 GMT",
    "1994-11-06T08:49:37Z",
    "784111777",
]

MOMENTS = st.integers(FIRST, LAST)
# Half a century around any now stays within the years that a date can name.
NOWS = st.integers(FIRST + 200 * 366 * 86400, LAST - 200 * 366 * 86400).map(float)
PIECES = "Sun|Sunday|Nov| |  |, |,|06|6|-|1994|94|08:49:37|08|:|GMT|60|\t|\xff"
TEXT = st.text(st.characters(max_codepoint=255), max_size=60) | st.lists(
    st.sampled_from(PIECES.split("|")), max_size=12
).map("".join)


@pytest.mark.parametrize(("text", "expected"), ACCEPTED)
def test_the_three_formats_are_read(text: str, expected: int) -> None:
    assert parse_date(text, NOW) == expected


@pytest.mark.parametrize("text", REFUSED)
def test_nothing_else_is_a_date(text: str) -> None:
    assert parse_date(text, NOW) is None


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("Monday, 01-Jan-26 00:00:00 GMT", 2026),
        ("Monday, 01-Jan-27 00:00:00 GMT", 2027),
        ("Monday, 01-Jun-76 00:00:00 GMT", 2076),
        ("Monday, 01-Jun-76 00:00:01 GMT", 1976),
        ("Monday, 01-Jan-77 00:00:00 GMT", 1977),
        ("Monday, 01-Jan-99 00:00:00 GMT", 1999),
        ("Monday, 01-Jan-00 00:00:00 GMT", 2000),
    ],
)
def test_two_digits_are_at_most_fifty_years_ahead(text: str, year: int) -> None:
    found = parse_date(text, NOW)
    assert found is not None
    assert format_date(found)[12:16] == str(year)


def test_two_digits_may_belong_to_the_next_century() -> None:
    late = parse_date("Sun, 01 Jan 2090 00:00:00 GMT", NOW)
    assert late is not None
    assert parse_date("Friday, 01-Jan-10 00:00:00 GMT", late) == 4417977600  # 2110
    assert parse_date("Monday, 29-Feb-00 00:00:00 GMT", late) is None  # 2100 has none


def test_the_date_of_the_standard_is_written() -> None:
    assert format_date(RFC) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert format_date(RFC + 0.999) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert format_date(-0.5) == "Wed, 31 Dec 1969 23:59:59 GMT"


@given(MOMENTS, NOWS, st.sampled_from([str, str.lower, str.upper]))
@example(FIRST, NOW, str)
@example(LAST, NOW, str)
def test_what_is_written_is_read_again(moment: int, now: float, spell: type[str]) -> None:
    assert parse_date(spell(format_date(moment)), now) == moment


@given(NOWS, st.integers(-49 * 365 * 86400, 49 * 365 * 86400))
def test_two_digits_mean_the_same_as_four_within_half_a_century(now: float, away: int) -> None:
    moment = int(now) + away
    day, month, year, clock = format_date(moment)[5:25].split(" ")
    assert parse_date(f"Friday, {day}-{month}-{year[2:]} {clock} GMT", now) == moment
    assert parse_date(f"Fri {month} {day} {clock} {year}", now) == moment


@given(TEXT, NOWS)
def test_no_text_makes_it_raise(text: str, now: float) -> None:
    found = parse_date(text, now)
    assert found is None or FIRST <= found <= LAST


@given(st.sampled_from(PIECES.split("|")))
def test_long_texts_are_no_dates(piece: str) -> None:
    assert parse_date((piece * 65536)[:65536], NOW) is None


@pytest.fixture
def zone() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "AWAY-14"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("zone")
def test_the_time_zone_does_not_matter() -> None:
    assert time.localtime(0).tm_hour == 14
    assert parse_date(format_date(RFC), NOW) == RFC
