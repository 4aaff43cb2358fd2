"""Which address a client has, as far as a request says. No I/O here."""

from regionware.http.request import Request
from regionware.locate.ingresses import Entrance


def address_of(request: Request) -> str | None:
    """The client's address, where forwarded ones were walked; else that of the peer.

    `None` for a Unix socket, behind which nobody has said who the client is, and where a server has
    put something else in the place of the peer, unasked.
    """
    entrance = getattr(request, "entrance", None)
    if not isinstance(entrance, Entrance):
        return request.peer
    return str(entrance.client(request)) or None
