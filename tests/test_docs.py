"""The documentation's examples run, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]

pytestmark = pytest.mark.tree


def examples(text: str) -> list[tuple[int, str]]:
    """Every fenced Python block that is meant to run, with the line it begins on."""
    found = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, hit.start(1)), hit.group(1)) for hit in found]


def links(text: str) -> list[str]:
    """Every target that is a file of this repository."""
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    return [target for target in targets if "://" not in target]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_run(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of one page build on each other, as a reader would paste them."""
    monkeypatch.setenv("REGIONWARE_SECRET", "a secret of the tests, long enough")
    names: dict[str, object] = {"__name__": page.stem}
    for line, source in examples(page.read_text(encoding="utf-8")):
        code = compile("\n" * line + source, page, "exec")
        exec(code, names)


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    missing = [t for t in links(page.read_text(encoding="utf-8")) if not (page.parent / t).exists()]
    assert missing == []


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {ROOT / target for target in links((ROOT / "README.md").read_text(encoding="utf-8"))}
    assert {page for page in PAGES if page.parent.name == "docs"} <= linked


def test_an_example_is_found_and_a_marked_one_is_not() -> None:
    text = "x\n\n```python\na = 1\n```\n\n```python notest\nb\n```\n"
    assert examples(text) == [(3, "a = 1\n")]


def test_a_missing_link_is_found() -> None:
    assert links("[a](docs/none.md#x) [b](https://example.org/x)") == ["docs/none.md"]
