"""What is not in the key is not in the request: poisoning, deception, keys and leaks."""

import logging
from typing import Any

import pytest

from regionware.policies import Cache, Route
from tests.conformance.application import Response, Seen, counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import Site
from tests.conformance.test_storage import X, is_cached

REWRITING = [
    ("X-Forwarded-Host", "evil"), ("X-Forwarded-Scheme", "evil"), ("X-Forwarded-Prefix", "/evil"),
    ("X-Forwarded-Proto", "evil"), ("X-Forwarded-Port", "666"), ("X-Forwarded-Server", "evil"),
    ("Forwarded", "host=evil"), ("X-Original-URL", "/evil"), ("X-Rewrite-URL", "/evil"),
    ("X-Host", "evil"), ("X-HTTP-Method-Override", "DELETE"), ("X-HTTP-Method", "DELETE"),
    ("X-Method-Override", "DELETE"),
]  # fmt: skip


def reflect(seen: Seen) -> Response:
    """Shows everything that the application sees of a request, but for its host."""
    headers = sorted((n, v) for n, v in seen.headers.items() if n != "host")
    return text(repr((seen.method, seen.path, seen.query, headers, seen.body)))


@pytest.mark.parametrize(("name", "value"), REWRITING, ids=[name for name, _ in REWRITING])
def test_forwarded_fields_of_strangers_never_reach_the_application(
    world: World, name: str, value: str
) -> None:
    """P1, P4: what rewrites a request is removed; so the attacker stores the clean answer."""
    site = world.site(reflect)
    poisoned = site.get("/x", headers={name: value, "X-Other": "kept"})
    assert name.lower() not in site.app.calls[0].headers
    assert site.app.calls[0].headers["x-other"] == "kept"
    assert site.get("/x").body == poisoned.body
    assert "evil" not in poisoned.body.decode()


@pytest.mark.parametrize(("name", "value"), REWRITING, ids=[name for name, _ in REWRITING])
def test_forwarded_fields_of_trusted_peers_are_kept_and_keyed(
    world: World, name: str, value: str
) -> None:
    routes = (Route("/{path:path}", cache=Cache(ttl=60)),)
    site = world.site(reflect, *routes, trusted=["10.0.0.0/8"])
    proxied = {"path": "/x", "headers": {name: value}, "peer": "10.0.0.1"}
    assert is_cached(site, proxied)
    assert site.app.calls[0].headers[name.lower()] == value
    assert not is_cached(site, proxied, {**X, "peer": "10.0.0.1"})


def test_routes_without_a_cache_leave_a_request_as_it_is(world: World) -> None:
    site = world.site(reflect, Route("/cached", cache=Cache(ttl=60)))
    site.get("/x", headers={"X-Forwarded-Host": "evil", "Cookie": "a=1"}, query="utm_x=1")
    seen = site.app.calls[0]
    assert (seen.headers["x-forwarded-host"], seen.headers["cookie"]) == ("evil", "a=1")
    assert seen.query == "utm_x=1"


def test_removed_fields_are_told_once_with_the_peer(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    site = world.site(reflect)
    with caplog.at_level(logging.WARNING):
        for path in ("/x", "/y", "/z"):
            site.get(path, headers={"X-Forwarded-Host": "evil"}, peer="198.51.100.7")
        site.get("/clean", peer="198.51.100.8")
    warnings = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "198.51.100.7" in warnings[0]


def test_a_request_with_content_is_not_stored(world: World) -> None:
    """P2: a GET with a form."""
    site = world.site(reflect)
    assert not is_cached(site, {**X, "body": b"x=evil"}, X)
    assert is_cached(site, X)
    assert not is_cached(site, X, {**X, "body": b"x=evil"})


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_neither_stored_nor_answered(world: World, method: str) -> None:
    site = world.site(counting())
    assert not is_cached(site, {**X, "method": method}, X)
    assert not is_cached(site, X, {**X, "method": method})
    assert is_cached(site, X)


def test_a_field_that_the_application_chokes_on_harms_nobody_else(world: World) -> None:
    """P5."""
    site = world.site(lambda seen: text("no", 400) if len(str(seen.headers)) > 8192 else text("ok"))
    assert site.get("/x", headers={"X-Long": "x" * 9000}).status == 400
    assert site.get("/x").body == b"ok"
    assert is_cached(site, X)


def test_a_range_is_passed_on_and_the_part_is_not_the_whole(world: World) -> None:
    """R2."""

    def part(seen: Seen) -> Response:
        if "range" in seen.headers:
            return text("01", 206, Content_Range="bytes 0-1/5")
        return text("01234")

    site = world.site(part)
    ranged = site.get("/x", headers={"Range": "bytes=0-1"})
    assert (ranged.status, ranged.body) == (206, b"01")
    whole = site.get("/x")
    assert (whole.status, whole.body) == (200, b"01234")
    assert is_cached(site, X)


# Queries


@pytest.mark.parametrize("hostile", ["utm_x=1;x=evil", "utm_x=1%26x=evil", "utm_x=x%3Devil"])
def test_ignored_parameters_are_removed(world: World, hostile: str) -> None:
    """P3: a semicolon separates nothing, for nobody."""
    site = world.site(reflect, Route("/x", cache=Cache(ttl=60, ignore_query=["utm_*"])))
    attacked = site.get("/x", query=hostile)
    assert "evil" not in attacked.body.decode()
    assert is_cached(site, X, {**X, "query": "utm_x=2"})
    assert not is_cached(site, {**X, "query": "b=1"}, {**X, "query": "b=2&utm_x=2"})
    assert site.app.calls[-1].query == "b=2"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a=1&z=1", "a=1&z=2", True), ("a=1", "a=2", False), ("a=1&b=2", "b=2&a=1", False),
        ("a=1&a=2", "a=2&a=1", False), ("a=1", "a=1&a=1", False), ("%61=1", "z=1", False),
        ("a", "a=", False), ("A=1", "", True), ("a;z=1", "", True),
    ],
)  # fmt: skip
def test_listed_parameters_count_in_order_and_number(
    world: World, one: str, other: str, same: bool
) -> None:
    site = world.site(reflect, Route("/x", cache=Cache(ttl=60, query=["a", "b"])))
    assert is_cached(site, {**X, "query": one}, {**X, "query": other}) is same
    assert all("z=" not in seen.query for seen in site.app.calls)


def test_without_a_list_every_parameter_counts(world: World) -> None:
    site = world.site(reflect)
    asks = [{**X, "query": q} for q in ("", "a", "a=", "a=1&b=2", "b=2&a=1", "a=1;b=2", "A=1&b=2")]
    answers = [site.get(**ask).body for ask in asks * 2]
    assert answers[: len(asks)] == answers[len(asks) :]
    assert len(set(answers)) == len(asks) == len(site.app.calls)


# Cookies


def test_an_undeclared_cookie_means_bypass(world: World) -> None:
    """L4."""
    site = world.site(lambda seen: text(seen.headers.get("cookie", "nobody")))
    for cookie in ("sid=1", "sid=2", "sid=1; _ga=1", "broken", "=broken", "a=1; a=2"):
        answer = site.get("/x", headers={"Cookie": cookie})
        assert answer.body == cookie.encode()
        assert answer.cache_status == {"fwd": "bypass", "detail": "cookie"}
    assert is_cached(site, X)
    assert site.get("/x").body == b"nobody"


@pytest.mark.parametrize("cookie", ["_ga=GA1.2.3", "_gid=1; _fbp=2", "_pk_id.1=a; __utma=b"])
def test_analytics_cookies_never_count_and_are_never_seen(world: World, cookie: str) -> None:
    site = world.site(reflect)
    assert is_cached(site, {**X, "headers": {"Cookie": cookie}}, X)
    assert "cookie" not in site.app.calls[0].headers


def test_ignored_cookies_are_removed(world: World) -> None:
    site = world.site(reflect, Route("/x", cache=Cache(ttl=60, cookies="ignore")))
    assert is_cached(site, {**X, "headers": {"Cookie": "sid=secret; a=1"}}, X)
    assert "cookie" not in site.app.calls[0].headers


def test_named_cookies_are_keyed_and_declared(world: World) -> None:
    site = world.site(reflect, Route("/x", cache=Cache(ttl=60, cookies=["currency"])))
    ask: list[dict[str, Any]] = [
        {**X, "headers": {"Cookie": c}} for c in ("currency=EUR", "currency=USD; _ga=1", "sid=1")
    ]
    assert is_cached(site, ask[0])
    assert not is_cached(site, ask[0], ask[1])
    assert not is_cached(site, ask[0], X)
    assert is_cached(site, ask[1])
    assert site.app.calls[1].headers["cookie"] == "currency=USD"
    assert not is_cached(site, ask[2])
    assert "cookie" in site.get(**ask[0])["vary"].lower()


# Further dimensions


def test_by_makes_dimensions(world: World) -> None:
    cache = Cache(ttl=60, by=["x-tenant", lambda request: request.path[-1], "region"])
    site = world.site(reflect, Route("/{path:path}", cache=cache))
    one: dict[str, Any] = {**X, "headers": {"X-Tenant": "one"}}
    other = {**X, "headers": {"X-Tenant": "other"}}
    assert is_cached(site, one)
    assert not is_cached(site, one, other)
    assert "x-tenant" in site.get(**one)["vary"].lower()


# Keys


def distinct(site: Site, *asks: dict[str, Any]) -> bool:
    """Whether nobody ever gets another's answer, neither at once nor when all are stored."""
    first, second = ([site.get(**ask).body for ask in asks] for _ in range(2))
    return len(set(first)) == len(asks) and all(
        mine == before or mine not in first for before, mine in zip(first, second, strict=True)
    )


def keyed(seen: Seen) -> Response:
    return text(
        repr((seen.headers["host"], seen.path, seen.query, seen.headers.get("x-a"))), Vary="X-A"
    )


def test_parts_of_a_key_do_not_run_into_each_other(world: World) -> None:
    """K1, K2: nothing that a request contains can look like a part of another's key."""
    site = world.site(keyed)
    asks: list[dict[str, Any]] = [
        {"path": "/b/c", "host": "a"}, {"path": "/c", "host": "a/b"}, {"path": "/c", "host": "a"},
        {"path": "/c", "host": "a", "query": "x"}, {"path": "/c?x", "host": "a"},
        {"path": "/c", "host": "a", "headers": {"X-A": "x"}},
        {"path": "/c", "host": "a", "query": "x", "headers": {"X-A": "y"}},
        {"path": "/c\0\0x", "host": "a"}, {"path": "/c\0x-a:x", "host": "a"},
        {"path": "/c", "host": "a\0\0x"}, {"path": "/c", "host": "a", "query": "\0x"},
    ]  # fmt: skip
    assert distinct(site, *asks)


def test_spellings_of_a_path_are_not_confused(world: World) -> None:
    """K3: composed and decomposed, and octets that are no text."""
    site = world.site(counting())
    asks = [{"path": path} for path in ("/%C3%A9", "/e%CC%81", "/%ff", "/%fe", "/e")]
    assert distinct(site, *asks)


@pytest.mark.parametrize("port", ["", ":80", ":8080"])
def test_hosts_are_not_confused(world: World, port: str) -> None:
    """K4."""
    site = world.site(lambda seen: text(seen.headers["host"].lower()))
    for host in (f"A.test{port}", "evil", "a.test", f"a.test{port}", "evil:80"):
        assert site.get("/x", host=host).body == host.lower().encode()
    assert is_cached(site, {**X, "host": "a.test"}, {**X, "host": "A.TEST"})


def test_schemes_are_not_confused(world: World) -> None:
    site = world.site(counting())
    assert not is_cached(site, {**X, "scheme": "http"}, {**X, "scheme": "https"})


# Deception: paths that a cache and an application may read differently

ODD = ["/account%2fx.css", "/account%00x.css", "/account%23x.css", "/account%3Fx.css",
       "/account%3Bx.css", "/account%5cx.css", "/static/%2e%2e/account.css", "/static/../a.css",
       "/account/./x.css", "//x.css", "/account\\x.css"]  # fmt: skip


@pytest.mark.parametrize("path", ODD)
def test_an_ambiguous_path_is_never_cached(world: World, path: str) -> None:
    """D2, D3."""
    site = world.site(counting(Cache_Control="public, max-age=60"))
    for _ in range(2):
        answer = site.get(path)
        assert answer["cache-control"] == "private, no-store"
        assert answer.cache_status == {"fwd": "bypass", "detail": "path"}
    assert len(site.app.calls) == 2
    assert is_cached(site, {"path": "/account/%C3%A9%20~x.css"})


def test_a_user_s_page_under_a_static_name_is_nobody_else_s(world: World) -> None:
    """D1."""
    rule = Route("/{name:path}.css", cache=Cache(ttl=60))
    site = world.site(lambda seen: text(seen.headers.get("cookie", "nobody")), rule)
    victim = site.get("/account/x.css", headers={"Cookie": "sid=victim"})
    assert victim.body == b"sid=victim"
    assert "private" in victim["cache-control"]
    assert site.get("/account/x.css").body == b"nobody"
    assert is_cached(site, {"path": "/account/x.css"})
