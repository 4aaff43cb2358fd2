"""One worker process of a drill: a `Regionware` around the application, and its clients."""

import asyncio
import os
import random
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from multiprocessing.connection import Connection
from threading import Event, Lock, active_count, current_thread
from typing import Any
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped] # its stubs are a package of their own

from regionware import PurgeError, Region, Regionware, Topology
from regionware.policies import Cache, Route
from tests.conformance.application import Application
from tests.conformance.harness import Flavour, Loop, Site, until
from tests.faults.drills import switches
from tests.faults.drills.evidence import Read
from tests.faults.drills.origin import Origin, path, read, tag

#: Most requests that one worker has in flight.
CLIENTS = 300

#: How many connections or threads a worker may hold more than before: they wait to be used again.
SPARE = 8


#: Switched off where calls of the application are counted, or a look-up must succeed: 50 ms can be
#: too little for a machine that has other things to do.
PATIENT = ("deadline",)


@dataclass(frozen=True)
class Setup:
    """What a worker is made of.

    Attributes:
        flavour: the protocol.
        regions: the URLs of the regions' Redis servers, by name.
        here: the name of this worker's region.
        cache: what the only route's `Cache` says, beside its tags.
        off: protections that are switched off; see `switches.py`.
        options: further options of `Regionware`.
    """

    flavour: Flavour
    regions: Mapping[str, str]
    here: str = "here"
    cache: dict[str, Any] = field(default_factory=lambda: {"ttl": 300})
    off: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def topology(self) -> Topology:
        """The first region is the primary's."""
        places = [
            Region(name, primary=not number, redis=url)
            for number, (name, url) in enumerate(self.regions.items())
        ]
        return Topology(here=self.here, regions=places)

    def routes(self) -> list[Route]:
        """One, for all items."""
        return [Route("/items/{item}", cache=Cache(tags=["item:{item}"], **self.cache))]

    def employ(self, origin: Origin) -> "Worker":
        """The worker, in its process."""
        return Worker(self, origin)


@dataclass(frozen=True)
class Census:
    """What a process holds."""

    files: int
    connections: int
    threads: int
    tasks: int
    parked: int

    def exceeds(self, before: "Census", spare: int = SPARE) -> bool:
        """Whether something was left behind, beside what is kept for later requests."""
        pairs = zip(astuple(self), astuple(before), strict=True)
        return any(now > then + spare for now, then in pairs)


def main(pipe: Connection, setup: Setup, origin: Origin) -> None:
    """Do what the drill says, until it says `stop`."""
    worker = setup.employ(origin)
    with suppress(EOFError):  # the drill has died
        while True:
            name, arguments = pipe.recv()
            if name == "stop":
                break
            try:
                pipe.send((True, getattr(worker, name)(*arguments)))
            except PurgeError as error:
                pipe.send((False, ("purge-error", str(error), error.queued)))
            except Exception as error:  # noqa: BLE001 - it is raised where somebody looks
                pipe.send((False, ("error", repr(error), {})))
    os._exit(0)  # whatever a drill has left hanging


class Worker:
    """What runs in the process. Every public method is a command."""

    def __init__(self, setup: Setup, origin: Origin) -> None:
        self._setup = setup
        self._origin = origin
        self._loop = Loop()
        self._left: list[Any] = []
        self._load: _Load | None = None
        self._open(setup)

    def _open(self, setup: Setup) -> None:
        with switches.thrown(setup.off):
            self.rw = Regionware(topology=setup.topology(), routes=setup.routes(), **setup.options)
            switches.throw(self.rw, setup.off)
        self.site = Site(setup.flavour, self.rw, self._application(), self._loop)
        self.site._threads.shutdown()
        self.site._threads = ThreadPoolExecutor(CLIENTS, thread_name_prefix="client")

    def _application(self) -> Application:
        return self._origin.application()

    # Life

    def pid(self) -> int:
        """Which process this is."""
        return os.getpid()

    def start(self) -> float:
        """Start what runs in the background; how many seconds that took."""
        began = time.monotonic()
        self.rw.start()
        return time.monotonic() - began

    def ready(self) -> bool:
        """Wait until this process has heard of its region."""
        self.rw.start()
        until(lambda: switches.has_heard(self.rw))
        return True

    def reopen(self, url: str) -> None:
        """Go on with a new `Regionware` on another Redis; the old one is closed."""
        self.close()
        self._open(
            Setup(
                self._setup.flavour,
                {"here": url},
                cache=self._setup.cache,
                off=self._setup.off,
                options=self._setup.options,
            )
        )

    def close(self) -> None:
        """End the `Regionware`."""
        asyncio.run_coroutine_threadsafe(self.rw.aclose(), self._loop.loop).result(60)
        self.site.close()

    # Asking

    def ask(self, item: int) -> Read:
        """One request."""
        return self._ask(item)

    def each(self, items: Sequence[int]) -> list[Read]:
        """One request for each, in turn."""
        return [self._ask(item) for item in items]

    def burst(self, items: Sequence[int], at: float) -> list[Read]:
        """One request for each at the same moment."""
        with ThreadPoolExecutor(len(items)) as pool:
            return list(pool.map(lambda item: self._ask(item, at), items))

    def load(self, items: Sequence[int], rate: float, clients: int) -> None:
        """Ask for these items in turn, so many requests in a second, until `unload`."""
        assert self._load is None, "there is a load"
        self._load = _Load(self, items, rate, clients)

    def answered(self) -> int:
        """How many requests of the load have been begun."""
        assert self._load is not None, "there is no load"
        return self._load.begun

    def unload(self) -> list[Read]:
        """End the load; everything that was answered."""
        assert self._load is not None, "there is no load"
        load, self._load = self._load, None
        return load.end()

    def disconnect(self, items: Sequence[int], at_once: int, seed: int) -> int:
        """Clients that go away at random points; how many."""
        return _Leaving(self, seed).all(items, at_once)

    def _ask(self, item: int, at: float = 0.0) -> Read:
        time.sleep(max(0.0, at - time.monotonic()))
        began = time.monotonic()
        try:
            answer = self.site.get(path(item))
        except Exception as error:  # noqa: BLE001 - that is what the client of a server would see
            return Read(began, item, 0, None, time.monotonic() - began, repr(error), os.getpid())
        seconds = time.monotonic() - began
        said = answer.cache_status if answer["cache-status"] else {}
        detail = said.get("detail") or said.get("fwd", "")
        version = read(answer.body, item)
        return Read(began, item, answer.status, version, seconds, detail, os.getpid())

    # Purging

    def purge(self, items: Sequence[int], wait_for: str = "region", timeout: float = 2.0) -> float:
        """Purge the items' tags; when that was acknowledged.

        Raises:
            PurgeError: it was not.
        """
        self.rw.purge(tags=map(tag, items), wait=wait_for, timeout=timeout)  # type: ignore[arg-type] # the pipe's words are texts
        return time.monotonic()

    def forget(self) -> None:
        """Empty this process's memory tier."""
        self.rw.memory.clear()

    # Seeing

    def bound(self) -> float:
        """The exported bound."""
        return self.rw.staleness_bound

    def counts(self) -> dict[str, int]:
        """How often what happened."""
        return self.rw.counts()

    def census(self) -> Census:
        """What this process holds now."""
        tasks = len(asyncio.all_tasks(self._loop.loop))
        own = sum(t is not current_thread() for t in self.site._threads._threads)
        process = psutil.Process()
        connections = len(process.net_connections("tcp"))
        threads = active_count() - own
        return Census(process.num_fds(), connections, threads, tasks, self.site.parked)

    # Leaks, for controls

    def leak(self, number: int) -> None:
        """Leave tasks and connections behind."""

        async def stay() -> None:
            await asyncio.Event().wait()

        where = urlsplit(self._setup.regions[self._setup.here])
        for _ in range(number):
            client = socket.create_connection((where.hostname, where.port))
            self._left += [client, asyncio.run_coroutine_threadsafe(stay(), self._loop.loop)]


class _Load:
    """Requests at a fixed rate, by a fixed number of clients."""

    def __init__(self, worker: Worker, items: Sequence[int], rate: float, clients: int) -> None:
        self._worker = worker
        self._items = items
        self._interval = 1 / rate if rate else 0.0
        self.begun = 0
        self._due = time.monotonic()
        self._lock = Lock()
        self._done = Event()
        self._pool = ThreadPoolExecutor(clients, thread_name_prefix="load")
        self._running = [self._pool.submit(self._run) for _ in range(clients)]

    def end(self) -> list[Read]:
        self._done.set()
        wait(self._running)
        self._pool.shutdown()
        return [read for each in self._running for read in each.result()]

    def _run(self) -> list[Read]:
        reads = []
        while not self._done.is_set():
            with self._lock:
                item = self._items[self.begun % len(self._items)]
                self.begun += 1
                due = self._due = max(self._due + self._interval, time.monotonic() - 0.5)
            if self._done.wait(max(0.0, due - time.monotonic())):
                break
            reads.append(self._worker._ask(item))
        return reads


class _Leaving:
    """Clients that do not stay to the end: before the head, or after some of it."""

    def __init__(self, worker: Worker, seed: int) -> None:
        self._worker = worker
        self._random = random.Random(seed)

    def all(self, items: Sequence[int], at_once: int) -> int:
        with ThreadPoolExecutor(at_once) as pool:
            plan = [(item, self._random.random(), self._random.randrange(5)) for item in items]
            return sum(pool.map(lambda each: self._leave(*each), plan))

    def _leave(self, item: int, share: float, chunks: int) -> bool:
        """Whether the client was gone before the end."""
        site = self._worker.site
        after = chunks or None
        call = site.start(path(item), leave_after=after)
        if after is None and site.flavour == "asgi":
            call.finished.wait(share * 0.05)
            call.future.cancel()  # as a server does when the connection is lost
        with suppress(BaseException):  # what the server would log
            call.result()
        return call.future.cancelled() or call.left
