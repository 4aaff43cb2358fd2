"""RFC 9111, sections 3.5, 4.1, 4.2.4 and 5.2.1, and RFC 5861: for whom an answer may be used."""

from typing import Any

import pytest

from regionware.policies import Cache
from tests.conformance.application import Handler, Response, Seen, counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import until
from tests.conformance.standard import (
    KINDS,
    Kind,
    Lines,
    Sites,
    cached,
    changing,
    fields,
    numbered,
    rows,
    verdict,
)

pytestmark = pytest.mark.volume

MINUTE = "Cache-Control: max-age=60"
TAG = 'ETag: "1"'
LONG_AGO = "Last-Modified: <-100000>"

# Vary

VARY = [
    # name, section, Vary, the first request, the second, reused
    ("the same value", "RFC 9111, 4.1", ["Vary: X-A"], ["X-A: 1"], ["X-A: 1"], True),
    ("another value", "RFC 9111, 4.1", ["Vary: X-A"], ["X-A: 1"], ["X-A: 2"], False),
    ("another case of the value", "RFC 9111, 4.1", ["Vary: X-A"], ["X-A: a"], ["X-A: A"], False),
    ("absent from both", "RFC 9111, 4.1", ["Vary: X-A"], [], [], True),
    ("absent from the first", "RFC 9111, 4.1", ["Vary: X-A"], [], ["X-A: 1"], False),
    ("absent from the second", "RFC 9111, 4.1", ["Vary: X-A"], ["X-A: 1"], [], False),
    ("absent, then empty", "RFC 9111, 4.1", ["Vary: X-A"], [], ["X-A: "], False),
    ("empty, then absent", "RFC 9111, 4.1", ["Vary: X-A"], ["X-A: "], [], False),
    ("empty in both", "RFC 9111, 4.1", ["Vary: X-A"], ["X-A: "], ["X-A: "], True),
    ("another case of the name", "RFC 9110, 5.1", ["Vary: x-a"], ["X-A: 1"], ["X-A: 1"], True),
    ("another case of the name, another value", "RFC 9110, 5.1",
     ["Vary: x-A"], ["X-A: 1"], ["X-A: 2"], False),
    ("another field", "RFC 9111, 4.1", ["Vary: X-A"], ["X-B: 1"], ["X-B: 2"], True),
    ("two fields, the same", "RFC 9111, 4.1",
     ["Vary: X-A, X-B"], ["X-A: 1", "X-B: 2"], ["X-B: 2", "X-A: 1"], True),
    ("two fields, the second differs", "RFC 9111, 4.1",
     ["Vary: X-A, X-B"], ["X-A: 1", "X-B: 2"], ["X-A: 1", "X-B: 3"], False),
    ("two fields, exchanged", "RFC 9111, 4.1",
     ["Vary: X-A, X-B"], ["X-A: 1", "X-B: 2"], ["X-A: 2", "X-B: 1"], False),
    ("two lines of Vary", "RFC 9110, 5.3",
     ["Vary: X-A", "Vary: X-B"], ["X-A: 1", "X-B: 2"], ["X-A: 1", "X-B: 3"], False),
    ("two lines of Vary, the same", "RFC 9110, 5.3",
     ["Vary: X-A", "Vary: X-B"], ["X-A: 1", "X-B: 2"], ["X-A: 1", "X-B: 2"], True),
    ("empty members of Vary", "RFC 9110, 5.6.1", ["Vary: , X-A ,"], ["X-A: 1"], ["X-A: 2"], False),
    ("an empty Vary", "RFC 9110, 12.5.5", ["Vary: "], ["X-A: 1"], ["X-A: 2"], True),
    ("more white space", "RFC 9111, 4.1",
     ["Vary: X-A"], ["X-A: a, b"], ["X-A: a,  \tb"], True),
    ("two lines joined", "RFC 9111, 4.1", ["Vary: X-A"], ["X-A: 1", "X-A: 2"], ["X-A: 1, 2"], True),
    ("two lines, the second differs", "RFC 9111, 4.1",
     ["Vary: X-A"], ["X-A: 1", "X-A: 2"], ["X-A: 1", "X-A: 3"], False),
    ("another order of the value", "RFC 9111, 4.1", ["Vary: X-A"], ["X-A: 1, 2"], ["X-A: 2, 1"],
     False),
    ("anything", "RFC 9111, 4.1", ["Vary: *"], ["X-A: 1"], ["X-A: 1"], False),
    ("anything among others", "RFC 9111, 4.1", ["Vary: X-A, *"], ["X-A: 1"], ["X-A: 1"], False),
    ("anything on the second line", "RFC 9111, 4.1",
     ["Vary: X-A", "Vary: *"], ["X-A: 1"], ["X-A: 1"], False),
    ("no field's name", "RFC 9110, 12.5.5", ["Vary: X A"], ["X-A: 1"], ["X-A: 1"], False),
    ("codings in another order", "RFC 9111, 4.1", ["Vary: Accept-Encoding"],
     ["Accept-Encoding: gzip, br"], ["Accept-Encoding: br,gzip"], True),
    ("codings in another case", "RFC 9111, 4.1", ["Vary: Accept-Encoding"],
     ["Accept-Encoding: gzip"], ["Accept-Encoding: GZIP"], True),
    ("another coding", "RFC 9111, 4.1", ["Vary: Accept-Encoding"],
     ["Accept-Encoding: gzip"], ["Accept-Encoding: br"], False),
    ("a coding that is refused", "RFC 9110, 12.5.3", ["Vary: Accept-Encoding"],
     ["Accept-Encoding: gzip"], ["Accept-Encoding: gzip;q=0"], False),
    ("one coding more", "RFC 9111, 4.1", ["Vary: Accept-Encoding"],
     ["Accept-Encoding: gzip"], ["Accept-Encoding: gzip, br"], False),
    ("no coding, and none named", "RFC 9110, 12.5.3", ["Vary: Accept-Encoding"],
     ["Accept-Encoding: gzip"], [], False),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("vary", "first", "second", "reused"), rows(VARY))
def test_vary(
    world: World, kind: Kind, *, vary: Lines, first: Lines, second: Lines, reused: bool
) -> None:
    site = cached(world, numbered([MINUTE, *vary]), kind)
    assert verdict(site, lines=first) == "forwarded"
    assert verdict(site, lines=second) == ("reused" if reused else "forwarded")


@pytest.mark.parametrize("kind", KINDS)
def test_every_variant_has_its_place(world: World, kind: Kind) -> None:
    """RFC 9111, 4.1."""

    def echo(seen: Seen) -> Response:
        words = [seen.headers.get(name, "-") for name in ("x-a", "x-b")]
        return text("/".join(words), Cache_Control="max-age=60", Vary="X-A, X-B")

    site = cached(world, echo, kind)
    asked: list[list[str]] = [
        ["X-A: 1", "X-B: 2"],
        ["X-A: 1"],
        ["X-B: 2"],
        [],
        ["X-A: 2", "X-B: 1"],
    ]
    for _ in range(3):
        answers = [site.get(lines=lines).body for lines in asked]
        assert answers == [b"1/2", b"1/-", b"-/2", b"-/-", b"2/1"]
    assert len(site.app.calls) == len(asked)


@pytest.mark.parametrize("kind", KINDS)
def test_the_newest_vary_selects(world: World, kind: Kind) -> None:
    """RFC 9111, 4.1: an older answer without the field is not for everybody any more."""
    site = cached(world, changing([MINUTE], [MINUTE, "Vary: X-A"]), kind)
    site.get(lines=["X-A: 1"])
    assert site.get(lines=["X-A: 1", "Cache-Control: no-cache"]).body == b"2"
    assert verdict(site, lines=["X-A: 2"]) == "forwarded"
    assert site.get(lines=["X-A: 1"]).body == b"2"


COOKIES = [
    # name, section, kind, the second request, verdict
    ("another cookie", "RFC 9111, 4.1", "standard", ["Cookie: a=2"], "reused"),
    ("no cookie", "RFC 9111, 4.1", "standard", [], "reused"),
    ("another cookie, declared", "the policy", "declared", ["Cookie: a=2"], "forwarded"),
    ("no cookie, declared", "the policy", "declared", [], "forwarded"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "second", "expected"), rows(COOKIES))
def test_cookies_of_a_request(world: World, kind: Kind, second: Lines, expected: str) -> None:
    site = cached(world, numbered([MINUTE]), kind)
    site.get(lines=["Cookie: a=1"])
    assert verdict(site, lines=second) == expected


# Directives of a request

FRESH = [MINUTE, "Age: 20", TAG]
OVER = ["Cache-Control: max-age=10", "Age: 20", TAG]  # for ten seconds

REQUESTS = [
    # name, section, stored, the request, verdict
    ("nothing", "RFC 9111, 4", FRESH, [], "reused"),
    ("no-cache", "RFC 9111, 5.2.1.4", FRESH, ["Cache-Control: no-cache"], "validated"),
    ("no-cache in upper case", "RFC 9111, 5.2", FRESH, ["Cache-Control: x, NO-CACHE"], "validated"),
    ("no-cache on the second line", "RFC 9110, 5.3",
     FRESH, ["Cache-Control: max-age=100", "Cache-Control: no-cache"], "validated"),
    ("pragma", "RFC 9111, 5.4", FRESH, ["Pragma: no-cache"], "validated"),
    ("pragma beside cache-control", "RFC 9111, 5.4",
     FRESH, ["Pragma: no-cache", "Cache-Control: max-age=100"], "reused"),
    ("another pragma", "RFC 9111, 5.4", FRESH, ["Pragma: x"], "reused"),
    ("no-store", "RFC 9111, 5.2.1.5", FRESH, ["Cache-Control: no-store"], "forwarded"),
    ("max-age below its age", "RFC 9111, 5.2.1.1",
     FRESH, ["Cache-Control: max-age=10"], "validated"),
    ("max-age above its age", "RFC 9111, 5.2.1.1", FRESH, ["Cache-Control: max-age=40"], "reused"),
    ("max-age of zero", "RFC 9111, 5.2.1.1", FRESH, ["Cache-Control: max-age=0"], "validated"),
    ("max-age malformed", "RFC 9111, 5.2.1.1", FRESH, ["Cache-Control: max-age=x"], "validated"),
    ("max-age negative", "RFC 9111, 5.2.1.1", FRESH, ["Cache-Control: max-age=-1"], "validated"),
    ("max-age immense", "RFC 9111, 1.2.2",
     FRESH, ["Cache-Control: max-age=99999999999999999999"], "reused"),
    ("min-fresh below what is left", "RFC 9111, 5.2.1.3",
     FRESH, ["Cache-Control: min-fresh=20"], "reused"),
    ("min-fresh above what is left", "RFC 9111, 5.2.1.3",
     FRESH, ["Cache-Control: min-fresh=50"], "validated"),
    ("min-fresh malformed", "RFC 9111, 5.2.1.3",
     FRESH, ["Cache-Control: min-fresh=x"], "validated"),
    ("min-fresh immense", "RFC 9111, 1.2.2",
     FRESH, ["Cache-Control: min-fresh=99999999999999999999"], "validated"),
    ("max-stale of what is fresh", "RFC 9111, 5.2.1.2", FRESH, ["Cache-Control: max-stale"],
     "reused"),
    ("max-age wins over max-stale", "RFC 9111, 5.2.1.1",
     FRESH, ["Cache-Control: max-stale, max-age=10"], "validated"),
    ("only-if-cached", "RFC 9111, 5.2.1.7", FRESH, ["Cache-Control: only-if-cached"], "reused"),
    ("only-if-cached and no-cache", "RFC 9111, 5.2.1.7",
     FRESH, ["Cache-Control: only-if-cached, no-cache"], "refused"),
    ("only-if-cached and too old", "RFC 9111, 5.2.1.7",
     FRESH, ["Cache-Control: only-if-cached, max-age=10"], "refused"),
    ("only-if-cached and too near its end", "RFC 9111, 5.2.1.7",
     FRESH, ["Cache-Control: only-if-cached, min-fresh=50"], "refused"),
    ("no-transform", "RFC 9111, 5.2.1.6", FRESH, ["Cache-Control: no-transform"], "reused"),
    ("an unknown directive", "RFC 9111, 5.2.3",
     FRESH, ['Cache-Control: new="no-cache, max-age=0", x'], "reused"),
    ("a response's directive", "RFC 9111, 5.2.1",
     FRESH, ["Cache-Control: must-revalidate, s-maxage=0, private"], "reused"),
    ("nothing, stale", "RFC 9111, 4.2.4", OVER, [], "validated"),
    ("max-stale of any age", "RFC 9111, 5.2.1.2", OVER, ["Cache-Control: max-stale"], "stale"),
    ("max-stale above", "RFC 9111, 5.2.1.2", OVER, ["Cache-Control: max-stale=30"], "stale"),
    ("max-stale below", "RFC 9111, 5.2.1.2", OVER, ["Cache-Control: max-stale=5"], "validated"),
    ("max-stale malformed", "RFC 9111, 5.2.1.2", OVER, ["Cache-Control: max-stale=x"], "validated"),
    ("max-stale and a greater max-age", "RFC 9111, 5.2.1.1",
     OVER, ["Cache-Control: max-stale, max-age=40"], "stale"),
    ("max-stale and a smaller max-age", "RFC 9111, 5.2.1.1",
     OVER, ["Cache-Control: max-stale, max-age=15"], "validated"),
    ("max-stale and no-cache", "RFC 9111, 5.2.1.4",
     OVER, ["Cache-Control: max-stale, no-cache"], "validated"),
    ("only-if-cached, stale", "RFC 9111, 5.2.1.7",
     OVER, ["Cache-Control: only-if-cached"], "refused"),
    ("only-if-cached and max-stale", "RFC 9111, 5.2.1.7",
     OVER, ["Cache-Control: only-if-cached, max-stale"], "stale"),
    ("max-stale against must-revalidate", "RFC 9111, 5.2.2.2",
     ["Cache-Control: max-age=10, must-revalidate", *OVER[1:]],
     ["Cache-Control: max-stale"], "validated"),
    ("max-stale against proxy-revalidate", "RFC 9111, 5.2.2.8",
     ["Cache-Control: max-age=10, proxy-revalidate", *OVER[1:]],
     ["Cache-Control: max-stale"], "validated"),
    ("max-stale against s-maxage", "RFC 9111, 5.2.2.10",
     ["Cache-Control: s-maxage=10", *OVER[1:]], ["Cache-Control: max-stale"], "validated"),
    ("max-stale against other directives", "RFC 9111, 5.2.2",
     ["Cache-Control: max-age=10, public, no-transform, x-must-revalidate", *OVER[1:]],
     ["Cache-Control: max-stale"], "stale"),
    ("must-revalidate, fresh", "RFC 9111, 5.2.2.2",
     ["Cache-Control: max-age=60, must-revalidate, proxy-revalidate", TAG], [], "reused"),
    ("max-stale an hour later", "the policy",
     ["Cache-Control: max-age=10", "Age: 3700", TAG], ["Cache-Control: max-stale"], "validated"),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("stored", "asked", "expected"), rows(REQUESTS))
def test_a_request_s_directive(
    world: World, kind: Kind, stored: Lines, asked: Lines, expected: str
) -> None:
    site = cached(world, numbered(stored), kind)
    assert verdict(site) == "forwarded"
    assert verdict(site, lines=asked) == expected


def test_max_stale_does_not_excuse_from_no_cache(world: World) -> None:
    """RFC 9111, 5.2.2.4."""
    lines = ["Cache-Control: no-cache, max-age=60", TAG]
    site = cached(world, numbered(lines))
    site.get()
    assert verdict(site, lines=["Cache-Control: max-stale"]) == "validated"


STORING = [
    # name, section, the request, what the next request without directives finds
    ("nothing", "RFC 9111, 3", [], "reused"),
    ("no-store", "RFC 9111, 5.2.1.5", ["Cache-Control: no-store"], "forwarded"),
    ("no-store in upper case", "RFC 9111, 5.2",
     ["Cache-Control: max-age=9, No-Store"], "forwarded"),
    ("no-cache", "RFC 9111, 5.2.1.4", ["Cache-Control: no-cache"], "reused"),
    ("pragma", "RFC 9111, 5.4", ["Pragma: no-cache"], "reused"),
    ("max-age of zero", "RFC 9111, 5.2.1.1", ["Cache-Control: max-age=0"], "reused"),
    ("min-fresh", "RFC 9111, 5.2.1.3", ["Cache-Control: min-fresh=900"], "reused"),
    ("max-stale", "RFC 9111, 5.2.1.2", ["Cache-Control: max-stale"], "reused"),
    ("only-if-cached", "RFC 9111, 5.2.1.7", ["Cache-Control: only-if-cached"], "forwarded"),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("asked", "expected"), rows(STORING))
def test_what_a_request_with_a_directive_leaves_behind(
    world: World, kind: Kind, asked: Lines, expected: str
) -> None:
    site = cached(world, numbered([MINUTE, TAG]), kind)
    refused = asked == ["Cache-Control: only-if-cached"]
    assert verdict(site, lines=asked) == ("refused" if refused else "forwarded")
    assert verdict(site) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("directive", ["no-cache", "max-age=0", "min-fresh=900"])
def test_what_a_reload_brings_is_for_all(world: World, kind: Kind, directive: str) -> None:
    """RFC 9111, 4.3.3."""
    site = cached(world, numbered([MINUTE]), kind)
    site.get()
    assert site.get(lines=[f"Cache-Control: {directive}"]).body == b"2"
    assert site.get().body == b"2"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_to_be_stored_leaves_the_stored_answer_alone(world: World, kind: Kind) -> None:
    """RFC 9111, 5.2.1.5."""
    site = cached(world, numbered([MINUTE]), kind)
    site.get()
    assert site.get(lines=["Cache-Control: no-store"]).body == b"2"
    assert site.get().body == b"1"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_only_if_cached_never_calls_the_application(world: World, method: str) -> None:
    """RFC 9111, 5.2.1.7."""
    site = cached(world, numbered([MINUTE]))
    answer = site.get(lines=["Cache-Control: only-if-cached"], method=method)
    assert (answer.status, site.app.calls) == (504, [])


# Authorization

ALICE, BOB = ["Authorization: Bearer alice"], ["Authorization: Bearer bob"]

AUTHORIZED = [
    # name, section, the response's directives, shared
    ("nothing", "RFC 9111, 3.5", "max-age=60", False),
    ("public", "RFC 9111, 3.5", "public, max-age=60", True),
    ("must-revalidate", "RFC 9111, 3.5", "max-age=60, must-revalidate", True),
    ("s-maxage", "RFC 9111, 3.5", "s-maxage=60", True),
    ("proxy-revalidate", "RFC 9111, 3.5", "max-age=60, proxy-revalidate", False),
    ("immutable", "RFC 9111, 3.5", "max-age=60, immutable", False),
    ("public inside an extension", "RFC 9111, 3.5", 'max-age=60, new="public"', False),
    ("private too", "RFC 9111, 3", "private, public, max-age=60", False),
    ("no-store too", "RFC 9111, 3", "no-store, public, max-age=60", False),
]  # fmt: skip


@pytest.mark.parametrize(("directives", "shared"), rows(AUTHORIZED))
@pytest.mark.parametrize("second", [ALICE, BOB, []], ids=["the same", "another", "nobody"])
def test_an_answer_to_an_authorized_request(
    world: World, directives: str, shared: bool, second: Lines
) -> None:
    site = cached(world, numbered([f"Cache-Control: {directives}", TAG]))
    assert verdict(site, lines=ALICE) == "forwarded"
    assert verdict(site, lines=second) == ("reused" if shared else "forwarded")


@pytest.mark.parametrize(("directives", "shared"), rows(AUTHORIZED))
def test_an_answer_to_nobody_for_an_authorized_request(
    world: World, directives: str, shared: bool
) -> None:
    """The policy: stricter than the standard, as the application may greet whom it knows."""
    site = cached(world, numbered([f"Cache-Control: {directives}", TAG]))
    site.get()
    assert verdict(site, lines=ALICE) == ("reused" if shared else "forwarded")
    refused = {"private", "no-store"} & set(directives.split(", "))
    assert verdict(site) == ("forwarded" if refused else "reused")


@pytest.mark.parametrize("directives", ["max-age=60", "public, max-age=60"])
def test_a_declared_route_bypasses_for_authorized_requests(world: World, directives: str) -> None:
    """The policy."""
    site = cached(world, numbered([f"Cache-Control: {directives}"]), "declared")
    site.get(lines=ALICE)
    assert [verdict(site), verdict(site)] == ["forwarded", "reused"]
    assert verdict(site, lines=ALICE) == "forwarded"


# Stale on failure


class DownError(Exception):
    """The application has failed."""


FAILURES = ["an exception", 500, 502, 503, 504]


def once(lines: Lines, failure: str | int) -> Handler:
    """Answers well once, then fails."""
    good = iter([Response([b"well"], headers=fields(lines))])

    def answer(_: Seen) -> Response:
        response = next(good, None)
        if response is None and failure == "an exception":
            raise DownError
        return response or text("down", int(failure), Cache_Control="no-store")

    return answer


def rescued(site: Sites, lines: Lines = ()) -> bool:
    """Whether the stored answer comes although the application is asked and fails."""
    calls = len(site.app.calls)
    try:
        answer = site.get(lines=lines)
    except DownError:
        answer = None
    assert len(site.app.calls) > calls
    if answer is None or answer.status >= 400:
        return False
    assert (answer.status, answer.body) == (200, b"well")
    assert answer.cache_status["fwd"] in {"stale", "request"}
    assert answer["age"]
    return True


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_is_covered_by_a_stale_answer(world: World, failure: str | int) -> None:
    """RFC 9111, 4.2.4 and 4.3.3."""
    site = cached(world, once(OVER, failure))
    site.get()
    assert [rescued(site), rescued(site)] == [True, True]


@pytest.mark.parametrize("status", [400, 403, 404, 410, 429, 501, 505])
def test_another_error_is_an_answer(world: World, status: int) -> None:
    """RFC 9111, 4.3.3: a full response is used."""
    site = cached(world, once(OVER, status))
    site.get()
    assert site.get().status == status


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_without_a_stored_answer_is_the_answer(world: World, failure: str | int) -> None:
    site = cached(world, once(["Cache-Control: no-store"], failure))
    site.get()
    assert not rescued(site)


RESCUE = [
    # name, section, stored, the request, rescued
    ("nothing", "RFC 9111, 4.2.4", OVER, [], True),
    ("must-revalidate", "RFC 9111, 5.2.2.2",
     ["Cache-Control: max-age=10, must-revalidate", *OVER[1:]], [], False),
    ("proxy-revalidate", "RFC 9111, 5.2.2.8",
     ["Cache-Control: max-age=10, proxy-revalidate", *OVER[1:]], [], False),
    ("s-maxage", "RFC 9111, 5.2.2.10", ["Cache-Control: s-maxage=10", *OVER[1:]], [], False),
    ("no-cache", "RFC 9111, 5.2.2.4", ["Cache-Control: no-cache", TAG], [], False),
    ("an hour later", "the policy", ["Cache-Control: max-age=10", "Age: 3700", TAG], [], False),
    ("within an hour", "the policy", ["Cache-Control: max-age=10", "Age: 3500", TAG], [], True),
    ("without a validator", "RFC 9111, 4.2.4", OVER[:2], [], True),
    ("a heuristic lifetime", "RFC 9111, 4.2.4", ["Last-Modified: <-100>", "Age: 20"], [], True),
    ("stale-if-error of two hours", "RFC 5861, 4",
     ["Cache-Control: max-age=10, stale-if-error=7200", "Age: 3700", TAG], [], True),
    ("stale-if-error of an hour and a bit", "RFC 5861, 4",
     ["Cache-Control: max-age=10, stale-if-error=3650", "Age: 3700", TAG], [], False),
    ("stale-if-error without a validator", "RFC 5861, 4",
     ["Cache-Control: max-age=10, stale-if-error=7200", "Age: 3700"], [], True),
    ("stale-if-error and must-revalidate", "RFC 9111, 5.2.2.2",
     ["Cache-Control: max-age=10, stale-if-error=60, must-revalidate", *OVER[1:]], [], False),
    ("stale-if-error and no-cache", "RFC 9111, 5.2.2.4",
     ["Cache-Control: no-cache, stale-if-error=60", TAG], [], False),
    ("stale-if-error malformed", "RFC 5861, 4",
     ["Cache-Control: max-age=10, stale-if-error=x", "Age: 3700", TAG], [], False),
    ("the request says no-cache", "RFC 9111, 5.2.1.4", OVER, ["Cache-Control: no-cache"], False),
    ("the request says max-age", "RFC 9111, 5.2.1.1", OVER, ["Cache-Control: max-age=15"], False),
    ("the request says less max-stale", "RFC 9111, 5.2.1.2",
     OVER, ["Cache-Control: max-stale=5"], False),
    ("the request says min-fresh", "RFC 9111, 5.2.1.3",
     OVER, ["Cache-Control: min-fresh=1"], False),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "asked", "expected"), rows(RESCUE))
@pytest.mark.parametrize("failure", ["an exception", 503])
def test_stale_on_failure(
    world: World, failure: str | int, stored: Lines, asked: Lines, expected: bool
) -> None:
    site = cached(world, once(stored, failure))
    site.get()
    assert rescued(site, asked) is expected


DECLARED = [
    # name, section, the policy, stored, rescued
    ("nothing", "the policy", {}, OVER, False),
    ("the application allows it", "the policy",
     {}, ["Cache-Control: max-age=10, stale-if-error=60", *OVER[1:]], False),
    ("stale_if_error", "the policy", {"stale_if_error": 60}, OVER, True),
    ("stale_if_error is over", "the policy", {"stale_if_error": 5}, OVER, False),
    ("stale_if_error and must-revalidate", "RFC 9111, 5.2.2.2", {"stale_if_error": 60},
     ["Cache-Control: max-age=10, must-revalidate", *OVER[1:]], False),
    ("stale_if_error and less of it", "RFC 5861, 4", {"stale_if_error": 60},
     ["Cache-Control: max-age=10, stale-if-error=5", *OVER[1:]], False),
]  # fmt: skip


@pytest.mark.parametrize(("words", "stored", "expected"), rows(DECLARED))
def test_stale_on_failure_as_declared(
    world: World, words: dict[str, Any], stored: Lines, expected: bool
) -> None:
    site = cached(world, once(stored, 503), Cache(ttl=60, **words))
    site.get()
    assert rescued(site) is expected


# Stale while revalidating

WINDOWS = [
    # name, section, stored, the request, served stale
    ("within", "RFC 5861, 3",
     ["Cache-Control: max-age=10, stale-while-revalidate=60", "Age: 20"], [], True),
    ("within, with a validator", "RFC 5861, 3",
     ["Cache-Control: max-age=10, stale-while-revalidate=60", "Age: 20", TAG], [], True),
    ("beyond", "RFC 5861, 3",
     ["Cache-Control: max-age=10, stale-while-revalidate=60", "Age: 80"], [], False),
    ("none", "RFC 9111, 4.2.4", ["Cache-Control: max-age=10", "Age: 20"], [], False),
    ("malformed", "RFC 5861, 3",
     ["Cache-Control: max-age=10, stale-while-revalidate=x", "Age: 20"], [], False),
    ("must-revalidate", "RFC 9111, 5.2.2.2",
     ["Cache-Control: max-age=10, stale-while-revalidate=60, must-revalidate", "Age: 20"],
     [], False),
    ("proxy-revalidate", "RFC 9111, 5.2.2.8",
     ["Cache-Control: max-age=10, stale-while-revalidate=60, proxy-revalidate", "Age: 20"],
     [], False),
    ("s-maxage", "RFC 9111, 5.2.2.10",
     ["Cache-Control: s-maxage=10, stale-while-revalidate=60", "Age: 20"], [], False),
    ("no-cache", "RFC 9111, 5.2.2.4",
     ["Cache-Control: no-cache, stale-while-revalidate=60", "Age: 20"], [], False),
    ("after a date", "RFC 5861, 3",
     ["Cache-Control: stale-while-revalidate=60", "Date: <-20>", "Expires: <-10>"], [], True),
    ("the request says no-cache", "RFC 9111, 5.2.1.4",
     ["Cache-Control: max-age=10, stale-while-revalidate=60", "Age: 20"],
     ["Cache-Control: no-cache"], False),
    ("the request says max-age", "RFC 9111, 5.2.1.1",
     ["Cache-Control: max-age=10, stale-while-revalidate=60", "Age: 20"],
     ["Cache-Control: max-age=15"], False),
    ("the request says min-fresh", "RFC 9111, 5.2.1.3",
     ["Cache-Control: max-age=10, stale-while-revalidate=60", "Age: 20"],
     ["Cache-Control: min-fresh=1"], False),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "asked", "expected"), rows(WINDOWS))
def test_stale_while_revalidate(world: World, stored: Lines, asked: Lines, expected: bool) -> None:
    site = cached(world, changing(stored, [MINUTE]))
    site.get()
    answer = site.get(lines=asked)
    assert answer.body == (b"1" if expected else b"2")
    assert ("ttl" in answer.cache_status and answer.cache_status["ttl"] < "0") is expected
    until(lambda: site.get().body == b"2" if expected else site.get().hit)
    # Whoever has waited for an answer that cannot be stored keeps what comes for himself, once.
    assert len(site.app.calls) in ({2} if expected else {2, 3})


def test_a_declared_route_has_its_own_window(world: World) -> None:
    """The policy: the application's word only tightens."""
    lines = ["Cache-Control: max-age=10, stale-while-revalidate=60", "Age: 20"]
    site = cached(world, changing(lines, [MINUTE]), "declared")
    site.get()
    assert site.get().body == b"2"


# Disconnected


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_answer_needs_nobody(world: World, kind: Kind) -> None:
    """RFC 9111, 4.2."""
    site = cached(world, once([MINUTE], "an exception"), kind)
    assert [site.get().body for _ in range(3)] == [b"well"] * 3


def test_an_unknown_request_method_is_not_answered_from_a_store(world: World) -> None:
    """RFC 9111, 4."""
    site = cached(world, counting(Cache_Control="max-age=60"))
    site.get()
    assert site.get(method="QUERY").body == b"2"
