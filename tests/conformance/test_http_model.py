"""Random histories of a cache before an origin that changes, fails and forbids.

Every answer is held against what the origin has said so far (see `oracle.py`): it must be one that
the origin could have given within what the standards permit. The clocks are the test's.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from threading import Lock
from time import sleep
from typing import Any

import pytest
from hypothesis import Phase, example, given, note, settings
from hypothesis import strategies as st

from regionware.caching.chance import LAST
from regionware.policies import Cache, Route
from tests.conformance.application import Gate, Response, Seen
from tests.conformance.conftest import Clock, World
from tests.conformance.harness import Answer, Call, Site
from tests.conformance.oracle import (
    DAY,
    EPOCH,
    Down,
    Given,
    Head,
    Rules,
    date,
    directives,
    examples,
    seconds,
    settle,
    wall,
)

pytestmark = pytest.mark.volume

URLS = 2
#: Fields that a 304 does not update (RFC 9111, section 3.2).
OF_THE_BODY = {"content-encoding", "content-type", "content-length", "content-range"}


@pytest.fixture
def tier() -> str:
    """The clock of a region is its Redis's own, which no test can set."""
    return "memory"


@dataclass(frozen=True)
class Version:
    """One representation of a resource; `tag` is `"strong"`, `"weak"` or nothing."""

    number: int = 0
    varies: bool = False
    tag: str = "strong"
    dated: bool = True

    def etag(self, variant: str | None) -> str:
        opaque = f'"{self.number}{"" if variant == "*" else repr(variant)}"'
        return f"W/{opaque}" if self.tag == "weak" else opaque


@dataclass(frozen=True)
class Dress:
    """What the answers of a URL say about caching."""

    control: str = ""
    expires: int | None = None
    age: int | None = None
    dated: int | None = 0
    targeted: str = ""
    cookie: bool = False

    def fields(self, now: float) -> dict[str, str]:
        found = {} if self.dated is None else {"Date": date(now - self.dated)}
        if self.control:
            found["Cache-Control"] = self.control
        if self.expires is not None:
            found["Expires"] = date(now + self.expires)
        if self.age is not None:
            found["Age"] = str(self.age)
        if self.targeted:
            found["CDN-Cache-Control"] = self.targeted
        if self.cookie:
            found["Set-Cookie"] = "a=1"
        return found


class Origin:
    """A legal origin: remembers every answer, and answers conditions. Called by several threads.

    Attributes:
        given: every answer by its serial.
        trouble: a status, or -1 for an exception, or 0.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.given: dict[int, Given] = {}
        self.raised: list[int] = []
        self.raised_at: dict[str, float] = {}
        self.trouble = 0
        self.now: dict[str, Version] = {}
        self.before: dict[str, list[Version]] = {}
        self.dressed: dict[str, Dress] = {}
        self.invalid: dict[str, int] = {}
        self.born = 0.0
        self.serial = 0
        self.lock = Lock()
        #: Where answers to safe requests wait, if anywhere.
        self.gate: Gate | None = None
        #: For controls: changes what the cache hears, not what the origin believes that it said.
        self.lie: Callable[[Head], Head] = lambda head: head

    def change(self, url: str, version: Version | None = None) -> None:
        """A new version: as described, or as the last one was."""
        old = self.now.get(url, Version())
        self.before.setdefault(url, []).append(old)
        self.now[url] = replace(version or old, number=old.number + 1)

    def modified(self, version: Version) -> float:
        """Long ago and far apart, so that a date tells versions apart."""
        return EPOCH + self.born - 20 * DAY + 1000 * version.number

    def handle(self, seen: Seen) -> Response:
        with self.lock:
            self.serial += 1
            return self._answer(seen)

    def _answer(self, seen: Seen) -> Response:
        serial, wants = self.serial, directives(seen.headers.get("cache-control", ""))
        if self.trouble == -1:
            self.raised.append(serial)
            self.raised_at[seen.path] = self.clock.now
            raise Down
        url, version = seen.path, self.now[seen.path]
        variant = seen.headers.get("x") if version.varies else "*"
        head = self.dressed[url].fields(EPOCH + self.clock.now)
        head["Serial"] = str(serial)
        status = self.trouble or int(seen.headers.get("answer-with", "200"))
        safe = seen.method in {"GET", "HEAD"}
        if not safe and status < 400:
            self._unsafe(seen, head, serial)
        if version.varies:
            head["Vary"] = "X"
        # A length of its own for every version: RFC 9111, section 4.3.5, compares lengths.
        body = f"{serial:09d} {url} {variant!r:6}{'.' * version.number}".encode()
        if safe and status == 200:
            if version.tag:
                head["ETag"] = version.etag(variant)
            if version.dated:
                head["Last-Modified"] = date(self.modified(version))
            if self._unchanged(seen, version, variant):
                status, body = 304, b""
        if status not in {204, 304}:
            head |= {"Content-Type": "text/plain", "Content-Length": str(len(body))}
        else:
            body = b""
        told = self.lie(head)
        self.given[serial] = Given(
            serial, seen.headers.get("ask", ""), self.clock.now, seen.method, url, version.number,
            variant, seen.headers.get("authorization", ""), wants, status,
            {name.lower(): value for name, value in head.items()}, body,
        )  # fmt: skip
        return Response([body], status, list(told.items()), hold=self.gate if safe else None)

    def _unsafe(self, seen: Seen, head: dict[str, str], serial: int) -> None:
        """The state changes: RFC 9111, section 4.4, says of which URLs a cache must know."""
        self.change(seen.path)
        self.invalid[seen.path] = serial
        if other := seen.headers.get("change-too"):
            name, _, url = other.partition(" ")
            head[name] = url
            path = url.removeprefix("http://site.test")
            self.change(path)
            self.invalid[path] = serial

    def _unchanged(self, seen: Seen, version: Version, variant: str | None) -> bool:
        """RFC 9110, section 13.2.2."""
        if (listed := seen.headers.get("if-none-match")) is not None:
            if listed == "*":
                return True
            mine = version.etag(variant).removeprefix("W/") if version.tag else ""
            return mine in [each.strip().removeprefix("W/") for each in listed.split(",")]
        if (since := seen.headers.get("if-modified-since")) is not None and version.dated:
            return self.modified(version) <= seconds(since)
        return False


# Steps


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Change:
    url: int
    version: Version


@dataclass(frozen=True)
class Say:
    url: int
    dress: Dress


@dataclass(frozen=True)
class Trouble:
    kind: int


@dataclass(frozen=True)
class Ask:
    """A safe request; `condition` names a version by its distance from the current one."""

    url: int
    method: str = "GET"
    wants: str = ""
    x: str | None = None
    user: str = ""
    condition: str = ""
    back: int = 0


@dataclass(frozen=True)
class Unsafe:
    url: int
    method: str = "POST"
    status: int = 200
    too: str = ""


@dataclass(frozen=True)
class Burst:
    """Requests at the same time, and perhaps a change while the origin still answers them."""

    asks: Sequence[Ask]
    meanwhile: Unsafe | None = None


CONTROLS = [
    "max-age=10", "max-age=10", "max-age=60", "max-age=60", "public, max-age=10", "s-maxage=10",
    "", "", "max-age=0", "max-age=31536000", "max-age=60, s-maxage=5", "no-cache", "public",
    "no-cache, max-age=60", "no-store", "no-store, max-age=60", "private", "private, max-age=60",
    "must-revalidate, max-age=10", "proxy-revalidate, max-age=10",
    "max-age=10, stale-while-revalidate=20", "max-age=10, stale-while-revalidate=60",
    "max-age=10, stale-while-revalidate=20, stale-if-error=20", "max-age=10, stale-if-error=5000",
    "s-maxage=10, stale-while-revalidate=20, stale-if-error=20",
    "must-revalidate, max-age=10, stale-while-revalidate=20", "max-age=0, stale-if-error=60",
    "no-cache, stale-while-revalidate=60", "must-understand, no-store, max-age=10",
]  # fmt: skip
TARGETED = [""] * 12 + ["max-age=30", "max-age=5, stale-while-revalidate=10", "no-store",
                        "must-revalidate", "private"]  # fmt: skip
WANTS = ["no-cache", "no-store", "max-age=0", "max-age=5", "min-fresh=5", "max-stale",
         "max-stale=10", "only-if-cached", "max-age=30, max-stale=15",
         "only-if-cached, max-stale=100", "no-cache, max-stale"]  # fmt: skip

URL = st.integers(0, URLS - 1)
DRESSES = st.builds(
    Dress,
    st.sampled_from(CONTROLS),
    st.sampled_from([None, None, None, 20, -5]),
    st.sampled_from([None, None, None, 5, 100]),
    st.sampled_from([0, 0, 0, 0, None, 15]),
    st.sampled_from(TARGETED),
    st.sampled_from([False] * 11 + [True]),
)
VERSIONS = st.builds(
    Version,
    st.just(0),
    st.booleans(),
    st.sampled_from(["strong", "strong", "weak", ""]),
    st.booleans(),
)
WORDS = st.sampled_from(WANTS)
XS = st.sampled_from([None, "a", "b", ""])
USERS = st.sampled_from(["alice", "bob"])
CONDITIONS = st.sampled_from(["etag", "etag", "list", "date", "any"])
BACK = st.sampled_from([0, 0, 1, 2])
ASKS = st.one_of(
    st.builds(Ask, URL),
    st.builds(Ask, URL, x=XS),
    st.builds(Ask, URL, wants=WORDS),
    st.builds(Ask, URL, method=st.just("HEAD"), x=XS),
    st.builds(Ask, URL, condition=CONDITIONS, back=BACK, x=XS),
    st.builds(Ask, URL, user=USERS),
    st.builds(
        Ask, URL, st.sampled_from(["GET", "HEAD"]), WORDS | st.just(""), XS, USERS | st.just(""),
        CONDITIONS | st.just(""), BACK,
    ),
)  # fmt: skip
WAITS = st.builds(
    Wait,
    st.sampled_from([0.5, 1, 4, 9.5, 10, 12, 20, 25, 40, 60, 900, 3700, 5100, 90_000, 700_000]),
)
SHORT_WAITS = st.builds(Wait, st.sampled_from([0.5, 3, 8, 11, 14, 29, 35, 70]))
TROUBLES = st.builds(Trouble, st.sampled_from([500, 503, -1]))
CHANGES = st.builds(Change, URL, VERSIONS)
UNSAFE = st.builds(
    Unsafe, URL, st.sampled_from(["POST", "PUT", "DELETE", "UNHEARD-OF"]),
    st.sampled_from([200, 201, 204, 303, 404, 500]),
    st.sampled_from(["", "Location {}", "Content-Location http://site.test{}"]),
)  # fmt: skip
STEPS = st.one_of(
    ASKS, ASKS, WAITS, CHANGES, st.builds(Say, URL, DRESSES), TROUBLES, st.just(Trouble(0)), UNSAFE,
    st.builds(Burst, st.lists(ASKS, min_size=1, max_size=3), st.none() | UNSAFE),
)  # fmt: skip


@st.composite
def scenes(draw: st.DrawFn) -> list[Any]:
    """What often leads somewhere: an answer is stored, time passes, and it is asked for again."""
    url, ask = draw(URL), draw(ASKS)
    plain, again = Ask(url), replace(ask, url=url)
    change = replace(draw(CHANGES), url=url)
    match draw(st.integers(0, 6)):
        case 0:
            return [
                Say(url, draw(DRESSES)),
                plain,
                draw(SHORT_WAITS),
                again,
                draw(SHORT_WAITS),
                plain,
            ]
        case 1:
            return [plain, draw(SHORT_WAITS), draw(TROUBLES), again, plain, Trouble(0)]
        case 2:
            return [plain, replace(draw(UNSAFE), url=url), again, plain]
        case 3:
            crowd = draw(st.lists(st.just(plain) | ASKS, min_size=2, max_size=4))
            burst = Burst([replace(each, url=url) for each in crowd], draw(st.none() | UNSAFE))
            return [draw(st.just(Unsafe(url)) | SHORT_WAITS), burst, plain]
        case 4:
            return [
                plain,
                Say(url, draw(DRESSES)),
                draw(SHORT_WAITS),
                again,
                draw(SHORT_WAITS),
                plain,
            ]
        case 5:
            return [plain, change, draw(SHORT_WAITS), replace(again, method="HEAD"), plain]
        case _:
            return [plain, draw(SHORT_WAITS), again, change, draw(SHORT_WAITS), again, plain]


HISTORIES = st.tuples(
    st.lists(st.tuples(VERSIONS, DRESSES), min_size=URLS, max_size=URLS),
    st.lists(
        st.just([]) | STEPS.map(lambda step: [step]) | scenes() | scenes(), min_size=14, max_size=20
    ).map(lambda several: [step for each in several for step in each]),
)
History = tuple[Sequence[tuple[Version, Dress]], Sequence[Any]]


# The machine


@dataclass(frozen=True)
class Asked:
    """A request as it was sent.

    Attributes:
        start: how many answers the origin had given before.
        invalid: for each URL the change after which nothing older may be used.
    """

    ask: Ask
    sent: Head
    start: int
    invalid: Mapping[str, int]

    @property
    def wants(self) -> dict[str, str]:
        return directives(self.ask.wants)

    def wanted_by(self, given: Given) -> dict[str, str]:
        """What it asks of this answer: one made while it waited is as good as validated."""
        fresh = given.serial > self.start
        return {n: v for n, v in self.wants.items() if not (fresh and n == "no-cache")}


@dataclass
class Machine:
    """Runs histories on one site, each at URLs of its own.

    Attributes:
        seen: what kinds of answers came; a machine that only saw misses has tested nothing.
        around: whether unsafe requests go around the cache, which is a fault of the test's making.
        fields: whether the fields of an answer are compared too.
    """

    site: Site
    origin: Origin
    rules: Rules
    clock: Clock
    seen: Counter[str] = field(default_factory=Counter)
    around: bool = False
    fields: bool = True
    histories: Any = field(default_factory=count)
    asks: Any = field(default_factory=count)
    prefix: str = ""

    def run(self, history: History) -> None:
        start, steps = history
        self.prefix = f"/{next(self.histories)}"
        self.clock.now = (self.clock.now // 1_000_000 + 1) * 1_000_000
        origin = self.origin
        origin.born, origin.trouble = self.clock.now, 0
        origin.given.clear()
        for number, (version, dress) in enumerate(start):
            origin.now[self.path(number)] = version
            origin.dressed[self.path(number)] = dress
        for step in steps:
            self.do(step)

    def path(self, url: int) -> str:
        return f"{self.prefix}/{url}"

    def do(self, step: Any) -> None:
        note(f"{self.clock.now % 1_000_000}: {step}")
        match step:
            case Wait(seconds=span):
                self.clock.now += span
            case Change(url=url, version=version):
                self.origin.change(self.path(url), version)
            case Say(url=url, dress=dress):
                self.origin.dressed[self.path(url)] = dress
            case Trouble(kind=kind):
                self.origin.trouble = kind
            case Unsafe():
                self.unsafe(step)
            case Ask():
                self.together([step])
            case Burst():
                self.together(step.asks, Gate(), step.meanwhile)

    def together(
        self, asks: Sequence[Ask], gate: Gate | None = None, meanwhile: Unsafe | None = None
    ) -> None:
        start, invalid, began = self.origin.serial, dict(self.origin.invalid), []
        self.origin.gate = gate
        for ask in asks:
            asked = Asked(ask, self.headers(ask), start, invalid)
            path = self.path(ask.url)
            call = self.site.start(path, method=ask.method, headers=asked.sent)
            began.append((asked, call))
        if gate is not None:
            sleep(0.002)  # they meet in most cases, and if not, nothing is wrong
            self.origin.gate = None
            if meanwhile is not None:
                self.unsafe(meanwhile)
            gate.open()
        for asked, call in began:
            self.judge(asked, call)
        settle(self.site)

    def headers(self, ask: Ask) -> dict[str, str]:
        found = {"Ask": f"a{next(self.asks)}"}
        if ask.wants:
            found["Cache-Control"] = ask.wants
        if ask.x is not None:
            found["X"] = ask.x
        if ask.user:
            found["Authorization"] = ask.user
        path = self.path(ask.url)
        version = [*self.origin.before.get(path, ()), self.origin.now[path]][-1 - ask.back :][0]
        if ask.condition == "etag":
            found["If-None-Match"] = version.etag(ask.x if version.varies else "*")
        elif ask.condition == "any":
            found["If-None-Match"] = "*"
        elif ask.condition == "list":
            found["If-None-Match"] = f'"unknown", {version.etag("*")}, W/"unknown too"'
        elif ask.condition == "date":
            found["If-Modified-Since"] = date(self.origin.modified(version))
        return found

    def unsafe(self, step: Unsafe) -> None:
        headers = {"Answer-With": str(step.status), "Ask": f"a{next(self.asks)}"}
        if step.too and step.status in {201, 303}:
            headers["Change-Too"] = step.too.format(self.path(1 - step.url))
        path = self.path(step.url)
        if self.around:
            seen = Seen(step.method, path, "", {n.lower(): v for n, v in headers.items()}, b"", "")
            with suppress(Down):
                self.origin.handle(seen)
            return
        start = self.origin.serial
        try:
            answer = self.site.get(path, method=step.method, headers=headers)
        except Down:
            assert self.origin.raised[-1:] > [start], "an exception that the origin did not raise"
            return
        told = self.origin.given[int(answer["serial"])]
        assert (answer.status, answer.body, told.serial > start) == (told.status, told.body, True)
        self.seen["unsafe"] += 1

    # Judging

    def judge(self, asked: Asked, call: Call) -> None:
        try:
            answer = call.result()
        except Down:
            raised = self.origin.raised[-1:] > [asked.start]
            assert raised, "an exception that the origin did not raise"
            self.seen["exception"] += 1
            return
        note(f"    {asked.sent['Ask']}: {answer.status} {answer.headers} {answer.body!r}")
        kind = self.verdict(asked, answer)
        note(f"    {kind}")
        self.seen[kind] += 1
        self.seen["collapsed"] += "collapsed" in answer.cache_status

    def verdict(self, asked: Asked, answer: Answer) -> str:
        origin, ask, wants = self.origin, asked.ask, asked.wants
        if answer.status == 504 and not answer["serial"]:
            assert "only-if-cached" in wants, "unasked: 504"
            return "504"
        given = origin.given[int(answer["serial"] or 0)] if answer["serial"] else None
        direct = given is not None and given.ask == asked.sent["Ask"]
        if answer.status == 304 and not direct:
            return self.not_modified(asked, answer)
        assert given is not None, "unknown: nobody gave this answer"
        asked_anyway = direct and "only-if-cached" in wants
        assert not asked_anyway, "only-if-cached: and the origin was asked"
        assert given.url == self.path(ask.url), "url: another one's answer"
        if direct and given.status == answer.status:
            self.passed_on(asked, given, answer)
            return "passed on"
        assert not (direct and given.status != 304), "status: another than the origin's"
        made = self.made(ask, given, answer)
        assert (made.version, made.variant) == (given.version, given.variant), "version: mixed"
        for each in {made.serial, given.serial}:
            assert origin.given[each].variant in {"*", ask.x}, "variant: another's"
        assert given.serial > asked.invalid.get(given.url, 0), "invalidated: and still used"
        head = self.head(given, answer)
        reason = self.rules.unstorable(made, made.head, made.status)
        assert not reason, f"unstorable: {reason}"
        if direct:
            self.same_fields(made, given, answer)
            return "validated"
        reason = self.rules.unstorable(given, head, made.status) or self.secret(ask, head)
        assert not reason, f"unstorable: {reason}"
        failed = self.failed(asked.start, self.path(ask.url))
        wants = asked.wanted_by(given)
        reason = self.rules.unusable(given, head, made.status, self.clock.now, wants, failed=failed)
        assert not reason, f"unusable: {reason}"
        self.honest(given, answer, exact=made is given)
        self.same_fields(made, given, answer)
        stale = self.rules.lifetime(given, head, made.status) <= (
            self.clock.now - given.at + self.rules.initial_age(given)
        )
        return f"{'stale' if stale else 'fresh'}{' on failure' if failed and stale else ''}"

    def resting(self, url: str) -> bool:
        """Whether the origin may go unasked: it has failed lately for this URL."""
        failures = [
            each.at for each in self.origin.given.values() if each.failed and each.url == url
        ]
        failures.append(self.origin.raised_at.get(url, -1e9))
        return self.clock.now - max(failures) < LAST

    def failed(self, start: int, url: str) -> bool:
        later = [each for serial, each in self.origin.given.items() if serial > start]
        if not self.rules.standard and self.resting(url):
            return True
        return self.origin.raised[-1:] > [start] or any(each.failed for each in later)

    def secret(self, ask: Ask, head: Head) -> str:
        """RFC 9111, section 3.5, and stricter: who shows credentials gets only what says so."""
        control, _ = self.rules.control(head)
        allowed = {"public", "must-revalidate", "s-maxage"} & control.keys()
        return "for a user, and not marked for all" if ask.user and not allowed else ""

    def made(self, ask: Ask, given: Given, answer: Answer) -> Given:
        """The answer that the body came with; for HEAD it cannot be told."""
        if ask.method == "HEAD":
            assert answer.body == b"", "body: of a HEAD"
            if given.status != 304 and given.method == "GET":
                return given
            same = [
                each for serial, each in self.origin.given.items()
                if serial < given.serial and each.method == "GET" and each.status == answer.status
                and (each.url, each.version, each.variant)
                == (given.url, given.version, given.variant)
                and not self.rules.unstorable(each, each.head, each.status)
            ]  # fmt: skip
            assert same, "unknown: nothing to validate"
            return same[-1]
        serial = answer.body[:9]
        made = self.origin.given[int(serial)] if serial.isdigit() else given
        assert answer.body == made.body, "body: incomplete"
        assert answer.status == made.status, "status: another than the stored one's"
        assert made.url == given.url, "url: another one's body"
        freshened = made.serial < given.serial and (given.status == 304 or given.method == "HEAD")
        assert made is given or freshened, "version: the head of one answer, the body of another"
        return made

    def head(self, given: Given, answer: Answer) -> dict[str, str]:
        """The stored head: what the latest answer said, and what it left as it was."""
        known = {name for each in self.chain(given) for name in each.head}
        found = {
            n: answer[n] for n in known
            if answer.all(n) and n != "age" and not self.said_for_it(n, answer[n])
        }  # fmt: skip
        return found | dict(given.head)

    def chain(self, given: Given) -> list[Given]:
        """The answers that this one may have been laid over."""
        return [
            each for each in self.origin.given.values()
            if each.serial < given.serial and each.url == given.url
            and (each.version, each.variant) == (given.version, given.variant)
        ]  # fmt: skip

    def passed_on(self, asked: Asked, given: Given, answer: Answer) -> None:
        assert not answer.hit, "hit: and the origin was asked"
        body = b"" if asked.ask.method == "HEAD" else given.body
        assert answer.body == body, "body: another than the origin's"
        if given.status == 304:
            self.wanted(asked, answer)
        if not self.fields:
            return
        below = [] if given.status != 304 else [each.head for each in self.chain(given)]
        for name in {name.lower() for name, _ in answer.headers} | given.head.keys():
            values = [head.get(name, "") for head in (given.head, *below)]
            if _free(name, values[0]) or answer[name] in values:
                continue
            silent = name not in given.head and self.said_for_it(name, answer[name])
            told = (
                silent
                or self.made_private(name, answer)
                or self.told_to_all(name, [given.head, *below], answer[name])
            )
            assert told, f"fields: {name}"

    def wanted(self, asked: Asked, answer: Answer) -> None:
        """The client asked on a condition, and may have what it was not sent again."""
        assert asked.ask.condition, "unasked: 304"
        if asked.ask.condition in {"etag", "list"} and answer["etag"]:
            listed = [each.removeprefix("W/") for each in asked.sent["If-None-Match"].split(", ")]
            known = answer["etag"].removeprefix("W/") in listed
            assert known, "unasked: a 304 for an ETag that the client has not"

    def not_modified(self, asked: Asked, answer: Answer) -> str:
        """A 304 of the cache's own: some stored answer must have permitted it."""
        self.wanted(asked, answer)
        failed = self.failed(asked.start, self.path(asked.ask.url))
        shown = {name.lower(): value for name, value in answer.headers}
        reasons = []
        for each in reversed(self.origin.given.values()):
            if each.url != self.path(asked.ask.url) or each.status not in {200, 304}:
                continue
            reason = self.permits_304(asked, each, shown, failed=failed)
            if not reason:
                return "304"
            reasons.append(f"{each.serial}: {reason}")
        raise AssertionError(f"304: nothing permits it: {reasons}")

    def permits_304(self, asked: Asked, given: Given, shown: Head, *, failed: bool) -> str:
        """Why this answer of the origin does not permit it, or nothing."""
        ask, rules = asked.ask, self.rules
        if given.method not in {"GET", "HEAD"} or given.variant not in {"*", ask.x}:
            return "another's"
        if given.head.get("etag") != shown.get("etag"):
            return "another ETag"
        if given.serial <= asked.invalid.get(given.url, 0):
            return "invalidated"
        if ask.condition == "date":
            known = given.head.get("last-modified") or given.head.get("date")
            since = asked.sent["If-Modified-Since"]
            if known is not None and seconds(known) > seconds(since):
                return "modified"
        fresh, wants = given.serial > asked.start, asked.wanted_by(given)
        overlaid: list[Head] = [{}, *[each.head for each in self.chain(given)]]
        reason = ""
        for below in overlaid:
            head = {**below, **given.head}
            head |= {
                n: v for n, v in shown.items()
                if n in head and n != "age" and not self.told_to_all(n, [head, *overlaid], v)
            }  # fmt: skip
            reason = rules.unstorable(given, head, 200) or self.secret(ask, head)
            if given.ask and fresh and not reason and given.status == 304:
                return ""  # validated for this request
            reason = reason or rules.unusable(
                given, head, 200, self.clock.now, wants, failed=failed
            )
            if not reason:
                return ""
        return reason

    def honest(self, given: Given, answer: Answer, *, exact: bool) -> None:
        """RFC 9111, section 5.1."""
        age = int(answer["age"])
        real = self.clock.now - given.at + self.rules.initial_age(given)
        assert age >= int(real - 0.001), f"age: {age}, and it is {real}"
        assert not exact or age <= real + 1, f"age: {age}, and it is {real}"

    def same_fields(self, made: Given, given: Given, answer: Answer) -> None:
        if not self.fields:
            return
        chain = self.chain(given)
        if answer.body:  # otherwise it cannot be told which of them was stored first
            chain = [each for each in chain if each.serial >= made.serial]
        for name in {name.lower() for name, _ in answer.headers} | set(given.head):
            value = made.head.get(name) if name in OF_THE_BODY else given.head.get(name)
            found = answer[name] if answer.all(name) else None
            older = [each.head.get(name) for each in chain]
            if found == value or _free(name, value) or self.made_private(name, answer):
                continue
            if self.told_to_all(name, [given.head, *(each.head for each in chain)], answer[name]):
                continue
            # Without content it cannot be told whether what the older ones said is in it.
            alone = not any(older) or not answer.body
            if value is None and alone and self.said_for_it(name, found):
                continue
            assert value is None, f"fields: {name} is {found!r}, and should be {value!r}"
            assert found in older, f"fields: {name}: {found!r} from nowhere"

    def said_for_it(self, name: str, found: str | None) -> bool:
        """What a declared policy says where the application is silent."""
        return not self.rules.standard and (name, found) == ("cache-control", "private, no-cache")

    def made_private(self, name: str, answer: Answer) -> bool:
        """A declared policy forbids others to keep what it does not keep for being personal."""
        personal = not self.rules.standard and answer["cache-control"] == "private, no-store"
        return personal and name in {"cache-control", "expires", "cdn-cache-control"}

    def told_to_all(self, name: str, heads: Sequence[Head], found: str) -> bool:
        """A declared policy says to all edges what the origin says to some alone, and no less.

        Args:
            name: of a field.
            heads: what the answer was made of: a 304 has only what it changes.
            found: the field's value.
        """
        said = any(head.get("cdn-cache-control") for head in heads)
        if self.rules.standard or name != "cache-control" or not said:
            return False
        now, owns = _words(found), [_words(head.get(name, "")) for head in heads]
        return any(own - now <= {"public", "s-maxage"} and now - own <= TIGHTER for own in owns)


#: What may be added to a field so that edges keep less of the answer.
TIGHTER = frozenset({"private", "s-maxage", "proxy-revalidate"})


def _words(control: str) -> set[str]:
    """The names of directives."""
    return {part.partition("=")[0].strip().lower() for part in control.split(",") if part.strip()}


def _free(name: str, value: str | None) -> bool:
    """What a cache may put into an answer, whatever else it says."""
    return name in {"age", "cache-status"} or (name in {"date", "content-length"} and not value)


POLICIES: dict[str, tuple[Callable[[], Cache], Rules]] = {
    "standard": (Cache.standard, Rules()),
    "declared": (
        lambda: Cache(ttl=30, stale_while_revalidate=15, stale_if_error=40),
        Rules(ttl=30, revalidate=15, error=40),
    ),
}
Make = Callable[..., Machine]


@pytest.fixture
def make(world: World, clock: Clock) -> Make:
    """Makes a machine; the keywords are those of `Machine`, and `eyes`: the clock of the cache."""

    def machine(kind: str, eyes: Clock | None = None, **options: Any) -> Machine:
        cache, rules = POLICIES[kind]
        origin = Origin(clock)
        route = Route("/{path:path}", cache=cache())
        eyes = eyes or clock
        site = world.site(origin.handle, route, clock=eyes, wall=wall(eyes))
        return Machine(site, origin, rules, clock, **options)

    return machine


#: A history in which every kind of answer comes, whatever chance does.
SHOWN: History = (
    [
        (Version(), Dress("max-age=10, stale-while-revalidate=15, stale-if-error=40")),
        (Version(), Dress("no-store")),
    ],
    [
        Ask(0), Ask(0), Ask(0, condition="etag"), Wait(12), Ask(0), Wait(28), Trouble(503), Ask(0),
        Trouble(0), Ask(0), Ask(1, wants="only-if-cached"), Trouble(-1), Ask(1), Trouble(0),
        Unsafe(0),
    ],
)  # fmt: skip
#: Validations whose answers say less than what is stored, or something else.
QUIETER: History = (
    [(Version(), Dress("max-age=10")), (Version(), Dress("max-age=10"))],
    [
        Ask(0), Say(0, Dress()), Wait(29), Ask(0), Wait(12), Ask(0),
        Ask(1), Say(1, Dress()), Wait(29), Ask(1, method="HEAD"), Ask(1), Wait(29), Ask(1),
    ],
)  # fmt: skip
OTHERWISE: History = (
    [(Version(), Dress("s-maxage=10")), (Version(), Dress("max-age=10"))],
    [
        Ask(0), Say(0, Dress(expires=20)), Wait(29), Ask(0), Wait(15), Ask(0),
        Ask(1), Say(1, Dress(expires=20, cookie=True)), Wait(29), Ask(1), Ask(1),
    ],
)  # fmt: skip
EXPECTED = {"fresh", "stale", "stale on failure", "validated", "304", "504", "passed on", "unsafe",
            "exception"}  # fmt: skip


@pytest.mark.parametrize("kind", POLICIES)
def test_every_answer_is_one_that_the_origin_could_have_given(make: Make, kind: str) -> None:
    machine = make(kind)

    @settings(max_examples=examples(200), deadline=None, report_multiple_bugs=False)
    @given(HISTORIES)
    @example(SHOWN)
    @example(QUIETER)
    @example(OTHERWISE)
    def holds(history: History) -> None:
        machine.run(history)

    holds()
    assert machine.seen.keys() >= EXPECTED, machine.seen


# Controls: the same machine finds what is wrong


def finds(machine: Machine, what: str) -> None:
    """A violation of this kind is found; the first one counts."""

    @settings(
        max_examples=600, deadline=None, database=None, phases=[Phase.generate],
        report_multiple_bugs=False,
    )  # fmt: skip
    @given(HISTORIES)
    def holds(history: History) -> None:
        machine.run(history)

    with pytest.raises(AssertionError, match=what):
        holds()


@pytest.mark.parametrize("kind", POLICIES)
def test_a_cache_whose_clock_stands_is_found(make: Make, kind: str) -> None:
    finds(make(kind, eyes=Clock(), fields=False), "^(unusable|age|304)")


@pytest.mark.parametrize("kind", POLICIES)
def test_a_cache_that_is_not_told_of_a_change_is_found(make: Make, kind: str) -> None:
    finds(make(kind, around=True, fields=False), "^(invalidated|304)")


def _without(name: str, head: Head) -> Head:
    return {n: v for n, v in head.items() if n != name}


def _with(name: str, value: str, head: Head) -> Head:
    return {**head, name: value}


LIES = [
    ("standard", partial(_without, "Vary"), "^(variant|304|version)"),
    ("declared", partial(_without, "Cache-Control"), "^(unstorable|unusable|304)"),
    ("standard", partial(_with, "Cache-Control", "max-age=60, stale-while-revalidate=9"),
     "^(unstorable|unusable|304)"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "lie", "what"), LIES, ids=["vary", "silence", "control"])
def test_a_cache_that_does_not_hear_what_is_said_is_found(
    make: Make, kind: str, lie: Callable[[Head], Head], what: str
) -> None:
    machine = make(kind, fields=False)
    machine.origin.lie = lie
    finds(machine, what)


def test_a_field_that_is_lost_is_found(make: Make) -> None:
    machine = make("standard")
    machine.origin.lie = partial(_without, "Last-Modified")
    finds(machine, "^fields")
