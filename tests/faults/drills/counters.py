"""The drill's side of `clerk`: fleets whose workers have databases."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from regionware.parts.postgres import Cluster
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour, until
from tests.faults.drills.clerk import Desk, Duty, desk
from tests.faults.drills.fleet import Fleet, Process
from tests.faults.drills.switches import Hosts
from tests.faults.drills.visits import Visits
from tests.faults.drills.worker import Setup

#: Items that nobody writes.
QUIET = range(300, 340)

#: Seconds that one request may take beyond what was configured: the machine may be slow.
AMPLE = 3.0


def desks(flavour: Flavour, server: RedisServer, cluster: Cluster) -> Callable[..., Desk]:
    """Makes desks, over one protocol, on this Redis and these databases; see `desk`."""
    setup = Setup(flavour, {"fra": server.url})
    return partial(desk, setup, cluster.url, cluster.replicas["fra"].url)


def readers(number: int, *paths: str) -> list[Duty]:
    """Sessions that only read, in turn: what the others write, and what nobody does."""
    busy = tuple(range(1, 60))
    return [Duty(paths, busy[n:] + busy[:n] + tuple(QUIET)) for n in range(number)]


def writers(number: int, *paths: str, every: int = 4) -> list[Duty]:
    """Sessions that each write an item of their own, and read that and those of others."""
    return [Duty(paths, (n, n, n % number + 1), own=n, every=every) for n in range(1, number + 1)]


def shifted(duties: Sequence[Duty], place: int) -> list[Duty]:
    """The same for another worker: nobody else writes the items that its sessions write."""
    return [replace(d, own=d.own + 20 * place, items=tuple(i + 20 * place for i in d.items))
            if d.own else d for d in duties]  # fmt: skip


@contextmanager
def served(fleet: Fleet, duties: Sequence[Duty], rate: float) -> Iterator[list[Visits]]:
    """Sessions all the while, `rate` requests in a second in each worker.

    What was seen is in the list afterwards.
    """
    seen: list[Visits] = []
    for place, worker in enumerate(fleet.workers):
        worker.do("serve", shifted(duties, place), rate)
    try:
        yield seen
    finally:
        seen.append(Visits.of_all(fleet.all("leave")))


def known(worker: Process) -> Hosts:
    """What a worker knows of the databases."""
    found: Hosts = worker.do("known")
    return found


def knows(worker: Process, what: Callable[[Hosts], bool]) -> None:
    """Wait until a worker knows this of the databases."""
    seldom(lambda: what(known(worker)))


def answered(worker: Process, what: str, since: float, *, replica: bool) -> None:
    """Wait until a request of this kind, asked from this moment on, was answered so."""
    seldom(lambda: bool(worker.do("latest", what, replica) >= since))


def seldom(condition: Callable[[], bool]) -> None:
    """Wait for what a worker is asked for: not so often that it has nothing else to do."""

    def asked() -> bool:
        time.sleep(0.02)
        return condition()

    until(asked, 60)
