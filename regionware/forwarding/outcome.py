"""What a client hears of a forward that came to nothing, and what is told of it. No I/O here."""

from typing import TYPE_CHECKING

from regionware.forwarding.outgoing import ContentFailed, ForwardFailed
from regionware.forwarding.returning import unknown
from regionware.serving import Reply, unavailable
from regionware.topology import Region

if TYPE_CHECKING:
    from regionware.exchange import Exchange


def runs_here(exchange: "Exchange", error: ForwardFailed, fallback: str) -> bool:
    """Whether the application runs here instead: only where certainly nothing was sent."""
    exchange.tell("forward-failed", error.reason)
    if error.sent or fallback != "direct":
        return False
    exchange.away = ""
    return True


def failed(exchange: "Exchange", error: ForwardFailed, region: Region) -> Reply:
    """503; if it may have been carried out, the session's reads stay on the primary for now."""
    if error.sent:
        unknown(exchange, region)
    return unavailable(error, exchange.request)


def cut(exchange: "Exchange", error: ContentFailed, region: Region) -> Reply:
    """The content had no end, so that nobody could carry it out as a whole."""
    exchange.tell("forward-failed", error.reason)
    unknown(exchange, region)
    text = b"Content Too Large\n" if error.reason == "limit" else b"Bad Request\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(text)),
    ]
    return Reply(413 if error.reason == "limit" else 400, headers, text)
