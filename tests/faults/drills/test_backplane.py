"""F8, F9 and chaos: workers that do not hear of purges, for a while or again and again.

In each of them one worker is the positive control: it hears nothing, and trusts its memory all
the same. What it answers must be found.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Thread

from regionware.parts.process import ServerFailed
from regionware.parts.proxy import DelayProxy
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour, until
from tests.faults.drills.conftest import Launch
from tests.faults.drills.evidence import Evidence, going_back, milliseconds, sound
from tests.faults.drills.fleet import Fleet, Process
from tests.faults.drills.forms import Measure, Scale, forms
from tests.faults.drills.worker import Setup

ITEMS = range(12)
RATE = 100


def judged(measure: Measure, fleet: Fleet, seen: Evidence, deaf: Process, bound: float) -> None:
    """Nobody is older than the bound, but the one who does not keep it; nothing else is noticed."""
    purger = fleet[0].pid
    honest = seen.of(*(worker.pid for worker in fleet.workers if worker is not deaf))
    sound(seen, least=100)
    assert any(read.began > min(fleet.purges.acknowledged[0])[0] + bound for read in honest.reads)
    assert honest.stale(fleet.purges, bound)[:3] == []
    assert honest.of(purger).stale(fleet.purges, 0.0)[:3] == []
    assert going_back(honest.reads)[:3] == []
    assert seen.of(deaf.pid).stale(fleet.purges, bound) != []
    measure("answers, purges", f"{len(honest)}, {len(fleet.purges)}", "")
    measure("stale beyond the bound", "0", "0")
    measure("longest staleness", milliseconds(honest.lag(fleet.purges)), f"{bound:.0f} s")


def at_rest(fleet: Fleet, honest: Sequence[Process]) -> None:
    """Nothing wrong is left, neither in memory nor in Redis."""
    until(lambda: fleet.current(ITEMS, honest))
    for worker in honest:
        worker.do("forget")
    assert fleet.current(ITEMS, honest)


@contextmanager
def no_log(server: RedisServer) -> Iterator[None]:
    """Nobody may read the log: readers are cut, and refused when they come again."""
    server.command("ACL SETUSER default -xread -xreadgroup -subscribe -psubscribe")
    cut(server, "xread")
    yield
    server.command("ACL SETUSER default +@all")


def cut(server: RedisServer, last: str = "") -> None:
    """Kill every connection, or those whose last command was this one."""
    if not last:
        with suppress(ServerFailed, OSError):
            server.command("CLIENT KILL TYPE normal")
        return
    for line in server.command("CLIENT LIST").splitlines():
        fields = dict(field.partition("=")[::2] for field in line.split())
        if fields["cmd"] == last:
            with suppress(ServerFailed):
                server.command(f"CLIENT KILL ID {fields['id']}")


@forms("asgi")
class TestLogAway:
    """F8."""

    def test_the_bound_holds_and_nothing_is_missed(
        self, flavour: Flavour, scale: Scale, launch: Launch, measure: Measure, server: RedisServer
    ) -> None:
        honest = [Setup(flavour, {"here": server.url})] * 3
        fleet = launch(*honest, Setup(flavour, {"here": server.url}, off=("hearing",)))
        fleet.all("ready", but=fleet.workers[3:])
        fleet.warm(ITEMS)
        deaf, bound = fleet[3], fleet[0].do("bound")
        with fleet.under_load(ITEMS, RATE) as seen:
            with no_log(server):
                away = scale(bound + 2, 12)
                enough = scale(50, 200)
                fleet.purge_for(away, fleet[0], ITEMS, pause=away / 220, least=enough)
            back = time.monotonic()
            until(lambda: fleet.current(ITEMS, fleet.workers[:3]))
            healed = time.monotonic() - back
        judged(measure, fleet, seen[0], deaf, bound)
        assert len(fleet.purges) >= enough
        afterwards = Evidence([])
        for _ in range(scale(20, 150)):
            for worker in fleet.workers[:3]:
                afterwards += Evidence(worker.do("each", ITEMS))
        sound(afterwards, least=scale(700, 5000))
        assert afterwards.stale(fleet.purges, 0.0) == []
        at_rest(fleet, fleet.workers[:3])
        measure("all heard after the log is back", milliseconds(healed), "1 s")
        measure("answers after that, stale", f"{len(afterwards)}, 0", "5,000, 0")


@forms("wsgi")
class TestOneAway:
    """F9."""

    def test_a_worker_alone_keeps_the_bound(
        self, flavour: Flavour, scale: Scale, launch: Launch, measure: Measure, server: RedisServer
    ) -> None:
        with DelayProxy(server.port) as line, DelayProxy(server.port) as other_line:
            alone = Setup(flavour, {"here": line.through(server.url)})
            sure = Setup(flavour, {"here": other_line.through(server.url)}, off=("bound",))
            fleet = launch(Setup(flavour, {"here": server.url}), alone, sure)
            fleet.ready()
            fleet.warm(ITEMS)
            bound = fleet[0].do("bound")
            with fleet.under_load(ITEMS, RATE) as seen:
                for each in (line, other_line):
                    each.black_hole()
                fleet.purge_for(scale(bound + 2, 30), fleet[0], ITEMS)
                back = time.monotonic()
                for each in (line, other_line):
                    each.heal()
                until(lambda: fleet.current(ITEMS))
                healed = time.monotonic() - back
            judged(measure, fleet, seen[0], fleet[2], bound)
            at_rest(fleet, fleet.workers)
            measure("current again", milliseconds(healed), "2 s")
            measure("slowest", milliseconds(seen[0].slowest), "")
            fleet.close()


@forms("asgi")
class TestChaos:
    """Purges under load, and every connection killed twice in a second."""

    def test_nothing_is_older_than_the_bound(
        self, flavour: Flavour, scale: Scale, launch: Launch, measure: Measure, server: RedisServer
    ) -> None:
        honest = [Setup(flavour, {"here": server.url})] * 4
        fleet = launch(*honest, Setup(flavour, {"here": server.url}, off=("hearing",)))
        fleet.all("ready", but=fleet.workers[4:])
        fleet.warm(ITEMS)
        bound, done, kills = fleet[0].do("bound"), Event(), []

        def kill() -> None:
            while not done.wait(0.5):
                cut(server)
                kills.append(time.monotonic())

        killing = Thread(target=kill)
        killing.start()
        least = scale(1000, 130_000)
        try:
            with fleet.under_load(ITEMS, scale(500, 2500)) as seen:
                limit = time.monotonic() + bound + 2
                while time.monotonic() < limit or sum(fleet.all("answered")) < least:
                    fleet.purge_for(0.5, fleet[0], ITEMS, pause=0.05)
        finally:
            done.set()
            killing.join()
        judged(measure, fleet, seen[0], fleet[4], bound)
        assert len(seen[0].of(*(worker.pid for worker in fleet.workers[:4]))) >= least * 3 // 4
        assert len(kills) >= 5
        at_rest(fleet, fleet.workers[:4])
        measure("kills", str(len(kills)), "")
        measure("wrong at rest", "0", "0")


def test_going_back_is_seen() -> None:
    """The positive control: of the same worker, an older answer after a newer one."""
    from tests.faults.drills.evidence import Read  # noqa: PLC0415

    reads = [Read(at, 1, 200, version, 0.1, "", 1) for at, version in ((1, 1), (2, 2), (3, 1))]
    assert going_back(reads) == reads[2:]
    assert going_back([reads[0], reads[1]]) == []
