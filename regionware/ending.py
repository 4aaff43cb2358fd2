"""The fourth moment of an exchange: what becomes of its response. No I/O here."""

from collections.abc import Sequence

from regionware.effects import Plan, Release
from regionware.looking import Looking
from regionware.seeing import impersonal


class Ending(Looking):
    """A request whose response ends, or is cut."""

    __slots__ = ()

    @property
    def pending(self) -> bool:
        """Whether `finish` has anything to do for a response that is not copied."""
        if self.heading is not None and self.heading.renewed is not None:
            return True
        return self.filling is not None and self.filling.pending

    def keep(
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes | None,
        connection: Sequence[str],
    ) -> None:
        """Keep what is complete, perhaps before its client has taken it; `finish` does the rest.

        Args:
            status: the status code.
            headers: the fields as they were sent.
            body: the whole content; `None` if it was not copied or is not complete.
            connection: the names in the response's `Connection` field.
        """
        filling = self.filling
        if filling is None or self.mode != "on":
            return
        if self.plan.sees:
            headers = impersonal(headers)
        again = filling.kept is not None
        kept = filling.keep(
            self.request, status, headers, body,
            connection=connection, state=self.state, tags=self.tags(),
        )  # fmt: skip
        if self.prepared.events.wanted and not again:
            self.tell("stored" if kept else "refused", "" if kept else filling.reason)

    def store(self) -> Plan[None]:
        """Tell the region what `keep` has found, once: an entry, or that there will be none."""
        filling = self.filling
        if filling is None or self.mode != "on":
            return
        try:
            yield from filling.store()
        except GeneratorExit:  # nobody drives this plan any more
            raise
        except BaseException:
            yield from filling.give_up()
            raise

    @property
    def kept(self) -> bool:
        """Whether `keep` has been asked: the response is complete, whoever takes it."""
        return self.filling is not None and self.filling.kept is not None

    @property
    def lease(self) -> str:
        """The token of the lease that others may be waiting for; empty without one."""
        return self.filling.lease if self.filling is not None and self.mode == "on" else ""

    def finish(
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes | None,
        connection: Sequence[str],
    ) -> Plan[None]:
        """The fourth moment: keep the response, tell those who wait, give the lease back.

        The arguments are those of `keep`, which may have been called before the end.
        """
        if self.heading is not None:
            yield from self.heading.store()
        if self.filling is None or self.mode != "on":
            return
        if not self.kept or self.filling.outdated(self.state):
            self.keep(status, headers, body, connection)
        yield from self.store()

    def released(self) -> Release | None:
        """How the lease is given back as soon as nothing will be stored; nobody waits for that."""
        filling = self.filling
        if filling is None or not filling.reason or self.mode != "on":
            return None
        return filling.released()

    def outgrown(self) -> None:
        """The content is too large to keep: nobody need wait for its end."""
        if self.filling is not None:
            self.filling.refuse("size")

    def retract(self) -> Plan[None]:
        """Take back what was kept of a response: the application has failed after it."""
        if self.filling is not None:
            yield from self.filling.retract()

    def give_way(self, error: BaseException | None) -> None:
        """Let nobody in this process wait; `abandon` does the rest, once the client has all."""
        filling = self.filling
        if filling is not None and filling.renewed is None:
            filling.refuse(_reason(error))
            if not filling.lease:
                filling.released()

    def abandon(self, error: BaseException | None = None) -> Plan[None]:
        """The response will not be complete: the application has failed, or the client has gone."""
        if self.filling is None:
            return
        if self.filling.renewed is not None:
            yield from self.filling.store()
            return
        yield from self.filling.give_up(_reason(error))


def failed(error: BaseException | None) -> bool:
    """Whether the application has failed: no cancellation, and no client that has gone."""
    return isinstance(error, Exception) and not isinstance(error, OSError)


def _reason(error: BaseException | None) -> str:
    return "error" if isinstance(error, Exception) else "unfinished"
