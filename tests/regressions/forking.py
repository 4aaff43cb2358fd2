"""Forks at an awkward moment; run by `test_forking.py`.

`python -m tests.regressions.forking held|refreshed`. Ends with 0 if the child was answered;
whoever started it sets the deadline.
"""

import os
import sys
from threading import Event, Thread

from regionware import Regionware
from regionware.policies import Cache, Route
from tests.conformance.application import Application, counting
from tests.conformance.conftest import Clock
from tests.conformance.harness import Ask, Call, Loop, Site, until

ROUTE = Route("/x", cache=Cache(ttl=10, stale_while_revalidate=100))


def _site(clock: Clock) -> Site:
    rw = Regionware(routes=[ROUTE], clock=clock, sinks=[lambda _: None])
    return Site("wsgi", rw, Application(counting()), Loop())


def _get(site: Site) -> bytes:
    """On this thread: those of the site are the parent's."""
    call = Call(Ask("/x"))
    site._drive_wsgi(call)
    return b"".join(call.chunks)


def _refreshed(site: Site, clock: Clock, old: bytes, new: bytes) -> None:
    clock.now += 20
    assert _get(site) == old
    until(lambda: _get(site) == new)


def _held(site: Site, clock: Clock) -> int:
    """Another thread stands where an event is counted, and the child has no such thread."""
    assert _get(site) == b"1"
    holding, release = Event(), Event()

    def hold() -> None:
        with site.rw._parts.prepared.events._lock:
            holding.set()
            release.wait()

    thread = Thread(target=hold)
    thread.start()
    holding.wait()
    child = os.fork()
    if not child:
        clock.now += 1000
        os._exit(0 if _get(site) == b"2" else 1)
    release.set()
    thread.join()
    return child


def _after_a_refresh(site: Site, clock: Clock) -> int:
    """The parent has threads for refreshes already."""
    assert _get(site) == b"1"
    _refreshed(site, clock, b"1", b"2")
    child = os.fork()
    if not child:
        assert _get(site) == b"3"  # it begins with an empty memory
        _refreshed(site, clock, b"3", b"4")
        os._exit(0)
    return child


def _main(kind: str) -> int:
    clock = Clock()
    site = _site(clock)
    child = (_held if kind == "held" else _after_a_refresh)(site, clock)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    site.close()
    site._loop.call_soon_threadsafe(site._loop.stop)
    site.rw.close()
    return status


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
