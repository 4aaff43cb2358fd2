"""A wrapped application and the same one bare."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final

from bench.drivers import Answer, Ask, Seen, Side
from regionware import Regionware

HTML: Final = {"content-type": "text/html; charset=utf-8"}
PAGE: Final = Answer(b"x" * 1024, HTML | {"cache-control": "public, max-age=600", "etag": '"a1"'})
LARGE: Final = Answer(b"x" * 100 * 1024, PAGE.fields)
UNSTORED: Final = Answer(PAGE.body, HTML | {"cache-control": "no-store"})
UNCHANGED: Final = Answer(b"", PAGE.fields, 304)

_NUMBERS = count()


class Subject:
    """The application behind the middleware, and what its last batch did.

    Attributes:
        number: of this subject; in its paths, since Redis is shared by all.
    """

    def __init__(self, side: Side, rw: Regionware, answer: Answer) -> None:
        """Wrap an application that gives one answer."""
        self.side = side
        self.number = next(_NUMBERS)
        self._origin: Any = side.application(answer)
        self._wrapped = side.wrap(rw, self._origin)
        self._seen: Seen | None = None
        self._called = 0

    def batch(self, asks: Sequence[Ask]) -> None:
        """Send requests through the middleware."""
        before = self._origin.calls
        self._seen = self.side.run(self._wrapped, asks)
        self._called = self._origin.calls - before

    def bare(self, asks: Sequence[Ask], answer: Answer) -> Mapping[str, Callable[[], object]]:
        """Send requests past it, to another application."""
        app = self.side.application(answer)
        return {"bare": lambda: self.side.run(app, asks)}

    def answered(self, cache_status: str, *, calls: int, status: int = 200) -> None:
        """Check that the last batch did what it was to do; this is not about time."""
        assert self._seen is not None
        assert self._seen.status == status
        assert cache_status in self._seen.fields.get("cache-status", "")
        assert self._called == calls
