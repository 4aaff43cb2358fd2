"""Asking the application whether a stored answer still holds (RFC 9111, 4.3). No I/O here."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from regionware.caching.entry import AS_IS, OPEN, STRICT, Entry
from regionware.caching.freshness import DECIDING, Values, of_connection
from regionware.caching.storing import OF_CONTENT
from regionware.edge import ASK
from regionware.effects import Invalidate
from regionware.heads import HeadEdits, dress, forwarded
from regionware.http.conditions import CONDITIONS, can_be_asked, etag_matches
from regionware.http.fields import field_names
from regionware.http.request import RequestEdits
from regionware.invalidating import ends
from regionware.seeing import impersonal
from regionware.serving import Reply
from regionware.session import FIELD

if TYPE_CHECKING:
    from regionware.exchange import Exchange

#: A response's fields as an adapter has them: octets, or texts.
RawFields = Sequence[tuple[bytes, bytes]] | Sequence[tuple[str, str]]

_TOKEN = frozenset({"set-cookie", FIELD})
_ENDING = frozenset({"private", "no-store"})
_OF_CONTENT = frozenset(name.decode() for name in OF_CONTENT)
#: What must not differ between a HEAD and what is stored (RFC 9111, section 4.3.5).
_COMPARED = ("etag", "last-modified", "content-length")


def ask(exchange: "Exchange") -> None:
    """Set the conditions of the request to the application (RFC 9111, section 4.3.1).

    What is stored is asked about by itself: a 304 could not say which of several entity tags it
    means. Where nothing is, a client's own conditions go through by the book; the fill of a
    declared policy is for everybody, and what one client has is no part of it.
    """
    known, special = exchange.known, exchange.request.special
    edits = exchange.edits or RequestEdits(set())
    edits.put = _conditions(known) if known is not None and known.status == 200 else {}
    exchange.validating = bool(edits.put)
    if exchange.validating or not exchange.plan.is_standard:
        edits.remove |= (special.keys() & CONDITIONS) - edits.put.keys()
    exchange.edits = edits or None


def _conditions(known: Entry) -> dict[str, str]:
    """Our validators."""
    etag, modified = known.first(b"etag", b"last-modified")
    found = {}
    if etag is not None and can_be_asked(etag):
        found["if-none-match"] = etag
    if modified:
        found["if-modified-since"] = modified
    return found


def freshen(exchange: "Exchange", values: Values, headers: RawFields) -> Reply | None:
    """Answer from what is stored, which a 304 has brought up to date (RFC 9111, section 4.3.4).

    Where its validators are others than those that were asked for it updates nothing; that the
    stored answer holds it has said all the same.
    """
    known, filling = exchange.known, exchange.filling
    if known is None or filling is None:
        return None
    if not _is_about(known, values):
        filling.refuse("unfinished")
        kept = tuple(pair for pair in known.headers if pair[0] != b"set-cookie")
        return _answer(exchange, known.dressed(kept), "")
    entry = renew(exchange, known, values, headers)
    if filling.reason in _ENDING:
        exchange.ending = ends(exchange)  # it may not even be validated any more
    return _answer(exchange, entry, "; stored" if filling.renewed is not None else "")


def _answer(exchange: "Exchange", entry: Entry, stored: str) -> Reply:
    reason = forwarded(exchange)
    return exchange.reply(entry, f"regionware; fwd={reason}; fwd-status=304{stored}")


def _is_about(known: Entry, values: Values) -> bool:
    """Whether a 304 selects this entry for an update (RFC 9111, section 4.3.4).

    A strong validator must be the same; a weak one must match. One that says nothing answers what
    was asked: our own validator.
    """
    if "etag" in values:
        new, stored = values["etag"][0].strip(), known.field(b"etag") or ""
        return etag_matches(new, stored) if new.startswith("W/") else new == stored
    return values.get("last-modified", (None,))[0] in {None, known.field(b"last-modified")}


def renew(exchange: "Exchange", known: Entry, values: Values, headers: RawFields) -> Entry:
    """The entry, updated by a response without content; kept if it may be."""
    if exchange.filling is None:
        return known
    raw = _octets(headers)
    values = {name: value for name, value in values.items() if name not in _OF_CONTENT}
    if exchange.plan.sees:
        _decide_narrowly(exchange, known, values)
        edits = dress(exchange, known.status, values, known)
        # The reply gets the session's token when it is sealed.
        edits.add = [pair for pair in edits.add if pair[0] not in _TOKEN]
        raw = impersonal(_dressed(raw, edits))
    elif exchange.plan.edge is not None:
        _decide_narrowly(exchange, known, values)
        raw = _dressed(raw, dress(exchange, known.status, values, known))
    else:
        merged = _merged(exchange, known, values)
        exchange.decide(known.status, merged)
        if not exchange.plan.is_standard:
            raw = _dressed(raw, dress(exchange, known.status, merged))
    return exchange.filling.renew(
        exchange.request, known, raw, connection=of_connection(values), state=exchange.state,
        varies="vary" in values,
    )  # fmt: skip


def _decide_narrowly(exchange: "Exchange", known: Entry, values: Values) -> None:
    """Decide by the response's own words: stored ones are for edges. Silence loosens nothing."""
    filling = exchange.filling
    exchange.decide(known.status, values)
    if filling is not None and filling.lifetime is not None and "cache-control" not in values:
        filling.lifetime = filling.lifetime.at_most(
            known.fresh_until - known.born,
            known.revalidate_until - known.fresh_until,
            known.error_until - known.fresh_until,
            known.flags & (AS_IS | OPEN | STRICT),
        )


def _merged(exchange: "Exchange", known: Entry, values: Values) -> Values:
    """The application's deciding fields after the update (RFC 9111, section 3.2).

    `Date` and `Age` speak of the new response only; what we have added is not its word.
    """
    keys = exchange.plan.keys
    ours = keys.vary if keys is not None else ()
    stored: dict[str, tuple[str, ...]] = {}
    for octets, value in known.headers:
        name, text = octets.decode("latin-1"), value.decode("latin-1")
        if name not in DECIDING or name in _OF_CONTENT or name == "date" or text == ASK:
            continue
        if name == "vary":
            names = field_names((text,))
            text = "*" if names is None else ",".join(each for each in names if each not in ours)
        stored[name] = (*stored.get(name, ()), text)
    return {**stored, **values}


def compare(
    exchange: "Exchange", status: int, values: Values, headers: RawFields
) -> Invalidate | None:
    """Update what is stored by the answer to a HEAD, or end it (RFC 9111, section 4.3.5).

    Returns:
        What ends, if the application's answer is another one now.
    """
    known = exchange.known
    if known is None or exchange.heading is None or not status == known.status == 200:
        return None
    for name in _COMPARED:
        stored = known.field(name.encode())
        if name in values and stored is not None and values[name][0].strip() != stored:
            return ends(exchange)
    exchange.filling = exchange.heading
    renew(exchange, known, values, headers)
    exchange.filling = None
    return ends(exchange) if exchange.heading.reason in _ENDING else None


def _octets(headers: RawFields) -> list[tuple[bytes, bytes]]:
    return [
        (
            name if isinstance(name, bytes) else name.encode("latin-1"),
            value if isinstance(value, bytes) else value.encode("latin-1"),
        )
        for name, value in headers
    ]


def _dressed(raw: list[tuple[bytes, bytes]], edits: HeadEdits) -> list[tuple[bytes, bytes]]:
    removed = {name.encode() for name in edits.remove}
    return [pair for pair in raw if pair[0].lower() not in removed] + edits.encoded
