"""What an answer may depend on, as a key. No I/O here.

What is not in the key is not in the request: whatever does not count is removed before the
application sees it, and a request that carries anything else bypasses the cache.
"""

import re
from collections.abc import Callable
from fnmatch import fnmatchcase, translate
from hashlib import blake2b
from urllib.parse import unquote_plus

from regionware.caching.carried import read_by
from regionware.caching.entry import Key
from regionware.http.fields import parse_cookies, vary_value
from regionware.http.hosts import Hosts
from regionware.http.paths import is_ambiguous
from regionware.http.request import Request, RequestEdits
from regionware.locate.border import nameless, spelled
from regionware.locate.forgeable import STEERING, TELLING
from regionware.policies.cache import Cache

#: Fields that rewrite a request for some framework; believed from trusted peers only.
REWRITING = frozenset(
    {
        "forwarded",
        "front-end-https",
        "x-forwarded-host",
        "x-forwarded-method",
        "x-forwarded-path",
        "x-forwarded-uri",
        "x-script-name",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-proto",
        "x-forwarded-scheme",
        "x-forwarded-server",
        "x-forwarded-ssl",
        "x-host",
        "x-http-host-override",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-host",
        "x-original-url",
        "x-rewrite-url",
        "x-wap-profile",
    }
)

#: Fields on which the look-up itself depends.
LOOKUP = frozenset(
    {
        "authorization",
        "cache-control",
        "content-length",
        "cookie",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "pragma",
        "range",
        "transfer-encoding",
    }
)

#: Cookies that only a script in the browser reads. From the vendors' documentation, 2026-11.
ANALYTICS = (
    "_ga",
    "_ga_*",
    "_gid",
    "_gat*",
    "_gcl_*",
    "_fbp",
    "_fbc",
    "_hj*",
    "_pk_*",
    "__utm*",
    "_clck",
    "_clsk",
    "_uetsid",
    "_uetvid",
    "ajs_*",
    "amplitude_*",
    "mp_*",
)

_EXPECTED = frozenset({"host"})

#: Fields that tell an application where a client is, or steer it: not in the key, unless named.
UNKEYED = TELLING | STEERING
UNKEYED |= spelled(UNKEYED | REWRITING)


class Screened:
    """A request, judged: its key, or why it must bypass the cache; and what it loses.

    Attributes:
        key: the key, `None` for a bypass.
        reason: why it bypasses, an empty string for a key.
        edits: what is taken from the request before the application sees it.
    """

    __slots__ = ("edits", "key", "reason")

    def __init__(self, key: Key | None, reason: str, edits: RequestEdits | None) -> None:
        """Keep the three."""
        self.key = key
        self.reason = reason
        self.edits = edits


class KeyPlan:
    """How the keys of one route are made, prepared at start."""

    def __init__(
        self,
        cache: Cache,
        *,
        session: frozenset[str],
        trusts: bool,
        region: Callable[[Request], str],
        hosts: Hosts,
    ) -> None:
        """Prepare the rules.

        Args:
            cache: the route's cache policy.
            session: the names of our own cookies.
            trusts: whether forwarded fields are believed; those of strangers are gone by then.
            region: the client's region, for `by="region"`.
            hosts: those that answers are stored for.
        """
        self.cache = cache
        self._hosts = hosts
        self._session = session
        self._trusts = trusts
        fields = [
            *cache.vary,
            *(d for d in cache.dimensions if isinstance(d, str) and d != "region"),
        ]
        self.fields = tuple(dict.fromkeys(name.lower() for name in fields))
        self._unkeyed = UNKEYED - set(self.fields)
        varying = {name.lower() for name in cache.vary}
        self._dimensions: list[Callable[[Request], str]] = [
            _variant(name) if name in varying else _field(name) for name in self.fields
        ]
        self._own = [d for d in cache.dimensions if callable(d)]
        self._functions = [region for d in cache.dimensions if d == "region"] + self._own
        self._dimensions += self._functions
        self._cookies = () if isinstance(cache.cookies, str) else tuple(cache.cookies)
        self._ignored = tuple(cache.ignore_query)
        self._any_query = cache.search is None and not self._ignored
        self.plain = (
            self._any_query
            and not self._dimensions
            and not self._cookies
            and cache.authorize is None
        )
        #: And whatever is stored is the whole answer, which is the same for every client.
        self.quick = self.plain and not cache.compress
        #: The client's region is part of the key.
        self.by_region = "region" in cache.dimensions
        #: The response's `Vary`, as far as we make the answer depend on request fields.
        own = (("cookie",) if self._cookies else ()) + (
            ("accept-encoding",) if cache.compress else ()
        )
        self.vary = tuple(dict.fromkeys((*self.fields, *own)))
        #: The response's `No-Vary-Search`, where the policy says which parameters count.
        self.search = cache.search.field() if cache.search is not None else ""

    def screen(self, request: Request) -> Screened:
        """Judge a request."""
        special = request.special
        if self.plain and special.keys() <= _EXPECTED and not is_ambiguous(request):
            host = self._hosts.canonical(request.host, request.scheme)
            if host is not None and host == special.get("host", ""):
                return Screened(
                    (request.scheme, host, request.root + request.path, request.query), "", None
                )
        edits = RequestEdits(set())
        scheme, sent, believed = self._origin(request, edits)
        host = self._hosts.canonical(sent, scheme)
        reason = "host" if host is None else self._reason(request)
        if self.cache.is_standard:
            # By the book the request is left as it is.
            reason = reason or ("forwarded" if edits.remove else "")
            if reason or host is None:
                return Screened(None, reason, None)
            key = (scheme, host, request.root + request.path, request.query, *believed)
            return Screened(key, "", None)
        edits.remove |= self._unkeyed.intersection(special)
        cookies = self._cookie_key(request, edits)
        if cookies is None:
            reason = reason or "cookie"
        query = self.counting(request.query)
        if reason or host is None:
            # The application is to see the request as it came, but for forged fields.
            return Screened(None, reason, RequestEdits(edits.remove) if edits.remove else None)
        if query != request.query:
            edits.query = query
        self._spell(request, edits, host)
        key = (
            scheme,
            host,
            request.root + request.path,
            query,
            *believed,
            *(str(d(request)) for d in self._dimensions),
            *(cookies or ()),
        )
        return Screened(key, "", edits or None)

    def hide(self, request: Request, edits: RequestEdits | None) -> RequestEdits | None:
        """Take out what an ingress tells of one client, and the key does not have.

        It is as true as can be, and would be in the answer for everybody all the same. What the
        route names, or a function of its own reads, is in the key.

        Args:
            request: one that has a key.
            edits: what is changed in it already; not changed, as the request is read through it.
        """
        entrance = getattr(request, "entrance", None)
        if entrance is None or self.cache.is_standard:
            return edits
        telling = entrance.telling.difference(self.fields)
        if telling and self._own:
            telling -= read_by(self._own, request)
        put = {} if edits is None else edits.put
        if not telling and "forwarded" not in put:
            return edits
        put = {name: value for name, value in put.items() if name not in telling}
        known = edits or RequestEdits(set())
        edits = RequestEdits(known.remove | telling, known.cookie, known.query, put)
        if "forwarded" not in self.fields:
            nameless(edits)
        return edits

    def told(self, request: Request) -> Key:
        """The key of a request that tells nothing but a URL, on a `quick` route.

        What a proxy says of the URL must be believed: see `locate.border`. Nothing is stored under
        a host in another spelling than that of `http.hosts`, so nothing is found there.
        """
        scheme, host, believed = self._origin(request, RequestEdits(set()))
        return (scheme, host, request.root + request.path, request.query, *believed)

    @staticmethod
    def _spell(request: Request, edits: RequestEdits, host: str) -> None:
        """Let the application see the host in the spelling that is in the key."""
        special, name = request.special, "x-forwarded-host"
        told = name if name in special and name not in edits.remove else "host"
        if special.get(told, "") != host and "," not in special.get(told, ""):
            edits.put[told] = host

    def reads(self, request: Request) -> set[str]:
        """The names of the fields that this request's key is made from, but for cookies."""
        names = {*self.fields, *(request.special.keys() & REWRITING)}
        if self._functions:
            # What one of them has taken from `special` cannot be seen.
            names |= {*read_by(self._functions, request), *request.special}
        return names

    def origin(self, request: Request) -> tuple[str, str]:
        """The scheme and host under which this request's answers are stored."""
        scheme, host, _ = self._origin(request, RequestEdits(set()))
        return scheme, self._hosts.canonical(host, scheme) or host

    def _origin(self, request: Request, edits: RequestEdits) -> tuple[str, str, tuple[str, ...]]:
        """The scheme and host that clients see, and whatever else a trusted peer says of them."""
        rewriting = REWRITING.intersection(request.special)
        if not rewriting:
            return request.scheme, request.host, ()
        if not self._trusts:
            edits.remove |= rewriting
            return request.scheme, request.host, ()
        # The application may use what is believed, so all of it is part of the key.
        special = request.special
        scheme = _last(special.get("x-forwarded-proto", request.scheme)).lower()
        host = _last(special.get("x-forwarded-host", request.host)).lower()
        # Of a list the application may read any member, so the whole list counts.
        told = {"x-forwarded-proto", "x-forwarded-host"}
        others = sorted(name for name in rewriting if name not in told or "," in special[name])
        # And it may use what the peer itself has sent: a client may choose one of the two.
        own = ["host:" + special.get("host", "")] if host != request.host else []
        own += [f"scheme:{request.scheme}"] if scheme != request.scheme else []
        return scheme, host, (*(f"{name}:{special[name]}" for name in others), *own)

    def _reason(self, request: Request) -> str:
        special = request.special
        if is_ambiguous(request):
            return "path"
        if "authorization" in special and not (
            self.cache.allow_authorization or self.cache.is_standard
        ):
            return "authorization"
        if special.get("content-length", "0").strip() != "0" or "transfer-encoding" in special:
            return "body"
        if special.keys() & {"if-match", "if-unmodified-since"}:
            return "precondition"
        return ""

    def _cookie_key(self, request: Request, edits: RequestEdits) -> tuple[str, ...] | None:
        text = request.special.get("cookie")
        if text is None:
            return ("",) * len(self._cookies)
        pairs = [
            (n, v)
            for n, v in parse_cookies(text)
            if n not in self._session and not _is_analytics(n)
        ]
        kept = [(name, value) for name, value in pairs if name in self._cookies]
        if len(kept) != len(pairs) and self.cache.cookies != "ignore":
            return None
        edits.cookie = "; ".join(f"{name}={value}" for name, value in kept)
        return tuple("\n".join(v for n, v in kept if n == name) for name in self._cookies)

    def counting(self, query: str) -> str:
        """A query without what does not count."""
        if self._any_query or not query:
            return query
        if self._ignored:
            parts = (part for part in query.split("&") if not self._is_ignored(part))
            query = "&".join(parts)
        return query if self.cache.search is None else self.cache.search.normalise(query)

    def _is_ignored(self, part: str) -> bool:
        name = unquote_plus(part.partition("=")[0])
        return any(fnmatchcase(name, pattern) for pattern in self._ignored)


def _variant(name: str) -> Callable[[Request], str]:
    def value(request: Request) -> str:
        found = request.header(name)
        return "" if found is None else "=" + vary_value(name, found)

    return value


def _field(name: str) -> Callable[[Request], str]:
    """A field as it is, since it may be an identity; none is not the same as an empty one."""

    def value(request: Request) -> str:
        found = request.header(name)
        return "" if found is None else f"={found}"

    return value


def _last(value: str) -> str:
    """The last member of a list: what the trusted peer itself has said."""
    return value.rpartition(",")[2].strip()


_is_analytics = re.compile("|".join(map(translate, ANALYTICS))).match


def canonical(key: Key) -> bytes:
    """A key as octets: quoted as Python quotes text, so no two different keys look alike."""
    return repr(key).encode("ascii", "backslashreplace")


def digest(material: bytes) -> str:
    """128 bits as 32 hexadecimal digits; the frame echoes the material, to be compared."""
    return blake2b(material, digest_size=16).hexdigest()
