"""What forbids more never allows more, and what is stored is what is given.

Through the public surface only: answers are stored, the clock is moved, and it is seen at which
moments they are still given.
"""

from collections.abc import Sequence
from itertools import count
from time import time
from typing import Any

import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

from regionware.policies import Cache, Route
from tests.conformance.application import Fields, Response, Seen
from tests.conformance.conftest import Clock, World
from tests.conformance.harness import Answer, Site
from tests.conformance.oracle import DAY, HEURISTIC, Sent, Shelf, date, examples

pytestmark = pytest.mark.volume

# Each property is held against as many examples for each protocol and each kind of policy.
NEEDS_CLOCK = pytest.mark.parametrize("tier", ["memory"], indirect=True)

NUMBERS = st.sampled_from([0, 1, 5, 10, 20, 60, 100, 2000, 100_000, 2_000_000])
FLAGS = st.sampled_from(
    ["must-revalidate", "proxy-revalidate", "public", "no-cache", "no-transform", "immutable",
     "must-understand", "no-store", "private", 'no-cache="x-a"', 'private="x-a"', "unheard-of=5"]
)  # fmt: skip
DIRECTIVES = st.one_of(
    st.builds("max-age={}".format, NUMBERS),
    st.builds("max-age={}".format, NUMBERS),
    st.builds("s-maxage={}".format, NUMBERS),
    st.builds("stale-while-revalidate={}".format, NUMBERS),
    st.builds("stale-if-error={}".format, NUMBERS),
    FLAGS,
)
ETAGS = ['"1"', 'W/"1"']


class Head:
    """A response's head that can be added to; dates are relative to the moment of sending."""

    def __init__(
        self,
        control: Sequence[str],
        status: int = 200,
        *,
        expires: int | None = None,
        modified: int | None = None,
        dated: int | None = 0,
        age: int | None = None,
        fixed: Fields = (),
        lines: int = 1,
    ) -> None:
        self.control = list(control)
        self.status = status
        self.expires = expires
        self.modified = modified
        self.dated = dated
        self.age = age
        self.fixed = list(fixed)
        self.lines = lines

    def __repr__(self) -> str:
        return f"Head({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def but(self, **changes: Any) -> "Head":
        return Head(**{**vars(self), **changes})

    def says(self, name: str) -> bool:
        return any(each.partition("=")[0] == name for each in self.control)

    def fields(self, now: float) -> Fields:
        found = [] if self.dated is None else [("Date", date(now - self.dated))]
        at = len(self.control) if self.lines == 1 else len(self.control) // 2
        parts = [part for part in (self.control[:at], self.control[at:]) if part]
        found += [("Cache-Control", ", ".join(part)) for part in parts]
        if self.expires is not None:
            found.append(("Expires", date(now - (self.dated or 0) + self.expires)))
        if self.modified is not None:
            found.append(("Last-Modified", date(now - self.modified)))
        if self.age is not None:
            found.append(("Age", str(self.age)))
        return found + self.fixed

    @property
    def sent(self) -> Sent:
        return Sent(self.fields, self.status)


FIXED = st.lists(
    st.sampled_from(
        [("ETag", '"1"'), ("ETag", '"1"'), ("Vary", "X-A"), ("Set-Cookie", "a=1"),
         ("CDN-Cache-Control", "max-age=60"), ("X-A", "1"),
         ("CDN-Cache-Control", "max-age=5, stale-if-error=900"), ("Content-Language", "de")]
    ),
    max_size=3, unique_by=lambda field: field[0],
)  # fmt: skip
HEADS = st.builds(
    Head,
    st.lists(DIRECTIVES, max_size=4),
    st.sampled_from([200] * 5 + [203, 301, 302, 404, 410, 500, 503]),
    expires=st.none() | st.none() | NUMBERS,
    modified=st.none() | st.sampled_from([100, 1000, 100_000, 10_000_000]),
    dated=st.sampled_from([0, 0, 0, None, 10]),
    age=st.none() | st.none() | NUMBERS,
    fixed=FIXED,
    lines=st.sampled_from([1, 1, 2]),
)

# What may be added without allowing anything: a directive, or a field.
FORBIDDING: dict[str, Any] = {
    "no-store": lambda head: head.but(control=[*head.control, "no-store"]),
    "no-store first": lambda head: head.but(control=["NO-STORE", *head.control]),
    "private": lambda head: head.but(control=[*head.control, "private"]),
    "no-cache": lambda head: head.but(control=[*head.control, "no-cache"]),
    "must-revalidate": lambda head: head.but(control=[*head.control, "must-revalidate"]),
    "proxy-revalidate": lambda head: head.but(control=["Proxy-Revalidate", *head.control]),
    "malformed max-age": lambda head: head.but(control=[*head.control, "max-age=soon"]),
    "malformed s-maxage": lambda head: head.but(control=[*head.control, "s-maxage=-5"]),
    "max-age without a value": lambda head: head.but(control=["max-age", *head.control]),
    "max-age=0": lambda head: head.but(control=[*head.control, "max-age=0"]),
    "s-maxage=0": lambda head: head.but(control=[*head.control, "s-maxage=0"]),
    "unreadable": lambda head: head.but(control=[*head.control, 'x="']),
    "vary": lambda head: head.but(fixed=[*head.fixed, ("Vary", "X-B")]),
    "vary *": lambda head: head.but(fixed=[*head.fixed, ("Vary", "*")]),
    "malformed vary": lambda head: head.but(fixed=[*head.fixed, ("Vary", "a b")]),
    "cookie": lambda head: head.but(fixed=[*head.fixed, ("Set-Cookie", "b=2")]),
    "pragma": lambda head: head.but(fixed=[*head.fixed, ("Pragma", "no-cache")]),
    "targeted no-store": lambda head: head.but(
        fixed=[("CDN-Cache-Control", "no-store"), *head.fixed]
    ),
    "targeted private": lambda head: head.but(
        fixed=[*head.fixed, ("CDN-Cache-Control", "private")]
    ),
    "older": lambda head: head.but(age=(head.age or 0) + 50),
    "made earlier": lambda head: head.but(dated=(head.dated or 0) + 50),
    "already expired": lambda head: head.but(fixed=[*head.fixed, ("Expires", "0")]),
}
#: What makes an answer without a lifetime one with a lifetime, which may be stored where silence is
#: not, and then be used when stale.
EXPLICIT = {"malformed max-age", "malformed s-maxage", "max-age without a value", "max-age=0",
            "s-maxage=0", "already expired"}  # fmt: skip
# What only shortens beside its like.
SHORTENING = [
    f"{name}={number}"
    for name in ("max-age", "s-maxage", "stale-while-revalidate", "stale-if-error")
    for number in (5, 60, 5000)
]
REQUESTS = st.lists(
    st.one_of(
        st.builds("max-age={}".format, NUMBERS),
        st.builds("min-fresh={}".format, NUMBERS),
        st.builds("max-stale={}".format, NUMBERS),
        st.sampled_from(["max-stale", "no-transform", "unheard-of"]),
    ),
    max_size=3, unique_by=lambda directive: directive.partition("=")[0],
)  # fmt: skip
DEMANDS = st.one_of(
    st.sampled_from(
        ["no-cache", "no-store", "No-Cache", "max-age=0", "max-age=", "max-age=x", "min-fresh=x",
         "min-fresh", "max-age=-1", "min-fresh=1.5"]
    ),
    st.builds("max-age={}".format, NUMBERS),
    st.builds("min-fresh={}".format, NUMBERS),
)  # fmt: skip


@pytest.fixture(params=["standard", "declared"])
def shelf(request: pytest.FixtureRequest, world: World, clock: Clock) -> Shelf:
    """Both kinds of policy."""
    declared = Cache(ttl=300, stale_while_revalidate=100, stale_if_error=1000)
    return Shelf(world, clock, declared if request.param == "declared" else Cache.standard())


def asked(*directives: str) -> dict[str, str]:
    return {"Cache-Control": ", ".join(directives)} if directives else {}


@NEEDS_CLOCK
def test_what_a_head_forbids_in_addition_shortens_lives(shelf: Shelf) -> None:
    @settings(max_examples=examples(80), deadline=None)
    @given(HEADS, st.sampled_from(sorted(FORBIDDING)), REQUESTS, st.booleans())
    def holds(head: Head, addition: str, request: Sequence[str], down: bool) -> None:
        assume(addition not in EXPLICIT or head.says("max-age") or head.says("s-maxage"))
        more = FORBIDDING[addition](head)
        loose, tight = shelf.lives(head.sent, more.sent, asks=[asked(*request)], down=down)
        note(f"{sorted(loose)} became {sorted(tight)}")
        assert tight <= loose

    holds()


@NEEDS_CLOCK
def test_a_second_number_only_shortens_lives(shelf: Shelf) -> None:
    """RFC 9111, section 4.2.1: values that disagree; here the shorter counts."""

    @settings(max_examples=examples(60), deadline=None)
    @given(HEADS, NUMBERS, st.sampled_from(SHORTENING), st.booleans(), st.booleans())
    def holds(head: Head, there: int, addition: str, first: bool, down: bool) -> None:
        name = addition.partition("=")[0]
        head = head.but(control=[*head.control, f"{name}={there}"])
        more = head.but(control=[addition, *head.control] if first else [*head.control, addition])
        loose, tight = shelf.lives(head.sent, more.sent, down=down)
        note(f"{sorted(loose)} became {sorted(tight)}")
        assert tight <= loose

    holds()


@NEEDS_CLOCK
def test_what_a_request_demands_in_addition_shortens_lives(shelf: Shelf) -> None:
    @settings(max_examples=examples(60), deadline=None)
    @given(HEADS, REQUESTS, DEMANDS, st.booleans(), st.booleans())
    def holds(head: Head, request: Sequence[str], demand: str, first: bool, down: bool) -> None:
        name = demand.partition("=")[0].lower()
        if any(each.partition("=")[0] == name for each in request):
            request = [each for each in request if each.partition("=")[0] != name]
        more = [demand, *request] if first else [*request, demand]
        loose, tight = shelf.lives(head.sent, asks=[asked(*request), asked(*more)], down=down)
        note(f"{sorted(loose)} became {sorted(tight)}")
        assert tight <= loose

    holds()


@NEEDS_CLOCK
def test_pragma_is_a_demand_where_there_is_no_other(world: World, clock: Clock) -> None:
    """RFC 9111, section 5.4."""
    plain, pragma, both = Shelf(world, clock).lives(
        Sent.plain(("Cache-Control", "max-age=100"), ("ETag", '"1"')),
        asks=[{}, {"Pragma": "no-cache"}, {"Pragma": "no-cache", "Cache-Control": "max-age=50"}],
    )
    assert (plain, pragma, both) == ({0, 3, 8, 13, 28, 45, 80}, set(), {0, 3, 8, 13, 28, 45})


@NEEDS_CLOCK
def test_the_measure_sees_what_is_longer(world: World, clock: Clock) -> None:
    """The control: lives of known length, and additions that do lengthen them."""
    shelf = Shelf(world, clock)
    found = shelf.lives(
        *(
            Sent.plain(("Cache-Control", control))
            for control in ("max-age=10", "max-age=60", "max-age=60, stale-while-revalidate=50", "")
        ),
        Sent(lambda now: [("Date", date(now)), ("Last-Modified", date(now - DAY))]),
    )
    short = {0, 3, 8}
    long = short | {13, 28, 45}
    assert found == [short, long, long | {80}, set(), {m for m in Shelf.MOMENTS if m < 8640}]
    demanded = shelf.lives(
        Sent.plain(("Cache-Control", "max-age=60")),
        asks=[
            asked("max-stale=100"),
            asked("max-age=20"),
            asked("min-fresh=40"),
            asked("no-cache"),
        ],
    )
    assert demanded == [long | {80, 150}, {0, 3, 8, 13}, {0, 3, 8, 13}, set()]
    failing = shelf.lives(
        *(
            Sent.plain(("Cache-Control", f"max-age=10{more}"))
            for more in ("", ", must-revalidate", ", stale-if-error=10000")
        ),
        down=True,
    )
    hour = {m for m in Shelf.MOMENTS if m <= 3610}
    assert failing == [hour, short, hour | {3700, 8000}]


# What is stored is what is given

#: What a cache answers with, and the application did not, or said otherwise.
OURS = {"age", "cache-status"}
NAMES = st.sampled_from(
    ["X-A", "X-B", "x-c", "Link", "Set-Cookie", "Content-Language", "Content-Disposition", "ETag",
     "Last-Modified", "Vary", "Server", "Server-Timing", "Date", "Accept-Ranges", "Allow", "Via",
     "Location", "Content-Location", "Retry-After", "Warning", "Content-Security-Policy"]
)  # fmt: skip
VALUES = {
    "ETag": st.sampled_from(ETAGS),
    "Last-Modified": st.sampled_from([date(1_600_000_000), date(0), "never"]),
    "Vary": st.sampled_from(["X-A", "x-q, Accept", "Accept-Encoding", ""]),
    "Date": st.just("Tue, 14 Nov 2023 22:13:20 GMT"),
}
#: What a server lets through: no control characters but a tab, and no space at either end.
TEXTS = (
    st.text(
        st.characters(codec="latin-1", exclude_categories=["Cc"], include_characters="\t"),
        max_size=30,
    ).map(lambda value: value.strip(" \t\x85\xa0"))
)  # fmt: skip
FIELDS = st.lists(
    NAMES.flatmap(lambda name: st.tuples(st.just(name), VALUES.get(name, TEXTS))),
    max_size=8,
).map(lambda found: [each for n, each in enumerate(found) if _may_repeat(each[0], found[:n])])
BODIES = st.lists(st.binary(max_size=50), max_size=4)


def _may_repeat(name: str, before: Sequence[tuple[str, str]]) -> bool:
    return name.startswith(("X-", "Link", "Set-", "Via")) or name not in [n for n, _ in before]


def lines(answer: Answer) -> dict[str, list[str]]:
    """The lines of each field, in order."""
    return {name: answer.all(name) for name in {name.lower() for name, _ in answer.headers}}


@pytest.mark.parametrize("kind", ["standard", "declared"])
def test_what_is_given_is_what_was_stored(world: World, kind: str) -> None:
    sent: dict[str, Response] = {}
    cache = Cache(ttl=60) if kind == "declared" else Cache.standard()
    site = world.site(lambda seen: sent[seen.path], Route("/{path:path}", cache=cache))
    paths = (f"/{number}" for number in count())
    hits = 0

    @settings(max_examples=examples(60), deadline=None)
    @given(FIELDS, BODIES, st.sampled_from(sorted(HEURISTIC)))
    def holds(fields: list[tuple[str, str]], body: list[bytes], status: int) -> None:
        nonlocal hits
        path = next(paths)
        if status == 204:
            body = []
        if kind == "declared":
            fields = [each for each in fields if each[0] != "Set-Cookie"]
        told = [*fields, ("Cache-Control", "max-age=50")]
        if not any(name == "Date" for name, _ in told):
            told.append(("Date", date(time())))
        elif kind == "standard":
            told[-1] = ("Cache-Control", "max-age=999999999")
        sent[path] = Response(body, status, told)
        answers = [site.get(path), *_hits(site, path, world.tier)]
        first = {**lines(Answer(status, sent[path].fields, body))}
        for answer in answers:
            note(f"{answer.status} {answer.headers} {answer.body!r}")
            found = lines(answer)
            assert (answer.status, answer.body) == (status, b"".join(body))
            assert len(answer.all("cache-status")) == 1
            length = found.pop("content-length", [str(len(answer.body))])
            assert length == [str(len(answer.body))]
            assert {n: v for n, v in found.items() if n not in OURS} == first
            hits += answer.hit
        head = site.get(path, method="HEAD")
        assert (head.status, head.body) == (status, b"")
        assert {n: v for n, v in lines(head).items() if n not in {*OURS, "content-length"}} == first

    holds()
    assert hits > 30


def _hits(site: Site, path: str, tier: str) -> list[Answer]:
    if tier == "memory":
        return [site.get(path)]
    site.rw.memory.clear()
    return [site.get(path), site.get(path)]


def test_the_comparison_sees_a_difference(world: World) -> None:
    """The control: an application whose answers differ, and that forbids storing them."""
    numbers = count()

    def numbered(_: Seen) -> Response:
        return Response(headers=[("X-A", str(next(numbers))), ("Cache-Control", "no-store")])

    site = world.site(numbered, Route("/x", cache=Cache.standard()))
    one, other = (lines(site.get("/x")) for _ in range(2))
    assert one != other
    assert {name for name in one if one[name] != other[name]} - OURS == {"x-a"}
