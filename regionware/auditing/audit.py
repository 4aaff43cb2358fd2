"""The audit: each example is asked plainly and varied, cold and warm, and the answers compared.

Two requests that share a stored answer must have the same answer when nothing is stored; else one
of them is given what belongs to the other. Whether they share one is not computed: it is tried.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any, Final

from regionware.auditing.comparing import Steady, Unsteady
from regionware.auditing.inputs import Field, Input, inputs
from regionware.auditing.target import Target
from regionware.prepared import Plan
from regionware.testing.calling import Answer

#: How often an example is asked before anything is compared.
_TIMES: Final = 3
_FAILED: Final = 400
_GIVES: Final = "others are given its answer"
_GIVEN: Final = "it is given the answer of others"


@dataclass(frozen=True, slots=True)
class Leak:
    """An answer depends on something that is neither in its key nor taken from the request.

    Attributes:
        category: of the input.
        input: its name.
        value: what was sent.
        difference: in what the answer differs.
        consequence: who is given what.
    """

    category: str
    input: str
    value: str
    difference: str
    consequence: str


@dataclass(slots=True)
class Audited:
    """What came of one example, or of a route without any.

    Attributes:
        route: the template.
        path: the example; empty for none.
        tried: how many inputs were tried.
        shared: how many of these share an answer with the plain request.
        reason: why it could not be audited; empty if it was.
        leaks: what was found.
    """

    route: str
    path: str = ""
    tried: int = 0
    shared: int = 0
    reason: str = ""
    leaks: list[Leak] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """In one word or two."""
        return "leak" if self.leaks else "not audited" if self.reason else "clean"


@dataclass(frozen=True, slots=True)
class Report:
    """Everything.

    Attributes:
        seed: with it, the same inputs are tried again.
        rows: one for each example, and for each route without one.
    """

    seed: int
    rows: list[Audited]

    @property
    def leaks(self) -> int:
        """How many there are."""
        return sum(len(row.leaks) for row in self.rows)

    @property
    def unaudited(self) -> list[Audited]:
        """What nothing is known of."""
        return [row for row in self.rows if row.reason]

    def data(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        rows = [asdict(row) | {"verdict": row.verdict} for row in self.rows]
        return {
            "seed": self.seed, "leaks": self.leaks, "unaudited": len(self.unaudited), "routes": rows
        }  # fmt: skip


def audit(
    target: Target,
    paths: Iterable[str] = (),
    *,
    identities: Sequence[Sequence[Field]] = (),
    ignored: Iterable[str] = (),
    seed: int = 0,
) -> Report:
    """Audit every route that is cached.

    Args:
        target: the application, started.
        paths: examples, each with its query; a route without parameters is its own.
        identities: the fields of clients who are somebody.
        ignored: lower-case names of response fields that are not compared.
        seed: of the names and values that are tried.
    """
    rows = []
    without = {plan.compiled.index: plan for plan in _cached(target)}
    for path in dict.fromkeys((*paths, *_literal(without.values()))):
        compiled = target.prepared.table.match("GET", target.host.lower(), path.partition("?")[0])
        plan = target.prepared.plans[compiled.index]
        row = Audited(compiled.name or "(everything else)", path)
        rows.append(row)
        without.pop(compiled.index, None)
        if plan.keys is None:
            row.reason = "the route has no cache policy"
        else:
            _Examination(target, plan, row, set(ignored)).run(seed, identities)
    rows += [Audited(plan.compiled.name, reason="no example") for plan in without.values()]
    return Report(seed, rows)


def _cached(target: Target) -> list[Plan]:
    """The plans of the routes whose answers to a GET may be stored."""
    plans = target.prepared.plans.values()
    methods = [(plan, plan.compiled.methods) for plan in plans]
    return [plan for plan, known in methods if plan.keys and (known is None or "GET" in known)]


def _literal(plans: Iterable[Plan]) -> list[str]:
    return [plan.compiled.name for plan in plans if not plan.compiled.params]


class _Examination:
    """One example."""

    def __init__(self, target: Target, plan: Plan, row: Audited, ignored: set[str]) -> None:
        self._target = target
        self._plan = plan
        self._row = row
        self._ignored = ignored
        self._known: dict[tuple[Input, ...], Steady] = {}

    def run(self, seed: int, identities: Sequence[Sequence[Field]]) -> None:
        row, target = self._row, self._target
        try:
            self._check()
            patterns = self._plan.compiled.route.cache
            ignored = patterns.ignore_query if patterns is not None else ()
            for each in inputs(seed, ignored, row.path.partition("?")[2]):
                self._try((), (each,))
            names = "ABCDEFGH"
            whose = [
                Input("identity", f"identity {name}", headers=tuple(fields))
                for name, fields in zip(names, identities, strict=False)
            ]
            for each in whose:
                self._try((), (each,))
            for one, other in combinations(whose, 2):
                self._try((one,), (other,))
        except Unsteady as reason:
            row.reason = f"its answers cannot be compared: {reason}"
        except Exception as error:  # noqa: BLE001 - the application's own, whatever it is
            row.reason = f"the application failed: {type(error).__name__}: {error}"
        target.forget()

    def _check(self) -> None:
        """The example must be one whose answer is stored: else nothing would be found.

        Raises:
            Unsteady: it is not.
        """
        first = self._target.cold(self._row.path)
        if first.status >= _FAILED:
            raise Unsteady(f"status {first.status}")
        if not _is_hit(self._target.ask(self._row.path)):
            told = ", ".join(first.all("cache-status")) or "not cached at all"
            raise Unsteady(f"nothing is stored ({told})")

    def _steady(self, by: tuple[Input, ...]) -> Steady:
        steady = Steady(self._target.cold(self._row.path, *by), self._ignored)
        for _ in range(_TIMES - 1):
            steady.learn(self._target.cold(self._row.path, *by))
        return steady

    def _try(self, plain: tuple[Input, ...], varied: tuple[Input, ...]) -> None:
        """Whether one who asks plainly and one who varies share an answer that is not for both."""
        self._row.tried += 1
        answer, consequence = self._share(plain, varied)
        if not consequence:
            return
        self._row.shared += 1
        if consequence is _GIVEN and answer.status >= _FAILED:
            return  # all that happens: an error is replaced by what everybody may see
        if plain not in self._known:
            self._known[plain] = self._steady(plain)
        # What seems to differ is asked anew, twice: something may have changed meanwhile.
        if self._known[plain].differences(answer) and self._differ(plain, varied):
            found = self._differ(plain, varied)
            if found:
                self._row.leaks.append(_leak(varied[-1], found, consequence))

    def _share(self, plain: tuple[Input, ...], varied: tuple[Input, ...]) -> tuple[Answer, str]:
        """The varied request's own answer, and what comes of it if they share one."""
        target, path = self._target, self._row.path
        answer = target.cold(path, *varied)
        if _is_hit(target.ask(path, *plain)):
            return answer, _GIVES
        target.cold(path, *plain)
        return answer, _GIVEN if _is_hit(target.ask(path, *varied)) else ""

    def _differ(self, plain: tuple[Input, ...], varied: tuple[Input, ...]) -> list[str]:
        steady = self._steady(plain)
        return steady.differences(self._target.cold(self._row.path, *varied))


def _leak(by: Input, found: Sequence[str], consequence: str) -> Leak:
    sent = by.query or by.cookie or by.peer or "; ".join(f"{n}: {v}" for n, v in by.headers)
    short = sent if len(sent) <= 80 else f"{sent[:80]}…"
    if by.category == "identity":
        short = ", ".join(name for name, _ in by.headers)  # a credential is not for a report
    return Leak(by.category, by.name, short, "; ".join(found), consequence)


def _is_hit(answer: Answer) -> bool:
    return any("regionware; hit" in value for value in answer.all("cache-status"))
