"""Which address a client has, as far as a request says. No I/O here."""

from regionware.http.request import Request


def address_of(request: Request) -> str | None:
    """The client's address, where forwarded ones were walked; else that of the peer.

    `None` where nobody has said who the client is, or the walk ended at something else.
    """
    return request.client or None
