"""Several worker processes on one Redis, told what to do by pipe."""

import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from regionware import PurgeError
from tests.conformance.harness import until
from tests.faults.drills import worker
from tests.faults.drills.evidence import Evidence, Purges, Read
from tests.faults.drills.origin import CONTEXT, ITEMS, Origin
from tests.faults.drills.worker import Census, Setup

#: Seconds after which a worker that does not answer has failed the drill.
PATIENCE = 90.0

#: Seconds that one request may take. Configured are a few times 50 ms; what is not bounded takes
#: ten seconds and more.
AMPLE = 4.0


#: From here on, items are asked for once: by whoever needs one that nobody knows.
FRESH = 100_000


class Process:
    """One worker."""

    def __init__(self, setup: Setup, origin: Origin) -> None:
        self.setup = setup
        self._pipe, end = CONTEXT.Pipe()
        self._process = CONTEXT.Process(
            target=worker.main, args=(end, setup, origin), daemon=True, name="drill"
        )
        self._process.start()
        end.close()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    def begin(self, name: str, *arguments: Any) -> None:
        """Tell it what to do; `end` waits for the outcome."""
        self._pipe.send((name, arguments))

    def end(self) -> Any:
        """What became of what was begun.

        Raises:
            PurgeError: the worker's.
        """
        assert self._pipe.poll(PATIENCE), "the worker does not answer"
        good, outcome = self._pipe.recv()
        if good:
            return outcome
        kind, text, queued = outcome
        if kind == "purge-error":
            raise PurgeError(text, queued=queued)
        raise AssertionError(text)

    def do(self, name: str, *arguments: Any) -> Any:
        """Tell it what to do, and wait."""
        self.begin(name, *arguments)
        return self.end()

    def ask(self, item: int) -> Read:
        """One request."""
        read: Read = self.do("ask", item)
        return read

    def count(self, event: str) -> int:
        """How often something happened in it, whatever the detail."""
        counts: dict[str, int] = self.do("counts")
        return sum(number for name, number in counts.items() if name.partition(":")[0] == event)

    def census(self) -> Census:
        """What it holds."""
        found: Census = self.do("census")
        return found

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def freeze(self) -> None:
        """`SIGSTOP`: it does not know that time passes."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it."""
        if not self._process.is_alive():
            return
        self.thaw()
        with suppress(OSError):
            self._pipe.send(("stop", ()))
        self._process.join(2)
        self.kill()


class Fleet:
    """The workers of one drill.

    Attributes:
        origin: the application that they serve.
        workers: the processes; one that was killed is replaced by `replace`.
        purges: what was acknowledged.
        refusals: what was not: when the drill was told so.
    """

    def __init__(self, folder: Path, setups: Iterable[Setup]) -> None:
        self.origin = Origin(folder)
        self.workers = [Process(setup, self.origin) for setup in setups]
        self.purges = Purges()
        self.refusals = Purges()
        self._load: tuple[Any, ...] | None = None
        self._fresh = iter(range(FRESH, ITEMS))

    def __getitem__(self, number: int) -> Process:
        return self.workers[number]

    def ready(self) -> None:
        """Wait until all have heard of their region."""
        self.all("ready")

    def all(self, name: str, *arguments: Any, but: Sequence[Process] = ()) -> list[Any]:
        """Tell all what to do, at the same time, and wait."""
        told = [each for each in self.workers if each not in but]
        for each in told:
            each.begin(name, *arguments)
        return [each.end() for each in told]

    def replace(self, dead: Process) -> Process:
        """A new worker in the place of a dead one."""
        made = Process(dead.setup, self.origin)
        self.workers[self.workers.index(dead)] = made
        if self._load is not None:
            made.do("ready")
            made.do("load", *self._load)
        return made

    def add(self, setup: Setup) -> Process:
        """One more worker."""
        made = Process(setup, self.origin)
        self.workers.append(made)
        return made

    def new(self) -> int:
        """An item that nobody has asked for."""
        return next(self._fresh)

    @contextmanager
    def under_load(
        self, items: Sequence[int], rate: float, *, clients: int = 4, but: Sequence[Process] = ()
    ) -> Iterator[list[Evidence]]:
        """Requests all the while, `rate` in a second in all workers together; 0 for no limit.

        What was seen is in the list afterwards; what a killed worker has seen is lost.
        """
        seen: list[Evidence] = []
        self._load = (items, rate / (len(self.workers) - len(but)), clients)
        self.all("load", *self._load, but=but)
        try:
            yield seen
        finally:
            self._load = None
            seen.append(Evidence.of_all(self.all("unload", but=but)))

    def warm(self, items: Sequence[int]) -> None:
        """Everything in Redis, and in every memory."""
        self[0].do("each", items)
        self.all("each", items)

    def purge(self, by: Process, *items: int, wait: str = "region", timeout: float = 2.0) -> bool:
        """Change items, and purge them; whether it was acknowledged."""
        versions = [self.origin.change(item) for item in items]
        try:
            by.do("purge", items, wait, timeout)
        except PurgeError:
            noted, acknowledged = self.refusals, False
        else:
            noted, acknowledged = self.purges, True
        for item, version in zip(items, versions, strict=True):
            noted.note(item, version, time.monotonic())
        return acknowledged

    def purge_for(
        self,
        seconds: float,
        by: Process,
        items: Sequence[int],
        *,
        pause: float = 0.02,
        least: int = 0,
    ) -> None:
        """Change and purge items in turn, for so long, and at least so often."""
        limit, number = time.monotonic() + seconds, 0
        while time.monotonic() < limit or number < least:
            self.purge(by, items[number % len(items)])
            number += 1
            time.sleep(pause)

    def current(self, items: Sequence[int], workers: Sequence[Process] | None = None) -> bool:
        """Whether all answer with the latest versions."""
        wanted = [(200, self.origin.version(item)) for item in items]
        found = [
            [(read.status, read.version) for read in each.do("each", items)]
            for each in (self.workers if workers is None else workers)
        ]
        return all(each == wanted for each in found)

    def shares(self, one: Process, other: Process) -> bool:
        """Whether what one worker stores is found by the other: the region's Redis is used."""
        item = self.new()
        one.ask(item)
        return other.ask(item).detail == "redis"

    def settled(self, seconds: float = 20.0) -> float:
        """Wait until the region's Redis is used by all; how long that took."""
        began = time.monotonic()
        pairs = zip(self.workers, [*self.workers[1:], self.workers[0]], strict=True)
        for one, other in pairs:
            until(lambda one=one, other=other: self.shares(one, other), seconds)  # type: ignore[misc] # each its own
        return time.monotonic() - began

    def close(self) -> None:
        """End all."""
        for each in self.workers:
            each.stop()
