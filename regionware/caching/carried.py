"""What a background refresh carries of the request that caused it: an allow-list. No I/O here.

It is made for everybody. So it carries what its answer is stored under (the fields that the key is
made from, and those that select a variant), what is negotiated, and nothing else: no identity, no
credentials, no conditions of the client's. A field that nobody has heard of may be any of these.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from regionware.http.conditions import CONDITIONS
from regionware.http.request import Request

#: Where the request goes, and what is negotiated (RFC 9110, sections 7.2 and 12.5).
_PLAIN = frozenset({"host", "accept", "accept-charset", "accept-encoding", "accept-language"})
#: Never: what one client is, asks for or has. Cookies that are in the key are put back later.
PERSONAL = CONDITIONS | {
    "authorization", "cache-control", "cookie", "if-range", "pragma", "proxy-authorization",
    "range", "regionware-debug", "regionware-session",
}  # fmt: skip


def carried(names: Iterable[str]) -> frozenset[str]:
    """The names, in lower case, of the fields that a refresh carries, where its request has them.

    Args:
        names: of the fields that the key is made from, or that select its variant.
    """
    return (_PLAIN | frozenset(names)) - PERSONAL


def read_by(functions: Iterable[Callable[[Request], str]], request: Request) -> set[str]:
    """The names of the fields that functions of a request read, as far as it has them."""
    noting = _Noting(request)
    for function in functions:
        with suppress(Exception):  # it has had its say when the key was made
            function(noting)
    return noting.read


class _Noting(Request):
    """A request that notes which of its fields are read."""

    __slots__ = ("_request", "read")

    def __init__(self, request: Request) -> None:
        for name in Request.__slots__:
            if hasattr(request, name):
                setattr(self, name, getattr(request, name))
        self._request = request
        self.read: set[str] = set()

    def header(self, name: str) -> str | None:
        self.read.add(name)
        return self._request.header(name)

    def headers(self) -> Iterator[tuple[str, str]]:
        fields = list(self._request.headers())
        self.read.update(name for name, _ in fields)
        return iter(fields)
