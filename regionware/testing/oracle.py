"""The transparency oracle: a wrapped application beside the bare one, request by request.

Whatever the wrapped one answers must be an answer that the bare one could have given to that
request, now or within the declared staleness.
"""

import asyncio
import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from regionware.http.ranges import parse_content_range
from regionware.testing.calling import Answer, Request, call_asgi, call_wsgi, protocol_of

#: Fields that a cache or an edge makes anew, in lower case; they are not compared.
IGNORED = frozenset({
    "age", "cache-control", "cache-status", "cdn-cache-control", "cloudflare-cdn-cache-control",
    "connection", "content-length", "date", "expires", "keep-alive", "regionware-provenance",
    "regionware-session", "surrogate-control", "surrogate-key", "cache-tag", "transfer-encoding",
    "vary",
})  # fmt: skip
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

#: What is asked in turn: a path, a request, or something to do in between.
Step = str | Request | Callable[[], object]


@dataclass(frozen=True, slots=True)
class Difference:
    """An answer that the bare application could not have given.

    Attributes:
        number: which of the steps, counted from 0.
        request: what was asked.
        answer: what the wrapped application said.
        expected: what the bare one says, or has said within the staleness; the latest last.
    """

    number: int
    request: Request
    answer: Answer
    expected: Sequence[Answer]

    def __str__(self) -> str:
        """The request, and both answers."""
        known = "\n".join(f"  could be: {each}" for each in self.expected[-3:])
        return f"step {self.number}: {self.request}\n  answered: {self.answer}\n{known}"


class Oracle:
    """Compares two applications, both ASGI or both WSGI, that answer from the same data."""

    def __init__(
        self,
        bare: Any,
        wrapped: Any,
        *,
        staleness: float = 0.0,
        version: Callable[[Answer], Any] | None = None,
        ignored: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask nothing yet.

        Args:
            bare: the application.
            wrapped: the same, behind the middleware.
            staleness: seconds for which an earlier answer may still be given: lifetime and stale
                windows; after a purge, less.
            version: what of an answer grows with every change, in place of the body: an answer's
                must not be below that of `staleness` ago, nor above today's.
            ignored: names of further fields that are not compared.
            clock: monotonic seconds; the middleware's, where a test sets that.
        """
        self._bare = bare
        self._wrapped = wrapped
        self._asgi = protocol_of(bare) == "asgi"
        self._staleness = staleness
        self._version = version
        self._ignored = IGNORED | {name.lower() for name in ignored}
        self._clock = clock
        self._known: dict[object, list[tuple[float, Answer]]] = defaultdict(list)

    def compare(self, steps: Iterable[Step]) -> list[Difference]:
        """Take steps in turn; what differed.

        Each call has an event loop of its own. ASGI with a Redis: use `acompare`, within
        `async with rw`, whose connections belong to the loop.
        """
        return asyncio.run(self.acompare(steps))

    async def acompare(self, steps: Iterable[Step]) -> list[Difference]:
        """Take steps in turn; what differed.

        An unsafe request is sent once, through the middleware, and not compared: it changes the
        data that both answer from.
        """
        found = []
        for number, step in enumerate(steps):
            if not isinstance(step, (str, Request)):
                await _do(step)
                continue
            request = Request(step) if isinstance(step, str) else step
            difference = await self._ask(number, request)
            found += [difference] if difference is not None else []
        return found

    def check(self, steps: Iterable[Step]) -> None:
        """Take steps in turn.

        Raises:
            AssertionError: something differed; says all of it.
        """
        if found := self.compare(steps):
            raise AssertionError("\n".join(map(str, found)))

    async def _ask(self, number: int, request: Request) -> Difference | None:
        if request.method not in _SAFE:
            await self._call(self._wrapped, request)
            return None
        await self._learn(request)
        answer = await self._call(self._wrapped, request)
        if self._permits(request, answer):
            return None
        # Something may have changed between the two.
        await self._learn(request)
        if self._permits(request, answer):
            return None
        return Difference(number, request, answer, self._candidates(request))

    async def _call(self, app: Any, request: Request) -> Answer:
        return await call_asgi(app, request) if self._asgi else call_wsgi(app, request)

    async def _learn(self, request: Request) -> None:
        known = self._known[request.identity]
        now, answer = self._clock(), await self._call(self._bare, request)
        if not known or known[-1][1] != answer:
            known.append((now, answer))

    def _candidates(self, request: Request) -> list[Answer]:
        """What the bare application says now, or has said within the staleness."""
        known, least = self._known[request.identity], self._clock() - self._staleness
        ends = [since for since, _ in known[1:]] + [float("inf")]
        return [answer for (_, answer), end in zip(known, ends, strict=True) if end >= least]

    def _permits(self, request: Request, answer: Answer) -> bool:
        known = self._candidates(request)
        if self._version is not None and (versions := [self._version(each) for each in known]):
            fits = min(versions) <= self._version(answer) <= max(versions)
            return fits and any(self._alike(each, answer, body=False) for each in known)
        plain = _plain(request)
        whole = Request(request.path, request.method, plain, request.body, request.peer)
        known += self._candidates(whole) if whole.identity in self._known else []
        return any(
            self._alike(each, answer) or _validated(request, each, answer) or _part(each, answer)
            for each in known
        )

    def _alike(self, known: Answer, answer: Answer, *, body: bool = True) -> bool:
        return (
            known.status == answer.status
            and (not body or known.body == answer.body)
            and self._fields(known) == self._fields(answer)
        )

    def _fields(self, answer: Answer) -> list[tuple[str, str]]:
        return sorted(pair for pair in answer.headers if pair[0] not in self._ignored)


def transparent(
    *steps: Step, **options: Any
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Make a test of a function that returns a bare and a wrapped application.

        @transparent("/", "/products/1", "/products/1", staleness=30)
        def test_the_shop():
            return app, rw.asgi(app)

    Args:
        steps: see `Oracle.compare`.
        options: see `Oracle`.
    """

    def decorate(make: Callable[..., Any]) -> Callable[..., None]:
        @functools.wraps(make)
        def test(*words: Any, **names: Any) -> None:
            bare, wrapped = make(*words, **names)
            Oracle(bare, wrapped, **options).check(steps)

        return test

    return decorate


def _plain(request: Request) -> dict[str, str]:
    """The fields without those that ask for a part, or for nothing if nothing has changed."""
    special = {"range", "if-range", "if-none-match", "if-modified-since"}
    return {name: value for name, value in request.headers.items() if name.lower() not in special}


def _validated(request: Request, known: Answer, answer: Answer) -> bool:
    """A 304 for a client that has what the bare application says (RFC 9110, section 15.4.5)."""
    asked = {name.lower() for name in request.headers}
    conditional = bool(asked & {"if-none-match", "if-modified-since"})
    same = known.all("etag") == answer.all("etag") or not answer.all("etag")
    return conditional and answer.status == 304 and known.status in {200, 304} and same


def _part(known: Answer, answer: Answer) -> bool:
    """A part of what the bare application says (RFC 9110, section 15.3.7)."""
    told = answer.all("content-range")
    part = parse_content_range(told[0]) if answer.status == 206 and told else None
    if part is None or known.status != 200:
        return False
    first, last, length = part
    return length == len(known.body) and known.body[first : last + 1] == answer.body


async def _do(step: Callable[[], object]) -> None:
    done = step()
    if asyncio.iscoroutine(done):
        await done
