"""Wrong configuration fails at start, naming the route and the reason."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from regionware import ConfigurationError, Region, Regionware, Topology
from regionware.policies import Cache, Cdn, Database, Route

Build = Callable[[], Any]
PUBLIC = Cdn(max_age=30)
SHARED = Cdn(shared_max_age=30)


def cached(**words: Any) -> Route:
    return Route("/bad/{id}", cache=Cache(ttl=60, **words))


# A list of routes that cannot work, what the error must say, and the nearest that can.
ROUTES: dict[str, tuple[Build, str, Build]] = {
    "unreachable": (
        lambda: [Route("/bad/{any:path}"), Route("/bad/{id}")], "unreachable",
        lambda: [Route("/bad/{id}"), Route("/bad/{any:path}")],
    ),
    "unreachable twin": (
        lambda: [Route("/bad/{a}"), Route("/bad/{b}")], "unreachable",
        lambda: [Route("/bad/{a}", methods=["GET"]), Route("/bad/{b}")],
    ),
    "unreachable by host": (
        lambda: [Route("/bad/{a}"), Route("/bad/{a}", hosts=["h"])], "unreachable",
        lambda: [Route("/bad/{a}", hosts=["h"]), Route("/bad/{a}")],
    ),
    "only unsafe methods": (
        lambda: [Route("/bad/{id}", methods=["POST", "PUT"], cache=Cache(ttl=60))], "GET",
        lambda: [Route("/bad/{id}", methods=["POST", "GET"], cache=Cache(ttl=60))],
    ),
    "unknown parameter in a tag": (
        lambda: [cached(tags=["t:{nope}"])], "nope", lambda: [cached(tags=["t:{id}"])],
    ),
    "unknown parameter in a tag of Cdn": (
        lambda: [Route("/bad/{id}", cdn=Cdn(max_age=1, tags=["t:{nope}"]))], "nope",
        lambda: [Route("/bad/{id}", cdn=Cdn(max_age=1, tags=["t:{id}"]))],
    ),
    "a position in a tag": (
        lambda: [cached(tags=["t:{}"])], "tag", lambda: [cached(tags=["t:{id}"])],
    ),
    "an attribute in a tag": (
        lambda: [cached(tags=["t:{id.__class__}"])], "tag", lambda: [cached(tags=["t:{id}"])],
    ),
    "public at the edge and own-writes": (
        lambda: [Route("/bad/{id}", cache=Cache(ttl=60), cdn=PUBLIC)], "eventual",
        lambda: [Route("/bad/{id}", cache=Cache(ttl=60, consistency="eventual"), cdn=PUBLIC)],
    ),
    "public at the edge and own writes": (
        lambda: [Route("/bad/{id}", cache=Cache(ttl=60, consistency="own-writes"), cdn=SHARED)],
        "eventual",
        lambda: [Route("/bad/{id}", cache=Cache(ttl=60), cdn=Cdn.private(max_age=30))],
    ),
    "authorization without an identity": (
        lambda: [cached(allow_authorization=True)], "identity",
        lambda: [cached(allow_authorization=True, shared=True)],
    ),
    "authorization and only a region": (
        lambda: [cached(allow_authorization=True, by="region")], "identity",
        lambda: [cached(allow_authorization=True, by=["region", "authorization"])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ROUTES)
def test_a_route_that_cannot_work_is_named(case: str) -> None:
    wrong, reason, right = ROUTES[case]
    Regionware(routes=right())
    with pytest.raises(ConfigurationError) as error:
        Regionware(routes=wrong())
    assert "/bad/{" in str(error.value)
    assert reason in str(error.value)


def with_database(**options: Any) -> Regionware:
    here = Region("here", primary=True, database="postgresql://nobody@127.0.0.1:1/none")
    return Regionware(topology=Topology(here="here", regions=[here]), **options)


OPTIONS: dict[str, tuple[Build, str, Build]] = {
    "a database without a secret": (
        with_database, "secret", lambda: with_database(secret="0123456789abcdef"),
    ),
    "a short secret": (
        lambda: Regionware(secret="short"), "secret", lambda: Regionware(secret="0123456789abcdef"),
    ),
    "one of two secrets is short": (
        lambda: Regionware(secret=["0123456789abcdef", "short"]), "secret",
        lambda: Regionware(secret=["0123456789abcdef", b"fedcba9876543210"]),
    ),
    "a debug value that can be guessed": (
        lambda: Regionware(debug="1"), "debug", lambda: Regionware(debug="0123456789abcdef"),
    ),
    "a namespace that would run into another": (
        lambda: Regionware(namespace="a:b"), "namespace", lambda: Regionware(namespace="a-b"),
    ),
    "hardly any memory": (
        lambda: Regionware(memory=100), "memory", lambda: Regionware(memory=1 << 20),
    ),
    "a peer that is no network": (
        lambda: Regionware(trusted=["proxy"]), "trusted", lambda: Regionware(trusted=["10.0.0.1"]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OPTIONS)
def test_an_option_that_cannot_work_is_named(case: str) -> None:
    wrong, name, right = OPTIONS[case]
    right()
    with pytest.raises(ConfigurationError, match=name):
        wrong()


LATER: dict[str, Build] = {
    "vendor": lambda: Cdn(max_age=30, vendor="imperva"),
}


@pytest.mark.parametrize("what", LATER)
def test_what_is_not_there_yet_says_so(what: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        LATER[what]()
    assert what in str(error.value)
    assert re.search("not furnished|in this version", str(error.value))


IMPOSSIBLE: dict[str, Build] = {
    "no lifetime": lambda: Cache(ttl=0),
    "a negative window": lambda: Cache(ttl=1, stale_if_error=-1),
    "a text for a list": lambda: Cache(ttl=1, tags="tag"),
    "a strong cache": lambda: Cache(ttl=1, consistency="strong"),
    "a partial answer": lambda: Cache(ttl=1, statuses=[206]),
    "a cookie as a field": lambda: Cache(ttl=1, vary=["Cookie"]),
    "a lag without end": lambda: Database.replica(max_lag=1e9),
    "a longer life than a year": lambda: Cdn(max_age=1e9),
    "no path": lambda: Route("items"),
    "no methods": lambda: Route("/x", methods=[]),
    "a text for methods": lambda: Route("/x", methods="GET"),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_what_cannot_be_is_refused_where_it_is_said(what: str) -> None:
    with pytest.raises(ConfigurationError):
        IMPOSSIBLE[what]()


def test_nothing_is_connected_at_start(free_port: int) -> None:
    url = f"redis://127.0.0.1:{free_port}/0"
    Regionware(topology=Topology(here="h", regions=[Region("h", primary=True, redis=url)]))
