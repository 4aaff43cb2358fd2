"""What once stopped a whole process: each in a process of its own, with a deadline."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Seconds; a busy machine needs a few, and what hangs needs for ever.
PATIENCE = 30


def ends(module: str, kind: str) -> None:
    """The module ends well; if not, it ends with all its children."""
    argv = [sys.executable, "-W", "ignore", "-m", f"tests.regressions.{module}", kind]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stderr=pipe, cwd=ROOT, start_new_session=True) as process:
        try:
            errors = process.communicate(timeout=PATIENCE)[1]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"{module} {kind} hangs")
    assert process.returncode == 0, errors.decode()


@pytest.mark.parametrize("kind", ["stream", "middleware"])
def test_a_refresh_leaves_the_event_loop_free(kind: str) -> None:
    """An application that listens for a disconnect while it streams stops nobody."""
    ends("streaming", kind)


def test_a_child_counts_events_of_its_own() -> None:
    """A lock that a thread of the parent held at the fork is free in the child."""
    ends("forking", "held")


def test_a_child_refreshes_on_threads_of_its_own() -> None:
    """A child of a process that has refreshed an entry refreshes entries too."""
    ends("forking", "refreshed")
