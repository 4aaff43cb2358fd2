"""Every error of regionware's own.

```
RegionwareError
├── ConfigurationError (also a ValueError)   raised at start, names the route or option
├── Unavailable                              answered with 503 and Retry-After
│   ├── ConsistencyUnavailable
│   └── PrimaryUnavailable
├── InsufficientTrust                        of `Located.require`: the application's to handle
└── PurgeError                               says what is queued where
```

Errors of a database inside `rw.connection()` surface as psycopg's own.
"""

from collections.abc import Mapping


class RegionwareError(Exception):
    """Base of every error that regionware raises on its own behalf."""


class ConfigurationError(RegionwareError, ValueError):
    """A configuration that cannot work, or a promise that cannot be kept; raised at start."""


class Unavailable(RegionwareError):
    """A guarantee cannot be met now; the adapters answer 503 (RFC 9110, section 15.6.4).

    Attributes:
        retry_after: whole seconds for `Retry-After` (RFC 9110, section 10.2.3).
    """

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        """Keep the message and how many whole seconds a client should wait."""
        super().__init__(message)
        self.retry_after = retry_after


class ConsistencyUnavailable(Unavailable):
    """No host can give the read the consistency its policy demands, within its budget."""


class PrimaryUnavailable(Unavailable):
    """The primary database cannot be reached, or none can be told apart safely."""


class InsufficientTrust(RegionwareError):
    """Where a client is, is not known for as certain as was asked for.

    Attributes:
        source: who said so; `default` where nobody did.
    """

    def __init__(self, message: str, *, source: str) -> None:
        """Keep the message and the source."""
        super().__init__(message)
        self.source = source


class PurgeError(RegionwareError):
    """A purge is not acknowledged.

    Attributes:
        queued: for each region that has not confirmed, what is still queued there or why not.
    """

    def __init__(self, message: str, *, queued: Mapping[str, str]) -> None:
        """Keep the message and the state of each region that has not confirmed."""
        super().__init__(message)
        self.queued = dict(queued)
