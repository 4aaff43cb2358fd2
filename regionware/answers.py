"""What one request may be answered with from entries, and how that is told. No I/O here."""

import hmac
from math import floor
from typing import TYPE_CHECKING

from regionware.caching.coherence import Verdict
from regionware.caching.entry import Entry, Fields
from regionware.context import Current
from regionware.database.position import Position
from regionware.database.token import Token
from regionware.http.request import Request
from regionware.observe import Event
from regionware.prepared import DEBUG_FIELD, Plan, Prepared
from regionware.provenance import describe
from regionware.serving import Reply, reply_from

if TYPE_CHECKING:
    from regionware.exchange import Exchange


class Answers:
    """A request, and the stale entry that it might be answered with.

    Attributes:
        mode: the mode of this request.
        stale: an entry that may not be served as fresh, but perhaps otherwise.
        state: what application code sees, once `open` was called.
        token: the session's, `None` without a valid one.
    """

    __slots__ = ("mode", "plan", "prepared", "request", "stale", "state", "token")

    def __init__(self, prepared: Prepared, request: Request, plan: Plan, mode: str) -> None:
        """Read the session's token."""
        self.prepared = prepared
        self.request = request
        self.plan = plan
        self.mode = mode
        self.stale: Entry | None = None
        self.state: Current | None = None
        self.token: Token | None = (
            prepared.sessions.read(request) if prepared.has_database and mode == "on" else None
        )

    def may_see(self) -> bool:
        """Whether the policy's `authorize` lets this request see a stored answer."""
        cache = self.plan.compiled.route.cache
        return cache is None or cache.authorize is None or bool(cache.authorize(self.request))

    def consider(self, entry: Entry, need: Position | None) -> None:
        """Keep an entry that may not be served as fresh, but perhaps instead of an error."""
        usable = entry.reached(need) and self.prepared.fences.judge(entry) is not Verdict.GONE
        if usable and (self.stale is None or entry.created > self.stale.created):
            self.stale = entry

    def stale_for(self, purpose: str) -> bool:
        """Whether a stale answer may be given: to `revalidate` it, or because of an `error`."""
        if self.stale is None or not self.may_see():
            return False
        if purpose == "revalidate" and "authorization" in self.request.special:
            return False  # a refresh carries no identity, so it could not make this answer
        if self.prepared.fences.judge(self.stale) is Verdict.GONE:
            return False  # perhaps purged since this request began
        until = self.stale.revalidate_until if purpose == "revalidate" else self.stale.error_until
        trusted = max(self.prepared.fences.heard_until, self.stale.verified_until)
        return self.prepared.clock() < min(until, trusted)

    def serve_stale(self, refresh: "Exchange | None" = None) -> Reply | None:
        """The stale answer (RFC 5861, section 3), and perhaps the order to refresh it."""
        if self.stale is None:
            return None
        text = f"regionware; hit; ttl={self.ttl(self.stale)}; detail=stale-while-revalidate"
        return self.reply(self.stale, text, refresh=refresh)

    def rescue(self, status: int) -> Reply | None:
        """A stale answer instead of an error of the application (RFC 5861, section 4)."""
        if status < 500 or self.stale is None or not self.stale_for("error"):
            return None
        fields = f"regionware; fwd=stale; fwd-status={status}; detail=stale-if-error"
        return self.reply(self.stale, fields)

    def ttl(self, entry: Entry) -> int:
        """Seconds of freshness left; negative for a stale entry (RFC 9211, section 2.4)."""
        return floor(entry.fresh_until - self.prepared.clock())

    def reply(self, entry: Entry, status_field: str, *, refresh: "Exchange | None" = None) -> Reply:
        """Answer from an entry."""
        if self.prepared.events.wanted:
            self.tell("hit", status_field.rpartition("=")[2])
        extra = self.provenance(status_field, entry)
        return reply_from(
            entry, self.request, self.prepared.clock(), status_field.encode(), extra, refresh
        )

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
