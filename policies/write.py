"""`Write`: how a write travels from a far region to the primary."""

from dataclasses import dataclass
from typing import Self

from regionware.errors import ConfigurationError
from regionware.kinds import one_of


@dataclass(frozen=True, slots=True)
class Write:
    """How a route's writes reach the primary. Use a constructor."""

    strategy: str

    def __post_init__(self) -> None:
        """Refuse what is not there.

        Raises:
            ConfigurationError: there is no such way.
        """
        one_of("direct").check("Write: strategy", self.strategy)

    @classmethod
    def direct(cls) -> Self:
        """The application runs here and connects to the primary; always possible."""
        return cls("direct")

    @classmethod
    def forward(cls) -> Self:
        """Send the request to the primary region's application.

        Raises:
            ConfigurationError: always, in this version.
        """
        raise ConfigurationError(
            "Write.forward() is not furnished in this version; use Write.direct()"
        )

    @classmethod
    def replay(cls, platform: str) -> Self:
        """Let the platform replay the request in the primary region.

        Raises:
            ConfigurationError: always, in this version.
        """
        raise ConfigurationError(
            f"Write.replay({platform!r}) is not furnished in this version; use Write.direct()"
        )
