"""Exactly what each vendor is asked, and how its answers are read."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware import ConfigurationError
from regionware.adapters.edges import (
    Bunny,
    Cloudflare,
    CloudFront,
    Credentials,
    EdgeAnswer,
    EdgePurge,
    EdgePurger,
    Fastly,
)
from regionware.adapters.edges.courier import TransportError
from regionware.adapters.edges.sigv4 import signed
from regionware.adapters.edges.transport import HttpxTransport
from tests.edge_purges.vendor import TOKEN

ZONE = "023e105f4ecef8ad9ca31a8372d0c353"
SERVICE = "SU1Z0isxPaozGVKXdv0eY"
KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
#: 2015-08-30 12:36:00 UTC, that of the published vectors.
WALL = 1_440_938_160.0

CLOUDFLARE = Cloudflare(zone=ZONE, token=TOKEN, urls=True)
FASTLY = Fastly(service=SERVICE, token=TOKEN, all_tag="all")
BUNNY = Bunny(zone=42, key=TOKEN)
CLOUDFRONT = CloudFront(distribution="EDFDVBD6EXAMPLE", credentials=KEYS)
EVERY: list[EdgePurger] = [CLOUDFLARE, FASTLY, BUNNY, CLOUDFRONT]

TAGS = EdgePurge(tags=("product:1", "list"))
URLS = EdgePurge(urls=("https://shop.example/p/1?a=b%20c",))
ALL = EdgePurge(everything=True)

CF_API = f"https://api.cloudflare.com/client/v4/zones/{ZONE}/purge_cache"
FASTLY_API = "https://api.fastly.com"
BUNNY_API = "https://api.bunny.net"
BEARER = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
KEY = {"fastly-key": TOKEN, "accept": "application/json"}
JSON = {"content-type": "application/json"}
SOFT = {"fastly-soft-purge": "1"}
ACCESS = {"accesskey": TOKEN}


def sent(edge: EdgePurger, purge: EdgePurge) -> list[tuple[str, dict[str, str], bytes]]:
    """What really goes over the wire, but for what httpx says of itself."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"success": True})

    transport = HttpxTransport(httpx.MockTransport(answer))
    for request in edge.requests(purge, WALL):
        transport.send(request)
    transport.close()
    own = {"host", "accept-encoding", "connection", "user-agent", "content-length"}
    return [
        (
            f"{each.method} {each.url}",
            {n: v for n, v in each.headers.items() if n not in own and v != "*/*"},
            each.read(),
        )
        for each in seen
    ]


GOLDEN: list[tuple[EdgePurger, EdgePurge, list[tuple[str, dict[str, str], bytes]]]] = [
    (CLOUDFLARE, TAGS, [(f"POST {CF_API}", BEARER, b'{"tags": ["product:1", "list"]}')]),
    (CLOUDFLARE, URLS, [
        (f"POST {CF_API}", BEARER, b'{"files": ["https://shop.example/p/1?a=b%20c"]}'),
    ]),
    (CLOUDFLARE, ALL, [(f"POST {CF_API}", BEARER, b'{"purge_everything": true}')]),
    (FASTLY, TAGS, [
        (f"POST {FASTLY_API}/service/{SERVICE}/purge", KEY | JSON,
         b'{"surrogate_keys": ["product:1", "list"]}'),
    ]),
    (FASTLY, EdgePurge(tags=("a",), soft=True), [
        (f"POST {FASTLY_API}/service/{SERVICE}/purge", KEY | JSON | SOFT,
         b'{"surrogate_keys": ["a"]}'),
    ]),
    (FASTLY, URLS, [(f"POST {FASTLY_API}/purge/shop.example/p/1?a=b%20c", KEY, b"")]),
    (FASTLY, EdgePurge(urls=URLS.urls, soft=True), [
        (f"POST {FASTLY_API}/purge/shop.example/p/1?a=b%20c", KEY | SOFT, b""),
    ]),
    (FASTLY, ALL, [(f"POST {FASTLY_API}/service/{SERVICE}/purge_all", KEY, b"")]),
    (FASTLY, EdgePurge(everything=True, soft=True), [
        (f"POST {FASTLY_API}/service/{SERVICE}/purge", KEY | JSON | SOFT,
         b'{"surrogate_keys": ["all"]}'),
    ]),
    (BUNNY, TAGS, [
        (f"POST {BUNNY_API}/pullzone/42/purgeCache", ACCESS | JSON, b'{"CacheTag": "product:1"}'),
        (f"POST {BUNNY_API}/pullzone/42/purgeCache", ACCESS | JSON, b'{"CacheTag": "list"}'),
    ]),
    (BUNNY, URLS, [
        (f"POST {BUNNY_API}/purge?url=https%3A%2F%2Fshop.example%2Fp%2F1%3Fa%3Db%2520c",
         ACCESS, b""),
    ]),
    (BUNNY, ALL, [(f"POST {BUNNY_API}/pullzone/42/purgeCache", ACCESS | JSON, b"{}")]),
]  # fmt: skip


@pytest.mark.parametrize(("edge", "purge", "wanted"), GOLDEN)
def test_exact_requests(
    edge: EdgePurger, purge: EdgePurge, wanted: list[tuple[str, dict[str, str], bytes]]
) -> None:
    assert sent(edge, purge) == wanted


@pytest.mark.parametrize(
    ("purge", "items"),
    [
        (TAGS, ["#product:1", "#list"]),
        (EdgePurge(urls=("https://shop.example/p/1?a=b&c=d", "/x")), ["/p/1?a=b&amp;c=d", "/x"]),
        (EdgePurge(urls=("https://a.example/x", "https://b.example/x")), ["/x"]),
        (ALL, ["/*"]),
    ],
)
def test_exact_invalidations(purge: EdgePurge, items: list[str]) -> None:
    ((target, fields, body),) = sent(CLOUDFRONT, purge)
    assert target == (
        "POST https://cloudfront.amazonaws.com/2020-05-31/distribution/EDFDVBD6EXAMPLE/invalidation"
    )
    head, _, rest = body.decode().partition("<CallerReference>")
    assert head == (
        '<?xml version="1.0" encoding="UTF-8"?><InvalidationBatch '
        'xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Paths>'
        f"<Quantity>{len(items)}</Quantity><Items>"
        + "".join(f"<Path>{item}</Path>" for item in items)
        + "</Items></Paths>"
    )
    assert rest.endswith("</CallerReference></InvalidationBatch>")
    assert fields["content-type"] == "text/xml"
    assert fields["x-amz-date"] == "20150830T123600Z"
    assert fields["authorization"].startswith(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/cloudfront/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, Signature="
    )


def test_the_same_invalidation_later_is_another() -> None:
    """CloudFront makes no invalidation whose reference was used."""
    bodies = {CLOUDFRONT.requests(TAGS, WALL + later)[0].body for later in (0.0, 0.001, 60.0)}
    assert len(bodies) == 3
    assert CLOUDFRONT.requests(TAGS, WALL) != CLOUDFRONT.requests(EdgePurge(tags=("x",)), WALL)


#: Of Amazon's test suite for signers, by the name of the case.
VECTORS: dict[str, tuple[str, str, tuple[tuple[str, str], ...], bytes, str]] = {
    "get-vanilla": (
        "GET", "/", (), b"",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "post-vanilla": (
        "POST", "/", (), b"",
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    "get-vanilla-query-order-key-case": (
        "GET", "/?Param2=value2&Param1=value1", (), b"",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "get-header-key-duplicate": (
        "GET", "/", (("My-Header1", "value2,value2,value1"),), b"",
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    "post-x-www-form-urlencoded": (
        "POST", "/", (("Content-Type", "application/x-www-form-urlencoded"),), b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VECTORS)
def test_published_vectors(name: str) -> None:
    method, path, given, body, wanted = VECTORS[name]
    fields = signed(
        method, f"https://example.amazonaws.com{path}", given, body,
        wall=WALL, who=KEYS, region="us-east-1", service="service",
    )  # fmt: skip
    assert dict(fields)["Authorization"].rpartition("=")[2] == wanted


def test_a_session_token_is_signed() -> None:
    who = Credentials("A", "b", "a-session-token")
    fields = dict(
        signed("GET", "https://x.example/", (), b"", wall=WALL, who=who, region="r", service="s")
    )
    assert fields["X-Amz-Security-Token"] == "a-session-token"
    assert "host;x-amz-date;x-amz-security-token," in fields["Authorization"]


ANSWERS: list[tuple[EdgePurger, EdgeAnswer, str]] = [
    *((edge, EdgeAnswer(429, {"retry-after": "7"}), "later") for edge in EVERY),
    *((edge, EdgeAnswer(503), "later") for edge in EVERY),
    *((edge, EdgeAnswer(403), "later") for edge in EVERY),
    *((edge, EdgeAnswer(400), "refused") for edge in EVERY),
    *((edge, EdgeAnswer(302, {"location": "http://10.0.0.1/"}), "refused") for edge in EVERY),
    (CLOUDFLARE, EdgeAnswer(200, {}, b'{"success": true}'), "done"),
    (CLOUDFLARE, EdgeAnswer(200, {}, b'{"success": false}'), "refused"),
    (CLOUDFLARE, EdgeAnswer(200, {}, b"[" * 100_000), "later"),
    (CLOUDFLARE, EdgeAnswer(200, {}, b"null"), "refused"),
    (FASTLY, EdgeAnswer(200, {}, b'{"status": "ok"}'), "done"),
    (BUNNY, EdgeAnswer(204), "done"),
    (CLOUDFRONT, EdgeAnswer(201), "done"),
    (CLOUDFRONT, EdgeAnswer(400, {}, b"<Code>TooManyInvalidationsInProgress</Code>"), "later"),
]  # fmt: skip


@pytest.mark.parametrize(("edge", "answer", "wanted"), ANSWERS)
def test_answers(edge: EdgePurger, answer: EdgeAnswer, wanted: str) -> None:
    verdict = edge.judge(answer)
    assert verdict.outcome == wanted
    if answer.status == 429:
        assert verdict.after == 7.0


@pytest.mark.parametrize("text", ["", "-1", "soon", "1e9", "9" * 400, "Fri, 31 Dec 1999 23:59:59"])
def test_a_retry_after_that_is_none(text: str) -> None:
    assert FASTLY.judge(EdgeAnswer(429, {"retry-after": text})).after is None


WRONG: list[tuple[Any, dict[str, Any]]] = [
    (Cloudflare, {"zone": TOKEN, "token": ZONE}),
    (Cloudflare, {"zone": ZONE, "token": TOKEN + "\n"}),
    (Cloudflare, {"zone": ZONE, "token": TOKEN, "plan": "gold"}),
    (Cloudflare, {"zone": ZONE, "token": None}),
    (Cloudflare, {"zone": ZONE, "token": TOKEN, "name": "A name"}),
    (Fastly, {"service": TOKEN, "token": SERVICE}),
    (Fastly, {"service": SERVICE, "token": TOKEN, "all_tag": "a b"}),
    (Bunny, {"zone": TOKEN, "key": TOKEN}),
    (Bunny, {"zone": 0, "key": TOKEN}),
    (Bunny, {"zone": 1, "key": f"{TOKEN} "}),
    (CloudFront, {"distribution": TOKEN, "credentials": KEYS}),
    (CloudFront, {"distribution": "E1", "credentials": TOKEN}),
    (CloudFront, {"distribution": "E1", "credentials": Credentials("A", TOKEN + "\0")}),
    (CloudFront, {"distribution": "E1", "credentials": KEYS, "soft_as_hard": 1}),
]


@pytest.mark.parametrize(("kind", "options"), WRONG)
def test_what_cannot_work_is_refused_and_shows_no_secret(kind: Any, options: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kind(**options)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("edge", EVERY, ids=lambda edge: edge.name)
def test_secrets_are_not_shown(edge: EdgePurger) -> None:
    shown = repr(edge) + "".join(map(repr, edge.requests(TAGS, WALL))) + repr(KEYS)
    assert TOKEN not in shown
    assert KEYS.secret_key not in shown


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=16, max_size=80))
def test_no_secret_is_shown_whatever_it_is(secret: str) -> None:
    keys = Credentials("AKIDEXAMPLE", secret, secret)
    edges: list[EdgePurger] = [
        Cloudflare(zone=ZONE, token=secret), Fastly(service=SERVICE, token=secret),
        Bunny(zone=1, key=secret), CloudFront(distribution="E1", credentials=keys),
    ]  # fmt: skip
    for edge in edges:
        assert secret not in f"{edge!r} {edge} {edge.requests(TAGS, WALL)!r} {keys}"
    for kind, words in (
        (Cloudflare, {"zone": ZONE, "token": f"{secret}\n"}), (Bunny, {"zone": secret, "key": "x"}),
        (Fastly, {"service": f"{secret}.", "token": "x"}),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError) as caught:
            kind(**words)  # type: ignore[arg-type] # wrong on purpose
        assert secret not in str(caught.value)


def test_a_secret_may_change() -> None:
    tokens = iter(["first", "second"])
    edge = Fastly(service=SERVICE, token=lambda: next(tokens))
    assert [dict(edge.requests(TAGS, WALL)[0].fields)["Fastly-Key"] for _ in range(2)] == [
        "first", "second",
    ]  # fmt: skip


def test_what_a_library_says_is_not_repeated() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"with {request.headers}")

    transport = HttpxTransport(httpx.MockTransport(fail))
    with pytest.raises(TransportError) as caught:
        transport.send(FASTLY.requests(TAGS, WALL)[0])
    assert str(caught.value) == "ConnectError"
    assert caught.value.__suppress_context__
    transport.close()


def test_redirections_are_not_followed_and_long_answers_not_read() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(
            302, headers={"Location": "http://127.0.0.1/"}, content=b"x" * 200_000
        )

    transport = HttpxTransport(httpx.MockTransport(answer))
    told = transport.send(FASTLY.requests(ALL, WALL)[0])
    assert (told.status, len(told.body), len(seen)) == (302, 1 << 16, 1)
    transport.close()


def test_bodies_are_json() -> None:
    """Whatever a tag holds, it ends where it ends."""
    body = FASTLY.requests(EdgePurge(tags=('"], "x": ["',)), WALL)[0].body
    assert json.loads(body) == {"surrogate_keys": ['"], "x": ["']}
