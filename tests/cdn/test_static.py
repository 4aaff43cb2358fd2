"""Static files: a year for names that carry a hash of their content, and for nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from regionware import ConfigurationError
from regionware.http.directives import parse_cache_control
from regionware.manifest import names_in
from regionware.policies import Cdn, Route, hashed
from tests.conformance.application import Response, Seen
from tests.conformance.conftest import World

YEAR = 31_536_000

NAMES = [
    # a last part, whether it has a hash
    ("app.0123abcd4567.css", True), ("app.0123abcd.min.css", True), ("app-0123abcd.js", True),
    ("app.5e6f.0123abcd4567.js.map", True), (f"font.{'0a' * 32}.woff2", True),
    ("app.css", False), ("app.min.js", False), ("jquery-3.7.1.min.js", False),
    ("report.20260101.css", False), ("report-20260101.csv", False), ("a-deadbeef.js", False),
    ("a.0123ABCD.css", False), ("a.0123abc.css", False), ("a.0123abcd", False),
    ("0123abcd.css", False), ("a.0123abcd.css/", False), ("a.0123abcd.css\n", False),
    ("a-0123abcd-b.css", False), ("a.0123abcd..css", False), ("settings-production.js", False),
    ("123e4567-e89b-12d3-a456-4266554400ab.jpg", False), (f"a.{'0a' * 33}.css", False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_names_by_default(name: str, expected: bool) -> None:
    test = Cdn.static().hashed
    assert test is not None
    assert test(f"/static/{name}") is expected


TESTS: list[tuple[Any, list[str], list[str]]] = [
    (r"/assets/.+-[\w-]{8}\.js$", ["/assets/a-B1aXk3pQ.js"], ["/a-B1aXk3pQ.js", "/assets/a.js"]),
    (lambda path: path.startswith("/built/"), ["/built/a.js"], ["/a.js"]),
    (["css/a.1.css", "/b.js"], ["/static/css/a.1.css", "/css/a.1.css", "/x/b.js"],
     ["/a.1.css", "/static/xcss/a.1.css", "/static/css/a.1.css/b", "/static/css/xa.1.css"]),
    (frozenset({"a.js"}), ["/a.js", "/x/a.js"], ["/a.jsx", "/xa.js", "/"]),
    (lambda _: 1 / 0, [], ["/a.js"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("test", "yes", "no"), TESTS, ids=["pattern", "function", "list", "set", "bad"]
)
def test_names_by_other_rules(test: Any, yes: list[str], no: list[str]) -> None:
    found = Cdn.static(hashed=test).hashed
    assert found is not None
    assert [path for path in [*yes, *no] if found(path)] == yes


@pytest.mark.parametrize("wrong", ["(", 3, [3], [""], {"a": "b"}, b"x"])
def test_a_rule_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="hashed"):
        Cdn.static(hashed=wrong)


def lifetime(world: World, path: str, cdn: Cdn, response: Response) -> tuple[int | None, bool]:
    def handle(seen: Seen) -> Response:
        return response

    answer = world.site(handle, Route("/static/{path:path}", cdn=cdn)).get(path)
    control = parse_cache_control(answer.all("cache-control"))
    return control.seconds("max-age"), "immutable" in control


HASHED, PLAIN = "/static/app.0123abcd4567.css", "/static/app.css"
CSS = [("Content-Type", "text/css")]


def test_a_hash_decides(world: World) -> None:
    response = Response([b"x"], headers=CSS)
    assert lifetime(world, HASHED, Cdn.static(), response) == (YEAR, True)
    assert lifetime(world, PLAIN, Cdn.static(), response) == (60, False)
    assert lifetime(world, PLAIN, Cdn.static(max_age=5), response) == (5, False)
    assert lifetime(world, PLAIN, Cdn.immutable(), response) == (YEAR, True), "the path is trusted"


@pytest.mark.parametrize("status", [301, 302, 400, 403, 404, 410, 500, 503])
@pytest.mark.parametrize("said", ["", "public, max-age=31536000, immutable"])
@pytest.mark.parametrize("path", [HASHED, PLAIN])
@pytest.mark.parametrize("cdn", [Cdn.static(), Cdn.immutable()], ids=["static", "immutable"])
def test_what_is_not_the_file_is_never_kept_for_a_year(
    world: World, status: int, said: str, path: str, cdn: Cdn
) -> None:
    """A 404 between two deploys would otherwise stay in browsers for a year."""
    headers = [*CSS, ("Cache-Control", said)] if said else CSS
    age, immutable = lifetime(world, path, cdn, Response([b"x"], status, headers))
    if status >= 400:
        assert (age, immutable) == (None, False)
    elif cdn.hashed is not None and status == 301:
        assert ((age or 0) <= 60, immutable) == (True, False)


def test_the_application_may_shorten_it(world: World) -> None:
    response = Response([b"x"], headers=[*CSS, ("Cache-Control", "max-age=5")])
    assert lifetime(world, HASHED, Cdn.static(), response)[0] == 5
    assert lifetime(world, PLAIN, Cdn.static(), response)[0] == 5
    longer = Response([b"x"], headers=[*CSS, ("Cache-Control", "max-age=9999")])
    assert lifetime(world, PLAIN, Cdn.static(), longer)[0] == 60


def test_without_a_look_at_the_name_a_plain_file_is_kept_too_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    monkeypatch.setattr(hashed.Hashed, "__call__", lambda *_: True)
    assert lifetime(world, PLAIN, Cdn.static(), Response([b"x"], headers=CSS)) == (YEAR, True)


# Manifests

MANIFESTS: list[tuple[Any, set[str]]] = [
    ({"version": "1.1", "hash": "3f", "paths": {"a.css": "a.0a1b.css", "b/c.js": "b/c.1.js",
                                                "robots.txt": "robots.txt"}},
     {"a.0a1b.css", "b/c.1.js"}),
    ({"src/main.ts": {"file": "assets/main-B1.js", "css": ["assets/main-C2.css"],
                      "assets": ["assets/logo-D3.svg"], "imports": ["_shared.js"]}},
     {"assets/main-B1.js", "assets/main-C2.css", "assets/logo-D3.svg"}),
    ({"main.js": "/static/main.1f.js", "main.css": "/static/main.2f.css"},
     {"static/main.1f.js", "static/main.2f.css"}),
]  # fmt: skip


@pytest.mark.parametrize(("manifest", "names"), MANIFESTS, ids=["Django", "Vite", "webpack"])
def test_manifests(tmp_path: Path, manifest: Any, names: set[str]) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest))
    assert names_in(path) == names
    test = Cdn.static(hashed=names_in(str(path))).hashed
    assert test is not None
    assert all(test(f"/x/{name}") for name in names)
    assert not test("/x/robots.txt")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 3}', '{"a.js": "a.js"}', "\xff"])
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"manifest\.json"):
        names_in(path)
    with pytest.raises(ConfigurationError, match="nowhere"):
        names_in(tmp_path / "nowhere.json")
