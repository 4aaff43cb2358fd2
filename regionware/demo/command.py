"""`regionware demo`: the options, the order of things, and the exit status.

Status 0: every criterion is met. 1: one is not, or it was interrupted. 2: it could not be run.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from regionware.errors import RegionwareError

_NEEDED = ("rich", "httpx", "uvicorn", "httptools", "psycopg_pool")
_HINT = 'the demonstration needs {}: install "regionware[demo]"'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--wsgi", action="store_true", help="the WSGI flavour instead of ASGI")
    parser.add_argument(
        "--rtt",
        type=_milliseconds,
        default=150.0,
        metavar="MS",
        help="round trip between the regions (default: %(default)g ms)",
    )
    parser.add_argument(
        "--requests",
        type=_count,
        default=240,
        metavar="N",
        help="requests of the far clients for each deployment (default: %(default)s)",
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=10.0,
        metavar="S",
        help="how long the answers of (c) are judged at least (default: %(default)g)",
    )
    parser.add_argument(
        "--race",
        type=_seconds,
        default=1.0,
        metavar="S",
        help="how long after a write old answers are counted in the purge race, 0 for no race"
        " (default: %(default)g)",
    )
    parser.add_argument("--serve", action="store_true", help="keep everything running afterwards")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep data and logs in this empty folder"
    )
    parser.add_argument(
        "--unprotected",
        action="store_true",
        help="take the guarantees away, to see that wrong answers are counted",
    )
    parser.add_argument(
        "--no-speed",
        dest="speed",
        action="store_false",
        help="do not judge the speed, as on a busy machine",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demonstration; the exit status."""
    if missing := _missing(wsgi=arguments.wsgi):
        return _refuse(_HINT.format(", ".join(missing)))
    if arguments.keep is not None and _occupied(arguments.keep):
        return _refuse(f"{arguments.keep} is not an empty folder")
    # These need what has just been looked for.
    from regionware.demo.show import demonstrate
    from regionware.parts.process import ServerFailed

    _end_on_signals()
    try:
        return demonstrate(arguments)
    except KeyboardInterrupt:
        _refuse("interrupted; everything that ran has been ended")
        return 1
    except (RegionwareError, ServerFailed) as error:
        return _refuse(str(error))


def main() -> None:
    """Run as `python -m regionware.demo`."""
    parser = argparse.ArgumentParser(prog="regionware demo")
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))


def _refuse(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 2


def _missing(*, wsgi: bool) -> list[str]:
    """What the extra `demo` would bring and is not there."""
    needed = (*_NEEDED, "granian") if wsgi else _NEEDED
    missing = [name for name in needed if find_spec(name) is None]
    try:
        import psycopg  # noqa: F401 - found, it still needs its binary build or libpq
    except ImportError:
        missing.append("psycopg[binary]")
    return missing


def _occupied(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _end_on_signals() -> None:
    """Have both signals end the demonstration tidily, also where a shell has them ignored."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # The loop handles an interrupt well; any other exception would leave its tasks behind.
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def _number(kind: Callable[[str], float], low: float, high: float, text: str) -> float:
    try:
        value = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a number: {text!r}") from None
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"must be from {low:g} to {high:g}")
    return value


def _milliseconds(text: str) -> float:
    return _number(float, 0, 2000, text)


def _seconds(text: str) -> float:
    return _number(float, 0, 86_400, text)


def _count(text: str) -> int:
    return int(_number(int, 0, 1_000_000, text))
