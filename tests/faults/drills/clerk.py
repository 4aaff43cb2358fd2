"""A worker with databases, and the sessions that it serves at a fixed rate."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import cycle
from threading import Event
from typing import Any

from regionware import Region, Topology
from regionware.policies import Route
from regionware.policies.database import Unmet
from tests.conformance.application import Application
from tests.conformance.harness import Answer, until
from tests.faults.drills import ledger, switches
from tests.faults.drills.ledger import DEBUG, SECRET, Ledger
from tests.faults.drills.origin import Origin
from tests.faults.drills.visits import Visit
from tests.faults.drills.worker import PATIENT, Setup, Worker
from tests.sessions.shop import Customer


@dataclass(frozen=True)
class Desk(Setup):
    """What a worker with databases is made of; the regions' Redis servers as in `Setup`.

    Attributes:
        primary: the URL of the database of the region `iad`.
        replica: that of the region `fra`.
        limits: what its pools may use, where it differs from what is usual; see `Limits`.
        unmet: what the routes say of reads that no replica answers.
    """

    here: str = "fra"
    primary: str = ""
    replica: str = ""
    limits: dict[str, Any] = field(default_factory=dict)
    unmet: Unmet = "primary"

    def topology(self) -> Topology:
        """The primary is far away, and a replica near; or the other way round."""
        iad = Region("iad", primary=True, database=self.primary, redis=self.regions.get("iad"))
        fra = Region("fra", replicas=[self.replica], redis=self.regions.get("fra"))
        return Topology(here=self.here, regions=[iad, fra])

    def routes(self) -> list[Route]:
        """A route for each policy."""
        return ledger.routes(self.unmet)

    def employ(self, origin: Origin) -> "Clerk":
        """The worker, in its process."""
        return Clerk(self, origin)


def desk(setup: Setup, primary: str, replica: str, *off: str, apart: str = "", **more: Any) -> Desk:
    """A desk with the protocol and the Redis servers of a setup.

    Args:
        setup: gives these.
        primary: the URL of the primary.
        replica: the URL of the replica.
        off: protections that are switched off.
        apart: a namespace of its own, for a worker that is not to mislead others.
        more: further attributes.
    """
    options = {"secret": SECRET, "debug": DEBUG, **({"namespace": apart} if apart else {})}
    return Desk(
        setup.flavour, setup.regions, primary=primary, replica=replica, off=(*PATIENT, *off),
        options=options, **more,
    )  # fmt: skip


@dataclass(frozen=True)
class Duty:
    """What one session does, again and again.

    Attributes:
        paths: where it reads, in turn.
        items: what it reads, in turn.
        own: the item that nobody but this session writes; 0 if it writes nothing.
        every: each how-manieth of its requests is a write, if it writes.
        seconds: how long each statement takes.
    """

    paths: tuple[str, ...]
    items: tuple[int, ...]
    own: int = 0
    every: int = 4
    seconds: float = 0.0


class Clerk(Worker):
    """What runs in the process; commands as in `Worker`."""

    _setup: Desk

    def __init__(self, setup: Desk, origin: Origin) -> None:
        super().__init__(setup, origin)
        self._round: _Round | None = None
        self._waiting: list[_Session] = []
        #: When the latest good answer was asked for, by its kind, and whether a replica gave it.
        self._latest: dict[tuple[str, bool], float] = {}
        self._worst: dict[str, tuple[int, int]] = {}

    def _application(self) -> Application:
        application = Ledger()
        application.rw = self.rw
        switches.limit(self.rw, self._setup.limits)
        return application

    def ready(self) -> bool:
        """Wait until this process knows its databases, and has heard of its region."""
        self.rw.start()
        until(lambda: switches.knows_hosts(self.rw))
        return super().ready() if self._setup.topology().here.redis else True

    def note(self, visit: Visit) -> None:
        """Remember of a visit what a drill may wait for."""
        if visit.good:
            self._latest[visit.what, visit.replica] = visit.began
        calls, failed = self.worst(visit.what)
        self._worst[visit.what] = max(calls, visit.calls), failed + (not visit.good)

    def known(self) -> switches.Hosts:
        """What it knows of the databases."""
        return switches.hosts(self.rw)

    def latest(self, what: str, replica: bool) -> float:
        """When the latest good answer of a kind was asked for; 0 if never."""
        return self._latest.get((what, replica), 0.0)

    def worst(self, what: str) -> tuple[int, int]:
        """Of a kind: most calls of the application for one request, and how many failed."""
        return self._worst.get(what, (0, 0))

    def serve(self, duties: Sequence[Duty], rate: float) -> None:
        """Let one session for each duty ask, so many requests in a second, until `leave`."""
        assert self._round is None, "there is one"
        self._round = _Round(self, duties, rate)

    def leave(self) -> list[Visit]:
        """End that; every visit."""
        assert self._round is not None, "there is none"
        turn, self._round = self._round, None
        return turn.end()

    def admit(self, duties: Sequence[Duty]) -> None:
        """Sessions that ask only when they are told to, by `write` and `read`."""
        self._waiting = [_Session(self, duty, 500 + n) for n, duty in enumerate(duties)]

    def write(self) -> list[Visit]:
        """Each of them writes its own item."""
        return [session.write() for session in self._waiting]

    def read(self, path: str) -> list[Visit]:
        """Each of them reads the next of its items."""
        return [session.read(path) for session in self._waiting]

    def look(self, path: str, items: Sequence[int]) -> list[Visit]:
        """What a new session is shown of each of these items."""
        return [_Session(self, Duty((), (item,)), 600 + item).read(path) for item in items]


class _Round:
    """Sessions that ask at a fixed rate, each in a thread of its own."""

    def __init__(self, clerk: Clerk, duties: Sequence[Duty], rate: float) -> None:
        self._interval = len(duties) / rate
        self._done = Event()
        self._pool = ThreadPoolExecutor(len(duties), thread_name_prefix="session")
        self._running = [
            self._pool.submit(self._run, _Session(clerk, duty, number), number / rate)
            for number, duty in enumerate(duties)
        ]

    def end(self) -> list[Visit]:
        self._done.set()
        wait(self._running)
        self._pool.shutdown()
        return [visit for each in self._running for visit in each.result()]

    def _run(self, session: "_Session", late: float) -> list[Visit]:
        visits: list[Visit] = []
        due = time.monotonic() + late
        while not self._done.wait(max(0.0, due - time.monotonic())):
            visits.append(session.go())
            due = max(due + self._interval, time.monotonic() - 0.5)
        return visits


class _Session:
    """A client with cookies; in all, it asks for one thing at a time."""

    def __init__(self, clerk: Clerk, duty: Duty, number: int) -> None:
        self._clerk = clerk
        self._client = os.getpid() * 1000 + number
        self._duty = duty
        self._customer = Customer(clerk.site)
        self._paths, self._items = cycle(duty.paths), cycle(duty.items)
        self._sent = self._number = 0

    def go(self) -> Visit:
        """Its next request."""
        self._number += 1
        if self._duty.own and self._number % self._duty.every == 1:
            return self.write()
        return self.read(next(self._paths))

    def write(self) -> Visit:
        """A new value for its own item."""
        self._sent += 1
        return self._ask("PUT", "write", self._duty.own, f"value={self._sent}")

    def read(self, path: str) -> Visit:
        """The next of its items."""
        return self._ask("GET", path, next(self._items), "")

    def _ask(self, method: str, what: str, item: int, query: str) -> Visit:
        path = f"/session/{item}" if what == "write" else f"/{what}/{item}"
        if self._duty.seconds:
            query = f"{query}&seconds={self._duty.seconds}".lstrip("&")
        began = time.monotonic()
        told: dict[str, Any]
        try:
            answer = self._customer.ask(method, path, query, regionware_debug=DEBUG)
            told = _facts(answer, item)
        except Exception as error:  # noqa: BLE001 - that is what the client of a server would see
            told = {"status": 0, "error": repr(error)}
        visit = Visit(
            began, time.monotonic() - began, self._client, what, item,
            self._sent if what == "write" else 0, pid=os.getpid(), **told,
        )  # fmt: skip
        self._clerk.note(visit)
        return visit


def _facts(answer: Answer, item: int) -> dict[str, Any]:
    """What an answer says of itself."""
    said: dict[str, Any] = json.loads(answer.body)
    made_from = json.loads(answer["regionware-provenance"] or "{}")
    hosts: list[Mapping[str, str]] = made_from.get("hosts") or []
    return {
        "status": answer.status,
        "value": said.get("value") if said.get("item") == item else None,
        "replica": bool(said.get("replica")),
        "port": said.get("port", 0),
        "reason": hosts[-1]["reason"] if hosts else "",
        "error": said.get("error", ""),
        "hit": bool(answer["cache-status"]) and answer.hit,
        "token": bool(answer.all("set-cookie")),
        "calls": said.get("calls", 0),
    }
