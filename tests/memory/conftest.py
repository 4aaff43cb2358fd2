"""The memory tier is seen through the sites of the conformance tests."""

from tests.conformance.conftest import clock, closer, flavour, loop, tier, world

__all__ = ["clock", "closer", "flavour", "loop", "tier", "world"]
