"""`mode`: how people adopt the whole, and how they stop it."""

from typing import Any

import pytest
import redis

from regionware import ConfigurationError, Event, Regionware
from regionware.policies import Cache, Cdn, Route
from tests.conformance.application import Seen, counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import Site

CACHE = Cache(ttl=60, tags=["t"], consistency="eventual", cookies="ignore", ignore_query=["u*"])
ASK: dict[str, Any] = {
    "headers": {"Cookie": "a=1", "X-Forwarded-Host": "evil"}, "query": "utm=1",
}  # fmt: skip


def route(path: str, mode: Any = None) -> Route:
    return Route(path, mode=mode, cache=CACHE, cdn=Cdn(max_age=30))


def is_transparent(site: Site, path: str = "/x") -> bool:
    """Whether neither requests nor responses are touched, and nothing is kept."""
    before = len(site.app.calls)
    answers = []
    for _ in range(2):
        answers.append(site.get(path, **ASK))
        assert len(site.rw._parts.rim._flights) == 0, "the next request would wait"
    calls = site.app.calls[before:]
    untouched = [
        (name.lower(), value) == ("content-type", "text/plain")
        for answer in answers for name, value in answer.headers
    ]  # fmt: skip
    as_sent = [
        seen.headers.get("cookie") == "a=1" and "x-forwarded-host" in seen.headers
        and seen.query == "utm=1" for seen in calls
    ]  # fmt: skip
    return len(calls) == 2 and all(untouched) and all(as_sent)


def stored(site: Site) -> int:
    """How many records are in memory, and entries in Redis."""
    tier = site.rw._parts.rim.tier
    if tier is None:
        return len(site.rw.memory)
    with redis.Redis.from_url(tier._url) as client:
        return len(site.rw.memory) + len(list(client.scan_iter(f"{tier.names.entries}*")))


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_off_and_observe_are_transparent(world: World, mode: str) -> None:
    site = world.site(counting(), route("/x"), mode=mode)
    assert is_transparent(site)
    assert stored(site) == 0
    control = world.site(counting(), route("/x"))
    assert not is_transparent(control)
    assert stored(control) > 0


def test_observe_reports_what_would_have_been(world: World) -> None:
    events: list[Event] = []
    site = world.site(
        lambda seen: text("x", Cache_Control="no-store" if seen.path == "/no" else "max-age=9"),
        route("/{x}"), mode="observe", sinks=[events.append],
    )  # fmt: skip
    for path in ("/yes", "/no"):
        site.get(path)
    observed = [event for event in events if event.observed]
    assert [event.route for event in observed] == ["/{x}", "/{x}"]
    assert "stored" in observed[0].detail
    assert "stored" not in observed[1].detail


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_one_route_may_be_excepted(world: World, mode: Any) -> None:
    routes = (route("/x", mode), route("/y"))
    site = world.site(counting(), *routes)
    assert is_transparent(site, "/x")
    assert not is_transparent(site, "/y")


def test_the_kill_switch_at_run_time(world: World) -> None:
    routes = (route("/x"), route("/y", "on"))
    site = world.site(counting(), *routes)
    for path in ("/x", "/y"):
        assert not is_transparent(site, path)
        site.rw.mode = "off"
        assert is_transparent(site, path)
        site.rw.mode = "on"
        assert not is_transparent(site, path)


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_a_purge_while_it_is_off_is_not_forgotten(world: World, mode: Any) -> None:
    site = world.site(counting(), route("/x"))
    assert site.bodies["/x", "/x"] == [b"1", b"1"]
    site.rw.mode = mode
    site.rw.purge(tags=["t"])
    site.rw.mode = "on"
    assert site.get("/x").body == b"2"


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_the_environment_decides(world: World, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIONWARE_MODE", mode)
    site = world.site(counting(), route("/x"), mode="on")
    assert site.rw.mode == mode
    assert is_transparent(site)


@pytest.mark.parametrize("wrong", ["", "OFF", "on ", "yes"])
def test_an_unknown_mode_is_an_error(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rw = Regionware()
    with pytest.raises(ConfigurationError, match="mode"):
        rw.mode = wrong
    assert rw.mode == "on"
    with pytest.raises(ConfigurationError, match="mode"):
        Regionware(mode=wrong)
    monkeypatch.setenv("REGIONWARE_MODE", wrong or "nothing")
    with pytest.raises(ConfigurationError, match="mode"):
        Regionware()


def test_errors_pass_in_every_mode(world: World) -> None:
    def fail(_: Seen) -> Any:
        raise KeyError("the application's own")

    for mode in ("on", "off", "observe"):
        site = world.site(fail, Route("/x", cache=CACHE), mode=mode)
        with pytest.raises(KeyError):
            site.get("/x")
