"""Rounds in turn, and what comes out of them.

A figure is CPU time of this process for one request. What it is compared with is measured in the
same round, so that both see the same machine; the least of all rounds is what the code costs, the
median is what a busy machine made of it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

#: Requests of one batch. The timer divides by it, so that pytest-benchmark shows single requests.
SIZE: Final = 200
ROUNDS: Final = 40
QUICK: Final = 8

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
        return f"{'+' if self.added else ''}{self.limit:g} µs (×{self.ratio:.1f})"


@dataclass(slots=True)
class Row:
    """One line of the table; µs per request, one figure for each round."""

    what: str
    protocol: str
    ours: list[float]
    beside: dict[str, list[float]] = field(default_factory=dict)
    budget: Budget | None = None

    @property
    def best(self) -> float:
        return min(self.ours)

    def best_of(self, name: str) -> float | None:
        return min(self.beside[name]) if name in self.beside else None

    def ratio(self, name: str) -> float | None:
        """Of the best rounds."""
        against = self.best_of(name)
        return None if against is None else self.best / against

    def paired(self, name: str) -> float | None:
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
            "best_us": self.best, "median_us": median(self.ours),
        }  # fmt: skip
        for name, figures in self.beside.items():
            facts |= {
                f"{name}_best_us": min(figures), f"{name}_median_us": median(figures),
                f"over_{name}_us": self.best - min(figures), f"ratio_to_{name}": self.ratio(name),
                f"median_paired_ratio_to_{name}": self.paired(name),
            }  # fmt: skip
        if self.budget is not None:
            facts |= {"budget": str(self.budget), "budget_held": self.held}
        return facts


class Measure:
    """Times one path beside others; a fixture."""

    def __init__(
        self, benchmark: BenchmarkFixture, rows: list[Row], *, rounds: int, gate: bool
    ) -> None:
        """Keep what a measurement needs.

        Args:
            benchmark: of pytest-benchmark, with `cpu_per_request` as its timer.
            rows: where the result goes.
            rounds: how often each batch is timed.
            gate: fail where a budget is not held.
        """
        self._benchmark = benchmark
        self._rows = rows
        self._rounds = rounds
        self._gate = gate

    def __call__(
        self, what: str, protocol: str, batch: Batch, *, beside: Mapping[str, Batch], prepare: Batch | None = None,
        budget: Budget | None = None,
    ) -> None:  # fmt: skip
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

        _timed(batch if prepare is None else setup)  # connections, scripts, memories of all kinds
        for each in figures.values():
            each.clear()
        self._benchmark.pedantic(batch, setup=setup, rounds=self._rounds)
        if self._benchmark.disabled:
            return
        ours = [seconds * 1e6 for seconds in self._benchmark.stats.stats.data]
        row = Row(what, protocol, ours, figures, budget)
        self._rows.append(row)
        self._benchmark.extra_info.update(row.facts())
        if self._gate and row.held is False:
            pytest.fail(f"{what} over {protocol}: ×{row.ratio('bare'):.1f}, budget {budget}")


def _timed(batch: Batch) -> float:
    """µs for one request of a batch."""
    begin = cpu_per_request()
    batch()
    return (cpu_per_request() - begin) * 1e6
