"""The command line: `regionware explain | inventory | purge | demo`."""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regionware.errors import ConfigurationError, RegionwareError
from regionware.middleware import Regionware

if TYPE_CHECKING:
    from rich.console import Console

_HINT = 'tables need rich: install "regionware[cli]", or say --json'


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the words after `regionware`; those of the process by default.

    Returns:
        0 if all is well, 1 if a purge was not confirmed or a criterion of the demonstration was
        not met, 2 if the command could not be run.
    """
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except RegionwareError as error:
        sys.stderr.write(f"regionware: {error}\n")
        return 2 if isinstance(error, ConfigurationError) else 1
    return status


def load(name: str) -> Regionware:
    """The object that `module:attribute` names.

    Raises:
        ConfigurationError: there is no such module or attribute, or it is something else.
    """
    module, _, attribute = name.partition(":")
    # As `python -m` does: applications are run from the folder they are in.
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), attribute or "rw")
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"{name}: {error}") from error
    finally:
        sys.path.pop(0)
    if not isinstance(found, Regionware):
        raise ConfigurationError(f"{name} is a {type(found).__name__}, not a Regionware")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="regionware", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    explain = commands.add_parser(
        "explain", help="the decisions for a request, without executing it"
    )
    explain.add_argument("application", help="module:attribute of the Regionware object")
    explain.add_argument("method")
    explain.add_argument("url")
    explain.add_argument("-H", "--header", action="append", default=[], metavar="NAME: VALUE")
    explain.add_argument("--peer", default="127.0.0.1", help="the address the request comes from")
    explain.add_argument("--json", action="store_true")
    explain.set_defaults(run=_explain)
    inventory = commands.add_parser("inventory", help="what is cached, replicated, and pinned")
    inventory.add_argument("application", help="module:attribute of the Regionware object")
    inventory.add_argument("--json", action="store_true")
    inventory.set_defaults(run=_inventory)
    _add_purge(commands.add_parser("purge", help="make entries unusable in every region"))
    _add_demo(commands.add_parser("demo", help="an application becomes fast on another continent"))
    return parser


def _add_purge(purge: argparse.ArgumentParser) -> None:
    purge.add_argument("application", help="module:attribute of the Regionware object")
    purge.add_argument("--tag", action="append", default=[], dest="tags")
    purge.add_argument("--url", action="append", default=[], dest="urls")
    purge.add_argument("--everything", action="store_true")
    purge.add_argument(
        "--soft", action="store_true", help="stale-while-revalidate may still use them"
    )
    purge.add_argument("--timeout", type=float, default=5.0, help="seconds to wait for all regions")
    purge.set_defaults(run=_purge)


def _add_demo(demo: argparse.ArgumentParser) -> None:
    from regionware.demo import command

    command.add_arguments(demo)
    demo.set_defaults(run=command.run)


def _explain(options: argparse.Namespace) -> int:
    headers = dict(_header(text) for text in options.header)
    with load(options.application) as rw:
        facts = rw.explain(options.method, options.url, headers, peer=options.peer)
    if options.json:
        sys.stdout.write(json.dumps(facts, indent=2, default=str) + "\n")
        return 0
    console = _console()
    from rich.table import Table

    table = Table("what", "decision", title=f"{options.method.upper()} {options.url}")
    for name, value in facts.items():
        table.add_row(name, _text(value))
    console.print(table)
    return 0


def _inventory(options: argparse.Namespace) -> int:
    rows = load(options.application).inventory()
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=2, default=str) + "\n")
        return 0
    console = _console()
    from rich.table import Table

    table = Table("route", "methods", "mode", "cached here", "reads from", "browsers and edges")
    for row in rows:
        table.add_row(
            row["path"],
            _text(row["methods"]) or "all",
            row["mode"],
            _cache_words(row["cache"]),
            _database_words(row["database"]),
            row["cdn"].get("cache-control", "as the application says"),
        )
    console.print(table)
    return 0


def _cache_words(cache: dict[str, Any] | None) -> str:
    if cache is None:
        return "no"
    stale = {"revalidate": cache["stale_while_revalidate"], "error": cache["stale_if_error"]}
    windows = "".join(f", stale {name} {span:g} s" for name, span in stale.items() if span)
    tags = f", tags {_text(cache['tags'])}" if cache["tags"] else ""
    return f"{cache['ttl']:g} s{windows}, {cache['consistency']}{tags}"


def _database_words(database: dict[str, Any] | None) -> str:
    if database is None:
        return ""
    lag = f" (lag to {database['max_lag']:g} s)" if database["max_lag"] else ""
    return f"{database['reads']}, {database['consistency']}{lag}"


def _purge(options: argparse.Namespace) -> int:
    with load(options.application) as rw:
        purged = rw.purge(
            options.tags, options.urls, everything=options.everything, soft=options.soft,
            wait="all", timeout=options.timeout,
        )  # fmt: skip
    regions = ", ".join(purged.regions)
    sys.stdout.write(f"purged: {purged.names} fences in {regions}\n")
    return 0


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ConfigurationError(f"a header is NAME: VALUE, not {text!r}")
    return name.strip(), value.strip()


def _console() -> "Console":
    try:
        from rich.console import Console
    except ImportError as error:
        raise ConfigurationError(_HINT) from error
    return Console()


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(
            f"{name}: {_text(each)}" for name, each in value.items() if each not in (None, [], "")
        )
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
