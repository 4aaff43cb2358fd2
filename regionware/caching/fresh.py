"""Whether a stored entry may be served now. No I/O here."""

from regionware.caching.coherence import Fences, Verdict
from regionware.caching.entry import Entry
from regionware.database.position import Position


def is_quiet(fences: Fences, entry: Entry, now: float) -> bool:
    """Whether an entry may be served as fresh to somebody who needs nothing, without a thought."""
    if now >= entry.quiet_until or (now >= fences.heard_until and now >= entry.verified_until):
        return False
    version = fences.version
    if entry.checked != version:
        if fences.judge(entry) is not Verdict.GOOD:
            return False
        entry.checked = version
    return True


def is_fresh(fences: Fences, entry: Entry, need: Position | None, now: float) -> bool:
    """Whether an entry may be served as fresh to somebody who must see `need`."""
    if now >= entry.fresh_until or not entry.reached(need):
        return False
    if now >= fences.heard_until and now >= entry.verified_until:
        return False
    version = fences.version
    if entry.checked != version:
        if fences.judge(entry) is not Verdict.GOOD:
            return False
        entry.checked = version
    return True
