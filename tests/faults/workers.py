"""Worker processes on one Redis, and the application that they all serve.

Its answers are counted up by the test, in shared memory, so that the age of an answer is known.
A worker begins as those of a server do: it is forked by a process that has imported what it needs,
and has started nothing.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from regionware import PurgeError, Region, Regionware, Topology
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Response, Seen, text
from tests.conformance.harness import Flavour, Loop, Site, until

_SPAWN = multiprocessing.get_context("forkserver")
_SPAWN.set_forkserver_preload(["tests.faults.workers"])

#: How many items there are; each has its own path, tag and version.
ITEMS = 4

#: What a worker is made of, by the region's name: the URLs of the regions' Redis servers.
Regions = Mapping[str, str]


@dataclass(frozen=True)
class Read:
    """One answer.

    Attributes:
        began: when the request was sent, on the clock that all processes share.
        item: whose answer.
        version: which one.
    """

    began: float
    item: int
    version: int


class Worker:
    """One process, which does what it is told."""

    def __init__(self, flavour: Flavour, here: str, regions: Regions, versions: Any) -> None:
        self._pipe, end = _SPAWN.Pipe()
        arguments = (end, flavour, here, dict(regions), versions)
        self._process = _SPAWN.Process(target=_main, args=arguments, daemon=True)
        self._process.start()
        end.close()

    def begin(self, name: str, *arguments: Any) -> None:
        """Tell it what to do; `end` waits for the outcome."""
        self._pipe.send((name, arguments))

    def end(self) -> Any:
        """What became of what was begun.

        Raises:
            PurgeError: the worker's.
        """
        assert self._pipe.poll(60), "the worker does not answer"
        outcome = self._pipe.recv()
        if isinstance(outcome, BaseException):
            raise outcome
        if isinstance(outcome, tuple) and outcome[:1] == ("purge-error",):
            raise PurgeError(outcome[1], queued=outcome[2])
        return outcome

    def do(self, name: str, *arguments: Any) -> Any:
        """Tell it what to do, and wait."""
        self.begin(name, *arguments)
        return self.end()

    def version(self, item: int) -> int:
        """What it answers now."""
        read: Read = self.do("read", item)
        return read.version

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid or 0

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once: it can do nothing more."""
        self._process.kill()
        self._process.join()

    def stop(self) -> None:
        if self._process.is_alive():
            self.thaw()
            self._pipe.send(("stop", ()))
        self._process.join(20)
        self._process.kill()
        self._process.join()
        self._pipe.close()


@dataclass
class Origin:
    """The application's data, and the workers that answer from it."""

    versions: Any
    workers: list[Worker]

    def change(self, item: int) -> int:
        """A new version of an item."""
        with self.versions.get_lock():
            self.versions[item] += 1
            return int(self.versions[item])


@contextmanager
def workers(flavour: Flavour, *here: tuple[str, Regions]) -> Iterator[Origin]:
    """Start one worker for each, all at once, and wait until they have heard of their region."""
    versions = _SPAWN.Array("q", ITEMS)
    made = [Worker(flavour, region, regions, versions) for region, regions in here]
    try:
        for worker in made:
            assert worker.do("ready")
        yield Origin(versions, made)
    finally:
        for worker in made:
            worker.stop()


# In the worker


def _main(
    pipe: Connection, flavour: Flavour, here: str, regions: Regions, versions: Sequence[int]
) -> None:
    loop = Loop()
    served = _Served(flavour, here, regions, versions, loop)
    try:
        while True:
            name, arguments = pipe.recv()
            if name == "stop":
                break
            pipe.send(served.do(name, arguments))
    finally:
        served.site.close()
        served.rw.close()
        loop.stop()


class _Served:
    """The application behind a `Regionware`, in this process."""

    def __init__(
        self, flavour: Flavour, here: str, regions: Regions, versions: Sequence[int], loop: Loop
    ) -> None:
        places = [Region(name, primary=name == here, redis=url) for name, url in regions.items()]
        self.rw = Regionware(
            topology=Topology(here=here, regions=places),
            routes=[Route("/items/{item}", cache=Cache(ttl=300, tags=["item:{item}"]))],
        )
        self._versions = versions
        self.site = Site(flavour, self.rw, Application(self._answer), loop)

    def do(self, name: str, arguments: tuple[Any, ...]) -> Any:
        try:
            return getattr(self, name)(*arguments)
        except PurgeError as error:
            return "purge-error", str(error), error.queued
        except Exception as error:  # noqa: BLE001 - it is raised where somebody looks
            return error

    def ready(self) -> bool:
        self.rw.start()
        log = self.rw._parts.rim._log
        assert log is not None
        until(log.synced.is_set)
        return True

    def read(self, item: int) -> Read:
        began = time.monotonic()
        return Read(began, item, int(self.site.get(f"/items/{item}").body))

    def read_for(self, seconds: float) -> list[Read]:
        """All that is read in that time, of each item in turn."""
        limit, reads = time.monotonic() + seconds, []
        while time.monotonic() < limit:
            reads += [self.read(item) for item in range(ITEMS)]
            time.sleep(0.005)
        return reads

    def tier(self, item: int) -> str:
        """Which tier answers."""
        return self.site.get(f"/items/{item}").cache_status.get("detail", "")

    def purge(self, item: int, wait: str, timeout: float) -> tuple[str, ...]:
        tags = [f"item:{item}"]
        return self.rw.purge(tags=tags, wait=wait, timeout=timeout).regions  # type: ignore[arg-type] # the pipe's words are texts

    def bound(self) -> float:
        return self.rw.staleness_bound

    def counts(self) -> dict[str, int]:
        """What has happened in this worker."""
        return self.rw.counts()

    def relays(self) -> bytes:
        """By what Redis knows this worker where it relays to the other region."""
        return self.rw._parts.rim.outboxes[0]._token.encode()

    def keep_purges_to_itself(self) -> None:
        """Relay what is purged here from this process only: what there was before the outbox."""
        purger = self.rw._parts.purger
        for outbox in purger._outboxes:
            outbox.stop()
            outbox.start = lambda: None  # type: ignore[method-assign] # that is the point
        purger._outboxes = ()

    def trust_for_ever(self) -> None:
        """Hear of no purge for a while, and trust memory all the same."""
        self.deafen()
        self.rw._parts.rim._log = None

    def deafen(self) -> None:
        """Hear of no purge any more, and trust memory all the same: what a bug would do."""
        log, fences = self.rw._parts.rim._log, self.rw._parts.prepared.fences
        assert log is not None
        log.stop()
        log.start = lambda: None  # type: ignore[method-assign] # that is the point
        log.synced.set()
        fences.heard_until = float("inf")

    def _answer(self, seen: Seen) -> Response:
        return text(str(self._versions[int(seen.path.rpartition("/")[2])]))
