"""An application behind a real server, and real edges in front of it; made once for each module."""

from collections.abc import Iterator
from typing import Literal

import pytest

from tests.conformance.harness import Flavour
from tests.edges import configuration
from tests.edges.served import Browser, Origin

Kind = Literal["varnish", "nginx"]


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def origin(request: pytest.FixtureRequest) -> Iterator[Origin]:
    """A real server, of either protocol."""
    flavour: Flavour = request.param
    with Origin(flavour) as started:
        yield started


@pytest.fixture(scope="module", params=["varnish", "nginx"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Which edge."""
    found: Kind = request.param
    return found


@pytest.fixture(scope="module")
def plain(kind: Kind, origin: Origin) -> Iterator[Browser]:
    """A client of an edge as it comes, in front of the server."""
    make = {"varnish": configuration.plain_varnish, "nginx": configuration.plain_nginx}[kind]
    with make(origin.port) as edge, Browser(edge.url) as browser:
        yield browser


@pytest.fixture(scope="module")
def configured(kind: Kind, origin: Origin) -> Iterator[Browser]:
    """A client of an edge with what `regionware cdn-config` prints, in front of the server."""
    make = {"varnish": configuration.varnish, "nginx": configuration.nginx}[kind]
    with make(origin.port) as edge, Browser(edge.url) as browser:
        yield browser


@pytest.fixture(scope="module")
def careless(kind: Kind, origin: Origin) -> Iterator[Browser]:
    """A client of an edge that looks at no cookie, in front of the server."""
    make = {"varnish": configuration.careless_varnish, "nginx": configuration.plain_nginx}[kind]
    with make(origin.port) as edge, Browser(edge.url) as browser:
        yield browser
