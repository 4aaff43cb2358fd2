"""docs/lessons.md names tests that exist, and every test of another cache's bug."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "lessons.md"
HEADER = ["cache", "what happened there", "here", "tests"]

pytestmark = pytest.mark.tree


@dataclass(frozen=True)
class Lesson:
    """One bug: whose, what it was, what we do, and what holds it."""

    cache: str
    bug: str
    here: str
    held: str

    @property
    def tests(self) -> list[str]:
        """The tests that are named, as `file.py::function`."""
        return re.findall(r"`([a-z0-9_]+\.py::[a-z0-9_]+)`", self.held)


def lessons(text: str) -> list[Lesson]:
    """Every row of every table."""
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row] for row in rows if not row[0].startswith("---")]
    return [Lesson(*row) for row in cells if row != HEADER]


@cache
def written() -> dict[str, Path]:
    """Every test, by its file's name and its own."""
    found = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE):
            found[f"{path.name}::{name}"] = path
    return found


def wrong(lesson: Lesson, tests: dict[str, Path]) -> list[str]:
    """What a row claims and is not so."""
    impossible = lesson.here.startswith("cannot be: ")
    claims = "–" if impossible else ", ".join(f"`{name}`" for name in lesson.tests)
    found = [f"no test {name}" for name in lesson.tests if name not in tests]
    if not all((lesson.cache, lesson.bug, lesson.here)):
        found.append("an empty cell")
    if lesson.held != claims or not claims:
        found.append(f"what is {lesson.held!r}?")
    return found


LESSONS = lessons(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else []


def test_every_lesson_is_held_by_a_test_or_has_a_reason() -> None:
    assert len(LESSONS) > 50
    found = {row.bug: claims for row in LESSONS if (claims := wrong(row, written()))}
    assert not found


def test_every_test_of_another_caches_bug_is_told() -> None:
    told = {name for row in LESSONS for name in row.tests}
    ours = {name for name in written() if name.startswith("test_other_caches_")}
    assert ours - told == set()


# Controls

GOOD = ("a cache #1", "a bug", "a reason", "`test_lessons.py::test_a_good_row_is_accepted`")


def test_a_good_row_is_accepted() -> None:
    assert wrong(Lesson(*GOOD), written()) == []
    assert wrong(Lesson(*GOOD[:2], "cannot be: there is none", "–"), written()) == []


@pytest.mark.parametrize(
    "row",
    [
        (*GOOD[:3], "`test_lessons.py::test_gone`"),
        (*GOOD[:3], "–"),
        (*GOOD[:3], ""),
        (*GOOD[:3], GOOD[3] + ", and more"),
        (*GOOD[:2], "cannot be: there is none", GOOD[3]),
        (*GOOD[:2], "", GOOD[3]),
    ],
)
def test_a_row_that_claims_too_much_is_found(row: tuple[str, str, str, str]) -> None:
    assert len(wrong(Lesson(*row), written())) == 1


def test_a_table_is_read() -> None:
    table = "| cache | what happened there | here | tests |\n|---|---|---|---|\n| a | b | c | d |\n"
    assert lessons(table) == [Lesson("a", "b", "c", "d")]
