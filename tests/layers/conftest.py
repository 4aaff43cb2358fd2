"""The servers, and what the frameworks' applications have in common."""

from collections.abc import Callable
from typing import Any

import pytest

from regionware import Region, Regionware, Topology
from regionware.parts.postgres import Cluster
from tests.layers.site import ROUTES
from tests.rig import Rig, closer, flavour, loop, rig
from tests.sessions.conftest import Replay, goods, item, ready, regions, replay
from tests.sessions.shop import SECRET

__all__ = [
    "Replay", "closer", "flavour", "goods", "item", "loop", "regions", "replay", "rig",
]  # fmt: skip

#: Makes a worker in a region.
Work = Callable[..., Regionware]


@pytest.fixture(scope="session")
def checked(postgres: Cluster, goods: str) -> str:
    """A table whose references are checked at COMMIT."""
    postgres.primary.query(
        "CREATE TABLE IF NOT EXISTS parts_of_goods"
        " (item int REFERENCES goods DEFERRABLE INITIALLY DEFERRED)"
    )
    postgres.settle()
    return "parts_of_goods"


@pytest.fixture
def worker(rig: Rig, regions: list[Region], postgres: Cluster, checked: str) -> Work:
    """Makes workers where the replica is, that know their databases."""

    def worker(here: str = "fra", **options: Any) -> Regionware:
        topology = Topology(here=here, regions=regions)
        return ready(rig.worker(topology, *ROUTES, secret=SECRET, **options))

    postgres.settle()
    return worker
