"""What is told to Varnish and nginx, word for word; what is purged can say nothing else."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from regionware.adapters.edges.nginx import Nginx
from regionware.adapters.edges.protocol import EdgeAnswer, EdgePurge, EdgePurger, EdgeRequest
from regionware.adapters.edges.varnish import LONGEST, Varnish
from regionware.errors import ConfigurationError

NODE, OTHER = "http://10.0.0.1:6081", "http://10.0.0.2:6081"

HOSTILE = [
    "a\r\nxkey: all",
    "a b",
    "a,b",
    "a\tb",
    ".*",
    "(a|b)",
    'a" || obj.http.x-url ~ ".*',
    "a && obj.status != 0",
    "é",
    "\x00",
    "\udcff",
    "",
    "%0d%0a",
    "\\",
]


def told(edge: EdgePurger, **purge: Any) -> list[tuple[str, str, dict[str, str]]]:
    requests = edge.requests(EdgePurge(**purge), 0.0)
    return [(each.method, each.url, dict(each.fields)) for each in requests]


def matches(request: EdgeRequest, *, url: str = "", host: str = "", tags: str = "") -> bool:
    """Whether a ban covers an object, as Varnish would say."""
    kept = {"x-url": url, "x-host": host, "x-cache-tags": tags}
    wanted = [(kept[name], pattern) for name, pattern in request.fields if name in kept]
    assert wanted
    return all(re.search(pattern, value) for value, pattern in wanted)


# Varnish


def test_tags_by_xkey() -> None:
    edge = Varnish([NODE, OTHER])
    assert told(edge, tags=("a", "b:1")) == [
        ("PURGE", f"{NODE}/", {"xkey": "a b:1"}),
        ("PURGE", f"{OTHER}/", {"xkey": "a b:1"}),
    ]
    assert told(Varnish(NODE), tags=("a",), soft=True) == [
        ("PURGE", f"{NODE}/", {"xkey-softpurge": "a"})
    ]
    assert edge.capabilities.soft == {"tags"}


def test_tags_by_bans() -> None:
    edge = Varnish(NODE, tags="ban")
    [request] = edge.requests(EdgePurge(tags=("a.c", "b")), 0.0)
    assert request.method == "BAN"
    for covered in ("a.c", "b", "x a.c", "a.c x", "x,b,y"):
        assert matches(request, tags=covered)
    for other in ("", "abc", "a", "bb", "xa.c", "a.cx"):
        assert not matches(request, tags=other)
    assert edge.capabilities.soft == frozenset()
    assert Varnish(NODE, tags="none").capabilities.tags == 0


def test_a_url_is_banned_for_every_host_or_for_one() -> None:
    path, absolute = Varnish(NODE).requests(
        EdgePurge(urls=("/a.b?x=1", "https://Www.Example.com/a.b?x=1")), 0.0
    )
    assert path.method == absolute.method == "BAN"
    assert path.url == f"{NODE}/"
    assert matches(path, url="/a.b?x=1", host="any.test")
    for url in ("/a.b", "/a.b?x=11", "/aXb?x=1", "/z/a.b?x=1", "/a.b?x=1/"):
        assert not matches(path, url=url)
        assert not matches(absolute, url=url, host="www.example.com")
    for host in ("www.example.com", "WWW.example.com", "www.example.com:8080"):
        assert matches(absolute, url="/a.b?x=1", host=host)
    for host in ("wwwXexample.com", "www.example.com.evil.test", "a.www.example.com", ""):
        assert not matches(absolute, url="/a.b?x=1", host=host)
    [port] = Varnish(NODE).requests(EdgePurge(urls=("http://a.test:81/",)), 0.0)
    assert matches(port, url="/", host="a.test:81")
    assert not matches(port, url="/", host="a.test")


def test_everything_is_one_ban() -> None:
    [request] = Varnish(NODE).requests(EdgePurge(everything=True), 0.0)
    assert matches(request, url="/anything", host="any.test")


def test_a_url_that_is_too_long_is_banned_with_what_begins_like_it() -> None:
    long = "/?" + "%C3%A4" * 1200
    [request] = Varnish(NODE).requests(EdgePurge(urls=(long,)), 0.0)
    [(_, pattern)] = request.fields
    assert len(pattern) <= LONGEST
    assert re.search(pattern, long)
    assert not re.search(pattern, "/?%C3%A4")


@pytest.mark.parametrize("tags", ["xkey", "ban"])
@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_tag_stays_one_tag(text: str, tags: Any) -> None:
    [request] = Varnish(NODE, tags=tags).requests(EdgePurge(tags=(text, "b")), 0.0)
    [(name, value)] = request.fields
    assert re.fullmatch(r"[\x20-\x7e]+", value)
    if tags == "xkey":
        assert name == "xkey"
        assert len(value.split(" ")) == 2
        assert "," not in value
    else:
        assert " " not in value
        assert '"' not in value
        assert not matches(request, tags="other")
        assert matches(request, tags="b")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("before", ["/", "https://www.example.com/", "https://", ""])
def test_a_hostile_url_covers_nothing_else(text: str, before: str) -> None:
    requests = Varnish(NODE).requests(EdgePurge(urls=(before + text + "z",)), 0.0)
    for request in requests:
        assert request.url == f"{NODE}/"
        assert {name for name, _ in request.fields} <= {"x-url", "x-host"}
        assert all(re.fullmatch(r'[^\s"]+', value) for _, value in request.fields)
        assert not matches(request, url="/other", host="www.example.com")


def test_the_longest_batch_of_tags_fits_a_field() -> None:
    for tags in ("xkey", "ban"):
        edge = Varnish(NODE, tags=tags)
        size = edge.capabilities.octets
        many = ("&" * 20,) * (size // 21)
        [request] = edge.requests(EdgePurge(tags=many), 0.0)
        assert max(len(value) for _, value in request.fields) <= LONGEST


def test_what_varnish_answers() -> None:
    edge = Varnish(NODE)
    assert edge.judge(EdgeAnswer(200, {"purged": "0"})).outcome == "done"
    assert edge.judge(EdgeAnswer(200, {})).outcome == "later"  # An application has answered.
    assert Varnish(NODE, verify=False).judge(EdgeAnswer(200, {})).outcome == "done"
    for status in (403, 405, 500, 501, 503):
        assert edge.judge(EdgeAnswer(status)).outcome == "later"
    assert edge.judge(EdgeAnswer(503, {"retry-after": "7"})).after == 7.0
    assert edge.judge(EdgeAnswer(400)).outcome == "refused"


# nginx


def refresher(**options: Any) -> Nginx:
    return Nginx(NODE, fields={"X-Regionware-Refresh": "secret"}, **options)


def test_a_url_is_refreshed_as_each_of_its_variants() -> None:
    edge = refresher(variants=[{}, {"X-Region": "fra"}], hosts=["A.test"])
    assert told(edge, urls=("/x?y=1",)) == [
        ("GET", f"{NODE}/x?y=1", {"Host": "a.test", "X-Regionware-Refresh": "secret"}),
        ("GET", f"{NODE}/x?y=1",
         {"Host": "a.test", "X-Region": "fra", "X-Regionware-Refresh": "secret"}),
    ]  # fmt: skip
    assert told(edge, urls=("https://b.test/",))[0][2]["Host"] == "b.test"


def test_a_url_is_purged_where_there_is_a_module() -> None:
    assert told(Nginx(NODE, method="purge"), urls=("http://b.test/x",)) == [
        ("PURGE", f"{NODE}/x", {"Host": "b.test"})
    ]


def test_what_nginx_cannot_do_is_said() -> None:
    able = refresher().capabilities
    assert (able.tags, able.everything, able.paths, able.soft) == (0, False, False, frozenset())
    assert refresher(hosts=["a.test"]).capabilities.paths


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_url_is_one_request_for_its_host(text: str) -> None:
    for url in (f"/{text}", f"https://b.test/{text}", f"https://b.test{text}", text):
        for method, target, fields in told(refresher(hosts=["a.test"]), urls=(url,)):
            assert method == "GET"
            assert re.fullmatch(re.escape(NODE) + r"/[\x21-\x7e]*", target)
            assert fields["Host"] in {"a.test", "b.test"}


def test_what_nginx_answers() -> None:
    edge = refresher()
    kept = {"cache-control": "public, max-age=60"}
    assert edge.judge(EdgeAnswer(200, kept)).outcome == "done"
    assert edge.judge(EdgeAnswer(404, kept)).outcome == "done"
    assert edge.judge(EdgeAnswer(200, {"cache-control": "max-age=0", "purged": "60"})) == (
        "done", None, "",
    )  # fmt: skip
    for control in ("private", "no-store", "public, no-cache", "max-age=0, must-revalidate"):
        verdict = edge.judge(EdgeAnswer(200, {"cache-control": control}))
        assert verdict.outcome == "refused"
        assert "old one stays" in verdict.reason
    assert edge.judge(EdgeAnswer(200, {})).outcome == "refused"
    assert edge.judge(EdgeAnswer(502, kept)).outcome == "later"
    purger = Nginx(NODE, method="purge")
    outcomes = {status: purger.judge(EdgeAnswer(status)).outcome for status in (200, 404, 412, 500)}
    assert outcomes == {200: "done", 404: "done", 412: "done", 500: "later"}


# Both


def test_they_are_edges() -> None:
    assert isinstance(Varnish(NODE), EdgePurger)
    assert isinstance(refresher(), EdgePurger)


def test_secrets_are_sent_and_not_shown() -> None:
    for edge in (Varnish(NODE, fields={"X-Key": lambda: "hidden"}), refresher()):
        for purge in (EdgePurge(tags=("a",)), EdgePurge(urls=("https://a.test/",))):
            for request in edge.requests(purge, 0.0):
                assert {"hidden", "secret"} & {value for _, value in request.fields}
                assert "hidden" not in repr(request)
                assert "secret" not in repr(request)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Varnish([]), "at least one"),
        (lambda: Varnish("10.0.0.1"), "http://host:port"),
        (lambda: Varnish([NODE, "ftp://a"]), "http://host:port"),
        (lambda: Varnish("http://user:word@a"), "http://host:port"),
        (lambda: Varnish("http://a/path"), "http://host:port"),
        (lambda: Varnish("http://a:0"), "http://host:port"),
        (lambda: Varnish("http://a:99999"), "http://host:port"),
        (lambda: Varnish([NODE, None]), "http://host:port"),  # type: ignore[list-item] # wrong
        (lambda: Varnish(NODE, name="Not one"), "name"),
        (lambda: Varnish(NODE, tags="regex"), "xkey"),  # type: ignore[arg-type] # wrong
        (lambda: Varnish(NODE, fields={"a b": "x"}), "field"),
        (lambda: Varnish(NODE, fields={"Host": "x"}), "field"),
        (lambda: Varnish(NODE, fields={"X-Key": "a\r\nb"}), "X-Key"),
        (lambda: Nginx(NODE), "bypass"),
        (lambda: Nginx(NODE, method="ban"), "refresh"),  # type: ignore[arg-type] # wrong
        (lambda: refresher(hosts="a.test"), "host names"),
        (lambda: refresher(hosts=["a b"]), "host names"),
        (lambda: refresher(variants=[]), "variants"),
    ],
)
def test_wrong_options_are_errors(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make()
