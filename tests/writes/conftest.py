"""Two regions over real servers, and over both protocols."""

from collections.abc import Iterator

import pytest

from tests.conformance.harness import Flavour
from tests.rig import closer, flavour, loop, rig
from tests.sessions.conftest import goods, item, replay
from tests.writes.served import Worlds

__all__ = ["closer", "flavour", "goods", "item", "loop", "replay", "rig"]


@pytest.fixture
def worlds(flavour: Flavour) -> Iterator[Worlds]:
    """Makes regions."""
    worlds = Worlds(flavour)
    yield worlds
    worlds.close()
