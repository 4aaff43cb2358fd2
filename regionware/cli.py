"""The command line: `regionware explain | inventory | purge | cdn-config | audit | … | demo`."""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from regionware.errors import ConfigurationError, RegionwareError
from regionware.middleware import Regionware
from regionware.region import POSTGRES

if TYPE_CHECKING:
    from rich.console import Console

_HINT = 'tables need rich: install "regionware[cli]", or say --json'


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the words after `regionware`; those of the process by default.

    Returns:
        0 if all is well, 1 if a purge was not confirmed, the audit has found something or a
        criterion of the demonstration was not met, 2 if the command could not be run.
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
    _, found = named(name, "rw")
    if not isinstance(found, Regionware):
        raise ConfigurationError(f"{name} is a {type(found).__name__}, not a Regionware")
    return found


def named(name: str, default: str) -> tuple[ModuleType, Any]:
    """The module, and what in it `module:attribute` names; a dotted one is of an attribute.

    Args:
        name: as above.
        default: the attribute where none is named.

    Raises:
        ConfigurationError: there is no such module or attribute.
    """
    path, _, attribute = name.partition(":")
    # As `python -m` does: applications are run from the folder they are in.
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(path)
        return module, attrgetter(attribute or default)(module)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"{name}: {error}") from error
    finally:
        sys.path.pop(0)


def header(text: str) -> tuple[str, str]:
    """The name and the value of a field that an option gives.

    Raises:
        ConfigurationError: it is none.
    """
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ConfigurationError(f"a header is NAME: VALUE, not {text!r}")
    return name.strip(), value.strip()


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
    _add_audit(commands.add_parser("audit", help="what answers depend on beside their keys"))
    _add_install(commands.add_parser("install", help="let purges ride in the database's log"))
    _add_uninstall(commands.add_parser("uninstall", help="undo what install has made"))
    _add_cdn_config(commands.add_parser("cdn-config", help="what an edge must be told"))
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
    purge.add_argument(
        "--timeout", type=float, default=5.0, help="seconds to wait for all regions and edges"
    )
    purge.set_defaults(run=_purge)


def _add_install(install: argparse.ArgumentParser) -> None:
    _add_target(install)
    install.add_argument(
        "--grant", action="append", default=[], metavar="ROLE",
        help="a role that the application connects as; several times for several",
    )  # fmt: skip
    install.add_argument("--trigger", metavar="TABLE", help="a table whose every change purges")
    install.add_argument(
        "--tag", action="append", default=[], dest="tags", metavar="TEMPLATE",
        help='what a change of a row purges, such as "product:{id}"',
    )  # fmt: skip
    install.add_argument("--drop-trigger", metavar="TABLE", help="undo --trigger")
    install.set_defaults(run=_install)


def _add_uninstall(uninstall: argparse.ArgumentParser) -> None:
    _add_target(uninstall)
    uninstall.set_defaults(run=_uninstall)


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "database", help="the primary's URL, or module:attribute of the Regionware object"
    )
    parser.add_argument("--schema", help="where the table of purges is")
    parser.add_argument("--sql", action="store_true", help="print the SQL, and change nothing")


def _add_cdn_config(parser: argparse.ArgumentParser) -> None:
    from regionware.vendors.config import command

    command.add_arguments(parser)
    parser.set_defaults(run=command.run, load=load)


def _add_demo(demo: argparse.ArgumentParser) -> None:
    from regionware.demo import command

    command.add_arguments(demo)
    demo.set_defaults(run=command.run)


def _add_audit(audit: argparse.ArgumentParser) -> None:
    from regionware.auditing import command

    command.add_arguments(audit)
    audit.set_defaults(run=command.run)


def _explain(options: argparse.Namespace) -> int:
    headers = dict(header(text) for text in options.header)
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
            _cdn_words(row["cdn"], row["at_edges"]),
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


def _cdn_words(told: dict[str, str], edges: dict[str, dict[str, int] | None]) -> str:
    if not told:
        return "as the application says"
    lines = [told["cache-control"]]
    for title, kept in edges.items():
        windows = "".join(f", {name} {seconds} s" for name, seconds in (kept or {}).items())
        lines.append(f"{title}: {windows[2:] or 'nothing'}")
    return "\n".join(lines)


def _database_words(database: dict[str, Any] | None) -> str:
    if database is None:
        return ""
    lag = f" (lag to {database['max_lag']:g} s)" if database["max_lag"] else ""
    return f"{database['reads']}, {database['consistency']}{lag}"


def _purge(options: argparse.Namespace) -> int:
    with load(options.application) as rw:
        purged = rw.purge(
            options.tags, options.urls, everything=options.everything, soft=options.soft,
            wait="edges" if rw.edges else "all", timeout=options.timeout,
        )  # fmt: skip
    places = ", ".join((*purged.regions, *(f"edge {name}" for name in purged.edges)))
    sys.stdout.write(f"purged: {purged.names} fences in {places}\n")
    return 0


def _install(options: argparse.Namespace) -> int:
    from regionware import installing

    url, execute = _primary(options.database), not options.sql
    if options.drop_trigger:
        if options.trigger or options.tags or options.grant:
            raise ConfigurationError("install: --drop-trigger is said alone")
        done = installing.drop_trigger(
            url, options.drop_trigger, schema=options.schema, execute=execute
        )
    else:
        done = installing.install(
            url, schema=options.schema, grant=options.grant, trigger=options.trigger,
            tags=options.tags, execute=execute,
        )  # fmt: skip
    sys.stdout.write(done if options.sql else "installed\n" if done else "nothing to do\n")
    return 0


def _uninstall(options: argparse.Namespace) -> int:
    from regionware import installing

    url = _primary(options.database)
    done = installing.uninstall(url, schema=options.schema, execute=not options.sql)
    sys.stdout.write(done if options.sql else "uninstalled\n")
    return 0


def _primary(database: str) -> str:
    """The connection string of the primary, itself or that of an application."""
    if database.startswith(POSTGRES) or "=" in database:
        return database
    url = load(database).topology.primary.database
    if url is None:
        raise ConfigurationError(f"{database}: the topology names no database")
    return url


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
