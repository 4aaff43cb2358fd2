"""`Database`: from which host a route's reads may be answered."""

from dataclasses import dataclass
from typing import Literal, Self

from regionware.errors import ConfigurationError

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
        if self.consistency not in SCALE:
            raise ConfigurationError(f"Database: unknown consistency {self.consistency!r}")
        if self.max_lag is not None and not SMALLEST_LAG <= self.max_lag <= LARGEST_LAG:
            raise ConfigurationError(
                f"Database: max_lag must be in 1..300 seconds, not {self.max_lag}"
            )
        if not 0 <= self.wait <= 10_000:
            raise ConfigurationError(
                f"Database: wait must be in 0..10000 milliseconds, not {self.wait}"
            )
        if self.unmet not in ("primary", "fail", "stale"):
            raise ConfigurationError(
                f"Database: unmet must be primary, fail or stale, not {self.unmet!r}"
            )
        if self.on_write not in ("error", "escalate", "observe"):
            raise ConfigurationError(
                f"Database: on_write must be error, escalate or observe, not {self.on_write!r}"
            )

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
        """Give a session its own writes; not yet, never less than it has seen of others'."""
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
