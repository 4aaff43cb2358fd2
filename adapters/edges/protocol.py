"""What a CDN, or another cache in front, must tell of itself to be purged. No I/O here.

An `EdgePurger` builds requests and judges answers; it sends nothing, sleeps never, and knows no
queue. When a purge is sent, how often, how fast and again after which pause is decided once for
all of them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple, Protocol, runtime_checkable

from regionware.errors import ConfigurationError
from regionware.kinds import Kind, matching

Ability = Literal["tags", "urls", "everything"]

#: A secret, or a function that is asked for it each time: one that is rotated needs no restart.
Secret = str | Callable[[], str]

#: Names are labels of events and part of a key in Redis.
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
#: What may stand in a header field's value without an encoding (RFC 9110, section 5.5).
_VISIBLE: Final = re.compile(r"[\x21-\x7e]{1,4096}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A token bucket.

    Attributes:
        a_second: requests that may be sent in a second for ever, above 0.
        burst: requests that may be sent at once after a rest, 1 or more.
    """

    a_second: float
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an edge can do.

    Attributes:
        tags: at most so many in one batch; 0 where it cannot purge by tag.
        urls: at most so many in one batch; 0 where it cannot purge by URL.
        paths: URLs without a host, which mean those of every host, can be purged.
        everything: it can be emptied.
        soft: what it can mark stale instead of removing it.
        soft_as_hard: where it cannot, a soft purge removes: the application's word that this is
            fine. Otherwise a soft purge is refused. A hard one is never made soft.
        octets: of the tags of one batch, each with one for what separates them.
        rate: how fast requests may be sent.
        propagation: seconds from its answer until the purge holds everywhere in it.
    """

    tags: int = 0
    urls: int = 0
    paths: bool = True
    everything: bool = True
    soft: frozenset[Ability] = frozenset()
    soft_as_hard: bool = False
    octets: int = 1 << 20
    rate: Rate = Rate(a_second=10.0, burst=10)
    propagation: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgePurge:
    """One batch of what is to be purged, within the limits of the edge it is for.

    Attributes:
        tags: as the edge was told them in responses: its alphabet, its letter case.
        urls: percent-encoded; absolute, or beginning with `/` for every host.
        everything: all that the edge keeps; nothing else is named then.
        soft: mark it stale. Never true where the edge cannot do that.
    """

    tags: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    everything: bool = False
    soft: bool = False


@dataclass(frozen=True, slots=True)
class EdgeRequest:
    """A request to be sent as it is; its fields may hold secrets, so they are not shown.

    Attributes:
        method: the method.
        url: absolute. Its host is the vendor's or from the configuration, never from a purge.
        fields: header fields, in their order.
        body: the content.
    """

    method: str
    url: str
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class EdgeAnswer:
    """What came back.

    Attributes:
        status: the status code.
        fields: header fields, with names in lower case.
        body: the first 64 KiB of the content.
    """

    status: int
    fields: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Verdict(NamedTuple):
    """What an answer means.

    Attributes:
        outcome: `done`; `later`: the same request again after a pause; `refused`: it will never be
            taken as it is.
        after: seconds the edge asks to wait, where it says.
        reason: for the log: a few words without anything secret.
    """

    outcome: Literal["done", "later", "refused"]
    after: float | None = None
    reason: str = ""


DONE: Final = Verdict("done")


@runtime_checkable
class EdgePurger(Protocol):
    """One edge. Whatever is wrong with its options is a `ConfigurationError` when it is made."""

    @property
    def name(self) -> str:
        """Which one: 1 to 32 lower-case letters, digits and hyphens, a letter first."""

    @property
    def vendor(self) -> str | None:
        """Whose dialect of tags it speaks, as in `Cdn(vendor=...)`."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do. Never changes."""

    def requests(self, purge: EdgePurge, wall: float) -> Sequence[EdgeRequest]:
        """The requests for one batch; it is done when all of them are.

        Args:
            purge: a batch, within the capabilities.
            wall: seconds since the epoch, for signatures. They are sent at once.
        """

    def judge(self, answer: EdgeAnswer) -> Verdict:
        """What an answer means; an answer may hold anything, and nothing is raised.

        `by_status` is enough where the status code tells the truth.
        """


def by_status(answer: EdgeAnswer) -> Verdict:
    """What a status code says (RFC 9110, section 15).

    401, 403 and 404 are for somebody to repair (a token, a permission, the name of a zone), after
    which the same request is taken; so it is tried again, slowly.
    """
    status = answer.status
    if 200 <= status < 300:
        return DONE
    reason = f"status {status}"
    if status in {401, 403, 404, 408, 425, 429} or status >= 500:
        return Verdict("later", retry_after(answer), reason)
    return Verdict("refused", reason=reason)


def retry_after(answer: EdgeAnswer) -> float | None:
    """Seconds to wait, from `Retry-After` (RFC 9110, section 10.2.3); a date is not read."""
    text = answer.fields.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def checked_name(name: object) -> str:
    """The name of an edge.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise ConfigurationError(
        "edges: a name is 1 to 32 lower-case letters, digits and hyphens, a letter first"
    )


def identifier(pattern: str, words: str) -> Kind:
    """A text all of which matches a pattern; never shown: it may be a secret in the wrong place."""
    return replace(matching(pattern, words), shown=False)


def check_secret(option: str, secret: object) -> None:
    """Refuse what cannot be a secret, without showing it.

    Raises:
        ConfigurationError: naming the option.
    """
    if not callable(secret) and not (isinstance(secret, str) and _VISIBLE.fullmatch(secret)):
        raise ConfigurationError(
            f"{option} is 1 to 4096 visible characters of ASCII, or a function that returns them"
        )


def reveal(secret: Secret) -> str:
    """A secret as it is now.

    Raises:
        ValueError: a function has returned what can be none.
    """
    text: object = secret() if callable(secret) else secret
    if not isinstance(text, str) or not _VISIBLE.fullmatch(text):
        raise ValueError("what should be a secret is not visible ASCII")
    return text
