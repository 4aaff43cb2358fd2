"""The library has dice of its own: those of the process are the application's."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: What makes a generator of its own.
OWN = {"Random", "SystemRandom"}


def shared_dice(source: str) -> list[str]:
    """What a module takes from `random` besides a generator of its own."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "random":
            found += [each.name for each in node.names if each.name not in OWN]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found += [node.attr] if node.value.id == "random" and node.attr not in OWN else []
    return found


@pytest.mark.tree
def test_nobody_throws_the_dice_of_the_process() -> None:
    modules = [each for top in ("regionware", "adapters", "policies") for each in walk(ROOT / top)]
    assert len(modules) > 100
    assert {str(path): found for path in modules if (found := shared_dice(path.read_text()))} == {}


def walk(top: Path) -> list[Path]:
    return [each for each in top.rglob("*.py") if not any(p.is_symlink() for p in each.parents)]


@pytest.mark.parametrize(
    "source",
    [
        "from random import choice",
        "import random\nrandom.uniform(0, 1)",
        "import random\nrandom.seed",
    ],
)
def test_who_does_is_found(source: str) -> None:
    """The control."""
    assert shared_dice(source)
    assert not shared_dice("from random import Random\nimport random\nrandom.Random(1).choice")


CHILDREN = """
import os, random
from regionware.dice import DICE

random.seed(1)
state = random.getstate()
dice = DICE if {own} else random.Random()
for _ in range(2):
    if os.fork() == 0:
        os.write(1, (repr(dice.random()) + "\\n").encode())
        os._exit(0)
    os.wait()
DICE.random()
assert random.getstate() == state
"""


@pytest.mark.parametrize("own", [True, False], ids=["ours", "control"])
def test_workers_of_one_parent_draw_differently(own: bool) -> None:
    """A generator that knows nothing of forks goes on alike in each child."""
    code = CHILDREN.format(own=own)
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, check=True, capture_output=True, text=True, cwd=ROOT)
    one, other = done.stdout.split()
    assert (one != other) is own
