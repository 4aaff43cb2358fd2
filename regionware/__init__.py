"""Middleware that makes an application with one primary database fast on every continent."""

from regionware.caching.purging import Purged
from regionware.context import Current, current
from regionware.database.position import Position
from regionware.errors import (
    ConfigurationError,
    ConsistencyUnavailable,
    InsufficientTrust,
    PrimaryUnavailable,
    PurgeError,
    RegionwareError,
    Unavailable,
)
from regionware.middleware import Regionware
from regionware.observe import Event
from regionware.propagating import propagate
from regionware.topology import Region, Topology

__all__ = [
    "ConfigurationError",
    "ConsistencyUnavailable",
    "Current",
    "Event",
    "InsufficientTrust",
    "Position",
    "PrimaryUnavailable",
    "PurgeError",
    "Purged",
    "Region",
    "Regionware",
    "RegionwareError",
    "Topology",
    "Unavailable",
    "current",
    "propagate",
]
__version__ = "0.1.0"
