"""The two drivers of plans: one blocks, one awaits. Both throw every exception into the plan."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from regionware.effects import Effect, Plan

R = TypeVar("R")


def drive(plan: Plan[R], perform: Callable[[Effect[Any]], Any]) -> R:
    """Run a plan to its end, performing each effect on this thread."""
    step, value = plan.send, None
    try:
        while True:
            effect = step(value)
            try:
                step, value = plan.send, perform(effect)
            except BaseException as error:  # noqa: BLE001 - a plan must see a cancellation too
                step, value = plan.throw, error
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # typeshed has no type for its value


async def adrive(plan: Plan[R], perform: Callable[[Effect[Any]], Awaitable[Any]]) -> R:
    """The async twin of `drive`."""
    step, value = plan.send, None
    try:
        while True:
            effect = step(value)
            try:
                step, value = plan.send, await perform(effect)
            except BaseException as error:  # noqa: BLE001 - a plan must see a cancellation too
                step, value = plan.throw, error
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return] # typeshed has no type for its value
