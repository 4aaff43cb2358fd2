"""What the tests of the HTTP standards share: their tables, an application, and a verdict.

A row begins with the name of the case and the section that speaks of it. Fields are lines,
`Name: value`; `<-20>` in a line is the date 20 seconds ago, `<+60 rfc850>` and `<+60 asctime>` are
the older forms.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count, cycle
from types import MappingProxyType
from typing import Any, Literal

import pytest

from regionware.caching.coherence import Fence
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Handler, Response, Seen
from tests.conformance.conftest import Clock, World
from tests.conformance.harness import Answer, Site, until

Kind = Literal["standard", "declared"]
Lines = Sequence[str]

#: What became of a request: answered from a fresh entry or from a stale one, asked of the
#: application with our validators or without, or refused with 504.
Verdict = Literal["reused", "stale", "validated", "forwarded", "refused"]

KINDS: tuple[Kind, ...] = ("standard", "declared")

#: For tests that set the clock, which is not theirs where there is a Redis.
MEMORY = pytest.mark.parametrize("tier", ["memory"], indirect=True)

_NAMES = count()
_FORMATS = {
    "": "%a, %d %b %Y %H:%M:%S GMT",
    "rfc850": "%A, %d-%b-%y %H:%M:%S GMT",
    "asctime": "%a %b %e %H:%M:%S %Y",
}
_DATE = re.compile(r"<([+-]?\d+)(?: (\w+))?>")


def rows(*tables: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The parameters of a table: all but the name, which is the test's id, and the section."""
    names = [row[0] for table in tables for row in table]
    assert len(names) == len(set(names)), "two cases have one name"
    return [pytest.param(*row[2:], id=row[0]) for table in tables for row in table]


class Time:
    """Both clocks of a worker."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.wall = Clock()
        self.wall.now = 1_750_000_000.0  # a Sunday in June 2025

    def pass_(self, seconds: float) -> None:
        self.clock.now += seconds
        self.wall.now += seconds

    @property
    def options(self) -> dict[str, Any]:
        """What a worker is made with."""
        return {"clock": self.clock, "wall": self.wall}


def fields(lines: Iterable[str], now: float | None = None) -> list[tuple[str, str]]:
    """Lines as fields, their dates relative to now."""
    now = time.time() if now is None else now

    def date(match: re.Match[str]) -> str:
        moment = datetime.fromtimestamp(int(now) + int(match[1]), UTC)
        return moment.strftime(_FORMATS[match[2] or ""])

    split = [line.partition(":") for line in lines]
    return [(name, _DATE.sub(date, value.removeprefix(" "))) for name, _, value in split]


def numbered(lines: Lines, status: int = 200, now: float | None = None) -> Handler:
    """Always the same fields; the bodies are "1", "2", and so on."""
    return changing(lines, status=status, now=now)


def changing(*versions: Lines, status: int = 200, now: float | None = None) -> Handler:
    """The fields of the first answer, of the second, and so on; the last ones stay."""
    answers = [fields(lines, now) for lines in versions]
    numbers = count(1)

    def answer(_: Seen) -> Response:
        number = next(numbers)
        body = () if status == 304 else [str(number).encode()]
        return Response(body, status, answers[min(number, len(answers)) - 1])

    return answer


def honest(*versions: Lines, now: float | None = None) -> Handler:
    """As `changing`, with 304 for whoever has the entity tag or the date of the first version."""
    plain = changing(*versions, now=now)
    first = {name.lower(): value for name, value in fields(versions[0], now)}

    def answer(seen: Seen) -> Response:
        response = plain(seen)
        tags, date = seen.headers.get("if-none-match"), seen.headers.get("if-modified-since")
        if tags is not None:
            same = "etag" in first and first["etag"] in tags
        else:
            same = date is not None and date == first.get("last-modified")
        return Response((), 304, response.headers) if same else response

    return answer


class Sites:
    """One application, asked in turn through two workers where there is a Redis.

    They are asked with empty memories, so that what they find is Redis's. Without a Redis there is
    one worker, which keeps its memory.
    """

    def __init__(self, world: World, handler: Handler, *routes: Route, **options: Any) -> None:
        options = {"namespace": f"http-{next(_NAMES)}", **options}
        self.app = Application(handler)
        self.tier = world.tier
        workers = 2 if world.tier == "redis" else 1
        self.all = [
            world.behind(world.regionware(*routes, **options), self.app) for _ in range(workers)
        ]
        self._turns = cycle(self.all)

    def turn(self) -> Site:
        """Whoever is asked next."""
        site = next(self._turns)
        if self.tier == "redis":
            site.rw.memory.clear()
        return site

    def get(self, path: str = "/x", lines: Lines = (), **ask: Any) -> Answer:
        """One request, its fields as lines; then every worker has heard what it ended."""
        site = self.turn()
        before, raised = dict(_fences(site)), _raised(site)
        answer = site.get(path, headers=fields(lines), **ask)
        if _raised(site) > raised:
            self.settle(site, before)
        return answer

    def settle(self, site: Site, before: Mapping[str, Fence] = MappingProxyType({})) -> None:
        """Wait until every worker has heard of the fences that this one has raised."""
        raised = {name: each for name, each in _fences(site).items() if before.get(name) != each}
        for other in map(_fences, self.all):
            for name, fence in raised.items():
                until(lambda: name in other and other[name].stamp >= fence.stamp)  # noqa: B023 - called at once


def _raised(site: Site) -> int:
    return site.rw._parts.prepared.events.counts().get("purge", 0)


def _fences(site: Site) -> Mapping[str, Fence]:
    return site.rw._parts.prepared.fences._table


def cached(
    world: World, handler: Handler, kind: Kind | Cache = "standard", **options: Any
) -> Sites:
    """Everything by the book, or declared for a minute, or under another policy."""
    if kind == "standard":
        kind = Cache.standard()
    elif kind == "declared":
        kind = Cache(ttl=60)
    return Sites(world, handler, Route("/{path:path}", cache=kind), **options)


def verdict(site: Sites, path: str = "/x", lines: Lines = (), **ask: Any) -> Verdict:
    """Ask, and say what became of it."""
    before = len(site.app.calls)
    answer = site.get(path, lines, **ask)
    if len(site.app.calls) > before:
        ours = {"if-none-match", "if-modified-since"} & site.app.calls[before].headers.keys()
        assert not answer.hit
        return "validated" if ours else "forwarded"
    if answer.status == 504 and not answer.hit:
        return "refused"
    assert answer.hit
    assert len(answer.all("age")) == 1
    return "stale" if int(answer.cache_status["ttl"]) < 0 else "reused"


def dispatch(**handlers: Handler) -> Handler:
    """A handler for each method, or for the first segment of the path."""

    def answer(seen: Seen) -> Response:
        handler: Callable[[Seen], Response] | None = handlers.get(seen.method)
        return (handler or handlers[seen.path.split("/")[1]])(seen)

    return answer
