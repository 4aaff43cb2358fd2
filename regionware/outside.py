"""What a `Regionware` offers where no request is answered: scripts, jobs, WebSocket handlers."""

from regionware.binding import Binding, ImportMode, Terms
from regionware.composition import Parts
from regionware.context import current
from regionware.errors import ConfigurationError
from regionware.http.fields import is_token
from regionware.policies.database import Access, Consistency, Database, Unmet
from regionware.policies.route import SAFE


class Outside:
    """A part of `Regionware`: states that no adapter binds."""

    _parts: Parts

    def bind(
        self,
        *,
        consistency: Consistency = "strong",
        access: Access | None = None,
        token: str | None = None,
        max_lag: float | None = None,
        wait: int = 50,
        unmet: Unmet = "primary",
        method: str = "GET",
    ) -> Binding:
        """A state for code that answers no request, to be entered with `with` or `async with`.

        Inside, `rw.connection()`, `rw.purge()` and `regionware.current()` work as in a request on a
        route with these words. On leaving, what was bound before is bound again. A binding inside
        of a request or of another binding only strengthens: see `Binding`.

        Args:
            consistency: what reads see; by default the primary, as without a binding.
            access: what `rw.connection()` without words is; by default the method decides.
            token: what the session is owed, as `export_token` or a cookie gave it. One that does
                not hold makes all reads strong; `None` for a session that is owed nothing.
            max_lag: seconds a replica may lag and still be read, 1 to 300; `None` for 300.
            wait: milliseconds a read may wait for a replica to catch up, 0 to 10,000.
            unmet: what happens when no replica qualifies: `"primary"`, `"fail"` or `"stale"`.
            method: what `current().method` says; an unsafe one makes `access` `"write"`.

        Raises:
            ConfigurationError: a word is unknown or outside its range.
        """
        if access not in (None, "read", "write"):
            raise ConfigurationError(f"bind: access is read or write, not {access!r}")
        if not is_token(method) or method != method.upper():
            raise ConfigurationError("bind: a method is an upper-case token (RFC 9110, 9.1)")
        policy = Database(consistency=consistency, max_lag=max_lag, wait=wait, unmet=unmet)
        return self._binding(
            Terms(
                policy=policy,
                access=access or ("read" if method in SAFE else "write"),
                method=method,
                brings=token is not None,
                token=token,
            )
        )

    def export_token(self) -> str:
        """What this request's, or binding's, session is owed now, as text for a job's payload.

        That is its token, merged with its writes so far: export it after the commit. Exported while
        a write handle is open, it makes the job read from the primary, because nobody knows yet
        where that commit will be. The text is signed, holds no identity, uses only letters, digits,
        `-` and `_`, and expires after the life of a session's token. Outside of a request and a
        binding it is empty, as it is where no database is configured; an empty one stands for the
        primary.
        """
        state = current()
        return "" if state is None else self._parts.prepared.sessions.export(state.owed())

    def import_token(self, text: str | None, mode: ImportMode = "sticky") -> Binding:
        """Bind what `export_token` gave, for a job that must see what its sender had written.

        A text that is absent, empty, forged, of another database or expired is never taken for "all
        is in sync": the job then reads from the primary, and an event `token-refused` tells why.

        Args:
            text: the exported text.
            mode: `"sticky"`: reads go to a replica that has it, else to the primary. `"delayed"`:
                unless a replica has it, entering raises, before the job has done anything, so that
                it can be tried again later; from then on it is sticky. `"always"`: to the primary.

        Raises:
            ConfigurationError: the mode is unknown.
            ConsistencyUnavailable: on entering, in mode `"delayed"`; `retry_after` says in how
                many seconds to try again.
        """
        if mode not in ("sticky", "delayed", "always"):
            raise ConfigurationError(f"import_token: mode is sticky, delayed, always, not {mode!r}")
        policy = Database.primary() if mode == "always" else Database.session()
        return self._binding(
            Terms(
                policy=policy, access="read", method="GET", brings=True, token=text,
                admits=mode == "delayed",
            )
        )  # fmt: skip

    def _binding(self, terms: Terms) -> Binding:
        prepared = self._parts.prepared
        return Binding(terms, prepared.topology.here, prepared.sessions, self._parts.databases)
