"""A session's token on the wire: read from a request, written to a response. No I/O here."""

from collections.abc import Callable
from dataclasses import replace

from regionware.database.position import Position, merge
from regionware.database.timelines import NO_HISTORY, Place, Timelines
from regionware.database.token import Refusal, Signer, Token
from regionware.http.fields import parse_cookies
from regionware.http.request import Request
from regionware.observe import Event, Events

#: The request and response field for clients without cookies; sent empty, it asks for a token.
FIELD = "regionware-session"
_HOST_PREFIX = "__Host-"


class Sessions:
    """Reads and issues tokens.

    Attributes:
        cookies: the names of our cookies; they are never part of a key.
        life: seconds for which a token is valid, and kept by a browser.
    """

    def __init__(
        self,
        *,
        signer: Signer | None,
        name: str,
        domain: str | None,
        life: int,
        wall: Callable[[], float],
        cluster: Callable[[], str | None],
        trusts: Callable[[str | None], bool],
        events: Events,
        timelines: Callable[[], Timelines] = lambda: NO_HISTORY,
    ) -> None:
        """Prepare.

        Args:
            signer: `None` where no database is configured: then there are no tokens.
            name: the cookie's name.
            domain: the cookie's domain; `None` for this host alone.
            life: seconds.
            wall: seconds since the epoch.
            cluster: whose history the positions are of, `None` while unknown.
            trusts: whether a peer's forwarded fields are believed.
            events: where refused and orphaned tokens are counted.
            timelines: how the cluster's timelines hang together.
        """
        self.cookies = frozenset({name, _HOST_PREFIX + name})
        self.life = life
        self._signer = signer
        self._name = name
        self._domain = domain
        self._wall = wall
        self._cluster = cluster
        self._trusts = trusts
        self._events = events
        self._timelines = timelines

    def read(self, request: Request) -> Token | None:
        """The request's token, `None` if there is none that is valid."""
        if self._signer is None:
            return None
        text = request.special.get(FIELD) or self._cookie(request)
        return self._verify(self._signer, text) if text else None

    def accept(self, text: str | None) -> Token | None:
        """The token that was exported as this text; `None`, and counted, if it is none that holds.

        Here an absent token counts as well: who was given one to bring has lost it.
        """
        if self._signer is None:
            return None
        if text:
            return self._verify(self._signer, text)
        self.refuse("missing")
        return None

    def refuse(self, reason: str) -> None:
        """Count a token that is not believed."""
        self._events.emit(Event("token-refused", detail=reason))

    def export(self, owed: Token) -> str:
        """The text of a token, from now on good for `life`; empty where there are no tokens."""
        if self._signer is None:
            return ""
        cluster = self._cluster() or owed.cluster
        return self._signer.sign(replace(owed, cluster=cluster, issued=int(self._wall())))

    def _verify(self, signer: Signer, text: str) -> Token | None:
        found = signer.verify(text, now=self._wall(), max_age=self.life, cluster=self._cluster())
        if isinstance(found, Refusal):
            self.refuse(found.value)
            return None
        timelines = self._timelines()
        if found.write is None or timelines.current in {0, found.write.timeline}:
            return found
        orphaned = timelines.place(found.write) is Place.LOST
        if orphaned:
            self._events.emit(Event("orphaned"))
        return replace(found, write=timelines.current_form(found.write), orphaned=orphaned)

    def issue(
        self, request: Request, known: Token | None, written: Position | None, *, lost: bool
    ) -> list[tuple[str, str]]:
        """The response fields that tell the client what its session is owed now."""
        orphaned = known is not None and known.orphaned
        if self._signer is None or (written is None and not lost and not orphaned):
            return []
        token = replace(
            known or Token(),
            cluster=self._cluster() or "",
            write=merge(known.write if known else None, written),
            # A later commit covers whatever became of the earlier one.
            lost=lost,
            issued=int(self._wall()),
        )
        text = self._signer.sign(token)
        if FIELD in request.special:
            return [(FIELD, text)]
        return [("set-cookie", self._set_cookie(request, text))]

    def _cookie(self, request: Request) -> str | None:
        field = request.special.get("cookie")
        if field is None or self._name not in field:
            return None
        wanted = self._cookie_name(request)
        return next((value for name, value in parse_cookies(field) if name == wanted), None)

    def _secure(self, request: Request) -> bool:
        forwarded = request.special.get("x-forwarded-proto")
        if forwarded is not None and self._trusts(request.peer):
            return forwarded.rpartition(",")[2].strip().lower() == "https"
        return request.scheme == "https"

    def _cookie_name(self, request: Request) -> str:
        prefixed = self._domain is None and self._secure(request)
        return _HOST_PREFIX + self._name if prefixed else self._name

    def _set_cookie(self, request: Request, text: str) -> str:
        parts = [
            f"{self._cookie_name(request)}={text}",
            "Path=/",
            f"Max-Age={self.life}",
            "HttpOnly",
            "SameSite=Lax",
        ]
        if self._secure(request):
            parts.append("Secure")
        if self._domain is not None:
            parts.append(f"Domain={self._domain}")
        return "; ".join(parts)
