"""What the edges have in common: an HTTP server with a port and a folder of its own."""

import os
import socket
import subprocess
import time
from abc import abstractmethod
from pathlib import Path
from typing import Self

from regionware.parts.binaries import Account
from regionware.parts.part import Housed
from regionware.parts.process import (
    ServerFailed,
    ServerProcess,
    accepts,
    free_port,
    temporary_folder,
)

#: Seconds an edge may take to start; Varnish runs a C compiler first.
PATIENCE = 60.0
#: Seconds for which its port may stay open when its processes have ended.
CLOSING = 5.0


def environ() -> dict[str, str]:
    """The environment of these programs: nothing that would configure them, and a C compiler."""
    return {"PATH": f"{os.environ.get('PATH', os.defpath)}:{os.defpath}", "LC_ALL": "C"}


class Edge(Housed):
    """An HTTP server in front of an application.

    Attributes:
        port: where it listens on 127.0.0.1; stays the same over a restart.
        program: its executable file.
    """

    def __init__(self, program: Path, account: Account | None) -> None:
        """Describe it; it runs as `account` if one is given, which only root may do."""
        self.port = free_port()
        self.program = program
        self._account = account

    @property
    def url(self) -> str:
        """Its URL, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        """The end of what it has said."""
        return self._process.tail() if self._process else ""

    def start(self) -> Self:
        """Start it, with nothing cached, and wait until it answers; nothing to do if it runs.

        Raises:
            ServerFailed: it ended instead, or does not answer after `PATIENCE` seconds.
        """
        if self.running:
            return self
        folder = self._folder()
        self._process = process = ServerProcess(
            self._prepare(folder),
            log=folder / "server.log",
            directory=folder,
            account=self._account,
            environ=environ(),
        )
        limit = time.monotonic() + PATIENCE
        while not (self._answers() and process.running):
            if not process.running or time.monotonic() > limit:
                tail = process.tail()
                self.close()
                raise ServerFailed(f"{self.program.name} did not start:\n{tail}")
            time.sleep(0.01)
        return self

    def check(self) -> None:
        """Have the program read its configuration, and do nothing else.

        Raises:
            ServerFailed: with what it says is wrong.
        """
        folder = self._folder()
        try:
            done = subprocess.run(
                self._examine(folder),
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                cwd=folder,
                env=environ(),
                timeout=PATIENCE,
            )
        finally:
            if not self.running:
                self.close()
        if done.returncode:
            raise ServerFailed(f"{self.program.name} refuses its configuration:\n{done.stderr}")

    @abstractmethod
    def _prepare(self, folder: Path) -> list[str | Path]:
        """Write the configuration into its empty folder; the command line that runs it."""

    @abstractmethod
    def _examine(self, folder: Path) -> list[str | Path]:
        """Write the configuration; the command line that checks it."""

    def _folder(self) -> Path:
        if self._directory is None:
            self._directory = temporary_folder()
            if self._account is not None:
                os.chown(self._directory, self._account.uid, self._account.gid)
        return self._directory

    def _ended(self) -> None:
        """Wait for the last thread of a killed process, which holds the port open."""
        limit = time.monotonic() + CLOSING
        while accepts(self.port) and time.monotonic() < limit:
            time.sleep(0.01)

    def _answers(self) -> bool:
        """Whether it refuses what is no HTTP: that needs no application and is never cached."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"no request\r\n\r\n")
                return connection.recv(5) == b"HTTP/"
        except OSError:
            return False
