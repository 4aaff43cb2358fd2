"""Runs the drills and prints what they measured, as a table in Markdown, beside the targets.

`python -m tests.faults.drills.report` takes the short forms, `--long` the long ones; `--write` puts
the table into `docs/reliability.md`. Nothing is asserted of the latencies in it.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.faults.drills.forms import MEASURED

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

Row = Mapping[str, str]


def run(*, long: bool) -> tuple[int, list[Row]]:
    """Run the drills one after the other; pytest's status, and what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        measured = Path(folder, "measured")
        measured.touch()
        command = [sys.executable, "-m", "pytest", "tests/faults/drills", "-q", "-p", "no:randomly"]
        command += ["-m", "long" if long else "not long", "--timeout", "1800"]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, MEASURED: str(measured)},
            stdout=sys.stderr, check=False,
        )  # fmt: skip
        lines = measured.read_text(encoding="utf-8").splitlines()
    return done.returncode, [json.loads(line) for line in lines]


def number(row: Row) -> tuple[int, str]:
    """Drills with a number first, in order."""
    found = re.match(r"F(\d+)", row["drill"])
    return (int(found[1]) if found else 99), row["drill"]


def table(rows: Iterable[Row]) -> str:
    """The rows in Markdown, the drills in their order."""
    told = ["| drill | form | | measured | target |", "|---|---|---|---:|---:|"]
    last = None
    for row in sorted(rows, key=number):
        name = (row["drill"], row["form"])
        shown = name if name != last else ("", "")
        told.append(f"| {' | '.join((*shown, row['what'], row['value'], row['target']))} |")
        last = name
    return "\n".join(told)


def about() -> str:
    """On what it was measured."""
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}."


def written(page: str, told: str) -> str:
    """The page with the table in its place."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{told}\n\n{END}{after}"


def main() -> int:
    """Run, print, and perhaps write."""
    parser = argparse.ArgumentParser(description="Run the drills and report.")
    parser.add_argument("--long", action="store_true", help="the long forms: minutes")
    parser.add_argument("--write", action="store_true", help=f"into docs/{PAGE.name}")
    arguments = parser.parse_args()
    status, rows = run(long=arguments.long)
    told = f"{about()}\n\n{table(rows)}"
    sys.stdout.write(f"{told}\n")
    if arguments.write:
        page = written(PAGE.read_text(encoding="utf-8"), told)
        PAGE.write_text(page, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
