"""The fill of one key: from joining a flight to keeping the entry. No I/O here."""

from collections.abc import Sequence
from dataclasses import replace

from regionware.caching.chance import delay, delays, shortened
from regionware.caching.claim import Claim
from regionware.caching.coherence import Verdict
from regionware.caching.compression import for_clients
from regionware.caching.entry import STRICT, Entry, Fields, Key, Uncacheable, Variants
from regionware.caching.frame import encode
from regionware.caching.freshness import Values
from regionware.caching.groups import groups_of
from regionware.caching.keys import canonical
from regionware.caching.parts import part_key
from regionware.caching.storability import Lifetime, decide
from regionware.caching.storing import life, stored_fields, to_frame, updated_fields, verified
from regionware.caching.variants import names_of, select, variant_key, variant_name
from regionware.context import Current
from regionware.effects import ANY, Fill, Plan, Release
from regionware.http.ranges import parse_content_range
from regionware.http.request import Request

#: Seconds for which an uncacheable key is remembered, so that nobody queues behind it.
UNCACHEABLE = 120.0
_NO_CONTENT = 204
#: Reasons that say something about the one response, not about the key.
_PASSING = frozenset(
    {"status", "error", "expired", "unfinished", "fence", "write", "authorization"}
)

#: What somebody was given stays with its answer, and does not go on with a later one.
_PERSONAL = frozenset({"set-cookie"})
# An answer that was validated and may not be kept.
_SPENT = Lifetime(0, 0, 0, 0, (), flags=STRICT)


class Filling(Claim):
    """One fill, or the wish for one.

    Attributes:
        lifetime: what `decide` found; `None` if the response is not stored.
        reason: why it is not stored.
        part: the first and the last byte, and the length, of a response that is a part (206).
        renewed: the entry that a validation has brought up to date.
        fallback: what may be served stale if this fill fails.
        fails: the application has failed, and the fallback was served instead.
    """

    # Defaults of the class, so that there is one way to begin; hence no slots of its own.
    lifetime: Lifetime | None = None
    reason = ""
    part: tuple[int, int, int] | None = None
    renewed: Entry | None = None
    fallback: Entry | None = None
    fails = False
    _uncacheable = False
    _groups: tuple[str, ...] = ()

    def decide(
        self, status: int, values: Values, *, authorized: bool, wrote: bool, ranged: bool
    ) -> None:
        """May the response be stored?

        Args:
            status: the status code.
            values: the deciding fields.
            authorized: the request had `Authorization`.
            wrote: the application has written for this request.
            ranged: the request had `Range`: only 200 and parts say something to others.
        """
        self._groups = groups_of(self.key, values)
        found: Lifetime | str = "status"
        if wrote:
            found = "write"
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

    def finish(
        self,
        request: Request,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes | None,
        *,
        connection: Sequence[str],
        state: Current | None,
        tags: Sequence[str],
    ) -> Plan[bool]:
        """The fourth moment: keep the entry, tell those who wait, store it for the region."""
        lifetime = self.lifetime
        whole = request.method == "GET" and body is not None and _complete(headers, body)
        if lifetime is None or body is None or not whole:
            yield from self.give_up("" if lifetime is None else "unfinished")
            return False
        length = None if status == _NO_CONTENT else len(body)
        fields = stored_fields(headers, length, self._dropped(lifetime, connection))
        if self.part is not None:
            key = part_key(self.key)
            return self._keep_part(self._entry(key, status, fields, body, lifetime, state, tags))
        names = self._selecting(lifetime)
        key = self._variant(names, request)
        entry = self._entry(key, status, fields, body, lifetime, state, tags)
        if not self._keep(entry, names):
            yield from self.give_up("fence")
            return False
        yield from self._store(entry, lifetime, names, select(names, request))
        return True

    def _keep_part(self, part: Entry) -> bool:
        """Keep a part in memory, for requests of what is in it (RFC 9111, section 3.3)."""
        if self._prepared.fences.judge(part) is Verdict.GONE:
            return False
        return self._prepared.memory.put(verified(part, self._began))

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

        It is kept at once if `decide` has found a lifetime; `settle` stores it for the region.

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
            self.renewed, self._names = entry, names
        return told

    def settle(self, request: Request) -> Plan[None]:
        """Store for the region what a validation has renewed."""
        if self.renewed is not None and self.lifetime is not None:
            names = self._names
            yield from self._store(self.renewed, self.lifetime, names, select(names, request))

    def _dropped(self, lifetime: Lifetime, connection: Sequence[str]) -> Sequence[str]:
        cookies = () if self._plan.cache.is_standard else ("set-cookie",)
        return (*connection, *cookies, *lifetime.dropped)

    def _selecting(self, lifetime: Lifetime) -> tuple[str, ...]:
        """What selects the variant; where a response does not say, what the latest one said.

        RFC 9111, section 4.1: some resources send `Vary` now and then only.
        """
        names = tuple(name for name in lifetime.vary if name not in self._plan.fields)
        return names or self._known_names()

    def _known_names(self) -> tuple[str, ...]:
        """What selects the variant, as far as memory or the store has told."""
        known = self._prepared.memory.lookup(self.key)
        return known.names if isinstance(known, Variants) else self._names

    def _variant(self, names: tuple[str, ...], request: Request) -> Key:
        return variant_key(self.key, names, select(names, request)) if names else self.key

    def _entry(  # noqa: PLR0917 - called in this file only
        self,
        key: Key,
        status: int,
        fields: Fields,
        body: bytes,
        lifetime: Lifetime,
        state: Current | None,
        tags: Sequence[str],
        packed: bytes = b"",
    ) -> Entry:
        born = self._began - lifetime.age
        fresh = born + lifetime.ttl
        own = sorted(state.tags) if state is not None else ()
        return Entry(
            key, status=status, headers=fields, body=body,
            tags=tuple(dict.fromkeys((*tags, *own, *self._groups))), created=self._created,
            born=born, fresh_until=fresh, revalidate_until=fresh + lifetime.revalidate,
            error_until=fresh + lifetime.error, flags=lifetime.flags,
            lower=state.lower if state is not None else None,
            upper=state.upper if state is not None else None, host=_host(state),
            cost=self._cost(lifetime),
            packed=for_clients(self._plan.cache, fields, body, lifetime.flags, packed),
        )  # fmt: skip

    def _cost(self, lifetime: Lifetime) -> float:
        """What an early refresh is weighed by; 0 where nobody said that one is fine."""
        if self._plan.cache.is_standard or not lifetime.revalidate:
            return 0.0
        return max(self._prepared.clock() - self._began, 0.0)

    def _keep(self, entry: Entry, names: tuple[str, ...]) -> bool:
        """Keep an entry in memory and tell those who wait, unless a purge has overtaken it."""
        if self._prepared.fences.judge(entry) is Verdict.GONE:
            return False
        known = self._prepared.memory.lookup(entry.key)
        # A slow answer does not take the place of one that was begun after it.
        if not (isinstance(known, Entry) and known.created > self._created):
            self.remember(verified(entry, self._began), names)
        self.land("entry", entry)
        return True

    def remember(self, entry: Entry, names: tuple[str, ...]) -> None:
        """Keep an entry in memory, and the note that leads to it; a part of it is of no use now."""
        memory = self._prepared.memory
        if memory.put(entry) and names:
            memory.put(Variants(self.key, names))
        if (part := memory.lookup(part_key(self.key))) is not None:
            memory.discard(part)

    def share(self, stale: Entry, names: tuple[str, ...]) -> None:
        """Keep what may be served stale while it is refreshed, and let those who wait look."""
        self.remember(stale, names)
        if self.leads and self.flight is not None:
            self._prepared.flights.nudge(self.flight)

    def refuse(self, reason: str) -> None:
        """Nobody need wait for the end of a response that will not be stored."""
        self.reason = reason
        known = self._prepared.memory.lookup(self.key)
        kept = isinstance(known, Entry) and known.error_until > self._prepared.clock()
        silent = self._beside or self._observing or reason in _PASSING
        if not silent and not kept:
            self.note(UNCACHEABLE)
            self._uncacheable = True
        # The failure of one who went beside the leader is not the key's.
        passing = reason in {"unfinished", "fence"} or (self.spills and reason in _PASSING)
        self.land("abandoned" if passing else "uncacheable")

    def note(self, seconds: float) -> Uncacheable:
        """Remember that answers here cannot be stored."""
        until = self._prepared.clock() + seconds
        note = Uncacheable(self.key, self.reason, until)
        self._prepared.memory.put(note)
        return note

    def give_up(self, reason: str = "") -> Plan[None]:
        """Nothing is stored: tell those who wait, remember why, return the lease."""
        self.refuse(reason or self.reason or "unfinished")
        release = self.released()
        if release is not None:
            yield from release

    def released(self) -> Release | None:
        """How the lease is given back, once: nothing will be stored."""
        fallback, self.fallback = self.fallback, None
        failed = fallback is not None and (self.fails or self.reason == "error")
        chance = self._prepared.random() if failed else 0.0
        if fallback is not None and failed:
            self._throttle(fallback, chance)
        lease, self._lease = self._lease, ""
        if not lease:
            return None
        return Release(
            self.ask()[0], lease, self._leased,
            uncacheable=UNCACHEABLE if self._uncacheable else 0.0,
            failed=delays(chance) if failed else None,
        )  # fmt: skip

    def _throttle(self, fallback: Entry, chance: float) -> None:
        """For this process too, should Redis not tell: not another attempt at once."""
        fallback.failures += 1
        fallback.retry_at = self._prepared.clock() + delay(fallback.failures, chance)

    def _store(
        self, entry: Entry, lifetime: Lifetime, names: tuple[str, ...], values: tuple[str, ...]
    ) -> Plan[None]:
        lease, self._lease = self._lease, ""
        if not lease and not self._fills_beside:
            if self._late and self._prepared.has_redis:
                yield from Release(self.ask()[0], "", ANY)
            return
        name, _ = self.ask()
        # A variant's frame has the variant's key, so that none is taken for another.
        frame = encode(to_frame(entry, canonical(entry.key), lifetime), self._prepared.seal)
        variant = variant_name(names, values)
        if not frame:
            if lease:
                yield from Release(name, lease, self._leased)
            return
        yield from Fill(name, lease, self._leased, ",".join(names), variant, frame, life(lifetime))


def _complete(headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
    """Whether the content has the length that was announced (RFC 9112, section 8)."""
    announced = [value for name, value in headers if name.lower() == b"content-length"]
    return all(value.strip() == b"%d" % len(body) for value in announced)


def _host(state: Current | None) -> str:
    return state.hosts[-1].host if state is not None and state.hosts else ""
