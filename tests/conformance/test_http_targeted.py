"""RFC 9213: cache control that is meant for some caches only."""

from collections.abc import Sequence

import pytest

from regionware import ConfigurationError
from regionware.policies import Cache
from tests.conformance.conftest import World
from tests.conformance.standard import Lines, cached, numbered, rows, verdict

pytestmark = pytest.mark.volume

CDN = "CDN-Cache-Control"
OURS = "Regionware-Cache-Control"
TAG = 'ETag: "1"'
STORED, REFUSED = "Cache-Control: max-age=60", "Cache-Control: no-store"

DEFAULT = [
    # name, section, fields, the second request
    ("max-age over no-store", "RFC 9213, 2.2", [REFUSED, f"{CDN}: max-age=60"], "reused"),
    ("max-age over private", "RFC 9213, 2.2",
     ["Cache-Control: private, no-cache", f"{CDN}: max-age=60"], "reused"),
    ("max-age over zero", "RFC 9213, 2.2",
     ["Cache-Control: max-age=0, s-maxage=0", f"{CDN}: max-age=60"], "reused"),
    ("max-age over expires", "RFC 9213, 2.2", ["Expires: 0", f"{CDN}: max-age=60"], "reused"),
    ("the order of the lines", "RFC 9213, 2.2", [f"{CDN}: max-age=60", REFUSED], "reused"),
    ("s-maxage", "RFC 9213, 2.2", [REFUSED, f"{CDN}: s-maxage=60, max-age=0"], "reused"),
    ("no-store", "RFC 9213, 2.2", [STORED, f"{CDN}: no-store"], "forwarded"),
    ("no-store beside max-age", "RFC 9213, 2.2", [STORED, f"{CDN}: max-age=60, no-store"],
     "forwarded"),
    ("private", "RFC 9213, 2.2", [STORED, f"{CDN}: private, max-age=60"], "forwarded"),
    ("no-cache", "RFC 9213, 2.2", [STORED, f"{CDN}: no-cache, max-age=60"], "validated"),
    ("zero", "RFC 9213, 2.2", [STORED, f"{CDN}: max-age=0"], "validated"),
    ("shorter", "RFC 9213, 2.2", [STORED, f"{CDN}: max-age=10", "Age: 20"], "validated"),
    ("longer", "RFC 9213, 2.2",
     ["Cache-Control: max-age=10", f"{CDN}: max-age=60", "Age: 20"], "reused"),
    ("nothing that we know, over max-age", "RFC 9213, 2.2",
     [STORED, f"{CDN}: none", "Expires: <+60>"], "validated"),
    ("nothing that we know, over no-store", "RFC 9213, 3.1",
     [REFUSED, f"{CDN}: none", "Last-Modified: <-9000>"], "reused"),
    ("an extension", "RFC 9213, 2.2", [REFUSED, f'{CDN}: max-age=60, new="no-store", x=1'],
     "reused"),
    ("a parameter", "RFC 9213, 2.1", [REFUSED, f"{CDN}: max-age=60;x=1"], "reused"),
    ("the last of two values", "RFC 9651, 3.2", [REFUSED, f"{CDN}: max-age=0, max-age=60"],
     "reused"),
    ("the last of two lines", "RFC 9651, 4.2",
     [REFUSED, f"{CDN}: max-age=60", f"{CDN}: max-age=0"], "validated"),
    ("two lines", "RFC 9651, 4.2", [STORED, f"{CDN}: max-age=60", f"{CDN}: no-store"],
     "forwarded"),
    ("another case of the name", "RFC 9110, 5.1",
     [REFUSED, "cdn-cache-control: max-age=60"], "reused"),
    ("empty over max-age", "RFC 9213, 2.1", [STORED, f"{CDN}: "], "reused"),
    ("empty over no-store", "RFC 9213, 2.1", [REFUSED, f"{CDN}: "], "forwarded"),
    ("empty over expires", "RFC 9213, 2.1", ["Expires: <+60>", f"{CDN}: "], "reused"),
    ("unreadable over max-age", "RFC 9213, 2.1", [STORED, f"{CDN}: no-store, =60"], "reused"),
    ("unreadable over no-store", "RFC 9213, 2.1", [REFUSED, f"{CDN}: max-age=60, =60"],
     "forwarded"),
    ("a comma at the end", "RFC 9651, 4.2.2", [REFUSED, f"{CDN}: max-age=60,"], "forwarded"),
    ("an empty member", "RFC 9651, 4.2.2", [STORED, f"{CDN}: no-store,,x"], "reused"),
    ("upper case", "RFC 9651, 3.2", [REFUSED, f"{CDN}: Max-Age=60"], "forwarded"),
    ("no end of a string", "RFC 9651, 4.2.5", [STORED, f'{CDN}: no-store, x="'], "reused"),
    ("a semicolon", "RFC 9213, 2.1", [STORED, f"{CDN}: max-age=60;no-store"], "reused"),
    ("a target that is not on the list", "RFC 9213, 2.2",
     [REFUSED, "Example-Cache-Control: max-age=60"], "forwarded"),
    ("no-store for another", "RFC 9213, 2.2",
     [STORED, "Example-Cache-Control: no-store"], "reused"),
    ("ours is not on the list", "RFC 9213, 2.2", [REFUSED, f"{OURS}: max-age=60"], "forwarded"),
    ("surrogate control is none", "RFC 9213, 2.2", [REFUSED, "Surrogate-Control: max-age=60"],
     "forwarded"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), rows(DEFAULT))
def test_the_targeted_field_of_cdns(world: World, lines: Lines, expected: str) -> None:
    site = cached(world, numbered([*lines, TAG]))
    assert verdict(site) == "forwarded"
    assert verdict(site) == expected


VALUES = [
    # name, section, the lifetime
    ("a string", "RFC 9213, 2.1", 'max-age="60"'), ("a decimal", "RFC 9213, 2.1", "max-age=60.0"),
    ("a token", "RFC 9213, 2.1", "max-age=sixty"), ("true", "RFC 9213, 2.1", "max-age"),
    ("a negative number", "RFC 9213, 2.1", "max-age=-60"),
    ("a list", "RFC 9213, 2.1", "max-age=(60)"), ("bytes", "RFC 9213, 2.1", "max-age=:NjA=:"),
]  # fmt: skip


@pytest.mark.parametrize("lifetime", rows(VALUES))
def test_a_lifetime_of_another_type_is_none(world: World, lifetime: str) -> None:
    site = cached(world, numbered([REFUSED, f"{CDN}: {lifetime}", TAG]))
    site.get()
    assert verdict(site) != "reused"


@pytest.mark.parametrize("directive", ['private="x-a"', 'no-cache="x-a"'])
def test_named_fields_are_not_stored(world: World, directive: str) -> None:
    """RFC 9213, 2.2."""
    site = cached(world, numbered([REFUSED, f"{CDN}: max-age=60, {directive}", "X-A: 1", "X-B: 1"]))
    assert site.get()["x-a"] == "1"
    hit = site.get()
    assert (hit.hit, hit["x-a"], hit["x-b"]) == (True, "", "1")


LISTS = [
    # name, section, targets, fields, the second request
    ("none", "RFC 9213, 2.2", [], [REFUSED, f"{CDN}: max-age=60"], "forwarded"),
    ("ours", "RFC 9213, 2.2", [OURS], [REFUSED, f"{OURS}: max-age=60"], "reused"),
    ("ours alone", "RFC 9213, 2.2", [OURS], [REFUSED, f"{CDN}: max-age=60"], "forwarded"),
    ("the first wins", "RFC 9213, 2.2",
     [OURS, CDN], [f"{CDN}: no-store", f"{OURS}: max-age=60"], "reused"),
    ("the first refuses", "RFC 9213, 2.2",
     [OURS, CDN], [f"{CDN}: max-age=60", f"{OURS}: no-store"], "forwarded"),
    ("the other order", "RFC 9213, 2.2",
     [CDN, OURS], [f"{CDN}: max-age=60", f"{OURS}: no-store"], "reused"),
    ("the first is absent", "RFC 9213, 2.2",
     [OURS, CDN], [REFUSED, f"{CDN}: max-age=60"], "reused"),
    ("the first is empty", "RFC 9213, 2.2",
     [OURS, CDN], [REFUSED, f"{OURS}: ", f"{CDN}: max-age=60"], "reused"),
    ("the first is unreadable", "RFC 9213, 2.2",
     [OURS, CDN], [STORED, f"{OURS}: max-age=60,,", f"{CDN}: no-store"], "forwarded"),
    ("both are unreadable", "RFC 9213, 2.2",
     [OURS, CDN], [STORED, f"{OURS}: =", f"{CDN}: no-store,"], "reused"),
    ("nothing of the second counts", "RFC 9213, 2.2",
     [OURS, CDN], [f"{OURS}: must-revalidate, max-age=60", f"{CDN}: private"], "reused"),
]  # fmt: skip


@pytest.mark.parametrize(("targets", "lines", "expected"), rows(LISTS))
def test_the_target_list(world: World, targets: Sequence[str], lines: Lines, expected: str) -> None:
    site = cached(world, numbered([*lines, TAG]), Cache.standard(targets=targets))
    site.get()
    assert verdict(site) == expected


DECLARED = [
    # name, section, targets, fields, the second request
    ("none by default, max-age", "the policy", None, [REFUSED, f"{CDN}: max-age=60"], "forwarded"),
    ("none by default, no-store", "the policy", None, [STORED, f"{CDN}: no-store"], "reused"),
    ("max-age", "RFC 9213, 2.2", [CDN], [REFUSED, f"{CDN}: max-age=60"], "reused"),
    ("no-store", "RFC 9213, 2.2", [CDN], [STORED, f"{CDN}: no-store"], "forwarded"),
    ("longer than declared", "the policy", [CDN], [f"{CDN}: max-age=900", "Age: 70"], "validated"),
    ("empty", "RFC 9213, 2.1", [CDN], [REFUSED, f"{CDN}: "], "forwarded"),
]  # fmt: skip


@pytest.mark.parametrize(("targets", "lines", "expected"), rows(DECLARED))
def test_a_declared_target_list(
    world: World, targets: Sequence[str] | None, lines: Lines, expected: str
) -> None:
    cache = Cache(ttl=60) if targets is None else Cache(ttl=60, targets=targets)
    site = cached(world, numbered([*lines, TAG]), cache)
    site.get()
    assert verdict(site) == expected


@pytest.mark.parametrize("name", ["Example-Cache-Control", "Cache-Control", "X-A"])
def test_targets_have_a_list_of_their_own(name: str) -> None:
    """RFC 9213, 2.4: the end of a name alone makes no target."""
    for make in (Cache.standard, lambda **words: Cache(ttl=60, **words)):
        with pytest.raises(ConfigurationError):
            make(targets=[name])


@pytest.mark.parametrize("targeted", ["max-age=60", "no-store", "", "max-age=60,,"])
def test_all_fields_are_passed_on(world: World, targeted: str) -> None:
    """RFC 9213, 2.2; RFC 9111, 5.2."""
    lines = [STORED, f"{CDN}: {targeted}", "Example-Cache-Control: no-store", "Expires: <+60>"]
    site = cached(world, numbered(lines))
    for _ in range(2):
        answer = site.get()
        assert answer.all("cache-control") == ["max-age=60"]
        assert answer.all("cdn-cache-control") == [targeted]
        assert answer.all("example-cache-control") == ["no-store"]
        assert len(answer.all("expires")) == 1


FAILING = [
    # name, section, fields, the client accepts what is stale
    ("must-revalidate", "RFC 9213, 2.2",
     ["Cache-Control: max-age=10", f"{CDN}: max-age=10, must-revalidate"], "validated"),
    ("must-revalidate for others", "RFC 9213, 2.2",
     ["Cache-Control: max-age=10, must-revalidate", f"{CDN}: max-age=10"], "stale"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), rows(FAILING))
def test_stale_answers(world: World, lines: Lines, expected: str) -> None:
    site = cached(world, numbered([*lines, TAG, "Age: 20"]))
    site.get()
    assert verdict(site, lines=["Cache-Control: max-stale"]) == expected
