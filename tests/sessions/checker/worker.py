"""One worker process: a `Regionware` around the ledger, with a pipe for each client."""

import multiprocessing
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, NamedTuple

from regionware import Region, Regionware, Topology
from tests.conformance.harness import Flavour, Loop, Site, until
from tests.sessions.checker import mutants
from tests.sessions.checker.ledger import DEBUG, ROUTES, SECRET, Ledger

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.faults.drills.worker", "tests.sessions.checker.worker"])


@dataclass(frozen=True)
class Place:
    """A region: its Redis, its database if it has the primary, and its replicas."""

    name: str
    redis: str
    database: str | None
    replicas: tuple[str, ...]


@dataclass(frozen=True)
class Setup:
    """What a worker is made of.

    Attributes:
        flavour: the protocol.
        here: the name of its region.
        places: all regions, the primary's first.
        mutant: what is broken in it; see `mutants.py`.
    """

    flavour: Flavour
    here: str
    places: tuple[Place, ...]
    mutant: str = ""

    def topology(self) -> Topology:
        regions = [
            Region(
                each.name, primary=not number, redis=each.redis, database=each.database,
                replicas=list(each.replicas),
            )
            for number, each in enumerate(self.places)
        ]  # fmt: skip
        return Topology(here=self.here, regions=regions)


class Request(NamedTuple):
    """What a client sends."""

    method: str
    path: str
    query: str
    headers: dict[str, str]


class Response(NamedTuple):
    """What it is answered; the status is 0 where there was an exception instead."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


def main(control: Connection, desks: Sequence[Connection], setup: Setup) -> None:
    """Answer until told to stop."""
    mutants.become(setup.mutant)
    worker = Worker(setup)
    for desk in desks:
        Thread(target=worker.serve, args=(desk,), daemon=True).start()
    with suppress(EOFError):  # the test has died
        while (name := control.recv()) != "stop":
            try:
                control.send((True, getattr(worker, name)()))
            except Exception as error:  # noqa: BLE001 - it is raised where somebody looks
                control.send((False, repr(error)))
    os._exit(0)  # whatever hangs


class Worker:
    """What runs in the process."""

    def __init__(self, setup: Setup) -> None:
        ledger = Ledger()
        self.rw = ledger.rw = Regionware(
            topology=setup.topology(), routes=ROUTES, secret=SECRET, debug=DEBUG
        )
        self._site = Site(setup.flavour, self.rw, ledger, Loop())

    def serve(self, desk: Connection) -> None:
        """Answer one client, whose requests come one after the other."""
        with suppress(EOFError, OSError):
            while True:
                desk.send(self._answer(desk.recv()))

    def _answer(self, ask: Request) -> Response:
        try:
            found = self._site.get(
                ask.path, method=ask.method, query=ask.query, headers=ask.headers
            )
        except BaseException as error:  # noqa: BLE001 - what the client of a server would see
            return Response(0, (), repr(error).encode())
        return Response(found.status, found.headers, found.body)

    # What the test asks

    def ready(self) -> bool:
        """Wait until it knows its databases, and has heard from its Redis."""
        self.rw.start()
        databases, log = self.rw._parts.databases, self.rw._parts.rim._log
        assert databases is not None
        assert log is not None
        until(lambda: all(mark.fresh is not None for mark in databases.marks.values()))
        until(log.synced.is_set)
        return True

    def timeline(self) -> int:
        """The timeline on which it knows a primary; 0 while it knows none."""
        databases = self.rw._parts.databases
        assert databases is not None
        known = databases.known
        return known.timelines.current if known.primary is not None else 0

    def counts(self) -> dict[str, int]:
        """How often what happened."""
        return self.rw.counts()

    def bound(self) -> float:
        """The exported bound."""
        return self.rw.staleness_bound

    def forget(self) -> None:
        """Empty its memory."""
        self.rw.memory.clear()

    def pid(self) -> Any:
        """Which process it is."""
        return os.getpid()
