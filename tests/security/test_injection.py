"""H1: what a request names ends up in no field of an answer, but for what it is."""

import logging
from typing import Any
from urllib.parse import quote

import pytest

import regionware
from regionware import ConfigurationError
from regionware.locate import Cookie
from regionware.policies import Cache, Cdn, Route
from regionware.vendors import tags
from tests.conformance.application import Response, Seen, text
from tests.conformance.conftest import World
from tests.conformance.harness import Answer
from tests.security import switches as off
from tests.security.stage import Stage, ask

HOSTILE = {
    "CR LF": "7\r\nX-Evil: 1", "LF": "7\nX-Evil: 1", "NUL": "7\0", "a comma": "7,evil",
    "a space": "7 evil", "beyond Latin-1": "7\u2028X-Evil: 1", "a tab": "7\tevil",
}  # fmt: skip
TAGGED = (
    Route(
        "/items/{item:path}",
        cache=Cache(ttl=60, tags=["item:{item}"], consistency="eventual"),
        cdn=Cdn(max_age=30, tags=["item:{item}"]),
    ),
)


def injected(answer: Answer) -> list[str]:
    """Fields that the request has made: one of its own, one with a line's end, a second tag."""
    found = [f"{n}: {v}" for n, v in answer.headers if any(c in v for c in "\r\n\0")]
    found += answer.all("x-evil")
    told = answer["cache-tag"]
    return found + ([told] if "," in told or " " in told or "\t" in told else [])


@pytest.mark.parametrize("name", HOSTILE)
def test_h1_a_tag_from_a_path(world: World, name: str) -> None:
    stage = Stage(world, TAGGED)
    for _ in range(2):
        answer = stage.attack(f"/items/{quote(HOSTILE[name])}")
        assert answer.status == 200
        assert injected(answer) == []
    assert stage.is_cached(ask("/items/7"))
    assert stage.attack("/items/7")["cache-tag"] == "item:7"


@pytest.mark.parametrize("name", ["a comma", "a space"])
def test_h1_a_tag_from_a_path_unescaped(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "hashed", lambda tag: tag)
    assert injected(Stage(world, TAGGED).attack(f"/items/{quote(HOSTILE[name])}")) != []


@pytest.mark.parametrize("name", ["CR LF", "LF", "NUL"])
def test_h1_a_tag_from_a_path_whatever_it_is(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both protections off: the ambiguous path, and the hash of what a field cannot carry."""
    off.paths(monkeypatch)
    stage = Stage(world, TAGGED)
    assert injected(stage.attack(f"/items/{quote(HOSTILE[name])}")) == []
    monkeypatch.setattr(tags, "hashed", lambda tag: tag)
    assert injected(Stage(world, TAGGED).attack(f"/items/{quote('2' + HOSTILE[name])}")) != []


def tagging(seen: Seen) -> Response:
    """The application makes a tag from what the request says, and learns that it cannot."""
    state = regionware.current()
    assert state is not None
    try:
        state.tag(f"item:{seen.headers['x-item']}")
    except ConfigurationError as error:
        return text(str(error), 400)
    return text("tagged")


@pytest.mark.parametrize("value", ["7\r\nX-Evil: 1", "7\nevil", "7\0", "x" * 2000])
def test_h1_a_tag_that_the_application_makes(world: World, value: str) -> None:
    stage = Stage(world, TAGGED)
    stage.app.handler = tagging
    answer = stage.attack("/items/7", headers={"X-Item": value})
    assert answer.status == 400, "it is the request's own fault, and nobody else's"
    assert injected(answer) == []
    assert stage.attack("/items/8", headers={"X-Item": "8"}).body == b"tagged"
    assert stage.victim("/items/8").hit


@pytest.mark.parametrize(
    "value", ["here\r\nX-Evil: 1", "here\nX-Evil: 1", "\0", "evil", "h" * 9000]
)
def test_h1_a_region_that_a_request_names(
    world: World, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A region is one of those configured, whatever is asked for."""
    cache = Cache(ttl=60, by="region")
    options: dict[str, Any] = {"region": [Cookie("region")], "debug": "unguessable, by far"}
    stage = Stage(world, (Route("/{path:path}", cache=cache),), **options)
    debug = {"Regionware-Debug": "unguessable, by far"}
    with caplog.at_level(logging.WARNING):
        answer = stage.attack("/p/x", headers={"Cookie": f"region={value}", **debug})
    assert injected(answer) == []
    assert "evil" not in str(answer.headers).lower()
    assert not any("\n" in each.getMessage() for each in caplog.records)


@pytest.mark.parametrize("name", ["CR LF", "LF"])
def test_h1_a_log_line_is_one_line(
    world: World, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is warned of names what was sent, escaped."""
    stage = Stage(world, hosts=["a.test"])
    with caplog.at_level(logging.WARNING):
        stage.attack("/p/x", host=HOSTILE[name])
        stage.attack("/p/x", host="a.test", headers={"X-Forwarded-Host": HOSTILE[name]})
    lines = [each.getMessage() for each in caplog.records if each.name == "regionware"]
    assert len(lines) == 2
    assert not any("\n" in line or "\r" in line for line in lines)
    assert "x-evil" in "".join(lines)
