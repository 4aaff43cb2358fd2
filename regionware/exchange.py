"""One request and its response, passing through: the four moments, of which `ending` has the last.

`begin` and `head` are plain calls, `recall` and `finish` are plans, for the rim to drive. Nothing
here performs I/O.
"""

from regionware.caching.carried import PERSONAL, carried
from regionware.caching.entry import Entry, Key, Record, Uncacheable
from regionware.caching.filling import Filling
from regionware.caching.fresh import is_quiet
from regionware.caching.freshness import Values
from regionware.caching.keys import REWRITING
from regionware.early import begin_early, claim
from regionware.edge import NOBODY
from regionware.effects import Capture, Invalidate, Plan
from regionware.ending import Ending
from regionware.heads import (
    LIFETIMES,
    NO_EDITS,
    HeadEdits,
    cache_status,
    dress,
    mismatches,
    orders,
    settle,
    signature,
)
from regionware.http.request import Request, RequestEdits
from regionware.invalidating import invalidates
from regionware.locate.border import anonymous
from regionware.observe import Event
from regionware.policies.route import SAFE
from regionware.prepared import DEBUG_FIELD, Prepared
from regionware.prepared import Plan as RoutePlan
from regionware.recall import recall
from regionware.serving import Reply, unavailable
from regionware.validating import RawFields, ask, compare, freshen

#: Reasons for which responses with a head like this one are never stored.
_LASTING = frozenset({"private", "no-store", "no-cache", "set-cookie", "vary", "malformed"})
#: What a proxy that is believed tells of a request; keys are made of that.
_TOLD = REWRITING | {"host"}


def begin(prepared: Prepared, request: Request) -> "Entry | Reply | Exchange | None":
    """The first moment: an answer from memory, an exchange to go on with, or nothing to do."""
    plan = prepared.plan(request)
    mode = prepared.mode if plan.mode is None or prepared.mode == "off" else plan.mode
    if mode == "off" and not prepared.has_database:
        return None
    keys, special, key = plan.keys, request.special, None
    record: Record | None = None
    frequent = keys is not None and keys.quick and mode == "on" and request.method == "GET"
    frequent = frequent and not request.odd and "host" in special
    if frequent and (len(special) == 1 or prepared.harmless.issuperset(special)):
        # Nothing to screen: whatever is odd about a request has no record, or is in `special`.
        key = (request.scheme, request.host, request.root + request.path, request.query)
        record = prepared.memory.lookup(key)
        if type(record) is Entry and is_quiet(prepared.fences, record, prepared.clock()):
            if prepared.events.wanted:
                prepared.events.emit(Event("hit", plan.compiled.name, "memory"))
            return record
    edits = None
    if prepared.border is not None and (len(special) > 1 or "host" not in special):
        edits = prepared.admit(request, mode)
        entry = _behind_proxy(prepared, request, plan) if frequent else None
        if entry is not None:
            return entry
    exchange = Exchange(prepared, request, plan, mode, edits)
    if mode == "observe" and keys is not None:
        exchange.watch(keys)
    if mode != "on" or keys is None:
        return exchange
    if type(record) is Uncacheable and key is not None and len(special) == 1:
        return exchange.remember(keys, key, None, record)
    found = exchange.look()
    return exchange.sealed(found) if plan.sees and isinstance(found, Reply) else found


def _behind_proxy(prepared: Prepared, request: Request, plan: RoutePlan) -> Entry | None:
    """The same answer from memory, where a proxy tells scheme and host, and there is no more."""
    if plan.keys is None or not _TOLD.issuperset(request.special):
        return None
    record = prepared.memory.lookup(plan.keys.told(request))
    if type(record) is not Entry or not is_quiet(prepared.fences, record, prepared.clock()):
        return None
    if prepared.events.wanted:
        prepared.events.emit(Event("hit", plan.compiled.name, "memory"))
    return record


class Exchange(Ending):
    """One request on its way, from the moment when memory had no answer ready."""

    __slots__ = ()

    # recall

    def recall(self) -> Plan[Reply | None]:
        """The second moment: an answer from Redis, or from another's fill; else the application."""
        reply = yield from recall(self)
        if reply is None and self.mode == "on":
            self._prepare()
        return self.sealed(reply) if reply is not None and self.plan.sees else reply

    def begin_early(self, key: Key, entry: Entry) -> "Exchange | None":
        """See `early`."""
        return begin_early(self, key, entry)

    def claim(self) -> Plan[bool]:
        """In the background: whether the application is asked; an early refresh needs the lease."""
        return (yield from claim(self)) if self.early else True

    def _prepare(self) -> None:
        """The application will be asked: by whom, and with which conditions?"""
        if self.request.method == "HEAD" and self.alone:
            self.bypass, self.heading, self.filling = "miss", self.filling, None
        elif self.filling is not None:
            ask(self)

    # head

    def head(self, status: int, values: Values, headers: RawFields) -> HeadEdits:
        """The third moment: may this be stored, and what do edges and browsers hear of it?

        Args:
            status: the status code.
            values: the deciding fields (see `freshness.DECIDING`), by lower-case name.
            headers: all fields, as the adapter has them.
        """
        self.headed = True
        if self.state is not None:
            self.state.sent = True
        if self.mode == "off":
            return NO_EDITS
        marker, state = self.marker, self.state
        quiet = state is None or not (
            state.writes or state.lost or state.orphaned or state.unavailable
        )
        quiet = quiet and not self.prepared.ways.platforms
        quiet = quiet and DEBUG_FIELD not in self.request.special and not self.plan.raises
        if marker is not None and quiet:
            known: HeadEdits | None = marker.learned(signature(status, values))
            if known is not None:
                return known
        if self.mode == "on" and (instead := self._instead_of(status, values, headers)) is not None:
            return HeadEdits(reply=self.sealed(instead))
        self.ending = self._ends(status, values, headers)
        reason = self._decide(status, values)
        if self.mode != "on":
            self.tell("observed", self._outcome(), observed=True)
            return NO_EDITS
        edits = dress(self, status, values)
        if self.prepared.ways.platforms:
            edits.remove |= orders(self, headers)
        if self.filling is not None and self.filling.lifetime is not None:
            edits.copy = self.filling.limit
        elif marker is not None and quiet and self._lasts(reason):
            what = edits.remove, tuple(edits.add)
            marker.learn(signature(status, values), what, edits)
        return edits

    def _lasts(self, reason: str) -> bool:
        """Whether the same is done to every response with such a head."""
        lasting = reason in _LASTING and self.plan.repeats
        return lasting and len(self.request.special) == 1

    def _ends(self, status: int, values: Values, headers: RawFields) -> Invalidate | None:
        """What this response makes of stored ones (RFC 9111, sections 4.3.5 and 4.4)."""
        if self.mode != "on" or not self.prepared.has_caches:
            return None
        if self.request.method == "HEAD":
            return compare(self, status, values, headers)
        return invalidates(self, status, values) if self.is_unsafe else None

    @property
    def owing(self) -> bool:
        """Whether something was committed whose position the head must carry."""
        return self.state is not None and self.state.unasked and self.mode == "on"

    def capture(self) -> Plan[None]:
        """Before the head goes out: where the primary is after what was committed.

        Until it is known, the outcome counts as unknown, and so it stays if nobody can say.
        """
        position = yield from Capture()
        if position is not None and self.state is not None:
            self.state.learnt(position)

    @property
    def is_unsafe(self) -> bool:
        """Whether the request may have changed what is stored (RFC 9110, section 9.2.1)."""
        return self.request.method not in SAFE and self.plan.compiled.route.access != "read"

    def invalidate(self) -> Plan[None]:
        """Before the response goes out: nobody who has seen it is answered with what it ended."""
        if self.ending is not None:
            yield from self.ending

    def _instead_of(self, status: int, values: Values, headers: RawFields) -> Reply | None:
        """What is sent instead: of an error a stale answer, or the true reason for a 500."""
        if self.validating and status == 304:
            return freshen(self, values, headers)
        instead = self._rescued(status)
        if instead is not None and self.filling is not None and status >= 500:
            self.filling.fails = True
        return instead

    def _rescued(self, status: int) -> Reply | None:
        error = self.state.unavailable if self.state is not None else None
        if status != 500 or error is None:
            # Any other status is the application's own word: it handled the exception.
            return self.rescue(status)
        return self.rescue(503) or unavailable(error, self.request)

    def sealed(self, reply: Reply) -> Reply:
        """Our answer in place of the application's: it must carry the session's token as well."""
        fields = settle(self) if self.mode == "on" else []
        if fields:
            kept = [pair for pair in reply.headers if pair[0].decode("latin-1") not in LIFETIMES]
            told = [(name.encode(), value.encode("latin-1")) for name, value in fields]
            reply.headers = [*kept, *told, (b"cache-control", NOBODY.encode())]
        return reply

    def decide(self, status: int, values: Values) -> None:
        """May the response be stored? The answer is in `filling`."""
        if self.filling is not None:
            wrote = self.state is not None and (self.state.writes > 0 or self.state.lost)
            special = self.request.special
            self.filling.decide(
                status,
                values,
                authorized="authorization" in special,
                wrote=wrote,
                ranged="range" in special,
                mismatched=mismatches(self, status, values),
            )

    def _decide(self, status: int, values: Values) -> str:
        """Decide, after a note that nothing is stored here too; why it is not."""
        if self.marker is not None and self.plan.keys is not None:
            # The answer may have become cacheable: then this request fills, alone.
            self.filling = Filling.late(self.prepared, self.plan.keys, self.marker.key, *self.since)
        self.decide(status, values)
        if self.filling is None:
            return ""
        reason = self.filling.reason
        if self.marker is not None and self.filling.lifetime is None:
            self.filling = None
        return reason

    # around the application

    def impersonal(self) -> frozenset[str]:
        """Forget whose request this was: it goes on in the background, for everybody.

        Returns:
            The names of the fields that it carries; see `carried`.
        """
        request, filling = self.request, self.filling
        reads = self.plan.keys.reads(request) if self.plan.keys is not None else set()
        selects = filling.selects(self.known) if filling is not None else ()
        names = carried((*reads, *selects))
        if filling is not None:
            filling.carries = names
        request.method = "GET"
        request.special = {n: v for n, v in request.special.items() if n not in PERSONAL}
        self.token = self.wants = self.shown = None
        self.alone = False
        self.edits = self.edits or RequestEdits(set())
        anonymous(self.edits)
        self.edits.cookie = self.edits.cookie or ""
        ask(self)
        return names

    @property
    def transparent(self) -> bool:
        """Whether the response passes through untouched."""
        if self.mode == "off":
            return True
        if self.away or self.prepared.ways.platforms:
            return False
        idle = self.plan.idle and self.mode == "on"
        return idle and not (self.prepared.has_caches and self.is_unsafe)

    @property
    def for_others(self) -> bool:
        """Whether the answer may be given to others: what is not in the key must not count."""
        if self.filling is None and self.marker is None and self.heading is None:
            return False
        return self.mode == "on"

    def _outcome(self) -> str:
        return cache_status(self).partition("; ")[2]
