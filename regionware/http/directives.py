"""Cache directives of responses and requests (RFC 9111, section 5.2; RFC 9213). No I/O here."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar, cast

import http_sf

_T = TypeVar("_T")

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]++")
# Possessive, so that 64 KiB of quotes and backslashes are read once. A line's end closes a quote,
# or else one line could hide what the next one forbids.
_OPEN = r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+'
_MEMBER = re.compile(rf'(?:[^",\n]++|{_OPEN}(?:"|\\?$))+', re.MULTILINE)
_ARGUMENT = rf'(?:{_OPEN}"|[^ \t",]*+)'
_DIRECTIVE = re.compile(rf"({_TOKEN.pattern})(?:=({_ARGUMENT}))?")
_SPACED = re.compile(rf"{_TOKEN.pattern}[ \t]*+=[ \t]*+{_ARGUMENT}")
_SECONDS = re.compile(r'(")?(?=[0-9])0*+([0-9]*+)(?(1)")')

#: RFC 9111, section 1.2.2: a recipient may treat anything larger as 2^31.
FOREVER = 2**31

#: The directives whose argument is a list of field names.
_LISTS = frozenset({"private", "no-cache"})
# An argument that is there and cannot be read: neither seconds nor names.
_UNREADABLE = ""


def _remembered(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    # An application sends few different texts; a client could send many, and long ones.
    known = lru_cache(maxsize=1024)(parse)
    return lambda text: known(text) if len(text) <= 1024 else parse(text)


@dataclass(frozen=True, slots=True)
class CacheControl:
    """Parsed response directives (RFC 9111, section 5.2.2).

    Attributes:
        directives: lower-case names and arguments; of a repeated one, the most restrictive.
        malformed: a part could not be read; there may be more than is known.
    """

    directives: Mapping[str, str | None]
    malformed: bool = False

    def __contains__(self, name: str) -> bool:
        """Whether a directive is present."""
        return name in self.directives

    def seconds(self, name: str) -> int | None:
        """A directive's argument in seconds; 0 where it is malformed, `None` where absent."""
        if name not in self.directives:
            return None
        return delta_seconds(self.directives[name])

    def fields(self, name: str) -> frozenset[str]:
        """The lower-case field names of a qualified `private` or `no-cache`.

        Empty where the directive is absent or unqualified (RFC 9111, 5.2.2.4 and 5.2.2.7).
        """
        return _names(self.directives.get(name))

    def bare(self, name: str) -> bool:
        """Whether a directive is present without a readable list of field names."""
        return name in self.directives and not self.fields(name)


def delta_seconds(text: str | None) -> int:
    """Delta-seconds (RFC 9111, section 1.2.2), quoted or not, from 0 to `FOREVER`.

    Anything else counts as 0, that is, stale.
    """
    return _read_seconds(text) or 0


def parse_cache_control(values: Iterable[str]) -> CacheControl:
    """Read all lines of a `Cache-Control` field; never raises.

    What is repeated, and what is not in the grammar, gets its most restrictive reading
    (RFC 9111, section 4.2.1): the fewest seconds, the unqualified form, all field names.
    """
    return _parse("\n".join(values))


def parse_targeted(values: Sequence[str]) -> CacheControl | None:
    """Read all lines of a targeted field such as `CDN-Cache-Control`; never raises.

    An argument of a wrong type counts as malformed; the last of repeated members counts.

    Returns:
        `None` where the field is to be ignored (RFC 9213, section 2.1): it is empty, or it is no
        Structured Fields Dictionary.
    """
    return _parse_targeted(",".join(values))


@dataclass(frozen=True, slots=True)
class Wants:
    """What a request asks of caches (RFC 9111, section 5.2.1); seconds from 0 to `FOREVER`.

    Attributes:
        no_store: nothing of this exchange may be stored.
        no_cache: no stored answer without validation.
        only_if_cached: a stored answer, or 504.
        max_age: the highest age; `None` for any, 0 if malformed.
        min_fresh: how long the answer must stay fresh; `FOREVER` if malformed.
        max_stale: how stale it may be; `None` if absent or malformed, `FOREVER` without a bound.
    """

    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    max_age: int | None = None
    min_fresh: int | None = None
    max_stale: int | None = None


def parse_wants(cache_control: str | None, pragma: str | None) -> Wants | None:
    """Read a request's directives; never raises.

    Args:
        cache_control: the `Cache-Control` field, its lines joined by commas.
        pragma: the `Pragma` field, which counts only without the other (RFC 9111, 5.4).

    Returns:
        `None` where the request asks for nothing.
    """
    if cache_control is not None:
        return _wants(cache_control)
    old = None if pragma is None else _wants(pragma)
    return Wants(no_cache=True) if old is not None and old.no_cache else None


def _read_seconds(text: str | None) -> int | None:
    """Delta-seconds, or `None` for what is none."""
    found = _SECONDS.fullmatch(text) if text else None
    if found is None:
        return None
    digits = found[2]
    # No more than ten digits are ever converted.
    return min(int(digits or "0"), FOREVER) if len(digits) <= 10 else FOREVER


def _names(argument: str | None) -> frozenset[str]:
    """The lower-case names in an argument; none at all if one is no field name."""
    if argument is None:
        return frozenset()
    text = re.sub(r"\\(.)", r"\1", argument[1:-1]) if argument[:1] == '"' else argument
    names = {name for part in text.split(",") if (name := part.strip(" \t").lower())}
    return frozenset(names if all(map(_TOKEN.fullmatch, names)) else ())


def _read(text: str) -> tuple[dict[str, list[str | None]], bool]:
    """Every argument of each name, and whether something could not be read."""
    found: dict[str, list[str | None]] = {}
    malformed = False
    for part in _MEMBER.findall(text):
        member = part.strip(" \t")
        directive = _DIRECTIVE.fullmatch(member)
        if directive is not None:
            found.setdefault(directive[1].lower(), []).append(directive[2])
        elif member:
            name = _TOKEN.match(member)
            if name is not None:
                found.setdefault(name[0].lower(), []).append(_UNREADABLE)
            malformed = malformed or not _SPACED.fullmatch(member)
    return found, malformed


@_remembered
def _parse(text: str) -> CacheControl:
    found, malformed = _read(text)
    return CacheControl({name: _strictest(name, each) for name, each in found.items()}, malformed)


def _strictest(name: str, arguments: list[str | None]) -> str | None:
    different = set(arguments)
    if len(different) == 1:
        return arguments[0]
    if name not in _LISTS:
        return str(min(map(delta_seconds, different)))
    lists = [_names(argument) for argument in different]
    return f'"{", ".join(sorted(frozenset().union(*lists)))}"' if all(lists) else None


@_remembered
def _parse_targeted(text: str) -> CacheControl | None:
    try:
        parsed = http_sf.parse(text.strip(" \t").encode("ascii"), tltype="dictionary")
    except ValueError:
        return None
    members = cast("http_sf.DictionaryType", parsed)
    if not members:
        return None
    values = {n: m[0] if isinstance(m, tuple) else m for n, m in members.items()}
    return CacheControl({n: _argument(n, v) for n, v in values.items() if v is not False})


def _argument(name: str, value: object) -> str | None:
    if value is True:
        return None
    if name in _LISTS:
        return http_sf.ser(value) if isinstance(value, str) else _UNREADABLE
    return str(value) if isinstance(value, int) else _UNREADABLE


@_remembered
def _wants(text: str) -> Wants | None:
    found, _ = _read(text)
    ages = [delta_seconds(each) for each in found.get("max-age", ())]
    fresh = [_read_seconds(each) for each in found.get("min-fresh", ())]
    wants = Wants(
        "no-store" in found,
        "no-cache" in found,
        "only-if-cached" in found,
        min(ages, default=None),
        max((FOREVER if each is None else each for each in fresh), default=None),
        _max_stale(found.get("max-stale", ())),
    )
    return None if wants == Wants() else wants


def _max_stale(arguments: Sequence[str | None]) -> int | None:
    bounds = [FOREVER if each is None else _read_seconds(each) for each in arguments]
    known = [bound for bound in bounds if bound is not None]
    return min(known) if known and len(known) == len(bounds) else None
