"""`Database`: from which host a route's reads may be answered."""

from dataclasses import dataclass
from typing import Final, Literal, Self

from regionware.kinds import Kind, check_all, maybe, number, one_of

Access = Literal["read", "write"]
Consistency = Literal["strong", "session", "own-writes", "bounded", "eventual"]
Unmet = Literal["primary", "fail", "stale"]
OnWrite = Literal["error", "escalate", "observe"]

#: Seconds that can be honestly promised: hosts are asked four times a second.
SMALLEST_LAG = 1.0

#: Seconds of lag beyond which a replica is never read, whatever a policy says.
LARGEST_LAG = 300.0

#: From the strongest to the weakest.
SCALE: tuple[Consistency, ...] = ("strong", "session", "own-writes", "bounded", "eventual")


_KINDS: Final[dict[str, Kind]] = {
    "consistency": one_of(*SCALE),
    "max_lag": maybe(number("seconds", SMALLEST_LAG, LARGEST_LAG)),
    "wait": number("milliseconds", 0, 10_000),
    "unmet": one_of("primary", "fail", "stale"),
    "on_write": one_of("error", "escalate", "observe"),
}


def at_least(left: Consistency, right: Consistency) -> bool:
    """Whether `left` promises everything that `right` promises."""
    return SCALE.index(left) <= SCALE.index(right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """The consistency of a route's reads. Writes always reach the primary.

    Use one of the three constructors: `primary()`, `session()`, `replica()`.

    Attributes:
        consistency: what a read promises; see `SCALE`.
        max_lag: seconds a replica may lag and still be read, 1 to 300; `None` for 300.
        wait: milliseconds a read may wait for a replica to catch up, 0 to 10,000.
        unmet: what happens when no replica qualifies: read from the `"primary"`, `"fail"` with
            `ConsistencyUnavailable`, or read `"stale"` data and say so.
        on_write: what becomes of a write where the request only reads, which the server refuses:
            its `"error"`; or where nothing was done before it, `"escalate"`: it goes to the primary
            instead, and the request is a write from then on. `"observe"`: the same, and each is
            logged.
    """

    consistency: Consistency
    max_lag: float | None = None
    wait: int = 50
    unmet: Unmet = "primary"
    on_write: OnWrite = "error"

    def __post_init__(self) -> None:
        """Refuse what cannot be kept.

        Raises:
            ConfigurationError: an attribute is outside its range.
        """
        check_all("Database: ", self, _KINDS)

    @classmethod
    def primary(
        cls, *, wait: int = 50, unmet: Unmet = "primary", on_write: OnWrite = "error"
    ) -> Self:
        """Strong: every read sees the primary."""
        return cls(consistency="strong", wait=wait, unmet=unmet, on_write=on_write)

    @classmethod
    def session(
        cls, *, wait: int = 50, unmet: Unmet = "primary", on_write: OnWrite = "error"
    ) -> Self:
        """Give a session its own writes, and never less than it has seen of others'."""
        return cls(consistency="session", wait=wait, unmet=unmet, on_write=on_write)

    @classmethod
    def replica(
        cls,
        *,
        max_lag: float = 5.0,
        wait: int = 50,
        unmet: Unmet = "primary",
        on_write: OnWrite = "error",
    ) -> Self:
        """Bounded: a replica that lags at most `max_lag` seconds."""
        return cls(
            consistency="bounded", max_lag=max_lag, wait=wait, unmet=unmet, on_write=on_write
        )
