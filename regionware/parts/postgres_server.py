"""One PostgreSQL server: start, end, freeze, promote. `regionware.parts.postgres` makes them.

Needs psycopg, which is imported when the first server starts.
"""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from regionware.parts.binaries import Account
from regionware.parts.part import Running
from regionware.parts.process import ServerFailed, ServerProcess, accepts, free_port

#: Seconds a server may take to start or to be promoted.
PATIENCE = 30.0


def _environ() -> dict[str, str]:
    """An environment without the variables that would configure PostgreSQL's programs."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


class PostgresServer(Running):
    """One server of a cluster; made by `Cluster`.

    Attributes:
        name: its name, which it also gives its upstream as `application_name`.
        port: where it listens on 127.0.0.1; stays the same over a restart.
        directory: its data directory.
    """

    def __init__(self, name: str, bindir: Path, directory: Path, account: Account | None) -> None:
        """Describe the server; `start` starts it from an existing data directory."""
        self.name = name
        self.port = free_port()
        self.directory = directory
        self._bindir = bindir
        self._account = account

    @property
    def url(self) -> str:
        """The connection string of the database `postgres`, as its superuser."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def log(self) -> Path:
        """The file that gets its log."""
        return self.directory.with_suffix(".log")

    def start(self) -> None:
        """Start it and wait until it answers queries; nothing to do if it runs.

        Raises:
            ServerFailed: it ended instead, or does not answer after `PATIENCE` seconds.
        """
        limit = time.monotonic() + PATIENCE
        while not self.running:
            process = self._launch()
            if self._answers(process, limit):
                return
            # The kernel may free a killed server's shared memory a little late.
            if "pre-existing shared memory block" not in process.tail():
                raise ServerFailed(f"PostgreSQL {self.name} did not start:\n{process.tail()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Shut it down tidily (PostgreSQL's fast shutdown), killing it if that takes over 10 s."""
        if self._process is not None:
            self._process.end(signal.SIGINT, timeout=10)

    def discard(self) -> None:
        """End it without flushing anything (PostgreSQL's immediate shutdown)."""
        if self._process is not None:
            self._process.end()

    def kill(self) -> None:
        """Kill the postmaster and its children."""
        if self._process is not None:
            self._process.kill()

    def promote(self) -> None:
        """Make this replica a primary, on a new timeline.

        Raises:
            ServerFailed: it was not promoted within `PATIENCE` seconds.
        """
        if self.query(f"SELECT pg_promote(true, {PATIENCE:.0f})") != [(True,)]:
            raise ServerFailed(f"PostgreSQL {self.name} was not promoted")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own, and return its rows, if any."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def run(self, tool: str, *arguments: str | Path) -> None:
        """Run one of PostgreSQL's programs to its end.

        Raises:
            ServerFailed: it failed; carries what it printed.
        """
        done = subprocess.run(
            [self._bindir / tool, *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=_environ(),
            cwd=self.directory.parent,
            user=self._account.uid if self._account else None,
            group=self._account.gid if self._account else None,
            extra_groups=[] if self._account else None,
        )
        if done.returncode:
            raise ServerFailed(f"{tool} failed:\n{done.stdout}{done.stderr}")

    def _launch(self) -> ServerProcess:
        self.log.unlink(missing_ok=True)  # An earlier start's end is no sign of this one's.
        self._process = ServerProcess(
            [self._bindir / "postgres", "-D", self.directory, "-p", str(self.port)],
            log=self.log,
            account=self._account,
            environ=_environ(),
            directory=self.directory,
            stop_signal=signal.SIGQUIT,
        )
        return self._process

    def _is_here(self) -> bool:
        """Whether it is this one that answers: somebody else's may listen there as well."""
        return self.query("SHOW data_directory") == [(str(self.directory),)]

    def _answers(self, process: ServerProcess, limit: float) -> bool:
        """Wait until it answers or has ended; whether it answers."""
        import psycopg

        while process.running:
            try:
                if accepts(self.port) and self._is_here():
                    return True
            except psycopg.OperationalError:
                pass  # Not yet.
            if time.monotonic() > limit:
                break
            time.sleep(0.01)
        process.kill()
        return False
