"""What regionware does to the head of the application's response. No I/O here."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from regionware.caching.freshness import Values, explicit_lifetime
from regionware.edge import ASK, FORBIDDING, NO_CONTROL, NOBODY, TARGETED
from regionware.forwarding.ways import is_order
from regionware.http.directives import CacheControl, parse_cache_control, parse_targeted
from regionware.http.paths import is_ambiguous
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
_PERSONAL = frozenset({"path", "cookie", "authorization", "authorize", "session", "body"})
_NEVER_SHARED = frozenset({"path", "session"})
#: Where parameters that do not count have been taken from the request.
_NORMALISED = frozenset({"", "uncacheable", "miss"})
_CACHEABLE = frozenset({"GET", "HEAD"})
#: The fields that tell caches how long, in lower case.
LIFETIMES = _FRESHNESS | TARGETED
_SIGNED = frozenset(
    {
        "age",
        "cache-control",
        "cdn-cache-control",
        "content-range",
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


def dress(exchange: "Exchange", status: int, values: Values) -> HeadEdits:
    """The fields for this response, by the first rule that applies.

    1. It changes the session's token, or was made in another region; or on a route with a policy it
       sets a cookie, answers an ambiguous path, or answers what our own cache would not keep for
       being personal: nobody may keep it. By the book a cookie is the application's own affair.
    2. The route promises what sessions have seen, which only we know: no edge may keep it, and
       browsers ask each time.
    3. The route has a `Cdn`: its fields, tightened by the application's.
    4. The route has a `Cache(ttl=...)` and the application is silent: browsers ask each time.
    """
    plan = exchange.plan
    edits = HeadEdits()
    token = settle(exchange, values)
    if token or exchange.away or (not plan.idle_head and _is_personal(exchange, values)):
        edits.add += [*token, ("cache-control", NOBODY)]
        edits.remove = LIFETIMES
    elif plan.edge is None and plan.sees and not plan.yields and _is_open(exchange, values):
        edits.add.append(("cache-control", ASK))
        edits.remove = LIFETIMES
    elif plan.edge is not None:
        if exchange.request.method in _CACHEABLE:
            _for_edge(exchange, edits, status, values)
    elif _silent(exchange, status, values):
        edits.add.append(("cache-control", ASK))
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


def _is_personal(exchange: "Exchange", values: Values) -> bool:
    if exchange.plan.is_standard and exchange.plan.edge is None:
        return exchange.bypass in _NEVER_SHARED
    if "set-cookie" in values or exchange.bypass in _PERSONAL:
        return True
    return exchange.plan.edge is not None and is_ambiguous(exchange.request)


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


def _for_edge(exchange: "Exchange", edits: HeadEdits, status: int, values: Values) -> None:
    edge = exchange.plan.edge
    if edge is None:
        return
    cache = exchange.plan.compiled.route.cache
    personal = "authorization" in exchange.request.special
    forbids, at_edges = _for_edges_alone(values)
    if (personal and not (cache is not None and cache.shared)) or forbids:
        # RFC 9111, section 3.5: a shared cache may not keep it unless somebody says so. And what
        # the application forbids to edges alone must be forbidden where all of them read it.
        edits.add.append(("cache-control", NOBODY))
        edits.remove = LIFETIMES
        return
    control, lifetime = _said(exchange, values)
    if at_edges is not None:
        known = control or NO_CONTROL
        shared = known.seconds("s-maxage")
        shared = at_edges if shared is None else min(shared, at_edges)
        control = CacheControl({**known.directives, "s-maxage": str(shared)}, known.malformed)
    tags = render(exchange.plan.cdn_tags, exchange.plan.compiled.arguments(exchange.request.path))
    own = exchange.state.tags if exchange.state is not None else ()
    fields = edge.fields(status, control, (*tags, *sorted(own)), lifetime)
    if fields:
        edits.add += fields
        edits.remove = LIFETIMES
    else:
        # The application forbids it: its own fields stand, and no targeted one may loosen them.
        edits.remove = TARGETED


def _for_edges_alone(values: Values) -> tuple[bool, int | None]:
    """What the application says to edges: it forbids them to keep it; or for how many seconds."""
    said = (
        parse_targeted(values.get("cdn-cache-control", ())),
        parse_cache_control(values.get("surrogate-control", ())),
    )
    controls = [control for control in said if control is not None and control.directives]
    ages = [seconds for each in controls if (seconds := each.seconds("max-age")) is not None]
    shortest = min(ages, default=None)
    return shortest == 0 or any(n in each for each in controls for n in FORBIDDING), shortest


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
