"""Tags have one form for a vendor: what is sent with an answer is what a purge names."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware import ConfigurationError
from regionware.vendors import tags as module
from regionware.vendors.catalogue import VENDORS, vendor_of
from regionware.vendors.model import TagField
from regionware.vendors.tags import HASHED, edge_tags, forms, hashed, tag_fields

TAGGED = [name for name, vendor in VENDORS.items() if vendor.tags is not None]
HOSTILE = ["", " ", "a b", "a,b", "é", "\r\nX: 1", "\x00", "\udcff", "x" * 5000, '"', "a;b\t"]


def field_of(vendor: str | None) -> TagField:
    found = vendor_of(vendor).tags
    assert found is not None
    return found


def joined(vendor: str | None, tags: list[str]) -> str | None:
    found = tag_fields([vendor_of(vendor)], tags)
    return None if found is None else dict(found).get(field_of(vendor).name.lower(), "")


def is_carried(field: TagField, tag: str) -> bool:
    letters = set(string.ascii_letters + string.digits + field.marks)
    return 0 < len(tag) <= field.longest and set(tag) <= letters


@pytest.mark.parametrize("vendor", TAGGED)
@given(tags=st.lists(st.one_of(st.text(), st.sampled_from(HOSTILE)), max_size=20))
def test_a_field_carries_every_form(vendor: str | None, tags: list[str]) -> None:
    found = edge_tags(vendor, tags)
    field = field_of(vendor)
    assert all(is_carried(field, tag) for tag in found)
    assert len(found) == len(set(found))
    assert set(found) == {form for tag in tags for form in edge_tags(vendor, [tag])}
    assert edge_tags(vendor, found) == found, "a form is its own form"


@pytest.mark.parametrize("vendor", TAGGED)
@given(tags=st.lists(st.text(), max_size=20))
def test_a_value_says_all_tags_or_none(vendor: str | None, tags: list[str]) -> None:
    field = field_of(vendor)
    text = joined(vendor, tags)
    if text is not None:
        assert tuple(filter(None, text.split(field.separator))) == forms(field, tags)
        assert {*forms(field, tags)} <= {*edge_tags(vendor, tags)}
        assert len(text.encode()) <= field.total


def test_readable_tags_stay_readable() -> None:
    assert edge_tags("fastly", ["product:7", "a b"]) == ("product:7", hashed("a b"))
    assert edge_tags("akamai", ["product:7"]) == (hashed("product:7"),), "no colon at Akamai"
    assert edge_tags("bunny", ["all*"]) == (hashed("all*"),), "an asterisk would purge more"
    assert len(hashed("x")) == HASHED


@pytest.mark.parametrize("vendor", TAGGED)
def test_too_many_are_none(vendor: str | None) -> None:
    field = field_of(vendor)
    assert joined(vendor, [f"t{number}" for number in range(20)]) is not None
    assert joined(vendor, [f"t{number}" for number in range(20_000)]) is None
    if field.count is not None:
        assert joined(vendor, [f"{n}" for n in range(field.count)]) is not None
        assert joined(vendor, [f"{n}" for n in range(field.count + 1)]) is None


def test_a_form_that_is_not_made_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: without hashing, a field would be given what it cannot carry."""
    monkeypatch.setattr(module, "hashed", lambda tag: tag)
    found = forms(field_of("fastly"), HOSTILE)
    assert not all(is_carried(field_of("fastly"), tag) for tag in found)


@pytest.mark.parametrize("vendor", ["nginx", "azure", "fly"])
def test_a_vendor_without_tags_says_so(vendor: str) -> None:
    with pytest.raises(ConfigurationError, match="has no tags"):
        edge_tags(vendor, ["a"])


def test_an_unknown_vendor_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"'nobody'.*akamai, .*vercel"):
        edge_tags("nobody", ["a"])


@pytest.mark.parametrize("tag", ["product:7", "a*b", "x" * 119, "x" * 125, "x" * 200, "x" * 300])
@pytest.mark.parametrize("vendor", ["cloudflare", "cloudfront", "google", None])
def test_an_edge_purges_what_a_route_without_a_vendor_has_told_it(
    vendor: str | None, tag: str
) -> None:
    fields = tag_fields([VENDORS[None]], [tag])
    assert fields is not None
    told = {each for _, text in fields for each in text.split(",")}
    assert told | {*forms(field_of(vendor), [tag])} == set(edge_tags(vendor, [tag]))
