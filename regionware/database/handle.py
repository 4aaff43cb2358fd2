"""One use of a database: what `rw.connection(...)` returns."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Final

import psycopg

from regionware.context import Current, HostRead, open_writes
from regionware.database.ending import Outcome, end_read, end_write, shown
from regionware.database.escalating import Tell, escalates, explain, swap
from regionware.database.finding import View, find
from regionware.database.hands import AnyLink, AsyncHands, Begin, Hands, Release, Settle
from regionware.database.link import AsyncLink, Link, Report
from regionware.database.messages import READ_ONLY, Upper
from regionware.database.position import Position
from regionware.database.purge_sql import riding
from regionware.database.seen import host_pin
from regionware.database.selector import Demand, Reason, Selection
from regionware.drive import adrive, drive
from regionware.effects import Plan
from regionware.errors import Unavailable

logger = logging.getLogger("regionware.database")

#: serialization_failure, which on a standby is a conflict with replay, and deadlock_detected.
_CONFLICTS: Final = ("40001", "40P01")
#: A server that shuts down or starts, and a connection that failed: its role may be another now.
_GOING: Final = ("57P01", "57P02", "57P03", "08")


class Handle:
    """A connection to be: `with` gives psycopg's `Connection`, `async with` its async twin."""

    __slots__ = (
        "_ahands", "_hands", "_items", "_link", "_selection", "_snapshot", "_state", "_tell",
        "_timeout", "_tried", "_view", "_wanted", "_writer", "lost",
    )  # fmt: skip

    def __init__(
        self,
        view: View,
        wanted: Demand,
        state: Current | None,
        hands: tuple[Hands, AsyncHands],
        *,
        snapshot: bool,
        timeout: float,
        tried: Mapping[str, Reason] | None = None,
        tell: Tell = lambda _: None,
    ) -> None:
        """Nothing is done before it is entered."""
        self._tell = tell
        self._writer: AnyLink | None = None
        self._view = view
        self._wanted = wanted
        self._state = state
        self._hands, self._ahands = hands
        self._snapshot = snapshot and wanted.access == "read"
        self._timeout = timeout
        self._tried = dict(tried or {})
        self._link: AnyLink | None = None
        self._selection: Selection | None = None
        self._items: list[Any] = []
        #: After the connection was lost, or the answer was a conflict: whom not to ask again. A
        #: primary may be asked again, there is no other.
        self.lost: dict[str, Reason] | None = None

    def __enter__(self) -> "psycopg.Connection[Any]":
        """Open it here and now."""
        link = drive(self._open(), self._hands)
        assert isinstance(link, Link)  # noqa: S101 - blocking hands bring blocking connections
        if self._wanted.access == "read":
            link.rescue = self._rescue
        return link

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit a write, or roll it back where there is an error, and give the connection back."""
        drive(self._close(error), self._hands)

    async def __aenter__(self) -> "psycopg.AsyncConnection[Any]":
        """The async twin of `__enter__`."""
        link = await adrive(self._open(), self._ahands)
        assert isinstance(link, AsyncLink)  # noqa: S101 - async hands bring async connections
        if self._wanted.access == "read":
            link.rescue = self._arescue
        return link

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """The async twin of `__exit__`."""
        await adrive(self._close(error), self._ahands)

    def _open(self) -> Plan[AnyLink]:
        if self._link is not None:
            raise RuntimeError("this connection() is open; call connection() again for another")
        try:
            link, selection = yield from find(self._view, self._wanted, self._tried, self._timeout)
        except Unavailable as error:
            if self._state is not None:
                # A framework may turn the exception into a 500; the adapters know better.
                self._state.unavailable = error
            raise
        self._link, self._selection = link, selection
        link.hand_out(None)
        self._note_open(link)
        if self._wanted.access == "write":
            self._wait_for()
            return link
        try:
            yield from self._begin_read(link, selection)
        except BaseException:
            self._link = None
            self._note_closed(link)
            yield from Release(link)
            raise
        return link

    def _note_open(self, link: AnyLink) -> None:
        if self._state is not None and self._state.watching:
            self._state.opened(link)

    def _note_closed(self, link: AnyLink) -> None:
        if self._state is not None and self._state.watching:
            self._state.closed(link)

    def _wait_for(self) -> None:
        """Let purges wait for the commit of this handle."""
        self._items = []
        open_writes.set((*open_writes.get(), self._items))
        if self._state is not None:
            # Frameworks may enter a handle in another copy of the context than they use it in.
            self._state.deferred.append(self._items)

    def _rescue(self, error: psycopg.Error, query: Any, *, first: bool) -> bool:
        return drive(self._escalate(error, query, first=first), self._hands)

    async def _arescue(self, error: psycopg.Error, query: Any, *, first: bool) -> bool:
        return await adrive(self._escalate(error, query, first=first), self._ahands)

    def _escalate(self, error: psycopg.Error, query: Any, *, first: bool) -> Plan[bool]:
        """After a refused write: become a write handle of the primary, where that is allowed."""
        link, host = self._link, self._selection.host.name if self._selection else ""
        explain(error, self._state, host, str(query))
        alone = first and not self._snapshot and link is not None
        if not escalates(self._state, str(query), host, self._tell, first=alone) or link is None:
            return False
        wanted = replace(self._wanted, access="write")
        writer, selection = yield from find(self._view, wanted, {}, self._timeout)
        self._wanted, self._selection, self._writer = wanted, selection, writer
        swap(link, writer)
        link.hand_out(None)
        self._wait_for()
        return True

    def _give_back(self, link: AnyLink) -> Plan[None]:
        """Give back what the handle used, each through the socket that it came with."""
        writer, self._writer = self._writer, None
        if writer is None:
            yield from Release(link)
            return
        swap(link, writer)
        try:
            yield from Release(writer)
        finally:
            yield from Release(link)

    def _begin_read(self, link: AnyLink, selection: Selection) -> Plan[None]:
        """Tell the request what it reads: now for a replica, at the first use for the primary.

        Where the primary has been waited for, it has told already.
        """
        state, report = self._state, None
        known = selection.host.role == "replica" or selection.position is not None
        if state is not None and known:
            state.read(self._use(selection.position))
        elif state is not None:
            report = self._report(state)
        if self._snapshot:
            bound = yield from Begin(link, report is not None)
            if report is not None:
                report(bound)
            report = None
        link.hand_out(report, self._upper(link, selection))

    def _upper(self, link: AnyLink, selection: Selection) -> Upper | None:
        """How the session learns what it is shown, if it is to."""
        state = self._state
        if state is None or not state.watching:
            return None
        if selection.host.role == "primary":
            return Upper(lambda bound: state.saw(bound, ""))
        name = host_pin(selection.host.name, link.instance)
        line = selection.position.timeline if selection.position is not None else 0
        # Of an unknown timeline, a position says nothing.
        return Upper(lambda bound: state.saw(bound if line else None, name), line)

    def _report(self, state: Current) -> Report:
        return lambda bound: state.read(self._use(bound))

    def _use(self, position: Position | None) -> HostRead:
        chosen = self._selection
        assert chosen is not None  # noqa: S101 - it is set before anything is reported
        return HostRead(
            chosen.host.name, chosen.host.role, self._wanted.access, chosen.reason.value,
            chosen.lag, position,
        )  # fmt: skip

    def _close(self, error: BaseException | None) -> Plan[None]:
        link, self._link = self._link, None
        if link is None:
            raise RuntimeError("this connection() is not open")
        link.rescue = None
        self._note_failure(link, error)
        if self._wanted.access == "read":
            outcome = yield from end_read(link, error)
        else:
            outcome = yield from end_write(link, error, self._row())
            self._report_write(outcome)
            self._note_row(outcome.row)
            try:
                yield from self._show(link, outcome)
            except BaseException as cut:  # noqa: BLE001 - raised when the connection is given back
                if self._state is not None:
                    self._state.saw(None, "")
                outcome = replace(outcome, error=outcome.error or cut)
        self._note_closed(link)
        try:
            yield from self._give_back(link)
        finally:
            # Whatever interrupts this: the commit stands, and so must its purges.
            if outcome.committed and self._items:
                quiet = bool(error or outcome.error)
                yield from self._run_deferred(outcome.position, quiet=quiet)
        late = outcome.error
        # The application's own error goes first, unless what came later was a cancellation.
        if late is not None and (error is None or not isinstance(late, Exception)):
            raise late

    def _row(self) -> str:
        """What is to ride with the commit: its purges, if there is a table for them."""
        table = self._view.purges
        if table is None or not self._items:
            return ""
        return riding(table, [name for names in self._items for name in names])

    def _note_row(self, made: str) -> None:
        """A purge that rides in the log is known there by a name of its own."""
        if made.startswith("!"):
            logger.warning("a purge does not ride with its commit: %s", made[1:])
        elif made:
            self._items.append(tuple(made.split()))

    def _note_failure(self, link: AnyLink, error: BaseException | None) -> None:
        if self._selection is None:
            return
        host, state = self._selection.host, getattr(error, "sqlstate", None) or ""
        if link.closed or state in _CONFLICTS:
            self.lost = {host.name: Reason.FAILED} if host.role == "replica" else {}
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
            explain(error, self._state, host.name, "")
        refused = state == READ_ONLY and self._wanted.access == "write"
        if link.closed or refused or state.startswith(_GOING) or link.turned():
            self._view.failed(host.name)

    def _report_write(self, outcome: Outcome) -> None:
        state = self._state
        # By identity: handles need not close in the order they opened.
        open_writes.set(tuple(i for i in open_writes.get() if i is not self._items))
        if state is None:
            return
        state.deferred[:] = [items for items in state.deferred if items is not self._items]
        if outcome.wrote:
            state.wrote(self._use(outcome.position), outcome.position)

    def _show(self, link: AnyLink, outcome: Outcome) -> Plan[None]:
        """What was read on a write handle is seen too; a commit of its own covers that."""
        state = self._state
        if state is None or not state.watching or outcome.wrote or not link.used:
            return
        bound = outcome.position
        if bound is None and not link.closed:
            bound = yield from shown(link)
        state.saw(bound, "")

    def _run_deferred(self, position: Position | None, *, quiet: bool) -> Plan[None]:
        try:
            yield from Settle(self._items, position)
        except Exception:
            if not quiet:
                raise
            logger.exception("what waited for a commit failed too")
