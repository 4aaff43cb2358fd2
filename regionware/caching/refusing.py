"""What becomes of a fill that stores nothing: who is told, and what is remembered. No I/O here."""

from regionware.caching.chance import delay, delays
from regionware.caching.entry import Entry, Uncacheable, Variants
from regionware.caching.keeping import Keeping
from regionware.effects import Plan, Release

#: Seconds for which an uncacheable key is remembered, so that nobody queues behind it.
UNCACHEABLE = 120.0
#: The same where the next answer may well be another one.
BRIEFLY = 5.0
#: Reasons that say something about the one response or request, and perhaps about the key.
_PASSING = frozenset({"status", "expired", "write", "authorization"})
#: Reasons that say nothing about the key: the response might have been stored.
_CUT = frozenset({"unfinished", "fence"})


class Refusing(Keeping):
    """A fill that can end without an entry.

    Attributes:
        reason: why the response is not stored.
        fallback: what may be served stale if this fill fails.
        fails: the application has failed, and the fallback was served instead.
    """

    # Defaults of the class, so that there is one way to begin; hence no slots of its own.
    reason = ""
    fallback: Entry | None = None
    fails = False
    #: The application has answered that it cannot: no word on its other answers.
    _failed = False
    #: The answer to a client's own condition: it says nothing of an answer without one.
    _unmodified = False
    #: Seconds for which the region is to remember that answers here cannot be stored.
    _uncacheable = 0.0

    def refuse(self, reason: str) -> None:
        """Nobody need wait for the end of a response that will not be stored."""
        self.reason = reason
        seconds = self._holds(reason)
        if seconds and not self._is_served(seconds):
            self.note(seconds)
            self._uncacheable = seconds
        self.land(self._outcome(reason))

    def _holds(self, reason: str) -> float:
        """For how many seconds the reason counts for other answers here too."""
        silent = self._beside or self._observing or self._failed or self._unmodified
        if silent or reason in _CUT or reason == "error":
            return 0.0
        if reason not in _PASSING:
            return UNCACHEABLE
        # One who went beside the leader has no word on this.
        return 0.0 if self.spills else BRIEFLY

    def _is_served(self, seconds: float) -> bool:
        """Whether something stale goes on being served, whatever was answered now."""
        known, now = self._prepared.memory.lookup(self.key), self._prepared.clock()
        if seconds == UNCACHEABLE:
            return isinstance(known, Entry) and known.error_until > now
        stale = self.fallback or known
        return isinstance(stale, Entry) and stale.revalidate_until > now

    def _outcome(self, reason: str) -> str:
        """What those who wait are told: whether they go on one by one, or all at once."""
        if self._failed or reason == "error":
            return "failed"
        passing = reason in _CUT or (self.spills and reason in _PASSING)
        return "abandoned" if passing else "uncacheable"

    def note(self, seconds: float) -> Uncacheable:
        """Remember that answers here cannot be stored; briefly only where memory has no better."""
        memory, now = self._prepared.memory, self._prepared.clock()
        note, known = Uncacheable(self.key, self.reason, now + seconds), memory.lookup(self.key)
        of_use = isinstance(known, Entry) and known.error_until > now
        if seconds > BRIEFLY or not (of_use or isinstance(known, Variants)):
            memory.put(note)
        return note

    def give_up(self, reason: str = "") -> Plan[None]:
        """Nothing is stored: tell those who wait, remember why, return the lease."""
        self.refuse(reason or self.reason or "unfinished")
        release = self.released() or self.disowned()
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
            uncacheable=self._uncacheable,
            failed=delays(chance) if failed else None,
        )  # fmt: skip

    def _throttle(self, fallback: Entry, chance: float) -> None:
        """For this process too, should Redis not tell: not another attempt at once."""
        fallback.failures += 1
        fallback.retry_at = self._prepared.clock() + delay(fallback.failures, chance)
