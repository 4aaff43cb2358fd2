"""The demonstration itself: start, measure three deployments one after another, print one table."""

import argparse
import asyncio
import itertools
import signal
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from regionware.demo import assets, policies, race, report, workload
from regionware.demo.fleet import Fleet
from regionware.demo.workload import Load

#: Wide enough for the table where the output is no terminal.
_WIDTH = 110


def demonstrate(arguments: argparse.Namespace) -> int:
    """Run everything that the options ask for; the exit status."""
    console = Console() if Console().is_terminal else Console(width=_WIDTH)
    flavour: Any = "wsgi" if arguments.wsgi else "asgi"
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        start = progress.add_task(f"starting two regions, {arguments.rtt:g} ms apart", total=None)
        fleet = Fleet(
            flavour, rtt=arguments.rtt, keep=arguments.keep, unprotected=arguments.unprotected
        )
        with fleet:
            progress.remove_task(start)
            results = _measure(fleet, arguments, progress) if arguments.requests else []
            progress.stop()
            status = _conclude(console, results, arguments) if results else 0
            if arguments.serve:
                _serve(console, fleet)
    if arguments.keep is not None:
        console.print(f"data and logs: {arguments.keep}", markup=False)
    return status


def _measure(
    fleet: Fleet, arguments: argparse.Namespace, progress: Progress
) -> list[workload.Result]:
    """Send the same workload to each deployment, one after another."""
    names = ("(a) bare, primary region", "(b) bare, both regions", "(c) regionware")
    sites = (fleet.bare_near, fleet.bare_far, fleet.regionware)
    tasks = [progress.add_task(name, total=1.0, start=False) for name in names]
    bound, results = _staleness_bound(), []
    for site, task in zip(sites, tasks, strict=True):
        ours = site is fleet.regionware
        seconds = arguments.seconds if ours else 0.0
        load = Load(arguments.requests, seconds, bound, forgetful=arguments.unprotected and ours)
        progress.start_task(task)
        run = workload.run(site.far, site.near, load, _advance(progress, task, load))
        results.append(asyncio.run(run))
    if arguments.race:
        task = progress.add_task("(c) the purge race", total=None)
        site, wanted = fleet.regionware, race.Race(arguments.race)
        with fleet.lagging(wanted.lag):
            asyncio.run(race.run(site.far, site.near, wanted, results[-1]))
        progress.remove_task(task)
    return results


def _advance(progress: Progress, task: TaskID, load: Load) -> Callable[[], None]:
    """What a client calls after each request."""
    started, requests = time.monotonic(), itertools.count(1)

    def advance() -> None:
        done = next(requests) / load.requests
        if load.seconds:
            done = min(done, (time.monotonic() - started) / load.seconds)
        progress.update(task, completed=done)

    return advance


def _staleness_bound() -> float:
    """The bound that regionware exports for the policies of the catalogue, in seconds."""
    nowhere = {
        "REGIONWARE_REGIONS": f"{policies.NEAR},{policies.FAR}",
        "REGIONWARE_REGION": policies.FAR,
        "REGIONWARE_PRIMARY": policies.NEAR,
        "REGIONWARE_IAD_DATABASE": "postgresql://127.0.0.1:1/none",
        "REGIONWARE_FRA_REPLICAS": "postgresql://127.0.0.1:1/none",
        "REGIONWARE_IAD_REDIS": "redis://127.0.0.1:1/0",
        "REGIONWARE_FRA_REDIS": "redis://127.0.0.1:1/0",
        "REGIONWARE_SECRET": "not used to sign anything",
    }
    bound: float = policies.middleware(nowhere).staleness_bound
    return bound


def _conclude(
    console: Console, results: list[workload.Result], arguments: argparse.Namespace
) -> int:
    """Print the table and the criteria; the exit status."""
    met = report.criteria(results, speed=arguments.speed)
    console.print(report.table(results, arguments.rtt))
    report.show(console, results, met)
    if arguments.unprotected:
        console.print("[yellow]unprotected: no purge, no token, no position[/]")
    return 0 if all(each.met for each in met) else 1


def _serve(console: Console, fleet: Fleet) -> None:
    """Say what can be tried, and wait for an interrupt."""
    try:
        for line in _invitation(fleet):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        signal.pause()
    except KeyboardInterrupt:
        console.print("ended")


def _invitation(fleet: Fleet) -> list[str]:
    """The addresses, and what to do with them."""
    far, near = fleet.regionware.far, fleet.regionware.near
    distant = fleet.bare_near.far
    return [
        "",
        f"regionware, far region       {far}",
        f"regionware, primary region   {near}",
        f"bare, from the far region    {distant}",
        f"bare, one database far away  {fleet.bare_far.far}",
        "",
        f"  curl -i {far}/products/1",
        f'  curl -i -c jar -X PUT -d \'{{"price": "9.99"}}\' {far}/products/1',
        f"  curl -i -b jar {far}/products/1/stock",
        f"  curl -i {near}/products/1",
        f"  curl -i {far}/tenants/acme/config",
        f"  curl -i {far}{assets.PATH}",
        f"  curl -w '%{{time_total}}\\n' {distant}/products/1",
        "",
        "Ctrl-C ends everything.",
    ]
