"""What all requests need of forwarding, prepared at start. No I/O here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from regionware.forwarding.fields import CHANGED
from regionware.forwarding.hop import Hops
from regionware.topology import Region

#: Where an adapter notes the hop that a request has made: in an ASGI scope, in a WSGI environ.
ARRIVED: Final = "regionware.hop"

#: The response fields by which an application could have a platform send a request again.
_ORDERS: Final = {"fly": ("fly-replay", "fly-replay-cache"), "nginx": ("x-accel-redirect",)}


@dataclass(frozen=True, slots=True)
class Ways:
    """How writes may travel from here.

    Attributes:
        hops: signs and reads hops; `None` where no route forwards.
        primary: the region of the server that takes the writes now.
        changed: the request fields, in lower case, that are carried in the hop.
        secrets: those by which an ingress is known. The application is never shown them, but the
            primary's region must see them, or what came through an ingress were a stranger's there.
        platforms: those that some route lets replay.
    """

    hops: Hops | None
    primary: Callable[[], Region]
    changed: frozenset[str] = CHANGED
    secrets: frozenset[str] = frozenset()
    platforms: frozenset[str] = frozenset()

    @property
    def orders(self) -> frozenset[str]:
        """The response fields that only a route which has asked for it may send."""
        return frozenset(name for platform in self.platforms for name in _ORDERS[platform])


def is_order(name: str, value: str, own: str) -> bool:
    """Whether a response field has a platform replay the request, which its route did not ask for.

    A file that nginx is told to send stands under a path; only a named location keeps the method.

    Args:
        name: in lower case.
        value: as the application has it.
        own: the strategy of the route.
    """
    if name == "x-accel-redirect":
        return own != "nginx" and value.strip().startswith("@")
    return own != "fly" and name in _ORDERS["fly"]
