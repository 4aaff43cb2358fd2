"""A write from 150 ms away: carried out here, or forwarded. The round trips are asserted."""

from collections.abc import Iterator

import pytest

from regionware.parts.postgres import Cluster
from tests.conformance.harness import Flavour, Loop
from tests.writes.distance import ONE_WAY, Distance, distance

_STATEMENTS = (1, 3, 10)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """The primary."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    """Where the far region's ASGI application runs."""
    loop = Loop()
    yield loop
    loop.stop()


@pytest.mark.parametrize("flavour", ["asgi", "wsgi"])
def test_writes(
    flavour: Flavour, loop: Loop, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    with distance(flavour, loop, cluster) as far:
        far.database.delay = far.application.delay = ONE_WAY
        lines = [_line(far, flavour, statements) for statements in _STATEMENTS]
    with capsys.disabled():
        print("\n".join(("", "| statements | | direct | forwarded | × |", *lines)))  # noqa: T201 - its purpose


def _line(far: Distance, flavour: Flavour, statements: int) -> str:
    direct, forward = (far.take(way, statements, 5) for way in ("direct", "forward"))
    assert (direct.trips, forward.trips) == (statements + 2, 1)
    ratio = direct.seconds / forward.seconds
    return (
        f"| {statements} | {flavour.upper()} | {direct.trips:g} round trips, "
        f"{direct.seconds * 1000:.0f} ms | {forward.trips:g} round trip, "
        f"{forward.seconds * 1000:.0f} ms | {ratio:.1f} |"
    )
