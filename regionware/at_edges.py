"""What the application itself says to edges alone: it can only tighten. No I/O here."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from regionware.caching.freshness import Values
from regionware.edge import FORBIDDING, NOBODY
from regionware.http.directives import CacheControl, parse_cache_control, parse_targeted

#: Fields with the syntax of RFC 9213.
_TARGETED: Final = (
    "cdn-cache-control",
    "akamai-cache-control",
    "cloudflare-cdn-cache-control",
    "netlify-cdn-cache-control",
    "vercel-cdn-cache-control",
)
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN: Final = re.compile(r"([0-9]{1,9})([smhd]?)")
_FORBIDDING: Final = (*FORBIDDING, "bypass-cache")
_AGES: Final = ("max-age", "s-maxage")
_STRICT: Final = ("must-revalidate", "proxy-revalidate")


def for_edges_alone(values: Values) -> tuple[bool, int | None]:
    """What the application forbids to edges, whichever edge it had in mind.

    Returns:
        Whether it forbids them to keep the response; and for how many seconds they may at most.
    """
    shortest: int | None = None
    for control in _controls(values):
        ages = [] if shortest is None else [shortest]
        # Which of them an edge reads depends on the edge.
        ages += [control.seconds(name) or 0 for name in _AGES if name in control]
        if "cache-maxage" in control:
            ages.append(_span(control.directives["cache-maxage"]))
        shortest = min(ages, default=None)
        if shortest == 0 or any(name in control for name in _FORBIDDING):
            return True, shortest
    return False, shortest


def forbids_stale(values: Values) -> bool:
    """Whether the application forbids to edges, whichever they are, to serve what is stale."""
    return any(word in control for control in _controls(values) for word in _STRICT)


def tightened(control: CacheControl, values: Values, lifetime: float | None) -> CacheControl:
    """The application's directives, with what it says to edges alone where all of them read it.

    Args:
        control: its `Cache-Control`.
        values: all that it says; edges are not forbidden to keep the response.
        lifetime: seconds for which any shared cache may keep it, if it says so.
    """
    _, most = for_edges_alone(values)
    known = dict(control.directives)
    if most is not None and (lifetime is None or most < lifetime):
        known["s-maxage"] = str(most)
    if forbids_stale(values) and "must-revalidate" not in known:
        known["proxy-revalidate"] = None
    return CacheControl(known, control.malformed)


def written(control: CacheControl) -> str:
    """Directives as a field's value."""
    known = control.directives.items()
    return ", ".join(name if value is None else f"{name}={value}" for name, value in known)


def in_common(
    control: CacheControl, values: Values, lifetime: float | None, *, authorized: bool
) -> str | None:
    """The `Cache-Control` that says to all edges what the application says to some alone.

    What it forbids is left to the browser; a lifetime for edges alone cannot be said of an answer
    to credentials, since `s-maxage` lets edges keep it (RFC 9111, section 3.5).

    Args:
        control: its `Cache-Control`.
        values: all that it says.
        lifetime: seconds for which any shared cache may keep it, if it says so.
        authorized: the request had `Authorization`.

    Returns:
        `None` where its own says as much.
    """
    if any(word in control for word in FORBIDDING):
        return None
    forbids, _ = for_edges_alone(values)
    own = tightened(control, values, lifetime)
    if not forbids and own.directives == control.directives:
        return None
    if control.malformed:
        return NOBODY
    if not forbids and not authorized:
        return written(own)
    left = {n: v for n, v in control.directives.items() if n not in {"public", "s-maxage"}}
    return written(CacheControl({"private": None, **left}))


def _controls(values: Values) -> Iterator[CacheControl]:
    yield from _known(_targeted(values.get(name, ())) for name in _TARGETED)
    yield from _known(
        parse_cache_control(values.get(name, ())) for name in ("surrogate-control", "edge-control")
    )
    for text in values.get("x-accel-expires", ()):
        # A point in time, and whatever else is no number of seconds, is none that we could add to.
        yield CacheControl({"cache-maxage": text.strip()})


def _targeted(lines: Sequence[str]) -> CacheControl | None:
    """A targeted field; one that is no Dictionary, which some edges ignore and others read."""
    strict = parse_targeted(lines)
    return parse_cache_control(lines) if strict is None and lines else strict


def _known(controls: Iterable[CacheControl | None]) -> Iterator[CacheControl]:
    return (control for control in controls if control is not None and control.directives)


def _span(text: str | None) -> int:
    """Seconds of Akamai's `1d`, or of a plain number; 0 for anything else."""
    found = _SPAN.fullmatch(text or "")
    return 0 if found is None else int(found[1]) * _UNITS[found[2]]
