"""Protections, and how a worker switches them off: what the positive controls need.

This is the only module of the drills that knows how regionware is made. A name that is not known
here, or a protection that is not found where it is looked for, is an error.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any
from unittest.mock import patch

import psycopg

from regionware import Regionware, composition
from regionware.caching import redis
from regionware.caching.coherence import Fences
from regionware.database import finding, survey
from regionware.database.connection import Databases
from regionware.database.hosts import Arrangement
from regionware.database.pools import Limits
from regionware.database.position import Position
from regionware.database.selector import Host
from regionware.database.timelines import Place, Timelines
from regionware.database.vitals import Vitals
from regionware.testing.garbage import ERRORS, HALVES, REPLIES
from regionware.testing.scripted import Hang, Hangup, ScriptedRedis

__all__ = [
    "ERRORS",
    "HALVES",
    "REPLIES",
    "Hang",
    "Hangup",
    "Hosts",
    "ScriptedRedis",
    "has_heard",
    "hosts",
    "knows_hosts",
    "limit",
    "patient",
    "throw",
    "thrown",
]


def has_heard(rw: Regionware) -> bool:
    """Whether this worker knows of the region's purges."""
    log = rw._parts.rim._log
    return log is not None and log.synced.is_set()


@dataclass(frozen=True)
class Hosts:
    """What a worker knows of its databases.

    Attributes:
        primary: the name of the one that takes writes; empty where there is none.
        timeline: the highest that a primary was seen on.
        used: the names of those that may be used.
        level: of these, those that are read where a lag of a second is promised.
    """

    primary: str
    timeline: int
    used: frozenset[str]
    level: frozenset[str]


def hosts(rw: Regionware) -> Hosts:
    """What this worker knows now."""
    databases = rw._parts.databases
    assert databases is not None
    known, now = databases.known, time.monotonic()
    used = frozenset(name for name, mark in known.marks.items() if mark.reachable)
    level = frozenset(
        name for name in used
        if (fresh := known.marks[name].fresh) is not None and now - fresh < 1
    )  # fmt: skip
    primary = known.primary.name if known.primary is not None else ""
    return Hosts(primary, known.timelines.current, used, level)


def knows_hosts(rw: Regionware) -> bool:
    """Whether this worker knows of each database how far it is."""
    databases = rw._parts.databases
    assert databases is not None
    return all(mark.fresh is not None for mark in databases.marks.values())


def limit(rw: Regionware, limits: Mapping[str, Any]) -> None:
    """Let this worker's pools use something else than usual; before the first use."""
    databases = rw._parts.databases
    assert databases is not None
    databases._limits = replace(Limits(), **limits)
    databases._rim.pools._limits = databases._limits


def throw(rw: Regionware, off: Sequence[str]) -> None:
    """Switch protections of one worker off."""
    for name in off:
        if name in _OF_A_WORKER:
            _OF_A_WORKER[name](rw)
        elif name not in _WHILE_MADE:
            raise LookupError(name)


@contextmanager
def thrown(off: Sequence[str]) -> Iterator[None]:
    """Switch off what a worker takes in while it is made, and leave it so: the process is lost."""
    stack = ExitStack()
    for name in off:
        if name in _WHILE_MADE:
            stack.enter_context(_WHILE_MADE[name]())
    yield


# Protections of a worker


def _deaf(rw: Regionware) -> None:
    """The bound: hears of no purge any more, and trusts its memory all the same."""
    rw.start()
    log, fences = rw._parts.rim._log, rw._parts.prepared.fences
    assert log is not None
    assert log.synced.wait(20)
    log.stop()
    log.start = lambda: None  # type: ignore[method-assign] # that is the point
    log.synced.set()
    fences.heard_until = float("inf")


def _confident(rw: Regionware) -> None:
    """The bound alone: hears, and trusts its memory however long it has heard nothing."""
    fences = rw._parts.prepared.fences

    class Trusting(type(fences)):  # type: ignore[misc] # made on the fly
        __slots__ = ()
        heard_until = property(lambda _: float("inf"), lambda _, __: None)

    fences.__class__ = Trusting


def _flights(rw: Regionware) -> None:
    """Collapsing in a process: every miss goes alone."""
    rw._parts.rim._flights.join = lambda *_: (None, False)  # type: ignore[method-assign] # the point


# Protections that are taken in while a worker is made


def _no_deadline() -> Any:
    """The deadline of 50 ms: a call to Redis may take a minute."""
    return patch.object(composition, "RedisTier", partial(redis.RedisTier, deadline=60.0))


def _no_breaker() -> Any:
    """The breaker: Redis is asked, whatever has become of it."""
    return patch.object(_breaker(), "failed", lambda _: None)


def _breaker() -> type:
    """Whatever is told that a call has failed."""
    for place in ("breaker.Breaker", "health.Health"):
        module, name = place.split(".")
        with suppress(ImportError):
            found: type = getattr(import_module(f"regionware.caching.{module}"), name)
            return found
    raise LookupError("breaker")


def _loud() -> Any:
    """The rule that whatever happens to Redis is a miss: its errors surface."""
    return patch.object(import_module(redis.RedisTier._attempt.__module__), "TROUBLE", ())


def _never_down() -> Any:
    """The rule that a host which does not answer is not used."""
    return patch.object(Vitals, "missed", lambda *_: None)


def _any_position() -> Any:
    """The comparison of what a session must see with what a host has replayed."""
    return patch.object(Position, "reached", lambda *_: True)


def _as_declared() -> Any:
    """The rule that servers say themselves which of them is the primary."""

    def arrange(names: Sequence[str], *_: object, **__: object) -> Arrangement:
        return Arrangement(Host(names[0], "primary"))

    return patch.object(survey, "arrange", arrange)


def _one_history() -> Any:
    """The timelines: whatever a position says, it is of the history."""
    stack = ExitStack()
    stack.enter_context(patch.object(Timelines, "place", lambda *_: Place.HERE))
    stack.enter_context(patch.object(Fences, "learn", lambda *_: None))
    return stack


def _no_patience() -> Any:
    """The bounds of what a request waits for a database that does not answer."""
    return patch.multiple(finding, _DOWN=60.0, _FAR=60.0)


def _again_and_again() -> Any:
    """The rule that a read is repeated once, and elsewhere."""

    def run_read(self: Databases, state: Any, function: Any) -> Any:
        for _ in range(20):
            with suppress(psycopg.OperationalError), self.connection(state, access="read") as link:
                return function(link)
        raise AssertionError("it never worked")

    async def arun_read(self: Databases, state: Any, function: Any) -> Any:
        for _ in range(20):
            with suppress(psycopg.OperationalError):
                async with self.connection(state, access="read") as link:
                    return await function(link)
        raise AssertionError("it never worked")

    return patch.multiple(Databases, run_read=run_read, arun_read=arun_read)


#: Workers that are made in it wait for Redis as long as it takes.
patient = _no_deadline

_OF_A_WORKER: dict[str, Callable[[Regionware], None]] = {
    "hearing": _deaf,
    "bound": _confident,
    "flights": _flights,
}
_WHILE_MADE: dict[str, Callable[[], Any]] = {
    "deadline": _no_deadline,
    "breaker": _no_breaker,
    "silence": _loud,
    "ejecting": _never_down,
    "positions": _any_position,
    "timelines": _as_declared,
    "history": _one_history,
    "patience": _no_patience,
    "once": _again_and_again,
}
