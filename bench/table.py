"""The table at the end of a run: with rich where that is installed, else in plain text."""

from collections.abc import Callable, Sequence
from io import StringIO

from bench.measuring import Row

HEAD = (
    "path", "over", "bare", "ours", "added", "× bare", "a GET", "× GET",
    "budget", "held",
)  # fmt: skip
TITLE = "µs of CPU per request, tenth percentile of the rounds; ratios: medians of the pairs"
_ORDER = ("asgi", "wsgi")
#: Columns that are enough for all; a table takes no more than it needs.
_WIDTH = 160


def show(rows: Sequence[Row], write: Callable[[str], None]) -> None:
    """Write the table, protocol by protocol, in the order of cost."""
    ordered = sorted(rows, key=lambda row: (_ORDER.index(row.protocol), row.cost))
    cells = [_cells(row) for row in ordered]
    write(_rich(cells) or _plain(cells))


def _cells(row: Row) -> list[str]:
    bare = row.cost_of("bare")
    held = {None: "", True: "yes", False: "NO"}[row.held]
    return [
        row.what,
        row.protocol,
        _number(bare),
        _number(row.cost),
        _number(None if bare is None else row.cost - bare),
        _number(row.ratio("bare")),
        _number(row.cost_of("get")),
        _number(row.ratio("get")),
        str(row.budget or ""),
        held,
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _rich(cells: Sequence[Sequence[str]]) -> str:
    try:
        from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - an extra
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
    except ImportError:
        return ""
    table = Table(title=TITLE, box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for place, name in enumerate(HEAD):
        table.add_column(name, justify="left" if place < 2 else "right", no_wrap=True)
    for line in cells:
        table.add_row(*line)
    console = Console(file=StringIO(), width=_WIDTH)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def _plain(cells: Sequence[Sequence[str]]) -> str:
    lines = [HEAD, *cells]
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEAD))]
    rows = (
        "  ".join(
            cell.ljust(size) if place < 2 else cell.rjust(size)
            for place, (cell, size) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
    return "\n".join((TITLE, *rows))
