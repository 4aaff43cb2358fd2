"""Purges reach a real Varnish and a real nginx, and remove what they name, and nothing else."""

import http.client
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from regionware.adapters.edges.nginx import Nginx
from regionware.adapters.edges.protocol import EdgeAnswer, EdgePurge, EdgePurger, EdgeRequest
from regionware.adapters.edges.varnish import Varnish
from regionware.parts import varnish as varnish_part
from regionware.parts.edge import Edge
from tests.conformance.application import DEADLINE, Handler, Response, Seen, counting
from tests.conformance.harness import until
from tests.edges import configuration
from tests.edges.rig import parts_of_edges
from tests.edges.served import Browser, Mounted, Origin, new_path
from tests.edges.test_purgers import HOSTILE

pytestmark = parts_of_edges

SECRET = "only-we-know"
REFRESH = {"X-Regionware-Refresh": SECRET}


@pytest.fixture(scope="module")
def varnish(origin: Origin) -> Iterator[Edge]:
    """Varnish as regionware configures it."""
    with configuration.varnish(origin.port) as edge:
        yield edge


@pytest.fixture(scope="module")
def nginx(origin: Origin) -> Iterator[Edge]:
    """An nginx as regionware configures it."""
    with configuration.nginx(origin.port, refresh_secret=SECRET) as edge:
        yield edge


@pytest.fixture
def browser(varnish: Edge) -> Iterator[Browser]:
    """A client of Varnish."""
    with Browser(varnish.url) as found:
        yield found


def send(request: EdgeRequest) -> EdgeAnswer:
    """Send a request just as it is."""
    url = urlsplit(request.url)
    connection = http.client.HTTPConnection(url.netloc, timeout=DEADLINE)
    try:
        target = url.path + (f"?{url.query}" if url.query else "")
        connection.request(request.method, target, request.body, dict(request.fields))
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return EdgeAnswer(response.status, fields, response.read())
    finally:
        connection.close()


def purge(edge: EdgePurger, **what: object) -> set[str]:
    """Send what a batch needs; the outcomes."""
    batch = EdgePurge(**what)  # type: ignore[arg-type] # its own keywords
    return {edge.judge(send(each)).outcome for each in edge.requests(batch, time.time())}


def tagged(**fields: str) -> Handler:
    """An application that counts its answers, and says by what they can be purged: their path."""
    plain = counting(200, Cache_Control="public, max-age=600", **fields)

    def handler(seen: Seen) -> Response:
        answer = plain(seen)
        answer.headers = [*answer.headers, ("xkey", f"all path:{seen.path}")]
        return answer

    return handler


class Kept:
    """Some pages that an edge keeps, and which of them it still does."""

    def __init__(self, browser: Browser, site: Mounted, paths: list[str]) -> None:
        self.browser, self.site = browser, site
        self.was = {path: browser.ask(site, path).text for path in paths}
        assert self.left() == set(paths)

    def left(self) -> set[str]:
        return {p for p, text in self.was.items() if self.browser.ask(self.site, p).text == text}


@pytest.fixture
def kept(browser: Browser, origin: Origin) -> Kept:
    """Four pages in Varnish."""
    return Kept(browser, origin.mount(tagged()), [f"/a{i}.html?x={i}" for i in range(4)])


def test_by_tag(kept: Kept, varnish: Edge) -> None:
    one, two, *rest = kept.was
    tags = tuple(f"path:{path.partition('?')[0]}" for path in (one, two))
    assert purge(Varnish(varnish.url), tags=tags) == {"done"}
    assert kept.left() == set(rest)


def test_by_tag_with_bans(kept: Kept, varnish: Edge) -> None:
    one, *rest = kept.was
    edge = Varnish(varnish.url, tags="ban")
    assert purge(edge, tags=(f"path:{one.partition('?')[0]}",)) == {"done"}
    assert kept.left() == set(rest)
    assert purge(edge, tags=("all",)) == {"done"}
    assert not kept.left()


def test_by_url(kept: Kept, varnish: Edge) -> None:
    one, two, *rest = kept.was
    edge = Varnish(varnish.url)
    assert purge(edge, urls=(one, f"https://{kept.site.host}{two}")) == {"done"}
    assert kept.left() == set(rest)


def test_by_url_of_another_host(kept: Kept, varnish: Edge) -> None:
    one, *_ = kept.was
    assert purge(Varnish(varnish.url), urls=(f"https://other.test{one}",)) == {"done"}
    assert kept.left() == set(kept.was)


def test_by_url_whatever_varies(browser: Browser, origin: Origin, varnish: Edge) -> None:
    """A PURGE would reach the one variant that it asks for itself."""
    site = origin.mount(tagged(Vary="Accept-Language"))
    path, languages = new_path(), ("de", "fr")

    def bodies() -> list[str]:
        return [browser.ask(site, path, Accept_Language=each).text for each in languages]

    before = bodies()
    assert bodies() == before
    assert len(set(before)) == 2
    assert purge(Varnish(varnish.url), urls=(path,)) == {"done"}
    assert not set(bodies()) & set(before)


def test_everything(kept: Kept, varnish: Edge) -> None:
    assert purge(Varnish(varnish.url), everything=True) == {"done"}
    assert not kept.left()


@pytest.mark.parametrize("tags", ["xkey", "ban"])
def test_hostile_tags_purge_nothing_else(kept: Kept, varnish: Edge, tags: str) -> None:
    edge = Varnish(varnish.url, tags=tags)  # type: ignore[arg-type] # one of its words
    for text in HOSTILE:
        assert purge(edge, tags=(text,)) == {"done"}
    assert purge(edge, tags=tuple(HOSTILE)) == {"done"}
    assert kept.left() == set(kept.was)


def test_hostile_urls_purge_nothing_else(kept: Kept, varnish: Edge) -> None:
    edge = Varnish(varnish.url)
    for text in HOSTILE:
        for before in ("/x", f"https://{kept.site.host}/x", "https://x", "x"):
            assert purge(edge, urls=(before + text,)) == {"done"}
    assert kept.left() == set(kept.was)


def test_without_escaping_they_would(
    kept: Kept, varnish: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regionware.adapters.edges.varnish._literal", lambda text: text)
    assert purge(Varnish(varnish.url), urls=("/.*",)) == {"done"}
    assert not kept.left()


def test_a_soft_purge_serves_stale_once(browser: Browser, origin: Origin, varnish: Edge) -> None:
    site = origin.mount(tagged(CDN_Cache_Control="max-age=600, stale-while-revalidate=600"))
    path = new_path()
    first = browser.ask(site, path).text
    assert purge(Varnish(varnish.url), tags=(f"path:{path}",), soft=True) == {"done"}
    assert browser.ask(site, path).text == first  # Stale, and the reason for a refresh.
    until(lambda: site.calls == 2)
    until(lambda: browser.ask(site, path).text != first)
    assert site.calls == 2


def test_a_hard_purge_never_serves_stale(browser: Browser, origin: Origin, varnish: Edge) -> None:
    site = origin.mount(tagged(CDN_Cache_Control="max-age=600, stale-while-revalidate=600"))
    path = new_path()
    first = browser.ask(site, path).text
    assert purge(Varnish(varnish.url), tags=(f"path:{path}",)) == {"done"}
    assert browser.ask(site, path).text != first


def test_strangers_purge_nothing(origin: Origin) -> None:
    closed = configuration.varnish(origin.port, purgers=["192.0.2.1/32"])
    with closed, Browser(closed.url) as browser:
        kept = Kept(browser, origin.mount(tagged()), ["/1", "/2"])
        everything: list[dict[str, object]] = [
            {"tags": ("all",)}, {"urls": ("/1",)}, {"everything": True},
        ]  # fmt: skip
        for what in everything:
            assert purge(Varnish(closed.url), **what) == {"later"}  # For somebody to repair.
        assert kept.left() == {"/1", "/2"}


@pytest.mark.parametrize("field", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_nor_does_what_a_proxy_beside_it_hands_on(
    origin: Origin, varnish: Edge, browser: Browser, field: str
) -> None:
    """One that ends TLS has an address that may purge; its clients have not."""
    kept = Kept(browser, origin.mount(tagged()), ["/1", "/2"])
    for what in (EdgePurge(tags=("all",)), EdgePurge(everything=True)):
        [request] = Varnish(varnish.url).requests(what, 0.0)
        handed = EdgeRequest(request.method, request.url, (*request.fields, (field, "203.0.113.9")))
        assert send(handed).status == 405
    assert kept.left() == {"/1", "/2"}


def test_an_answer_of_the_application_is_no_purge(origin: Origin) -> None:
    """A VCL that knows nothing of purges hands them on."""
    vcl = configuration.backend(origin.port) + "sub vcl_recv { return (pass); }"
    site = origin.mount(counting())
    with varnish_part.Varnish(vcl) as unaware:
        edge = Varnish(unaware.url)
        [request] = edge.requests(EdgePurge(tags=("all",)), 0.0)
        request = EdgeRequest(request.method, request.url, (*request.fields, ("Host", site.host)))
        answer = send(request)
        assert answer.status == 200
        assert edge.judge(answer).outcome == "later"
        assert Varnish(unaware.url, verify=False).judge(answer).outcome == "done"


def test_every_server_is_told(origin: Origin, kept: Kept, varnish: Edge) -> None:
    with configuration.varnish(origin.port) as second, Browser(second.url) as browser:
        there = Kept(browser, kept.site, [*kept.was])
        assert purge(Varnish([varnish.url, second.url]), tags=("all",)) == {"done"}
        assert not kept.left()
        assert not there.left()


# nginx


@pytest.fixture
def pages(nginx: Edge, origin: Origin) -> Iterator[Kept]:
    """Four pages in nginx."""
    with Browser(nginx.url) as browser:
        site = origin.mount(counting(Cache_Control="public, max-age=600"))
        yield Kept(browser, site, [f"/a{i}.html?x={i}" for i in range(4)])


def refresher(nginx: Edge, site: Mounted, secret: str = SECRET) -> Nginx:
    return Nginx(nginx.url, fields={"X-Regionware-Refresh": secret}, hosts=[site.host])


def test_nginx_refreshes_a_url(pages: Kept, nginx: Edge) -> None:
    one, two, *rest = pages.was
    edge = refresher(nginx, pages.site)
    assert purge(edge, urls=(one, f"http://{pages.site.host}{two}")) == {"done"}
    assert pages.left() == set(rest)


def test_nginx_refreshes_for_nobody_else(pages: Kept, nginx: Edge) -> None:
    for secret in ("1", "Only-We-Know", SECRET + "x"):
        purge(refresher(nginx, pages.site, secret), urls=tuple(pages.was))
    assert pages.left() == set(pages.was)


def test_hostile_urls_refresh_nothing_else(pages: Kept, nginx: Edge) -> None:
    edge = refresher(nginx, pages.site)
    for text in HOSTILE:
        purge(edge, urls=(f"/x{text}", f"http://{pages.site.host}/x{text}"))
    assert pages.left() == set(pages.was)


def test_nginx_keeps_the_old_one_if_the_new_one_may_not_be_kept(
    nginx: Edge, origin: Origin
) -> None:
    """The reason why such a refresh is said not to be done."""
    control = ["public, max-age=600"]

    def handler(_: Seen) -> Response:
        return Response([control[0].encode()], 200, [("Cache-Control", control[0])])

    site, path = origin.mount(handler), new_path()
    with Browser(nginx.url) as browser:
        assert browser.ask(site, path).text == control[0]
        control[0] = "private, no-store"
        assert purge(refresher(nginx, site), urls=(path,)) == {"refused"}
        assert browser.ask(site, path).text == "public, max-age=600"
        control[0] = "public, max-age=60"
        assert purge(refresher(nginx, site), urls=(path,)) == {"done"}
        assert browser.ask(site, path).text == control[0]
