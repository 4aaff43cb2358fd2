"""An acknowledged purge reaches the edge, whatever becomes of who has made it, and once more."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import redis as redis_py

from regionware import PurgeError, Region, Regionware, Topology
from regionware.adapters.edges import outbox, wiring
from regionware.adapters.edges.line import EdgeLine
from regionware.adapters.edges.outbox import EdgeOutbox, EdgeRepeat, Lag
from regionware.caching.scripts import Names
from regionware.database.position import Position
from regionware.parts.redis import RedisServer
from tests.conformance.harness import until
from tests.edge_purges.vendor import TOKEN, Elsewhere, Vendor, fastly
from tests.faults.test_purge import far_line
from tests.purging.site import purge as purge_by
from tests.purging.site import ready
from tests.rig import Rig

NAMES = Names.of("regionware", "")
SLOW = 40.0


@dataclass
class Process:
    """A worker."""

    running: subprocess.Popen[str]

    def do(self, line: str) -> str:
        assert self.running.stdin is not None
        self.running.stdin.write(line + "\n")
        self.running.stdin.flush()
        return self.said()

    def said(self) -> str:
        assert self.running.stdout is not None
        return self.running.stdout.readline().strip()

    def kill(self) -> None:
        self.running.send_signal(signal.SIGKILL)
        self.running.wait(20)


@contextmanager
def processes(count: int, *arguments: str) -> Iterator[list[Process]]:
    command = [sys.executable, "-m", "tests.edge_purges.worker", *arguments]
    made = [
        Process(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        for _ in range(count)
    ]
    try:
        for each in made:
            assert each.said() == "ready"
        yield made
    finally:
        for each in made:
            each.kill()
            for pipe in (each.running.stdin, each.running.stdout):
                assert pipe is not None
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue


def asked(url: str, *words: Any) -> Any:
    with redis_py.Redis.from_url(url, protocol=2) as client:
        return client.execute_command(*words)


def holder(url: str) -> str:
    """Who has the right to send."""
    found = asked(url, "GET", f"{NAMES.relayed}:edge:fastly")
    return found.decode() if found else ""


def unavailable(vendor: Vendor) -> None:
    vendor.answer = lambda _: (503, {"Retry-After": "1"}, b"")


def available(vendor: Vendor) -> None:
    vendor.answer = lambda _: (200, {}, b"{}")


def test_who_sends_is_killed(redis_url: str, vendor: Vendor) -> None:
    """It has made the purge, had the right, and could not deliver; another does."""
    unavailable(vendor)
    with processes(2, redis_url, vendor.url) as (one, other):
        until(lambda: holder(redis_url))
        first, rest = (one, other) if one.do("holds") == holder(redis_url) else (other, one)
        assert first.do("purge lost?") == "{'fastly': \"queued in this region's Redis\"}"
        until(lambda: vendor.count("lost?") > 0)
        first.kill()
        available(vendor)
        before = vendor.count("lost?")
        until(lambda: vendor.count("lost?") > before, SLOW)
        until(lambda: holder(redis_url) == rest.do("holds"), SLOW)


def test_nobody_is_left_and_somebody_comes(redis_url: str, vendor: Vendor) -> None:
    """All workers are killed: a later one finds the purge, and the second of it."""
    unavailable(vendor)
    with processes(1, redis_url, vendor.url) as (one,):
        one.do("purge late")
        one.kill()
    available(vendor)
    with processes(1, redis_url, vendor.url):
        before = vendor.count("late")
        until(lambda: vendor.count("late") >= before + 2, SLOW)


def test_without_an_outbox_it_dies_with_who_made_it(
    rig: Rig, redis_url: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: what is in memory only ends there."""
    monkeypatch.setattr(EdgeLine, "take", lambda self, order, _: str(self.sender.send(order)))
    monkeypatch.setattr("regionware.fencing.Fencing._chunks", lambda _, order: order.chunks())
    unavailable(vendor)
    rw = worker(rig, redis_url, vendor)
    purge_by(rig, rw, tags=["x"])
    until(lambda: vendor.count("x") > 0)
    rig.shut(rw)
    available(vendor)
    before = vendor.count("x")
    later = worker(rig, redis_url, vendor)
    purge_by(rig, later, tags=["y"])
    until(lambda: vendor.count("y") > 0, SLOW)
    assert vendor.count("x") == before


def one_region(url: str) -> Topology:
    return Topology(here="here", regions=[Region("here", primary=True, redis=url)])


def worker(rig: Rig, url: str | Topology, vendor: Vendor, **options: Any) -> Regionware:
    topology = one_region(url) if isinstance(url, str) else url
    rw = rig.worker(topology, edges=[fastly(vendor.url)], **options)
    ready(rw)
    return rw


@pytest.fixture(autouse=True)
def _first_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second purge comes in no test of this process that does not ask for it."""
    soon(monkeypatch, 1e6, 2e6, reached=False)


def soon(monkeypatch: pytest.MonkeyPatch, least: float, most: float, *, reached: bool) -> None:
    """Another lag than the one that is worked out."""
    lag = Lag(least=least, most=most, reached=lambda _: reached)
    monkeypatch.setattr(wiring, "lag_of", lambda *_: lag)


def test_it_comes_once_more_after_the_lag(
    rig: Rig, redis_url: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch, 1.0, 2.0, reached=False)
    rw = worker(rig, redis_url, vendor)
    purge_by(rig, rw, tags=["x"])
    until(lambda: rw.counts().get("edge-repeated:fastly") == 1, SLOW)
    assert vendor.tags() == [["x"], ["x"]]
    assert rw.counts()["edge-purged:fastly"] == 1
    until(lambda: asked(redis_url, "XLEN", NAMES.outbox) == 0)


def test_it_would_be_noticed_if_it_did_not(
    rig: Rig, redis_url: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: the second reader never finds it due."""
    soon(monkeypatch, 1e6, 2e6, reached=False)
    rw = worker(rig, redis_url, vendor)
    purge_by(rig, rw, tags=["x"], wait="edges")
    with pytest.raises(AssertionError):
        until(lambda: rw.counts().get("edge-repeated:fastly") == 1, 4.0)
    assert asked(redis_url, "XLEN", NAMES.outbox) == 1


def test_as_soon_as_all_replicas_have_it(
    rig: Rig, redis_url: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch, 0.5, 1e6, reached=True)
    rw = worker(rig, redis_url, vendor)
    purge_by(rig, rw, tags=["x"])
    until(lambda: vendor.count("x") == 2, SLOW)


POSITION = Position(1, 100)


@pytest.mark.parametrize(
    ("age", "reached", "over"),
    [(0.5, True, False), (1.5, True, True), (1.5, False, False), (3.5, False, True)],
)
def test_when_the_lag_is_over(age: float, reached: bool, over: bool) -> None:
    lag = Lag(least=1.0, most=3.0, reached=lambda position: reached and position == POSITION)
    assert lag.over(age, [POSITION]) is over
    assert lag.over(age, [POSITION, None]) is (age >= 3.0)


def test_purges_go_together_and_each_once(rig: Rig, redis_url: str, vendor: Vendor) -> None:
    rw = worker(rig, redis_url, vendor)
    for number in range(300):
        rw._parts.purger.purge([f"ht{number % 100}"], after=POSITION, wait="region", timeout=2.0)
    purge_by(rig, rw, tags=["last"], wait="edges", timeout=SLOW)
    first = vendor.tags()
    assert len(first) < 60
    assert {tag for tags in first for tag in tags} == {*map(str, range(100)), "last"}
    assert all(len(tags) == len(set(tags)) for tags in first)


def heard(rig: Rig, near: str, far: str, vendor: Vendor) -> bool:
    """Whether a distant region has a purge when the edge is asked."""
    seen: list[bool] = []

    def look(_: object) -> tuple[int, dict[str, str], bytes]:
        seen.append(asked(far, "HEXISTS", NAMES.fences, "htx") == 1)
        return 200, {}, b"{}"

    with far_line(far) as line:
        there = Region("there", redis=line.through(far))
        topology = Topology(here="here", regions=[one_region(near).here, there])
        rw = worker(rig, topology, vendor)
        purge_by(rig, rw, tags=["first"], wait="edges", timeout=SLOW)
        line.delay, vendor.answer = 0.5, look
        purge_by(rig, rw, tags=["x"], wait="edges", timeout=SLOW)
        line.delay = 0.0
        rig.shut(rw)
    return seen[0]


def test_after_the_regions(
    rig: Rig, redis_url: str, second_redis_url: str, vendor: Vendor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(outbox, "_REGIONS", SLOW)
    assert heard(rig, redis_url, second_redis_url, vendor)


def test_it_would_come_before_them(
    rig: Rig, redis_url: str, second_redis_url: str, vendor: Vendor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The positive control: nobody is waited for."""
    monkeypatch.setattr(EdgeOutbox, "_confirmed", lambda *_: float("inf"))
    assert not heard(rig, redis_url, second_redis_url, vendor)


def test_a_region_that_does_not_answer_is_not_waited_for(
    rig: Rig,
    redis_url: str,
    second_redis_server: RedisServer,
    second_redis_url: str,
    vendor: Vendor,
) -> None:
    far = Region("there", redis=second_redis_url)
    rw = worker(rig, Topology(here="here", regions=[one_region(redis_url).here, far]), vendor)
    second_redis_server.pause()
    rw.purge(tags=["y"])
    until(lambda: vendor.count("y") > 0, SLOW)
    second_redis_server.resume()


def test_the_second_waits_for_the_regions(  # noqa: PLR0917 - fixtures
    rig: Rig, redis_url: str, second_redis_server: RedisServer, second_redis_url: str,
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """One that has not heard of the purge would answer the edge as before."""
    soon(monkeypatch, 0.5, 1.0, reached=True)
    far = Region("there", redis=second_redis_url)
    rw = worker(rig, Topology(here="here", regions=[one_region(redis_url).here, far]), vendor)
    second_redis_server.pause()
    rw.purge(tags=["x"])
    until(lambda: vendor.count("x") == 1, SLOW)
    time.sleep(3.0)
    assert vendor.count("x") == 1
    second_redis_server.resume()
    until(lambda: vendor.count("x") == 2, SLOW)


FORKING = """
import os, sys
from tests.edge_purges.test_purge_durable import one_region
from tests.edge_purges.vendor import fastly
from regionware import Regionware
rw = Regionware(topology=one_region(sys.argv[1]), edges=[fastly(sys.argv[2])])
rw.start()
rw.purge(tags=["parent"], wait="edges", timeout=40)
child = os.fork()
rw.purge(tags=["child" if not child else "again"], wait="edges", timeout=40)
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
rw.close()
"""


def test_a_child_purges_like_its_parent(redis_url: str, vendor: Vendor) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKING, redis_url, vendor.url]
    subprocess.run(command, check=True, timeout=100)
    for tag in ("parent", "again", "child"):
        assert vendor.count(tag) >= 1


def test_one_worker_sends(rig: Rig, redis_url: str, vendor: Vendor) -> None:
    made = [worker(rig, redis_url, vendor) for _ in range(3)]
    for number, rw in enumerate(made):
        purge_by(rig, rw, tags=[f"from{number}"], wait="edges", timeout=SLOW)
    assert [vendor.count(f"from{number}") for number in range(3)] == [1, 1, 1]

    def counts() -> list[int]:
        return sorted(rw.counts().get("edge-purged:fastly", 0) for rw in made)

    until(lambda: counts() == [0, 0, 3], SLOW)


def test_an_edge_begins_with_what_comes(
    rig: Rig, redis_url: str, second_redis_url: str, vendor: Vendor
) -> None:
    """It was configured later: what was purged before does not make it purge everything."""
    far = Region("there", redis=second_redis_url)
    topology = Topology(here="here", regions=[one_region(redis_url).here, far])
    old = rig.worker(topology)
    ready(old)
    for tag in ("a", "b"):
        purge_by(rig, old, tags=[tag], wait="all")
    rig.shut(old)
    rw = worker(rig, topology, vendor)
    purge_by(rig, rw, tags=["new"], wait="edges", timeout=SLOW)
    assert vendor.tags() == [["new"]]
    assert "gap:edge:fastly" not in rw.counts()


def test_what_is_missing_in_the_outbox_purges_everything(
    rig: Rig, redis_url: str, vendor: Vendor
) -> None:
    rw = worker(rig, redis_url, vendor)
    purge_by(rig, rw, tags=["first"], wait="edges", timeout=SLOW)
    unavailable(vendor)
    rw.purge(tags=["underway"])
    until(lambda: vendor.count("underway") > 0)
    rw.purge(tags=["lost"])
    asked(redis_url, "DEL", NAMES.outbox)
    rw.purge(tags=["second"])
    available(vendor)
    until(lambda: any(one.path.endswith("/purge_all") for one in vendor.asked), SLOW)
    assert rw.counts()["gap:edge:fastly"] >= 1


def test_redis_is_lost_before_the_edge_has_it(
    rig: Rig, redis_server: RedisServer, redis_url: str, vendor: Vendor
) -> None:
    """Who has made the purge still knows it."""
    rw = worker(rig, redis_url, vendor)
    unavailable(vendor)
    rw.purge(tags=["kept"])
    until(lambda: vendor.count("kept") > 0)
    redis_server.flush()
    available(vendor)
    before = vendor.count("kept")
    until(lambda: vendor.count("kept") > before, SLOW)


def test_redis_does_not_confirm(
    rig: Rig, redis_server: RedisServer, redis_url: str, vendor: Vendor
) -> None:
    """It is queued in this process, for the edge as well."""
    rw = worker(rig, redis_url, vendor)
    redis_server.pause()
    with pytest.raises(PurgeError) as caught:
        purge_by(rig, rw, tags=["x"], timeout=0.5)
    assert caught.value.queued == dict.fromkeys(("here", "edge:fastly"), "queued in this process")
    until(lambda: vendor.count("x") == 1, SLOW)
    redis_server.resume()


def test_closing_leaves_what_is_queued_to_others(rig: Rig, redis_url: str, vendor: Vendor) -> None:
    unavailable(vendor)
    one, other = worker(rig, redis_url, vendor), worker(rig, redis_url, vendor)
    purge_by(rig, one, tags=["x"])
    until(lambda: vendor.count("x") > 0)
    rig.shut(one)
    available(vendor)
    before = vendor.count("x")
    until(lambda: vendor.count("x") > before, SLOW)
    until(lambda: other.edges[0].waiting == 0)


def test_waiting_is_seen(rig: Rig, redis_url: str, vendor: Vendor) -> None:
    rw = worker(rig, redis_url, vendor)
    assert (rw.edges[0].name, rw.edges[0].waiting, rw.edges[0].oldest) == ("fastly", 0, 0.0)
    unavailable(vendor)
    with pytest.raises(PurgeError) as caught:
        purge_by(rig, rw, tags=["x"], wait="edges", timeout=0.5)
    assert caught.value.queued == {"edge:fastly": "queued in this region's Redis"}
    until(lambda: rw.edges[0].oldest > 0.2)
    assert rw.edges[0].waiting == 1
    until(lambda: rw.counts().get("edge-purge-failed:fastly", 0) >= 1)
    available(vendor)
    until(lambda: rw.edges[0].waiting == 0, SLOW)


@pytest.mark.parametrize("stamped", [True, False])
def test_in_a_child_nothing_is_the_parents(stamped: bool) -> None:
    line = _line(Elsewhere(fastly("http://127.0.0.1:1").real, "http://127.0.0.1:1"))
    tokens = [each._token for each in line._outboxes]
    line.forget()
    assert [each._token for each in line._outboxes] != tokens
    assert line.status.waiting == 0


def _line(edge: Elsewhere) -> EdgeLine:
    topology = one_region("redis://127.0.0.1:1/0")
    rw = Regionware(topology=topology, edges=[edge])
    (line,) = rw._parts.edges
    kinds = [type(each) for each in line._outboxes]
    assert kinds == [EdgeOutbox, EdgeRepeat]
    assert TOKEN not in repr(rw) + repr(line)
    return line
