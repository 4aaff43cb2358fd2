"""`python -m regionware.testing.simulator`: run seeds, and show what broke."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from regionware.testing.simulator.faults import HARD, HELD
from regionware.testing.simulator.run import Outcome, Scenario, simulate

_KNOWN = {fault.__name__: fault for fault in (*HELD, *HARD)}


def main(words: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; the exit status."""
    asked = _parser().parse_args(words)
    faults = tuple(_KNOWN[name] for name in asked.faults) if asked.faults else HELD
    scenario = Scenario(seconds=asked.seconds, faults=faults)
    seeds = range(asked.seed, asked.seed + asked.seeds)
    broken = reads = 0
    for seed in seeds:
        outcome = simulate(seed, scenario)
        reads += outcome.reads
        broken += bool(outcome.violations)
        _show(outcome, trace=asked.trace, alone=asked.seeds == 1)
        if outcome.violations and asked.first:
            break
    _say(f"{len(seeds)} seeds, {reads} reads: {broken} seeds broke a promise")
    return int(broken > 0)


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m regionware.testing.simulator", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--trace", action="store_true", help="show everything that happened")
    parser.add_argument("--first", action="store_true", help="stop at the first broken promise")
    parser.add_argument("--seconds", type=float, default=Scenario().seconds, help="of trouble")
    parser.add_argument("--faults", nargs="+", choices=sorted(_KNOWN), help="only these")
    return parser


def _show(outcome: Outcome, *, trace: bool, alone: bool) -> None:
    if trace:
        _say("\n".join(outcome.trace))
    if outcome.violations or alone:
        _say(str(outcome))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
