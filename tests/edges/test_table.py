"""What real edges keep of an application's own headers, and what they keep behind regionware.

The rows are facts about Varnish and nginx, shown here on the bare application: each that it forbids
and an edge keeps is a positive control of the test that follows.
"""

from dataclasses import dataclass

import pytest

from regionware import Regionware
from regionware.policies import Cache, Cdn, Route
from tests.conformance.application import Fields, Handler, Response, Seen, counting
from tests.edges.conftest import Kind
from tests.edges.rig import parts_of_edges
from tests.edges.served import Browser, Mounted, Origin, new_path

pytestmark = parts_of_edges


@dataclass(frozen=True)
class Row:
    """What an application says, and who keeps it.

    Attributes:
        forbids: whether it meant that no edge should keep this.
        status: the status of its answers.
    """

    name: str
    fields: Fields
    varnish: bool
    nginx: bool
    forbids: bool = True
    status: int = 200

    def keeps(self, kind: Kind) -> bool:
        return self.varnish if kind == "varnish" else self.nginx


CC, CDN, SC, XA = "Cache-Control", "CDN-Cache-Control", "Surrogate-Control", "X-Accel-Expires"
OLD = "Thu, 01 Jan 2009 00:00:00 GMT"
FAR = "Thu, 01 Jan 2099 00:00:00 GMT"

ROWS = [
    # The table of what had been measured before anything was built.
    Row("cdn-no-store", [(CC, "max-age=60"), (CDN, "no-store")], True, True),
    Row("surrogate", [(CC, "no-store"), (SC, "max-age=60")], True, False),
    Row("set-cookie", [(CC, "s-maxage=60"), ("Set-Cookie", "a=b")], False, False),
    Row("nothing", [], True, False, forbids=False),
    # The same, from other sides.
    Row("cdn-private", [(CC, "max-age=60"), (CDN, "private")], True, True),
    Row("cdn-no-cache", [(CC, "max-age=60"), (CDN, "no-cache")], True, True),
    Row("surrogate-no-store", [(CC, "max-age=60"), (SC, "no-store")], False, True),
    Row("surrogate-private", [(CC, "private"), (SC, "max-age=60")], True, False),
    Row("accel-first", [(XA, "60"), (CC, "private, no-store")], False, True),
    Row("expires-and-surrogate", [("Expires", FAR), (CC, "no-cache"), (SC, "x")], True, False),
    Row("cdn-allows", [(CC, "no-store"), (CDN, "max-age=60")], False, False),
    Row("private", [(CC, "private")], False, False),
    Row("no-store", [(CC, "no-store")], False, False),
    Row("no-cache", [(CC, "no-cache")], False, False),
    Row("two-lines", [(CC, "max-age=60"), (CC, "no-store")], False, False),
    Row("vary-all", [(CC, "max-age=60"), ("Vary", "*")], False, False),
    Row("malformed", [(CC, "max-age=abc")], False, False),
    Row("s-maxage-zero", [(CC, "s-maxage=0, max-age=60")], False, False),
    Row("error", [(CC, "max-age=60")], False, True, forbids=False, status=500),
    Row("silent-error", [], False, False, status=503),
    Row("last-modified", [("Last-Modified", OLD)], True, False, forbids=False),
    Row("expires", [("Expires", FAR)], True, True, forbids=False),
    Row("max-age", [(CC, "max-age=60")], True, True, forbids=False),
    Row("public", [(CC, "public, max-age=60")], True, True, forbids=False),
]  # fmt: skip

CDN_ONLY = Route("/{path:path}", cdn=Cdn(max_age=60))
BOTH = Route("/{path:path}", cache=Cache(ttl=60, consistency="eventual"), cdn=Cdn(max_age=60))
CACHE_ONLY = Route("/{path:path}", cache=Cache(ttl=60, consistency="eventual"))
PRIVATE = Route("/{path:path}", cdn=Cdn.private(max_age=60))
NO_STORE = Route("/{path:path}", cdn=Cdn.no_store())


FORBIDDEN = [row for row in ROWS if row.forbids]
ALLOWED = [row for row in ROWS if not row.forbids and row.status == 200]


def saying(row: Row) -> Handler:
    """An application whose every answer is another one."""
    plain = counting(row.status)

    def handler(seen: Seen) -> Response:
        answer = plain(seen)
        answer.headers = [*row.fields]
        return answer

    return handler


def is_kept(browser: Browser, site: Mounted) -> bool:
    """Whether of three equal requests at least one does not come through."""
    path, before = new_path(), site.asked
    for _ in range(3):
        browser.ask(site, path)
    return site.asked - before < 3


def kept(rows: list[Row], browser: Browser, origin: Origin, *routes: Route) -> set[str]:
    """Which rows an edge keeps, of the bare application or behind regionware."""
    rw = Regionware(routes=routes) if routes else None
    return {row.name for row in rows if is_kept(browser, origin.mount(saying(row), rw))}


def test_what_an_edge_keeps_by_itself(kind: Kind, origin: Origin, plain: Browser) -> None:
    assert kept(ROWS, plain, origin) == {row.name for row in ROWS if row.keeps(kind)}


@pytest.mark.parametrize("route", [CDN_ONLY, BOTH], ids=["cdn", "cache-and-cdn"])
def test_what_an_application_forbids_is_not_kept(
    route: Route, origin: Origin, plain: Browser
) -> None:
    assert kept(FORBIDDEN, plain, origin, route) == set()


def test_what_is_forbidden_to_one_edge_alone_is_kept_by_none(
    origin: Origin, plain: Browser
) -> None:
    """Without a `Cdn` too: these edges read another field, or none but `Cache-Control`."""
    names = {"cdn-no-store", "cdn-private", "cdn-no-cache", "surrogate-no-store"}
    rows = [row for row in ROWS if row.name in names]
    assert kept(rows, plain, origin, CACHE_ONLY) == set()
    assert kept(ALLOWED, plain, origin, CACHE_ONLY) >= {"max-age", "public"}


@pytest.mark.parametrize("route", [PRIVATE, NO_STORE], ids=["private", "no-store"])
def test_what_a_policy_forbids_is_not_kept(route: Route, origin: Origin, plain: Browser) -> None:
    assert kept(ROWS, plain, origin, route) == set()


@pytest.mark.parametrize("route", [CDN_ONLY, BOTH], ids=["cdn", "cache-and-cdn"])
def test_what_a_policy_allows_is_kept(route: Route, origin: Origin, plain: Browser) -> None:
    assert kept(ALLOWED, plain, origin, route) == {row.name for row in ALLOWED}


def test_the_table_is_not_empty(kind: Kind) -> None:
    assert len([row for row in FORBIDDEN if row.keeps(kind)]) >= 4
