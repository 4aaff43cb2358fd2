"""D1 to D3: a page of a user's, asked for under a name that looks like everybody's."""

import pytest

from regionware.policies import Cache, Cdn, Route
from tests.conformance.application import Response
from tests.conformance.conftest import World
from tests.security import switches as off
from tests.security.stage import Asked, Case, Stage, ask, cookie, is_private

#: A rule by name, for our own cache and for edges; and one for edges alone.
STYLES = (
    Route("/{name:path}.css", cache=Cache(ttl=60, consistency="eventual"), cdn=Cdn(max_age=86_400)),
)
AT_EDGES = (Route("/{name:path}.css", cdn=Cdn(max_age=86_400)),)
STATIC = (
    Route(
        "/static/{path:path}",
        cache=Cache(ttl=60, consistency="eventual"), cdn=Cdn(max_age=86_400),
    ),
)  # fmt: skip
#: Everything: a worker in front of a whole site.
ALL = (Route("/{path:path}", cache=Cache(ttl=60, cookies="ignore")),)

HTML = [("Content-Type", "text/html")]
VICTIM = cookie("sid=victim")
#: A style sheet, of the application's own.
STYLE: tuple[Asked, Asked] = (
    ask("/hdr/a.css", query="Content-Type=text%2Fcss"),
    ask("/hdr/a.css", query="Content-Type=text%2Fcss"),
)
WITHOUT = off.off(off.cookies, off.paths, off.types)

#: As sent; what follows the delimiter is dropped by some framework.
DELIMITED = {
    ";": "/account;x.css", "%00": "/account%00x.css", "%23": "/account%23x.css",
    "%3F": "/account%3Fx.css", "%3B": "/account%3Bx.css", "%5C": "/account%5Cx.css",
    "%2F": "/account%2Fx.css", "a letter": "/%61ccount/x.css",
}  # fmt: skip


def deceived(path: str, without: off.Off = WITHOUT) -> Case:
    """The victim follows the attacker's link; the attacker asks for the same without a cookie."""
    return Case(
        attacks=[ask(path, headers=VICTIM)],
        victims=[ask(path)],
        off=without,
        benign=STYLE,
        routes=STYLES,
        private=True,
        calls=2,
    )


CASES = {
    "D1": deceived("/account/x.css"),
    **{f"D2 {name}": deceived(path) for name, path in DELIMITED.items()},
    "D3": Case(
        attacks=[ask("/static/%2e%2e/account", headers=VICTIM)],
        victims=[ask("/static/%2e%2e/account")],
        off=off.off(off.cookies, off.paths),
        benign=(ask("/static/a.css"), ask("/static/a.css")),
        routes=STATIC,
        private=True,
        calls=2,
    ),
    # What a path is called decides alone: neither cookies nor spelling help here.
    "D1 without an identity": Case(
        attacks=[ask("/account/x.css")],
        victims=[ask("/account/x.css")],
        off=off.types,
        benign=STYLE,
        routes=STYLES,
        private=True,
        calls=2,
    ),
    "D2 without an identity": Case(
        attacks=[ask("/static/a;b")],
        victims=[ask("/static/a;b")],
        off=off.paths,
        benign=(ask("/static/a"), ask("/static/a")),
        routes=STATIC,
        private=True,
        calls=2,
    ),
    "D1 under a catch-all": Case(
        attacks=[ask("/account/logo.PNG", headers=VICTIM)],
        victims=[ask("/account/logo.PNG")],
        off=off.off(off.types, off.cookies),
        benign=(ask("/account/logo"), ask("/account/logo")),
        routes=ALL,
        private=True,
        calls=2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_holds(world: World, name: str) -> None:
    CASES[name].check(world)


@pytest.mark.parametrize("name", CASES)
def test_without_the_protection_it_does_not(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    CASES[name].control(world, monkeypatch)


@pytest.mark.parametrize(
    "path", ["/account/x.css", "/account;x.css", "/account%3Fx.css", "/account%00x.css"]
)
def test_an_edge_is_told_the_same(world: World, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """D1 and D2 where only a CDN caches, which knows nothing of cookies."""
    stage = Stage(world, AT_EDGES)
    assert is_private(stage.attack(path, headers=VICTIM))
    assert "public" in stage.attack(**STYLE[0])["cache-control"]
    WITHOUT(monkeypatch)
    assert "public" in stage.attack(path, headers=VICTIM)["cache-control"]


#: The path, the type, and whether everybody may keep it; more in `tests/http/test_content.py`.
TYPES = [
    ("/a.css", "text/css", True),
    ("/a.css", "Text/HTML ; charset=utf-8", False),
    ("/a.css", "application/problem+json", False),
    ("/a", "text/html", True),
]


@pytest.mark.parametrize(("path", "kind", "kept"), TYPES)
def test_a_page_is_no_style_sheet(world: World, path: str, kind: str, kept: bool) -> None:
    """Only known extensions, and only pages and data under them: the others are left alone."""
    stage = Stage(world, ALL)
    asked = ask(f"/hdr{path}", query=f"Content-Type={kind.replace('+', '%2B')}")
    assert stage.is_cached(asked) is kept
    assert ("no-store" in stage.attack(**asked)["cache-control"]) is not kept


@pytest.mark.parametrize("status", [301, 404, 410])
def test_errors_and_redirections_have_pages_of_their_own(world: World, status: int) -> None:
    """Under any name; that something is missing is worth keeping."""
    stage = Stage(world, ALL)
    stage.app.handler = lambda _: Response([b"<h1>moved</h1>"], status, HTML)
    assert stage.is_cached(ask("/a.css"))
    stage.app.handler = lambda _: Response([b"<h1>moved</h1>"], 200, HTML)
    assert not stage.is_cached(ask("/b.css"))


def test_a_route_that_names_its_page_means_it(world: World) -> None:
    """`/{owner}/{repository}` may well be `/vercel/next.js`; by the book all is well, too."""
    for routes in (
        (Route("/{owner}/{repository}", cache=Cache(ttl=60)),),
        (Route("/hdr/next.js", cache=Cache(ttl=60)),),
        (Route("/{path:path}", cache=Cache.standard()),),
    ):
        asked = ask("/hdr/next.js", query="Content-Type=text%2Fhtml&Cache-Control=max-age%3D60")
        assert Stage(world, routes).is_cached(asked)
