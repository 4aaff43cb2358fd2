"""docs/debugging.md tells of every event, and of no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from regionware.observe import Event

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "debugging.md"
CODE = [ROOT / name for name in ("regionware", "adapters", "policies")]

pytestmark = pytest.mark.tree


def emitted(source: str) -> Iterator[str]:
    """The names with which `Event(…)` and `….tell(…)` are called, where they are written out."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if name in {"Event", "tell"}:
            first = node.args[0]
            chosen = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
            yield from (str(each.value) for each in chosen if isinstance(each, ast.Constant))


def vocabulary(text: str) -> list[str]:
    """The names that the docstring of `Event` lists."""
    names = re.search(r"\bname: what: (.*?)\.\n", text, re.DOTALL)
    assert names is not None
    return re.findall(r"`([a-z-]+)`", names.group(1))


def told(page: str) -> list[str]:
    """The first cells of every table of events."""
    found, inside = [], False
    for line in page.splitlines():
        inside = line.startswith("| event |") or (inside and line.startswith("|"))
        if inside:
            found += re.findall(r"^\| `([a-z-]+)` \|", line)
    return found


def sources() -> dict[str, str]:
    # The simulator tells its own story.
    paths = [p for top in CODE for p in top.rglob("*.py") if "testing" not in p.parts]
    return {str(path): path.read_text(encoding="utf-8") for path in paths}


KNOWN = vocabulary(Event.__doc__ or "")


def test_every_event_is_in_the_table_once() -> None:
    assert sorted(told(PAGE.read_text(encoding="utf-8"))) == sorted(KNOWN)


def test_every_event_that_is_emitted_is_known() -> None:
    found = {name for source in sources().values() for name in emitted(source)}
    assert len(found) > 10
    assert found - set(KNOWN) == set()


@pytest.mark.parametrize("name", KNOWN)
def test_every_event_that_is_known_is_emitted(name: str) -> None:
    assert any(f'"{name}"' in source for source in sources().values())


def test_names_are_found_where_they_are_written() -> None:
    source = 'Event("a")\nself.tell("b" if c else "d", x)\nasyncio.Event()\nevents.emit(Event(e))'
    assert list(emitted(source)) == ["a", "b", "d"]
    assert vocabulary("name: what: `a`,\n `b-c`.\n route: `d`") == ["a", "b-c"]
    assert told("| event | x |\n|---|---|\n| `a` | `b` |\n\n| `c` | |\n") == ["a"]
