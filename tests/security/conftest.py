"""The fixtures of `tests/conformance`: every case runs over both protocols and both sets of tiers."""

from tests.conformance.conftest import closer, flavour, loop, tier, world

__all__ = ["closer", "flavour", "loop", "tier", "world"]
