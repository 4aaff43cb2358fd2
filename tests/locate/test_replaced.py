"""Servers that put something from a header in the place of the peer's address."""

import asyncio
import os
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from granian.utils.proxies import wrap_asgi_with_proxy_headers, wrap_wsgi_with_proxy_headers
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from regionware import Regionware
from regionware.adapters.wsgi_request import WsgiRequest
from regionware.locate import Header, Ingress, Resolver, Trust
from regionware.parts.process import ServerProcess, free_port
from regionware.policies import Route
from tests.conformance.application import Application, Response, Seen, text
from tests.conformance.harness import Site, until
from tests.locate.cases import CLIENT, FORGED, PROXY, SECRET, STRANGER, TOPOLOGY, Asked
from tests.rig import Rig

ROOT = Path(__file__).parents[2]


def tell(seen: Seen) -> Response:
    assert seen.state is not None
    client = seen.state.client
    return text(f"{seen.state.region.name} {client} {client.source} {'x-region' in seen.headers}")


def ask(site: Site, forwarded: str, peer: str, port: int) -> str:
    fields = {"X-Region": "fra", "X-Forwarded-For": forwarded}
    return site.get("/", headers=fields, peer=peer, port=port).body.decode()


def site(rig: Rig, *trusted: str | Ingress) -> Site:
    rw = rig.worker(TOPOLOGY, Route("/other"), region=[Header("X-Region")], trusted=list(trusted))
    return rig.site(rw, Application(tell))


def test_a_peer_that_was_taken_from_a_header_is_nobody(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """G2: the header says that a trusted proxy asks, and the server believes it."""
    here = site(rig, "10.0.0.0/8", "private")
    for _ in range(3):
        assert ask(here, PROXY, PROXY, 0) == "iad  unknown False"
        assert ask(here, f"{PROXY}, 192.0.2.1", PROXY, 0) == "iad  unknown False"
    told = [each.getMessage() for each in caplog.records]
    assert len(told) == 1
    assert f"has put {PROXY} in the place of the peer's address" in told[0]
    assert "--no-proxy-headers" in told[0]
    # The control: a peer that is one.
    assert ask(here, CLIENT, PROXY, 40000) == f"fra {CLIENT} x-forwarded-for True"


def test_uvicorn_takes_the_port_too_where_the_header_has_one(rig: Rig) -> None:
    here = site(rig, "10.0.0.0/8")
    expected = "iad  unknown False" if rig.flavour == "asgi" else f"fra {CLIENT}"
    assert ask(here, f"{CLIENT}, {PROXY}:4711", PROXY, 4711).startswith(expected)
    assert ask(here, f"{CLIENT}, {PROXY}:4711", PROXY, 4712).startswith(f"fra {CLIENT}")


def test_an_ingress_may_say_that_the_server_does_this(rig: Rig) -> None:
    """Then the address is the client's, and a secret is still asked for."""
    here = site(rig, Ingress("10.0.0.0/8", headers=["X-Region"], rewritten=True))
    assert ask(here, f"{FORGED}, {CLIENT}", CLIENT, 0) == f"fra {CLIENT} server True"
    assert here.app.calls[-1].headers["x-forwarded-for"] == CLIENT
    assert ask(here, CLIENT, PROXY, 40000) == f"fra {CLIENT} x-forwarded-for True"
    assert ask(here, CLIENT, STRANGER, 40000) == f"iad {STRANGER} peer False"
    secret = Ingress(secret=SECRET, headers=["X-Region"], rewritten=True)
    here = site(rig, secret)
    assert ask(here, CLIENT, CLIENT, 0) == "iad  unknown False"
    fields = {"X-Region": "fra", "X-Forwarded-For": CLIENT, "X-Origin-Auth": SECRET}
    answer = here.get("/", headers=fields, peer=CLIENT, port=0).body.decode()
    assert answer == f"fra {CLIENT} server True"


def test_no_provider_looks_up_an_address_that_somebody_has_made_up() -> None:
    for resolver, expected in (
        (Resolver([], TOPOLOGY, ["10.0.0.0/8"]), ""),
        (Resolver([], TOPOLOGY, [Ingress("10.0.0.0/8", rewritten=True)]), PROXY),
    ):
        asked = Asked(PROXY, {"X-Forwarded-For": PROXY}, replaced=True)
        assert resolver.admits(asked) is bool(expected)
        assert asked.client == expected


def test_behind_a_balancer_whose_address_the_server_replaces() -> None:
    balancer = Ingress.load_balancer("10.0.0.0/8", rewritten=True)
    cdn = Ingress.cloudflare(secret=SECRET, behind=balancer, rewritten=True)
    fields = {"CF-Connecting-IP": CLIENT, "X-Forwarded-For": f"{CLIENT}, 192.0.2.77",
              "X-Origin-Auth": SECRET}  # fmt: skip
    resolver = Resolver([], TOPOLOGY, [cdn])
    found = resolver.client(Asked("192.0.2.77", fields, replaced=True))
    assert (str(found), found.source) == (CLIENT, "cf-connecting-ip")
    # Without one in between: the header that is named, not what the server has found.
    alone = Resolver([], TOPOLOGY, [Ingress.cloudflare(secret=SECRET, rewritten=True)])
    found = alone.client(Asked("192.0.2.77", fields, replaced=True))
    assert (str(found), found.source) == (CLIENT, "cf-connecting-ip")
    strict = Resolver([], TOPOLOGY, [Ingress.cloudflare(secret=SECRET, behind=balancer)])
    assert strict.client(Asked("192.0.2.77", fields, replaced=True)).trust is Trust.UNKNOWN


# --- What servers and middlewares really do


def scope(peer: str, forwarded: str) -> dict[str, Any]:
    headers = [(b"host", b"a"), (b"x-forwarded-for", forwarded.encode()), (b"x-region", b"fra")]
    return {
        "type": "http", "asgi": {"version": "3.0"}, "method": "GET", "path": "/",
        "headers": headers, "query_string": b"", "scheme": "http", "client": (peer, 40000),
        "root_path": "",
    }  # fmt: skip


async def _receive() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


def over_asgi(wrap: Any, peer: str, forwarded: str, *trusted: str) -> str:
    rw = Regionware(topology=TOPOLOGY, region=[Header("X-Region")], trusted=trusted)
    said: list[bytes] = []

    async def send(message: Any) -> None:
        said.append(message.get("body", b""))

    wrapped = wrap(rw.asgi(Application(tell).asgi))
    asyncio.run(wrapped(scope(peer, forwarded), _receive, send))
    return b"".join(said).decode()


@pytest.mark.parametrize("wrap", [ProxyHeadersMiddleware, wrap_asgi_with_proxy_headers])
@pytest.mark.parametrize("forwarded", [PROXY, f"{CLIENT}, {PROXY}", f"{PROXY}, 127.0.0.1"])
def test_asgi_servers_that_are_told_nothing(wrap: Any, forwarded: str) -> None:
    """They believe whoever asks from this machine, and then say that the proxy has asked."""
    assert over_asgi(wrap, "127.0.0.1", forwarded, "10.0.0.0/8") == "iad  unknown False"
    # The controls: whoever asks from elsewhere, and the server with nothing around it.
    assert over_asgi(wrap, PROXY, CLIENT, "10.0.0.0/8").startswith(f"fra {CLIENT}")
    assert over_asgi(lambda app: app, PROXY, CLIENT, "10.0.0.0/8").startswith(f"fra {CLIENT}")


def environ(peer: str, forwarded: str, **more: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "", "SERVER_NAME": "a",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http",
        "REMOTE_ADDR": peer, "HTTP_HOST": "a", "HTTP_X_FORWARDED_FOR": forwarded,
        "HTTP_X_REGION": "fra", **more,
    }  # fmt: skip


def over_wsgi(wrap: Any, environ: dict[str, Any], *trusted: str) -> str:
    rw = Regionware(topology=TOPOLOGY, region=[Header("X-Region")], trusted=trusted)
    environ |= {"wsgi.input": BytesIO(), "wsgi.errors": sys.stderr}
    body = wrap(rw.wsgi(Application(tell).wsgi))(environ, lambda *_: lambda _: None)
    return b"".join(body).decode()


WSGI: list[tuple[Any, str]] = [(ProxyFix, STRANGER), (wrap_wsgi_with_proxy_headers, "127.0.0.1")]


@pytest.mark.parametrize(("wrap", "peer"), WSGI)
def test_wsgi_middlewares(wrap: Any, peer: str) -> None:
    """Werkzeug's believes everybody; granian's whoever asks from this machine."""
    asked = environ(peer, f"{CLIENT}, {PROXY}" if wrap is ProxyFix else PROXY)
    assert over_wsgi(wrap, asked, "10.0.0.0/8") == "iad  unknown False"
    asked = environ(PROXY, CLIENT)
    assert over_wsgi(lambda app: app, asked, "10.0.0.0/8").startswith(f"fra {CLIENT}")


def test_a_proxy_fix_that_found_nothing_to_fix() -> None:
    asked = environ(PROXY, CLIENT)
    fix = lambda app: ProxyFix(app, x_for=0, x_proto=0)  # noqa: E731
    assert over_wsgi(fix, asked, "10.0.0.0/8").startswith(f"fra {CLIENT}")


@pytest.mark.parametrize(
    ("peer", "forwarded", "more", "replaced"),
    [
        (PROXY, PROXY, {}, True),
        (PROXY, f"{PROXY}, {CLIENT}", {}, True),
        (PROXY, f"{CLIENT},{PROXY}", {"REMOTE_PORT": "1234"}, True),
        (PROXY, CLIENT, {"REMOTE_PORT": "0"}, True),
        (PROXY, f"{CLIENT}, {PROXY}, {CLIENT}", {}, False),
        (PROXY, CLIENT, {"REMOTE_PORT": "1234"}, False),
        # A proxy and its client on the machine of a developer.
        ("127.0.0.1", "127.0.0.1", {}, False),
        ("::1", "::1", {}, False),
        ("", CLIENT, {}, False),
    ],
)
def test_what_an_environ_shows(
    peer: str, forwarded: str, more: dict[str, str], replaced: bool
) -> None:
    names = {"HTTP_HOST": "host", "HTTP_X_FORWARDED_FOR": "x-forwarded-for"}
    request = WsgiRequest(environ(peer, forwarded, **more), names)
    assert request.replaced() is replaced


# --- A real uvicorn


@pytest.fixture(params=["cautious", "cautious --no-proxy-headers", "ready"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    name, _, option = request.param.partition(" ")
    port = free_port()
    argv = [
        sys.executable, "-m", "uvicorn", f"tests.locate.application:{name}", "--port", str(port),
        "--log-level", "warning", *([option] if option else []),
    ]  # fmt: skip
    process = ServerProcess(argv, log=tmp_path / "log", environ=dict(os.environ), directory=ROOT)
    url = f"http://127.0.0.1:{port}/"

    def answers() -> bool:
        try:
            return httpx.get(url, timeout=20, trust_env=False).status_code == 200
        except httpx.TransportError:
            assert process.running, process.tail()
            return False

    try:
        until(answers, 60)
        yield request.param, url
    finally:
        process.end(timeout=10)


def test_a_real_uvicorn(served: tuple[str, str]) -> None:
    """G2, with the defaults; started as the documentation says; and with an ingress that knows."""
    name, url = served

    def ask(**fields: str) -> str:
        headers = {"X-Region": "fra"} | {k.replace("_", "-"): v for k, v in fields.items()}
        return httpx.get(url, headers=headers, timeout=20, trust_env=False).text

    through = ask(X_Forwarded_For=CLIENT)
    assert ask() == "fra 127.0.0.1 peer True"
    if name == "cautious":
        # Neither the proxy that the header names, nor the one that it hides, is believed.
        assert ask(X_Forwarded_For="10.0.0.7") == through == "iad  unknown False"
    elif name == "ready":
        assert through == f"fra {CLIENT} server True"
    else:
        assert through == f"fra {CLIENT} x-forwarded-for True"
        assert ask(X_Forwarded_For=f"{FORGED}, {CLIENT}") == through
