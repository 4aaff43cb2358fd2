"""`rw.purge(...)` reaches a real Varnish and a real nginx in front of the application."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from regionware import Region, Regionware, Topology
from regionware.adapters.edges import EdgePurger, Nginx, Varnish
from regionware.errors import ConfigurationError
from regionware.parts.edge import Edge
from regionware.policies import Cache, Cdn, Route
from tests.conformance.application import DEADLINE, counting
from tests.conformance.harness import until
from tests.edges import configuration
from tests.edges.rig import parts_of_edges
from tests.edges.served import Browser, Mounted, Origin, new_path

pytestmark = parts_of_edges

SECRET = "only-we-know"


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


@contextmanager
def site(
    origin: Origin,
    redis: str | None,
    *edges: EdgePurger,
    tags: Sequence[str] = ("item:{item}", "all"),
    **cdn: Any,
) -> Iterator[tuple[Mounted, Regionware]]:
    """An application whose pages are kept for minutes, here and at the edge."""
    vendor = edges[0].vendor if edges else "varnish"
    route = Route(
        "/{item}",
        cache=Cache(
            ttl=600,
            stale_while_revalidate=600,
            tags=tags if vendor == "varnish" else (),
            consistency="eventual",
        ),
        cdn=Cdn(shared_max_age=600, vendor=vendor, **cdn),
    )
    here = Region("here", primary=True, redis=redis)
    rw = Regionware(
        topology=Topology(here="here", regions=[here]),
        routes=[route],
        edges=edges,
        trusted=["127.0.0.1/32"],
    )
    rw.start()
    try:
        if redis is not None:
            until(lambda: rw.backplane is not None and rw.backplane.synced)
        yield origin.mount(counting(), rw), rw
    finally:
        if origin.flavour == "asgi":  # Its connections belong to the loop of the server.
            asyncio.run_coroutine_threadsafe(rw.aclose(), origin.loop).result(DEADLINE)
        else:
            rw.close()


class Page:
    """A page that an edge keeps."""

    def __init__(self, browser: Browser, mounted: Mounted) -> None:
        self._browser, self._mounted = browser, mounted
        self.path = new_path()
        self.text = self.now()
        assert self.now() == self.text
        assert self.is_kept()

    def now(self) -> str:
        return self._browser.ask(self._mounted, self.path).text

    def is_kept(self) -> bool:
        """Whether the edge answers by itself, with what it had at first."""
        asked = self._mounted.asked
        return self.now() == self.text and self._mounted.asked == asked

    def is_new(self) -> bool:
        return self.now() != self.text


@pytest.fixture(params=["redis", "alone"])
def redis(request: pytest.FixtureRequest) -> str | None:
    """The region's Redis, or none: a purge is then sent from memory."""
    found: str | None = request.getfixturevalue("redis_url") if request.param == "redis" else None
    return found


def test_by_tag(origin: Origin, varnish: Edge, redis: str | None) -> None:
    with (
        Browser(varnish.url) as browser,
        site(origin, redis, Varnish(varnish.url)) as (mounted, rw),
    ):
        purged, other = Page(browser, mounted), Page(browser, mounted)
        rw.purge(tags=[f"item:{purged.path[1:]}"], wait="edges", timeout=20)
        assert purged.is_new()
        assert other.is_kept()
        rw.purge(tags=["all"], wait="edges", timeout=20)
        assert other.is_new()


def test_without_an_edge_named_it_would_stay(origin: Origin, varnish: Edge, redis_url: str) -> None:
    with Browser(varnish.url) as browser, site(origin, redis_url) as (mounted, rw):
        page = Page(browser, mounted)
        rw.purge(tags=["all"])
        time.sleep(1)  # Four times as long as an edge that is named would be left alone.
        assert page.is_kept()


def test_by_url_and_everything(origin: Origin, varnish: Edge, redis_url: str) -> None:
    with (
        Browser(varnish.url) as browser,
        site(origin, redis_url, Varnish(varnish.url)) as (mounted, rw),
    ):
        one, two, three = (Page(browser, mounted) for _ in range(3))
        rw.purge(urls=[one.path, f"http://{mounted.host}{two.path}"], wait="edges", timeout=20)
        assert one.is_new()
        assert two.is_new()
        assert three.is_kept()
        rw.purge(everything=True, wait="edges", timeout=20)
        assert three.is_new()


def test_a_soft_purge_serves_stale_once(origin: Origin, varnish: Edge, redis_url: str) -> None:
    edge, window = Varnish(varnish.url), 600.0
    with (
        Browser(varnish.url) as browser,
        site(origin, redis_url, edge, stale_while_revalidate=window) as (mounted, rw),
    ):
        page = Page(browser, mounted)
        rw.purge(tags=["all"], soft=True, wait="edges", timeout=20)
        assert page.now() == page.text  # Stale, and the reason for a refresh.
        until(page.is_new)
        with pytest.raises(ConfigurationError, match=r"varnish cannot purge .*soft"):
            rw.purge(urls=[page.path], soft=True)


def test_odd_tags_reach_what_has_them(origin: Origin, varnish: Edge, redis_url: str) -> None:
    """What a field cannot carry is known by a hash, in answers and in purges."""
    odd = ["a, b", "ä", ".*", 'x" || obj.status', "a\r\nxkey: all"]
    with (
        Browser(varnish.url) as browser,
        site(origin, redis_url, Varnish(varnish.url)) as (mounted, rw),
    ):
        page = Page(browser, mounted)
        rw.purge(tags=odd, wait="edges", timeout=20)
        assert page.is_kept()
    with (
        Browser(varnish.url) as browser,
        site(origin, redis_url, Varnish(varnish.url), tags=odd) as (mounted, rw),
    ):
        for tag in odd:
            page = Page(browser, mounted)
            rw.purge(tags=[tag], wait="edges", timeout=20)
            assert page.is_new()


def test_a_server_that_is_away_is_told_later(origin: Origin, redis_url: str) -> None:
    with (
        configuration.varnish(origin.port) as mortal,
        Browser(mortal.url) as browser,
        site(origin, redis_url, Varnish(mortal.url)) as (mounted, rw),
    ):
        page = Page(browser, mounted)
        mortal.pause()  # It keeps what it has, and answers nobody.
        rw.purge(tags=["all"])
        until(lambda: rw.counts().get("edge-purge-failed:varnish", 0), 60)
        [status] = rw.edges
        assert (status.name, status.waiting) == ("varnish", 1)
        mortal.resume()
        until(page.is_new, 60)
        until(lambda: not rw.edges[0].waiting, 60)


def test_nginx_is_refreshed(origin: Origin, nginx: Edge, redis_url: str) -> None:
    edge = Nginx(nginx.url, fields={"X-Regionware-Refresh": SECRET})
    with Browser(nginx.url) as browser, site(origin, redis_url, edge) as (mounted, rw):
        purged, other = Page(browser, mounted), Page(browser, mounted)
        rw.purge(urls=[f"http://{mounted.host}{purged.path}"], wait="edges", timeout=20)
        assert purged.is_new()
        assert other.is_kept()
        refused: list[dict[str, Any]] = [
            {"tags": ["all"]}, {"everything": True}, {"urls": [other.path]},
        ]  # fmt: skip
        for what in refused:
            with pytest.raises(ConfigurationError, match="edge nginx cannot purge"):
                rw.purge(**what)
        assert other.is_kept()
