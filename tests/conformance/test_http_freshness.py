"""RFC 9111, sections 4.2 and 5: how long an answer is fresh, and how old it is."""

import time as system
from datetime import UTC, datetime
from typing import Any

import pytest

from regionware.policies import Cache
from tests.conformance.application import Response, Seen
from tests.conformance.conftest import World
from tests.conformance.standard import (
    KINDS,
    MEMORY,
    Kind,
    Lines,
    Time,
    cached,
    changing,
    dispatch,
    fields,
    numbered,
    rows,
    verdict,
)

pytestmark = pytest.mark.volume

MINUTE = "Cache-Control: max-age=60"
TAG = 'ETag: "1"'
DAY = 86400

# Lifetimes: asked once around the end with a clock, and once with an `Age` around it.

LIFETIMES = [
    # name, section, fields, the lifetime, how much older than its arrival
    ("max-age", "RFC 9111, 5.2.2.1", [MINUTE], 60, 0),
    ("s-maxage", "RFC 9111, 5.2.2.10", ["Cache-Control: s-maxage=60"], 60, 0),
    ("s-maxage is shorter", "RFC 9111, 4.2.1", ["Cache-Control: max-age=60, s-maxage=30"], 30, 0),
    ("s-maxage is longer", "RFC 9111, 4.2.1", ["Cache-Control: s-maxage=60, max-age=30"], 60, 0),
    ("s-maxage and a lifetime of zero", "RFC 9111, 4.2.1",
     ["Cache-Control: max-age=0, s-maxage=60"], 60, 0),
    ("s-maxage and expired", "RFC 9111, 5.3",
     ["Cache-Control: s-maxage=60", "Expires: <-9>"], 60, 0),
    ("max-age and expired", "RFC 9111, 5.3", [MINUTE, "Expires: <-9>"], 60, 0),
    ("max-age and never expires", "RFC 9111, 5.3",
     [MINUTE, "Expires: <+900>"], 60, 0),
    ("max-age and invalid expires", "RFC 9111, 5.3", [MINUTE, "Expires: 0"], 60, 0),
    ("expires", "RFC 9111, 5.3", ["Expires: <+60>"], 60, 0),
    ("expires, with a date", "RFC 9111, 4.2.1", ["Expires: <+60>", "Date: <0>"], 60, 0),
    ("expires, with an invalid date", "RFC 9110, 6.6.1", ["Expires: <+60>", "Date: today"], 60, 0),
    ("expires, with a date of the future", "RFC 9111, 4.2.1",
     ["Expires: <+90>", "Date: <+30>"], 60, 0),
    ("expires, with a date of the past", "RFC 9111, 4.2.1",
     ["Expires: <+40>", "Date: <-20>"], 60, 20),
    ("max-age, with a date of the past", "RFC 9111, 4.2.3",
     [MINUTE, "Date: <-20>"], 60, 20),
    ("max-age, with a date of the future", "RFC 9111, 4.2.3",
     [MINUTE, "Date: <+30>"], 60, 0),
    ("upper case", "RFC 9111, 5.2", ["Cache-Control: MAX-AGE=60"], 60, 0),
    ("leading zeros", "RFC 9111, 1.2.2", ["Cache-Control: max-age=0060"], 60, 0),
    ("quoted", "RFC 9111, 5.2", ['Cache-Control: max-age="60"'], 60, 0),
    ("empty members", "RFC 9110, 5.6.1", ["Cache-Control: ,, max-age=60 ,"], 60, 0),
    ("no white space", "RFC 9110, 5.6.1", ["Cache-Control: public,max-age=60,x"], 60, 0),
    ("two lines", "RFC 9110, 5.3", ["Cache-Control: public", MINUTE], 60, 0),
    ("extensions", "RFC 9111, 5.2.3", ['Cache-Control: a, max-age=60, b=1, c="d, e"'], 60, 0),
    ("a lifetime inside an extension", "RFC 9111, 5.2.3",
     ['Cache-Control: new="max-age=900", max-age=60'], 60, 0),
    ("an extension that sounds alike", "RFC 9111, 5.2.3",
     ["Cache-Control: x-max-age=0, max-age=60, max-aged=0"], 60, 0),
    ("immutable", "RFC 8246, 2", ["Cache-Control: max-age=60, immutable"], 60, 0),
    ("twice the same", "RFC 9111, 4.2.1", ["Cache-Control: max-age=60, max-age=60"], 60, 0),
    ("twice, the shorter last", "RFC 9111, 4.2.1",
     ["Cache-Control: max-age=60, max-age=30"], 30, 0),
    ("twice, the shorter first", "RFC 9111, 4.2.1",
     ["Cache-Control: max-age=30, max-age=60"], 30, 0),
    ("twice on two lines", "RFC 9111, 4.2.1",
     [MINUTE, "Cache-Control: max-age=30"], 30, 0),
    ("expires twice the same", "RFC 9111, 4.2.1", ["Expires: <+60>", "Expires: <+60>"], 60, 0),
    ("expires twice", "RFC 9111, 4.2.1", ["Expires: <+60>", "Expires: <+30>"], 30, 0),
    ("expires in the form of RFC 850", "RFC 9110, 5.6.7", ["Expires: <+60 rfc850>"], 60, 0),
    ("expires in the form of asctime", "RFC 9110, 5.6.7", ["Expires: <+60 asctime>"], 60, 0),
    ("a tenth since it was modified", "RFC 9111, 4.2.2", ["Last-Modified: <-1000>"], 100, 0),
    ("a tenth, with a date", "RFC 9111, 4.2.2", ["Last-Modified: <-1050>", "Date: <-50>"], 100, 50),
    ("a tenth, and public", "RFC 9111, 4.2.2",
     ["Last-Modified: <-1000>", "Cache-Control: public"], 100, 0),
    ("a tenth, and other directives", "RFC 9111, 4.2.2",
     ["Last-Modified: <-1000>", "Cache-Control: must-revalidate, no-transform, x"], 100, 0),
    ("a tenth, from the form of RFC 850", "RFC 9111, 4.2.2",
     ["Last-Modified: <-1000 rfc850>"], 100, 0),
    ("a tenth, at most a day", "RFC 9111, 4.2.2", ["Last-Modified: <-9000000>"], DAY, 0),
    ("explicit, although modified long ago", "RFC 9111, 4.2.2",
     ["Last-Modified: <-9000000>", MINUTE], 60, 0),
]  # fmt: skip


@MEMORY
@pytest.mark.parametrize(("lines", "seconds", "older"), rows(LIFETIMES))
def test_it_is_fresh_for(world: World, lines: Lines, seconds: int, older: int) -> None:
    time = Time()
    site = cached(world, numbered([*lines, TAG], now=time.wall.now), **time.options)
    assert verdict(site) == "forwarded"
    time.pass_(seconds - older - 0.5)
    assert verdict(site) == "reused"
    time.pass_(1)
    assert verdict(site) == "validated"


@pytest.mark.parametrize(("lines", "seconds", "older"), rows(LIFETIMES))
def test_it_is_fresh_up_to_an_age_of(world: World, lines: Lines, seconds: int, older: int) -> None:
    ages = {"young": seconds - 5, "old": seconds + 1}
    handlers = {name: numbered([*lines, TAG, f"Age: {age}"]) for name, age in ages.items()}
    site = cached(world, dispatch(**handlers))
    for path in ("/young", "/old"):
        site.get(path)
    assert [verdict(site, "/young"), verdict(site, "/old")] == ["reused", "validated"]


LIMITED = [
    # name, section, the policy, fields, how long
    ("a year", "the policy", {}, ["Cache-Control: max-age=31536000"], 604800),
    ("more than a number", "RFC 9111, 1.2.2",
     {}, ["Cache-Control: max-age=99999999999999999999999"], 604800),
    ("two to the 31", "RFC 9111, 1.2.2", {}, ["Cache-Control: max-age=2147483648"], 604800),
    ("the year 9999", "RFC 9111, 5.3", {}, ["Expires: Fri, 31 Dec 9999 23:59:59 GMT"], 604800),
    ("another limit", "the policy", {"limit": 100}, ["Cache-Control: max-age=300"], 100),
    ("from its arrival on", "the policy",
     {"limit": 100}, ["Cache-Control: max-age=300", "Age: 150"], 100),
    ("what is left", "the policy", {"limit": 100}, ["Cache-Control: max-age=300", "Age: 250"], 50),
    ("below the limit", "the policy", {"limit": 100}, [MINUTE], 60),
    ("heuristics", "the policy", {"limit": 100}, ["Last-Modified: <-9000>"], 100),
]  # fmt: skip


@MEMORY
@pytest.mark.parametrize(("words", "lines", "seconds"), rows(LIMITED))
def test_the_limit(world: World, words: dict[str, Any], lines: Lines, seconds: int) -> None:
    time = Time()
    handler = numbered([*lines, TAG], now=time.wall.now)
    site = cached(world, handler, Cache.standard(**words), **time.options)
    site.get()
    time.pass_(seconds - 0.5)
    assert verdict(site) == "reused"
    time.pass_(1)
    assert verdict(site) == "validated"


DECLARED = [
    # name, section, status, fields, how long
    ("silent", "the policy", 200, [], 60),
    ("shorter", "the policy", 200, ["Cache-Control: max-age=30"], 30),
    ("longer", "the policy", 200, ["Cache-Control: max-age=600"], 60),
    ("longer for shared caches", "the policy", 200, ["Cache-Control: max-age=9, s-maxage=600"], 60),
    ("expires sooner", "the policy", 200, ["Expires: <+30>"], 30),
    ("expires later", "the policy", 200, ["Expires: <+300>"], 60),
    ("no heuristics", "the policy", 200, ["Last-Modified: <-100>"], 60),
    ("with an age", "the policy", 200, [MINUTE, "Age: 20"], 40),
    ("with a date", "the policy", 200, [MINUTE, "Date: <-20>"], 40),
    ("an error", "the policy", 404, [], 10),
    ("an error that may stay", "the policy", 404, [MINUTE], 10),
    ("an error that may not stay", "the policy", 404, ["Cache-Control: max-age=5"], 5),
]  # fmt: skip


@MEMORY
@pytest.mark.parametrize(("status", "lines", "seconds"), rows(DECLARED))
def test_it_is_fresh_as_declared(world: World, status: int, lines: Lines, seconds: int) -> None:
    time = Time()
    site = cached(world, numbered(lines, status, time.wall.now), "declared", **time.options)
    site.get()
    time.pass_(seconds - 0.5)
    assert verdict(site) == "reused"
    time.pass_(1)
    assert verdict(site) in {"forwarded", "validated"}


# Stale from the beginning. Every row has a twin that is fresh.

STALE = [
    # name, section, stale, twin
    ("a lifetime of zero", "RFC 9111, 5.2.2.1",
     ["Cache-Control: max-age=0"], [MINUTE]),
    ("zero for shared caches", "RFC 9111, 5.2.2.10",
     ["Cache-Control: max-age=60, s-maxage=0"], ["Cache-Control: max-age=60, s-maxage=60"]),
    ("not a number", "RFC 9111, 4.2.1",
     ["Cache-Control: max-age=sixty"], [MINUTE]),
    ("a negative number", "RFC 9111, 4.2.1",
     ["Cache-Control: max-age=-60"], [MINUTE]),
    ("a sign", "RFC 9111, 1.2.2", ["Cache-Control: max-age=+60"], [MINUTE]),
    ("a decimal", "RFC 9111, 1.2.2",
     ["Cache-Control: max-age=60.5"], [MINUTE]),
    ("an exponent", "RFC 9111, 1.2.2", ["Cache-Control: max-age=6e1"], [MINUTE]),
    ("a unit", "RFC 9111, 1.2.2", ["Cache-Control: max-age=60s"], [MINUTE]),
    ("an underscore", "RFC 9111, 1.2.2",
     ["Cache-Control: max-age=6_0"], [MINUTE]),
    ("digits of another script", "RFC 9111, 1.2.2",
     ["Cache-Control: max-age=\xb2\xb2"], ["Cache-Control: max-age=22"]),
    ("nothing after the sign", "RFC 9111, 4.2.1",
     ["Cache-Control: max-age="], [MINUTE]),
    ("no argument", "RFC 9111, 4.2.1", ["Cache-Control: max-age"], [MINUTE]),
    ("a quoted word", "RFC 9111, 4.2.1",
     ['Cache-Control: max-age="sixty"'], ['Cache-Control: max-age="60"']),
    ("white space around the sign", "RFC 9111, 5.2",
     ["Cache-Control: max-age = 60"], [MINUTE]),
    ("malformed for shared caches", "RFC 9111, 4.2.1",
     ["Cache-Control: max-age=60, s-maxage=x"], ["Cache-Control: max-age=60, x-maxage=x"]),
    ("malformed once of twice", "RFC 9111, 4.2.1",
     ["Cache-Control: max-age=60, max-age=x"], ["Cache-Control: max-age=60, max-age=60"]),
    ("separated by a semicolon", "RFC 9111, 4.2.1",
     ["Cache-Control: max-age=60; public"], ["Cache-Control: max-age=60, public"]),
    ("no-cache", "RFC 9111, 5.2.2.4",
     ["Cache-Control: no-cache, max-age=60"], [MINUTE]),
    ("no-cache beside a qualified one", "RFC 9111, 5.2.2.4",
     ['Cache-Control: no-cache="x-a", no-cache, max-age=60'],
     ['Cache-Control: no-cache="x-a", max-age=60']),
    ("expired", "RFC 9111, 5.3", ["Expires: <-1>"], ["Expires: <+60>"]),
    ("expires now", "RFC 9111, 4.2",
     ["Expires: <0>", "Date: <0>"], ["Expires: <+60>", "Date: <0>"]),
    ("expires with its date", "RFC 9111, 4.2.1",
     ["Expires: <+60>", "Date: <+60>"], ["Expires: <+60>", "Date: <+20>"]),
    ("expires: 0", "RFC 9111, 5.3", ["Expires: 0"], ["Expires: <+60>"]),
    ("expires: -1", "RFC 9111, 5.3", ["Expires: -1"], ["Expires: <+60>"]),
    ("expires, empty", "RFC 9111, 5.3", ["Expires: "], ["Expires: <+60>"]),
    ("expires, a word", "RFC 9111, 5.3", ["Expires: never"], ["Expires: <+60>"]),
    ("expires, a number", "RFC 9111, 5.3", ["Expires: 4102444800"], ["Expires: <+60>"]),
    ("expires, an ISO date", "RFC 9111, 5.3",
     ["Expires: 2090-01-01T00:00:00Z"], ["Expires: Sun, 01 Jan 2090 00:00:00 GMT"]),
    ("expires in UTC", "RFC 9111, 4.2",
     ["Expires: Sun, 01 Jan 2090 00:00:00 UTC"], ["Expires: Sun, 01 Jan 2090 00:00:00 GMT"]),
    ("expires in PST", "RFC 9111, 4.2",
     ["Expires: Sun, 01 Jan 2090 00:00:00 PST"], ["Expires: Sun, 01 Jan 2090 00:00:00 GMT"]),
    ("expires with an offset", "RFC 9111, 4.2",
     ["Expires: Sun, 01 Jan 2090 00:00:00 +0000"], ["Expires: sun, 01 jan 2090 00:00:00 gmt"]),
    ("expires without a zone", "RFC 9110, 5.6.7",
     ["Expires: Sun, 01 Jan 2090 00:00:00"], ["Expires: SUN, 01 JAN 2090 00:00:00 GMT"]),
    ("expires on a day that is not", "RFC 9110, 5.6.7",
     ["Expires: Thu, 32 Jan 2090 00:00:00 GMT"], ["Expires: Tue, 31 Jan 2090 00:00:00 GMT"]),
    ("expires at an hour that is not", "RFC 9110, 5.6.7",
     ["Expires: Sun, 01 Jan 2090 25:00:00 GMT"], ["Expires: Sun, 01 Jan 2090 23:00:00 GMT"]),
    ("expires in a month that is not", "RFC 9110, 5.6.7",
     ["Expires: Sun, 01 Foo 2090 00:00:00 GMT"], ["Expires: Sun Jan  1 00:00:00 2090"]),
    ("expires twice, one invalid", "RFC 9111, 4.2.1",
     ["Expires: <+60>", "Expires: 0"], ["Expires: <+60>"]),
    ("modified long ago, and expired", "RFC 9111, 4.2.2",
     ["Last-Modified: <-9000>", "Expires: 0"], ["Last-Modified: <-9000>"]),
    ("modified long ago, a lifetime of zero", "RFC 9111, 4.2.2",
     ["Last-Modified: <-9000>", "Cache-Control: max-age=0"],
     ["Last-Modified: <-9000>", "Cache-Control: public"]),
    ("modified in the future", "RFC 9111, 4.2.2",
     ["Last-Modified: <+9000>"], ["Last-Modified: <-9000>"]),
    ("modified at an invalid time", "RFC 9111, 4.2.2",
     ["Last-Modified: once"], ["Last-Modified: <-9000>"]),
    ("as old as its lifetime", "RFC 9111, 4.2",
     [MINUTE, "Age: 61"], [MINUTE, "Age: 50"]),
    ("of an immense age", "RFC 9111, 1.2.2",
     [MINUTE, "Age: 99999999999999999999"],
     [MINUTE, "Age: 0"]),
    ("of an old date", "RFC 9111, 4.2.3",
     [MINUTE, "Date: <-61>"], [MINUTE, "Date: <-50>"]),
    ("nothing of the lifetime", "RFC 9111, 4.2.2", [], [MINUTE]),
]  # fmt: skip


@pytest.mark.parametrize(("stale", "twin"), rows(STALE))
def test_it_is_stale_at_once(world: World, stale: Lines, twin: Lines) -> None:
    handler = dispatch(stale=numbered([*stale, TAG]), twin=numbered([*twin, TAG]))
    site = cached(world, handler)
    assert [verdict(site, "/stale"), verdict(site, "/twin")] == ["forwarded"] * 2
    assert verdict(site, "/stale") != "reused"
    assert verdict(site, "/twin") == "reused"


#: What a declared lifetime stands in for, or does not share.
NOT_DECLARED = {
    "nothing of the lifetime", "modified in the future", "modified at an invalid time",
}  # fmt: skip


@pytest.mark.parametrize(
    ("stale", "twin"), rows([row for row in STALE if row[0] not in NOT_DECLARED])
)
def test_it_is_stale_at_once_for_a_declared_route_too(
    world: World, stale: Lines, twin: Lines
) -> None:
    handler = dispatch(stale=numbered([*stale, TAG]), twin=numbered([*twin, TAG]))
    site = cached(world, handler, "declared")
    assert [verdict(site, "/stale"), verdict(site, "/twin")] == ["forwarded"] * 2
    assert verdict(site, "/stale") != "reused"
    assert verdict(site, "/twin") == "reused"


@pytest.mark.parametrize("directive", ["max-age=10", "max-age=10, immutable"])
def test_what_is_immutable_is_validated_once_it_is_stale(world: World, directive: str) -> None:
    """RFC 8246, 2."""
    site = cached(world, numbered([f"Cache-Control: {directive}", "Age: 20", TAG]))
    site.get()
    assert verdict(site) == "validated"


@MEMORY
@pytest.mark.parametrize(("years", "fresh"), [(1, True), (49, True), (51, False), (98, False)])
def test_two_digits_of_a_year(world: World, years: int, fresh: bool) -> None:
    """RFC 9110, 5.6.7: what seems to be more than 50 years ahead is in the past."""
    time = Time()
    year = datetime.fromtimestamp(time.wall.now, UTC).year + years
    day = datetime(year if fresh else year - 100, 1, 1, tzinfo=UTC)
    line = f"Expires: {day.strftime('%A, %d-%b-%y %H:%M:%S GMT')}"
    site = cached(world, numbered([line, TAG]), **time.options)
    site.get()
    assert verdict(site) == ("reused" if fresh else "validated")


@MEMORY
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "UTC"])
def test_the_zone_of_the_machine_does_not_matter(
    world: World, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9111, 4.2."""
    monkeypatch.setenv("TZ", zone)
    system.tzset()
    try:
        time = Time()
        site = cached(world, numbered(["Expires: <+60>"], now=time.wall.now), **time.options)
        site.get()
        time.pass_(59)
        assert verdict(site) == "reused"
        time.pass_(2)
        assert verdict(site) == "forwarded"
    finally:
        monkeypatch.undo()
        system.tzset()


# Age

AGES = [
    # name, section, fields, the age ten seconds later
    ("made here", "RFC 9111, 4.2.3", [], 10),
    ("an age", "RFC 9111, 4.2.3", ["Age: 20"], 30),
    ("an age of zero", "RFC 9111, 4.2.3", ["Age: 0"], 10),
    ("a date of the past", "RFC 9111, 4.2.3", ["Date: <-20>"], 30),
    ("a date of the future", "RFC 9111, 4.2.3", ["Date: <+20>"], 10),
    ("an invalid date", "RFC 9111, 4.2.3", ["Date: today"], 10),
    ("a date that is older", "RFC 9111, 4.2.3", ["Date: <-20>", "Age: 5"], 30),
    ("an age that is older", "RFC 9111, 4.2.3", ["Date: <-5>", "Age: 20"], 30),
    ("an age and a date of the future", "RFC 9111, 4.2.3", ["Date: <+5>", "Age: 20"], 30),
    ("a date in the form of RFC 850", "RFC 9110, 5.6.7", ["Date: <-20 rfc850>"], 30),
    ("a date in the form of asctime", "RFC 9110, 5.6.7", ["Date: <-20 asctime>"], 30),
    ("two members", "RFC 9111, 5.1", ["Age: 20, 40"], 30),
    ("two lines", "RFC 9111, 5.1", ["Age: 20", "Age: 40"], 30),
    ("leading zeros", "RFC 9111, 1.2.2", ["Age: 0020"], 30),
    ("a word", "RFC 9111, 5.1", ["Age: old"], 10),
    ("a negative number", "RFC 9111, 5.1", ["Age: -20"], 10),
    ("a sign", "RFC 9111, 5.1", ["Age: +20"], 10),
    ("a decimal", "RFC 9111, 5.1", ["Age: 20.5"], 10),
    ("quoted", "RFC 9111, 5.1", ['Age: "20"'], 10),
    ("empty", "RFC 9111, 5.1", ["Age: "], 10),
    ("invalid, with a date", "RFC 9111, 5.1", ["Age: old", "Date: <-20>"], 30),
]  # fmt: skip


@MEMORY
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("lines", "age"), rows(AGES))
def test_its_age(world: World, kind: Kind, lines: Lines, age: int) -> None:
    time = Time()
    handler = numbered([MINUTE, *lines], now=time.wall.now)
    site = cached(world, handler, kind, **time.options)
    site.get()
    time.pass_(10)
    hit = site.get()
    assert hit.all("age") == [str(age)]
    assert hit.cache_status["ttl"] == str(60 - age)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("line", "age"), [("Age: 20", 20), ("Date: <-20>", 20), ("X-A: 1", 0)])
def test_its_age_between_workers(world: World, kind: Kind, line: str, age: int) -> None:
    """RFC 9111, 4.2.3."""
    site = cached(world, numbered([MINUTE, line]), kind)
    site.get()
    hit = site.get()
    assert hit.hit
    assert age <= int(hit["age"]) <= age + 3


SLOW = [
    # name, section, fields, the age at once
    ("made here", "RFC 9111, 4.2.3", [], 5),
    ("with an age", "RFC 9111, 4.2.3", ["Age: 20"], 25),
    ("with the date of its beginning", "RFC 9111, 4.2.3", ["Date: <0>"], 5),
    ("with the date of its end", "RFC 9111, 4.2.3", ["Date: <+5>"], 5),
    ("with an older date", "RFC 9111, 4.2.3", ["Date: <-20>"], 25),
]  # fmt: skip


@MEMORY
@pytest.mark.parametrize(("lines", "age"), rows(SLOW))
def test_the_age_of_what_took_five_seconds(world: World, lines: Lines, age: int) -> None:
    time = Time()
    answer = Response([b"x"], headers=fields([MINUTE, *lines], time.wall.now))

    def slow(_: Seen) -> Response:
        time.pass_(5)
        return answer

    site = cached(world, slow, **time.options)
    site.get()
    assert site.get()["age"] == str(age)
    time.pass_(60 - age - 0.5)
    assert verdict(site) == "reused"
    time.pass_(1)
    assert verdict(site) == "forwarded"


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_is_passed_on_keeps_its_age(world: World, kind: Kind) -> None:
    """RFC 9111, 5.1: the field says that the origin has not been asked for this request."""
    handler = changing(["Cache-Control: no-store", "Age: 7"], ["Cache-Control: no-store"])
    site = cached(world, handler, kind)
    assert [site.get().all("age") for _ in range(2)] == [["7"], []]
