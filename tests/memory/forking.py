"""A process that has filled its memory tier, and its children; run by `test_processes.py`.

`python -m tests.memory.forking preload|used|spawn|trusting REDIS`. Ends with 0 if the child began
with nothing
that it could trust, worked, and left its parent alone. `trusting` is the positive control: the
child is not told that it is one.
"""

import gc
import multiprocessing
import os
import sys
import traceback
from threading import enumerate as threads

import redis

from regionware import Region, Regionware, Topology
from regionware.policies import Cache, Route
from regionware.rim import Rim
from tests.conformance.harness import until
from tests.memory.filling import Client

OURS = {"regionware-log", "regionware-warming", "regionware-shadow"}


def made(url: str) -> Regionware:
    here = Region("here", primary=True, redis=url)
    return Regionware(
        topology=Topology(here="here", regions=[here]),
        routes=[Route("/{path:path}", cache=Cache(ttl=600, tags=["all"]))],
        warm=100, shadow=5.0,
    )  # fmt: skip


def running() -> set[str]:
    return {each.name for each in threads() if each.is_alive()} & OURS


def use(rw: Regionware, name: str) -> None:
    """Misses, and hits in memory."""
    client = Client("wsgi", rw, streams=False)
    rw.start()
    log = rw._parts.rim._log
    assert log is not None
    until(log.synced.is_set)
    paths = [f"/{name}/{number}" for number in range(20)]
    client.ask(*paths)
    client.ask(*paths)
    assert client.hits == 20
    assert running() == OURS
    client.close()


def ids(url: str) -> set[str]:
    """The clients that the server knows, but for this one."""
    with redis.Redis.from_url(url) as client:
        mine = str(client.client_id())
        return {str(each["id"]) for each in client.client_list()} - {mine}


def begin(rw: Regionware) -> None:
    """Nothing of the parent's is trusted, or there at all."""
    prepared, rim = rw._parts.prepared, rw._parts.rim
    assert len(rw.memory) == 0
    assert rw.memory.currsize < rw.memory.maxsize / 16
    assert prepared.fences.heard_until == 0.0
    assert len(rim._flights) == 0
    assert rim._log is not None
    assert not rim._log.synced.is_set()
    assert running() == set()


def child(rw: Regionware, url: str) -> None:
    begin(rw)
    before = ids(url)
    use(rw, "child")
    assert not before - ids(url)  # it has connections of its own, and closed none of others
    assert ids(url) - before
    rw.close()
    assert running() == set()
    assert not before - ids(url)


def forked(rw: Regionware, url: str) -> int:
    number = os.fork()
    if number:
        return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    status = 1
    try:
        child(rw, url)
        status = 0
    except BaseException:  # noqa: BLE001 - told to whoever started this
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def spawned(url: str) -> None:
    rw = made(url)
    child(rw, url)


def main(kind: str, url: str) -> int:
    if kind == "trusting":
        Rim.forked = lambda self: None  # type: ignore[method-assign] # that is the point
    rw = made(url)
    if kind == "preload":
        status = forked(rw, url)
        use(rw, "parent")
        rw.close()
        return status
    use(rw, "parent")
    kept, connected = len(rw.memory), ids(url)
    if kind == "spawn":
        process = multiprocessing.get_context("spawn").Process(target=spawned, args=(url,))
        process.start()
        process.join()
        status = int(process.exitcode or 0)
    else:
        status = forked(rw, url)
    assert len(rw.memory) == kept
    assert running() == OURS
    assert not connected - ids(url) or kind == "trusting"
    client = Client("wsgi", rw, streams=False)
    client.ask("/parent/1")
    assert client.hits == 1
    client.close()
    rw.close()
    gc.collect()
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
