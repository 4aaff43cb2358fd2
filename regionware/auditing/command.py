"""`regionware audit`: the options, the report, and the exit status.

Status 0: nothing was found. 1: there is a leak, or a route that could not be audited. 2: it could
not be run.
"""

import argparse
import json
import logging
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from regionware.auditing.audit import Audited, Report, audit
from regionware.auditing.inputs import Field
from regionware.auditing.target import Target, rim_of
from regionware.cli import header, named
from regionware.errors import ConfigurationError
from regionware.kinds import TEXT, list_of, maybe, whole
from regionware.middleware import Regionware

_LISTS: Final = ("paths", "headers", "identity_a", "identity_b", "ignore")
_TEXTS: Final = list_of(TEXT, "texts", ordered=True)
_KINDS: Final = {
    **dict.fromkeys(_LISTS, _TEXTS), "host": maybe(TEXT), "seed": whole("", 0, 1 << 62),
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "application", help="module:attribute of the wrapped application, ASGI or WSGI"
    )
    parser.add_argument(
        "--regionware", metavar="MODULE:ATTRIBUTE",
        help="the Regionware in it, where that is not its outermost layer or the module's only one",
    )  # fmt: skip
    parser.add_argument(
        "--path", action="append", default=[], dest="paths", metavar="PATH",
        help="an example of a route with parameters, such as /products/1; several times",
    )  # fmt: skip
    parser.add_argument(
        "--header", action="append", default=[], dest="headers", metavar="NAME: VALUE",
        help="a field of every request",
    )  # fmt: skip
    for name in ("a", "b"):
        parser.add_argument(
            f"--identity-{name}", action="append", default=[], metavar="NAME: VALUE",
            help="a field by which the application knows a client, such as 'Cookie: sid=1'",
        )  # fmt: skip
    parser.add_argument("--host", help="the host of every request (default: localhost)")
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="FIELD",
        help="a response field that may differ",
    )  # fmt: skip
    parser.add_argument("--config", type=Path, metavar="FILE", help="the same as TOML or JSON")
    parser.add_argument("--seed", type=int, help="of names and values that are tried (default: 0)")
    parser.add_argument(
        "--allow-unaudited", action="store_true",
        help="routes of which nothing is known are no failure",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    """Audit, and report; the exit status.

    Raises:
        ConfigurationError: it cannot be run.
    """
    settings = _Settings.of(options)
    module, app = named(options.application, "app")
    rw = None if options.regionware is None else named(options.regionware, "rw")[1]
    if rw is not None and not isinstance(rw, Regionware):
        raise ConfigurationError(f"{options.regionware} is no Regionware")
    if not callable(app):
        raise ConfigurationError(f"{options.application} is no application: wrap one, rw.asgi(app)")
    rim = rim_of(app, module, rw)
    with _quiet(), Target(app, rim, host=settings.host, headers=settings.headers) as target:
        report = audit(
            target, settings.paths, identities=settings.identities,
            ignored=settings.ignored, seed=settings.seed,
        )  # fmt: skip
    if options.json:
        sys.stdout.write(json.dumps(report.data(), indent=2) + "\n")
    else:
        sys.stdout.write(_told(report))
    failed = report.leaks or (report.unaudited and not options.allow_unaudited)
    return 1 if failed else 0


@contextmanager
def _quiet() -> Iterator[None]:
    """What the audit provokes on purpose is no news."""
    logger = logging.getLogger("regionware")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@dataclass(frozen=True, slots=True)
class _Settings:
    """The options, of the command line and of a file together."""

    paths: Sequence[str]
    headers: Sequence[Field]
    identities: Sequence[Sequence[Field]]
    ignored: Sequence[str]
    host: str
    seed: int

    @classmethod
    def of(cls, options: argparse.Namespace) -> Self:
        known = {} if options.config is None else _read(options.config)
        lists = {name: [*known.get(name, ()), *getattr(options, name)] for name in _LISTS}
        identities = [lists["identity_a"], lists["identity_b"]]
        if not all(path.startswith("/") for path in lists["paths"]):
            raise ConfigurationError("audit: a path begins with a slash")
        return cls(
            paths=lists["paths"],
            headers=[header(text) for text in lists["headers"]],
            identities=[[header(text) for text in each] for each in identities if each],
            ignored=[name.lower() for name in lists["ignore"]],
            host=options.host or known.get("host") or "localhost",
            seed=known.get("seed", 0) if options.seed is None else options.seed,
        )


def _read(path: Path) -> Mapping[str, Any]:
    """A file of settings: their names are those of the options, with underscores."""
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    if not isinstance(found, dict) or (unknown := found.keys() - _KINDS.keys()):
        raise ConfigurationError(
            f"{path}: settings are {', '.join(_KINDS)}"
            + (f", not {', '.join(sorted(unknown))}" if isinstance(found, dict) else "")
        )
    for name, value in found.items():
        _KINDS[name].check(f"{path}: {name}", value)
    return found


def _told(report: Report) -> str:
    """The report as lines: one for each example, one for each leak, and the sum."""
    lines = [line for row in report.rows for line in _lines(row)]
    found = f"{report.leaks} leaks, {len(report.unaudited)} not audited"
    return "\n".join([*lines, f"{len(report.rows)} examined, {found} (seed {report.seed})", ""])


def _lines(row: Audited) -> list[str]:
    example = f" as {row.path}" if row.path and row.path != row.route else ""
    told = row.reason or f"{row.tried} inputs, {row.shared} of them share an answer"
    return [
        f"{row.verdict:<12} {row.route}{example}: {told}",
        *(
            f"  {leak.category} {leak.input} ({leak.value}): {leak.consequence}; {leak.difference}"
            for leak in row.leaks
        ),
    ]
