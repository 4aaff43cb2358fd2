"""A session's token on the wire: read from a request, written to a response. No I/O here."""

from collections.abc import Callable
from dataclasses import replace

from regionware.database.position import Position, merge
from regionware.database.seen import Seen
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
        trusts: bool,
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
            trusts: whether forwarded fields are believed; those of strangers are gone by then.
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

    @property
    def signs(self) -> bool:
        """Whether there are tokens at all."""
        return self._signer is not None

    def read(self, request: Request) -> Token | None:
        """The request's token, `None` if there is none that is valid."""
        if self._signer is None:
            return None
        text = self._text(request)
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
        old = [
            position for position in (found.write, found.seen)
            if position is not None and position.timeline != timelines.current
        ]  # fmt: skip
        if not old or not timelines.current:
            return found
        orphaned = any(timelines.place(position) is Place.LOST for position in old)
        if orphaned:
            self._events.emit(Event("orphaned"))
        return replace(
            found,
            write=timelines.current_form(found.write),
            seen=timelines.current_form(found.seen),
            # What held all that was seen is gone, or holds what is lost.
            pin="" if orphaned else found.pin,
            orphaned=orphaned,
        )

    def issue(
        self,
        request: Request,
        known: Token | None,
        written: Position | None,
        *,
        lost: bool,
        seen: Seen | None = None,
    ) -> list[tuple[str, str]]:
        """The response fields that tell the client what its session is owed now.

        Args:
            request: whose.
            known: the token that it came with.
            written: the position of its last commit.
            lost: a commit's outcome is unknown, or what it was shown.
            seen: what the session has seen by now; `None` where that says nothing new.
        """
        if self._signer is None:
            return []
        before = known or Token()
        if seen is None:
            seen = Seen(before.seen, before.pin)
        if written is not None and not seen.covers(written):
            seen = seen.written()
        token = replace(
            before,
            write=merge(before.write, written),
            seen=seen.position,
            pin=seen.pin,
            # A later commit covers whatever became of the earlier one.
            lost=lost,
        )
        if token == before and not lost and not before.orphaned:
            return self._retire(request) if known is None else []
        cluster, issued = self._cluster() or "", int(self._wall())
        return self._told(
            request, self._signer.sign(replace(token, cluster=cluster, issued=issued)), self.life
        )

    def _retire(self, request: Request) -> list[tuple[str, str]]:
        """The fields that end a token which has expired: nothing can be older than it any more.

        No sooner: a standby that starts again may open behind what it has shown, by as much as any
        host may lag, so what every host has reached now is no proof of what they will show.
        """
        text = self._text(request)
        if self._signer is None or not text:
            return []
        found = self._signer.verify(text, now=self._wall(), max_age=self.life)
        return self._told(request, "", 0) if found is Refusal.EXPIRED else []

    def _told(self, request: Request, text: str, life: int) -> list[tuple[str, str]]:
        if FIELD in request.special:
            return [(FIELD, text)]
        return [("set-cookie", self._set_cookie(request, text, life))]

    def _text(self, request: Request) -> str | None:
        """What the client sent as its token."""
        return request.special.get(FIELD) or self._cookie(request)

    def _cookie(self, request: Request) -> str | None:
        field = request.special.get("cookie")
        if field is None or self._name not in field:
            return None
        wanted = self._cookie_name(request)
        return next((value for name, value in parse_cookies(field) if name == wanted), None)

    def secure(self, request: Request) -> bool:
        """Whether the client's request came over https, as far as a trusted peer says."""
        forwarded = request.special.get("x-forwarded-proto")
        if forwarded is not None and self._trusts:
            return forwarded.rpartition(",")[2].strip().lower() == "https"
        return request.scheme == "https"

    def _cookie_name(self, request: Request) -> str:
        prefixed = self._domain is None and self.secure(request)
        return _HOST_PREFIX + self._name if prefixed else self._name

    def _set_cookie(self, request: Request, text: str, life: int) -> str:
        parts = [
            f"{self._cookie_name(request)}={text}",
            "Path=/",
            f"Max-Age={life}",
            "HttpOnly",
            "SameSite=Lax",
        ]
        if self.secure(request):
            parts.append("Secure")
        if self._domain is not None:
            parts.append(f"Domain={self._domain}")
        return "; ".join(parts)
