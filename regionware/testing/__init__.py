"""What a test suite needs to hold an application, and its cache, against what is promised."""

from regionware.parts.proxy import DelayProxy
from regionware.testing.calling import Answer, Request
from regionware.testing.chaos import ChaosStore
from regionware.testing.clock import Clock
from regionware.testing.garbage import ERRORS, HALVES, REPLIES
from regionware.testing.oracle import IGNORED, Difference, Oracle, transparent
from regionware.testing.scripted import (
    Command,
    Drip,
    Hang,
    Hangup,
    Script,
    ScriptedRedis,
    constantly,
    dripping,
    erring,
    found,
    granted,
    kind,
    stopping,
    well_behaved,
)

__all__ = [  # noqa: RUF022 - in the order of Python's own sorting
    "Answer",
    "ChaosStore",
    "Clock",
    "Command",
    "DelayProxy",
    "Difference",
    "Drip",
    "ERRORS",
    "HALVES",
    "Hang",
    "Hangup",
    "IGNORED",
    "Oracle",
    "REPLIES",
    "Request",
    "Script",
    "ScriptedRedis",
    "constantly",
    "dripping",
    "erring",
    "found",
    "granted",
    "kind",
    "stopping",
    "transparent",
    "well_behaved",
]
