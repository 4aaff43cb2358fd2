"""A server may load the application before it forks, or start each worker anew."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Seconds; a busy machine needs a few, and what hangs needs for ever.
PATIENCE = 100


def status(kind: str, url: str) -> tuple[int, str]:
    argv = [sys.executable, "-W", "ignore", "-m", "tests.memory.forking", kind, url]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stderr=pipe, cwd=ROOT, start_new_session=True) as process:
        try:
            errors = process.communicate(timeout=PATIENCE)[1]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"{kind} hangs")
    return process.returncode, errors.decode()


@pytest.mark.parametrize("kind", ["preload", "used", "spawn"])
def test_a_child_begins_with_nothing_and_leaves_its_parent_alone(redis_url: str, kind: str) -> None:
    code, errors = status(kind, redis_url)
    assert code == 0, errors


def test_a_child_that_trusts_its_parent_s_memory_would_be_noticed(redis_url: str) -> None:
    """Positive control: nothing is forgotten after the fork."""
    code, errors = status("trusting", redis_url)
    assert code == 1
    assert "assert len(rw.memory) == 0" in errors
