"""The fixtures of `tests/rig.py`, and the fleet."""

from tests.faults.fleet import fleet
from tests.rig import closer, flavour, loop, rig

__all__ = ["closer", "flavour", "fleet", "loop", "rig"]
