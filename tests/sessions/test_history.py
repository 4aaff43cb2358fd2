"""Many sessions at once, in two regions, over a replica whose replay stops and goes."""

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from regionware.parts.postgres import Cluster
from tests.conformance.harness import Site
from tests.sessions.conftest import Open, Replay
from tests.sessions.shop import Customer

SESSIONS = 6
WRITES = 25
KINDS = ["items", "lag", "plain"]


@pytest.fixture
def items(postgres: Cluster, item: int) -> list[int]:
    """An item for each session."""
    numbers = [item * 10_000 + n for n in range(SESSIONS)]
    postgres.primary.query(
        "INSERT INTO goods VALUES " + ", ".join(f"({number}, 0)" for number in numbers)
    )
    postgres.settle()
    return numbers


def live(sites: list[Site], number: int, keeps: bool) -> int:
    """One session: it writes and reads at any worker; how many reads missed a write."""
    dice, missed = random.Random(number), 0
    customer = Customer(sites[0], keeps)
    for value in range(1, WRITES + 1):
        purge = dice.choice(["", "", "&purge=inside", "&purge=after"]) if keeps else ""
        customer = customer.at(dice.choice(sites))
        customer.put(f"/{dice.choice(KINDS)}/{number}", value, purge)
        for _ in range(4):
            at = customer.at(dice.choice(sites))
            missed += at.see(f"/{dice.choice(KINDS)}/{number}") < value
    return missed


def disturb(replay: Replay, done: Event) -> None:
    """Stop the replica's replay, and let it go on, until it is enough."""
    dice = random.Random(1)
    while not done.is_set():
        replay.pause()
        done.wait(dice.uniform(0.05, 0.4))
        replay.resume()
        done.wait(dice.uniform(0.02, 0.1))


def misses(sites: list[Site], items: list[int], replay: Replay, *, keeps: bool) -> int:
    done = Event()
    with ThreadPoolExecutor(SESSIONS * 2 + 1) as pool:
        disturbing = pool.submit(disturb, replay, done)
        try:
            sessions = [pool.submit(live, sites, number, keeps) for number in items]
            found = sum(each.result() for each in sessions)
        finally:
            done.set()
        disturbing.result()
    return found


def test_no_session_misses_an_own_write(open_shop: Open, items: list[int], replay: Replay) -> None:
    sites = [open_shop(), open_shop(), open_shop("iad")]
    assert misses(sites, items, replay, keeps=True) == 0


def test_sessions_without_cookies_do(open_shop: Open, items: list[int], replay: Replay) -> None:
    """The positive control."""
    sites = [open_shop(), open_shop(), open_shop("iad")]
    assert misses(sites, items, replay, keeps=False) > 0
