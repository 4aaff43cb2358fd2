"""`regionware demo`, run as people run it, with few requests."""

import argparse
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from regionware.demo import command
from regionware.parts import guard

#: A dozen servers that start on a busy machine.
pytestmark = pytest.mark.timeout(300)

FEW = ("--requests", "64", "--rtt", "20", "--seconds", "0", "--no-speed", "--race", "0")
#: Seconds after a write; a slow machine needs more than the default for a purge and a refill.
RACE = ("--race", "3")


class Run:
    """A demonstration in a process of its own, and everything that it ever started."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "regionware.demo", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started: set[int] = set()
        self.output = ""
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def read_until(self, text: str) -> None:
        """Read its output up to a line that holds the text."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return
        pytest.fail(f"it ended without {text!r}:\n{self.output}")

    def finish(self) -> int:
        """Wait for its end; the exit status."""
        self.output += self.process.communicate(timeout=240)[0]
        self._watcher.join()
        return self.process.returncode

    def left(self) -> set[int]:
        """What still runs of all that it started."""
        guard.wait_gone(self.started, 5)
        return self.started & guard.table().keys()

    def _watch(self) -> None:
        while self.process.poll() is None:
            self.started.update(guard.descendants(self.process.pid))
            time.sleep(0.1)


@contextmanager
def demo(*arguments: str) -> Iterator[Run]:
    """A demonstration that is over at the end, whatever the test did."""
    run = Run(*arguments)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.wait()


def wrong(output: str) -> tuple[int, int]:
    """How many answers were wrong, and how many were checked."""
    found = re.search(r"(\d+) wrong of (\d+) checked answers", output)
    assert found is not None, output
    return int(found[1]), int(found[2])


def check(run: Run, status: int) -> None:
    """Nothing was wrong, and nothing is left."""
    bad, checked = wrong(run.output)
    assert (status, bad) == (0, 0), run.output
    assert checked > 100
    assert len(run.started) > 10
    assert run.left() == set()


def race(output: str) -> tuple[int, int, int]:
    """The share that was stale in the purge race, of how many, and the share without coupling."""
    found = re.search(r"stale 3 s after a write.*?(\d+)% of (\d+) +uncoupled: +(\d+)%", output)
    assert found is not None, output
    return int(found[1]), int(found[2]), int(found[3])


def test_no_answer_is_wrong_over_wsgi() -> None:
    with demo(*FEW, *RACE, "--wsgi") as run:
        check(run, run.finish())
        stale, judged, uncoupled = race(run.output)
    assert (stale, judged > 0) == (0, True)
    # The positive control, in the same run.
    assert uncoupled > 0


def test_no_answer_is_wrong_over_asgi_and_an_interrupt_ends_what_is_served() -> None:
    with demo(*FEW, *RACE, "--serve") as run:
        run.read_until("Ctrl-C ends everything")
        stale, judged, uncoupled = race(run.output)
        assert (stale, judged > 0, uncoupled > 0) == (0, True, True)
        assert "curl -i http://127.0.0.1:" in run.output
        assert run.process.poll() is None
        run.process.send_signal(signal.SIGINT)
        check(run, run.finish())


def test_without_protection_answers_are_wrong() -> None:
    """Wrong answers are a matter of load, and a slow machine has little in three seconds."""
    for seconds in ("3", "10"):
        with demo(*FEW, "--unprotected", "--seconds", seconds) as run:
            status = run.finish()
            bad, checked = wrong(run.output)
            assert run.left() == set()
        if bad:
            break
    assert status == 1, run.output
    assert 0 < bad < checked


def test_a_signal_ends_it_half_started() -> None:
    with demo() as run:
        while len(run.started) < 5:
            time.sleep(0.05)
        run.process.send_signal(signal.SIGTERM)
        assert run.finish() == 1, run.output
        assert "interrupted" in run.output
        assert run.left() == set()


def test_options_that_cannot_be_are_refused() -> None:
    with demo("--rtt", "-1") as run:
        assert run.finish() == 2
        assert "must be from 0 to 2000" in run.output


def test_a_folder_with_something_in_it_is_not_used() -> None:
    with demo("--keep", "/") as run:
        assert run.finish() == 2
        assert "not an empty folder" in run.output


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "granian" else True)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.run(parser.parse_args(["--wsgi"])) == 2
    assert 'granian, psycopg[binary]: install "regionware[demo]"' in capsys.readouterr().err
