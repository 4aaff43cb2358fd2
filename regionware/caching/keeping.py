"""What is made of a response, and kept in this process. No I/O here."""

from collections.abc import Sequence

from regionware.caching.claim import Claim
from regionware.caching.coherence import Verdict
from regionware.caching.compression import for_clients
from regionware.caching.entry import Entry, Fields, Key, Variants
from regionware.caching.parts import part_key
from regionware.caching.storability import Lifetime
from regionware.caching.storing import verified
from regionware.caching.variants import names_of, select, variant_key
from regionware.context import Current
from regionware.http.request import Request


class Keeping(Claim):
    """A claim that knows how to make an entry, and where it goes in memory."""

    # Defaults of the class, so that there is one way to begin; hence no slots of its own.
    _groups: tuple[str, ...] = ()
    #: The fields that the application has seen, of a refresh; `None` for all.
    carries: frozenset[str] | None = None

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

    def selects(self, known: Entry | None) -> set[str]:
        """All that may select a variant, as far as anybody has told."""
        latest = names_of(self.key, known.key) if known is not None else ()
        return {*self._known_names(), *self._names, *latest}

    def _values(self, names: tuple[str, ...], request: Request) -> tuple[str, ...]:
        """What the application has seen of what selects the variant."""
        values = select(names, request)
        if self.carries is None:
            return values
        seen = self.carries
        return tuple(v if n in seen else "" for n, v in zip(names, values, strict=True))

    def _variant(self, names: tuple[str, ...], request: Request) -> Key:
        return variant_key(self.key, names, self._values(names, request)) if names else self.key

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
        own = sorted(state.tags) if state is not None else ()
        return Entry(
            key, status=status, headers=fields, body=body,
            tags=tuple(dict.fromkeys((*tags, *own, *self._groups))), created=self._created,
            born=born, fresh_until=born + lifetime.ttl, revalidate=lifetime.revalidate,
            error=lifetime.error, flags=lifetime.flags,
            lower=state.lower if state is not None else None,
            # Of what is still being read, a later answer tells.
            upper=state.upper if state is not None and not state.reading else None,
            host=_host(state),
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

    def _keep_part(self, part: Entry) -> bool:
        """Keep a part in memory, for requests of what is in it (RFC 9111, section 3.3)."""
        if self._prepared.fences.judge(part) is Verdict.GONE:
            return False
        return self._prepared.memory.put(verified(part, self._began))


def is_whole(request: Request, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
    """Whether it is the content of a GET, as long as announced (RFC 9112, section 8)."""
    if request.method != "GET":
        return False
    announced = [value for name, value in headers if name.lower() == b"content-length"]
    return all(value.strip() == b"%d" % len(body) for value in announced)


def _host(state: Current | None) -> str:
    return state.hosts[-1].host if state is not None and state.hosts else ""
