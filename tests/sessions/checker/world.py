"""The servers, the worker processes and the clients of one scenario."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.connection import Connection
from typing import Any, Final

from regionware.parts.postgres import Cluster
from regionware.parts.proxy import ProxyProcess
from regionware.parts.redis import DATABASES, RedisServer
from tests.conformance.harness import Flavour
from tests.sessions.checker.crowd import Client, Crowd, Habits, Session, ask
from tests.sessions.checker.history import Op
from tests.sessions.checker.judge import Failover, Judge
from tests.sessions.checker.ledger import DEBUG, EPOCH, TABLE
from tests.sessions.checker.worker import CONTEXT, Place, Request, Setup, main

NEAR, FAR = "iad", "fra"
#: Where the workers of a scenario are.
WHERE: Final = (NEAR, FAR, NEAR, FAR)
CLIENTS: Final = 6
#: Counters that everybody writes.
SHARED: Final = 8
#: Counters that no client knows.
SPARE: Final = 8
#: Seconds after which a worker that does not answer has failed.
PATIENCE: Final = 60.0

_numbers = count(1)


class Process:
    """One worker, with a pipe for each client and one for the test."""

    def __init__(self, setup: Setup, clients: int) -> None:
        self.setup = setup
        self._control, control = CONTEXT.Pipe()
        pairs = [CONTEXT.Pipe() for _ in range(clients)]
        self.desks: list[Connection] = [ours for ours, _ in pairs]
        theirs = [end for _, end in pairs]
        self._process = CONTEXT.Process(target=main, args=(control, theirs, setup), daemon=True)
        self._process.start()
        for end in (control, *theirs):
            end.close()

    def begin(self, name: str) -> None:
        """Ask; `end` waits for the answer."""
        self._control.send(name)

    def end(self) -> Any:
        """The answer."""
        assert self._control.poll(PATIENCE), "a worker does not answer"
        good, found = self._control.recv()
        assert good, found
        return found

    def do(self, name: str) -> Any:
        """Ask, and wait."""
        self.begin(name)
        return self.end()

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            self._control.send("stop")
        self._process.join(2)
        self._process.kill()
        self._process.join()
        for pipe in (self._control, *self.desks):
            pipe.close()


@dataclass
class World:
    """What a scenario may break.

    Attributes:
        cluster: the primary, and its standbys `a` and `b`.
        redis: the Redis of each region, by name.
        workers: the processes.
        failover: what has become of the primary.
        items: the counters of the latest crowd.
        spare: those of them that its clients do not use.
    """

    cluster: Cluster
    redis: dict[str, RedisServer]
    workers: list[Process] = field(default_factory=list)
    failover: Failover | None = None
    items: range = range(0)
    spare: range = range(0)

    def all(self, name: str) -> list[Any]:
        """Ask all workers at once."""
        for each in self.workers:
            each.begin(name)
        return [each.end() for each in self.workers]

    def counts(self, event: str) -> int:
        """How often something happened in all of them."""
        return sum(
            number
            for counts in self.all("counts")
            for name, number in counts.items()
            if name.partition(":")[0] == event
        )

    def crowd(self, habits: Habits) -> Crowd:
        """Clients with counters that nobody has used."""
        size = habits.sessions
        need = CLIENTS * size + SHARED + SPARE
        first = next(_numbers) * 10_000
        self.cluster.primary.query(
            f"INSERT INTO ledger (id, value) SELECT n, {EPOCH}"
            f" FROM generate_series({first}, {first + need - 1}) AS n"
        )
        self.cluster.settle()
        self.spare = range(first + need - SPARE, first + need)
        self.items = range(first, first + need)
        shared = range(first, first + SHARED)
        regions = [each.setup.here for each in self.workers]
        clients = [
            Client(
                number, [each.desks[number] for each in self.workers], regions, FAR, habits,
                range(first + SHARED + number * size, first + SHARED + (number + 1) * size), shared,
            )
            for number in range(CLIENTS)
        ]  # fmt: skip
        return Crowd(clients, habits.rate)

    def ask(
        self, worker: int, method: str, path: str, query: str = "", session: Session | None = None
    ) -> Op:
        """One request of the test's own, by default a stranger's."""
        each = self.workers[worker]
        request = Request(method, path, query, {"Regionware-Debug": DEBUG})
        return ask(session or Session("", -1), each.desks[-1], worker, each.setup.here, request)

    def judge(self, crowd: Crowd, also: Sequence[Op] = ()) -> Judge:
        """The verdict on all that the clients saw, and what the test itself has seen."""
        bound: float = self.workers[0].do("bound")
        return Judge(
            [*crowd.ops, *also], bound=bound, port=self.cluster.primary.port, failover=self.failover
        )


def made(cluster: Cluster) -> Cluster:
    """A cluster with two standbys and the table."""
    cluster.replica("a")
    cluster.replica("b")
    cluster.primary.query(TABLE)
    cluster.settle()
    return cluster


@contextmanager
def opened(
    cluster: Cluster,
    redis: dict[str, RedisServer],
    flavours: Sequence[Flavour],
    *,
    mutant: str = "",
    split: bool = False,
    distance: float = 0.0,
) -> Iterator[World]:
    """Workers of both regions, each over one of these protocols in turn.

    Args:
        cluster: from `made`.
        redis: of each region.
        flavours: the first worker's, the second's, and so on, from the beginning again.
        mutant: what is broken in all of them.
        split: each region has one of the standbys; else the far one has both.
        distance: seconds from the far region to the primary, in each direction.
    """
    for server in redis.values():
        # Another database: workers of an earlier scenario may still be about to end.
        server.database = (server.database + 1) % DATABASES
        server.flush()
    world = World(cluster, redis)
    with ExitStack() as stack:
        away = cluster.url
        if distance:
            port = cluster.primary.port
            line = stack.enter_context(ProxyProcess([port], distance))
            away = away.replace(f":{port}/", f":{line.ports[port]}/")
        for number, here in enumerate(WHERE):
            # Both protocols in both regions, where there are two.
            flavour = flavours[(number // 2 + number) % len(flavours)]
            primary = away if here == FAR else cluster.url
            setup = Setup(flavour, here, _places(world, primary, split=split), mutant)
            world.workers.append(Process(setup, CLIENTS + 1))
            stack.callback(world.workers[-1].close)
        world.all("ready")
        yield world


def _places(world: World, primary: str, *, split: bool) -> tuple[Place, ...]:
    urls, redis = {name: each.url for name, each in world.cluster.replicas.items()}, world.redis
    near, far = ((urls["b"],), (urls["a"],)) if split else ((), (urls["a"], urls["b"]))
    return (
        Place(NEAR, redis[NEAR].url, primary, near),
        Place(FAR, redis[FAR].url, None, far),
    )
