"""The fixtures of the other folders: `world` without a database, `rig` and the shop with one."""

from tests.conformance.conftest import clock, closer, flavour, loop, tier, world
from tests.rig import rig
from tests.sessions.conftest import _open_shop, goods, item, regions, replay

__all__ = [
    "_open_shop", "clock", "closer", "flavour", "goods", "item", "loop", "regions", "replay", "rig",
    "tier", "world",
]  # fmt: skip
