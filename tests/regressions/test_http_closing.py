"""What still runs when a worker is closed leaves no connection behind."""

import pytest

from regionware import Region, Regionware, Topology
from regionware.caching.lines import Lines
from regionware.policies import Cache, Route
from tests.conformance.application import DEADLINE, Application, Gate, Response
from tests.conformance.harness import Loop, Site, until


@pytest.mark.parametrize("reopened", [False, True])
def test_a_fill_that_ends_after_the_end_keeps_no_connection(
    loop: Loop, redis_url: str, reopened: bool
) -> None:
    """The control: a worker that has been started again keeps its connections."""
    gate = Gate()
    here = Region("here", primary=True, redis=redis_url)
    rw = Regionware(
        topology=Topology(here="here", regions=[here]),
        routes=[Route("/{path:path}", cache=Cache(ttl=60))],
    )
    rim = rw._parts.rim
    assert rim.tier is not None
    assert rim._log is not None
    lines = rim.tier._lines
    assert isinstance(lines, Lines)
    site = Site("wsgi", rw, Application(lambda _: Response([b"x"], hold=gate)), loop)
    with rw:
        assert rim._log.synced.wait(DEADLINE)
        call = site.start("/x")
        gate.reached()
    if reopened:
        rw.start()
    gate.open()
    call.result()
    until(lambda: not lines._busy)
    assert len(lines._idle) == reopened
    site.close()
    rw.close()
    assert not lines._idle
