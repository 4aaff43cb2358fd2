"""Which content codings a client takes (RFC 9110, section 12.5.3). No I/O here."""

import re
from functools import lru_cache

_QVALUE = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
#: Longer fields are not worth the memory of a memo.
_LONGEST = 256


def prefers(coding: str, accept_encoding: str | None) -> bool:
    """Whether a client takes a coding, and wants the content as it is no more than that.

    `*` stands for every coding that is not named. The content as it is, `identity`, is wanted
    least where nothing is said of it. Of a coding named twice the lower weight counts, and a weight
    that cannot be read refuses. Never raises.

    Args:
        coding: its lower-case name.
        accept_encoding: the request's field, its lines joined by commas; `None` if absent: such a
            client might take anything, and is not known to.
    """
    if accept_encoding is None:
        return False
    short = len(accept_encoding) <= _LONGEST
    return _known(coding, accept_encoding) if short else _prefers(coding, accept_encoding)


def _prefers(coding: str, accept_encoding: str) -> bool:
    weights: dict[str, float] = {}
    for member in accept_encoding.lower().split(","):
        name, *parameters = (part.strip(" \t") for part in member.split(";"))
        if name:
            weights[name] = min(_weight(parameters), weights.get(name, 1))
    weight = weights.get(coding, weights.get("*", 0))
    return weight > 0 and weight >= weights.get("identity", 0)


def _weight(parameters: list[str]) -> float:
    if not parameters:
        return 1
    name, _, text = parameters[0].partition("=")
    readable = len(parameters) == 1 and name.strip(" \t") == "q"
    found = _QVALUE.fullmatch(text.strip(" \t")) if readable else None
    return float(found[0]) if found is not None else 0


# Clients send the same fields again and again.
_known = lru_cache(maxsize=1024)(_prefers)
