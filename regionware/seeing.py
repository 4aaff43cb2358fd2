"""What of the cache a session may be shown, and what that shows it. No I/O here."""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from zlib import crc32

from regionware.caching.entry import Entry
from regionware.caching.freshness import Values
from regionware.caching.keys import canonical
from regionware.database.position import Position, merge
from regionware.database.seen import NOTHING, Seen, entry_pin
from regionware.database.token import Token
from regionware.edge import ASK, FORBIDDING, NOBODY, TARGETED
from regionware.http.directives import parse_cache_control
from regionware.prepared import Plan

if TYPE_CHECKING:
    from regionware.answers import Answers

_UNKNOWN = b"?"
_NOBODY = NOBODY.encode()


def owed(token: Token | None, plan: Plan) -> Position | None:
    """What an entry or a read of this route must have reached for a session."""
    if token is None:
        return None
    return merge(token.write, token.seen) if plan.sees else token.write


def seen_by(token: Token | None) -> Seen:
    """What a session has seen, as its token says."""
    return NOTHING if token is None else Seen(token.seen, token.pin)


def name_of(entry: Entry) -> str:
    """The name of an entry, by which a token can say that it may be served again.

    It is that of no entry with another content: where there is no Redis, stamps repeat.
    """
    bounds = (entry.lower, entry.upper)
    return entry_pin(
        canonical(entry.key), b"%016x" % entry.created,
        *(_UNKNOWN if bound is None else bound.hex.encode() for bound in bounds),
        b"%08x" % crc32(entry.body),
    )  # fmt: skip


def is_bounded(entry: Entry) -> bool:
    """Whether it is known what an entry shows: only if the database has no part in it, or both."""
    return entry.lower is None or entry.upper is not None


def again(answers: "Answers", entry: Entry, need: Position | None) -> bool:
    """Whether this is the very entry that holds all that the session has seen."""
    seen = seen_by(answers.token)
    return seen.covers(need) and seen.pin == name_of(entry)


def shown(answers: "Answers") -> Seen:
    """What the session has seen with this answer."""
    state, entry = answers.state, answers.shown
    seen = seen_by(answers.token) if state is None else state.seen
    if entry is None:
        return seen
    if entry.upper is None:
        # Perhaps the application has said, without a look at the database, that it still holds.
        known = answers.known
        return seen if known is None or known.upper is None else seen.after(known.upper, "")
    return seen.after(entry.upper, name_of(entry))


def written_by(answers: "Answers") -> Position | None:
    """What covers the commits of this request, and one of before whose outcome was unknown."""
    state = answers.state
    return None if state is None else merge(state.written, state.recovered)


def lost(answers: "Answers") -> bool:
    """Whether reads must stay on the primary after this."""
    state, token = answers.state, answers.token
    return token is not None and token.lost if state is None else state.lost


def impersonal(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The fields of a response without what they say to one session, for the entry.

    Cookies are not stored here anyhow; see `Filling`.
    """
    return [
        (name, ASK.encode() if name.lower() == b"cache-control" and value == _NOBODY else value)
        for name, value in headers
    ]


def is_public(values: Values) -> bool:
    """Whether the application itself gives a response to everybody, with its explicit word."""
    if TARGETED & values.keys():
        return True
    control = parse_cache_control(values.get("cache-control", ()))
    if any(word in control for word in FORBIDDING):
        return False
    ages = (control.seconds("max-age"), control.seconds("s-maxage"))
    return "public" in control or any(ages)
