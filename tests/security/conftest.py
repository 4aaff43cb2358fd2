"""The fixtures of `tests/conformance`: every case runs over both protocols and both sets of tiers.

For tokens, the shop of `tests/sessions`.
"""

from tests.conformance.conftest import closer, flavour, loop, tier, world
from tests.rig import rig
from tests.sessions.conftest import _open_shop, goods, item, regions, replay

__all__ = [
    "_open_shop", "closer", "flavour", "goods", "item", "loop", "regions", "replay", "rig", "tier",
    "world",
]  # fmt: skip
