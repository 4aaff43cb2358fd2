"""A point in the primary's history: (timeline, LSN)."""

import re
from dataclasses import dataclass
from typing import Self

PAGE = 8192
SHORT_HEADER = 24
LONG_HEADER = 40
SEGMENT = 16 * 1024 * 1024

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})\Z")


@dataclass(frozen=True, slots=True)
class Position:
    """A point in the primary's history.

    Positions of different timelines are not comparable: after a failover the old timeline may
    hold writes that are lost. So there is no order here, only `reached`.

    Attributes:
        timeline: PostgreSQL's timeline, 1 or more.
        lsn: byte address in the write-ahead log, 64 bits.
    """

    timeline: int
    lsn: int

    @classmethod
    def parse(cls, lsn: str, timeline: int) -> Self:
        """Read PostgreSQL's text form, such as `0/16B3748`.

        An insert position right behind a WAL page header is rounded down to the page: an idle
        replica replays up to the boundary only, and would never be seen to reach it.

        Raises:
            ValueError: the text is not an LSN.
        """
        found = _LSN.match(lsn)
        if found is None:
            raise ValueError(f"not an LSN: {lsn!r}")
        value = int(found[1], 16) << 32 | int(found[2], 16)
        header = LONG_HEADER if value % SEGMENT == LONG_HEADER else SHORT_HEADER
        return cls(timeline, value - header if value % PAGE == header else value)

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """The inverse of `hex`.

        Raises:
            ValueError: the text is not 24 hexadecimal digits.
        """
        if len(text) != 24:
            raise ValueError(f"not a position: {text!r}")
        return cls(int(text[:8], 16), int(text[8:], 16))

    @property
    def hex(self) -> str:
        """24 lower-case hexadecimal digits: positions of one timeline sort as text."""
        return f"{self.timeline:08x}{self.lsn:016x}"

    def reached(self, other: "Position | None") -> bool:
        """Whether everything up to `other` is certainly included here; `None` asks for nothing."""
        return other is None or (self.timeline == other.timeline and self.lsn >= other.lsn)

    def below(self) -> "Position":
        """The position one byte earlier: excludes a commit that is logged but not yet visible."""
        return Position(self.timeline, max(self.lsn - 1, 0))

    def above(self) -> "Position":
        """The position one byte later: includes a commit that is visible and not yet counted."""
        return Position(self.timeline, self.lsn + 1)

    def __str__(self) -> str:
        """The timeline and PostgreSQL's text form, for people."""
        return f"{self.timeline}:{self.lsn >> 32:X}/{self.lsn & 0xFFFFFFFF:X}"


def merge(left: Position | None, right: Position | None) -> Position | None:
    """The obligation that covers both: the higher LSN of one timeline, else the higher timeline."""
    if left is None or right is None:
        return left or right
    return max(left, right, key=lambda p: (p.timeline, p.lsn))


def lower(left: Position | None, right: Position | None) -> Position | None:
    """The bound that holds for both; `None` where either is unknown or they are not comparable."""
    if left is None or right is None or left.timeline != right.timeline:
        return None
    return min(left, right, key=lambda p: p.lsn)
