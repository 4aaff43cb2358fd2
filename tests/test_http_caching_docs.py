"""The tables of docs/http-caching.md name rules and tests that exist, for every section."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "http-caching.md"
CODE = [ROOT / name for name in ("regionware", "adapters", "policies")]

HEADER = ["section", "clause", "what we do, and where", "tests"]

#: What RFC 9111 asks of a cache stands in these sections.
SECTIONS = [
    "3", "3.1", "3.2", "3.3", "3.4", "3.5",
    "4", "4.1", "4.2", "4.2.1", "4.2.2", "4.2.3", "4.2.4",
    "4.3", "4.3.1", "4.3.2", "4.3.3", "4.3.4", "4.3.5", "4.4",
    "5.1", "5.2", "5.2.1", *(f"5.2.1.{number}" for number in range(1, 8)),
    "5.2.2", *(f"5.2.2.{number}" for number in range(1, 11)),
    "5.2.3", "5.3", "5.4", "5.5",
]  # fmt: skip

pytestmark = pytest.mark.tree


@dataclass(frozen=True)
class Row:
    """One clause, where it stands, and the cells of its row."""

    heading: str
    section: str
    clause: str
    rule: str
    held: str

    @property
    def rules(self) -> list[str]:
        """The functions that are named, as `module.function` or `module.Class.method`."""
        return re.findall(r"`([a-z_]+(?:\.[A-Za-z_]+)+)`", self.rule)

    @property
    def tests(self) -> list[str]:
        """The tests that are named, as `file.py::function`."""
        return re.findall(r"`([a-z0-9_]+\.py::[a-z0-9_]+)`", self.held)


def clauses(text: str) -> list[Row]:
    """Every row of every table with the header of the conformance tables."""
    found, heading, inside = [], "", False
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.strip("# ")
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|"):
            inside = False
        elif cells == HEADER:
            inside = True
        elif inside and not line.startswith("|---"):
            assert len(cells) == len(HEADER), line
            found.append(Row(heading, *cells))
    return found


def wrong(row: Row, rules: set[str], tests: set[str]) -> Iterator[str]:
    """What a row claims and is not so."""
    elsewhere = "not ours:" in row.rule
    if not row.clause:
        yield "no clause"
    if not row.rules and not elsewhere:
        yield "no rule"
    if not row.tests and row.held != ("–" if elsewhere else "no test yet"):
        yield "no test"
    if row.tests and row.held != ", ".join(f"`{name}`" for name in row.tests):
        yield f"what is {row.held}?"
    yield from (f"no rule {name}" for name in row.rules if name not in rules)
    yield from (f"no test {name}" for name in row.tests if name not in tests)


def defined(path: Path) -> Iterator[str]:
    """Every function, class and method of a module, by its file's name and its own."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield f"{path.stem}.{node.name}"
        if isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            yield from (f"{path.stem}.{node.name}.{method.name}" for method in methods)


@cache
def all_rules() -> set[str]:
    return {name for top in CODE for path in top.rglob("*.py") for name in defined(path)}


@cache
def all_tests() -> set[str]:
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        names = re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE)
        found |= {f"{path.name}::{name}" for name in names}
    return found


def missing(rows: list[Row]) -> list[str]:
    """The sections of RFC 9111 without a row."""
    there = {row.section for row in rows if row.heading.startswith("RFC 9111")}
    return [section for section in SECTIONS if section not in there]


ROWS = clauses(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else []


def test_every_row_names_what_exists() -> None:
    found = {
        f"{row.heading}, {row.section}, {row.clause}": claims
        for row in ROWS
        if (claims := list(wrong(row, all_rules(), all_tests())))
    }
    assert not found


def test_every_section_has_a_row() -> None:
    assert missing(ROWS) == []


def test_no_clause_is_there_twice() -> None:
    known = [(row.heading, row.section, row.clause) for row in ROWS]
    assert len(known) == len(set(known))


def test_every_standard_has_a_table() -> None:
    headings = {row.heading.partition(":")[0] for row in ROWS}
    named = {"RFC 9111", "RFC 9110", "RFC 5861", "RFC 8246", "RFC 9213", "RFC 9211", "RFC 9875"}
    assert headings == named | {"No-Vary-Search"}


# Controls

TABLE = """\
### RFC 9111: an example

| section | clause | what we do, and where | tests |
|---|---|---|---|
| 3 | a clause | {} | {} |

| section | another | table | there |
|---|---|---|---|
| 3.1 | no | clause | here |
"""
GOOD = ("`docs.examples`; no more", "`test_docs.py::test_examples_run`")


def problems(rule: str, held: str) -> list[str]:
    (row,) = clauses(TABLE.format(rule, held))
    return list(
        wrong(row, {"docs.examples", "docs.Page.read"}, {"test_docs.py::test_examples_run"})
    )


def test_a_good_row_is_accepted() -> None:
    assert problems(*GOOD) == []
    assert problems("`docs.Page.read`", "no test yet") == []
    assert problems("not ours: there is none", "–") == []


@pytest.mark.parametrize(
    ("rule", "held", "problem"),
    [
        ("`docs.gone`", GOOD[1], "no rule docs.gone"),
        ("`docs.Page.write`", GOOD[1], "no rule docs.Page.write"),
        ("in words alone", GOOD[1], "no rule"),
        (GOOD[0], "`test_docs.py::test_gone`", "no test test_docs.py::test_gone"),
        (GOOD[0], "–", "no test"),
        (GOOD[0], "", "no test"),
        (GOOD[0], f"{GOOD[1]}, and others", "what is"),
        ("not ours: there is none", "no test yet", "no test"),
    ],
)
def test_a_row_that_claims_too_much_is_found(rule: str, held: str, problem: str) -> None:
    found = problems(rule, held)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_a_section_without_a_row_is_found() -> None:
    assert missing(clauses(TABLE.format(*GOOD))) == [name for name in SECTIONS if name != "3"]


def test_names_of_this_file_are_found() -> None:
    here = set(defined(Path(__file__)))
    assert {"test_http_caching_docs.defined", "test_http_caching_docs.Row.rules"} <= here
    assert "test_http_caching_docs.py::test_names_of_this_file_are_found" in all_tests()
