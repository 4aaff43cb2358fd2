"""What regionware does to the head of the application's response. No I/O here."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from regionware.at_edges import for_edges_alone, in_common, tightened, written
from regionware.caching.entry import Entry
from regionware.caching.freshness import Values, explicit_lifetime
from regionware.edge import ASK, FORBIDDING, NO_CONTROL, NOBODY, TARGETED
from regionware.forwarding.ways import is_order
from regionware.http.content import disagrees
from regionware.http.directives import CacheControl, parse_cache_control
from regionware.policies.table import render
from regionware.seeing import is_public, lost, shown, written_by
from regionware.serving import Reply

if TYPE_CHECKING:
    from regionware.exchange import Exchange
    from regionware.validating import RawFields


@dataclass(slots=True)
class HeadEdits:
    """What is done to a response's head.

    Attributes:
        remove: lower-case names of the fields to remove.
        add: the fields to add.
        copy: how many bytes of the body to copy at most; 0 for none.
        reply: what is sent instead of the application's response.
    """

    remove: frozenset[str] = frozenset()
    add: list[tuple[str, str]] = field(default_factory=list)
    copy: int = 0
    reply: Reply | None = None
    _encoded: list[tuple[bytes, bytes]] | None = None

    @property
    def encoded(self) -> list[tuple[bytes, bytes]]:
        """The added fields as octets."""
        if self._encoded is None:
            self._encoded = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in self.add]
        return self._encoded


NO_EDITS = HeadEdits()
_FRESHNESS = frozenset({"cache-control", "expires", "pragma"})
#: Why our own cache is bypassed, where no other may keep the answer either.
_PERSONAL = frozenset({"path", "host", "cookie", "authorization", "authorize", "session", "body"})
_NEVER_SHARED = frozenset({"path", "host", "session"})
#: Where parameters that do not count have been taken from the request.
_NORMALISED = frozenset({"", "uncacheable", "miss"})
_CACHEABLE = frozenset({"GET", "HEAD"})
#: The fields that tell caches how long, in lower case.
LIFETIMES = _FRESHNESS | TARGETED
_SIGNED = TARGETED | frozenset(
    {
        "age",
        "cache-control",
        "content-range",
        "content-type",
        "expires",
        "pragma",
        "regionware-cache-control",
        "set-cookie",
        "vary",
    }
)


def signature(status: int, values: Values) -> object:
    """What of a head decides, where neither its age nor its length does."""
    return (status, *[(name, values[name]) for name in values if name in _SIGNED])


def dress(
    exchange: "Exchange", status: int, values: Values, stored: Entry | None = None
) -> HeadEdits:
    """The fields for this response, by the first rule that applies.

    1. It changes the session's token, or was made in another region; or on a route with a policy it
       sets a cookie, answers an ambiguous path or a host that is not listed, sends a page under the
       name of a static file, or answers what our own cache would not keep for being personal:
       nobody may keep it. By the book a cookie, and what is named how, are the application's own
       affair.
    2. The route promises what sessions have seen, which only we know: no edge may keep it, and
       browsers ask each time.
    3. The route has a `Cdn`: its fields, tightened by the application's.
    4. The route has a `Cache(ttl=...)` and the application is silent: browsers ask each time.
    5. It has one, and the application says something to edges alone: it is said where all of them
       read it. By the book, the application's own fields stand.
    """
    plan = exchange.plan
    edits = HeadEdits()
    token = settle(exchange, values)
    if token or exchange.away or (not plan.idle_head and _is_personal(exchange, status, values)):
        edits.add += [*token, ("cache-control", NOBODY)]
        edits.remove = LIFETIMES
    elif plan.edge is None and plan.sees and not plan.yields and _is_open(exchange, values):
        edits.add.append(("cache-control", ASK))
        edits.remove = LIFETIMES
    elif plan.edge is not None:
        if exchange.request.method in _CACHEABLE:
            _for_edge(exchange, edits, status, values, stored)
    elif plan.keys is not None and not plan.is_standard:
        _in_common(exchange, edits, status, values)
    if plan.keys is not None:
        _vary(edits, plan.keys.vary, values)
        if plan.keys.search and exchange.bypass in _NORMALISED and "no-vary-search" not in values:
            edits.add.append(("no-vary-search", plan.keys.search))
        status_field = cache_status(exchange)
        told = exchange.provenance(status_field)
        edits.add.append(("cache-status", exchange.keyed(status_field) if told else status_field))
        for name, value in told:
            edits.add.append((name.decode(), value.decode("latin-1")))
    else:
        for name, value in exchange.provenance("regionware; fwd=bypass; detail=route"):
            edits.add.append((name.decode(), value.decode("latin-1")))
    return edits


def cache_status(exchange: "Exchange") -> str:
    """An exchange's member of `Cache-Status` (RFC 9211), when the application answers."""
    filling, bypass = exchange.filling, exchange.bypass
    if filling is None or (bypass and filling.lifetime is None):
        if bypass == "miss":
            return f"regionware; fwd={forwarded(exchange)}"
        if bypass in {"method", "request"}:
            return f"regionware; fwd={bypass}"
        return f"regionware; fwd=bypass; detail={bypass}"
    outcome = "stored" if filling.lifetime is not None else f"detail={filling.reason}"
    return f"regionware; fwd={forwarded(exchange)}; {outcome}"


def forwarded(exchange: "Exchange") -> str:
    """Why what is stored was not enough (RFC 9211, section 2.2)."""
    if exchange.known is None:
        return "miss"
    return "request" if exchange.rejected else "stale"


def settle(exchange: "Exchange", values: Values | None = None) -> list[tuple[str, str]]:
    """The fields that carry the session's token, if this response changes it.

    Args:
        exchange: the request.
        values: the deciding fields of the application's response, if it is that.
    """
    state, plan, sessions = exchange.state, exchange.plan, exchange.prepared.sessions
    told = state is not None and (state.writes > 0 or state.orphaned)
    if not told and (not plan.raises or (plan.yields and values is not None and is_public(values))):
        return []
    return sessions.issue(
        exchange.request, exchange.token, written_by(exchange),
        lost=lost(exchange), seen=shown(exchange) if plan.raises else None,
    )  # fmt: skip


def orders(exchange: "Exchange", headers: "RawFields") -> frozenset[str]:
    """The fields that have a platform send the request again, on a route that does not ask for it.

    Whoever can make an application send such a field could have it carry out anything.
    """
    write = exchange.plan.write
    own = "" if write is None else write.strategy
    found = set()
    for name, value in headers:
        lower = _text(name).lower()
        if lower in exchange.prepared.ways.orders and is_order(lower, _text(value), own):
            found.add(lower)
    return frozenset(found)


def _text(octets: bytes | str) -> str:
    return octets if isinstance(octets, str) else octets.decode("latin-1")


def _is_personal(exchange: "Exchange", status: int, values: Values) -> bool:
    if exchange.plan.is_standard and exchange.plan.edge is None:
        return exchange.bypass in _NEVER_SHARED
    if "set-cookie" in values or exchange.bypass in _PERSONAL:
        return True
    if mismatches(exchange, status, values):
        return True
    return exchange.plan.edge is not None and exchange.prepared.is_suspect(exchange.request)


def mismatches(exchange: "Exchange", status: int, values: Values) -> bool:
    """Whether a page is sent under the name of a static file, where the route goes by names."""
    plan = exchange.plan
    if not plan.compiled.by_name or not 200 <= status < 300:
        return False  # errors and redirections have pages of their own, under any name
    if plan.is_standard and plan.edge is None:
        return False
    return disagrees(exchange.request.path, values.get("content-type", ("",))[0])


def _is_open(exchange: "Exchange", values: Values) -> bool:
    """Whether anybody may keep a response, as far as the application says."""
    if exchange.request.method not in _CACHEABLE:
        return False
    control = parse_cache_control(values.get("cache-control", ()))
    return not any(word in control for word in FORBIDDING)


def _silent(exchange: "Exchange", status: int, values: Values) -> bool:
    """Whether a response of a cached route would leave browsers and edges to guess a lifetime."""
    if exchange.plan.keys is None or exchange.plan.is_standard:
        return False
    return exchange.request.method in _CACHEABLE and status < 400 and not _FRESHNESS & values.keys()


def _for_edge(
    exchange: "Exchange", edits: HeadEdits, status: int, values: Values, stored: Entry | None
) -> None:
    """The fields of a route's `Cdn`; for what is stored, whatever a 304 has left out of its own."""
    edge = exchange.plan.edge
    if edge is None:
        return
    cache = exchange.plan.compiled.route.cache
    personal = "authorization" in exchange.request.special
    forbids, _ = for_edges_alone(values)
    varying = values.get("vary", ()) or ((stored.field(b"vary") or "",) if stored else ())
    varies = [name for line in varying for name in line.split(",")]
    shared_word = cache is not None and cache.shared
    if (personal and not shared_word) or forbids or edge.mixes(varies):
        # RFC 9111, section 3.5: a shared cache may not keep it unless somebody says so. And what
        # the application forbids to edges alone must be forbidden where all of them read it; what
        # they would not keep apart too.
        edits.add.append(("cache-control", NOBODY))
        edits.remove = LIFETIMES
        return
    control, lifetime = _said(exchange, values)
    own = control
    if TARGETED & values.keys():
        control = tightened(own or NO_CONTROL, values, lifetime)
        if control.directives == (own or NO_CONTROL).directives:
            control = own
    tags = render(exchange.plan.cdn_tags, exchange.plan.compiled.arguments(exchange.request.path))
    more = {*(exchange.state.tags if exchange.state else ()), *(stored.tags if stored else ())}
    tags, variance = (*tags, *sorted(more - set(tags))), _variance(exchange)
    fields = edge.fields(
        status, control, tags, lifetime, path=exchange.request.path, variance=variance
    )
    if not fields:
        # The application's own word stands, and no targeted field may loosen it.
        edits.remove = TARGETED
        own_word = "cache-control" in values or control is None
        rewritten = control if control is not own else None
        beside: list[tuple[str, str]] | None = []
        if control is None or not any(word in control for word in FORBIDDING):
            # It is one of an error, or of a redirection for once, which edges may keep.
            beside = edge.beside(tags, variance)
        if beside is None or not own_word or (rewritten is not None and rewritten.malformed):
            # It forbids by Pragma alone, beside which many edges keep what has no Cache-Control.
            fields = [("cache-control", NOBODY)]
        elif rewritten is not None and not any(word in rewritten for word in FORBIDDING):
            fields = [("cache-control", written(rewritten)), *beside]
        else:
            fields = beside
    edits.add += fields
    if any(name == "cache-control" for name, _ in fields):
        edits.remove = LIFETIMES


def _in_common(exchange: "Exchange", edits: HeadEdits, status: int, values: Values) -> None:
    """What all edges read where no `Cdn` speaks: not to guess, and what is said to some alone."""
    if _silent(exchange, status, values):
        edits.add.append(("cache-control", ASK))
        return
    if exchange.request.method not in _CACHEABLE or not TARGETED & values.keys():
        return
    control, lifetime = _said(exchange, values)
    authorized = "authorization" in exchange.request.special
    text = in_common(control or NO_CONTROL, values, lifetime, authorized=authorized)
    if text is not None:
        edits.add.append(("cache-control", text))
        edits.remove = frozenset({"cache-control"})


def _variance(exchange: "Exchange") -> list[tuple[str, str]] | None:
    """The fields by which edges keep this answer's region apart from the others."""
    variance = exchange.plan.variance
    if variance is None:
        return None
    request = exchange.request
    return variance.fields(request, exchange.prepared.resolver.resolve(request))


def _said(exchange: "Exchange", values: Values) -> tuple[CacheControl | None, float | None]:
    """What the application says of freshness: its `Cache-Control`, and its explicit lifetime."""
    if "cache-control" in values:
        control = parse_cache_control(values["cache-control"])
        return control, explicit_lifetime(values, control, exchange.prepared.wall())
    if "pragma" in values and "no-cache" in ",".join(values["pragma"]).lower():
        return parse_cache_control(("no-cache",)), None
    return None, explicit_lifetime(values, NO_CONTROL, exchange.prepared.wall())


def _vary(edits: HeadEdits, names: tuple[str, ...], values: Values) -> None:
    if names:
        known = {
            name.strip().lower() for line in values.get("vary", ()) for name in line.split(",")
        }
        missing = [name for name in names if name not in known]
        if missing and "*" not in known:
            edits.add.append(("vary", ", ".join(missing)))
