"""An attacker, a victim, and the bare application as the oracle.

The attacker and the victim have connections of their own; where there is a Redis, each asks another
worker, so that the victim is answered from what Redis holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest

from regionware.policies import Cache, Route
from regionware.testing import IGNORED
from tests.conformance.application import Application
from tests.conformance.conftest import World
from tests.conformance.harness import Answer, Ask, Site
from tests.security.origin import Origin

#: What a route says that is cached by a policy.
CACHED = (Route("/{path:path}", cache=Cache(ttl=60)),)
#: The same by the book: the application's own fields decide.
STANDARD = (Route("/{path:path}", cache=Cache.standard()),)

Asked = Mapping[str, Any]
Off = Callable[[pytest.MonkeyPatch], None]


class _Bare:
    """Wraps nothing."""

    @staticmethod
    def asgi(app: Any) -> Any:
        return app

    @staticmethod
    def wsgi(app: Any) -> Any:
        return app


class Stage:
    """One scene."""

    def __init__(self, world: World, routes: Sequence[Route] = CACHED, **options: Any) -> None:
        self.origin = Origin()
        self.app = Application(self.origin)
        self._attacker = world.behind(world.regionware(*routes, **options), self.app)
        alone = world.tier == "memory"
        self._victim = (
            self._attacker
            if alone
            else world.behind(world.regionware(*routes, **options), self.app)
        )
        bare = Site(world.flavour, cast("Any", _Bare()), Application(self.origin), world._loop)
        world.keep(bare)
        self._bare = bare

    @property
    def sites(self) -> tuple[Site, Site]:
        """The attacker's worker, and the victim's."""
        return self._attacker, self._victim

    @property
    def calls(self) -> int:
        """How often the application was asked through a worker."""
        return len(self.app.calls)

    def attack(self, path: str, **ask: Any) -> Answer:
        return self._attacker.get(path, **ask)

    def victim(self, path: str, **ask: Any) -> Answer:
        return self._victim.get(path, **ask)

    def oracle(self, path: str, **ask: Any) -> Answer:
        """What the bare application answers."""
        return self._bare.get(path, **ask)

    def wrong(self, path: str, **ask: Any) -> list[str]:
        """In what the victim's answer is none that the bare application gives; empty if it is."""
        return differences(self.victim(path, **ask), self.oracle(path, **ask))

    def is_cached(self, first: Asked, second: Asked | None = None) -> bool:
        """Whether the victim is answered from what another has left behind."""
        self.attack(**first)
        calls = self.calls
        self.victim(**(second or first))
        return self.calls == calls


def differences(answer: Answer, expected: Answer) -> list[str]:
    """Status, body, and the fields that no cache makes anew."""
    found = []
    if answer.status != expected.status:
        found.append(f"status {answer.status}, not {expected.status}")
    if answer.body != expected.body:
        found.append(f"body {answer.body[:80]!r}, not {expected.body[:80]!r}")
    given, due = _compared(answer), _compared(expected)
    if given != due:
        found.append(f"fields {given}, not {due}")
    return found


def _compared(answer: Answer) -> list[tuple[str, str]]:
    fields = ((name.lower(), value) for name, value in answer.headers)
    return sorted(pair for pair in fields if pair[0] not in IGNORED)


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        attacks: what the attacker asks, in turn.
        victims: what victims ask after that.
        off: switches the protection off.
        benign: what is asked twice, and is answered from the cache the second time.
        routes: the policies.
        options: further ones of `Regionware`.
        calls: how often the application is asked by all of them; `None` where that says nothing.
        private: no cache may keep the attack's answers.
        prepare: what happens to the application before.
    """

    attacks: Sequence[Asked]
    victims: Sequence[Asked]
    off: Off
    benign: tuple[Asked, Asked]
    routes: Sequence[Route] = CACHED
    options: Mapping[str, Any] | None = None
    calls: int | None = None
    private: bool = False
    prepare: Callable[[Origin], None] = lambda _: None

    def stage(self, world: World) -> Stage:
        stage = Stage(world, self.routes, **(self.options or {}))
        self.prepare(stage.origin)
        return stage

    def violations(self, stage: Stage) -> list[str]:
        """Everything that must not be."""
        found: list[str] = []
        for ask in self.attacks:
            answer = stage.attack(**ask)
            if self.private and not is_private(answer):
                found.append(f"{ask}: {answer['cache-control']}")
        for ask in self.victims:
            found += stage.wrong(**ask)
        if self.calls is not None and stage.calls != self.calls:
            found.append(f"{stage.calls} calls")
        return found

    def check(self, world: World) -> None:
        """It holds; and the benign variant is cached, so that this says something."""
        stage = self.stage(world)
        assert self.violations(stage) == []
        first, second = self.benign
        assert stage.is_cached(first, second)

    def control(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without the protection it does not hold."""
        self.off(monkeypatch)
        assert self.violations(self.stage(world)) != []


def is_private(answer: Answer) -> bool:
    """Whether no cache that others use may keep it, whatever field it obeys."""
    control = answer["cache-control"]
    targeted = ("cdn-cache-control", "surrogate-control", "cache-tag", "surrogate-key")
    return "private" in control and "no-store" in control and not any(map(answer.all, targeted))


def ask(path: str, **words: Any) -> Asked:
    """One request: its path, and the keywords of `Ask`."""
    Ask(path, **words)
    return {"path": path, **words}


def cookie(text: str) -> dict[str, str]:
    return {"Cookie": text}
