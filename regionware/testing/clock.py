"""A clock that a test sets."""


class Clock:
    """The monotonic clock, and the wall's, of a `Regionware` under test.

    An instance is the monotonic clock; its `wall` is the other one:

        clock = Clock()
        rw = Regionware(..., clock=clock, wall=clock.wall)
    """

    def __init__(self, monotonic: float = 0.0, wall: float = 1_700_000_000.0) -> None:
        """Begin.

        Args:
            monotonic: seconds since any moment.
            wall: seconds since the epoch.
        """
        self._monotonic = monotonic
        self._wall = wall

    def __call__(self) -> float:
        """The monotonic clock, in seconds."""
        return self._monotonic

    def wall(self) -> float:
        """The wall's clock, in seconds since the epoch."""
        return self._wall

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks.

        Args:
            seconds: 0 or more.

        Raises:
            ValueError: a monotonic clock would go back.
        """
        if seconds < 0:
            raise ValueError("a monotonic clock does not go back; see step_wall")
        self._monotonic += seconds
        self._wall += seconds

    def step_wall(self, seconds: float) -> None:
        """Set the wall's clock forward, or back, as somebody who corrects it would."""
        self._wall += seconds
