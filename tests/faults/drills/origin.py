"""The application that all workers of a drill serve, and what it has done.

Its state is memory that all processes share: the version of each item, which only the drill
counts up, and a few switches. What it has done is a file that each call appends one record to: a
process that is killed while it answers cannot leave a lock behind.
"""

import asyncio
import multiprocessing
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.application import Application, Gate, Response, Seen, Step

#: Workers are forked from a clean process that has imported them and made nothing: each has a
#: memory, threads and connections of its own, and is there in milliseconds.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.faults.drills.worker", "tests.faults.drills.clerk"])

#: How many items there are; each has its own path, tag and version.
ITEMS = 1 << 18

_SWITCHES = ("delay", "hung", "failing", "step", "swapped", "short")
_RECORD = struct.Struct("<dqqq")
_CHUNKS = 4
_FILL = "-" * 200


@dataclass(frozen=True)
class Call:
    """One call of the application.

    Attributes:
        at: when it began, on the clock that all processes share.
        item: whose answer was asked for.
        version: the version that it saw.
        pid: the process that was asked.
    """

    at: float
    item: int
    version: int
    pid: int


class Origin:
    """What the processes share. The drill changes it, the workers answer from it."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "origin.log"
        self._log.touch()
        self._versions = CONTEXT.RawArray("q", ITEMS)
        self._switches = CONTEXT.RawArray("d", len(_SWITCHES))

    # The drill's side

    def change(self, item: int) -> int:
        """A new version of an item: committed, and not purged yet."""
        self._versions[item] += 1
        return self.version(item)

    def version(self, item: int) -> int:
        """The latest version of an item."""
        return int(self._versions[item])

    def set(self, **switches: float) -> None:
        """Change how the application behaves, for calls that begin or still wait.

        Args:
            switches: `delay`, seconds before the head; `step`, seconds between two chunks; and, not
                zero, `hung` (no head comes), `failing` (500), and two lies: `swapped` (another
                item's answer) and `short` (an answer that ends too early).
        """
        for name, value in switches.items():
            self._switches[_SWITCHES.index(name)] = value

    def calls(self, since: float = 0.0) -> list[Call]:
        """What the application was asked, by when it began."""
        found = (Call(*each) for each in _RECORD.iter_unpack(self._log.read_bytes()))
        return sorted((call for call in found if call.at >= since), key=lambda call: call.at)

    def count(self, item: int | None = None, since: float = 0.0) -> int:
        """How often it was asked, for one item or for all."""
        return sum(item in {None, call.item} for call in self.calls(since))

    # The worker's side

    def on(self, switch: str) -> float:
        """How a switch is set now."""
        return float(self._switches[_SWITCHES.index(switch)])

    def application(self) -> Application:
        """The application, in this process."""
        log = os.open(self._log, os.O_WRONLY | os.O_APPEND)

        def answer(seen: Seen) -> Response:
            item = int(seen.path.rpartition("/")[2])
            version = self.version(item)  # as a query would: before anything takes time
            os.write(log, _RECORD.pack(time.monotonic(), item, version, os.getpid()))
            if self.on("failing"):
                return Response([b"it failed"], 500, hold=_Hold(self))
            shown = item + 1 if self.on("swapped") else item
            chunks = body(shown, version)[: 2 if self.on("short") else _CHUNKS]
            return Response(self._steps(chunks), hold=_Hold(self))

        return Application(answer)

    def _steps(self, chunks: list[bytes]) -> list[Step]:
        if not self.on("step"):
            return [b"".join(chunks)]
        steps: list[Step] = []
        for chunk in chunks:
            steps += [_Step(self), chunk]
        return steps[1:]


class _Hold(Gate):
    """Opens by itself, when the application is neither slow nor hung."""

    def __init__(self, origin: Origin) -> None:
        super().__init__()
        self._origin = origin
        self._began = time.monotonic()

    def _closed(self) -> bool:
        waited = time.monotonic() - self._began
        return bool(self._origin.on("hung")) or waited < self._origin.on("delay")

    def wait(self) -> None:
        while self._closed():
            time.sleep(0.005)

    async def await_(self) -> None:
        while self._closed():  # noqa: ASYNC110 - the switch is another process's
            await asyncio.sleep(0.005)


class _Step(Gate):
    """The time between two chunks."""

    def __init__(self, origin: Origin) -> None:
        super().__init__()
        self._origin = origin

    def wait(self) -> None:
        time.sleep(self._origin.on("step"))

    async def await_(self) -> None:
        await asyncio.sleep(self._origin.on("step"))


def body(item: int, version: int) -> list[bytes]:
    """The chunks of an answer."""
    return [f"{item} {version} ".encode(), *[_FILL.encode()] * (_CHUNKS - 2), f" {item}".encode()]


def read(octets: bytes, item: int) -> int | None:
    """The version in an answer; `None` if it is not a whole answer about this item."""
    words = octets.split()
    try:
        version = int(words[1])
    except (IndexError, ValueError):
        return None
    return version if b"".join(body(item, version)) == octets else None


def path(item: int) -> str:
    """Where an item is."""
    return f"/items/{item}"


def tag(item: int) -> str:
    """What an item's entry is tagged with."""
    return f"item:{item}"


#: What crosses the pipe to a worker.
Shared = Any
