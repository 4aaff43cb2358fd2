"""The fill of one key: from joining a flight to keeping the entry. No I/O here."""

from collections.abc import Sequence
from dataclasses import replace

from regionware.caching.chance import shortened
from regionware.caching.coherence import mark, url_names
from regionware.caching.entry import STRICT, Entry
from regionware.caching.frame import encode
from regionware.caching.freshness import Values
from regionware.caching.groups import groups_of
from regionware.caching.keeping import is_whole
from regionware.caching.keys import canonical
from regionware.caching.parts import part_key
from regionware.caching.refusing import Refusing
from regionware.caching.storability import Lifetime, decide
from regionware.caching.storing import life, stored_fields, to_frame, updated_fields
from regionware.caching.variants import names_of, variant_name
from regionware.context import Current
from regionware.effects import ANY, Fill, Invalidate, Plan, Release
from regionware.http.ranges import parse_content_range
from regionware.http.request import Request

_NO_CONTENT = 204
#: What somebody was given stays with its answer, and does not go on with a later one.
_PERSONAL = frozenset({"set-cookie"})
# An answer that was validated and may not be kept.
_SPENT = Lifetime(0, 0, 0, 0, (), flags=STRICT)


class Filling(Refusing):
    """One fill, or the wish for one.

    Attributes:
        lifetime: what `decide` found; `None` if the response is not stored.
        part: the first and the last byte, and the length, of a response that is a part (206).
        renewed: the entry that a validation has brought up to date.
        kept: what came of `keep`; `None` if nobody has asked yet.
        entry: what `keep` has made of the response.
    """

    # Defaults of the class, so that there is one way to begin; hence no slots of its own.
    lifetime: Lifetime | None = None
    part: tuple[int, int, int] | None = None
    renewed: Entry | None = None
    kept: bool | None = None
    entry: Entry | None = None
    #: What the region has not been told yet: an entry, and what selects its variant.
    _told: tuple[Entry, tuple[str, ...], tuple[str, ...]] | None = None
    #: The region has been sent it: a second time needs no lease.
    _filled = False

    def decide(
        self,
        status: int,
        values: Values,
        *,
        authorized: bool,
        wrote: bool,
        ranged: bool,
        mismatched: bool = False,
    ) -> None:
        """May the response be stored?

        Args:
            status: the status code.
            values: the deciding fields.
            authorized: the request had `Authorization`.
            wrote: the application has written for this request.
            ranged: the request had `Range`: only 200 and parts say something to others.
            mismatched: it is not what the path's extension promises; see `http.content`.
        """
        self._failed = status >= 500
        self._unmodified = status == 304
        self._groups = groups_of(self.key, values)
        found: Lifetime | str = "status"
        if wrote:
            found = "write"
        elif mismatched:
            found = "content-type"
        elif not ranged or status in {200, 206}:
            found = self._judge(status, values, authorized=authorized)
        length = values.get("content-length", ("0",))[0]
        if isinstance(found, Lifetime) and length.isdecimal() and int(length) > self.limit:
            found = "size"
        self.lifetime = self._jittered(found) if isinstance(found, Lifetime) else None
        if not isinstance(found, Lifetime):
            self.refuse(found)

    def _judge(self, status: int, values: Values, *, authorized: bool) -> Lifetime | str:
        """The decision; a part is stored if the whole could be, and nothing selects a variant."""
        self.part = None
        if status == 206 and self._beside:
            self.part = parse_content_range(values.get("content-range", ("",))[0])
        if self.part is not None:
            status, values = 200, {n: v for n, v in values.items() if n != "content-range"}
        prepared = self._prepared
        delay = prepared.clock() - self._began
        cache, wall = self._plan.cache, prepared.wall()
        found = decide(cache, status, values, authorized=authorized, wall=wall, delay=delay)
        varies = isinstance(found, Lifetime) and found.vary
        return "status" if varies and self.part is not None else found

    def _jittered(self, found: Lifetime) -> Lifetime:
        """Entries that were made at once shall not all end at once."""
        jitter = self._plan.cache.jitter
        if not jitter:
            return found
        left = shortened(found.ttl - found.age, jitter, self._prepared.random())
        return replace(found, ttl=found.age + left)

    def keep(
        self,
        request: Request,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes | None,
        *,
        connection: Sequence[str],
        state: Current | None,
        tags: Sequence[str],
    ) -> bool:
        """Keep the entry and tell those who wait in this process; `store` tells the region.

        Once more, it takes the place of what was kept before.

        Args:
            request: which asked.
            status: the status code.
            headers: the fields as they were sent.
            body: the whole content; `None` if it was not copied or is not complete.
            connection: the names in the response's `Connection` field.
            state: what the application's answer was made from.
            tags: those of the policy.

        Returns:
            Whether it is kept; if not, the reason is in `reason`.
        """
        lifetime, before = self.lifetime, self.entry
        self.kept = False
        if lifetime is None or body is None or not is_whole(request, headers, body):
            self.refuse("unfinished" if lifetime is not None else self.reason or "unfinished")
            return False
        length = None if status == _NO_CONTENT else len(body)
        fields = stored_fields(headers, length, self._dropped(lifetime, connection))
        if self.part is not None:
            key = part_key(self.key)
            self.kept = self._keep_part(
                self._entry(key, status, fields, body, lifetime, state, tags)
            )
            return self.kept
        names = self._selecting(lifetime)
        key = self._variant(names, request)
        self.entry = entry = self._entry(key, status, fields, body, lifetime, state, tags)
        self.kept = self._keep(entry, names)
        if self.kept or before is not None:
            self._told = entry, names, self._values(names, request)
        if not self.kept:
            if before is not None:
                self._prepared.memory.discard(before)
            self.refuse("fence")
        return self.kept

    def outdated(self, state: Current | None) -> bool:
        """Whether what was kept before its end lacks what the application has told since."""
        entry = self.entry
        if entry is None or state is None:
            return False
        return not state.tags <= {*entry.tags} or entry.upper != state.upper

    def renew(
        self,
        request: Request,
        known: Entry,
        headers: Sequence[tuple[bytes, bytes]],
        *,
        connection: Sequence[str],
        state: Current | None,
        varies: bool,
    ) -> Entry:
        """Bring an entry up to date with a 304 or a HEAD (RFC 9111, sections 4.3.4 and 4.3.5).

        It is kept at once if `decide` has found a lifetime; `store` stores it for the region.

        Args:
            request: which asked.
            known: what was validated.
            headers: the response's fields.
            connection: the names in its `Connection` field.
            state: what the application's answer was made from.
            varies: the response says itself what it varies on.

        Returns:
            What answers this request: with the fields that are not stored.
        """
        lifetime = self.lifetime or _SPENT
        names = self._selecting(lifetime) if varies else names_of(self.key, known.key)
        dropped, taken = self._dropped(lifetime, connection), lifetime.dropped | _PERSONAL
        fields = updated_fields(known.headers, headers, dropped, taken)
        key = self._variant(names, request)
        entry = self._entry(
            key, known.status, fields, known.body, lifetime, state, known.tags, known.packed
        )
        told = entry.dressed(updated_fields(known.headers, headers, connection, _PERSONAL))
        if self.lifetime is not None and self._keep(entry, names):
            self.renewed = entry
            self._told = entry, names, self._values(names, request)
        return told

    def store(self) -> Plan[None]:
        """Tell the region, once, of what `keep` or `renew` has kept; or that it was nothing."""
        told, self._told = self._told, None
        if told is not None and self.lifetime is not None:
            yield from self._store(self.lifetime, *told)
        elif (release := self.released() or self.disowned()) is not None:
            yield from release

    def retract(self) -> Plan[None]:
        """The application has failed after the end that it had announced: that was no answer."""
        entry, self.entry = self.entry, None
        self.kept = self.lifetime = self._told = None
        if entry is not None:
            self._prepared.memory.discard(entry)
        if self._filled:
            ours, _ = url_names(self.key)
            yield from Invalidate((mark(ours, soft=False),), None, (self.ask()[0],))

    def share(self, stale: Entry, names: tuple[str, ...]) -> None:
        """Keep what may be served stale while it is refreshed, and let those who wait look."""
        self.remember(stale, names)
        if self.leads and self.flight is not None:
            self._prepared.flights.nudge(self.flight)

    def _store(
        self, lifetime: Lifetime, entry: Entry, names: tuple[str, ...], values: tuple[str, ...]
    ) -> Plan[None]:
        lease, self._lease = self._lease, ""
        if not (lease or self._fills_beside or self._filled):
            if self._late and self._prepared.has_redis:
                yield from Release(self.ask()[0], "", ANY)
            elif (release := self.disowned()) is not None:
                yield from release
            return
        name, _ = self.ask()
        # A variant's frame has the variant's key, so that none is taken for another.
        frame = encode(to_frame(entry, canonical(entry.key), lifetime), self._prepared.seal)
        variant = variant_name(names, values)
        # What may be later than the next purge is this process's alone, which hears of them all.
        if not frame or self._ahead:
            if lease:
                yield from Release(name, lease, self._leased)
            return
        vary = ",".join(names)
        stored = yield from Fill(name, lease, self._leased, vary, variant, frame, life(lifetime))
        self._filled = stored is not False
