"""Small models of edges, from what is known of their behaviour and without a look at our code.

Where it is not known what an edge does, it does the worst. A model is told a response and says for
how long it would keep it, for whom, and by which tags it could purge it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Fields = Mapping[str, str]
Control = dict[str, str]

FOREVER = 10**9
DAY = 86_400
PRIVATE = {"private", "no-store", "no-cache"}
STRICT = {"s-maxage", "must-revalidate", "proxy-revalidate"}


@dataclass(frozen=True)
class Kept:
    """What an edge keeps.

    Attributes:
        fresh: seconds.
        revalidate: seconds after that, in which it may be served while it is refreshed.
        error: seconds after that, in which it may be served while the application fails.
        tags: the tags by which it can be purged.
        cookie: a `Set-Cookie` is kept with it.
    """

    fresh: int
    revalidate: int = 0
    error: int = 0
    tags: frozenset[str] = field(default_factory=frozenset)
    cookie: bool = False


def control(text: str | None) -> Control:
    """Directives as a careless cache reads them."""
    found: Control = {}
    for part in (text or "").lower().split(","):
        name, _, value = part.strip().partition("=")
        if name:
            found[name] = value.strip('"')
    return found


def number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def shared(directives: Control) -> int:
    return number(directives.get("s-maxage", directives.get("max-age")))


def tags_of(fields: Fields, name: str, separator: str, total: int, count: int) -> frozenset[str]:
    """Tags as the edge knows them; those past its limits are lost in silence."""
    text = fields.get(name, "")[:total]
    return frozenset([tag.strip() for tag in text.split(separator) if tag.strip()][:count])


def by_control(
    fields: Fields, *, nothing: int = 0, windows: bool = True, cookie: bool = False
) -> Kept | None:
    """A cache that reads `Cache-Control`, and keeps for `nothing` seconds what says nothing."""
    if "set-cookie" in fields and not cookie:
        return None
    said = control(fields.get("cache-control"))
    if PRIVATE & said.keys():
        return None
    if not said and "expires" not in fields:
        return Kept(nothing, cookie="set-cookie" in fields) if nothing else None
    fresh = shared(said) if said else DAY
    stale = {} if STRICT & said.keys() or not windows else said
    return Kept(
        fresh,
        number(stale.get("stale-while-revalidate")),
        number(stale.get("stale-if-error")),
        cookie="set-cookie" in fields,
    )


def by_targets(fields: Fields, *names: str, cookie: bool = False, sie: bool = True) -> Kept | None:
    """A cache that reads targeted fields first (RFC 9213), and then ignores everything else."""
    for name in names:
        said = control(fields.get(name))
        if said:
            if PRIVATE & said.keys() or ("set-cookie" in fields and not cookie):
                return None
            return Kept(
                shared(said),
                number(said.get("stale-while-revalidate")),
                number(said.get("stale-if-error")) if sie else 0,
                cookie="set-cookie" in fields,
            )
    return by_control(fields, cookie=cookie)


def cloudflare(fields: Fields) -> Kept | None:
    names = ["cloudflare-cdn-cache-control", "cdn-cache-control", "surrogate-control"]
    return by_targets(fields, *names)


def fastly(fields: Fields) -> Kept | None:
    """`Surrogate-Control` beats even a private `Cache-Control`."""
    return by_targets(fields, "surrogate-control")


def vercel(fields: Fields) -> Kept | None:
    return by_targets(fields, "vercel-cdn-cache-control", "cdn-cache-control", sie=False)


def netlify(fields: Fields) -> Kept | None:
    """A cookie is kept as it is."""
    return by_targets(
        fields, "netlify-cdn-cache-control", "cdn-cache-control", cookie=True, sie=False
    )


def akamai(fields: Fields) -> Kept | None:
    found = re.search(r"cache-maxage=(\d+)([smhd]?)", fields.get("edge-control", ""))
    if found:
        unit = {"": 1, "s": 1, "m": 60, "h": 3600, "d": DAY}[found[2]]
        return Kept(int(found[1]) * unit, cookie="set-cookie" in fields)
    return by_control(fields, windows=False, cookie=True)


def nginx(fields: Fields) -> Kept | None:
    """`X-Accel-Expires` beats even a private `Cache-Control`."""
    if "x-accel-expires" in fields and "set-cookie" not in fields:
        return Kept(number(fields["x-accel-expires"]))
    return by_control(fields)


def varnish(fields: Fields) -> Kept | None:
    """As it comes: it reads no targeted field, and guesses two minutes."""
    return by_control(fields, nothing=120)


def varnish_with_vcl(fields: Fields) -> Kept | None:
    if PRIVATE & control(fields.get("cache-control")).keys():
        return None
    return by_targets(fields, "cdn-cache-control")


def surrogate(fields: Fields) -> Kept | None:
    """What a VCL that is often copied does."""
    return by_targets(fields, "surrogate-control")


def generic(fields: Fields) -> Kept | None:
    """Caches that keep cookies, such as Squid, HAProxy and Traffic Server."""
    return by_control(fields, cookie=True)


def souin(fields: Fields) -> Kept | None:
    return by_targets(fields, "cdn-cache-control", cookie=True)


def azure(fields: Fields) -> Kept | None:
    return by_control(fields, nothing=3 * DAY, windows=False)


def bunny(fields: Fields) -> Kept | None:
    return by_control(fields, nothing=30 * DAY, windows=False, cookie=True)


def google(fields: Fields) -> Kept | None:
    return by_control(fields)


def cloudfront(fields: Fields) -> Kept | None:
    return by_control(fields, nothing=DAY, cookie=True)


def nobody(fields: Fields) -> Kept | None:
    return None


#: They keep one answer whatever `Vary` says.
BLIND = {"azure", "bunny", "cloudflare", "cloudfront"}
#: What no edge should be trusted to keep apart.
PERSONAL = {"cookie", "authorization", "*"}


def mixed(vendor: str, fields: Fields) -> frozenset[str]:
    """The fields in `Vary` by which an edge does not keep answers apart."""
    names = {name.strip().lower() for name in fields.get("vary", "").split(",")}
    blind = names if vendor in BLIND else names & PERSONAL
    return frozenset(blind - {"", "accept-encoding"})


#: Every edge reads what was written for any other: nobody knows who stands where.
EDGES: dict[str, Callable[[Fields], Kept | None]] = {
    "akamai": akamai, "azure": azure, "bunny": bunny, "cloudflare": cloudflare,
    "cloudfront": cloudfront, "fastly": fastly, "fly": nobody, "google": google,
    "netlify": netlify, "nginx": nginx, "varnish": varnish, "vercel": vercel,
    "varnish with our VCL": varnish_with_vcl, "a VCL with Surrogate-Control": surrogate,
    "a cache that keeps cookies": generic, "a cache by RFC 9213": souin,
}  # fmt: skip

#: The field of the tags, what separates them, octets in all, and their number.
TAGS: dict[str, tuple[str, str, int, int]] = {
    "akamai": ("edge-cache-tag", ",", 8192, 128), "bunny": ("cdn-tag", ",", 1024, FOREVER),
    "cloudflare": ("cache-tag", ",", 16 * 1024, 1000), "cloudfront": ("cache-tag", ",", 8192, 50),
    "fastly": ("surrogate-key", " ", 16_384, FOREVER), "google": ("cache-tag", ",", 4096, 50),
    "netlify": ("netlify-cache-tag", ",", 8192, 500), "varnish": ("xkey", " ", 8000, FOREVER),
    "vercel": ("vercel-cache-tag", ",", 8192, 128),
}  # fmt: skip

#: Stale windows that an edge grants by itself: seconds, unless `Cache-Control` says how many.
GRANTED: dict[str, tuple[str, int]] = {
    "google": ("stale-while-revalidate", DAY),
    "varnish": ("stale-while-revalidate", 10),
    "cloudfront": ("stale-if-error", FOREVER),
}


def granted(vendor: str, fields: Fields) -> int:
    """Seconds of a stale window that nobody has asked for."""
    name, seconds = GRANTED.get(vendor, ("", 0))
    said = control(fields.get("cache-control"))
    return number(said[name]) if name in said else seconds


def browser(fields: Fields) -> Kept | None:
    """A browser: private answers are its own; targeted fields are nothing to it."""
    said = control(fields.get("cache-control"))
    if "no-store" in said:
        return None
    if "no-cache" in said:
        return Kept(0)
    return Kept(
        number(said.get("max-age")),
        number(said.get("stale-while-revalidate")),
        number(said.get("stale-if-error")),
    )
