"""Which address a client has, as far as a request says. No I/O here."""

from regionware.http.request import Request


def address_of(request: Request) -> str | None:
    """The client's address, where forwarded ones were walked; else that of the peer.

    `None` for a Unix socket, behind which nobody has said who the client is.
    """
    client: str | None = getattr(request, "client", None)
    return request.peer if client is None else client
