"""What a request is varied by: inputs that applications are known to read unasked. No I/O here.

The fields are those of the cache-poisoning literature (Kettle, "Practical Web Cache Poisoning",
2018, and "Web Cache Entanglement", 2020), those by which platforms tell of a client, and some that
nobody has heard of. Values carry a mark, so that whoever reads a report finds them in the answer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

Category = Literal["header", "query", "cookie", "peer", "identity"]
Field = tuple[str, str]

#: Fields, and values of which one stands for many: `{mark}` is another word in each audit.
HEADERS: Final[tuple[Field, ...]] = (
    ("Forwarded", "for=203.0.113.7;host={mark}.example;proto=https"),
    ("Front-End-Https", "on"),
    ("X-Forwarded-For", "203.0.113.7"),
    ("X-Forwarded-Host", "{mark}.example"),
    ("X-Forwarded-Method", "DELETE"),
    ("X-Forwarded-Port", "8443"),
    ("X-Forwarded-Prefix", "/{mark}"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Scheme", "nothttps"),
    ("X-Forwarded-Server", "{mark}.example"),
    ("X-Forwarded-Ssl", "on"),
    ("X-Forwarded-Uri", "/{mark}"),
    ("X-Host", "{mark}.example"),
    ("X-HTTP-Host-Override", "{mark}.example"),
    ("X-HTTP-Method", "DELETE"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("X-Method-Override", "DELETE"),
    ("X-Original-Host", "{mark}.example"),
    ("X-Original-URL", "/{mark}"),
    ("X-Rewrite-URL", "/{mark}"),
    ("X-Script-Name", "/{mark}"),
    ("X-Url-Scheme", "nothttps"),
    ("X-Real-IP", "203.0.113.7"),
    ("True-Client-IP", "203.0.113.7"),
    ("CF-Connecting-IP", "203.0.113.7"),
    ("Fastly-Client-IP", "203.0.113.7"),
    ("Fly-Client-IP", "203.0.113.7"),
    ("CF-IPCountry", "DE"),
    ("CloudFront-Viewer-Country", "DE"),
    ("CloudFront-Is-Mobile-Viewer", "true"),
    ("Fly-Region", "fra"),
    ("X-AppEngine-Country", "DE"),
    ("X-Country-Code", "DE"),
    ("X-Region", "{mark}"),
    ("X-Vercel-IP-Country", "DE"),
    ("Accept", "application/json"),
    ("Accept-Charset", "iso-8859-1"),
    ("Accept-Encoding", "gzip, br"),
    ("Accept-Language", "fr-CA, fr;q=0.9"),
    ("Content-Type", "application/json"),
    ("DNT", "1"),
    ("Origin", "https://{mark}.example"),
    ("Prefer", "return=minimal"),
    ("Referer", "https://{mark}.example/"),
    ("Save-Data", "on"),
    ("Sec-CH-Prefers-Color-Scheme", "dark"),
    ("Sec-CH-UA-Mobile", "?1"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-GPC", "1"),
    ("Sec-Purpose", "prefetch"),
    ("Upgrade-Insecure-Requests", "1"),
    ("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) {mark}"),
    ("Via", "1.1 {mark}"),
    ("X-Requested-With", "XMLHttpRequest"),
    ("X-Wap-Profile", "https://{mark}.example/"),
    ("Authorization", "Bearer {mark}"),
    ("Remote-User", "{mark}"),
    ("X-Api-Key", "{mark}"),
    ("X-Auth-User", "{mark}"),
    ("X-Debug", "1"),
    ("X-Tenant", "{mark}"),
    ("X-User", "{mark}"),
    ("X-User-Id", "7"),
    ("X-Padding", "x" * 9000),
)
COOKIES: Final = (
    "_ga", "ab_test", "cart", "csrftoken", "currency", "lang", "locale", "session", "sessionid",
    "sid", "theme", "token", "user",
)  # fmt: skip
PARAMETERS: Final = (
    "_method", "callback", "debug", "fbclid", "gclid", "lang", "locale", "mc_cid", "preview", "ref",
    "theme", "utm_campaign", "utm_content", "utm_source", "v",
)  # fmt: skip
#: RFC 5737 and RFC 3849: addresses that are nobody's.
PEERS: Final = ("203.0.113.7", "2001:db8::7")
#: How many inputs of each kind have names that nobody has heard of.
_UNHEARD: Final = 3


@dataclass(frozen=True, slots=True)
class Input:
    """One thing by which a request is varied.

    Attributes:
        category: of what kind it is.
        name: what a report calls it.
        headers: fields that are set.
        query: what is added to the query.
        cookie: what is added to `Cookie`.
        peer: the address that the request comes from.
    """

    category: Category
    name: str
    headers: tuple[Field, ...] = ()
    query: str = ""
    cookie: str = ""
    peer: str | None = None


def inputs(seed: int, patterns: Sequence[str] = (), query: str = "") -> list[Input]:
    """All of them, the same for the same seed.

    Args:
        seed: of the names and marks.
        patterns: parameters that do not count on the route, such as `utm_*`.
        query: the example's own.
    """
    dice = Random(seed)  # noqa: S311 - words for a report, no secrets
    return [*_headers(dice), *_parameters(dice, patterns, query), *_cookies(dice), *_peers()]


def _word(dice: Random) -> str:
    return f"rw{dice.getrandbits(40):010x}"


def _headers(dice: Random) -> Iterator[Input]:
    unheard = [(f"X-{_word(dice)}", "{mark}") for _ in range(_UNHEARD)]
    for name, value in (*HEADERS, *unheard):
        told = value.replace("{mark}", _word(dice))
        yield Input("header", name, headers=((name, told),))


def _parameters(dice: Random, patterns: Sequence[str], query: str) -> Iterator[Input]:
    ignored = [pattern.replace("*", _word(dice)).replace("?", "x") for pattern in patterns]
    own = [part.partition("=")[0] for part in query.split("&") if part]
    unheard = [_word(dice) for _ in range(_UNHEARD)]
    for name in dict.fromkeys((*PARAMETERS, *ignored, *own, *unheard)):
        value = "DELETE" if name == "_method" else _word(dice)
        yield Input("query", name, query=f"{name}={value}")
        # For whom a semicolon separates, a second parameter hides in the first.
        yield Input("query", f"{name};", query=f"{name}={value};{_word(dice)}={_word(dice)}")


def _cookies(dice: Random) -> Iterator[Input]:
    for name in (*COOKIES, *(_word(dice) for _ in range(_UNHEARD))):
        yield Input("cookie", name, cookie=f"{name}={_word(dice)}")


def _peers() -> Iterator[Input]:
    return (Input("peer", address, peer=address) for address in PEERS)
