"""Clusters for tests that spoil theirs: made in a moment.

`initdb` takes longer than all the rest of such a test, so it runs once in each process. What is
made here are copies of its work: they are of one system identifier, and none is another's replica.
"""

import subprocess
from functools import cache
from pathlib import Path

from regionware.parts.postgres import Cluster


def fresh() -> Cluster:
    """A cluster with nothing in it, not yet started."""
    made = Cluster()
    copy: list[str | Path] = ["cp", "-a", _original().primary.directory, made.primary.directory]
    subprocess.run(copy, check=True, capture_output=True)
    return made


@cache
def _original() -> Cluster:
    """One that is never started; its folder goes when this program ends."""
    return Cluster().make()
