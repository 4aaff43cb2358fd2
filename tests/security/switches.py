"""Switches each protection off, for the positive controls: without it the scene must go wrong."""

from collections.abc import Callable
from typing import Any

import pytest

from regionware import heads, prepared
from regionware.adapters import asgi_response
from regionware.caching import filling, keys, storability
from regionware.caching.keys import KeyPlan, Screened
from regionware.http.request import Request

Off = Callable[[pytest.MonkeyPatch], None]


def off(*switches: Off) -> Off:
    """Several at once, where one protection stands behind another."""

    def all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
        for switch in switches:
            switch(monkeypatch)

    return all_of_them


def rule(*names: str) -> Off:
    """The rules that refuse to store, by the reason that they give."""

    def without(monkeypatch: pytest.MonkeyPatch) -> None:
        kept = tuple(each for each in storability._RULES if each[0] not in names)
        assert len(kept) < len(storability._RULES)
        monkeypatch.setattr(storability, "_RULES", kept)

    return without


def distrust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fields that rewrite a request are left in it, and out of the key."""
    monkeypatch.setattr(keys, "REWRITING", frozenset())


def bypasses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither content nor `Authorization` keeps a request from the cache."""
    monkeypatch.setattr(KeyPlan, "_reason", lambda *_: "")
    monkeypatch.setattr(asgi_response, "without_content", lambda receive: receive)


def cookies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cookies are left in a request, and out of the key."""
    monkeypatch.setattr(KeyPlan, "_cookie_key", lambda *_: ())


def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """No path is ambiguous."""
    for module in (keys, prepared):
        monkeypatch.setattr(module, "is_ambiguous", lambda _: False)


def types(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page under the name of a static file is like any other."""
    monkeypatch.setattr(heads, "disagrees", lambda *_: False)


def wholeness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever has come is the whole."""
    monkeypatch.setattr(filling, "is_whole", lambda *_: True)


def screened(change: Callable[[Request, Screened], Screened]) -> Off:
    """What comes of judging a request is changed before it is used."""

    def changed(monkeypatch: pytest.MonkeyPatch) -> None:
        screen = KeyPlan.screen

        def screening(plan: KeyPlan, request: Request) -> Screened:
            return change(request, screen(plan, request))

        monkeypatch.setattr(KeyPlan, "screen", screening)

    return changed


def _leave(_: Request, found: Screened) -> Screened:
    if found.edits is not None:
        found.edits.query = None
    return found


#: What does not count of a query is left in the request.
queries: Off = screened(_leave)


def joined(*parts: int) -> Off:
    """Parts of a key are joined without a delimiter."""

    def join(_: Request, found: Screened) -> Screened:
        if found.key is not None:
            text = "".join(found.key[part] for part in parts)
            rest = ("" if n in parts else value for n, value in enumerate(found.key))
            joint = list(rest)
            joint[parts[0]] = text
            found.key = tuple(joint)
        return found

    def quick(monkeypatch: pytest.MonkeyPatch) -> None:
        screened(join)(monkeypatch)
        _no_shortcut(monkeypatch)

    return quick


def _no_shortcut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key is made by `screen`."""
    init = KeyPlan.__init__

    def slow(plan: KeyPlan, *words: Any, **options: Any) -> None:
        init(plan, *words, **options)
        plan.quick = False

    monkeypatch.setattr(KeyPlan, "__init__", slow)
