"""What a request that another region may have sent says of itself. No I/O here."""

from urllib.parse import urlsplit

from regionware.forwarding.hop import FIELD, Hop
from regionware.http.request import Request
from regionware.observe import Event
from regionware.prepared import Prepared


def arrived(prepared: Prepared, request: Request) -> Hop | None:
    """The hop that a request has made; `None`, and counted, if it carries none of ours.

    One of another time is not believed, and keeps the request here all the same.
    """
    hops = prepared.ways.hops
    if hops is None:
        return None
    path, now = request.root + request.path, prepared.wall()
    text, method = request.special[FIELD], request.method
    found = hops.verify(text, method, path, request.query, now=now)
    prefix = urlsplit(prepared.topology.here.url or "").path.rstrip("/")
    if found == "forged" and prefix and path.startswith(prefix):
        # A proxy in front has left the prefix of our own `url` there.
        found = hops.verify(text, method, path.removeprefix(prefix), request.query, now=now)
    if not isinstance(found, Hop):
        prepared.events.emit(Event("hop-refused", detail=found))
        return None
    if not found.believed:
        prepared.events.emit(Event("hop-refused", detail="expired"))
    return found
