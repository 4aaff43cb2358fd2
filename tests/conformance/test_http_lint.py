"""`httplint` finds nothing in our heads that it does not find in the application's own."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pytest
from httplint import HttpRequestLinter, HttpResponseLinter, Note, levels

from regionware.policies import Cache, Cdn, Route
from regionware.vendors.catalogue import VENDORS as DIALECTS
from tests.conformance.application import Fields, Response, Seen
from tests.conformance.conftest import Clock, World
from tests.conformance.harness import Answer, Site
from tests.conformance.oracle import DAY, EPOCH, date, examples, settle, wall

pytestmark = pytest.mark.volume

BODY = b"0123456789" * 10
COOKIE = "a=1; Path=/; Secure; HttpOnly; SameSite=Lax"
TAG = ("ETag", '"1"')
DEPTH = examples(1)

#: What the application says besides `Date`, `Content-Type` and `Content-Length`, which are right.
HEADS: dict[str, Fields] = {
    "silent": [],
    "validators": [TAG, ("Last-Modified", date(EPOCH - 10 * DAY))],
    "weak": [("ETag", 'W/"1"'), ("Cache-Control", "max-age=60")],
    "max-age": [TAG, ("Cache-Control", "max-age=60")],
    "public": [("Cache-Control", "public, max-age=600"), ("Content-Language", "de")],
    "s-maxage": [TAG, ("Cache-Control", "max-age=10, s-maxage=60")],
    "stale windows": [
        TAG, ("Cache-Control", "max-age=60, stale-while-revalidate=60, stale-if-error=600"),
    ],
    "must-revalidate": [TAG, ("Cache-Control", "max-age=60, must-revalidate")],
    "no-cache": [TAG, ("Cache-Control", "no-cache")],
    "no-store": [("Cache-Control", "no-store")],
    "private": [TAG, ("Cache-Control", "private, max-age=60")],
    "immutable": [TAG, ("Cache-Control", "max-age=31536000, immutable")],
    "expires": [TAG, ("Expires", "<60>")],
    "vary": [TAG, ("Vary", "Accept-Encoding"), ("Cache-Control", "max-age=60")],
    "cookie": [("Set-Cookie", COOKIE), ("Cache-Control", "max-age=60")],
    "cookie alone": [("Set-Cookie", COOKIE)],
    "targeted": [TAG, ("Cache-Control", "max-age=10"), ("CDN-Cache-Control", "max-age=60")],
    "groups": [TAG, ("Cache-Control", "max-age=60"), ("Cache-Groups", '"a", "b"')],
    "aged": [TAG, ("Cache-Control", "max-age=60"), ("Age", "5"), ("Date", "<-5>")],
}  # fmt: skip


def cdns(vendor: str | None) -> dict[str, Cdn]:
    """Lifetimes in every relation; for a vendor those that need its dialect."""
    name = vendor or "any"
    tagged = DIALECTS[vendor].tags is not None
    found = {
        f"{name} long edge": Cdn(
            max_age=10, shared_max_age=300, stale_while_revalidate=20, stale_if_error=30,
            tags=["t", "kind:{kind}"] if tagged else None, vendor=vendor,
        ),
        f"{name} immutable": Cdn.immutable(vendor=vendor),
    }  # fmt: skip
    if vendor is None or DEPTH > 1:
        found |= {
            f"{name} equal": Cdn(max_age=30, vendor=vendor),
            f"{name} edge alone": Cdn(shared_max_age=300, vendor=vendor),
            f"{name} short edge": Cdn(
                max_age=300, shared_max_age=10, tags=["t"] if tagged else None, vendor=vendor
            ),
        }
    return found


CDNS: dict[str, Cdn | None] = {
    "none": None,
    "private": Cdn.private(),
    "private for a while": Cdn.private(max_age=30),
    "no-store": Cdn.no_store(),
}
for each in DIALECTS:
    CDNS |= cdns(each)


def caches() -> dict[str, Cache | None]:
    """Made late: at import, a policy that is refused would hide every other test."""
    return {
        "none": None,
        "declared": Cache(ttl=60, tags=["{kind}"], consistency="eventual"),
        "windows": Cache(
            ttl=60, stale_while_revalidate=60, stale_if_error=600, vary=["Accept-Language"],
            consistency="eventual",
        ),
        "standard": Cache.standard(consistency="eventual"),
    }  # fmt: skip


#: Notes that say nothing against our heads, with the reason why.
ALLOWED = {
    "STORE_PUBLIC_UNNECESSARY": "a `Cdn` says who may keep an answer even where it is implied",
    "CC_CONFLICTING": "`private, no-store`: for caches that know only one of the two",
    "FRESHNESS_NO_CACHE_NO_VALIDATOR": "`no-cache` is right; the validator is the application's",
    "FRESHNESS_HEURISTIC": "the application says nothing, and an answer by the book is left alone",
}
#: The same, for some answers only.
ALLOWED_FOR: dict[str, tuple[Callable[[Answer], bool], str]] = {
    "DATE_CLOCKLESS": (lambda answer: answer.status == 504, "a server adds the date"),
    "PARTIAL_WITHOUT_RANGE": (
        lambda answer: answer["content-type"].startswith("multipart/byteranges"),
        "several parts must not have it in common (RFC 9110, section 15.3.7.2)",
    ),
}


@dataclass(frozen=True)
class Exchange:
    """A request, and what both sides of the layer answered to it."""

    name: str
    method: str
    headers: Mapping[str, str]
    bare: Answer
    answer: Answer


class Bench:
    """One route of every policy, in front of a well-behaved application."""

    def __init__(self, world: World, clock: Clock, cache: Cache | None, cdn: Cdn | None) -> None:
        self.clock = clock
        self.wall = wall(clock)
        self.trouble = False
        self.said: dict[str, Response] = {}
        route = Route("/{kind}/{item}", cache=cache, cdn=cdn)
        self.site: Site = world.site(self._handle, route, clock=clock, wall=self.wall)

    def respond(self, seen: Seen) -> Response:
        now = self.wall()
        if self.trouble:
            return self._finished([], 503, b"down", now)
        if seen.method == "POST":
            return self._finished([("Location", "/x/y")], 201, b"made", now)
        fields = HEADS[seen.path.split("/")[2].replace("%20", " ")]
        listed = seen.headers.get("if-none-match", "")
        tag = dict(fields).get("ETag", "none")
        if "if-none-match" in seen.headers and (listed == "*" or tag in listed):
            return Response((), 304, self._dated(fields, now))
        return self._finished(fields, 200, BODY, now)

    @staticmethod
    def _dated(fields: Fields, now: float) -> Fields:
        told = [
            (name, date(now + float(value[1:-1])) if value.startswith("<") else value)
            for name, value in fields
        ]
        return told if "Date" in dict(told) else [("Date", date(now)), *told]

    def _finished(self, fields: Fields, status: int, body: bytes, now: float) -> Response:
        kind = ("Content-Type", "text/plain; charset=utf-8")
        length = ("Content-Length", str(len(body)))
        return Response([body], status, [*self._dated(fields, now), kind, length])

    def _handle(self, seen: Seen) -> Response:
        return self.respond(seen)

    def ask(self, name: str, path: str, method: str = "GET", **headers: str) -> Exchange:
        fields = {key.replace("_", "-"): value for key, value in headers.items()}
        known = {key.lower(): value for key, value in fields.items()}
        told = self.respond(Seen(method, path.replace("%20", " "), "", known, b"", None))
        chunks = [] if method == "HEAD" else [c for c in told.chunks if isinstance(c, bytes)]
        bare = Answer(told.status, told.fields, chunks)
        answer = self.site.get(path, method=method, headers=fields)
        settle(self.site)
        return Exchange(name, method, fields, bare, answer)

    def story(self, head: str) -> Iterator[Exchange]:
        """Every kind of answer that a head can lead to."""
        item = head.replace(" ", "%20")
        path, other = f"/a/{item}", f"/b/{item}"
        yield self.ask("only if cached, and it is not", path, Cache_Control="only-if-cached")
        yield self.ask("miss", path)
        self.clock.now += 7
        yield self.ask("hit", path)
        yield self.ask("not modified", path, If_None_Match='"1"')
        yield self.ask("not modified since", path, If_Modified_Since=date(self.wall()))
        yield self.ask("part", path, Range="bytes=0-4")
        yield self.ask("parts", path, Range="bytes=0-4, 10-12")
        yield self.ask("beyond", path, Range="bytes=900-")
        yield self.ask("head", path, "HEAD")
        yield self.ask("forced", path, Cache_Control="no-cache")
        yield self.ask("for a user", path, Authorization="Basic YTpi")
        yield self.ask("with a cookie", path, Cookie="sid=1")
        self.clock.now += 70
        yield self.ask("stale or validated", path)
        self.clock.now += 70
        yield self.ask("stale is welcome", path, Cache_Control="max-stale=500")
        self.clock.now += 70
        self.trouble = True
        yield self.ask("trouble", path)
        yield self.ask("trouble from the beginning", f"/c/{item}")
        self.trouble = False
        yield self.ask("head first", other, "HEAD")
        yield self.ask("condition first", f"/d/{item}", If_None_Match='"1"')
        yield self.ask("part first", f"/e/{item}", Range="bytes=0-4")
        yield self.ask("unsafe", path, "POST")


def notes(exchange: Exchange, answer: Answer, now: float) -> dict[str, str]:
    """What is wrong with an answer, by the names of the notes."""
    asked = tuple(exchange.headers.items())
    # A `Date` is compared with an `Age` only if that comes first; to HTTP the order means nothing.
    fields = sorted(answer.headers, key=lambda field: field[0].lower() != "age")
    return lint(exchange.method, asked, (answer.status, tuple(fields), answer.body), now)


@lru_cache(maxsize=100_000)  # the policies tell the same stories, at the same times
def lint(method: str, asked: Fields, told: tuple[int, Fields, bytes], now: float) -> dict[str, str]:
    status, fields, body = told
    request = HttpRequestLinter(start_time=now)
    request.process_request_topline(method.encode(), b"http://site.test/x", b"1.1")
    request.process_headers(_raw([("Host", "site.test"), ("User-Agent", "test/1"), *asked]))
    request.finish_content(complete=True)
    response = HttpResponseLinter(start_time=now)
    response.request = request
    response.is_head_response = method == "HEAD"
    response.process_response_topline(b"1.1", str(status).encode(), b"Whatever")
    response.process_headers(_raw(fields))
    response.feed_content(body)
    response.finish_content(complete=True)
    return {type(each).__name__: each.summary for each in _serious(list(response.notes))}


def _raw(fields: Fields) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in fields]


def _serious(found: list[Note]) -> Iterator[Note]:
    for each in found:
        if each.level in {levels.WARN, levels.BAD}:
            yield each
        yield from _serious(list(each.subnotes))


@pytest.fixture
def tier() -> str:
    """The clock of a region is its Redis's own, which no test can set."""
    return "memory"


def added(bench: Bench) -> str:
    """The notes that the layer is to blame for, each with its first place."""
    wrong: dict[str, list[str]] = {}
    for head in HEADS:
        for exchange in bench.story(head):
            now = bench.wall()
            ours = notes(exchange, exchange.answer, now)
            if ours.keys() <= ALLOWED.keys():
                continue
            theirs = notes(exchange, exchange.bare, now).keys() | ALLOWED.keys()
            theirs |= {name for name, (when, _) in ALLOWED_FOR.items() if when(exchange.answer)}
            for name in ours.keys() - theirs:
                where = f"{head}, {exchange.name}: {exchange.answer.status}"
                wrong.setdefault(name, []).append(f"{ours[name]} {where} {exchange.answer.headers}")
    return "\n".join(f"{name}, {len(each)} times: {each[0]}" for name, each in wrong.items())


COMBINED = [
    (cache, cdn)
    for cache in ("none", "declared", "windows", "standard")
    for cdn in CDNS
    if DEPTH > 1 or cache in {"none", "standard"} or cdn.partition(" ")[0] not in DIALECTS
]


@pytest.mark.parametrize("flavour", ["asgi"], indirect=True)
@pytest.mark.parametrize(("cache", "cdn"), COMBINED)
def test_our_heads_are_clean(world: World, clock: Clock, cache: str, cdn: str) -> None:
    wrong = added(Bench(world, clock, caches()[cache], CDNS[cdn]))
    assert not wrong, wrong


@pytest.mark.parametrize("cache", ["none", "declared", "windows", "standard"])
def test_they_are_over_both_protocols(world: World, clock: Clock, cache: str) -> None:
    wrong = added(Bench(world, clock, caches()[cache], CDNS["any long edge"]))
    assert not wrong, wrong


def test_the_application_is_well_behaved(world: World, clock: Clock) -> None:
    """What it is blamed for is not hidden behind faults of its own."""
    bench = Bench(world, clock, None, None)
    found = {
        (head, exchange.name): wrong
        for head in HEADS
        for exchange in bench.story(head)
        if (wrong := notes(exchange, exchange.bare, bench.wall()).keys() - ALLOWED.keys())
    }
    assert not found


WRONG: list[tuple[str, Any, str]] = [
    ("an age that is none", [("Age", "-1")], "AGE_NEGATIVE"),
    ("a malformed status", [("Cache-Status", "regionware; fwd=7")], "CACHE_STATUS_BAD_PARAM_VAL"),
    ("private and public", [("Cache-Control", "public")], "STORE_PRIVATE_PUBLIC_CONFLICT"),
    ("a repeated directive", [("Cache-Control", "private")], "CC_DUP"),
]


@pytest.mark.parametrize(
    ("fields", "name"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG]
)
def test_a_bad_head_is_found(world: World, clock: Clock, fields: Fields, name: str) -> None:
    exchange = next(iter(Bench(world, clock, None, None).story("private")))
    bad = Answer(200, [*exchange.bare.headers, *fields], [BODY])
    assert name in notes(exchange, bad, EPOCH + clock.now)
