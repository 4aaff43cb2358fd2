"""What a response that comes back from the primary's region tells this one. No I/O here.

The application there has written, and its regionware has told the session so. The client hears it
from us: what the token says becomes this exchange's own, as if the write had been made here.
"""

from typing import TYPE_CHECKING, Final

from regionware.context import HostRead
from regionware.database.token import Token
from regionware.forwarding.fields import Pair, returned
from regionware.http.fields import cookie_name
from regionware.session import FIELD
from regionware.topology import Region

if TYPE_CHECKING:
    from regionware.exchange import Exchange

_LOST_SIGHT: Final = frozenset({502, 504})


def take(exchange: "Exchange", region: Region, status: int, headers: list[Pair]) -> list[Pair]:
    """The fields that go on to the client: the token is taken out, and what it says is ours.

    Without one, 502 and 504 are a gateway's: it has lost sight of what it had passed on.
    """
    headers = returned(headers)
    sessions = exchange.prepared.sessions
    if not sessions.signs:
        return headers
    kept, texts = [], []
    for name, value in headers:
        text = _token(name, value, sessions.cookies)
        if text is None:
            kept.append((name, value))
        elif text:
            texts.append(text)
    if not texts and status in _LOST_SIGHT:
        unknown(exchange, region)
    for text in texts:
        merge(exchange, region, sessions.accept(text))
    return kept


def _token(name: bytes, value: bytes, cookies: frozenset[str]) -> str | None:
    """The token in a field, empty where it is retired; `None` for a field of another kind."""
    text = value.decode("latin-1")
    if name == FIELD.encode():
        return text.strip(" \t")
    if name != b"set-cookie" or cookie_name(text) not in cookies:
        return None
    return text.partition(";")[0].partition("=")[2].strip(" \t")


def merge(exchange: "Exchange", region: Region, told: Token | None) -> None:
    """Take over what a session is owed after this request.

    Args:
        exchange: the request.
        region: where it was carried out.
        told: the token from there, `None` where it cannot be believed.
    """
    known, state = exchange.token, exchange.state or exchange.open()
    if told is None:
        unknown(exchange, region)
        return
    if told.write is not None and (known is None or told.write != known.write or known.lost):
        state.wrote(_use(region, told), told.write)
    if told.lost:
        unknown(exchange, region)
    if told.seen is not None and exchange.plan.raises:
        state.saw(told.seen, told.pin)


def unknown(exchange: "Exchange", region: Region) -> None:
    """It may have been carried out there: until it is known, reads stay on the primary."""
    if exchange.prepared.sessions.signs:
        state = exchange.state or exchange.open()
        state.wrote(_use(region, None), None)


def _use(region: Region, told: Token | None) -> HostRead:
    position = None if told is None else told.write
    return HostRead(region.name, "primary", "write", "forwarded", None, position)
