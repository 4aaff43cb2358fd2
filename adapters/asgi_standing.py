"""A message that its client does not take: noticed at once, without a task of its own."""

from collections.abc import Awaitable, Callable, Generator
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
        """Each pause goes through to the event loop, and what comes of it back (PEP 380)."""
        steps = self._awaitable.__await__()
        step: Callable[[Any], Any] = steps.send
        try:
            pause = next(steps)
        except StopIteration:
            return
        self._on_wait()
        while True:
            try:
                value = yield pause
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:  # noqa: BLE001 - whatever interrupts it is its own
                step, value = steps.throw, error
            else:
                step = steps.send
            try:
                pause = step(value)
            except StopIteration:
                return
