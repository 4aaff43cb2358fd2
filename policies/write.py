"""`Write`: how a write travels from a far region to the primary."""

from dataclasses import dataclass
from typing import Final, Literal, Self

from regionware.errors import ConfigurationError
from regionware.kinds import Kind, check_all, matching, maybe, number, one_of, whole

Strategy = Literal["direct", "forward", "fly", "nginx"]
#: What happens to a forward of which certainly nothing was sent.
Fallback = Literal["fail", "direct"]

_MINUTES: Final = 3600
_SECONDS: Final = number("seconds", 0, _MINUTES, above=True)

_KINDS: Final[dict[str, Kind]] = {
    "strategy": one_of("direct", "forward", "fly", "nginx"),
    "timeout": _SECONDS,
    "connect_timeout": _SECONDS,
    "idle_timeout": _SECONDS,
    "keep_alive": number("seconds", 0, _MINUTES),
    "connections": whole("connections", 1, 10_000),
    "body_limit": maybe(whole("bytes", 0, 1 << 50)),
    "fallback": one_of("fail", "direct"),
    "location": matching(r"(@[A-Za-z0-9_-]{1,64})?", "an nginx named location such as @primary"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """How a route's writes reach the primary. Use a constructor.

    Attributes:
        strategy: `direct`, `forward`, or the platform that replays.
        otherwise: what is done where the platform cannot replay.
    """

    strategy: Strategy
    timeout: float = 10.0
    connect_timeout: float = 2.0
    idle_timeout: float = 60.0
    keep_alive: float = 4.0
    connections: int = 100
    body_limit: int | None = None
    fallback: Fallback = "fail"
    location: str = ""
    otherwise: "Write | None" = None

    def __post_init__(self) -> None:
        """Refuse what is not there.

        Raises:
            ConfigurationError: a word or a number is of another kind.
        """
        check_all("Write: ", self, _KINDS)
        if self.otherwise is not None and not isinstance(self.otherwise, Write):
            raise ConfigurationError("Write: fallback must be Write.direct() or Write.forward()")
        if self.otherwise is not None and self.otherwise.replays:
            raise ConfigurationError("Write: the fallback of a replay cannot be a replay")
        if (self.strategy == "nginx") != bool(self.location):
            raise ConfigurationError('Write.replay("nginx") needs location="@…", and nothing else')

    @classmethod
    def direct(cls) -> Self:
        """The application runs here and connects to the primary; always possible."""
        return cls(strategy="direct")

    @classmethod
    def forward(
        cls,
        *,
        timeout: float = 10.0,
        connect_timeout: float = 2.0,
        idle_timeout: float = 60.0,
        keep_alive: float = 4.0,
        connections: int = 100,
        body_limit: int | None = None,
        fallback: Fallback = "fail",
    ) -> Self:
        """Send the untouched request to the primary region's application, over pooled HTTP/1.1.

        Needs `regionware[forward]`, a `secret`, and the `url` of each region that may hold the
        primary. A forward that fails is answered with 503, and never carried out twice.

        Args:
            timeout: seconds from the last octet of the request to the head of the response.
            connect_timeout: seconds for a connection, TLS included, and for a place in the pool.
            idle_timeout: seconds for which a content may stand still, in either direction.
            keep_alive: seconds for which an unused connection is kept; it must be shorter than
                the primary's server keeps it (uvicorn: 5), or a request may meet its end: 503.
            connections: the most that a process, or an event loop, has open to one region.
            body_limit: octets; a request that announces more is carried out here instead, one
                that turns out to have more is answered with 413. `None` for no limit.
            fallback: of a forward of which certainly no octet was sent: `"fail"` answers 503,
                `"direct"` has the application run here.

        Raises:
            ConfigurationError: a number is out of its range.
        """
        return cls(
            strategy="forward", timeout=timeout, connect_timeout=connect_timeout,
            idle_timeout=idle_timeout, keep_alive=keep_alive, connections=connections,
            body_limit=body_limit, fallback=fallback,
        )  # fmt: skip

    @classmethod
    def replay(
        cls,
        platform: Literal["fly", "nginx"],
        *,
        location: str = "",
        fallback: "Write | None" = None,
    ) -> Self:
        """Let the platform in front replay the request in the primary region.

        It is asked only where it announces itself as a trusted peer, and where it can: Fly replays
        no request of more than 1 MB, and none twice.

        Args:
            platform: `"fly"` (`fly-replay`), or `"nginx"` (`X-Accel-Redirect`).
            location: nginx's named location, which keeps method and content: `"@primary"`.
            fallback: where it cannot: `Write.direct()`, the default, or `Write.forward()`.

        Raises:
            ConfigurationError: the platform is unknown, or a word does not go with it.
        """
        if platform not in {"fly", "nginx"}:
            raise ConfigurationError(f'Write.replay: "fly" or "nginx", not {platform!r}')
        return cls(strategy=platform, location=location, otherwise=fallback or cls.direct())

    @property
    def replays(self) -> bool:
        """Whether a platform is asked to send the request again."""
        return self.strategy in {"fly", "nginx"}

    @property
    def forwarding(self) -> "Write | None":
        """The forward that this is, or falls back to."""
        found = self.otherwise if self.replays else self
        return found if found is not None and found.strategy == "forward" else None
