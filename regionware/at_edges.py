"""What the application itself says to edges alone: it can only tighten. No I/O here."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from regionware.caching.freshness import Values
from regionware.edge import FORBIDDING
from regionware.http.directives import CacheControl, parse_cache_control, parse_targeted

#: Fields with the syntax of RFC 9213.
_TARGETED: Final = (
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "netlify-cdn-cache-control",
    "vercel-cdn-cache-control",
)
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN: Final = re.compile(r"([0-9]{1,9})([smhd]?)")
_FORBIDDING: Final = (*FORBIDDING, "bypass-cache")


def for_edges_alone(values: Values) -> tuple[bool, int | None]:
    """What the application forbids to edges, whichever edge it had in mind.

    Returns:
        Whether it forbids them to keep the response; and for how many seconds they may at most.
    """
    shortest: int | None = None
    for control in _controls(values):
        ages = [] if shortest is None else [shortest]
        if "max-age" in control:
            ages.append(control.seconds("max-age") or 0)
        if "cache-maxage" in control:
            ages.append(_span(control.directives["cache-maxage"]))
        shortest = min(ages, default=None)
        if shortest == 0 or any(name in control for name in _FORBIDDING):
            return True, shortest
    return False, shortest


def _controls(values: Values) -> Iterator[CacheControl]:
    yield from _known(parse_targeted(values.get(name, ())) for name in _TARGETED)
    yield from _known(
        parse_cache_control(values.get(name, ())) for name in ("surrogate-control", "edge-control")
    )
    for text in values.get("x-accel-expires", ()):
        # A point in time, and whatever else is no number of seconds, is none that we could add to.
        yield CacheControl({"cache-maxage": text.strip()})


def _known(controls: Iterable[CacheControl | None]) -> Iterator[CacheControl]:
    return (control for control in controls if control is not None and control.directives)


def _span(text: str | None) -> int:
    """Seconds of Akamai's `1d`, or of a plain number; 0 for anything else."""
    found = _SPAN.fullmatch(text or "")
    return 0 if found is None else int(found[1]) * _UNITS[found[2]]
