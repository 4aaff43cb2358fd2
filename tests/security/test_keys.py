"""K1 to K5: no two requests that the application tells apart share a key."""

import logging
import unicodedata
from typing import Any

import pytest

from regionware import looking
from regionware.caching import keeping, keys, variants
from regionware.caching.entry import Key
from regionware.caching.keys import KeyPlan, Screened
from regionware.http.hosts import Hosts
from regionware.http.request import Request
from regionware.policies import Cache, Cdn, Route
from tests.conformance.application import Response, Seen, text
from tests.conformance.conftest import World
from tests.security import switches as off
from tests.security.stage import CACHED, STANDARD, Asked, Stage, ask, is_private

LISTED: dict[str, Any] = {"hosts": ["a.test", "*.b.test", "localhost:8000"]}


def echo(seen: Seen) -> Response:
    """Everything that the application can tell requests apart by here."""
    shown = (seen.headers["host"], seen.path, seen.query, seen.headers.get("x-a"))
    return text(repr(shown), Vary="X-A")


def confused(stage: Stage, *asks: Asked) -> list[str]:
    """Whoever is answered as another is, at once or later; on either worker."""
    stage.app.handler = stage._bare.app.handler = echo
    found: list[str] = []
    for each in asks * 2:
        stage.attack(**each)
        found += stage.wrong(**each)
    return found


COLLIDING = {
    "K1 host and path": [ask("/b/c", host="a"), ask("/c", host="a/b"), ask("/c", host="a")],
    "K1 path and query": [ask("/c", host="a", query="x"), ask("/cx", host="a")],
    "K1 host and port": [ask("/c", host="a:81"), ask("/c", host="a81"), ask("/c", host="a")],
    "K3 composed": [ask("/%C3%A9"), ask("/e%CC%81"), ask("/e")],
}
#: What makes each of them collide.
NAIVE: dict[str, off.Off] = {
    "K1 host and path": off.off(
        off.joined(1, 2), lambda mp: mp.setattr(Hosts, "canonical", lambda _, host, __: host)
    ),
    "K1 path and query": off.joined(2, 3),
    "K1 host and port": off.off(
        off.joined(1),
        off.screened(lambda _, found: _without_colon(found)),
    ),
    "K3 composed": off.off(
        off.screened(lambda _, found: _composed(found)), off._no_shortcut
    ),
}  # fmt: skip


def _without_colon(found: Screened) -> Screened:
    if found.key is not None:
        scheme, host, *rest = found.key
        found.key = (scheme, host.replace(":", ""), *rest)
        found.edits = None
    return found


def _composed(found: Screened) -> Screened:
    if found.key is not None:
        scheme, host, path, *rest = found.key
        found.key = (scheme, host, unicodedata.normalize("NFC", path), *rest)
    return found


@pytest.mark.parametrize("name", COLLIDING)
def test_keys_do_not_collide(world: World, name: str) -> None:
    assert confused(Stage(world), *COLLIDING[name]) == []
    assert Stage(world).is_cached(COLLIDING[name][-1])


@pytest.mark.parametrize("name", COLLIDING)
def test_naive_keys_do(world: World, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    NAIVE[name](monkeypatch)
    assert confused(Stage(world), *COLLIDING[name]) != []


# K2: a URL in the shape of a variant's key

SHAPES = [
    [ask("/v", headers={"X-A": "1"}), ask("/v", query="\0x-a=1"), ask("/v\0x-a=1"), ask("/v")],
    [ask("/v", headers={"X-A": "1"}), ask("/v", query="x-a:1"), ask("/v", query="|x-a|1")],
]


@pytest.mark.parametrize("asks", SHAPES, ids=["NUL", "text"])
def test_k2_no_url_is_a_variant(world: World, asks: list[Asked]) -> None:
    assert confused(Stage(world), *asks) == []
    assert Stage(world).is_cached(asks[0])


def test_k2_without_the_protection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variant's key that looks like a URL's."""

    def naive(key: Key, names: tuple[str, ...], values: tuple[str, ...]) -> Key:
        told = "".join(f"|{n}|{v.removeprefix('=')}" for n, v in zip(names, values, strict=True))
        return (*key[:3], key[3] + told)

    for module in (variants, keeping, looking):
        monkeypatch.setattr(module, "variant_key", naive)
    stage = Stage(world)
    stage.app.handler = stage._bare.app.handler = echo
    asked = ask("/v", headers={"X-A": "1"})
    stage.attack(**asked)
    crafted = ask("/v", query="|x-a|1")
    # In the memory of the worker that was attacked: Redis finds variants in another way.
    assert stage.attack(**crafted).body == stage.oracle(**asked).body


# K3: octets that are no text


def test_k3_octets_that_are_no_text_are_not_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both decode to the same replacement character: the raw path may tell them apart."""
    numbers = iter(range(100))
    one, other = ask("/%ff"), ask("/%fe")
    stage = Stage(world)
    stage.app.handler = lambda _: text(str(next(numbers)))
    assert not stage.is_cached(one, other)
    assert not stage.is_cached(one)
    assert stage.is_cached(ask("/%C3%A9"))
    off.paths(monkeypatch)
    assert stage.is_cached(one, other)


SENT = ["A.test:80", "a.test", "a.test.", "A.TEST", "evil", "evil:80", "a.test:81", "a.test@evil",
        "a.test, evil", "evil.a.test", "a.test\tx"]  # fmt: skip


def poisoned(stage: Stage, *hosts: str) -> list[str]:
    """Answers under `a.test` that name another host, or one that is not spelled so."""
    found: list[str] = []
    for number, host in enumerate(hosts):
        stage.attack(f"/host/{number}", host=host)
        found += stage.wrong(f"/host/{number}", host="a.test")
    return found


@pytest.mark.parametrize("options", [{}, LISTED], ids=["any", "listed"])
@pytest.mark.parametrize("routes", [CACHED, STANDARD], ids=["policy", "standard"])
def test_k4_nothing_of_another_host(
    world: World, options: dict[str, Any], routes: tuple[Route, ...]
) -> None:
    stage = Stage(world, routes, **options)
    fields = [] if routes is CACHED else [("Cache-Control", "max-age=60")]

    def page(seen: Seen) -> Response:
        host = seen.headers["host"]
        if routes is STANDARD:
            # By the book the request is left as it is: RFC 9110, 4.2.3 says which are the same.
            host = host.lower().removesuffix(":80").removesuffix(".")
        return Response([host.encode()], headers=fields)

    stage.app.handler = stage._bare.app.handler = page
    assert poisoned(stage, *SENT) == []
    assert stage.is_cached(ask("/host/x", host="A.test"), ask("/host/x", host="a.test"))


def test_k4_without_the_protection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hosts, "canonical", lambda *_: "a.test")
    monkeypatch.setattr(KeyPlan, "_spell", lambda *_: None)
    assert poisoned(Stage(world, **LISTED), *SENT) != []


def test_k4_a_spelling_reaches_nobody_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`A.test:80` is `a.test`; but an application that shows it must not show that to others."""
    stage = Stage(world, **LISTED)
    assert stage.attack("/host", host="A.test:80").body == b"http://a.test/login"
    assert stage.victim("/host", host="a.test").hit
    monkeypatch.setattr(KeyPlan, "_spell", lambda *_: None)
    assert poisoned(stage, "A.test:80") != []


@pytest.mark.parametrize("routes", [CACHED, STANDARD, (Route("/{p:path}", cdn=Cdn(max_age=60)),)])
@pytest.mark.parametrize("host", ["evil", "evil:80", "a.test:81", "b.test", "", "a.test, a.test"])
def test_k4_an_unlisted_host_is_for_nobody(
    world: World, host: str, routes: tuple[Route, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither stored nor looked up, and told once; the application answers it as ever."""
    stage = Stage(world, routes, **LISTED)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            answer = stage.attack("/p/x", host=host)
            assert answer.status == 200
            assert is_private(answer)
    assert stage.calls == 3
    if routes[0].cache is not None:
        assert answer.cache_status == {"fwd": "bypass", "detail": "host"}
        told = [each.getMessage() for each in caplog.records if "hosts=" in each.getMessage()]
        assert len(told) == 1
        assert repr(host) in told[0]
        assert stage.sites[0].rw.counts()["unlisted-host"] == 3
    for known in ("a.test", "x.y.b.test", "localhost:8000"):
        assert not is_private(stage.attack("/p/x", host=known))


def test_k4_what_an_earlier_list_has_stored_is_not_looked_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask("/p/x", host="evil")
    before = Stage(world)
    assert before.is_cached(asked)
    now = Stage(world, **LISTED)
    assert not now.is_cached(asked)
    if world.tier == "redis":
        monkeypatch.setattr(Hosts, "canonical", lambda _, host, __: host)
        again = Stage(world, **LISTED)
        again.attack(**asked)
        assert again.calls == 0


def test_k4_a_trusted_peer_s_word_is_the_host(world: World) -> None:
    """Behind a proxy the list is about what clients see, not about the hop's own name."""
    stage = Stage(world, trusted=["10.0.0.0/8"], **LISTED)
    hop: dict[str, Any] = {"host": "app:8000", "peer": "10.0.0.1"}
    told = {"X-Forwarded-Host": "a.test"}
    assert stage.is_cached(ask("/p/x", headers=told, **hop))
    assert not stage.is_cached(ask("/p/y", headers={"X-Forwarded-Host": "evil"}, **hop))
    # And a stranger's word is none: its own host counts.
    assert not stage.is_cached(ask("/p/z", headers=told, host="evil"))


def test_k4_a_proxy_that_passes_both_on_lets_nobody_choose(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Host: evil` beside `X-Forwarded-Host: a.test`: an application may show either."""

    def shows(seen: Seen) -> Response:
        return text(f"http://{seen.headers['host']}/")

    def poisoned(path: str) -> list[str]:
        stage = Stage(world, trusted=["10.0.0.0/8"])
        stage.app.handler = stage._bare.app.handler = shows
        clean: dict[str, Any] = {"host": "a.test", "peer": "10.0.0.1"}
        told = {"headers": {"X-Forwarded-Host": "a.test"}}
        stage.attack(path, **{**clean, **told, "host": "evil"})
        return stage.wrong(path, **clean) + stage.wrong(path, **clean, **told)

    assert poisoned("/x") == []
    origin = KeyPlan._origin

    def before(plan: KeyPlan, request: Request, edits: Any) -> Any:
        scheme, host, believed = origin(plan, request, edits)
        return scheme, host, tuple(each for each in believed if not each.startswith("host:"))

    monkeypatch.setattr(KeyPlan, "_origin", before)
    assert poisoned("/y") != []


def test_k4_a_scheme_that_a_proxy_names_is_not_the_socket_s(world: World) -> None:
    """An application that ignores the proxy's word redirects the one, and not the other."""
    stage = Stage(world, trusted=["10.0.0.0/8"])
    told: dict[str, Any] = {"headers": {"X-Forwarded-Proto": "https"}, "peer": "10.0.0.1"}
    assert stage.is_cached(ask("/p/x", **told))
    assert not stage.is_cached(ask("/p/x", **told), ask("/p/x", scheme="https", peer="10.0.0.1"))


@pytest.mark.parametrize("flavour", ["wsgi"], indirect=True)
def test_k4_an_absolute_target_is_not_stored(world: World) -> None:
    """RFC 9112, section 3.2.2: it names a second host, which some applications read."""
    stage = Stage(world)
    seen: list[str] = []

    def serve(environ: Any, start_response: Any) -> Any:
        seen.append(environ["RAW_URI"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["RAW_URI"].encode()]

    stage.sites[0]._wsgi = stage.sites[0].rw.wsgi(serve)
    wsgi = stage.sites[0]._wsgi

    def get(target: str) -> bytes:
        environ = {
            "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/x", "QUERY_STRING": "",
            "RAW_URI": target, "HTTP_HOST": "a.test", "SERVER_NAME": "a", "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "192.0.2.9", "wsgi.url_scheme": "http",
        }  # fmt: skip
        return b"".join(wsgi(environ, lambda *_: bytearray().extend))

    assert [get("http://evil/x"), get("/x"), get("/x")] == [b"http://evil/x", b"/x", b"/x"]
    assert seen == ["http://evil/x", "/x"]


# A HEAD, and what does not count


def test_k5_a_head_leaves_no_empty_answer_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(world)
    assert stage.attack("/p/x", method="HEAD").body == b""
    assert stage.wrong("/p/x") == []
    assert stage.is_cached(ask("/p/x"))
    assert stage.victim("/p/x", method="HEAD").hit
    # The control: a HEAD that is taken for a GET, whose content is whole.
    off.wholeness(monkeypatch)
    monkeypatch.setattr(looking.Looking, "_goes_alone", lambda _: False)
    naive = Stage(world)
    naive.attack("/p/y", method="HEAD")
    assert naive.wrong("/p/y") != []


@pytest.mark.parametrize("flavour", ["wsgi"], indirect=True)
def test_the_query_that_does_not_count_is_nowhere_in_the_request(world: World) -> None:
    """WSGI servers hand over the target as it was sent, too."""
    stage = Stage(world, (Route("/{p:path}", cache=Cache(ttl=60, query=["a"])),))
    raw: list[str] = []
    inner = stage.app.wsgi

    def serve(environ: Any, start_response: Any) -> Any:
        raw.append(environ["RAW_URI"])
        return inner(environ, start_response)

    stage.sites[0]._wsgi = stage.sites[0].rw.wsgi(serve)
    stage.attack("/p/x", query="a=1&evil=2")
    stage.attack("/p/y", query="evil=2")
    assert raw == ["/p/x?a=1", "/p/y"]


def test_every_way_to_rewrite_a_request_is_screened() -> None:
    """The fields of the poisoning literature (Kettle 2018 and 2020, and what frameworks read)."""
    assert {
        "forwarded", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-scheme",
        "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-server", "x-host",
        "x-http-method-override", "x-original-url", "x-rewrite-url", "x-forwarded-ssl",
    } <= keys.REWRITING  # fmt: skip
