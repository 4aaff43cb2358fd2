"""A seeded simulation of workers, Redis servers and regions, and of all that goes wrong there.

Each worker is a real `Regionware` over ASGI in a process with a clock of its own; each Redis runs
the project's own Lua scripts; only time, threads and sockets are made up. Every answer is held
against what `purge` and `staleness_bound` promise.
"""

from regionware.testing.simulator.history import Violation
from regionware.testing.simulator.run import Outcome, Scenario, simulate

__all__ = ["Outcome", "Scenario", "Violation", "simulate"]
