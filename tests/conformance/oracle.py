"""What the standards permit a shared cache to answer, read generously.

RFC 9111, RFC 5861 and RFC 9213, for well-formed fields only, and written without a look at the
implementation. What is refused here is wrong; what passes need not be the best answer.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from itertools import count
from threading import Lock

from regionware.policies import Cache, Route
from tests.conformance.application import Fields, Response, Seen
from tests.conformance.conftest import Clock, World
from tests.conformance.harness import Answer, Site, until

#: The wall clock at the moment at which a test's clock says zero.
EPOCH = 1_700_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR
#: What `Cache.standard()` keeps an answer for at most, unless told otherwise.
LIMIT = 7 * DAY
#: RFC 9110, section 15.1; without 206, which is never stored here.
HEURISTIC = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}
#: The statuses that say that the origin does not answer (RFC 5861, section 4).
FAILURES = {500, 502, 503, 504}
#: RFC 9111, section 5.2.2.2, 5.2.2.4, 5.2.2.8 and 5.2.2.10.
FORBID_STALE = {"must-revalidate", "proxy-revalidate", "s-maxage", "no-cache"}
#: RFC 9111, section 3.5.
PERMIT_AUTHORIZED = {"public", "must-revalidate", "s-maxage"}

Head = Mapping[str, str]


def examples(number: int) -> int:
    """How many examples a property is held against; `REGIONWARE_HTTP_DEPTH=50` for a long run."""
    return number * int(os.environ.get("REGIONWARE_HTTP_DEPTH", "1"))


def settle(site: Site) -> None:
    """Wait for what goes on in the background, so that the clock can be moved."""
    flights = site.rw._parts.rim._flights._flights
    until(lambda: not flights)


def wall(clock: Clock) -> Callable[[], float]:
    """The time of day that goes with a test's clock."""
    return lambda: EPOCH + clock.now


def date(seconds: float) -> str:
    return formatdate(seconds, usegmt=True)


def seconds(text: str) -> float:
    return parsedate_to_datetime(text).timestamp()


def directives(value: str) -> dict[str, str]:
    """A well-formed `Cache-Control`, whose arguments hold no commas."""
    found: dict[str, str] = {}
    for part in value.split(","):
        name, _, argument = part.strip().partition("=")
        if name:
            found.setdefault(name.lower(), argument.strip('"'))
    return found


@dataclass(frozen=True)
class Given:
    """One answer of the origin, as it left.

    Attributes:
        serial: its place among all answers of the origin.
        ask: which request it was for; a refresh in the background may have none.
        at: the clock at that moment.
        version: of the representation; `variant` is the value of `X` that it depends on, or `"*"`.
        wants: the directives of the request.
    """

    serial: int
    ask: str
    at: float
    method: str
    url: str
    version: int
    variant: str | None
    user: str
    wants: Mapping[str, str]
    status: int
    head: Head
    body: bytes

    @property
    def failed(self) -> bool:
        return self.status in FAILURES


@dataclass(frozen=True)
class Rules:
    """What a policy adds to, or takes from, what the standards permit.

    Attributes:
        ttl: the lifetime where the application is silent, and the longest one; `None`: by the book.
        revalidate, error: stale windows of the policy.
    """

    ttl: float | None = None
    revalidate: float = 0.0
    error: float = HOUR

    @property
    def standard(self) -> bool:
        return self.ttl is None

    def control(self, head: Head) -> tuple[dict[str, str], bool]:
        """The directives that count, and whether they were targeted at us (RFC 9213)."""
        targeted = directives(head.get("cdn-cache-control", ""))
        if self.standard and targeted:
            return targeted, True
        return directives(head.get("cache-control", "")), False

    def explicit(self, given: Given, head: Head) -> float | None:
        """RFC 9111, section 4.2.1, without heuristics."""
        control, targeted = self.control(head)
        for name in ("s-maxage", "max-age"):
            if name in control:
                return float(control[name])
        if targeted or "expires" not in head:
            return None
        return seconds(head["expires"]) - self._dated(given, head)

    def lifetime(self, given: Given, head: Head, status: int) -> float:
        """Seconds from the moment at which the origin made it; never negative."""
        found = self.explicit(given, head)
        if self.ttl is not None:
            longest = min(self.ttl, 10.0) if status >= 400 else self.ttl
            return max(0.0, longest if found is None else min(longest, found))
        if found is None:
            found = self._heuristic(given, head, status)
        return max(0.0, min(found, LIMIT + self.initial_age(given)))

    def _heuristic(self, given: Given, head: Head, status: int) -> float:
        """RFC 9111, section 4.2.2: a tenth of the time since the last change, at most a day."""
        if "last-modified" not in head:
            return 0.0
        if status not in HEURISTIC and "public" not in self.control(head)[0]:
            return 0.0
        since = self._dated(given, head) - seconds(head["last-modified"])
        return min(since / 10 + 1.0, DAY)  # dates are whole seconds

    @staticmethod
    def _dated(given: Given, head: Head) -> float:
        return seconds(head["date"]) if "date" in head else EPOCH + given.at

    @staticmethod
    def initial_age(given: Given) -> float:
        """RFC 9111, section 4.2.3; an application without a `Date` has only its `Age`."""
        apparent = 0.0
        if "date" in given.head:
            apparent = float(int(EPOCH + given.at) - int(seconds(given.head["date"])))
        return max(0.0, apparent, float(given.head.get("age", 0)))

    def unstorable(self, given: Given, head: Head, status: int) -> str:
        """Why nobody but its requester may have it (RFC 9111, sections 3 and 3.5), or nothing."""
        control, _ = self.control(head)
        explicit = self.explicit(given, head) is not None
        if "no-store" in given.wants:
            return "the request said no-store"
        if "no-store" in control and "must-understand" not in control:
            return "no-store"
        if "private" in control:
            return "private"
        if given.user and not (self.standard and PERMIT_AUTHORIZED & control.keys()):
            return "made for a user"
        if not self.standard:
            if "set-cookie" in head:
                return "a cookie"
            return "no-cache" if "no-cache" in control else ""
        if "set-cookie" in head and not explicit and "public" not in control:
            return "a cookie, heuristically"
        if not explicit and "public" not in control and status not in HEURISTIC:
            return f"{status} without a lifetime"
        return ""

    def unusable(
        self,
        given: Given,
        head: Head,
        status: int,
        now: float,
        wants: Mapping[str, str],
        *,
        failed: bool,
    ) -> str:
        """Why a stored answer may not be used now without asking the origin, or nothing.

        RFC 9111, sections 4, 4.2.4 and 5.2.1. An age is a whole number of seconds, rounded down.
        """
        control, _ = self.control(head)
        age = float(int(now - given.at + self.initial_age(given)))
        left = self.lifetime(given, head, status) - age
        if "no-cache" in control:
            return "no-cache"
        for name in ("no-cache", "no-store"):
            if name in wants:
                return f"the request said {name}"
        if "max-age" in wants and age > float(wants["max-age"]):
            return f"of age {age}, and the request said max-age={wants['max-age']}"
        if "min-fresh" in wants and left < float(wants["min-fresh"]):
            return f"fresh for {left}, and the request said min-fresh={wants['min-fresh']}"
        if left > 0:
            return ""
        if FORBID_STALE & control.keys():
            return f"stale by {-left}, and stale use is forbidden"
        if "min-fresh" in wants or ("max-age" in wants and "max-stale" not in wants):
            return f"stale by {-left}, and the request wants it fresh"
        if -left <= self._window(control, wants, failed=failed):
            return ""
        return f"stale by {-left}"

    def _window(self, control: Head, wants: Head, *, failed: bool) -> float:
        windows = [-1.0]
        if "max-stale" in wants:
            windows.append(min(float(wants["max-stale"] or HOUR), HOUR))
        if self.standard:
            windows.append(float(control.get("stale-while-revalidate", -1)))
        else:
            windows.append(self.revalidate)
        if failed:
            windows.append(self.error)
            if self.standard:
                windows.append(float(control.get("stale-if-error", -1)))
        return max(windows)


class Down(Exception):
    """The origin failed."""


@dataclass(frozen=True)
class Sent:
    """What an application answers with: fields that may speak of the moment, and a status."""

    fields: Callable[[float], Fields]
    status: int = 200
    body: bytes = b"body"

    @classmethod
    def plain(cls, *fields: tuple[str, str], status: int = 200) -> "Sent":
        return cls(lambda _: fields, status)


class Shelf:
    """Measures at which moments an answer, once stored, is still given without a new one.

    Every moment has a URL of its own, so that no look disturbs the next.
    """

    #: Seconds after the answer; between the numbers that the tests' fields are made of.
    MOMENTS = (0, 3, 8, 13, 28, 45, 80, 150, 900, 2500, 3700, 8000, 90_000, 700_000)

    def __init__(self, world: World, clock: Clock, cache: Cache | None = None) -> None:
        self.clock = clock
        self.down = False
        self._wall = wall(clock)
        self._sent: dict[str, Sent] = {}
        self._numbers = count(1)
        self._serials = count(1)
        self._lock = Lock()
        route = Route("/{path:path}", cache=cache or Cache.standard())
        self.site: Site = world.site(self._handle, route, clock=clock, wall=self._wall)

    def _handle(self, seen: Seen) -> Response:
        with self._lock:
            serial = next(self._serials)
        if self.down:
            raise Down
        sent = self._sent[seen.path]
        fields = [*sent.fields(self._wall()), ("Serial", str(serial))]
        return Response([sent.body], sent.status, fields)

    def first(self, sent: Sent, **ask: object) -> tuple[str, Answer]:
        """A new URL with this answer, and the first request for it."""
        path = f"/{next(self._numbers)}"
        self._sent[path] = sent
        return path, self.site.get(path, **ask)

    def again(self, path: str, **ask: object) -> Answer | None:
        """The answer, or nothing where the application's failure came through."""
        try:
            return self.site.get(path, **ask)
        except Down:
            return None

    def lives(
        self,
        *several: Sent,
        asks: Sequence[Mapping[str, str]] = ({},),
        down: bool = False,
        moments: Sequence[int] = MOMENTS,
    ) -> list[set[int]]:
        """For each answer and each request's fields: the moments at which it is still given.

        `down`: at that time the application fails.
        """
        cases = [(sent, ask) for sent in several for ask in asks]
        self.clock.now = float(int(self.clock.now) + 1)  # dates are whole seconds
        began = self.clock.now
        stored = {
            (case, at): self.first(sent) for case, (sent, _) in enumerate(cases) for at in moments
        }
        found: list[set[int]] = [set() for _ in cases]
        self.down = down
        try:
            for at in moments:
                self.clock.now = began + at
                for case, (_, ask) in enumerate(cases):
                    path, first = stored[case, at]
                    answer = self.again(path, headers=ask)
                    if answer is not None and answer["serial"] == first["serial"]:
                        found[case].add(at)
        finally:
            self.down = False
        return found
