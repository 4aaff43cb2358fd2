"""The table, and whether the criteria are met."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from regionware.demo.workload import CACHED, KINDS, REPLICA, Result

#: How many times faster than both bare deployments the median must be.
CACHED_FACTOR, REPLICA_FACTOR = 20.0, 5.0

#: What the three columns are.
LEGEND = (
    "(a) the bare application in the primary region",
    "(b) the bare application in both regions, its one database in the primary region",
    "(c) the application with regionware in both regions, with a replica in the far one",
)


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing the demonstration must show, and whether it did."""

    text: str
    met: bool


def percentiles(result: Result, kind: str) -> tuple[float, float] | None:
    """The 50th and 95th percentile of one kind of request in milliseconds, if there were two."""
    times = [sample.seconds * 1000 for sample in result.samples if sample.kind == kind]
    if len(times) < 2:
        return None
    cuts = quantiles(times, n=100, method="inclusive")
    return cuts[49], cuts[94]


def sources(result: Result, kind: str) -> str:
    """Who answered one kind of request, most frequent first."""
    found = Counter(sample.source for sample in result.samples if sample.kind == kind)
    return ", ".join(
        f"{name} {_share(count, found.total())}" for name, count in found.most_common()
    )


def _share(part: int, whole: int) -> str:
    return "< 1%" if part * 100 < whole else f"{part / whole:.0%}"


def table(results: Sequence[Result], rtt: float) -> RenderableType:
    """One row for each kind of request, a pair of columns for each variant."""
    grid = Table(
        title=f"A client {rtt:g} ms away from the primary region; milliseconds, median and p95",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
    )
    grid.add_column("request", no_wrap=True)
    for name in "abc":
        grid.add_column(f"({name}) p50   p95", justify="right", no_wrap=True)
    grid.add_column("faster", justify="right", style="green")
    grid.add_column("(c) answered by")
    for kind in KINDS:
        pairs = (_pair(result, kind) for result in results)
        grid.add_row(kind, *pairs, _faster(results, kind), sources(results[-1], kind))
    grid.add_section()
    wrong = (f"{len(r.checker.wrong)} of {r.checker.checked:,}" for r in results)
    grid.add_row("wrong answers", *wrong, "", "")
    if (race := results[-1].race) is not None:
        what = f"stale {race.after:g} s after a write"
        grid.add_row(what, "–", "–", str(race.coupled), "", f"uncoupled: {race.blind}")
    return grid


def criteria(results: Sequence[Result], *, speed: bool) -> list[Criterion]:
    """What must hold: right answers always, and the speed if it is asked for."""
    wrong = sum(len(result.checker.wrong) for result in results)
    checked = sum(result.checker.checked for result in results)
    failed = sum(len(result.failures) for result in results)
    found = [
        Criterion(f"{wrong} wrong of {checked} checked answers", wrong == 0 and checked > 0),
        Criterion(f"{failed} failed requests", failed == 0),
    ]
    if (race := results[-1].race) is not None:
        met = race.coupled.stale == 0 < race.coupled.requests
        text = f"{race.coupled} answers were stale {race.after:g} s after a write and its purge"
        found.append(Criterion(text, met))
    if speed:
        found.append(_speed(results, CACHED, CACHED_FACTOR))
        found.append(_speed(results, REPLICA, REPLICA_FACTOR))
    return found


def show(console: Console, results: Sequence[Result], met: Sequence[Criterion]) -> None:
    """Print what the columns are, the faults if there are any, and the criteria."""
    for line in LEGEND:
        console.print(line, style="dim", highlight=False)
    for result, name in zip(results, "abc", strict=False):
        for kind, count in result.checker.faults().most_common():
            example = next(each for each in result.checker.wrong if each.fault == kind)
            console.print(
                f"[red]({name}) {count} × {kind}[/], such as", example.key, example.detail
            )
        for failure, count in Counter(result.failures).most_common(5):
            console.print(f"[red]({name}) failed {count} ×[/]", Text(failure))
    if (race := results[-1].race) is not None:
        console.print(
            f"stale: products that were changed and purged while the far replica replayed"
            f" {race.lag:g} s late; uncoupled: the same, by purges without the write's position",
            style="dim", highlight=False,
        )  # fmt: skip
    longest = results[-1].checker.longest * 1000
    bound = results[-1].checker.bound * 1000
    console.print(f"(c) a purged answer lived {longest:.0f} ms at most; allowed: {bound:.0f} ms")
    for each in met:
        mark = "[green]✓[/]" if each.met else "[red]✗[/]"
        console.print(f"{mark} {each.text}", highlight=False)


def _pair(result: Result, kind: str) -> str:
    found = percentiles(result, kind)
    return "–" if found is None else f"{found[0]:5.1f} {found[1]:5.1f}"


def _ratio(results: Sequence[Result], kind: str) -> float | None:
    """How many times faster (c) is than the faster of (a) and (b), by their medians."""
    *bare, ours = (percentiles(result, kind) for result in results)
    others = [each[0] for each in bare if each is not None]
    return min(others) / ours[0] if ours is not None and others else None


def _faster(results: Sequence[Result], kind: str) -> str:
    ratio = _ratio(results, kind)
    return "" if ratio is None else f"{ratio:.1f} ×" if ratio < 10 else f"{ratio:.0f} ×"


def _speed(results: Sequence[Result], kind: str, factor: float) -> Criterion:
    ratio = _ratio(results, kind) or 0.0
    text = f"{kind}: median at most 1/{factor:g} of both bare deployments' (1/{ratio:.0f})"
    return Criterion(text, ratio >= factor)
