"""What every scenario has in common: how long it goes on, and what is asserted of it."""

import re
import time
from typing import Final

import pytest

from tests.conformance.harness import Flavour
from tests.faults.drills.forms import note
from tests.sessions.checker.crowd import Crowd
from tests.sessions.checker.judge import Judge
from tests.sessions.checker.world import FAR

#: Requests that the long form makes at least, and seconds that it may take for them.
MANY, LIMIT = 20_000, 1500
#: Seconds of the short form, and requests at least, however slow the machine.
FEW, LEAST = 2.0, 300

#: Workers of both, in each region.
BOTH: Final[tuple[Flavour, ...]] = ("asgi", "wsgi")

#: What is lawful where a guarantee cannot be met,
TYPED: Final = "503 .*"
#: and where a connection was lost, or a server ends or begins, or replay got in the way.
LOST: Final = r"503 .*|500 (OperationalError|08\w+|57P0\d|40001)"

forms = pytest.mark.parametrize(
    "long",
    [
        pytest.param(False, marks=pytest.mark.timeout(300)),
        pytest.param(True, marks=[pytest.mark.long, pytest.mark.timeout(LIMIT + 300)]),
    ],
    ids=["short", "long"],
)


def enough(crowd: Crowd, began: float, *, long: bool) -> bool:
    """Whether they have gone on for long enough."""
    passed = time.monotonic() - began
    return passed > LIMIT or (passed > FEW and crowd.count >= (MANY if long else LEAST))


def accept(name: str, judge: Judge, *, long: bool, errors: float, words: str = TYPED) -> None:
    """Assert that every promise was kept, and that errors are such as may be, and few."""
    failed, form = sum(judge.errors.values()), "long" if long else "short"
    what = f"{len(judge.ops)} requests, of which {failed} were told an error"
    note(f"sessions: {name}", form, what, f"{len(judge.violations)} violations", "0")
    note(f"sessions: {name}", form, "replicas' share of far reads", f"{judge.share(FAR):.0%}", "")
    assert list(map(str, judge.violations[:5])) == [], judge.faults
    strange = [said for said in judge.errors if not re.fullmatch(words, said, re.DOTALL)]
    assert strange == [], judge.errors
    assert failed <= errors * len(judge.ops), judge.errors
    assert len(judge.ops) >= (MANY if long else LEAST), "too few answers to prove anything"
    stored = {op.route for op in judge.ops if op.hit and op.lower is not None}
    assert not long or stored >= {"entry", "own"}, "no answers of every kind"
