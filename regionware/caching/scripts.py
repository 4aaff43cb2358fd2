"""What the region's Redis is asked with: its scripts, and the names of its keys."""

from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple


class Script(NamedTuple):
    """A script's text, and the digest under which Redis knows it."""

    text: str
    sha: str


def _script(name: str) -> Script:
    text = files("regionware.caching").joinpath(f"{name}.lua").read_text("utf-8")
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


LOOKUP, FILL, PURGE, SNAPSHOT = map(_script, ("lookup", "fill", "purge", "snapshot"))
RELEASE, RENEW = map(_script, ("release", "renew"))
REPAIR = _script("repair")
REGISTER, LATE, RELAY = map(_script, ("register", "late", "relay"))
HOT = _script("hot")


class Names(NamedTuple):
    """The Redis keys of a namespace; those in braces share a slot."""

    entries: str
    clock: str
    fences: str
    ages: str
    log: str
    wakes: str
    outbox: str
    relayed: str
    workers: str
    rows: str
    hot: str

    @classmethod
    def of(cls, namespace: str, release: str) -> "Names":
        """What is stored belongs to a release; fences, clock and log to the whole namespace."""
        shared = f"{{{namespace}}}"
        rest = (f"{shared}:{name}" for name in cls._fields[1:-1])
        return cls._make((f"{namespace}:e:{release}:", *rest, f"{shared}:hot:{release}"))


def purge_keys(names: Names) -> tuple[str, ...]:
    """The keys of the purge script, all in one slot."""
    return names.clock, names.fences, names.ages, names.log, names.outbox, names.relayed
