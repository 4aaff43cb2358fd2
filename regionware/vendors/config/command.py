"""`regionware cdn-config VENDOR [APPLICATION]`."""

import argparse
import sys

from regionware.vendors.catalogue import VENDORS
from regionware.vendors.config.rendering import render

#: The words of the command line that are options of a `Setting`; those not said have its defaults.
_OPTIONS = ("backend_host", "backend_port", "listen", "directory", "purgers", "fronts",
            "region_field", "refresh_secret")  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    known = ", ".join(sorted(name for name in VENDORS if name))
    parser.add_argument("vendor", help=known)
    parser.add_argument(
        "application", nargs="?", help="module:attribute of the Regionware object, for its routes"
    )
    parser.add_argument("--backend-host", metavar="HOST", help="where the application listens")
    parser.add_argument("--backend-port", metavar="PORT", type=int)
    parser.add_argument("--listen", metavar="ADDRESS", help="nginx: what its server listens on")
    parser.add_argument("--directory", metavar="PATH", help="nginx: where its cache is")
    parser.add_argument(
        "--purger", action="append", dest="purgers", metavar="CIDR", help="who may purge"
    )
    parser.add_argument(
        "--front", action="append", dest="fronts", metavar="CIDR",
        help="a proxy before the edge, whose word on scheme and region is believed",
    )  # fmt: skip
    parser.add_argument("--region-field", metavar="NAME", help="what names a client's region")
    parser.add_argument(
        "--refresh-secret", metavar="TEXT", help="nginx: what lets a request refresh a page"
    )


def run(options: argparse.Namespace) -> int:
    """Print the configuration; `options.load` finds an application by its name."""
    rw = None if options.application is None else options.load(options.application)
    said = {name: getattr(options, name) for name in _OPTIONS}
    sys.stdout.write(
        render(options.vendor, rw, **{name: value for name, value in said.items() if value})
    )
    return 0
