"""Purges under load, while every connection is killed again and again: the bound holds.

The short form reads a few thousand times, the long form more than 100,000 times.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

import pytest

from regionware import PurgeError, Regionware
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour, until
from tests.faults.test_purge import SLACK, Acknowledged, too_old, warm
from tests.faults.workers import ITEMS, Origin, Read, Worker, workers
from tests.purging.site import ready
from tests.rig import Rig

READERS = 4
#: Seconds between two massacres.
EVERY = 0.5
#: Seconds for which the readers read in one round.
ROUND = 10.0


@contextmanager
def massacre(server: RedisServer) -> Iterator[list[int]]:
    """Kill every connection of every client, twice a second; how many died each time."""
    done, killed = Event(), list[int]()

    def kill() -> None:
        while not done.wait(EVERY):
            killed.append(int(server.command("CLIENT KILL TYPE normal")))

    thread = Thread(target=kill, name="massacre")
    thread.start()
    try:
        yield killed
    finally:
        done.set()
        thread.join()


def purge(rw: Regionware, item: int) -> None:
    """Purge until it is acknowledged."""

    def acknowledged() -> bool:
        with suppress(PurgeError):
            rw.purge(tags=[f"item:{item}"])
            return True
        return False

    until(acknowledged)


def purge_while(rw: Regionware, origin: Origin, going: Event, log: Acknowledged) -> None:
    """Change and purge the items in turn."""
    number = 0
    while not going.wait(0.02):
        item = number % ITEMS
        new = origin.change(item)
        purge(rw, item)
        log[item].append((time.monotonic(), new))
        number += 1


def read(readers: list[Worker], least: int) -> dict[Worker, list[Read]]:
    """Let all read at once, until those that count have read so often."""
    reads: dict[Worker, list[Read]] = {reader: [] for reader in readers}
    while sum(len(reads[reader]) for reader in readers[:READERS]) < least:
        for reader in readers:
            reader.begin("read_for", ROUND)
        for reader in readers:
            reads[reader] += reader.end()
    return reads


def storm(rig: Rig, server: RedisServer, url: str, least: int) -> None:
    """The readers hear of every purge in time; a deaf one, the control, does not."""
    rw = rig.worker(url)
    ready(rw)
    with workers(rig.flavour, *[("here", {"here": url})] * (READERS + 1)) as origin:
        *readers, deaf = origin.workers
        bound = rw.staleness_bound
        warm(*readers, deaf)
        deaf.do("deafen")
        log: Acknowledged = [[] for _ in range(ITEMS)]
        enough = Event()
        purging = Thread(target=purge_while, args=(rw, origin, enough, log), name="purging")
        with massacre(server) as killed:
            purging.start()
            try:
                reads = read([*readers, deaf], least)
            finally:
                enough.set()
                purging.join()
        # At rest everybody answers with the latest, from wherever.
        time.sleep(bound + SLACK)
        latest = [int(origin.versions[item]) for item in range(ITEMS)]
        for reader in readers:
            for _ in range(2):
                assert [reader.version(item) for item in range(ITEMS)] == latest
        judged = [read for reader in readers for read in reads[reader]]
        assert len(judged) >= least
        assert sum(killed) > READERS
        assert all(log)
        assert any(read.began > log[read.item][0][0] + bound for read in judged)
        assert too_old(judged, log, bound) == 0
        assert too_old(reads[deaf], log, bound) > 0


@pytest.mark.timeout(240)
def test_a_storm(rig: Rig, redis_server: RedisServer, redis_url: str) -> None:
    storm(rig, redis_server, redis_url, 1)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_long_storm(
    flavour: Flavour, rig: Rig, redis_server: RedisServer, redis_url: str
) -> None:
    storm(rig, redis_server, redis_url, 100_000)
