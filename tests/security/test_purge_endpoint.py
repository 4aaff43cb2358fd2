"""X1: who may purge is the application's to say. What runs here is the example of the page."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from regionware.policies import Cache, Route
from tests.conformance.application import Response, Seen, text
from tests.conformance.conftest import World
from tests.conformance.harness import Answer
from tests.security.stage import Stage, ask

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"
KEY = b"a key of the tests that is 32 octets or more"
ROUTES = (Route("/purge", methods=["POST"]), Route("/{p:path}", cache=Cache(ttl=60, tags=["all"])))
BODY = json.dumps({"tags": ["all"]}).encode()


def example() -> dict[str, Any]:
    """The names that the page defines."""
    names: dict[str, Any] = {"__name__": "security"}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(block, PAGE, "exec"), names)
    return names


class Scene(Stage):
    """A stage whose application offers the endpoint."""

    def __init__(self, world: World) -> None:
        super().__init__(world, ROUTES)
        self.names = example()
        self.used: set[str] = set()
        self.app.handler = self.handle

    def handle(self, seen: Seen) -> Response:
        if seen.path != "/purge":
            return self.origin(seen)
        rw = self.sites[0].rw
        status, told = self.names["purge_endpoint"](
            rw, KEY, self.first_use, seen.headers, seen.body
        )
        return text(told, status)

    def first_use(self, nonce: str, _: int) -> bool:
        new = nonce not in self.used
        self.used.add(nonce)
        return new

    def sign(self, nonce: str, *, key: bytes = KEY, body: bytes = BODY, late: int = 0) -> str:
        found: str = self.names["sign"](key, body, int(time.time()) - late, nonce)
        return found

    def post(self, signature: str | None, body: bytes = BODY) -> Answer:
        headers = {} if signature is None else {"Purge-Signature": signature}
        return self.attack("/purge", method="POST", body=body, headers=headers)

    def warm(self) -> None:
        """An entry, in every worker."""
        assert self.is_cached(ask("/p/x"))
        assert self.attack("/p/x").hit

    def hit(self) -> bool:
        return all(site.get("/p/x").hit for site in self.sites)


def wrong(scene: Scene) -> dict[str, tuple[str | None, int]]:
    good = scene.sign("1")
    return {
        "none": (None, 401),
        "empty": ("", 401),
        "no number": (f"{int(time.time())}", 401),
        "no time": ("x.1.aa", 401),
        "a huge time": ("9" * 5000 + ".1.aa", 401),
        "another key": (scene.sign("1", key=b"another"), 403),
        "of another body": (scene.sign("1", body=b"{}"), 403),
        "another number": (good.replace(".1.", ".2."), 403),
        "cut": (good[:-1], 403),
        "beyond ASCII": (f"{int(time.time())}.1.\xe9", 403),
        "too old": (scene.sign("1", late=3600), 403),
        "from the future": (scene.sign("1", late=-3600), 403),
    }


def test_x1_nobody_else_purges(world: World) -> None:
    scene = Scene(world)
    scene.warm()
    for name, (signature, status) in wrong(scene).items():
        assert scene.post(signature).status == status, name
        assert scene.hit(), name
    assert scene.used == set(), "nothing of a stranger's is remembered"


def test_x1_a_valid_one_purges_all_workers_and_counts_once(world: World) -> None:
    scene = Scene(world)
    scene.warm()
    signature = scene.sign("1")
    scene.origin.version = 2
    answer = scene.post(signature)
    assert (answer.status, answer.body) == (200, b"purged: 1")
    assert all(b"v2" in site.get("/p/x").body for site in reversed(scene.sites))
    scene.origin.version = 3
    assert scene.post(signature).status == 403
    assert all(b"v2" in site.get("/p/x").body for site in scene.sites)


def test_x1_without_the_protection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(world)
    scene.warm()
    monkeypatch.setattr(scene.names["hmac"], "compare_digest", lambda *_: True)
    scene.origin.version = 2
    assert scene.post(scene.sign("1", key=b"another")).status == 200
    assert b"v2" in scene.victim("/p/x").body
