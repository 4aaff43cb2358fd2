"""What is left to chance, so that many do not do the same at once. No I/O here.

The chance itself is handed in: a number in [0, 1).
"""

from math import log

#: Seconds until a fill is tried again after the first failure, doubled by each further one.
FIRST = 1.0
#: The longest such time, in seconds.
LAST = 30.0
#: By which share these times are longer or shorter than that.
_SPREAD = 0.1
#: Costs before the end of freshness: earlier nobody refreshes (a chance of 1 in 22,000).
_SOON = 10.0


def quiet_until(fresh_until: float, cost: float) -> float:
    """Until when nobody need think of an early refresh.

    Args:
        fresh_until: the end of freshness, monotonic seconds.
        cost: seconds that the application took; 0 where nothing is refreshed early.
    """
    return fresh_until - _SOON * cost


def is_early(fresh_until: float, cost: float, now: float, chance: float) -> bool:
    """Whether this request is the one that refreshes an entry before its end.

    XFetch: the closer the end and the dearer the answer, the likelier (Vattani, Chierichetti and
    Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015).
    """
    return cost > 0 and -cost * log(1.0 - chance) >= fresh_until - now


def shortened(left: float, jitter: float, chance: float) -> float:
    """A lifetime in seconds, shortened by up to the share `jitter`."""
    return left * (1.0 - jitter * chance) if left > 0 else left


def delays(chance: float) -> tuple[float, float]:
    """Seconds without an attempt after the first failure, and at most."""
    spread = 1.0 + _SPREAD * (2.0 * chance - 1.0)
    return FIRST * spread, LAST * spread


def delay(failures: int, chance: float) -> float:
    """Seconds without an attempt after so many failures in a row, at least one."""
    first, last = delays(chance)
    return float(min(first * 2 ** min(failures - 1, 20), last))
