"""Two regions over real servers, and over both protocols."""

from collections.abc import Iterator

import pytest

from tests.conformance.harness import Flavour
from tests.rig import flavour
from tests.writes.served import Worlds

__all__ = ["flavour"]


@pytest.fixture
def worlds(flavour: Flavour) -> Iterator[Worlds]:
    """Makes regions."""
    worlds = Worlds(flavour)
    yield worlds
    worlds.close()
    import gc; gc.collect()
