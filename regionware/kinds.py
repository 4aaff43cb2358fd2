"""What kind of value an option takes, said once, where the option is declared. No I/O here.

A `Kind` is what messages call it, and which values are of it. Kinds are checked before anything
else looks at a value, so that whatever else somebody gives is a `ConfigurationError` that names the
option, never an error from somewhere inside.
"""

import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from regionware.errors import ConfigurationError

#: What passes for a list. A text or a mapping can be iterated too, and never means its parts.
_LISTS: Final = (list, tuple, set, frozenset, range)
#: Their order differs from process to process.
_SETS: Final = (set, frozenset)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value.

    Attributes:
        words: what a message says that the option is.
        fits: whether a value is of this kind; never raises.
        shown: a message may show the value that is not: it can be no secret, and no URL.
        ordered: what it holds has an order that counts, so it is no set.
    """

    words: str
    fits: Callable[[object], bool]
    shown: bool = False
    ordered: bool = False

    def check(self, option: str, value: object) -> None:
        """Refuse a value of another kind.

        Raises:
            ConfigurationError: naming the option, and what it is.
        """
        self.check_order(option, value)
        if not self.fits(value):
            found = f", not {_shown(value)}" if self.shown else ""
            raise ConfigurationError(f"{option} is {self.words}{found}")

    def check_order(self, option: str, value: object) -> None:
        """Refuse a set where the order counts.

        Raises:
            ConfigurationError: naming the option.
        """
        if self.ordered and isinstance(value, _SETS):
            raise ConfigurationError(f"{option} is {self.words}: a set has no order, which counts")


@dataclass(frozen=True, slots=True)
class Listed(Kind):
    """A list of values of one kind: which of them is not is said of that one.

    Attributes:
        each: the kind of the values.
    """

    each: Kind = field(kw_only=True)

    def check(self, option: str, value: object) -> None:
        """See `Kind`."""
        self.check_order(option, value)
        if isinstance(value, _LISTS) and value:
            for number, one in enumerate(value):
                self.each.check(f"{option}[{number}]", one)
        elif not self.fits(value):
            found = ", not one text" if isinstance(value, str) else ""
            raise ConfigurationError(f"{option} is {self.words}{found}")


def check_all(where: str, options: object, kinds: Mapping[str, Kind]) -> None:
    """Check the attributes of `options`; `where` stands before the name of each.

    Raises:
        ConfigurationError: see `Kind.check`.
    """
    for option, kind in kinds.items():
        kind.check(where + option, getattr(options, option))


def number(unit: str, least: float, most: float, *, above: bool = False) -> Kind:
    """A number in a range, which `least` is not part of if it must be `above`; no NaN, no bool."""

    def fits(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return least <= value <= most and not (above and value == least)

    low = f"above {least:,}, at most" if above else f"from {least:,} to"
    return Kind(f"a number{_of(unit)} {low} {most:,}", fits, shown=True)


def whole(unit: str, least: int, most: int) -> Kind:
    """A whole number in a range."""

    def fits(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    return Kind(f"a whole number{_of(unit)} from {least:,} to {most:,}", fits, shown=True)


def _of(unit: str) -> str:
    return unit and f" of {unit}"


def one_of(*words: str) -> Kind:
    """One of a few words."""

    def fits(value: object) -> bool:
        return isinstance(value, str) and value in words

    *others, last = (f'"{word}"' for word in words)
    listed = f"{', '.join(others)} or {last}" if others else last
    return Kind(listed, fits, shown=True)


def matching(pattern: str, words: str) -> Kind:
    """A text all of which matches a pattern; no secret."""
    whole_of = re.compile(pattern).fullmatch
    return Kind(words, lambda v: isinstance(v, str) and whole_of(v) is not None, shown=True)


def instance(of: type) -> Kind:
    """An object of a class."""
    return Kind(f"a {of.__name__}", lambda value: isinstance(value, of), shown=True)


def list_of(kind: Kind, what: str, *, least: int = 0, ordered: bool = False) -> Kind:
    """A list of at least so many values; no set, where their order counts."""

    def fits(value: object) -> bool:
        return isinstance(value, _LISTS) and len(value) >= least and all(map(kind.fits, value))

    words = f"a list of {what}{' that is not empty' if least else ''}"
    return Listed(words, fits, ordered=ordered, each=kind)


def any_of(words: str, *kinds: Kind) -> Kind:
    """A value of one of several kinds."""
    ordered = any(kind.ordered for kind in kinds)
    return Kind(words, lambda value: any(kind.fits(value) for kind in kinds), ordered=ordered)


def maybe(kind: Kind) -> Kind:
    """A value of a kind, or `None`."""
    return Kind(f"{kind.words}, or None", lambda v: v is None or kind.fits(v), shown=kind.shown)


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: object) -> str:
    """A value, shortened; of one that cannot be written, its type."""
    try:
        return reprlib.repr(value)
    except Exception:  # noqa: BLE001 - the message matters more than what somebody's repr raises
        return f"a {type(value).__name__}"


BOOLEAN: Final = Kind("True or False", lambda value: isinstance(value, bool), shown=True)
FUNCTION: Final = Kind("a function", callable, shown=True)
#: What cannot be encoded, such as octets of the environment that are no UTF-8, is no text.
TEXT: Final = Kind("a text that UTF-8 can write", _is_text)
ANYTHING: Final = Kind("anything", lambda _: True)
OCTETS: Final = Kind("bytes", lambda value: isinstance(value, bytes))
