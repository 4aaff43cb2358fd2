"""Varnish and nginx accept what `regionware cdn-config` prints."""

from typing import Any

import pytest

from regionware import Region, Regionware, Topology
from regionware.locate import Header
from regionware.parts.edge import Edge
from regionware.parts.nginx import Nginx
from regionware.parts.process import ServerFailed
from regionware.policies import Cache, Cdn, Route
from regionware.vendors.config import render
from tests.edges import configuration
from tests.edges.conftest import Kind
from tests.edges.rig import parts_of_edges

pytestmark = parts_of_edges

#: Something of everything: an immutable route with a hostile path, regions, cookies.
ROUTES = [
    Route("/static/{path:path}", cdn=Cdn.immutable()),
    Route('/odd"$ {brace}/{path:path}.css', cdn=Cdn.immutable()),
    Route("/products/{id}", cache=Cache(ttl=60, tags=["product:{id}"], cookies=["currency"])),
    Route("/me", cdn=Cdn.private()),
]

OPTIONS: list[dict[str, Any]] = [
    {},
    {"fronts": ["10.0.0.0/8", "2001:db8::/32"], "purgers": ["10.1.0.0/16", "::1/128"]},
    {"backend_host": "::1", "region_field": "X-Nearest", "varies": True},
    {"refresh_secret": "a-secret.of~letters_1"},
]


def topology() -> Topology:
    regions = [Region("iad", primary=True), Region("fra"), Region("eu-west_2")]
    return Topology(here="iad", regions=regions)


def edge(kind: Kind, rw: Regionware | None, **options: Any) -> Edge:
    make = {"varnish": configuration.varnish, "nginx": configuration.nginx}[kind]
    return make(9, rw, **options)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options) or "defaults")
@pytest.mark.parametrize("known", [False, True], ids=["any", "of-an-application"])
def test_it_is_accepted(kind: Kind, options: dict[str, Any], known: bool) -> None:
    rw = (
        Regionware(
            topology=topology(),
            routes=ROUTES,
            region=[Header("X-Region")],
            trusted=["127.0.0.1/32"],
            secret="s" * 32,
        )
        if known
        else None
    )
    edge(kind, rw, **options).check()


def test_the_whole_file_of_nginx_is_accepted() -> None:
    text = render("nginx", backend_port=9, directory="cache", listen="127.0.0.1:9")
    Nginx("return 404;", http=text).check()


def test_a_mistake_would_be_noticed(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    part = "varnish" if kind == "varnish" else "nginx"
    template = "_VCL" if kind == "varnish" else "_SERVER"
    module = f"regionware.vendors.config.{part}"
    monkeypatch.setattr(f"{module}.{template}", "no_such_word on;\n")
    with pytest.raises(ServerFailed, match="no_such_word"):
        edge(kind, None).check()
