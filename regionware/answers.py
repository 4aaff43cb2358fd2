"""What one request may be answered with from entries, and how that is told. No I/O here."""

import hmac
from math import floor
from typing import TYPE_CHECKING, Literal

from regionware.caching.coherence import Verdict
from regionware.caching.entry import Entry, Fields
from regionware.caching.fresh import is_fresh
from regionware.caching.reuse import (
    disconnected_until,
    is_for,
    suits,
    suits_stale,
    suits_wanted,
)
from regionware.context import Current
from regionware.database.position import Position
from regionware.database.token import Token
from regionware.http.directives import Wants
from regionware.http.request import Request
from regionware.observe import Event
from regionware.prepared import DEBUG_FIELD, Plan, Prepared
from regionware.provenance import describe, quoted
from regionware.seeing import again, is_bounded
from regionware.serving import Reply, part_of, reply_from

if TYPE_CHECKING:
    from regionware.exchange import Exchange

Purpose = Literal["revalidate", "error", "wanted"]

#: RFC 5861, section 4.
_FAILURES = frozenset({500, 502, 503, 504})


class Answers:
    """A request, and the stored answer that it might be given or that might be validated.

    Attributes:
        mode: the mode of this request.
        known: a stored answer that is not good enough as it is, but is not purged either.
        shown: the stored answer that this request is given.
        rejected: it is fresh, but not what this request asks for.
        stale: the same, where it may perhaps be served all the same.
        state: what application code sees, once `open` was called.
        token: the session's, `None` without a valid one.
        wants: what the request asks of caches (RFC 9111, section 5.2.1).
    """

    __slots__ = (
        "known", "mode", "plan", "prepared", "rejected", "request", "shown", "stale", "state",
        "token", "wants",
    )  # fmt: skip

    def __init__(self, prepared: Prepared, request: Request, plan: Plan, mode: str) -> None:
        """Read the session's token."""
        self.prepared = prepared
        self.request = request
        self.plan = plan
        self.mode = mode
        self.known: Entry | None = None
        self.stale: Entry | None = None
        self.shown: Entry | None = None
        self.state: Current | None = None
        self.wants: Wants | None = None
        self.rejected = False
        self.token: Token | None = (
            prepared.sessions.read(request) if prepared.has_database and mode == "on" else None
        )

    def may_see(self) -> bool:
        """Whether the policy's `authorize` lets this request see a stored answer."""
        cache = self.plan.compiled.route.cache
        return cache is None or cache.authorize is None or bool(cache.authorize(self.request))

    @property
    def _authorized(self) -> bool:
        """Whether entries must allow requests with credentials; else those are in the key."""
        return self.plan.is_standard and "authorization" in self.request.special

    def fits(self, entry: Entry, need: Position | None, *, leased: bool = False) -> bool:
        """Whether an entry is fresh, and what this request asks for.

        What a session was shown may be shown again; not to one who holds the lease to renew it.
        """
        now = self.prepared.clock()
        if self.plan.sees:
            if not is_bounded(entry):
                return False
            if not leased and not entry.reached(need) and again(self, entry, need):
                need = None
        if not is_fresh(self.prepared.fences, entry, need, now):
            return False
        return is_for(entry, authorized=self._authorized) and suits(entry, self.wants, now)

    def consider(self, entry: Entry, need: Position | None) -> None:
        """Keep an entry that may not be served as it is: it may do instead of an error."""
        if self.prepared.fences.judge(entry) is Verdict.GONE:
            return
        if not is_for(entry, authorized=self._authorized):
            return
        if self.known is None or entry.created > self.known.created:
            self.known = entry
            self.rejected = is_fresh(self.prepared.fences, entry, need, self.prepared.clock())
        good = entry.reached(need)
        if self.plan.sees:
            good = is_bounded(entry) and (good or again(self, entry, need))
        if good and (self.stale is None or entry.created > self.stale.created):
            self.stale = entry

    def stale_for(self, purpose: Purpose) -> bool:
        """Whether a stale answer may be given: to `revalidate` it, because of an `error`, as asked.

        The client's own directives may forbid it, and `max-stale` may ask for it.
        """
        entry, now, prepared = self.stale, self.prepared.clock(), self.prepared
        if entry is None or not self.may_see():
            return False
        if purpose == "revalidate" and "authorization" in self.request.special:
            return False  # a refresh carries no identity, so it could not make this answer
        if prepared.fences.judge(entry) is Verdict.GONE:
            return False  # perhaps purged since this request began
        if now >= max(prepared.fences.heard_until, entry.verified_until):
            return False
        if purpose == "wanted":
            return suits_wanted(entry, self.wants, now)
        return suits_stale(entry, self.wants, now) and now < self._until(entry, purpose)

    def _until(self, entry: Entry, purpose: Purpose) -> float:
        if purpose == "revalidate":
            return entry.revalidate_until
        return disconnected_until(entry) if self.plan.is_standard else entry.error_until

    def serve_stale(self, refresh: "Exchange | None" = None) -> Reply | None:
        """The stale answer (RFC 5861, section 3), and perhaps the order to refresh it."""
        if self.stale is None:
            return None
        detail = "stale-while-revalidate" if self.stale_for("revalidate") else "max-stale"
        text = f"regionware; hit; ttl={self.ttl(self.stale)}; detail={detail}"
        return self.reply(self.stale, text, refresh=refresh)

    @property
    def resting(self) -> bool:
        """Whether refreshes have failed in this process, and the next is not due yet."""
        return self.stale is not None and self.prepared.clock() < self.stale.retry_at

    def serve_throttled(self) -> Reply | None:
        """The stale answer while refreshes fail; nobody in the region asks the application."""
        if self.stale is None:
            return None
        reply = None
        if self.stale_for("revalidate"):
            reply = self.serve_stale()
        elif self.stale_for("error"):
            reply = self.reply(self.stale, "regionware; fwd=stale; detail=stale-if-error")
        if reply is not None:
            self.tell("throttled", "")
        return reply

    def rescue(self, status: int) -> Reply | None:
        """A stale answer instead of an error of the application (RFC 5861, section 4).

        By the book also where nobody has allowed it: a cache that validates may take such an error
        for the origin's silence (RFC 9111, sections 4.2.4 and 4.3.3).
        """
        fails = status in _FAILURES if self.plan.is_standard else status >= 500
        if not fails or self.stale is None or not self.stale_for("error"):
            return None
        fields = f"regionware; fwd=stale; fwd-status={status}; detail=stale-if-error"
        return self.reply(self.stale, fields)

    def ttl(self, entry: Entry) -> int:
        """Seconds of freshness left; negative for a stale entry (RFC 9211, section 2.4)."""
        return floor(entry.fresh_until - self.prepared.clock())

    def reply(self, entry: Entry, status_field: str, *, refresh: "Exchange | None" = None) -> Reply:
        """Answer from an entry."""
        if self.prepared.events.wanted:
            self.tell("hit", _word(status_field))
        self.shown = entry
        extra = self.provenance(status_field, entry)
        if extra:
            status_field = self.keyed(status_field)
        prepared = self.prepared
        return reply_from(
            entry, self.request, prepared.clock(), prepared.wall(), status_field.encode(), extra,
            refresh,
        )  # fmt: skip

    def reply_part(self, part: Entry, place: tuple[int, int, int]) -> Reply:
        """Answer from a part."""
        if self.prepared.events.wanted:
            self.tell("hit", "memory")
        self.shown = part
        status_field = f"regionware; hit; ttl={self.ttl(part)}; detail=memory"
        extra = self.provenance(status_field, part)
        text = self.keyed(status_field) if extra else status_field
        return part_of(part, place, self.prepared.clock(), text.encode(), extra)

    def keyed(self, status_field: str) -> str:
        """The `Cache-Status` member with its `key`, for whoever debugs (RFC 9211, section 2.7)."""
        request = self.request
        url = (request.scheme, request.host, request.root + request.path, request.query)
        return f"{status_field}; key={quoted(url)}"

    def tell(self, name: str, detail: str, *, observed: bool = False) -> None:
        """Emit an event about this request."""
        self.prepared.events.emit(Event(name, self.plan.compiled.name, detail, observed=observed))

    def provenance(self, status_field: str, entry: Entry | None = None) -> Fields:
        """The debug field, for whoever knows the value of `debug=`."""
        wanted, given = self.prepared.debug, self.request.special.get(DEBUG_FIELD)
        if (
            wanted is None
            or given is None
            or not hmac.compare_digest(wanted.encode(), given.encode())
        ):
            return ()
        return ((b"regionware-provenance", describe(self, status_field, entry).encode()),)


def _word(status_field: str) -> str:
    """What an event says of an answer: its `detail`, else how it came to be one."""
    _, told, word = status_field.partition("; detail=")
    if told:
        return word
    return "collapsed" if status_field.endswith("; collapsed") else "validated"
