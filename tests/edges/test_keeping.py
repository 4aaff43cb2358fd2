"""An edge keeps an answer for as long as its policy says and no longer, and says how old it is.

Answers are made all at once and looked at after one pause, which is longer than a lifetime of a
second with all its roundings.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from regionware import Regionware
from regionware.policies import Cache, Cdn, Route
from tests.conformance.application import Handler, Response, Seen, counting
from tests.edges import configuration
from tests.edges.conftest import Kind
from tests.edges.rig import parts_of_edges
from tests.edges.served import Answer, Browser, Mounted, Origin, new_path

pytestmark = parts_of_edges

#: Seconds.
PAUSE = 2.5


@dataclass(frozen=True)
class Case:
    """A policy, and whether an edge has an answer when the pause is over.

    Attributes:
        fields: what the application says.
        varnish: its own answer is still served by Varnish.
        nginx: the same by nginx.
    """

    cdn: Mapping[str, Any]
    varnish: bool
    nginx: bool
    fields: Mapping[str, str] = field(default_factory=dict)
    cache: Cache | None = None


CASES = {
    "short": Case({"max_age": 1}, False, False),
    "long": Case({"max_age": 60}, True, True),
    "the application shortens": Case(
        {"max_age": 60}, False, False, {"Cache_Control": "max-age=1"}
    ),
    "shorter at the edge": Case({"max_age": 60, "shared_max_age": 1}, False, False),
    "longer at the edge": Case({"max_age": 1, "shared_max_age": 60}, True, True),
    "only at the edge": Case({"shared_max_age": 60}, True, True),
    "only in browsers": Case({"max_age": 60, "shared_max_age": 0}, False, False),
    "for errors alone": Case({"max_age": 1, "stale_if_error": 60}, False, False),
    "revalidation is asked for": Case(
        {"max_age": 1, "shared_max_age": 60}, False, False,
        {"Cache_Control": "max-age=1, must-revalidate"},
    ),
    "in both tiers": Case(
        {"max_age": 60}, True, True, cache=Cache(ttl=60, consistency="eventual")
    ),
    "shorter than in the cache": Case(
        {"max_age": 1}, False, False, cache=Cache(ttl=60, consistency="eventual")
    ),
}  # fmt: skip


def behind(origin: Origin, handler: Handler, *routes: Route) -> Mounted:
    """An application behind regionware that believes the edge."""
    return origin.mount(handler, Regionware(routes=routes, trusted=["127.0.0.1/32"]))


def route(kind: Kind, case: Case) -> Route:
    return Route("/{path:path}", cache=case.cache, cdn=Cdn(vendor=kind, **case.cdn))


def comes_through(browser: Browser, site: Mounted, path: str) -> bool:
    """Whether the edge has no answer of its own."""
    before = site.asked
    browser.ask(site, path)
    return site.asked > before


def test_lifetimes(kind: Kind, origin: Origin, configured: Browser) -> None:
    sites = {
        name: behind(origin, counting(200, **case.fields), route(kind, case))
        for name, case in CASES.items()
    }
    for site in sites.values():
        configured.ask(site, "/")
    # What is kept at all is seen at once; a slow machine may need more than one look.
    for name in ("short", "long"):
        paths = (new_path() for _ in range(20))
        assert any(
            not comes_through(configured, sites[name], path)
            for path in paths
            if comes_through(configured, sites[name], path)
        )
    time.sleep(PAUSE)
    found = {name for name, site in sites.items() if not comes_through(configured, site, "/")}
    assert found == {name for name, case in CASES.items() if getattr(case, kind)}


def test_an_edge_as_it_comes_would_keep_it_longer(
    kind: Kind, origin: Origin, plain: Browser
) -> None:
    """Varnish adds ten seconds of its own; nginx does not look at how old an answer is already."""
    if kind == "varnish":
        site = origin.mount(counting(200, Cache_Control="max-age=1"))
        first = plain.ask(site, "/").text
        time.sleep(PAUSE)
        assert plain.ask(site, "/").text == first
    else:
        site = origin.mount(counting(200, Cache_Control="max-age=60", Age="61"))
        assert plain.ask(site, "/").text == plain.ask(site, "/").text


def test_what_is_old_already_is_not_kept_for_a_lifetime_more(
    origin: Origin, configured: Browser
) -> None:
    site = origin.mount(counting(200, Cache_Control="public, max-age=60", Age="61"))
    assert configured.ask(site, "/").text != configured.ask(site, "/").text


def age_of(answer: Answer) -> float:
    """How old a client must think that an answer is (RFC 9111, section 4.2.3)."""
    apparent = time.time() - parsedate_to_datetime(str(answer.headers["date"])).timestamp()
    return max(apparent, float(answer.headers["age"] or 0))


def aged(browser: Browser, origin: Origin, kind: Kind) -> tuple[float, float]:
    """The age of an answer of the edge, as a client sees it and as it is."""
    case = CASES["long"]
    site = behind(origin, counting(), route(kind, case))
    made = time.time()
    browser.ask(site, "/")
    time.sleep(PAUSE)
    answer = browser.ask(site, "/")
    assert answer.text == "1"
    return age_of(answer), time.time() - made


def test_an_answer_says_how_old_it_is(kind: Kind, origin: Origin, configured: Browser) -> None:
    said, true = aged(configured, origin, kind)
    # The fields are in whole seconds.
    assert said >= PAUSE - 1
    assert said <= true + 20  # A loaded server's Date lags behind.


def test_nginx_as_it_comes_makes_it_young(kind: Kind, origin: Origin, plain: Browser) -> None:
    said, _ = aged(plain, origin, kind)
    assert (said < PAUSE - 1) == (kind == "nginx")


# Stale answers


class Failing:
    """An application that can be told to fail."""

    def __init__(self) -> None:
        self.fails = False
        self._plain = counting()

    def __call__(self, seen: Seen) -> Response:
        answer = self._plain(seen)
        return Response([b"failed"], 503, []) if self.fails else answer


def test_stale_windows_are_the_policys(kind: Kind, origin: Origin, configured: Browser) -> None:
    policies = {
        "none": Cdn(max_age=1, vendor=kind),
        "on errors": Cdn(max_age=1, stale_if_error=60, vendor=kind),
        "while refreshing": Cdn(max_age=1, stale_while_revalidate=60, vendor=kind),
        "on errors, but over": Cdn(max_age=1, stale_if_error=1, vendor=kind),
    }
    apps = {name: Failing() for name in policies}
    sites = {
        name: behind(origin, apps[name], Route("/", cdn=cdn)) for name, cdn in policies.items()
    }
    for site in sites.values():
        assert configured.ask(site, "/").text == "1"
    time.sleep(PAUSE)
    for app in apps.values():
        app.fails = True
    texts = {name: configured.ask(site, "/").text for name, site in sites.items()}
    stale = {"on errors", "while refreshing"} if kind == "varnish" else set()
    assert {name for name, text in texts.items() if text == "1"} == stale
    assert {text for name, text in texts.items() if name not in stale} == {"failed"}
    for app in apps.values():
        app.fails = False
    assert configured.ask(sites["on errors"], "/").text not in {"1", "failed"}
    assert configured.ask(sites["none"], "/").text not in {"1", "failed"}


def test_stale_answers_outlive_the_application() -> None:
    policies = {
        "none": Cdn(max_age=1, vendor="varnish"),
        "on errors": Cdn(max_age=1, stale_if_error=60, vendor="varnish"),
    }
    with Origin("asgi") as mortal, configuration.varnish(mortal.port) as edge:
        sites = {
            name: behind(mortal, counting(), Route("/", cdn=cdn)) for name, cdn in policies.items()
        }
        with Browser(edge.url) as browser:
            for site in sites.values():
                assert browser.ask(site, "/").text == "1"
            mortal.close()
            time.sleep(PAUSE)
            assert browser.ask(sites["on errors"], "/").text == "1"
            assert browser.ask(sites["none"], "/").status == 503


# One answer, other forms

SAME = ("cache-control", "etag", "vary", "content-type", "x-own")


def test_heads_and_304s_say_the_same(kind: Kind, origin: Origin, configured: Browser) -> None:
    handler = counting(200, ETag='"v1"', Vary="Accept-Language", X_Own="1")
    for cache in (None, Cache(ttl=60, consistency="eventual", vary=["Accept-Language"])):
        cdn = Cdn(max_age=60, vendor=kind, tags=["t"] if kind == "varnish" else None)
        site = behind(origin, handler, Route("/{path:path}", cache=cache, cdn=cdn))
        path = new_path()
        first = configured.ask(site, path)
        asked = site.asked
        whole, head, not_modified = (
            configured.ask(site, path),
            configured.ask(site, path, "HEAD"),
            configured.ask(site, path, If_None_Match='"v1"'),
        )
        assert site.asked == asked
        assert (whole.status, head.status, not_modified.status) == (200, 200, 304)
        assert (whole.body, head.body, not_modified.body) == (first.body, b"", b"")
        for name in SAME[:3]:
            assert first.headers[name] == not_modified.headers[name]
        for name in SAME:
            assert first.headers[name] == whole.headers[name] == head.headers[name]


def test_a_head_first_leaves_a_whole_answer(
    origin: Origin, kind: Kind, configured: Browser
) -> None:
    site = behind(origin, counting(), Route("/{path:path}", cdn=Cdn(max_age=60, vendor=kind)))
    path = new_path()
    assert configured.ask(site, path, "HEAD").body == b""
    assert configured.ask(site, path).text


def test_what_is_for_edges_alone_stays_there(
    kind: Kind, origin: Origin, configured: Browser
) -> None:
    cdn = Cdn(max_age=1, shared_max_age=60, vendor=kind, tags=["t"] if kind == "varnish" else None)
    site = behind(origin, counting(), Route("/{path:path}", cdn=cdn))
    for _ in range(2):
        names = {name.lower() for name in configured.ask(site, "/").headers}
        hidden = {"xkey", "cdn-cache-control", "x-accel-expires", "x-url", "x-host", "purged"}
        assert not names & {*hidden, "x-cache-tags", "x-stale"}


def test_variants_are_kept_apart(kind: Kind, origin: Origin, configured: Browser) -> None:
    def handler(seen: Seen) -> Response:
        language = seen.headers.get("accept-language", "none")
        return Response([language.encode()], 200, [("Vary", "Accept-Language")])

    site = behind(origin, handler, Route("/{path:path}", cdn=Cdn(max_age=60, vendor=kind)))
    path = new_path()
    for _ in range(3):
        for language in ("de", "fr", "none"):
            assert configured.ask(site, path, Accept_Language=language).text == language
    assert site.asked == 3


# What is for one client


def test_cookies_and_credentials_pass_by(kind: Kind, origin: Origin, configured: Browser) -> None:
    """Each is answered by the application, and none of the answers is kept for the next."""
    cdn = Cdn(max_age=60, vendor=kind)
    site = behind(
        origin,
        counting(),
        Route("/{path:path}", cache=Cache(ttl=60, consistency="eventual"), cdn=cdn),
    )
    path = new_path()
    public = configured.ask(site, path).text
    own: list[dict[str, str]] = [
        {"Cookie": "login=alice"},
        {"Cookie": "a=1; login=alice"},
        {"Authorization": "Bearer alice"},
        {"Cookie": "regionware-session=anything"},
        {"Regionware-Session": "anything"},
        {"Regionware-Debug": "whatever"},
    ]
    for fields in own:
        before = site.asked
        configured.ask(site, path, **fields)
        assert site.asked == before + 1, fields
    before = site.asked
    assert configured.ask(site, path).text == public
    assert configured.ask(site, path, Cookie="_ga=GA1.2; _gid=3").text == public
    assert site.asked == before


def test_an_answer_with_a_cookie_is_given_to_its_client_alone(
    kind: Kind, origin: Origin, configured: Browser
) -> None:
    numbers = iter(range(100))

    def handler(_: Seen) -> Response:
        number = next(numbers)
        fields = [("Set-Cookie", f"id={number}")] if number < 2 else []
        return Response([str(number).encode()], 200, fields)

    site = behind(origin, handler, Route("/{path:path}", cdn=Cdn(max_age=60, vendor=kind)))
    answers = [configured.ask(site, "/") for _ in range(2)]
    assert [each.headers["set-cookie"] for each in answers] == ["id=0", "id=1"]
    assert configured.ask(site, "/").headers["set-cookie"] is None


@pytest.mark.parametrize("status", [500, 502, 503, 404, 403, 429])
def test_errors_are_not_kept(status: int, kind: Kind, origin: Origin, configured: Browser) -> None:
    site = behind(origin, counting(status), Route("/{path:path}", cdn=Cdn(max_age=60, vendor=kind)))
    assert configured.ask(site, "/").text != configured.ask(site, "/").text
