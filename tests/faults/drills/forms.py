"""The two forms of a drill: seconds in every run of the tests, minutes in `make test-long`."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from tests.conformance.harness import Flavour

T = TypeVar("T")

BOTH: tuple[Flavour, ...] = ("asgi", "wsgi")

#: Names the file to which measurements are appended, for `python -m tests.faults.drills.report`.
MEASURED = "REGIONWARE_DRILLS"


@dataclass(frozen=True)
class Scale:
    """Which form this is."""

    long: bool

    def __call__(self, short: T, long: T) -> T:
        """The value for this form."""
        return long if self.long else short


def forms(*short: Flavour) -> pytest.MarkDecorator:
    """The short form over these protocols, the long one over both."""
    cases = [pytest.param(each, Scale(long=False), id=f"{each}-short") for each in short]
    cases += [
        pytest.param(each, Scale(long=True), id=f"{each}-long", marks=pytest.mark.long)
        for each in BOTH
    ]
    return pytest.mark.parametrize(("flavour", "scale"), cases)


#: Notes a measurement: what, the value, the target. Nothing is asserted of it.
Measure = Callable[[str, str, str], None]


def note(drill: str, form: str, what: str, value: str, target: str) -> None:
    """Append one measurement, if somebody wants them."""
    if where := os.environ.get(MEASURED):
        line = {"drill": drill, "form": form, "what": what, "value": value, "target": target}
        with Path(where).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
