"""The request as the brain sees it. Nothing here performs I/O."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


class Entered(Protocol):
    """How a request came in; see `locate.ingresses`."""

    telling: frozenset[str]

    def told(self, request: "Request", /) -> str:
        """The client's address as text; empty where it is not known for certain."""


class Request(ABC):
    """A view of one request; each adapter has its own subclass.

    Text is decoded as Latin-1, so that every octet of a header field survives.

    Attributes:
        method: the method, as sent.
        scheme: `http` or `https`.
        host: the `Host` field in lower case, with its port.
        root: the prefix under which the application is mounted, usually empty.
        path: the decoded path below `root`.
        query: the raw query, without `?`.
        peer: the address at the other end of the socket, `None` for a Unix socket.
        special: the header fields that a decision may depend on, by lower-case name.
        odd: the path, as sent, has encoded delimiters or is malformed; see `http.paths`.
        entrance: how it came in, once somebody has asked; see `locate.ingresses`.
    """

    __slots__ = (
        "entrance", "host", "method", "odd", "path", "peer", "query", "root", "scheme", "special",
    )  # fmt: skip

    method: str
    scheme: str
    host: str
    root: str
    path: str
    query: str
    peer: str | None
    special: dict[str, str]
    odd: bool
    entrance: Entered

    @abstractmethod
    def header(self, name: str) -> str | None:
        """The value of the field with this lower-case name, its lines joined by commas."""

    @abstractmethod
    def headers(self) -> Iterator[tuple[str, str]]:
        """Every field, names in lower case."""

    @property
    def client(self) -> str | None:
        """The client's address: the peer's, unless it came in otherwise; empty where unknown."""
        entrance: Entered | None = getattr(self, "entrance", None)
        return self.peer if entrance is None else entrance.told(self)

    def replaced(self) -> bool:
        """Whether `peer` shows to be what a server has taken from a header."""
        return False

    def alter(self, edits: "RequestEdits") -> None:
        """Forget fields, and read others in their place, but for `special`."""
        raise NotImplementedError


@dataclass(slots=True)
class RequestEdits:
    """What is changed in a request before the application sees it.

    Attributes:
        remove: lower-case names of the fields to remove.
        cookie: the new `Cookie` field; `None` leaves it, an empty string removes it.
        query: the new query; `None` leaves it.
        put: fields by lower-case name, in place of what the client sent.
    """

    remove: set[str]
    cookie: str | None = None
    query: str | None = None
    put: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is changed."""
        return bool(self.remove or self.put) or (self.cookie, self.query) != (None, None)


def joined(first: RequestEdits | None, then: RequestEdits | None) -> RequestEdits | None:
    """Both, one after the other."""
    if first is None or then is None:
        return first or then
    return RequestEdits(
        first.remove | then.remove,
        first.cookie if then.cookie is None else then.cookie,
        first.query if then.query is None else then.query,
        {**first.put, **then.put},
    )
