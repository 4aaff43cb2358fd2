"""The fixtures of `tests/rig.py`, and somebody who plays a vendor."""

from collections.abc import Iterator

import pytest

from tests.edge_purges.vendor import Vendor
from tests.rig import closer, flavour, loop, rig

__all__ = ["closer", "flavour", "loop", "rig"]


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A server that takes every purge, unless it is told otherwise."""
    with Vendor() as vendor:
        yield vendor
