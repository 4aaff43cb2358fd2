"""Malformed fields, in responses and requests: nothing breaks, and nothing lives longer."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count

import pytest
from hypothesis import currently_in_test_context, example, given, note, settings
from hypothesis import strategies as st

from regionware.policies import Cache, Route
from tests.conformance.application import Fields, Response, Seen, text
from tests.conformance.conftest import Clock, World
from tests.conformance.harness import Answer, Site
from tests.conformance.oracle import DAY, EPOCH, Sent, Shelf, date, examples, wall

pytestmark = pytest.mark.volume

MODIFIED = date(EPOCH - 10 * DAY)

#: What a server lets through: Latin-1 without control characters but for the tab.
OCTETS = [chr(octet) for octet in (0x09, *range(0x20, 0x7F), *range(0x80, 0x100))]
PIECES = [
    "max-age=", "s-maxage=", "60", "-1", "1.5", "99999999999999999999", "no-store", "private",
    "no-cache", "public", "only-if-cached", "max-stale", "min-fresh=", "stale-if-error=", "bytes=",
    "0-", "-5", "5-2", "0-0", "bytes", "W/", "w/", '"a"', '"1"', '"', "\\", "*", ",", ";", "=", " ",
    "\t", "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994", "GMT", "+0000", "X-A", "Cookie", "(", ")", "?1", ":YQ==:", "@5",
    '%"a"', "\x80", "\xa0", "\xb2", "\xff",
]  # fmt: skip
SIZE = 1 << 16
LARGE = [
    piece * (SIZE // len(piece))
    for piece in (
        "x", "9", ",", '"', "\\", '"\\', "a=b,", 'W/"a",', "max-age=1,", "no-cache=", "X-A,",
        "\xff", "-", "(", ";a", "0-0,", "x \t", '"a", ',
    )
] + [
    f"{before}{piece * ((SIZE - len(before)) // len(piece))}"
    for before, piece in (
        ("max-age=", "9"), ("max-age=", "0"), ("bytes=", "0-0,"), ("bytes=", "9"),
        ("bytes=0-", "9"), ("bytes=-", "9"), ("bytes=", ","), ("bytes=", "-1,"), ('"1", "', "x"),
        ("max-stale=", "9"), ("Sun, ", "06 Nov "), ("Sun, 06 Nov 1994 08:49:37", " "),
        ('private="', "a,"), ('W/"', "\xe4"), ('"a";b=', "9"), ("Sun, 06 Nov 19", "9"),
    )
]  # fmt: skip
NOISE = st.text(st.sampled_from(OCTETS), max_size=30)
PHRASES = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)
VALUES = st.one_of(PHRASES, PHRASES, PHRASES, NOISE, st.sampled_from(LARGE)).map(
    lambda value: value.strip(" \t")
)

IN_RESPONSES = [
    "Cache-Control", "Cache-Control", "CDN-Cache-Control", "Regionware-Cache-Control", "Expires",
    "Date", "Last-Modified", "Age", "ETag", "Vary", "Cache-Groups", "Cache-Group-Invalidation",
    "Pragma", "Content-Location", "Location", "Connection", "Content-Range", "Content-Encoding",
    "Content-Type", "Warning", "Surrogate-Control", "No-Vary-Search", "Cache-Status", "Set-Cookie",
    "Accept-Ranges", "Via", "Keep-Alive", "Retry-After",
]  # fmt: skip
IN_REQUESTS = [
    "Cache-Control", "Cache-Control", "Pragma", "Range", "Range", "If-None-Match",
    "If-Modified-Since", "If-Range", "If-Match", "If-Unmodified-Since", "Age", "Vary", "Expires",
    "Date", "Accept-Encoding", "Accept-Language", "X-A", "Cache-Groups", "CDN-Cache-Control",
    "Cache-Group-Invalidation", "Cache-Status", "Accept", "Via", "ETag", "Last-Modified",
]  # fmt: skip

#: What the layer may change in an answer that it passes on; the last two are for one connection.
OURS = {"cache-control", "cache-status", "connection", "keep-alive"}


def fields(names: list[str], size: int = 4) -> st.SearchStrategy[list[tuple[str, str]]]:
    return st.lists(st.tuples(st.sampled_from(names), VALUES), min_size=1, max_size=size)


def short(fields: Fields) -> list[tuple[str, str]]:
    return [(name, value if len(value) < 200 else f"{value[:60]}…") for name, value in fields]


class Stage:
    """An application with good content, and fields that a test chooses.

    Attributes:
        fields: of every answer.
        polite: whether conditions are answered with 304.
        ranged: whether a single range is answered with 206.
    """

    def __init__(self, world: World, clock: Clock, kind: str) -> None:
        self.clock = clock
        self.fields: Fields = ()
        self.unsafe: Fields = ()
        self.polite = self.ranged = False
        self.status = 200
        self._changes = 0
        self._paths = (f"/{number}" for number in count())
        declared = Cache(ttl=60, stale_while_revalidate=30, stale_if_error=90)
        cache = declared if kind == "declared" else Cache.standard()
        route = Route("/{path:path}", cache=cache)
        self.site: Site = world.site(self._handle, route, clock=clock, wall=wall(clock))

    def _handle(self, seen: Seen) -> Response:
        if seen.method == "POST":
            self._changes += 1
            return text("done") if not self.unsafe else Response([b"done"], 201, self.unsafe)
        conditional = "if-none-match" in seen.headers or "if-modified-since" in seen.headers
        if self.polite and conditional and self.status == 200:
            return Response((), 304, self.fields)
        part = re.fullmatch(r"bytes=(\d{1,3})-(\d{1,3})", seen.headers.get("range", ""))
        if self.ranged and part and "if-range" not in seen.headers:
            first, last = (min(int(each), 99) for each in part.groups())
            if first <= last:
                place = ("Content-Range", f"bytes {first}-{last}/100")
                return Response([self.body[first : last + 1]], 206, [*self.fields, place])
        return Response([self.body], self.status, self.fields)

    @property
    def body(self) -> bytes:
        return b"%010d" % self._changes * 10

    def path(self) -> str:
        return next(self._paths)

    def legal(self, answer: Answer, headers: Fields = (), method: str = "GET") -> None:
        """It is the application's answer, or what a cache may make of it for these fields."""
        asked = {name.lower(): "" for name, _ in headers}
        for name, value in headers:
            asked[name.lower()] += f", {value}"
        if currently_in_test_context():
            note(f"{answer.status} {short(answer.headers)} {answer.body[:40]!r}")
        if answer.status == 304:
            listed = asked.get("if-none-match")
            assert answer.body == b""
            if not self.polite:  # otherwise it may be the application's own
                assert "if-modified-since" in asked or listed is not None
                tags = answer.all("etag")
                assert listed is None or re.search('"|[*]', listed) or tags[0] in listed
        elif answer.status == 206:
            assert method == "GET"
            assert "bytes" in asked["range"].lower()
            self._part(answer)
        elif answer.status == 416:
            assert "bytes" in asked["range"].lower()
            assert answer["content-range"] == f"bytes */{len(self.body)}"
        elif answer.status == 504:
            assert "only-if-cached" in asked["cache-control"].lower()
        else:
            assert answer.status == self.status
            assert answer.body == (b"" if method == "HEAD" else self.body)

    def _part(self, answer: Answer) -> None:
        parts = [(answer["content-range"], answer.body)]
        kind = answer["content-type"]
        if kind.startswith("multipart/byteranges"):
            boundary = kind.partition("boundary=")[2].strip('"').encode()
            assert boundary
            pieces = (b"\r\n" + answer.body).split(b"\r\n--" + boundary)
            assert (pieces[0].strip(), pieces[-1].strip()) == (b"", b"--")
            heads = [piece.partition(b"\r\n\r\n") for piece in pieces[1:-1]]
            parts = [(head.decode("latin-1"), body) for head, _, body in heads]
            assert len(parts) > 1
        for head, body in parts:
            found = re.search(r"bytes (\d+)-(\d+)/(\d+)\s*$", head, re.MULTILINE)
            assert found, head
            first, last, size = map(int, found.groups())
            assert size == len(self.body)
            assert first <= last < size
            assert body == self.body[first : last + 1]


@pytest.fixture
def tier() -> str:
    """The clock of a region is its Redis's own, which no test can set."""
    return "memory"


@pytest.fixture(params=["standard", "declared"])
def stage(request: pytest.FixtureRequest, world: World, clock: Clock) -> Stage:
    """Both kinds of policy."""
    return Stage(world, clock, request.param)


GOOD: Fields = [
    ("Cache-Control", "max-age=60"), ("ETag", '"1"'), ("Last-Modified", MODIFIED), ("Vary", "X-A"),
]  # fmt: skip


WITHIN: Fields = [("Range", "bytes=2-25")]


def test_a_hostile_response_is_passed_on_and_harms_nobody(stage: Stage) -> None:
    @settings(max_examples=examples(100), deadline=None)
    @given(fields(IN_RESPONSES), st.booleans(), st.booleans(), st.sampled_from([200, 404]))
    @example([("ETag", "max-age=")], True, False, 200)
    def holds(hostile: Fields, beside: bool, polite: bool, status: int) -> None:
        note(str(short(hostile)))
        stage.fields = [*(GOOD if beside else ()), *hostile]
        stage.polite, stage.status = polite, status
        path, site = stage.path(), stage.site
        first = site.get(path)
        stage.legal(first)
        for name in {name.lower() for name, _ in hostile} - OURS:
            sent = [value for key, value in stage.fields if key.lower() == name]
            assert (first.all(name) or [", ".join(sent)]) in (sent, [", ".join(sent)]), name
        stage.legal(site.get(path))
        stage.clock.now += 70.0
        stage.legal(site.get(path))
        tags = [value for name, value in stage.fields if name == "ETag"]
        for ask in ([("If-None-Match", tags[-1])] if tags else [], [("Range", "bytes=2-5")]):
            stage.legal(site.get(path, headers=ask), ask)
        stage.legal(site.get(path, method="HEAD"), method="HEAD")
        site.get(path, method="POST")
        stage.fields, stage.status, stage.polite = GOOD, 200, False
        stage.legal(site.get(path))
        stage.legal(site.get(path))

    holds()


@pytest.mark.parametrize("filled", [True, False], ids=["filled", "empty"])
def test_a_hostile_request_is_answered_and_harms_nobody(stage: Stage, filled: bool) -> None:
    @settings(max_examples=examples(100), deadline=None)
    @given(
        fields(IN_REQUESTS), st.sampled_from(["GET", "GET", "GET", "HEAD"]),
        st.sampled_from([0.0, 70.0, 5000.0]), st.booleans(),
    )  # fmt: skip
    @example([("Range", "bytes=0-1,30-40")], "GET", 0.0, False)
    @example([("Range", "bytes=0-29")], "GET", 0.0, True)
    @example([("Range", "bytes=-5"), ("If-Range", '"1"')], "GET", 0.0, False)
    @example([("If-None-Match", '"0", W/"1", "')], "GET", 0.0, False)
    def holds(hostile: Fields, method: str, wait: float, ranged: bool) -> None:
        note(str(short(hostile)))
        stage.fields, stage.ranged = GOOD, ranged
        path, site = stage.path(), stage.site
        if filled:
            site.get(path)
            stage.clock.now += wait
        stage.legal(site.get(path, headers=hostile, method=method), hostile, method)
        for _ in range(2):
            plain = site.get(path)
            stage.legal(plain)
            assert plain["etag"] == '"1"'
        for part in (WITHIN, WITHIN):
            stage.legal(site.get(path, headers=part), part)
        site.get(path, method="POST", headers=hostile)
        stage.legal(site.get(path, headers=WITHIN), WITHIN)
        stage.legal(site.get(path))

    holds()


def test_a_hostile_answer_to_an_unsafe_request_harms_nobody(stage: Stage) -> None:
    names = ["Location", "Content-Location", "Cache-Group-Invalidation", "Cache-Control", "Vary"]
    places = [
        "//", "http://[", "http://site.test:99999/", "http://site.test:x/", "/\xff", "?", "#", "..",
        "http://", "http:", "http:///x", "//site.test/\t", "\\\\x", "/%", "/%zz", "/a b",
        "http://\xe4/",
    ]  # fmt: skip

    @settings(max_examples=examples(60), deadline=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from(names), VALUES | st.sampled_from(places)),
            min_size=1, max_size=3,
        )
    )  # fmt: skip
    def holds(hostile: Fields) -> None:
        note(str(short(hostile)))
        stage.fields = GOOD
        path, other, site = stage.path(), stage.path(), stage.site
        for each in (path, other):
            site.get(each)
        stage.unsafe = hostile
        answer = site.get(path, method="POST")
        stage.unsafe = ()
        assert (answer.status, answer.body) == (201, b"done")
        stage.legal(site.get(path))
        assert site.get(other).status == 200

    holds()


# No malformed value lives longer than the well-formed one


def numbers(number: int) -> list[str]:
    """Ways to get a number wrong."""
    n = str(number)
    return [
        f"{n}x", f"-{n}", f"+{n}", f"{n}.5", f"{n}.0", f"{n} 0", f"{n} {n}", f'"{n}', f"'{n}'",
        f"{n};", f"{n};a=1", "", " ", "x", f"0x{n}", f"{n}\xb2", "\xb2", f"{n}e9", f"\xa0{n}",
        f"{n}\xa0", f"{n}\t9", f"={n}", f"{n}={n}", f"{n}/{n}", f"{n}_000", f" {n}", f"{n}\x80",
        '""', '"x"', f'"-{n}"', f'" {n} 0"', "9" * 5000 + "x", f"?{n}", f"({n})", f":{n}:",
        f"@{n}", f"*{n}", f"{n}s", f'{n}"', f'"{n}"x', f"{n}\xbd", "NaN", "inf", "1e400", "null",
    ]  # fmt: skip


def dates(when: float) -> list[str]:
    """Ways to get a date wrong; none of them says a later moment of this year."""
    good = date(when)
    day, month, year, clock, rest = good[:5], good[7:11], good[:12], good[:17], good[7:]
    return [
        "0", "-1", "", "never", "\xff", "9" * 5000, f"{when:.0f}", f"@{when:.0f}",
        good[:-4], f"{good[:-4]} UTC", f"{good[:-4]} +0000", f"{good[:-4]} PST",
        f"{good[:-3]}gmt+1", f"{good}x", f"{good} x", f"x{good}", f"{good}\xa0", f"{good}, {good}",
        f"{good};", f'"{good}"', good[5:], good[:12], good.replace(",", ""), good.replace(":", "."),
        good.replace(":", ""), good.replace(" ", ""), good.replace(" ", "-"),
        f"{day}00{rest}", f"{day}32{rest}", f"{day}\xb2\xb2{rest}", f"{day}1{rest}",
        good.replace(month, " Xyz"), "Sun, 31 Feb 2021 00:00:00 GMT",
        f"{year}99999{good[16:]}", f"{year}0000{good[16:]}", f"{year}-001{good[16:]}",
        f"{year}\xb2023{good[16:]}", f"{clock}24:00:00 GMT", f"{clock}23:60:00 GMT",
        f"{clock}-1:00:00 GMT", f"{clock}5:5:5 GMT",
    ]  # fmt: skip


Make = Callable[[float], Fields]
LONG = ("Last-Modified", MODIFIED)


def _told(control: str, now: float) -> Fields:
    return [("Date", date(now)), ("ETag", '"1"'), LONG, ("Cache-Control", control)]


def _control(template: str, number: int) -> tuple[Make, list[Make]]:
    wrong = [partial(_told, template.format(value)) for value in numbers(number)]
    return partial(_told, template.format(number)), [*wrong]


def _dated(name: str, offset: float, *beside: tuple[str, str]) -> tuple[Make, list[Make]]:
    def told(number: int, now: float) -> Fields:
        other = ("Expires", date(now + 60)) if name == "Date" else ("Date", date(now))
        when = now + offset
        return [other, *beside, (name, date(when) if number < 0 else dates(when)[number])]

    return partial(told, -1), [partial(told, number) for number in range(len(dates(EPOCH)))]


def _word(word: str, before: str = "max-age=60, ") -> tuple[Make, list[Make]]:
    wrong = [
        f"{word}=", f"\t{word}\t", word.upper(), f'{word}=""', f"{word};", f'{word}="',
        f"{word}=x y", f"{word},,", f",{word}", f"{word}\x80, {word}", f'{word}, x="',
    ]  # fmt: skip
    if word not in {"private", "no-cache"}:
        wrong += [f"{word}=1", f'{word}="x"', f"{word}=0", f"{word}=false"]
    return partial(_told, before + word), [partial(_told, before + value) for value in wrong]


WELL_FORMED: dict[str, tuple[Make, list[Make]]] = {
    "max-age": _control("max-age={}", 60),
    "max-age, upper case": _control("MAX-AGE={}, public", 60),
    "max-age in quotes": _control('max-age="{}"', 60),
    "s-maxage": _control("max-age=200, s-maxage={}", 60),
    "stale-while-revalidate": _control("max-age=10, stale-while-revalidate={}", 60),
    "stale-if-error": _control("max-age=10, stale-if-error={}", 4000),
    "expires": _dated("Expires", 60.0, LONG),
    "expires twice": _dated("Expires", 60.0, LONG, ("Expires", "Fri, 01 Jan 2100 00:00:00 GMT")),
    "date": _dated("Date", 0.0),
    "last-modified": _dated("Last-Modified", -10 * DAY),
    "no-store": _word("no-store"),
    "private": _word("private"),
    "no-cache": _word("no-cache"),
    "must-revalidate": _word("must-revalidate", "max-age=10, "),
    "proxy-revalidate": _word("proxy-revalidate", "max-age=10, "),
}


ONE_PROTOCOL = pytest.mark.parametrize("flavour", ["asgi"], indirect=True)
#: Some moments within every lifetime of these tables, and some beyond it.
MOMENTS = (0, 45, 80, 3700, 8000, 90_000)


@ONE_PROTOCOL
@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("case", WELL_FORMED)
def test_a_malformed_value_lives_no_longer_than_a_well_formed_one(
    world: World, clock: Clock, case: str, down: bool
) -> None:
    good, wrong = WELL_FORMED[case]
    shelf = Shelf(world, clock)
    told = map(Sent, [good, *wrong])
    base, *others = shelf.lives(*told, down=down, moments=MOMENTS)
    longer = {
        str(short(each(EPOCH)[-2:])): sorted(lived - base)
        for each, lived in zip(wrong, others, strict=True)
        if not lived <= base
    }
    assert not longer


MINUTE: Fields = [("Cache-Control", "max-age=60")]
BESIDE: dict[str, tuple[Fields, list[str]]] = {
    # what is malformed is ignored, so that the field's absence is a measure too
    "Age": (MINUTE, ["5, 7", *numbers(50)]),
    "CDN-Cache-Control": (
        [("Cache-Control", "max-age=20")],
        [
            *(f"max-age={value}" for value in numbers(60)), "max-age=60,", "MAX-AGE=600", "max-age",
            "max-age=600 x", "max-age=600,,", "max-age=600 public", "=600", "max-age=?1", "*", ",",
            'max-age="600"', "max-age=(600)", "max-age=600.0", "max-age = 600", "max-age=1e9",
            '"max-age"=600',
        ],
    ),
    "Vary": (MINUTE, ["", ",", "a b", '"a"', "*,", "\xff", "a;b", "X-A,,"]),
    "ETag": (MINUTE, ["", "1", '"', "W/", 'w/"1"', '"1', '"1""', "*", "\xff"]),
    "Cache-Groups": (MINUTE, ["a", "", '"a', '"\xff"', "(", "1", '"a",']),
}  # fmt: skip


@ONE_PROTOCOL
@pytest.mark.parametrize("name", BESIDE)
def test_what_is_ignored_lives_no_longer_than_if_it_were_absent(
    world: World, clock: Clock, name: str
) -> None:
    beside, wrong = BESIDE[name]
    good = {"Age": "0", "CDN-Cache-Control": "max-age=60", "Vary": "X-A", "ETag": '"1"'}
    told = [Sent.plain(*beside, (name, value)) for value in wrong]
    absent, present, *others = Shelf(world, clock).lives(
        Sent.plain(*beside), Sent.plain(*beside, (name, good.get(name, '"a"'))), *told,
        moments=MOMENTS,
    )  # fmt: skip
    base = absent | present
    longer = [value for value, lived in zip(wrong, others, strict=True) if not lived <= base]
    assert not longer


@ONE_PROTOCOL
def test_a_malformed_demand_allows_no_more_than_a_well_formed_one(
    world: World, clock: Clock
) -> None:
    """`max-age` counts as 0, `min-fresh` as infinite, `max-stale` as absent."""

    def asks(name: str, number: int) -> list[Mapping[str, str]]:
        wrong = [f"{name}={value}" for value in (str(number), *numbers(number))]
        return [{"Cache-Control": control} for control in wrong]

    shelf = Shelf(world, clock)
    told = Sent.plain(("Cache-Control", "max-age=100"), ("ETag", '"1"'))
    for name, number in (("max-age", 30), ("min-fresh", 30), ("max-stale", 30)):
        plain, base, *others = shelf.lives(
            told, asks=[{}, *asks(name, number)], moments=(0, 28, 45, 80, 150)
        )
        base &= plain  # what is malformed never makes a stale answer welcome
        wrong = asks(name, number)[1:]
        longer = [ask for ask, lived in zip(wrong, others, strict=True) if not lived <= base]
        assert not longer


def test_the_measure_sees_a_value_that_is_not_malformed(world: World, clock: Clock) -> None:
    """The control."""
    shelf = Shelf(world, clock)
    base, longer = shelf.lives(
        Sent.plain(("Cache-Control", "max-age=60")), Sent.plain(("Cache-Control", "max-age=600"))
    )
    assert not longer <= base
    assert base


def test_the_stage_sees_an_answer_that_nobody_gave(world: World, clock: Clock) -> None:
    """The control of what is legal."""
    stage = Stage(world, clock, "standard")
    stage.fields = GOOD
    stage.legal(stage.site.get(stage.path()))
    wrong = [
        Answer(200, [], [b"another"]), Answer(500, [], [stage.body]), Answer(304, [], []),
        Answer(206, [("content-range", "bytes 0-1/100")], [b"xx"]), Answer(504, [], []),
    ]  # fmt: skip
    for answer in wrong:
        with pytest.raises((AssertionError, KeyError)):
            stage.legal(answer)
    part = Answer(206, [("content-range", "bytes 0-1/100")], [stage.body[:2]])
    stage.legal(part, [("Range", "bytes=0-1")])
