"""The first moment of an exchange that memory could not end at once. No I/O here."""

from typing import TYPE_CHECKING, Self

from regionware.answers import Answers
from regionware.caching.entry import ALWAYS, Entry, Key, Record, Uncacheable, Variants
from regionware.caching.filling import Filling
from regionware.caching.keys import REWRITING, KeyPlan
from regionware.caching.parts import part_key, within
from regionware.caching.variants import select, variant_key
from regionware.context import Current
from regionware.database.position import Position, merge
from regionware.effects import Invalidate
from regionware.http.conditions import CONDITIONS
from regionware.http.directives import parse_wants
from regionware.http.request import Request, RequestEdits, joined
from regionware.locate.claim import Located
from regionware.locate.client import NOBODY, Client
from regionware.locate.forgeable import OURS
from regionware.policies.table import render
from regionware.prepared import Plan, Prepared
from regionware.seeing import owed, seen_by
from regionware.serving import Reply, not_cached

if TYPE_CHECKING:
    from regionware.exchange import Exchange


class Looking(Answers):
    """A request that is looked for, and what becomes of it where nothing is found.

    Attributes:
        bypass: why neither memory nor Redis may answer; an empty string if they may.
        alone: nobody may be made to wait for this request, and it waits for nobody.
        edits: what is changed in the request before the application sees it.
        filling: the fill of a key, where the response may be stored.
        heading: the same for a HEAD, which can only freshen what is stored.
        ending: the stored answers that the response ends (RFC 9111, section 4.4).
        marker: the note that responses here cannot be stored.
        since: when such a request began: monotonic seconds, and the region's clock.
        validating: the application is asked whether `known` still holds.
        early: what is fresh yet is refreshed, in the background, if the region grants the lease.
        headed: the head of the response is out.
        away: how the request is carried out in another region; an empty string for here.
    """

    __slots__ = (
        "alone", "away", "bypass", "early", "edits", "ending", "filling", "headed", "heading",
        "marker", "since", "validating",
    )  # fmt: skip

    def __init__(
        self,
        prepared: Prepared,
        request: Request,
        plan: Plan,
        mode: str,
        edits: RequestEdits | None = None,
    ) -> None:
        """Read the session's token; decide nothing else."""
        super().__init__(prepared, request, plan, mode)
        self.bypass = "" if plan.keys is not None else "route"
        self.edits = edits
        self.filling: Filling | None = None
        self.heading: Filling | None = None
        self.marker: Uncacheable | None = None
        self.since = 0.0, 0
        self.alone = self.early = self.headed = self.validating = False
        self.away = ""
        self.ending: Invalidate | None = None

    def watch(self, keys: KeyPlan) -> None:
        """Decide as `look` would, and change nothing: neither the request nor what is stored."""
        screened = keys.screen(self.request)
        if self.request.method not in {"GET", "HEAD"}:
            self.bypass = "method"
        elif screened.key is None:
            self.bypass = screened.reason
        else:
            self.filling = Filling(
                self.prepared, keys, screened.key, None, self.prepared.clock(), observing=True
            )

    def look(self) -> Entry | Reply | Self:
        """Screen the request, then look in memory."""
        request, keys = self.request, self.plan.keys
        if keys is None or (request.method != "GET" and request.method != "HEAD"):  # noqa: PLR1714 - faster than a set
            self.bypass = "method"
            return self
        screened = keys.screen(request)
        forged = screened.edits.remove - OURS if screened.edits is not None else set()
        if forged:
            self.prepared.distrusted(request.peer, forged, removed=True)
        elif screened.reason == "forwarded":
            forged = request.special.keys() & REWRITING
            self.prepared.distrusted(request.peer, forged, removed=False)
        elif screened.reason == "host":
            self.prepared.unlisted(request)
        self.edits = joined(self.edits, screened.edits)
        self.wants = parse_wants(
            request.special.get("cache-control"), request.special.get("pragma")
        )
        if screened.key is None or (self.wants is not None and self.wants.no_store):
            self.bypass = screened.reason or "request"
            return self._pass()
        token = self.token
        if token is not None and (token.lost or token.orphaned) and self.plan.sessions:
            self.bypass = "session"
            return self._pass()
        self.edits = keys.hide(request, self.edits)
        need = owed(self.token, self.plan) if self.plan.sessions else None
        return self.remember(keys, screened.key, need, self.recollect(screened.key))

    def _pass(self) -> Reply | Self:
        """Go to the application, unless the client wants nothing from there."""
        only = self.wants is not None and self.wants.only_if_cached
        return not_cached(self.request) if only else self

    def remember(
        self, keys: KeyPlan, key: Key, need: Position | None, record: Record | None
    ) -> Entry | Reply | Self:
        """Answer from what memory has, or go on with it."""
        prepared, now = self.prepared, self.prepared.clock()
        if isinstance(record, Entry):
            if self.fits(record, need):
                return self._give(key, record)
            self.consider(record, need)
            if self.stale_for("wanted") and (reply := self.serve_stale()) is not None:
                return reply
        if "range" in self.request.special and (reply := self._from_part(key, need)):
            return reply
        only = self.wants is not None and self.wants.only_if_cached
        passes = self.request.method == "GET" and not only
        if type(record) is Uncacheable and now < record.until and passes:
            self.bypass, self.marker = "uncacheable", record
            self.since = now, prepared.fences.stamp
            return self
        self.alone = self._goes_alone() and not self.stale_for("revalidate")
        self.filling = Filling(prepared, keys, key, need, now, beside=self.alone)
        if self.rejected or (self.wants is not None and self.wants.no_cache):
            self.filling.insist()
        return self

    def _give(self, key: Key, entry: Entry) -> Reply | Self:
        if self.may_see():
            text = f"regionware; hit; ttl={self.ttl(entry)}; detail=memory"
            return self.reply(entry, text, refresh=self.begin_early(key, entry))
        self.bypass = "authorize"
        return self._pass()

    def begin_early(self, key: Key, entry: Entry) -> "Exchange | None":
        """This exchange again, for nobody, if chance has it that it refreshes an entry early."""
        raise NotImplementedError

    def _from_part(self, key: Key, need: Position | None) -> Reply | None:
        """An answer from a part that is stored; a whole one, once it is, takes its place."""
        memory = self.prepared.memory
        part = memory.lookup(part_key(key))
        if not isinstance(part, Entry) or self.request.special.keys() & CONDITIONS:
            return None
        if (
            isinstance(memory.lookup(key), Variants)
            or not self.fits(part, need)
            or not self.may_see()
        ):
            return None
        place = within(part, self.request, self.prepared.wall())
        return None if place is None else self.reply_part(part, place)

    def pass_by(self, filling: Filling, seconds: float) -> None:
        """Another worker has found that answers here cannot be stored: nobody waits for one."""
        filling.land("uncacheable")
        self.bypass, self.marker, self.filling = "uncacheable", filling.note(seconds), None
        self.since = self.prepared.clock(), self.prepared.fences.stamp

    def _goes_alone(self) -> bool:
        """Whether what comes is for this request only, or to be asked for at each use."""
        if self.request.method == "HEAD" or "range" in self.request.special:
            return True
        wants = self.wants
        if wants is not None and (wants.only_if_cached or wants.max_stale is not None):
            return True
        return self.known is not None and bool(self.known.flags & ALWAYS)

    def recollect(self, key: Key) -> Record | None:
        """What memory has for this request: the right one of several variants."""
        record = self.prepared.memory.lookup(key)
        if type(record) is Variants:
            names = record.names
            return self.prepared.memory.lookup(variant_key(key, names, select(names, self.request)))
        return record

    def tags(self) -> tuple[str, ...]:
        """The tags that the policy gives to this request's entry."""
        return render(self.plan.tags, self.plan.compiled.arguments(self.request.path))

    def open(self) -> Current:
        """The state that application code sees, made when somebody first asks; see `context`."""
        prepared, compiled = self.prepared, self.plan.compiled
        plan, token = self.plan, self.token if self.plan.strong_sessions else None
        need = self.filling.need if self.filling is not None else None
        state = Current(
            region=self._located,
            client=self._client,
            here=prepared.topology.here,
            method=self.request.method,
            route=compiled.name,
            access=compiled.access(self.request.method),
            database=compiled.database,
            need=merge(need, owed(token, plan)),
            observing=self.mode != "on",
            token=self.token,
            # A reader without a token gets one where sessions are promised, and nowhere else.
            watching=self.mode == "on" and (plan.sees or (plan.raises and token is not None)),
            fills=plan.sees and plan.keys is not None,
            seen=seen_by(token),
            lost=token is not None and token.lost,
        )
        state.orphaned = token is not None and token.orphaned
        state.sent = self.headed
        self.state = state
        return state

    @property
    def _is_shared(self) -> bool:
        return (self.filling, self.heading, self.marker) != (None, None, None)

    def _located(self) -> Located:
        """The client's region; where an answer may be for others too, only if it is in the key."""
        keys, resolver, edge = self.plan.keys, self.prepared.resolver, self.plan.edge
        if self._is_shared and keys is not None and not keys.by_region:
            return resolver.default
        if edge is not None and edge.cdn.is_public and not edge.varies:
            return resolver.default
        located, variance = resolver.resolve(self.request), self.plan.variance
        return located if variance is None else variance.located(located)

    def _client(self) -> Client:
        """The client's address; nobody's where an answer may be for others too."""
        edge = self.plan.edge
        if self._is_shared or (edge is not None and edge.cdn.is_public):
            return NOBODY
        return self.prepared.resolver.client(self.request)
