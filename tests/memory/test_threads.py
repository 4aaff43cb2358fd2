"""Many threads at one memory tier, and several event loops in one process."""

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from random import Random
from sys import getsizeof
from threading import Barrier, Thread
from typing import Any
from weakref import ref

import pytest

from regionware import Region, Regionware, Topology
from regionware.caching.entry import Entry, Record
from regionware.caching.memory import Memory
from regionware.parts.redis import RedisServer
from regionware.policies import Cache, Route
from tests.conformance.harness import until
from tests.memory.filling import Client
from tests.rig import clients

THREADS = 8
BOUND = 1 << 17


@pytest.fixture(autouse=True)
def _switches() -> Iterator[None]:
    """Threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def key(number: int) -> tuple[str, ...]:
    return "http", "h.test", f"/{number}", ""


def made(number: int, size: int) -> Entry:
    return Entry(
        key(number), status=200, headers=((b"etag", b"%d" % size),), body=bytes(size), tags=(),
        created=1, born=0.0, fresh_until=1.0,
    )  # fmt: skip


def _once(memory: Memory, random: Random, step: int, *, clears: bool) -> None:
    number, dice = random.randrange(200), random.random()
    if dice < 0.45:
        memory.put(made(number, random.randrange(2500)))
    elif dice < 0.75:
        found = memory.lookup(key(number))
        if isinstance(found, Entry):
            assert found.key == key(number)
            memory.dress(found, (memory, step, [number]))
    elif dice < 0.97 or not clears:
        memory.discard(memory.lookup(key(number)) or Record(key(number), 1))
    elif dice < 0.975:
        memory.clear()


def hammer(memory: Memory, steps: int, clears: bool = True) -> list[BaseException]:
    """Everything at once, from all threads; what went wrong there."""
    barrier, errors = Barrier(THREADS), list[BaseException]()

    def work(seed: int) -> None:
        random = Random(seed)
        barrier.wait()
        try:
            for step in range(steps):
                _once(memory, random, step, clears=clears)
                assert memory.currsize <= BOUND
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)

    threads = [Thread(target=work, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def faults(memory: Memory) -> list[str]:
    """What is wrong in a tier at rest: its account, its chain, its table."""
    records, chain = memory.records(), list[Record]()
    record = memory._oldest
    while record is not None and len(chain) <= len(records):
        chain.append(record)
        record = record.newer
    total = sum(each.size for each in records) + getsizeof(memory._table) + memory._reserved
    checks = {
        "account": memory.currsize == total,
        "bound": total <= BOUND,
        "chain": {id(each) for each in chain} == {id(each) for each in records},
        "length": len(chain) == len(records),
        "newest": memory._newest is (chain[-1] if chain else None),
        "hand": memory._hand is None or memory._hand in chain,
        "keys": all(memory._table[each.key] is each for each in records),
    }
    return [name for name, right in checks.items() if not right]


def test_threads_leave_a_sound_tier() -> None:
    memory = Memory(BOUND)
    assert hammer(memory, 1500) == []
    assert faults(memory) == []
    for number in range(2000):  # and it goes on working
        assert memory.put(made(1000 + number, 1000))
    assert faults(memory) == []


def test_without_its_lock_it_would_not_be_sound() -> None:
    """Positive control: the same without the lock; an error, or an account that is wrong."""

    def unsound() -> bool:
        memory = Memory(BOUND)
        memory._lock = nullcontext()  # type: ignore[assignment] # that is the point
        errors = hammer(memory, 400, clears=False)
        return bool(errors or faults(memory))

    assert any(unsound() for _ in range(20))


def test_a_record_that_is_gone_keeps_nothing_alive() -> None:
    memory = Memory(BOUND)
    records = [made(number, 100) for number in range(3)]
    watched = [ref(each) for each in records]
    for each in records:
        memory.put(each)
        memory.dress(each, (memory, 1, ["head"]))
    memory.discard(records[1])
    del each, records
    gc.collect()
    assert [one() is None for one in watched] == [False, True, False]
    memory.clear()
    gc.collect()
    assert [one() for one in watched] == [None, None, None]


# Event loops


def worker(url: str) -> Regionware:
    here = Region("here", primary=True, redis=url)
    routes = [Route("/{path:path}", cache=Cache(ttl=60))]
    rw = Regionware(topology=Topology(here="here", regions=[here]), routes=routes)
    rw.start()
    log = rw._parts.rim._log
    assert log is not None
    assert log.synced.wait(20)
    return rw


def visit(rw: Regionware, number: int) -> None:
    """A loop of its own on a thread of its own: a miss, a hit in Redis, a hit in memory; closed."""
    client = Client("asgi", rw, streams=False)
    path = f"/loop/{number}"
    client.ask(path)
    rw.memory.clear()
    client.ask(path, path)
    client._loop.run_until_complete(_settled(rw))
    client.close()


async def _settled(rw: Regionware) -> None:
    tier = rw._parts.rim.tier
    assert tier is not None
    await tier.aclose()


def run(work: Callable[..., Any], *arguments: Any) -> None:
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            work(*arguments)
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)

    thread = Thread(target=guarded)
    thread.start()
    thread.join()
    assert errors == []


def test_each_loop_has_connections_of_its_own(redis_server: RedisServer, redis_url: str) -> None:
    """One after the other, and what the closed ones have left behind: nothing."""
    rw = worker(redis_url)
    try:
        tier = rw._parts.rim.tier
        assert tier is not None
        run(visit, rw, 0)
        until(lambda: clients(redis_server) == 1)  # the log's reader
        for number in range(1, 6):
            run(visit, rw, number)
        until(lambda: clients(redis_server) == 1)
        gc.collect()
        assert len(rw._parts.rim._flights) == 0
    finally:
        rw.close()


def test_loops_at_the_same_time(redis_url: str) -> None:
    rw, errors = worker(redis_url), list[BaseException]()

    async def many(number: int) -> int:
        client = Client("asgi", rw, streams=False)
        for step in range(30):
            await client._many([f"/shared/{step}", f"/own/{number}/{step}"])
        await _settled(rw)
        client.close()
        return client.octets

    def loop(number: int) -> None:
        try:
            assert asyncio.run(many(number)) == 60 * 1024
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)

    threads = [Thread(target=loop, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rw.close()
    assert errors == []
    assert len(rw._parts.rim._flights) == 0
