"""What the tests of real edges share: their programs, and where they are missing."""

import os

import pytest

from regionware.errors import ConfigurationError
from regionware.parts import binaries

#: Seconds that anything may take that takes milliseconds on an idle machine.
LIMIT = 30.0


def _missing() -> str:
    """Which programs are missing, in words; empty where none is."""
    words = []
    for find in (binaries.varnishd, binaries.nginx):
        try:
            find()
        except ConfigurationError as error:
            words.append(str(error))
    return "; ".join(words)


#: Marks what needs real Varnish and nginx. Where CI is set a missing one is a failure, not a skip.
parts_of_edges = pytest.mark.skipif(
    bool(_missing()) and "CI" not in os.environ, reason=f"run .ci/install-parts: {_missing()}"
)
