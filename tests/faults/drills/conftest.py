"""Fleets of worker processes, and servers that a drill may break."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regionware.parts.redis import RedisServer
from tests.faults.drills.fleet import Fleet
from tests.faults.drills.forms import Measure, Scale, note
from tests.faults.drills.worker import Setup
from tests.rig import closer, flavour, loop, rig

__all__ = ["closer", "flavour", "launch", "loop", "measure", "rig", "second_server", "server"]

Launch = Callable[..., Fleet]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis of this drill's own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def second_server() -> Iterator[RedisServer]:
    """Another one."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Starts a fleet; it does not wait until the workers have heard of their region."""
    made: list[Fleet] = []

    def start(*setups: Setup) -> Fleet:
        folder = tmp_path / f"fleet-{len(made)}"
        folder.mkdir()
        made.append(Fleet(folder, setups))
        return made[-1]

    yield start
    for fleet in made:
        fleet.close()


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    """Notes what was measured; see `report.py`."""
    callspec = getattr(request.node, "callspec", None)
    given: dict[str, Any] = callspec.params if callspec else {}
    scale: Scale = given.get("scale", Scale(long=False))
    which = [str(given[name]).replace("_", "-") for name in ("how", "window") if name in given]
    told = (request.cls.__doc__ or "") if request.cls else request.node.originalname
    drill = " ".join([told.partition(".")[0], *which]).removeprefix("test_").replace("_", " ")
    form = f"{given.get('flavour', '')} {scale('short', 'long')}".strip()
    return lambda what, value, target: note(drill, form, what, value, target)


def lasts(seconds: float) -> None:
    """Let the drill's trouble or load last for so long: a length, nothing is waited for."""
    time.sleep(seconds)
