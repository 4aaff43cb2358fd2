"""Which region is here, asked of a cloud's metadata server: a scripted one."""

import json
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from regionware import ConfigurationError, Region, Regionware, Topology
from regionware.locate import Metadata, metadata
from regionware.locate.metadata import ECS_VARIABLE, region_of

REGIONS = [
    Region("iad", primary=True, aliases=["us-east-1", "us-central1", "eastus2"]),
    Region("fra", aliases=["eu-central-1"]),
]


class Server(ThreadingHTTPServer):
    """Answers what a test tells it to, by method and path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, str]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.pause = 0.0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def answer(self) -> None:
        asked = f"{self.command} {self.path}"
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((asked, headers))
        time.sleep(self.server.pause)
        status, text = self.server.answers.get(asked, (404, "none"))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", text)
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_PUT = answer  # noqa: N815 - the names that http.server wants

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


#: Seconds that a slow machine may take; only a hanging server is told less.
AMPLE = 5.0

EC2 = {
    "PUT /latest/api/token": (200, "tok"),
    "GET /latest/meta-data/placement/region": (200, "eu-central-1"),
}


def ask(server: Server, *clouds: str, timeout: float = AMPLE, ecs: str = "") -> str | None:
    environ = {ECS_VARIABLE: ecs}
    return Metadata(*clouds, timeout=timeout, address=server.address, environ=environ)()


def test_ec2_wants_a_token_first(server: Server) -> None:
    server.answers = EC2
    assert ask(server, "ec2") == "eu-central-1"
    (first, headers), (_, then) = server.asked
    assert first == "PUT /latest/api/token"
    assert headers["x-aws-ec2-metadata-token-ttl-seconds"] == "60"
    assert then["x-aws-ec2-metadata-token"] == "tok"


def test_a_container_on_cloud_run_and_a_machine(server: Server) -> None:
    region, zone = (f"GET /computeMetadata/v1/instance/{what}" for what in ("region", "zone"))
    server.answers = {region: (200, "projects/7/regions/us-central1")}
    assert ask(server, "google") == "us-central1"
    server.answers = {zone: (200, "projects/7/zones/us-central1-f")}
    assert ask(server, "google") == "us-central1"
    assert all(headers["metadata-flavor"] == "Google" for _, headers in server.asked)


def test_a_task_on_ecs(server: Server) -> None:
    server.answers = {"GET /v4/abc/task": (200, json.dumps({"AvailabilityZone": "us-east-1a"}))}
    url = f"http://{server.address}/v4/abc"
    assert ask(server, "ecs", ecs=url) == "us-east-1"
    assert ask(server, "ecs") is None
    for odd in ("[]", "{}", "{", '{"AvailabilityZone": 7}', "[" * 9999):
        server.answers = {"GET /v4/abc/task": (200, odd)}
        assert ask(server, "ecs", ecs=url) in {None, "7"}


def test_azure(server: Server) -> None:
    path = "/metadata/instance/compute/location?api-version=2021-02-01&format=text"
    server.answers = {f"GET {path}": (200, "eastus2")}
    assert ask(server, "azure") == "eastus2"
    assert server.asked[0][1]["metadata"] == "true"


def test_all_are_asked_at_once_and_the_first_that_knows_is_heard(server: Server) -> None:
    server.answers = EC2
    assert ask(server) == "eu-central-1"


@pytest.mark.parametrize(
    "answer",
    [(404, "x"), (500, "eu-central-1"), (302, "http://127.0.0.1:1/"), (200, ""),
     (200, "<html>captive portal</html>"), (200, "EU CENTRAL"), (200, "é" * 9),
     (200, "x" * 99_999)],
)  # fmt: skip
def test_what_is_no_answer(server: Server, answer: tuple[int, str]) -> None:
    server.answers = EC2 | {"GET /latest/meta-data/placement/region": answer}
    assert ask(server, "ec2") is None


def test_a_server_that_hangs_costs_what_was_said_and_no_more(server: Server) -> None:
    server.answers, server.pause = EC2, 30.0
    began = time.monotonic()
    assert ask(server, timeout=0.3) is None
    assert time.monotonic() - began < 10  # ample: it hangs for 30


def test_nobody_is_there() -> None:
    assert Metadata(address="127.0.0.1:1", environ={})() is None


def test_it_says_which_region_is_here(server: Server) -> None:
    server.answers = EC2
    here = Metadata("ec2", timeout=AMPLE, address=server.address, environ={})
    assert Topology(here=here, regions=REGIONS, environ={}).here.name == "fra"
    asked = len(server.asked)
    # What the process was told goes first, and then nobody is asked.
    environ = {"REGIONWARE_REGION": "iad"}
    assert Topology(here=here, regions=REGIONS, environ=environ).here.name == "iad"
    assert Topology(here=here, regions=REGIONS, environ={"AWS_REGION": "us-east-1"}).here.name == (
        "iad"
    )
    assert len(server.asked) == asked


def test_nobody_is_asked_unless_it_was_said(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialed: list[str] = []
    real = HTTPConnection

    def counted(host: str, timeout: float) -> HTTPConnection:
        dialed.append(host)
        return real(host, timeout=timeout)

    monkeypatch.setattr(metadata, "HTTPConnection", counted)
    with pytest.raises(ConfigurationError, match="which region is here"):
        Topology(regions=REGIONS, environ={})
    here = Metadata("ec2", timeout=AMPLE, address=server.address, environ={})
    assert dialed == []
    server.answers = EC2
    Regionware(topology=Topology(here=here, regions=REGIONS, environ={}))
    assert dialed == [server.address] * 2  # once, at the start: a token, then the region


@pytest.mark.parametrize("told", [None, "mars-north-1"])
def test_what_is_told_and_unknown_is_in_the_message(told: str | None) -> None:
    with pytest.raises(ConfigurationError, match=told or "no platform's variable"):
        Topology(here=lambda: told, regions=REGIONS, environ={})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("us-east-1", "us-east-1"), ("us-east-1a", "us-east-1"), ("us-west-2-lax-1a", "us-west-2"),
        ("us-gov-west-1b", "us-gov-west-1"), ("europe-west1-b", "europe-west1"),
        ("northamerica-northeast1-a", "northamerica-northeast1"), ("westeurope", "westeurope"),
        ("eastus2", "eastus2"), ("us-central1", "us-central1"), ("fra", "fra"), ("", None),
        ("a b", None), ("../x", None),
    ],
)  # fmt: skip
def test_zones_and_regions(text: str, name: str | None) -> None:
    assert region_of(text) == name


def test_words_that_are_no_cloud() -> None:
    with pytest.raises(ConfigurationError, match="clouds"):
        Metadata("heroku")
    with pytest.raises(ConfigurationError, match="timeout"):
        Metadata(timeout=0)
    assert repr(Metadata("ec2")) == "Metadata('ec2')"
