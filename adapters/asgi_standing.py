"""A message that its client does not take: noticed at once, without a task of its own."""

from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any


class Watched:
    """Awaits something, and calls a function first if that does not end at once."""

    __slots__ = ("_awaitable", "_on_wait")

    def __init__(self, awaitable: Awaitable[object], on_wait: Callable[[], None]) -> None:
        """Begin nothing yet.

        Args:
            awaitable: what is awaited, once.
            on_wait: called at most once, before the first pause.
        """
        self._awaitable = awaitable
        self._on_wait = on_wait

    def __await__(self) -> Generator[Any, Any, None]:
        """Each pause goes through to the event loop, and what comes of it back (PEP 380).

        An awaitable's iterator need be no generator: servers have some without `throw`.
        """
        steps = self._awaitable.__await__()
        step: Callable[[], Any]
        try:
            pause = next(steps)
        except StopIteration:
            return
        self._on_wait()
        while True:
            try:
                yield pause
            except GeneratorExit:
                if (close := getattr(steps, "close", None)) is not None:
                    close()
                raise
            except BaseException as error:
                if (throw := getattr(steps, "throw", None)) is None:
                    raise
                step = partial(throw, error)
            else:
                step = partial(next, steps)
            try:
                pause = step()
            except StopIteration:
                return
