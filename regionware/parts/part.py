"""What every part has in common: it starts, and ends, with a block."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

from regionware.parts.process import ServerFailed


class Part(ABC):
    """Something that is started and closed. A context manager."""

    @abstractmethod
    def start(self) -> Self:
        """Start it, and wait until it is of use."""

    @abstractmethod
    def close(self) -> None:
        """End it, however far its start has come."""

    def __enter__(self) -> Self:
        """Start it; what a failure has left half-way is ended."""
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self.close()


def wait_until(true: Callable[[], bool], *, patience: float, why: str) -> None:
    """Wait for something to be true.

    Raises:
        ServerFailed: with the words of `why`: it is not within `patience` seconds.
    """
    limit = time.monotonic() + patience
    while not true():
        if time.monotonic() > limit:
            raise ServerFailed(why)
        time.sleep(0.02)
