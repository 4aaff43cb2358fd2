"""The public names and signatures, as users write them."""

import importlib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import regionware
from regionware import ConfigurationError, Region, Regionware, Topology, propagate
from regionware.policies import Cache, Cdn, Database, Route, Write

CONTRACT = {
    "regionware": {
        "ConfigurationError", "ConsistencyUnavailable", "PrimaryUnavailable", "PurgeError",
        "Purged", "Region", "Regionware", "RegionwareError", "Topology", "current", "propagate",
    },
    "regionware.policies": {"Cache", "Cdn", "Database", "Route", "Write"},
    "regionware.testing": {"ChaosStore", "Clock", "DelayProxy", "Oracle", "ScriptedRedis"},
    "regionware.locate": {
        "Cookie", "GeoIP", "Header", "HeaderMap", "Metadata", "Pin", "Platform", "Probe",
        "RegionMap",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRACT)
def test_all_is_sorted_and_is_what_is_public(name: str) -> None:
    module = importlib.import_module(name)
    public = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and not isinstance(value, ModuleType)
    }
    assert module.__all__ == sorted(module.__all__)
    assert set(module.__all__) == public
    assert CONTRACT[name] <= public


def keywords(call: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(call).parameters)


PURGE = "tags urls everything soft after wait timeout"
KEYWORDS: list[tuple[Callable[..., Any], str]] = [
    (Regionware, "topology routes region trusted secret memory namespace release sign_entries"),
    (Regionware, "session_cookie mode debug sinks mapping probe"),
    (Region, "name primary location database replicas redis url aliases"),
    (Topology, "here regions"),
    (Route, "methods hosts access mode cache cdn database write"),
    (Cache, "ttl stale_while_revalidate stale_if_error tags vary query ignore_query cookies by"),
    (Cache, "statuses consistency allow_authorization shared authorize allow_set_cookie override"),
    (Cache, "compress targets"),
    (Cdn, "max_age shared_max_age stale_while_revalidate stale_if_error tags vendor by attested"),
    (Cdn.static, "max_age hashed tags vendor"),
    (Database.primary, "wait unmet"),
    (Database.session, "wait unmet"),
    (Database.replica, "max_lag wait unmet"),
    (Regionware.connection, "access consistency snapshot"),
    (Regionware.purge, PURGE),
    (Regionware.apurge, PURGE),
    (Regionware.explain, "headers"),
    (Regionware.run_read, "fn"),
    (Regionware.bind, "consistency access token max_lag wait unmet method"),
    (Regionware.import_token, "text mode"),
    (propagate, "fn"),
]


@pytest.mark.parametrize(("call", "names"), KEYWORDS, ids=[call.__name__ for call, _ in KEYWORDS])
def test_keywords(call: Callable[..., Any], names: str) -> None:
    assert set(names.split()) <= set(keywords(call))


@pytest.mark.parametrize(
    "call", [Regionware, Cdn, Regionware().bind], ids=lambda call: call.__name__
)
def test_every_keyword_has_a_default(call: Callable[..., Any]) -> None:
    assert [name for name, p in keywords(call).items() if p.default is p.empty] == []


def test_defaults_of_a_purge() -> None:
    defaults = {name: p.default for name, p in keywords(Regionware.purge).items() if name != "self"}
    assert defaults == {
        "tags": (), "urls": (), "everything": False, "soft": False,
        "after": None, "wait": "region", "timeout": 2.0,
    }  # fmt: skip
    twin = {name: p.default for name, p in keywords(Regionware.apurge).items() if name != "self"}
    assert twin == defaults


@pytest.mark.parametrize(
    "name",
    [
        "asgi", "wsgi", "connection", "purge", "apurge", "explain", "inventory", "run_read",
        "bind", "export_token", "import_token",
        "memory", "mode", "staleness_bound", "__enter__", "__exit__", "__aenter__", "__aexit__",
    ],
)  # fmt: skip
def test_regionware_has(name: str) -> None:
    assert hasattr(Regionware(), name)


def test_constructors_of_the_policies() -> None:
    assert all(isinstance(cdn, Cdn) for cdn in (Cdn.immutable(), Cdn.private(), Cdn.no_store()))
    ways = (Write.direct(), Write.forward(), Write.replay("fly"))
    assert all(isinstance(write, Write) for write in ways)
    assert isinstance(Cache.standard(), Cache)
    assert Database.replica(max_lag=5).max_lag == 5


@pytest.mark.parametrize(
    "later",
    [
        lambda: Cdn(vendor="imperva"),
    ],
)
def test_what_is_not_there_yet_says_so(later: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError, match=r"not furnished|in this version"):
        later()


def test_current_is_nothing_outside_a_request() -> None:
    assert regionware.current() is None
