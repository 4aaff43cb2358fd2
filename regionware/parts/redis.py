"""A Redis-compatible server for tests and demonstrations: Valkey, or Redis where that is found."""

import socket
import time
from collections.abc import Sequence
from typing import BinaryIO, Self

from regionware.parts.binaries import redis_server
from regionware.parts.part import Housed
from regionware.parts.process import (
    ServerFailed,
    ServerProcess,
    free_port,
    temporary_folder,
)

#: Seconds the server may take to start.
PATIENCE = 10.0
#: How many databases a server has.
DATABASES = 1000


class RedisServer(Housed):
    """One server that keeps everything in memory.

    Attributes:
        port: where it listens on 127.0.0.1; stays the same over a restart.
        database: which of its `DATABASES` databases `url` and `command` mean.
    """

    def __init__(self, *, maxmemory: int | None = None, options: Sequence[str] = ()) -> None:
        """Describe the server.

        Args:
            maxmemory: bytes it may use; it then refuses writes that need more (`noeviction`).
            options: further words for its command line.
        """
        self.port = free_port()
        self.database = 0
        self._further = list(options)
        self._maxmemory = maxmemory
        self._program = redis_server()

    @property
    def url(self) -> str:
        """The URL of its database."""
        return f"redis://127.0.0.1:{self.port}/{self.database}"

    def start(self) -> Self:
        """Start it, empty, and wait until it answers; nothing to do if it runs.

        Raises:
            ServerFailed: it ended instead, or does not answer after `PATIENCE` seconds.
        """
        if self.running:
            return self
        if self._directory is None:
            self._directory = temporary_folder()
        self._process = process = ServerProcess(
            [self._program, *self._options()],
            log=self._directory / "server.log",
            directory=self._directory,
        )
        limit = time.monotonic() + PATIENCE
        while not self._answers(process.pid):
            if not process.running or time.monotonic() > limit:
                tail = process.tail()
                self.close()
                raise ServerFailed(f"{self._program.name} did not start:\n{tail}")
            time.sleep(0.005)
        return self

    def command(self, words: str, *, timeout: float = 5) -> str:
        """Send one command that is answered by a string or a number; its answer as text.

        Raises:
            ServerFailed: it is answered by an error.
            OSError: the server is not there, or does not answer within `timeout` seconds.
        """
        return self.ask(self.port, words, timeout=timeout, database=self.database)

    @staticmethod
    def ask(port: int, words: str, *, timeout: float = 5, database: int = 0) -> str:
        """The same, of whoever listens on a port of 127.0.0.1.

        Raises:
            ServerFailed: as `command`.
            OSError: as `command`.
        """
        return _asked(port, [words], timeout, database)[0]

    def flush(self) -> None:
        """Make it as if just started: no keys, scripts or functions, statistics at zero."""
        commands = "FLUSHALL", "SCRIPT FLUSH", "FUNCTION FLUSH", "CONFIG RESETSTAT"
        _asked(self.port, commands, timeout=5)

    def _options(self) -> list[str]:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        options += ["--appendonly", "no", "--databases", str(DATABASES)]
        if self._maxmemory is not None:
            options += ["--maxmemory", str(self._maxmemory), "--maxmemory-policy", "noeviction"]
        return options + self._further

    def _answers(self, pid: int) -> bool:
        try:
            # Somebody else's server on this port would answer as well.
            return f"process_id:{pid}\r\n" in self.command("INFO server", timeout=0.5)
        except (OSError, ServerFailed):
            return False


def _asked(port: int, commands: Sequence[str], timeout: float, database: int = 0) -> list[str]:
    """What is answered to commands that one connection sends together."""
    sent = [f"SELECT {database}", *commands] if database else list(commands)
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall("".join(f"{words}\r\n" for words in sent).encode())
        with connection.makefile("rb") as answers:
            return [_answer(answers, words) for words in sent][-len(commands) :]


def _answer(answers: BinaryIO, words: str) -> str:
    kind, answer = answers.read(1), answers.readline()
    if kind == b"$" and int(answer) >= 0:
        answer = answers.read(int(answer) + 2)
    if kind not in (b"+", b":", b"$"):
        raise ServerFailed(f"{words}: {answer.decode() or 'connection closed'}")
    return answer.decode().rstrip("\r\n")
