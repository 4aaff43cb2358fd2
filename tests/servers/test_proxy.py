"""The standards over real sockets: a client, a server, a proxy behind the cache, an origin."""

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from regionware.parts.process import ServerProcess, free_port
from regionware.parts.redis import RedisServer
from tests.conformance.harness import until

ROOT = Path(__file__).parents[2]
MINUTE, OVER = "max-age=60", "max-age=1"
TAG = {"ETag": '"1"'}
_NAMES = count()


@dataclass
class Chain:
    """The running servers."""

    url: str
    origin: str

    def play(self, responses: list[Any], asks: list[Any]) -> tuple[list[httpx.Response], list[Any]]:
        """Prescribe, ask, and tell what came and what the origin was asked."""
        path = f"/{next(_NAMES)}"
        with httpx.Client(timeout=20, trust_env=False) as client:
            client.put(self.origin + path, content=json.dumps(responses))
            answers = []
            for ask in asks:
                if isinstance(ask, float):
                    time.sleep(ask)
                    continue
                method, fields = ask if isinstance(ask, tuple) else ("GET", ask)
                answers.append(client.request(method, self.url + path, headers=fields))
            return answers, client.get(f"{self.origin}{path}?log").json()


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    argv = [sys.executable, "-m", "tests.servers.origin", str(port)]
    log = tmp_path_factory.mktemp("origin") / "log"
    process = ServerProcess(argv, log=log, environ=dict(os.environ), directory=ROOT)
    yield f"http://127.0.0.1:{port}"
    process.end(timeout=10)


@pytest.fixture(scope="module", params=["asgi", "wsgi", "asgi-redis", "wsgi-redis"])
def chain(
    request: pytest.FixtureRequest,
    origin: str,
    tmp_path_factory: pytest.TempPathFactory,
    redis_server: RedisServer,
) -> Iterator[Chain]:
    flavour, _, redis = request.param.partition("-")
    port = free_port()
    environ = {**os.environ, "PROXY_ORIGIN": origin, "PROXY_REDIS": redis and redis_server.url}
    common = [f"tests.servers.proxy:{flavour}", "--port", str(port), "--log-level", "critical"]
    argv = (
        ["uvicorn", *common, "--no-date-header"]
        if flavour == "asgi"
        else ["granian", *common, "--interface", "wsgi", "--blocking-threads", "8", "--no-ws"]
    )
    log = tmp_path_factory.mktemp("proxy") / "log"
    command = [sys.executable, "-m", *argv]
    process = ServerProcess(command, log=log, environ=environ, directory=ROOT)
    chain = Chain(f"http://127.0.0.1:{port}", origin)

    def answers() -> bool:
        try:
            return bool(chain.play([{}], [{}])[0])
        except httpx.TransportError:
            assert process.running, process.tail()
            return False

    until(answers, 60)
    yield chain
    process.end(timeout=10)


def told(control: str = MINUTE, **more: Any) -> dict[str, Any]:
    """A response: its `Cache-Control`, and more."""
    fields = {"Cache-Control": control, **more.pop("fields", {})}
    return {"fields": fields, **more}


RANGE = {"Range": "bytes=2-4"}
CASES: dict[str, tuple[list[Any], list[Any], list[str], int]] = {
    # the responses, the requests, what the client gets, how often the origin is asked
    "fresh": ([told()], [{}, {}], ["1", "1"], 1),
    "stale": ([told(OVER)], [{}, 2.1, {}], ["1", "2"], 2),
    "validated": (
        [told(OVER, fields=TAG), told(fields=TAG, validates=True)],
        [{}, 2.1, {}, {}],
        ["1", "1", "1"],
        2,
    ),
    "known to the client": ([told(fields=TAG)], [{}, {"If-None-Match": '"1"'}], ["1", ""], 1),
    "a part": ([told(body="abcdefg")], [{}, RANGE], ["abcdefg", "cde"], 1),
    "a change": ([told()], [{}, ("POST", {}), {}], ["1", "2", "3"], 3),
    "another unsafe method": ([told()], [{}, ("M-SEARCH", {}), {}], ["1", "2", "3"], 3),
    "a change that failed": ([told(), {"status": 500}], [{}, ("POST", {}), {}], ["1", "2", "1"], 2),
    "the origin is gone": ([told(OVER), None], [{}, 2.1, {}], ["1", "1"], 2),
    "the origin fails": ([told(OVER), {"status": 503}], [{}, 2.1, {}], ["1", "1"], 2),
    "while it is refreshed": (
        [told(f"{OVER}, stale-while-revalidate=60"), told()],
        [{}, 2.1, {}, 0.5, {}],
        ["1", "1", "2"],
        2,
    ),
    "variants": (
        [told(fields={"Vary": "X"})],
        [{"X": "1"}, {"X": "2"}, {"X": "1"}, {"X": "2"}, {}],
        ["1", "2", "1", "2", "3"],
        3,
    ),
    "reloaded": ([told()], [{}, {"Cache-Control": "no-cache"}, {}], ["1", "2", "2"], 2),
    "for edges only": (
        [told("no-store", fields={"CDN-Cache-Control": MINUTE})],
        [{}, {}],
        ["1", "1"],
        1,
    ),
    "private": ([told(f"private, {MINUTE}")], [{}, {}], ["1", "2"], 2),
    "with an identity": ([told()], [{"Authorization": "a"}, {}], ["1", "2"], 2),
    "for all with one": ([told(f"public, {MINUTE}")], [{"Authorization": "a"}, {}], ["1", "1"], 1),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_client_gets(chain: Chain, case: str) -> None:
    responses, asks, bodies, calls = CASES[case]
    answers, log = chain.play(responses, asks)
    assert [answer.text for answer in answers] == bodies
    assert len(log) == calls
    assert all(len(answer.headers.get_list("date")) == 1 for answer in answers)
    assert all(len(answer.headers.get_list("age")) <= 1 for answer in answers)


def test_head_is_answered_from_what_get_has_stored(chain: Chain) -> None:
    (first, head), log = chain.play([told(body="abc")], [{}, ("HEAD", {})])
    assert (head.status_code, head.text, head.headers["content-length"]) == (200, "", "3")
    assert first.headers["date"] == head.headers["date"]
    assert len(log) == 1


def test_the_origin_is_gone_and_nothing_may_be_used(chain: Chain) -> None:
    """The control: an answer that must be validated does not stand in for it."""
    answers, _ = chain.play([told(f"{OVER}, must-revalidate"), None], [{}, 2.1, {}])
    assert [answer.status_code for answer in answers] == [200, 500]
