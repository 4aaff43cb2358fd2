"""What an acknowledged purge promises to other workers of the region, which are processes here."""

import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Thread

import pytest

from regionware import PurgeError
from regionware.parts.process import ServerFailed
from regionware.parts.proxy import DelayProxy
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour, until
from tests.faults.workers import ITEMS, Origin, Read, Worker, workers

#: Seconds for whatever a busy machine adds to a promise.
SLACK = 3.0

#: When which version was acknowledged, for each item, in order.
Acknowledged = list[list[tuple[float, int]]]


def warm(*some: Worker) -> None:
    """Have every item in each worker's memory."""
    for worker in some:
        for item in range(ITEMS):
            worker.version(item)
            assert worker.do("tier", item) == "memory"


def purge(worker: Worker, item: int, wait: str = "region") -> set[str]:
    """Purge until it is acknowledged: on a busy machine a deadline may pass."""
    regions: set[str] = set()

    def acknowledged() -> bool:
        with suppress(PurgeError):
            regions.update(worker.do("purge", item, wait, 20.0))
        return bool(regions)

    until(acknowledged)
    return regions


def test_an_acknowledged_purge_reaches_every_worker(flavour: Flavour, redis_url: str) -> None:
    with workers(flavour, *[("here", {"here": redis_url})] * 3) as origin:
        one, *others = origin.workers
        warm(*origin.workers)
        for _ in range(5):
            new = origin.change(0)
            # The positive control: nobody notices the change by itself.
            assert [worker.version(0) for worker in origin.workers] == [new - 1] * 3
            assert purge(one, 0) == {"here"}
            assert one.version(0) == new
            limit = time.monotonic() + one.do("bound") + SLACK
            until(lambda new=new: [w.version(0) for w in others] == [new] * 2)  # type: ignore[misc]
            assert time.monotonic() < limit
        # What was not purged is still in memory.
        assert [worker.do("tier", 1) for worker in origin.workers] == ["memory"] * 3


def too_old(reads: Sequence[Read], acknowledged: Acknowledged, bound: float) -> int:
    """How many answers are older than a purge acknowledged more than the bound before."""
    found = 0
    for read in reads:
        due = [v for at, v in acknowledged[read.item] if at + bound <= read.began]
        found += bool(due) and read.version < due[-1]
    return found


def cut_logs(server: RedisServer, done: Event) -> None:
    """Kill the connections that wait for the log, again and again."""
    while not done.wait(0.15):
        for line in server.command("CLIENT LIST").splitlines():
            fields = dict(field.partition("=")[::2] for field in line.split())
            if fields["cmd"] == "xread":
                with suppress(ServerFailed):
                    server.command(f"CLIENT KILL ID {fields['id']}")


def purge_for(origin: Origin, by: Worker, seconds: float) -> Acknowledged:
    """Change and purge items in turn."""
    acknowledged: Acknowledged = [[] for _ in range(ITEMS)]
    limit, number = time.monotonic() + seconds, 0
    while time.monotonic() < limit:
        item = number % ITEMS
        version = origin.change(item)
        purge(by, item)
        acknowledged[item].append((time.monotonic(), version))
        number += 1
        time.sleep(0.02)
    return acknowledged


@pytest.mark.timeout(180)
def test_nothing_is_older_than_the_bound_however_often_the_log_is_cut(
    flavour: Flavour, redis_server: RedisServer, redis_url: str
) -> None:
    with workers(flavour, *[("here", {"here": redis_url})] * 4) as origin:
        purger, one, other, deaf = origin.workers
        bound = purger.do("bound")
        warm(one, other, deaf)
        deaf.do("deafen")
        done = Event()
        cutting = Thread(target=cut_logs, args=(redis_server, done))
        cutting.start()
        for worker in (one, other, deaf):
            worker.begin("read_for", bound + 4)
        try:
            acknowledged = purge_for(origin, purger, bound + 3)
        finally:
            done.set()
            cutting.join()
        reads = {worker: worker.end() for worker in (one, other, deaf)}
    assert sum(len(each) for each in acknowledged) > 50
    judged = [read for worker in (one, other) for read in reads[worker]]
    assert any(read.began > acknowledged[read.item][0][0] + bound for read in judged)
    assert too_old(judged, acknowledged, bound) == 0
    # The positive control: a worker that does not hear, and trusts its memory, is caught.
    assert too_old(reads[deaf], acknowledged, bound) > 0


# A Redis that does not confirm


def test_a_purge_that_redis_does_not_confirm(flavour: Flavour, redis_url: str) -> None:
    """It raises, and is done here at once; the others hear of it when Redis is there again."""
    port = int(redis_url.rpartition(":")[2].partition("/")[0])
    with DelayProxy(port) as line:
        places = [("here", {"here": line.through(redis_url)}), ("here", {"here": redis_url})]
        with workers(flavour, *places) as origin:
            one, other = origin.workers
            warm(one, other)
            new = origin.change(0)
            line.refuse()
            with pytest.raises(PurgeError, match="here") as caught:
                one.do("purge", 0, "region", 2.0)
            assert list(caught.value.queued) == ["here"]
            assert caught.value.queued["here"]
            assert one.version(0) == new
            # The positive control: the other worker has not heard of it.
            assert other.version(0) == new - 1
            line.heal()
            until(lambda: other.version(0) == new)


def test_a_purge_at_a_hung_redis(
    flavour: Flavour, redis_server: RedisServer, redis_url: str
) -> None:
    with workers(flavour, *[("here", {"here": redis_url})] * 2) as origin:
        one, other = origin.workers
        warm(one, other)
        new = origin.change(0)
        redis_server.pause()
        with pytest.raises(PurgeError):
            one.do("purge", 0, "region", 2.0)
        assert one.version(0) == new
        redis_server.resume()
        until(lambda: other.version(0) == new)


def test_a_purge_waits_for_as_long_as_it_is_told(
    flavour: Flavour, redis_server: RedisServer, redis_url: str
) -> None:
    """It is no look-up: nobody but its caller waits, who has said for how long."""
    with workers(flavour, ("here", {"here": redis_url})) as origin:
        (one,) = origin.workers
        redis_server.pause()
        one.begin("purge", 0, "region", 20.0)
        time.sleep(0.5)
        redis_server.resume()
        assert one.end() == ("here",)


def test_a_purge_outlives_the_redis_that_did_not_confirm_it(
    flavour: Flavour, redis_server: RedisServer, redis_url: str
) -> None:
    """It is queued for the region, not for one life of its server."""
    with workers(flavour, ("here", {"here": redis_url})) as origin:
        (one,) = origin.workers
        warm(one)
        redis_server.kill()
        with pytest.raises(PurgeError):
            one.do("purge", 0, "region", 2.0)
        redis_server.start()
        until(lambda: redis_server.command("EXISTS {regionware}:fences") == "1")


# The other region


def regions(line: DelayProxy, near: str, far: str) -> list[tuple[str, dict[str, str]]]:
    """A worker here, whose purges go to the other region over a line; and one over there."""
    return [
        ("here", {"here": near, "there": line.through(far)}),
        ("there", {"here": near, "there": far}),
    ]


def far_line(second_redis_url: str) -> DelayProxy:
    return DelayProxy(int(second_redis_url.rpartition(":")[2].partition("/")[0]))


def test_purges_are_relayed(flavour: Flavour, redis_url: str, second_redis_url: str) -> None:
    with (
        far_line(second_redis_url) as line,
        workers(flavour, *regions(line, redis_url, second_redis_url)) as origin,
    ):
        here, there = origin.workers
        warm(here, there)
        new = origin.change(0)
        assert purge(here, 0) == {"here"}
        until(lambda: there.version(0) == new)
        new = origin.change(1)
        assert purge(here, 1, "all") == {"here", "there"}
        until(lambda: there.version(1) == new)


@pytest.mark.parametrize("how", ["refuse", "black_hole"])
def test_purges_reach_a_region_that_was_away(
    flavour: Flavour, redis_url: str, second_redis_url: str, how: str
) -> None:
    with (
        far_line(second_redis_url) as line,
        workers(flavour, *regions(line, redis_url, second_redis_url)) as origin,
    ):
        here, there = origin.workers
        warm(here, there)
        getattr(line, how)()
        news = [origin.change(item) for item in range(ITEMS)]
        for item in range(ITEMS - 1):
            # The other region's absence is not this region's business.
            assert purge(here, item) == {"here"}
        with pytest.raises(PurgeError, match="there") as caught:
            here.do("purge", ITEMS - 1, "all", 0.3)
        assert list(caught.value.queued) == ["there"]
        assert [here.version(item) for item in range(ITEMS)] == news
        # The positive control: the other region has heard of nothing.
        assert [there.version(item) for item in range(ITEMS)] == [new - 1 for new in news]
        line.heal()
        until(lambda: [there.version(item) for item in range(ITEMS)] == news)
        assert purge(here, 0, "all") == {"here", "there"}
