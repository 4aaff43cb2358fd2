"""A process that can start no further thread for a moment: no request fails, nothing is lost."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from regionware.caching import threaded
from regionware.caching.chore import Chore
from regionware.caching.leases import Leases
from regionware.effects import Hold
from tests.conformance.application import Application, counting
from tests.conformance.harness import Site, until
from tests.faults.fleet import Fleet
from tests.faults.test_purge import far_line
from tests.purging.site import purge, ready
from tests.purging.test_outbox import fences, near_and_far
from tests.rig import Rig


class Shortage:
    """While it lasts, none of ours starts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lasts = True
        self.refused: list[str] = []
        start = threading.Thread.start

        def refuse(thread: threading.Thread) -> None:
            if self.lasts and thread.name.startswith("regionware"):
                self.refused.append(thread.name)
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse)


def with_threads(site: Site) -> Site:
    """The harness's own are there before."""
    site._threads = ThreadPoolExecutor(8)
    list(site._threads.map(lambda _: time.sleep(0.05), range(8)))
    return site


def test_the_log_is_read_once_threads_can_be_started(
    rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rw = rig.worker(redis_url)
    site = with_threads(rig.site(rw, Application(counting())))
    short = Shortage(monkeypatch)
    for number in range(3):
        assert site.get(f"/{number}").status == 200
    assert "regionware-log" in short.refused
    assert rw.backplane is not None
    assert not rw.backplane.synced
    short.lasts = False
    site.get("/later")
    until(lambda: rw.backplane is not None and rw.backplane.synced)


def test_a_worker_that_never_got_its_threads_can_be_closed(
    rig: Rig, redis_url: str, second_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rw = rig.worker(near_and_far(redis_url, second_redis_url))
    site = with_threads(rig.site(rw, Application(counting())))
    Shortage(monkeypatch)
    assert site.get("/x").status == 200
    assert threaded._wanting
    rig.shut(rw)
    assert not threaded._wanting


def test_without_a_thread_for_leases_a_request_is_answered(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, and the next lease that is taken is renewed."""
    (site,) = fleet(Application(counting()), 1)
    site.get("/warm")  # the harness's own threads
    leases = site.rw._parts.rim.leases
    leases.close()
    short = Shortage(monkeypatch)
    with caplog.at_level(logging.WARNING, "regionware"):
        for number in range(3):
            assert site.get(f"/{number}").status == 200
    assert len([each for each in caplog.records if "regionware-leases" in each.message]) == 1
    assert short.refused.count("regionware-leases") >= 3
    leases.close()
    short.lasts = False
    assert site.get("/later").status == 200
    assert leases._thread is not None


def test_what_could_not_be_started_is_started_by_who_reads_the_log(
    rig: Rig, redis_url: str, second_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queued purge is delivered, though nobody purges or asks for anything any more."""
    with far_line(second_redis_url) as line:
        rw = rig.worker(near_and_far(redis_url, line.through(second_redis_url)))
        ready(rw)
        short = Shortage(monkeypatch)
        order = rw._parts.purger._order(("htx",), None)
        (relay,) = rw._parts.purger._relays
        relay.send(order)
        assert relay._thread is None
        short.lasts = False
        until(lambda: b"htx" in fences(second_redis_url))


def test_a_chore_starts_later(monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    class Once(Chore):
        def run(self, stop: threading.Event) -> None:
            done.set()

    short = Shortage(monkeypatch)
    chore = Once("regionware-once")
    chore.start()
    chore.stop()
    assert chore not in threaded._wanting  # it was stopped meanwhile
    chore.start()
    short.lasts = False
    threaded.start_wanting()
    assert done.wait(10)
    assert not threaded._wanting
    chore.stop()


def test_who_holds_while_all_is_closed_gets_a_thread_that_goes_on() -> None:
    """A thread that ends at once would renew nothing."""
    renewed: list[str] = []

    def renew(some: Sequence[Hold]) -> Sequence[bool | None]:
        renewed.extend(ask.lease for ask in some)
        return [True] * len(some)

    leases = Leases(renew, lambda: None, life=0.05)
    asks = [Hold("k", str(number), "") for number in range(200)]

    def close() -> None:
        for _ in range(50):
            leases.close()

    closing = threading.Thread(target=close)
    closing.start()
    for ask in asks:
        leases.hold(ask)
    closing.join()
    leases.hold(asks[-1])
    until(lambda: asks[-1].lease in renewed)
    thread = leases._thread
    assert thread is not None
    assert thread.is_alive()
    leases.close()


def test_a_purge_is_acknowledged_without_a_further_thread(
    rig: Rig, redis_url: str, second_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the outbox; whoever gets a thread first relays it."""
    rw = rig.worker(near_and_far(redis_url, second_redis_url))
    short = Shortage(monkeypatch)
    assert purge(rig, rw, tags=["x"]).regions == ("here",)
    short.lasts = False
    ready(rw)
    until(lambda: b"htx" in fences(second_redis_url))
