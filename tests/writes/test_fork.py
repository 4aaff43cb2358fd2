"""A child has connections of its own."""

import os
import sys

from regionware.parts.process import free_port
from tests.conformance.harness import Flavour
from tests.writes.served import App, Server, Worlds


def test_a_child_does_not_use_its_parents_connection() -> None:
    worlds = Worlds("wsgi")
    there = Server("asgi", App().asgi)
    worlds._ends.append(there.close)
    try:
        far = worlds.far(there.port)
        assert far.ask(body=b"x").status == 200
        client = far.rw._parts.rim.client
        assert client is not None
        before = client._pool
        assert before is not None
        assert before.connections
        child = os.fork()
        if not child:
            os._exit(0 if client._pool is None and not client._gates else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client._pool is before
        assert far.ask(body=b"x").status == 200
    finally:
        worlds.close()


def test_nothing_is_connected_before_the_first_forward(flavour: Flavour) -> None:
    worlds = Worlds(flavour)
    try:
        far = worlds.far(free_port())
        client = far.rw._parts.rim.client
        assert client is not None
        assert (client._pool, client._pools, client._context) == (None, {}, None)
    finally:
        worlds.close()


def test_what_no_route_asks_for_is_not_imported() -> None:
    code = (
        "import sys; import regionware; from regionware.policies import Route, Write;"
        "regionware.Regionware(routes=[Route('/{path:path}', write=Write.direct())]);"
        "assert 'httpcore' not in sys.modules"
    )
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
