"""The fixtures of `tests/rig.py`."""

from tests.rig import closer, flavour, loop, rig

__all__ = ["closer", "flavour", "loop", "rig"]
