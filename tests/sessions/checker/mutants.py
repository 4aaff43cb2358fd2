"""What is broken on purpose, so that the checker has something to find."""

from collections.abc import Callable
from typing import Final

MUTANTS: Final[dict[str, Callable[[], None]]] = {}


def become(name: str) -> None:
    """Break this process for good; an empty name breaks nothing."""
    if name:
        MUTANTS[name]()
