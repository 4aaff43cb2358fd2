"""F6: another server takes over, without the last purges; the old one only reads."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from regionware.parts.proxy import DelayProxy
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour, until
from tests.faults.drills.backup import Backup
from tests.faults.drills.conftest import Launch, lasts
from tests.faults.drills.evidence import Evidence, milliseconds, sound
from tests.faults.drills.fleet import Fleet
from tests.faults.drills.forms import Measure, Scale, forms
from tests.faults.drills.worker import PATIENT, Setup

ITEMS = range(12)
RATE = 100


@dataclass
class Pair:
    """A server, its replica, the line between them, and the line that workers take.

    Attributes:
        old: the one that is replaced.
        new: the replica that takes over.
        line: leads to whoever is in charge.
        copying: leads from the replica to the old server.
    """

    old: RedisServer
    new: RedisServer
    line: DelayProxy
    copying: DelayProxy

    @property
    def url(self) -> str:
        return self.line.through(self.old.url)

    def caught_up(self) -> bool:
        """Whether the replica has everything."""
        return said(self.old, "master_repl_offset") == said(self.new, "slave_repl_offset")

    def demote(self) -> None:
        """The replica takes over; the old server follows it, and takes no writes."""
        self.new.command("REPLICAOF NO ONE")
        self.old.command(f"REPLICAOF 127.0.0.1 {self.new.port}")
        until(lambda: said(self.old, "role") == "slave")

    def switch(self) -> None:
        """The address leads to the new server; connections to the old one are cut."""
        self.line.target_port = self.new.port
        self.line.cut()


def said(server: RedisServer, field: str) -> str:
    """What `INFO replication` says in a field."""
    lines = server.command("INFO replication").splitlines()
    return dict(line.partition(":")[::2] for line in lines).get(field, "")


@contextmanager
def paired(old: RedisServer, new: RedisServer) -> Iterator[Pair]:
    with DelayProxy(old.port) as line, DelayProxy(old.port) as copying:
        new.command(f"REPLICAOF 127.0.0.1 {copying.port}")
        until(lambda: said(new, "master_link_status") == "up")
        yield Pair(old, new, line, copying)
        for each in (old, new):  # which would wait for each other's data when they end
            each.command("REPLICAOF NO ONE")


@forms("asgi")
class TestFailover:
    """F6."""

    def test_nobody_notices_and_no_purge_is_undone(
        self,
        flavour: Flavour,
        scale: Scale,
        launch: Launch,
        *,
        measure: Measure,
        server: RedisServer,
        second_server: RedisServer,
    ) -> None:
        with paired(server, second_server) as pair:
            fleet = launch(*[Setup(flavour, {"here": pair.url})] * 3)
            fleet.ready()
            fleet.warm(ITEMS)
            bound: float = fleet[0].do("bound")
            with fleet.under_load(ITEMS, RATE) as seen:
                fleet.purge_for(scale(0.5, 10), fleet[0], ITEMS)
                lost = self.lose(fleet, pair)
                pair.demote()
                lasts(scale(0.5, 5))
                assert not fleet.purge(fleet[0], ITEMS[-1])
                pair.switch()
                switched = time.monotonic()
                until(lambda: fleet.purge(fleet[0], ITEMS[-1]))
                fleet.settled()
                back = time.monotonic() - switched
                fleet.purge_for(scale(0.5, 10), fleet[0], ITEMS[6:])
            sound(seen[0], least=50)
            assert seen[0].stale(fleet.purges, bound) == []
            until(lambda: fleet.current(ITEMS))
            late = fleet.add(Setup(flavour, {"here": pair.url}, off=PATIENT))
            late.do("ready")
            found = Evidence(late.do("each", ITEMS))
            sound(found)
            assert found.stale(fleet.purges, 0.0) == []
            assert lost
            fleet.close()
        measure("purges acknowledged", str(len(fleet.purges)), "")
        measure("stale beyond the bound", "0", "0")
        measure("used again", milliseconds(back), "5 s")
        measure("slowest", milliseconds(seen[0].slowest), "")

    @staticmethod
    def lose(fleet: Fleet, pair: Pair) -> bool:
        """Purges that the replica never hears of; what they mean is stored over there."""
        fleet.all("each", ITEMS)
        until(pair.caught_up)
        pair.copying.refuse()
        return fleet.purge(fleet[0], *ITEMS[:3])


def test_a_lost_purge_is_seen(launch: Launch, server: RedisServer) -> None:
    """The positive control: the same server forgets a purge, so that nobody has taken over."""
    setup = Setup("asgi", {"here": server.url}, off=PATIENT)
    fleet = launch(setup)
    fleet.ready()
    fleet.warm(ITEMS)
    with Backup(server) as backup:
        assert fleet.purge(fleet[0], *ITEMS[:3])
        assert fleet.current(ITEMS)
        backup.restore()
    late = fleet.add(setup)
    late.do("ready")
    assert len(Evidence(late.do("each", ITEMS)).stale(fleet.purges, 0.0)) == 3
