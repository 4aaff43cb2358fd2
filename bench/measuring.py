"""Rounds in turn, and what comes out of them.

A figure is CPU time of this process for one request. What it is compared with is measured in the
same round, so that both see the same machine. The tenth percentile of the rounds is what the code
costs: a virtual machine's clock makes single rounds too short, and its neighbours make many too
long. The median of the rounds' own ratios is what budgets are compared with.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

#: Requests of one batch. The timer divides by it, so that pytest-benchmark shows single requests.
SIZE: Final = 200
#: Seconds for the rounds of one benchmark.
SECONDS: Final = 1.0
QUICK: Final = 0.15
_FEWEST, _MOST = 8, 400

Batch = Callable[[], object]


def cpu_per_request() -> float:
    """Seconds of CPU, of all threads of this process, as if a batch were one request."""
    return time.process_time() / SIZE


@dataclass(frozen=True, slots=True)
class Budget:
    """What a path may cost, in µs, on a machine where what it is compared with costs `reference`.

    `limit` is of the whole, or of what is added to the bare application (`added=True`).
    """

    limit: float
    reference: float
    added: bool = False

    @property
    def ratio(self) -> float:
        """The largest allowed multiple of what it is compared with."""
        return (self.limit + (self.reference if self.added else 0)) / self.reference

    def __str__(self) -> str:
        """As the documentation puts it."""
        return f"{'+' if self.added else ''}{self.limit:g} (×{self.ratio:.1f})"


@dataclass(slots=True)
class Row:
    """One line of the table; µs per request, one figure for each round."""

    what: str
    protocol: str
    ours: list[float]
    beside: dict[str, list[float]] = field(default_factory=dict)
    budget: Budget | None = None

    @property
    def cost(self) -> float:
        return tenth(self.ours)

    def cost_of(self, name: str) -> float | None:
        return tenth(self.beside[name]) if name in self.beside else None

    def ratio(self, name: str) -> float | None:
        """The median of the rounds' own ratios."""
        if name not in self.beside:
            return None
        return median(a / b for a, b in zip(self.ours, self.beside[name], strict=True))

    @property
    def held(self) -> bool | None:
        """Whether the budget is met, as a ratio to the bare application of this run."""
        ratio = self.ratio("bare")
        return None if self.budget is None or ratio is None else ratio <= self.budget.ratio

    def facts(self) -> dict[str, Any]:
        """For the JSON of pytest-benchmark."""
        facts: dict[str, Any] = {
            "protocol": self.protocol, "requests_per_round": SIZE, "rounds": len(self.ours),
            "p10_us": self.cost, "median_us": median(self.ours),
        }  # fmt: skip
        for name, figures in self.beside.items():
            facts |= {
                f"{name}_p10_us": tenth(figures), f"{name}_median_us": median(figures),
                f"over_{name}_us": self.cost - tenth(figures), f"ratio_to_{name}": self.ratio(name),
            }  # fmt: skip
        if self.budget is not None:
            facts |= {"budget": str(self.budget), "budget_held": self.held}
        return facts


class Measure:
    """Times one path beside others; a fixture."""

    def __init__(
        self, benchmark: BenchmarkFixture, rows: list[Row], *, seconds: float, gate: bool
    ) -> None:
        """Keep what a measurement needs.

        Args:
            benchmark: of pytest-benchmark, with `cpu_per_request` as its timer.
            rows: where the result goes.
            seconds: how long to repeat the rounds.
            gate: fail where a budget is not held.
        """
        self._benchmark = benchmark
        self._rows = rows
        self._seconds = seconds
        self._gate = gate

    def __call__(
        self,
        what: str,
        protocol: str,
        batch: Batch,
        *,
        beside: Mapping[str, Batch],
        prepare: Batch | None = None,
        budget: Budget | None = None,
    ) -> None:
        """Run rounds of `beside`, `prepare`, `batch`.

        Args:
            what: the path, for the table.
            protocol: `"asgi"` or `"wsgi"`.
            batch: `SIZE` requests, timed.
            beside: what it is compared with, by name, timed too; the application is `"bare"`.
            prepare: run before each batch, not timed.
            budget: what is allowed; told, and enforced only with `--gate`.
        """
        figures: dict[str, list[float]] = {name: [] for name in beside}

        def setup() -> None:
            for name, other in beside.items():
                figures[name].append(_timed(other))
            if prepare is not None:
                prepare()

        rounds = 1 if self._benchmark.disabled else self._rounds(setup, batch)
        for each in figures.values():
            each.clear()
        self._benchmark.pedantic(  # type: ignore[no-untyped-call] # pytest-benchmark's own
            batch, setup=setup, rounds=rounds
        )
        if self._benchmark.stats is None:
            return
        ours = [seconds * 1e6 for seconds in self._benchmark.stats.stats.data]
        row = Row(what, protocol, ours, figures, budget)
        self._rows.append(row)
        self._benchmark.extra_info.update(row.facts())
        if self._gate and row.held is False:
            pytest.fail(f"{what} over {protocol}: ×{row.ratio('bare'):.1f}, budget {budget}")

    def _rounds(self, setup: Batch, batch: Batch) -> int:
        """How many rounds fit; the one it takes to know that warms everything up."""
        setup()
        batch()
        begin = time.perf_counter()
        setup()
        batch()
        fitting = self._seconds / (time.perf_counter() - begin)
        return round(min(max(fitting, _FEWEST), _MOST))


def tenth(figures: Sequence[float]) -> float:
    """The tenth percentile."""
    return sorted(figures)[len(figures) // 10]


def _timed(batch: Batch) -> float:
    """µs for one request of a batch."""
    begin = cpu_per_request()
    batch()
    return (cpu_per_request() - begin) * 1e6
