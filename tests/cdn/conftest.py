"""The world of the other folders."""

import pytest

from tests.conformance.conftest import clock, closer, flavour, loop, world

__all__ = ["clock", "closer", "flavour", "loop", "tier", "world"]


@pytest.fixture
def tier() -> str:
    """What an edge is told does not depend on the tiers."""
    return "memory"
