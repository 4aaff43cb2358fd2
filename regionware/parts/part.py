"""What every part has in common: it starts, and ends, with a block."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from regionware.parts.process import ServerFailed, ServerProcess, remove_folder


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


class Running:
    """A server that is one process, with its children; none before it is started."""

    _process: ServerProcess | None = None

    @property
    def running(self) -> bool:
        """Whether its process exists, paused or not."""
        return self._process is not None and self._process.running

    @property
    def paused(self) -> bool:
        """Whether it is frozen by `pause`."""
        return self._process is not None and self._process.paused

    def pids(self) -> list[int]:
        """Its process and all its children."""
        return self._process.pids() if self._process else []

    def pause(self) -> None:
        """Freeze it with its children: the kernel accepts connections, and nothing answers."""
        if self._process is not None:
            self._process.pause()

    def resume(self) -> None:
        """Let it go on after `pause`; it then answers what was sent meanwhile."""
        if self._process is not None:
            self._process.resume()


class Housed(Running, Part):
    """Such a server, with a temporary folder of its own, which forgets everything when it ends."""

    _directory: Path | None = None

    def stop(self) -> None:
        """End it; what it had kept is gone."""
        if self._process is not None:
            self._process.end()
            self._ended()

    def kill(self) -> None:
        """Kill it and its children; what it had kept is gone."""
        if self._process is not None:
            self._process.kill()
            self._ended()

    def restart(self) -> None:
        """End it and start it, empty, on the same port."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End it and remove its folder."""
        self.stop()
        if self._directory is not None:
            remove_folder(self._directory)
            self._directory = None

    def _ended(self) -> None:
        """Wait for what outlives its process."""


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
