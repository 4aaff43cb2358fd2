"""One simulation: a seed, a world, some trouble, and a verdict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from regionware.caching.breaker import Breaker
from regionware.caching.coherence import BOUND
from regionware.testing.simulator.faults import HELD, Fault
from regionware.testing.simulator.history import History, Violation
from regionware.testing.simulator.network import FAR, Link, SimulatedLines
from regionware.testing.simulator.server import Server
from regionware.testing.simulator.worker import ITEMS, Worker
from regionware.testing.simulator.world import ProcessLoop, World
from regionware.topology import Region, Topology

_REGIONS = ("ams", "syd")
#: A process's clock runs this much fast or slow at most.
_DRIFT = 0.0005
#: Seconds in which everything must come to rest, once nothing goes wrong any more.
_PATIENCE = 60.0
_HOW = ("tags", "tags", "tags", "url", "url", "everything")
_TRACE = 60


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a simulation is made of, besides its seed.

    Attributes:
        seconds: for how long things go wrong.
        faults: what may go wrong.
        rate: requests per second for each worker.
        purges: changes and purges per second, in all.
    """

    seconds: float = 14.0
    faults: Sequence[Fault] = HELD
    rate: float = 6.0
    purges: float = 1.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a seed.

    Attributes:
        seed: which.
        reads: how many answers were judged.
        purges: how many purges were ordered.
        violations: promises that were broken; empty if all is well.
        trace: everything that happened, a line each.
    """

    seed: int
    reads: int
    purges: int
    violations: Sequence[Violation]
    trace: Sequence[str] = field(repr=False)

    def __str__(self) -> str:
        """The seed, the first violation, and what led there."""
        if not self.violations:
            return f"seed {self.seed}: {self.reads} reads, {self.purges} purges, all promises kept"
        first = self.violations[0]
        lines = [
            line for line in self.trace if not first.item or first.item in line or "==" in line
        ]
        at = next((i for i, line in enumerate(lines) if "VIOLATION" in line), len(lines) - 1)
        shown = lines[max(at + 1 - _TRACE, 0) : at + 1]
        again = f"python -m regionware.testing.simulator --seed {self.seed} --trace"
        head = f"seed {self.seed}: {len(self.violations)} broken promises; the first: {first.text}"
        return "\n".join([head, *shown, f"again: {again}"])


def simulate(seed: int, scenario: Scenario | None = None) -> Outcome:
    """Run one seed; the same seed and scenario give the same outcome.

    Raises:
        ConfigurationError: lupa is not installed.
    """
    return Simulation(seed, scenario or Scenario()).run()


class Simulation:
    """Regions, workers, servers, and those who ask.

    Attributes:
        world: its clock and its dice.
        regions: the names.
        workers: the processes that live.
        items: what is asked for.
    """

    def __init__(self, seed: int, scenario: Scenario) -> None:
        """Start everything."""
        self.seed = seed
        self.scenario = scenario
        self.world = World(seed)
        self.dice = self.world.random
        self.regions = list(_REGIONS[: self.dice.choice((1, 2, 2))])
        self.history = History(self.world, self.regions, BOUND * (1 + 2 * _DRIFT))
        self.servers = {
            name: Server(self.world, name, partial(self.history.lost, name))
            for name in self.regions
        }
        self._links: dict[tuple[str, str, bool], Link] = {}
        self._numbers = count(1)
        self.items = self.dice.sample(ITEMS, 4)
        self.workers: list[Worker] = []
        self._ended: list[Worker] = []
        for region in self.regions:
            for _ in range(self.dice.choice((1, 2, 3))):
                self.start(region)

    # What there is

    def start(self, region: str) -> Worker:
        """Start a worker of a region."""
        name = f"{region}-{next(self._numbers)}"
        rate = self.dice.uniform(1 - _DRIFT, 1 + _DRIFT)
        loop = ProcessLoop(self.world, name, rate=rate, start=self.dice.uniform(0, 1e6))
        places = [
            Region(r, primary=r == self.regions[0], redis=f"redis://{r}") for r in self.regions
        ]
        topology = Topology(here=region, regions=places)
        connect = partial(self._connect, loop, region)
        worker = Worker(loop, topology, self.history, connect)
        self.workers.append(worker)
        return worker

    def retire(self, worker: Worker) -> None:
        """Ask a worker no more; what it has begun it may finish."""
        self.workers.remove(worker)
        self._ended.append(worker)

    def replace(self, worker: Worker) -> None:
        """Kill a worker, and start another."""
        self.retire(worker)
        worker.kill()
        self.start(worker.region)

    def _connect(
        self, loop: ProcessLoop, here: str, url: str, deadline: float, *, background: bool,
        breaker: Breaker | None = None,
    ) -> SimulatedLines:  # fmt: skip
        region = url.removeprefix("redis://")
        link = self.link(loop.name, region, background=background, far=region != here)
        return SimulatedLines(loop, self.servers[region], link, deadline, breaker)

    def link(self, worker: str, region: str, *, background: bool, far: bool = False) -> Link:
        """How a worker's messages travel."""
        made = Link(FAR) if far else Link()
        return self._links.setdefault((worker, region, background), made)

    # What faults choose from

    def seconds(self, least: float, most: float) -> float:
        """Some seconds, rather few than many."""
        return least + (most - least) * self.dice.random() ** 2

    def any_worker(self) -> Worker:
        """One that lives."""
        return self.dice.choice(self.workers)

    def any_server(self) -> Server:
        """One region's Redis."""
        return self.servers[self.dice.choice(self.regions)]

    def any_link(self) -> tuple[Link, str]:
        """One of those between a worker and its own Redis."""
        worker, background = self.any_worker(), self.dice.random() < 0.5
        which = "log" if background else "calls"
        link = self.link(worker.name, worker.region, background=background)
        return link, f"{worker.name}'s line for {which}"

    def far_links(self) -> list[Link]:
        """All between regions."""
        return [link for link in self._links.values() if link.delay == FAR]

    # What happens

    def run(self) -> Outcome:
        """Everything, to the verdict."""
        end = self.scenario.seconds
        self._plan(end)
        self.world.run(end)
        self._heal()
        self._come_to_rest()
        asked = [
            worker.loop.create_task(worker.rest(item))
            for worker in self.workers
            for item in self.items
        ]
        self._until(lambda: all(task.done() for task in asked), "an answer at rest is missing")
        for worker in (*self.workers, *self._ended):
            worker.loop.kill()
        for error in self.world.errors:
            self.history.failed(error)
        found = self.history
        return Outcome(
            self.seed,
            found.reads,
            len(found.purges),
            tuple(found.violations),
            list(self.world.trace),
        )

    def _plan(self, end: float) -> None:
        """Draw what will happen when."""
        world, dice = self.world, self.dice
        for _ in range(dice.randint(2, 7)):
            fault = dice.choice(self.scenario.faults)
            world.at(dice.uniform(1, end), partial(self._break, fault))
        for _ in range(int(self.scenario.purges * end)):
            world.at(dice.uniform(0.5, end), self._purge)
        for _ in range(int(self.scenario.rate * len(self.workers) * end)):
            world.at(dice.uniform(0, end), self._read)

    def _break(self, fault: Fault) -> None:
        self.world.tell("FAULT ==", fault(self))

    def _read(self) -> None:
        worker, item = self.any_worker(), self.dice.choice(self.items)
        reload = self.world.chance(0.02)
        task = worker.loop.create_task(worker.read(item, reload=reload))
        if self.world.chance(0.02):
            self.world.after(self.dice.uniform(0, 0.05), lambda: worker.loop.call_soon(task.cancel))

    def _purge(self) -> None:
        worker, item = self.any_worker(), self.dice.choice(self.items)
        if self.world.chance(0.15):
            worker.loop.create_task(worker.post(item))
        else:
            worker.loop.create_task(worker.purge(item, self.dice.choice(_HOW)))

    def _heal(self) -> None:
        self.world.tell("FAULT ==", "nothing goes wrong any more")
        for link in self._links.values():
            link.heal()

    def _come_to_rest(self) -> None:
        """Wait until nobody stands still and what is queued has arrived, then for the bound."""
        awake = max(
            *(worker.loop.frozen_until for worker in self.workers),
            *(max(server.frozen_until, server.down_until) for server in self.servers.values()),
        )
        self.world.run(max(awake, self.world.now))
        self._until(self._delivered, "purges are not delivered")
        self.world.run(self.world.now + BOUND + 1)

    def _delivered(self) -> bool:
        return self.history.settled and not any(worker.queued for worker in self.workers)

    def _until(self, holds: Callable[[], bool], failure: str) -> None:
        limit = self.world.now + _PATIENCE
        while not holds():
            if self.world.now > limit:
                self.history.failed(failure)
                return
            self.world.run(self.world.now + 0.5)
