"""Z1 and Z2: no number of requests, and no length of an answer, takes more than was given."""

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress

import pytest

from regionware.caching.claim import Claim
from regionware.caching.entry import Entry
from regionware.caching.memory import Memory
from tests.conformance.conftest import World
from tests.conformance.harness import Call, HungUp
from tests.security.stage import Stage, ask

_MIB = 1 << 20
#: Bytes of the tier, of one answer, and how many URLs there are: more than three times what fits.
TIER, ANSWER, URLS = 2 * _MIB, 8000, 800
#: Bytes beyond the tier: what a process remembers of paths, hosts and variants.
SLACK = 2 * _MIB


@pytest.fixture
def tier() -> str:
    """It is about this process's memory."""
    return "memory"


@pytest.fixture(autouse=True)
def traced() -> Iterator[None]:
    """What was allocated is counted: resident memory depends on what ran before.

    `tests/memory` compares that with the account, in processes of their own.
    """
    tracemalloc.start()
    yield
    tracemalloc.stop()


def held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def flooded(stage: Stage) -> tuple[int, int]:
    """By how much the process has grown, and what the tier says of itself."""
    site = stage.sites[0]
    stage.attack("/big", query=f"n={ANSWER}")  # what is made once
    before = held()
    for number in range(URLS):
        stage.attack("/big", query=f"n={ANSWER}&u={number}")
        stage.app.calls.clear()
    return held() - before, site.rw.memory.currsize


def test_z1_a_flood_of_urls(world: World) -> None:
    stage = Stage(world, memory=TIER)
    growth, accounted = flooded(stage)
    assert accounted <= TIER
    assert accounted > TIER // 2, "hardly anything was stored"
    assert growth <= TIER + SLACK
    site = stage.sites[0]
    assert site.parked == 0
    assert not site.rw._parts.rim._flights._flights
    assert stage.is_cached(ask("/p/x"))


def test_z1_without_the_protection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tier that never lets anything go."""
    monkeypatch.setattr(Memory, "_make_room", lambda *_: None)
    growth, accounted = flooded(Stage(world, memory=TIER))
    assert accounted > TIER
    assert growth > TIER + SLACK


def endless(world: World, monkeypatch: pytest.MonkeyPatch) -> int:
    """By how much the process has grown while it sent 50 MB of an answer without an end."""
    sizes: list[int] = []

    def add(call: Call, chunk: bytes) -> None:
        call.chunks.append(chunk[:0])  # its client keeps nothing
        if len(call.chunks) in {20, 800}:
            sizes.append(held())

    monkeypatch.setattr(Call, "add", add)
    stage = Stage(world)
    with suppress(HungUp):
        stage.attack("/stream/x", leave_after=801)
    records = stage.sites[0].rw.memory.records()
    assert not any(isinstance(record, Entry) for record in records), "it was stored"
    return sizes[1] - sizes[0]


def test_z2_an_endless_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert endless(world, monkeypatch) <= 10 * _MIB


def test_z2_without_the_protection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied for as long as it comes."""
    monkeypatch.setattr(Claim, "limit", property(lambda _: 1 << 40))
    assert endless(world, monkeypatch) > 10 * _MIB


def test_z2_the_benign_one_is_cached(world: World) -> None:
    assert Stage(world).is_cached(ask("/big", query="n=100000"))
