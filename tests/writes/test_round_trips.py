"""A forwarded write is one round trip for the whole request; carried out here, it is k + 2."""

import pytest

from regionware.parts.postgres import Cluster
from tests.conformance.harness import Flavour, Loop
from tests.writes.distance import ONE_WAY, distance


@pytest.mark.parametrize("statements", [1, 5])
@pytest.mark.parametrize("one_way", [0, ONE_WAY])
def test_round_trips(
    flavour: Flavour, loop: Loop, postgres: Cluster, statements: int, one_way: float
) -> None:
    with distance(flavour, loop, postgres) as far:
        far.database.delay = far.application.delay = one_way
        direct, forward = (far.take(way, statements, 2) for way in ("direct", "forward"))
    # BEGIN, the statements, COMMIT: the control of what is counted.
    assert direct.trips == statements + 2
    assert forward.trips == 1
