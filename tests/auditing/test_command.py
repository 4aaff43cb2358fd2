"""`regionware audit`: what it is told, what it prints, and how it ends."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regionware.cli import main

MODULE = """
from regionware import Regionware
from regionware.policies import Cache, Route
from tests.conformance.application import Application, text

rw = Regionware(routes=[
    Route("/about", cache=Cache(ttl=60)),
    Route("/hello/{name}", cache=Cache(ttl=60)),
], hosts=["shop.test", "localhost"])


def answer(seen):
    return text(f"{seen.path} {seen.headers.get('x-user', '')} {seen.headers['host']}")


site = Application(answer)
app = rw.wsgi(site.wsgi)
asgi = rw.asgi(site.asgi)
clean = rw.wsgi(Application(lambda seen: text(seen.path)).wsgi)


def around(environ, start_response):
    return app(environ, start_response)
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    (tmp_path / "audited_shop.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)

    def run(name: str, *words: str) -> tuple[int, str, str]:
        sys.modules.pop("audited_shop", None)
        status = main(["audit", f"audited_shop:{name}", *words])
        return status, *capsys.readouterr()

    yield run
    sys.modules.pop("audited_shop", None)


@pytest.mark.parametrize("name", ["app", "asgi", "around"])
def test_a_leak_is_a_failure(run: Run, name: str) -> None:
    status, told, _ = run(name, "--path", "/hello/you")
    assert status == 1
    assert "leak         /about: " in told
    assert "leak         /hello/{name} as /hello/you" in told
    assert "header X-User (X-User: rw" in told
    assert told.endswith("2 examined, 2 leaks, 0 not audited (seed 0)\n")


def test_nothing_is_none(run: Run) -> None:
    status, told, complaints = run("clean", "--path", "/hello/you")
    assert status == 0
    assert "clean        /about" in told
    assert complaints == ""


def test_a_route_without_an_example_is_a_failure_unless_it_may(run: Run) -> None:
    status, told, _ = run("clean")
    assert status == 1
    assert "not audited  /hello/{name}: no example" in told
    assert run("clean", "--allow-unaudited")[0] == 0


def test_json(run: Run) -> None:
    status, told, _ = run("app", "--path", "/hello/you", "--json", "--seed", "5")
    data = json.loads(told)
    assert status == 1
    assert (data["seed"], data["leaks"], data["unaudited"]) == (5, 2, 0)
    (leak,) = data["routes"][0]["leaks"]
    assert (leak["category"], leak["input"]) == ("header", "X-User")


@pytest.mark.parametrize("kind", ["toml", "json"])
def test_a_file_of_settings(run: Run, tmp_path: Path, kind: str) -> None:
    settings = {
        "paths": ["/hello/you"], "identity_a": ["X-User: a"], "host": "shop.test", "seed": 3,
    }  # fmt: skip
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    text = json.dumps(settings) if kind == "json" else "\n".join(lines)
    (tmp_path / f"audit.{kind}").write_text(text)
    status, told, _ = run("app", "--config", f"audit.{kind}")
    assert status == 1
    assert "identity identity A (X-User)" in told
    assert "(seed 3)" in told
    assert "(seed 4)" in run("app", "--config", f"audit.{kind}", "--seed", "4")[1]


def test_a_host_that_is_not_listed_is_not_stored(run: Run) -> None:
    status, told, _ = run("clean", "--path", "/hello/you", "--host", "evil")
    assert status == 1
    assert told.count("detail=host") == 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nothing"], "nothing"),
        (["rw"], "is no application"),
        (["app", "--path", "hello"], "begins with a slash"),
        (["app", "--identity-a", "sid"], "NAME: VALUE"),
        (["app", "--config", "none.toml"], "none.toml"),
        (["app", "--config", "bad.toml"], "settings are paths"),
        (["app", "--config", "wrong.json"], "paths"),
        (["app", "--regionware", "audited_shop:site"], "is no Regionware"),
    ],
)
def test_what_cannot_be_run(run: Run, tmp_path: Path, words: list[str], reason: str) -> None:
    (tmp_path / "bad.toml").write_text("path = ['/x']")
    (tmp_path / "wrong.json").write_text('{"paths": "/x"}')
    status, _, complaint = run(*words)
    assert status == 2
    assert reason in complaint


def test_the_regionware_inside_is_named_where_there_are_two(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "audited_shop.py"
    file.write_text(MODULE + "\nother = Regionware()\n")
    status, _, complaint = run("around")
    assert (status, "--regionware module:rw" in complaint) == (2, True)
    assert run("around", "--regionware", "audited_shop:rw", "--allow-unaudited")[0] == 1


def test_what_it_provokes_is_not_logged(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    before = logging.getLogger("regionware").level
    run("clean", "--path", "/hello/you")
    assert not caplog.records
    assert logging.getLogger("regionware").level == before
