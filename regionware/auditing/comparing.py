"""Are two answers the same, but for what differs each time anyway? No I/O here.

The same request is asked more than once first: what differs then (a nonce, a time, a counter) is
masked, and everything else must be equal.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from regionware.testing.calling import Answer
from regionware.testing.oracle import IGNORED

#: Words and numbers are compared as one, so that a counter of two digits is like one of one.
_TOKEN: Final = re.compile(rb"[A-Za-z0-9_+/=.-]+|[^A-Za-z0-9_+/=.-]+")
#: Bytes: what is longer is compared as a whole.
_LONGEST: Final = 1 << 20
_SHOWN: Final = 60
_VARYING: Final = object()


class Unsteady(Exception):
    """The same request is answered so differently that nothing can be compared."""


class Steady:
    """What stays the same in the answers to one request."""

    def __init__(self, first: Answer, ignored: Iterable[str] = ()) -> None:
        """Begin with everything.

        Args:
            first: an answer.
            ignored: lower-case names of fields that are not compared, besides those that a cache
                makes anew.
        """
        self._ignored = IGNORED | set(ignored)
        self.first = first
        self._fields: dict[str, object] = dict(self._fields_of(first))
        self._tokens: list[object] = list(_tokens(first.body))

    def learn(self, again: Answer) -> None:
        """Mask what differs in another answer to the same request.

        Raises:
            Unsteady: the status differs, or the body has another shape.
        """
        if again.status != self.first.status:
            raise Unsteady(f"status {self.first.status}, then {again.status}")
        fields = self._fields_of(again)
        for name in self._fields.keys() | fields.keys():
            if self._fields.get(name) != fields.get(name):
                self._fields[name] = _VARYING
        tokens = _tokens(again.body)
        if len(tokens) != len(self._tokens):
            raise Unsteady("its body has another shape each time")
        pairs = zip(self._tokens, tokens, strict=True)
        self._tokens = [known if known == token else _VARYING for known, token in pairs]

    def differences(self, answer: Answer) -> list[str]:
        """In what another answer is not this one; empty if it could be."""
        found = []
        if answer.status != self.first.status:
            found.append(f"status {answer.status} instead of {self.first.status}")
        fields = self._fields_of(answer)
        for name in sorted(self._fields.keys() | fields.keys()):
            known, given = self._fields.get(name), fields.get(name)
            if known is not _VARYING and known != given:
                found.append(f"{name}: {_short(given)} instead of {_short(known)}")
        return found + self._body(_tokens(answer.body))

    def _body(self, tokens: Sequence[bytes]) -> list[str]:
        for known, given in zip(self._tokens, tokens, strict=False):
            if known is not _VARYING and known != given:
                return [f"body: {_short(given)} instead of {_short(known)}"]
        here, there = len(self._tokens), len(tokens)
        if there > here:
            return [f"body: {_short(b''.join(tokens[here:]))} more"]
        return [f"body: {here - there} words less"] if there < here else []

    def _fields_of(self, answer: Answer) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, value in answer.headers:
            if name not in self._ignored:
                found[name] = f"{found[name]}, {value}" if name in found else value
        return found


def _tokens(body: bytes) -> list[bytes]:
    return [body] if len(body) > _LONGEST else _TOKEN.findall(body)


def _short(value: object) -> str:
    if value is None:
        return "nothing"
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
