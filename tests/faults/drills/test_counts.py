"""What is counted instead of timed: trips to Redis, and what a purge makes it do."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import redis as redis_py

from regionware import Regionware
from regionware.parts.proxy import DelayProxy
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Seen, text
from tests.conformance.harness import Answer, Flavour, Loop, Site, until
from tests.faults.drills.forms import Measure, Scale, forms
from tests.faults.drills.switches import has_heard, patient
from tests.rig import Rig

#: How often in a second the log's reader asks or tells something, at most, when nothing happens.
POLLS = 3

LANGUAGES = ("en", "fr", "de")
TAGS = ("one", "two", "three", "four", "five")
ROUTE = Route("/{path:path}", cache=Cache(ttl=300, tags=TAGS, vary=["Accept-Language"]))


@dataclass
class Counted:
    """A worker whose trips to Redis go over a line that counts them."""

    site: Site
    line: DelayProxy

    def ask(self, path: str) -> list[Answer]:
        """The three variants."""
        return [self.site.get(path, headers={"Accept-Language": each}) for each in LANGUAGES]

    def trips(self, work: Callable[[], object]) -> tuple[int, int]:
        """How many round trips `work` takes, and how many of these the log's reader may have made.

        What is written after an answer may be on its way when `work` is done: it is waited for.
        """
        self.quiet()
        self.line.counters.reset()
        began = time.monotonic()
        work()
        self.quiet()
        assert self.line.counters.connections == 0
        return self.line.counters.round_trips, POLLS * (1 + int(time.monotonic() - began))

    def quiet(self) -> None:
        """Wait until nothing goes to Redis for a while."""
        sent = -1
        while sent != self.line.counters.round_trips:
            sent = self.line.counters.round_trips
            time.sleep(0.1)


@pytest.fixture
def counted(rig: Rig, server: RedisServer) -> Iterator[Counted]:
    with DelayProxy(server.port) as line:
        with patient():
            rw = rig.worker(line.through(server.url), ROUTE)
        rw.start()
        until(lambda: has_heard(rw))
        site = rig.site(rw, Application(lambda seen: text(seen.headers["accept-language"])))
        found = Counted(site, line)
        for _ in range(2):  # connects, and teaches the scripts to Redis
            found.ask("/known")
            rw.memory.clear()
        yield found
        rig.shut(rw)


def test_one_trip_for_a_hit_two_for_a_miss(counted: Counted, measure: Measure) -> None:
    """Five tags, three variants."""
    paths = [f"/{number}" for number in range(10)]
    asked = len(paths) * len(LANGUAGES)

    def ask(detail: str) -> Callable[[], None]:
        def run() -> None:
            answers = [answer for path in paths for answer in counted.ask(path)]
            assert [answer.body.decode() for answer in answers] == [*LANGUAGES] * len(paths)
            told = {a.cache_status.get("detail") or a.cache_status["fwd"] for a in answers}
            assert told == {detail}

        return run

    taken, polls = counted.trips(ask("miss"))
    assert 2 * asked <= taken <= 2 * asked + polls
    counted.site.rw.memory.clear()
    taken, polls = counted.trips(ask("redis"))
    assert asked <= taken <= asked + polls
    taken, polls = counted.trips(ask("memory"))
    assert taken <= polls
    measure("trips to Redis: miss and fill, hit, hit in memory", "2, 1, 0", "2, 1, 0")


def test_one_trip_more_is_counted(counted: Counted) -> None:
    """The positive control: whoever asks twice is seen to."""

    def run() -> None:
        for number in range(20):
            counted.ask(f"/again-{number % 2}")
            counted.site.rw.memory.clear()

    taken, polls = counted.trips(run)
    assert taken > 20 + polls


# Purges


def commands(server: RedisServer) -> Counter[str]:
    """How often each command was executed, those of scripts included."""
    lines = server.command("INFO commandstats").splitlines()
    found = (
        line.removeprefix("cmdstat_").partition(":calls=") for line in lines if "calls=" in line
    )
    return Counter({name: int(rest.partition(",")[0]) for name, _, rest in found})


def executed(server: RedisServer, work: Callable[[], object]) -> Counter[str]:
    """What `work` makes the server do, beside what we and idle workers ask."""
    server.command("CONFIG RESETSTAT")
    work()
    counts = commands(server)
    for idle in ("info", "config", "config|resetstat", "ping", "xread", "client", "hello"):
        counts.pop(idle, None)
    return counts


@forms("wsgi")
class TestPurgeIsCheap:
    """A tag on many entries costs as much as a tag on one."""

    @staticmethod
    def site(flavour: Flavour, loop: Loop, rig: Rig, server: RedisServer) -> Site:
        def answer(seen: Seen) -> object:
            return text("x" * 50)

        route = Route("/{tag}/{number}", cache=Cache(ttl=3000, tags=["{tag}"]))
        with patient():
            rw = rig.worker(server.url, route, memory=1 << 20)
        return rig.site(rw, Application(answer))  # type: ignore[arg-type] # a handler

    def test_commands(
        self,
        flavour: Flavour,
        scale: Scale,
        rig: Rig,
        loop: Loop,
        *,
        measure: Measure,
        server: RedisServer,
    ) -> None:
        many = scale(2000, 100_000)
        site = self.site(flavour, loop, rig, server)
        rw: Regionware = site.rw
        site.get("/few/1")
        for number in range(many):
            site.get(f"/many/{number}")
        with redis_py.Redis.from_url(server.url) as direct:
            assert direct.dbsize() > many
        site.app.calls.clear()
        rw.purge(tags=["another"])
        few = executed(server, lambda: rw.purge(tags=["few"]))
        lots = executed(server, lambda: rw.purge(tags=["many"]))
        # The one difference that is allowed: a turn of what runs in the background.
        assert sum(lots.values()) <= sum(few.values()) + 20
        assert sum(lots.values()) < many / 10
        assert len(site.get("/many/7").body) == len(site.get("/few/1").body) == 50
        assert [seen.path for seen in site.app.calls] == ["/many/7", "/few/1"]
        measure(
            f"commands to purge a tag on 1 and on {many:,} entries",
            f"{sum(few.values())}, {sum(lots.values())}",
            "equal",
        )
        rig.shut(rw)


def test_a_purge_by_an_index_would_be_counted(server: RedisServer) -> None:
    """The positive control: one command for each entry."""
    many = 2000
    with redis_py.Redis.from_url(server.url) as direct:

        def purge() -> None:
            for number in range(many):
                direct.delete(f"entry-{number}")

        assert sum(executed(server, purge).values()) >= many / 10
