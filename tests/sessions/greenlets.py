"""A program of its own, since monkey-patching holds for a whole process: what greenlets see.

Run by `python -m gevent.monkey`, and called with the URLs of the primary and of its replica, and
the number of an item, it serves a few requests by gevent's own server and prints what each of them
found, as JSON.
"""

import http.client
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

# Its stubs are a package of their own.
from gevent import pool, pywsgi, sleep, spawn, threadpool  # type: ignore[import-untyped]

import regionware
from regionware import Region, Regionware, Topology

Run = Callable[[Callable[[], bool]], bool]

PLACES: dict[str, Run] = {
    "here": lambda look: look(),
    "spawn": lambda look: bool(spawn(look).get()),
    "pool": lambda look: bool(pool.Pool(2).apply(look)),
    "threadpool": lambda look: bool(threadpool.ThreadPool(1).apply(look)),
}


class Witness:
    """The application: `/PLACE` looks around there, `/PLACE?propagate` with the request's state."""

    def __init__(self, rw: Regionware, item: int) -> None:
        self.rw = rw
        self.item = item

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        request = regionware.current()
        assert request is not None
        seen: list[regionware.Current | None] = []

        def look() -> bool:
            state = regionware.current()
            seen.append(state)
            if state is not None:
                state.tag("there")
            # Others get their turn in the meantime.
            sleep(0.01)
            with self.rw.connection() as connection:
                ((replica,),) = connection.execute("SELECT pg_is_in_recovery()").fetchall()
            with self.rw.connection(access="write") as connection:
                connection.execute("UPDATE goods SET value = 1 WHERE id = %s", (self.item,))
            assert regionware.current() is state
            return bool(replica)

        place = PLACES[environ["PATH_INFO"].strip("/")]
        replica = place(regionware.propagate(look) if environ["QUERY_STRING"] else look)
        found = {
            "sees": seen == [request],
            "none": seen == [None],
            "replica": replica,
            "tagged": request.tags == {"there"},
            "written": request.written is not None,
        }
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(found).encode()]


def ask(port: int, path: str) -> dict[str, bool]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    response = connection.getresponse()
    found: dict[str, bool] = json.loads(response.read())
    found["token"] = response.getheader("set-cookie") is not None
    connection.close()
    return found


def main(primary: str, replica: str, item: str) -> None:
    topology = Topology(
        here="fra",
        regions=[Region("iad", primary=True, database=primary), Region("fra", replicas=[replica])],
    )
    rw = Regionware(topology=topology, secret="a secret of the tests")
    rw.start()
    databases = rw._parts.databases
    assert databases is not None
    until = time.monotonic() + 60
    while any(mark.fresh is None for mark in databases.marks.values()):
        assert time.monotonic() < until
        time.sleep(0.01)
    server = pywsgi.WSGIServer(("127.0.0.1", 0), rw.wsgi(Witness(rw, int(item))), log=None)
    server.start()
    paths = [f"/{place}{query}" for place in PLACES for query in ("", "?propagate")]
    # All at once: greenlets of one thread must not see each other's.
    jobs = {path: spawn(ask, server.server_port, path) for path in paths}
    json.dump({path: job.get() for path, job in jobs.items()}, sys.stdout)
    sys.stdout.flush()
    # The pools' threads, which are greenlets here, are each waited for in vain.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
