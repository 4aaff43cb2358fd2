"""What goes wrong in one simulation: drawn from its dice, at moments drawn from its dice."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from regionware.testing.simulator.server import Server

if TYPE_CHECKING:
    from regionware.testing.simulator.run import Simulation

Fault = Callable[["Simulation"], str]

#: Seconds by which the clock of a server that takes over may be behind.
_BEHIND = (0.0, 0.2, 3.0)


def lossy(run: "Simulation") -> str:
    """Messages between a worker and its Redis are lost, before or after they are executed."""
    link, name = run.any_link()
    seconds, loss = run.seconds(0.1, 8), run.dice.choice((0.1, 0.4, 0.8))
    link.lossy_until, link.loss = run.world.now + seconds, loss
    return f"{name} loses {loss:.0%} for {seconds:.2f} s"


def slow(run: "Simulation") -> str:
    """Messages are late, and overtake each other."""
    link, name = run.any_link()
    seconds, late = run.seconds(0.1, 8), run.dice.choice((0.02, 0.06, 0.5, 2.0))
    link.slow_until, link.slow = run.world.now + seconds, late
    return f"{name} is up to {late} s late for {seconds:.2f} s"


def partition(run: "Simulation") -> str:
    """A worker and a Redis do not hear each other; other connections of the worker may."""
    link, name = run.any_link()
    seconds = run.seconds(0.2, 12)
    link.cut_until = run.world.now + seconds
    return f"{name} is cut for {seconds:.2f} s"


def deafen(run: "Simulation") -> str:
    """A worker does not hear the log, and everything else works."""
    worker = run.any_worker()
    seconds = run.seconds(2, 14)
    run.link(worker.name, worker.region, background=True).cut_until = run.world.now + seconds
    return f"{worker.name} is deaf for {seconds:.2f} s"


def cut(run: "Simulation") -> str:
    """The connections that wait for the log break."""
    server = run.any_server()
    server.cut()
    return f"connections of {server.name} are cut"


def double(run: "Simulation") -> str:
    """What is relayed comes twice, the second time late."""
    for link in run.far_links():
        link.doubled = 0.5
    return "relayed messages come twice"


def freeze_worker(run: "Simulation") -> str:
    """A process stands still, perhaps for longer than its lease and the bound."""
    worker = run.any_worker()
    seconds = run.dice.choice((0.06, 0.5, 3.0, 5.5, 11.0))
    worker.loop.freeze(seconds)
    return f"{worker.name} is frozen for {seconds} s"


def kill_worker(run: "Simulation") -> str:
    """A process dies, and another is started."""
    worker = run.any_worker()
    run.replace(worker)
    return f"{worker.name} is killed"


def add_worker(run: "Simulation") -> str:
    """One more process is started."""
    return f"{run.start(run.dice.choice(run.regions)).name} is started"


def freeze_server(run: "Simulation") -> str:
    """A Redis stands still; what it was sent is executed afterwards."""
    server, seconds = run.any_server(), run.dice.choice((0.04, 0.3, 2.0, 7.0))
    server.freeze(seconds)
    return f"{server.name} is frozen for {seconds} s"


def lose_server(run: "Simulation") -> str:
    """A Redis dies, and comes back without its data."""
    server, down = run.any_server(), run.seconds(0, 2)
    server.lose(down, 0.0)
    return f"{server.name} loses everything, down for {down:.2f} s"


def evict(run: "Simulation") -> str:
    """A full Redis drops keys, fences and clock among them."""
    server = run.any_server()
    gone = server.evict(run.dice.choice((0.2, 0.7)), spare=(b":log",))
    return f"{server.name} evicts {len(gone)} keys"


def part_regions(run: "Simulation") -> str:
    """What is relayed does not arrive for a while."""
    seconds = run.seconds(0.5, 10)
    for link in run.far_links():
        link.cut_until = run.world.now + seconds
    return f"regions are parted for {seconds:.2f} s"


def _oversleep(run: "Simulation", then: Callable[[Server], None]) -> str:
    """A process stands still; just before it goes on, the log that it reads is no more."""
    worker, seconds = run.any_worker(), run.dice.uniform(1.2, 4)
    worker.loop.freeze(seconds)
    server = run.servers[worker.region]
    run.world.after(seconds - 0.001, lambda: then(server))
    return f"{worker.name} sleeps for {seconds:.2f} s, and then"


def flush(run: "Simulation") -> str:
    """Somebody says FLUSHALL, while a worker sleeps."""
    return f"{_oversleep(run, Server.flush)} all is flushed"


def evict_log(run: "Simulation") -> str:
    """A full Redis drops keys, the log among them, while a worker sleeps."""
    share = run.dice.choice((0.0, 0.3))

    def drop(server: Server) -> None:
        server.evict(share)
        server.evict(1.0, only=(b":log",))

    return f"{_oversleep(run, drop)} the log is evicted"


def trim_log(run: "Simulation") -> str:
    """The log is shortened while a worker sleeps that is still to read it."""
    most = run.dice.choice((0, 1, 2))
    return f"{_oversleep(run, lambda server: server.trim(b':log', most))} the log is trimmed"


def lose_clock(run: "Simulation") -> str:
    """A Redis dies, and comes back without its data, with its clock behind."""
    server, down, behind = run.any_server(), run.seconds(0, 2), run.dice.choice(_BEHIND)
    server.lose(down, behind)
    _start_soon(run, server, down)
    return f"{server.name} loses everything, down for {down:.2f} s, {behind} s behind"


def fail_over(run: "Simulation") -> str:
    """A replica takes over that misses the last writes, with its clock behind."""
    server, missed, down = run.any_server(), run.dice.uniform(0.01, 3), run.seconds(0, 1)
    behind = run.dice.choice(_BEHIND)
    server.replicate()
    run.world.after(missed, lambda: server.fail_over(down, behind))
    _start_soon(run, server, missed + down)
    return f"{server.name} fails over in {missed:.2f} s, without what comes until then"


def _start_soon(run: "Simulation", server: Server, seconds: float) -> None:
    """Often a worker starts meanwhile, or soon after: it knows of nothing."""
    if run.dice.random() < 0.7:
        run.world.after(seconds + run.seconds(-0.1, 2), lambda: run.start(server.name))


#: Everything that the protections of today hold against.
HELD: tuple[Fault, ...] = (
    lossy, slow, partition, deafen, cut, double, freeze_worker, kill_worker, add_worker,
    freeze_server, lose_server, evict, part_regions,
)  # fmt: skip
#: What loses acknowledged purges without a trace: it takes an epoch, and a check for gaps.
HARD: tuple[Fault, ...] = (flush, evict_log, trim_log, lose_clock, fail_over)
