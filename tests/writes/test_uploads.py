"""Real servers in processes of their own: a large upload passes through, and is not kept."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from regionware.parts.process import ServerProcess, free_port
from tests.conformance.harness import Flavour, until

ROOT = Path(__file__).parents[2]
MEGABYTE = 1 << 20
UPLOAD = 50 * MEGABYTE
#: Bytes by which a process may grow meanwhile.
GROWTH = 20 * MEGABYTE


def _command(flavour: Flavour, port: int) -> list[str]:
    common = ["--port", str(port), "--workers", "1", "--log-level", "warning"]
    if flavour == "asgi":
        return ["uvicorn", "tests.writes.uploads:asgi", *common, "--no-proxy-headers"]
    return [
        "granian", "tests.writes.uploads:wsgi", *common,
        "--interface", "wsgi", "--blocking-threads", "4", "--no-ws", "--http", "1",
    ]  # fmt: skip


class Two:
    """Both regions."""

    def __init__(self, flavour: Flavour, folder: Path, stack: ExitStack, **environ: str) -> None:
        near, far = free_port(), free_port()
        self.url = f"http://127.0.0.1:{far}"
        common = {**os.environ, "WRITES_URL": f"http://127.0.0.1:{near}", **environ}
        for here, port in (("iad", near), ("fra", far)):
            own = {**common, "WRITES_HERE": here}
            if here == "iad":
                own.pop("WRITES_KEEP", None)
            argv = [sys.executable, "-m", *_command(flavour, port)]
            process = ServerProcess(argv, log=folder / here, environ=own, directory=ROOT)
            stack.callback(process.end, timeout=10)
            until(lambda port=port: self._answers(port), 60)  # type: ignore[misc] # bound at once

    @staticmethod
    def _answers(port: int) -> bool:
        try:
            url = f"http://127.0.0.1:{port}/"
            return httpx.get(url, trust_env=False, timeout=30).status_code == 200
        except httpx.TransportError:
            return False

    def here(self) -> dict[str, Any]:
        """What the far region's process says of itself."""
        found: dict[str, Any] = json.loads(httpx.get(self.url, trust_env=False, timeout=30).content)
        return found

    def upload(self, size: int) -> dict[str, Any]:
        """Send this many octets; what the application that has them says."""
        answer = httpx.post(
            self.url, content=_pieces(size), headers={"Content-Length": str(size)},
            trust_env=False, timeout=100,
        )  # fmt: skip
        assert answer.status_code == 200, answer.content
        found: dict[str, Any] = json.loads(answer.content)
        return found

    def grows(self, size: int) -> tuple[dict[str, Any], int]:
        """The same, and by how many bytes the far region's process has grown."""
        self.upload(MEGABYTE)
        before = self.here()
        found = self.upload(size)
        after = self.here()
        assert before["pid"] == after["pid"] != found["pid"]
        return found, after["peak"] - before["peak"]


def _pieces(size: int) -> Iterator[bytes]:
    for start in range(0, size, 1 << 16):
        yield bytes([start >> 16 & 255]) * min(1 << 16, size - start)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_large_upload_is_not_kept(flavour: Flavour, tmp_path: Path, stack: ExitStack) -> None:
    two = Two(flavour, tmp_path, stack)
    found, growth = two.grows(UPLOAD)
    expected = hashlib.sha256()
    for piece in _pieces(UPLOAD):
        expected.update(piece)
    assert (found["length"], found["digest"]) == (UPLOAD, expected.hexdigest())
    assert growth < GROWTH


def test_one_that_is_kept_is_noticed(flavour: Flavour, tmp_path: Path, stack: ExitStack) -> None:
    """The positive control."""
    _, growth = Two(flavour, tmp_path, stack, WRITES_KEEP="1").grows(UPLOAD)
    assert growth > UPLOAD - MEGABYTE
