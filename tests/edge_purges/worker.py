"""A worker that purges an edge, as a process; run by `test_purge_durable.py`.

`python -m tests.edge_purges.worker REDIS VENDOR`. It does what it reads, a line each: `purge TAG`,
`holds` (who may send, by what Redis knows this worker), `end`.
"""

import sys

from regionware import Region, Regionware, Topology
from regionware.policies import Cache, Route
from tests.conformance.harness import until
from tests.edge_purges.vendor import fastly


def main(url: str, origin: str) -> None:
    here = Region("here", primary=True, redis=url)
    rw = Regionware(
        topology=Topology(here="here", regions=[here]),
        routes=[Route("/{path:path}", cache=Cache(ttl=60))],
        edges=[fastly(origin)],
    )
    with rw:
        until(lambda: rw.backplane is not None and rw.backplane.synced)
        say("ready")
        for line in sys.stdin:
            word, _, rest = line.strip().partition(" ")
            if word == "end":
                break
            if word == "purge":
                say(str(rw.purge(tags=[rest]).edges))
            elif word == "holds":
                say(rw._parts.edges[0]._outboxes[0]._token)
    say("ended")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
