"""The request's state, taken along to where Python does not take it.

A context is copied by tasks, `asyncio.to_thread`, anyio's threads and asgiref. It is not copied by
`threading.Thread`, an executor's `submit`, `loop.run_in_executor` and `gevent.spawn`: what runs
there sees no request, so it reads from the primary, and its writes are told to no session.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from regionware.context import Current, bind, current, unbind

P = ParamSpec("P")
R = TypeVar("R")


def propagate(fn: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function, so that it runs with the state of the request that is current now.

    The state is not a copy. It is the request's one object, which guards itself by a lock: tags,
    reads and writes of the function are the request's own, in whatever thread, greenlet or event
    loop it runs. The wrapper may be called many times, also at once. Only the state is taken along,
    no other context variable.

    A function that outlives its request keeps the state, and reads what its session is owed. What
    it writes after the head of the response is out cannot be told to the session any more, since
    the token has left with the head; that is logged as a warning.

    Call it inside the request. Where there is none, the function comes back as it is.

    Args:
        fn: a function, or a coroutine function.

    Raises:
        TypeError: a generator function, whose code would run later than the call: wrap the
            function that iterates over it.
    """
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise TypeError("propagate: a generator runs where it is iterated; wrap what iterates it")
    state = current()
    if state is None:
        return fn
    if _is_async(fn):
        return cast("Callable[P, R]", _aside_async(state, fn))
    return _aside(state, fn)


def _is_async(fn: Callable[..., Any]) -> bool:
    """Whether the call gives a coroutine; of an object, its `__call__` decides."""
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__)


def _aside(state: Current, fn: Callable[P, R]) -> Callable[P, R]:
    @wraps(fn)
    def propagated(*args: P.args, **kwargs: P.kwargs) -> R:
        undo = bind(state)
        try:
            return fn(*args, **kwargs)
        finally:
            unbind(undo)

    return propagated


def _aside_async(state: Current, fn: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(fn)
    async def propagated(*args: Any, **kwargs: Any) -> Any:
        undo = bind(state)
        try:
            return await fn(*args, **kwargs)
        finally:
            unbind(undo)

    return propagated
