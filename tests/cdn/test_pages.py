"""The pages of `docs/cdn` say what the data say, and what is sent."""

import re
from pathlib import Path

import pytest

from regionware.vendors.catalogue import VENDORS
from regionware.vendors.config.pages import name_of, page
from regionware.vendors.model import Vendor

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "cdn"

pytestmark = pytest.mark.tree


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=name_of)
def test_a_page_is_what_the_data_say(vendor: Vendor) -> None:
    """`python -m regionware.vendors.config.pages docs/cdn` writes them anew."""
    found = (FOLDER / f"{name_of(vendor)}.md").read_text(encoding="utf-8")
    assert found == page(vendor)


def test_there_is_a_page_for_each_and_no_other() -> None:
    named = {f"{name_of(vendor)}.md" for vendor in VENDORS.values()}
    assert {path.name for path in FOLDER.glob("*.md")} == named | {"README.md"}
    overview = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([a-z]+\.md)\)", overview)) == named


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=name_of)
def test_every_statement_has_a_source_and_a_date(vendor: Vendor) -> None:
    assert vendor.statements
    for statement in vendor.statements:
        assert statement.source
        assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", statement.checked)
    topics = {statement.topic for statement in vendor.statements}
    if vendor.name and vendor.caches:
        assert topics >= {"lifetime", "stale windows", "variants", "cookies", "tags", "region"}


def test_the_overview_says_what_the_data_say() -> None:
    overview = (FOLDER / "README.md").read_text(encoding="utf-8")
    for vendor in VENDORS.values():
        row = next(line for line in overview.splitlines() if f"({name_of(vendor)}.md)" in line)
        assert (vendor.targeted or "s-maxage") in row or not vendor.caches
        assert vendor.tags is None or f"`{vendor.tags.name}`" in row
        assert ("attested" in row) is (vendor.variance == "configured")
        assert ("both" in row) is (len(vendor.stale) == 2)


def test_the_overviews_example_runs() -> None:
    overview = (FOLDER / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```$", overview, re.MULTILINE | re.DOTALL)
    assert found
    for source in found:
        exec(source, {})
