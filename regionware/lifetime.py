"""When a `Regionware` starts and ends: with a block, with the server, or by the first request."""

from types import TracebackType
from typing import Self

from regionware.rim import Rim


class Lifetime:
    """What starts and closes; a context manager for threads and for event loops."""

    _rim: Rim

    def start(self) -> None:
        """Start what runs in the background; otherwise the first request does."""
        self._rim.start()

    def close(self) -> None:
        """End what runs in the background, and close every connection of threads."""
        self._rim.close()

    async def aclose(self) -> None:
        """Close the running loop's connections too."""
        await self._rim.aclose()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    async def __aenter__(self) -> Self:
        """Start."""
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.aclose()
