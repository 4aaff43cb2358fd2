"""Protections, and how a worker switches them off: what the positive controls need.

This is the only module of the drills that knows how regionware is made. A name that is not known
here, or a protection that is not found where it is looked for, is an error.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib import import_module
from typing import Any
from unittest.mock import patch

from regionware import Regionware, composition
from regionware.caching import redis
from regionware.testing.garbage import ERRORS, HALVES, REPLIES
from regionware.testing.scripted import Hang, Hangup, ScriptedRedis

__all__ = [
    "ERRORS",
    "HALVES",
    "REPLIES",
    "Hang",
    "Hangup",
    "ScriptedRedis",
    "has_heard",
    "patient",
    "throw",
    "thrown",
]


def has_heard(rw: Regionware) -> bool:
    """Whether this worker knows of the region's purges."""
    log = rw._parts.rim._log
    return log is not None and log.synced.is_set()


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
}
