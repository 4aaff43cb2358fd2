"""What is broken on purpose, so that the checker has something to find.

Each mutant is what some system in use does, or a rule of ours left out. This is the only module of
the checker that knows how regionware is made; a process that has become a mutant stays one.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from regionware import binding, context, fencing, looking, seeing, session
from regionware.caching import claim, coherence
from regionware.caching.entry import Entry
from regionware.database import ending, seen
from regionware.database.connection import Databases
from regionware.database.ending import Outcome
from regionware.database.handle import Handle
from regionware.database.hands import AnyLink, Ask
from regionware.database.messages import POSITION, Upper, position_of
from regionware.database.position import Position
from regionware.database.selector import Selection
from regionware.database.token import Refusal, Signer, Token
from regionware.effects import Plan
from regionware.http.request import Request
from regionware.session import Sessions

_LONG_AGO: Final = Position(1, 1)


def _naive() -> None:
    """Reads go to any replica, whoever asks."""
    Sessions.read = lambda *_: None  # type: ignore[method-assign] # that is the point


def _sticky(seconds: float) -> Callable[[], None]:
    """After a write, reads stay on the primary for so long; positions play no part."""

    def read(self: Sessions, request: Request) -> Token | None:
        text, signer = self._text(request), self._signer
        assert signer is not None
        found = signer.verify(text, now=self._wall(), max_age=self.life) if text else None
        if not isinstance(found, Token) or time.time() - float(found.pin) > seconds:
            return None
        return Token(cluster=found.cluster, orphaned=True)  # which keeps reads on the primary

    def issue(
        self: Sessions, request: Request, _: Any, written: Position | None, **__: Any
    ) -> list[tuple[str, str]]:
        if self._signer is None or written is None:
            return []
        token = Token(pin=f"{time.time():.6f}", issued=int(self._wall()))
        return self._told(request, self._signer.sign(token), self.life)

    def become() -> None:
        Sessions.read = read  # type: ignore[method-assign] # that is the point
        Sessions.issue = issue  # type: ignore[method-assign, assignment] # that is the point

    return become


def _forgets_seen() -> None:
    """The token says what a session has written, and not what it has seen."""
    whole = Sessions.read

    def read(self: Sessions, request: Request) -> Token | None:
        found = whole(self, request)
        return found and replace(found, seen=None, pin="")

    Sessions.read = read  # type: ignore[method-assign] # that is the point


def _watermark() -> None:
    """What a session has seen is what the prober knew of the replica, not what that had shown."""

    def upper(self: Handle, link: AnyLink, selection: Selection) -> Upper | None:
        state = self._state
        if state is None or not state.watching:
            return None
        if selection.host.role == "primary":
            return Upper(lambda bound: state.saw(bound, ""))
        line = selection.position.timeline if selection.position is not None else 0
        return Upper(lambda bound: state.saw(selection.position or bound, ""), line)

    Handle._upper = upper  # type: ignore[method-assign] # that is the point
    # The slower the prober, the older what it knows.
    assert Databases.__init__.__kwdefaults__ is not None
    Databases.__init__.__kwdefaults__["interval"] = 3.0


def _ignores_timeline() -> None:
    """A position is a number: of which timeline is not asked."""

    def verify(self: Sessions, signer: Signer, text: str) -> Token | None:
        found = signer.verify(text, now=self._wall(), max_age=self.life, cluster=self._cluster())
        if isinstance(found, Refusal):
            return None
        line = self._timelines().current
        write, seen = (
            Position(line, each.lsn) if each is not None and line else each
            for each in (found.write, found.seen)
        )
        return replace(found, write=write, seen=seen)

    Sessions._verify = verify  # type: ignore[method-assign] # that is the point


def _inside() -> None:
    """The position is read inside the transaction, before its COMMIT."""

    def commit(link: AnyLink, row: str, *, earlier: bool) -> Plan[Outcome]:
        del row, earlier
        question = f"SELECT pg_current_xact_id_if_assigned() IS NOT NULL; {POSITION}; COMMIT"
        (_, ((wrote,),)), (_, rows), _ = yield from Ask(link, question)
        return Outcome(committed=True, wrote=wrote == "t", position=position_of(rows))

    ending._commit = commit


def _sets() -> None:
    """Of two positions the one that is told last counts, not the higher one."""

    def last(left: Position | None, right: Position | None) -> Position | None:
        return left if right is None else right

    for module in (binding, context, looking, seeing, session, seen, claim, coherence):
        module.merge = last  # type: ignore[attr-defined] # that is the point


def _uncoupled() -> None:
    """A purge has no position: the next fill may come from a replica that lags behind it."""
    whole = fencing.Fencing._order

    def order(self: Any, names: Any, position: Position | None) -> Any:
        return whole(self, names, position and _LONG_AGO)

    fencing.Fencing._order = order  # type: ignore[method-assign] # that is the point


def _unbounded() -> None:
    """What is stored is good enough for everybody."""
    Entry.reached = lambda *_: True  # type: ignore[method-assign] # that is the point


MUTANTS: Final[dict[str, Callable[[], None]]] = {
    "naive": _naive,
    "sticky for half a second": _sticky(0.5),
    "sticky for two seconds": _sticky(2.0),
    "forgets what was seen": _forgets_seen,
    "watermark as token": _watermark,
    "ignores the timeline": _ignores_timeline,
    "position inside the transaction": _inside,
    "sets instead of merging": _sets,
    "purges without position": _uncoupled,
    "entries without bound": _unbounded,
}


def become(name: str) -> None:
    """Break this process for good; an empty name breaks nothing."""
    if name:
        MUTANTS[name]()
