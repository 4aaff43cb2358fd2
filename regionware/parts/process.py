"""A server process that is paused, ended and cleaned up together with all its children."""

import atexit
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from regionware.parts import guard
from regionware.parts.binaries import Account

_ATTEMPTS = itertools.count()


class ServerFailed(RuntimeError):
    """A server did not start or did not do what it was told; carries the end of its log."""


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on.

    Taken below the ports that systems give to outgoing connections (32768 and up), so that it
    also stays free while its server is down between a stop and a start. Programs that run side
    by side, such as the workers of a test run, begin at different places.
    """
    for _ in range(1000):
        port = 20000 + (os.getpid() * 64 + next(_ATTEMPTS)) % 12000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerFailed("no free TCP port between 20000 and 32000 on 127.0.0.1")


def accepts(port: int) -> bool:
    """Whether something accepts connections on the port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class _Guard:
    """This program's end of the pipe to `regionware.parts.guard`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self.live: set[ServerProcess] = set()

    def add(self, process: "ServerProcess") -> None:
        """Have the process ended when this program ends."""
        self.live.add(process)
        self._tell(f"add {process.pid} {process.stop_signal:d}\n")

    def drop(self, process: "ServerProcess") -> None:
        """Forget a process that has ended."""
        self.live.discard(process)
        self._tell(f"drop {process.pid}\n")

    def folder(self, path: Path) -> None:
        """Have a folder removed when this program ends."""
        self._tell(f"folder {path}\n")

    def keep(self, path: Path) -> None:
        """Forget a folder that is removed already."""
        self._tell(f"keep {path}\n")

    def _tell(self, line: str) -> None:
        # A killed guard breaks the pipe; `close` still ends what runs.
        with self._lock, suppress(BrokenPipeError):
            os.write(self._pipe(), line.encode())

    def _pipe(self) -> int:
        if self._child is None or self._owner != os.getpid():
            self._owner = os.getpid()
            self.live = {each for each in self.live if each.owner == self._owner}
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__],
                stdin=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        if self._child.stdin is None:
            raise ServerFailed("the guard process has no pipe")
        return self._child.stdin.fileno()

    def forked(self) -> None:
        """In a child made by `fork`: let go of the pipe, which must close with the parent."""
        self._lock = threading.Lock()
        self.live = set()
        child, self._child = self._child, None
        if child is not None and child.stdin is not None:
            child.stdin.close()
            child.returncode = 0  # It is not this process's child: nothing to wait for.

    def close(self) -> None:
        """End everything that still runs, then the guard."""
        if self._owner != os.getpid():
            return
        for process in list(self.live):
            process.end()
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()
            self._child.wait()
            self._child = None


_GUARD = _Guard()
atexit.register(_GUARD.close)
os.register_at_fork(after_in_child=_GUARD.forked)


def temporary_folder() -> Path:
    """A new folder that is removed at the latest when this program ends, however it does."""
    path = Path(tempfile.mkdtemp(prefix="regionware-"))
    _GUARD.folder(path)
    return path


def remove_folder(path: Path) -> None:
    """Remove a temporary folder with everything in it."""
    shutil.rmtree(path, ignore_errors=True)
    _GUARD.keep(path)


class ServerProcess:
    """A running server in a session of its own.

    Attributes:
        pid: the number of its first process.
        log: the file that gets its output.
        stop_signal: the signal that makes it end at once and tidily.
        owner: the number of the process that started it.
        paused: whether `pause` was called last.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        account: Account | None = None,
        environ: Mapping[str, str] | None = None,
        directory: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Start the program; it runs as `account` if one is given."""
        self.log = log
        self.stop_signal = stop_signal
        self.owner = os.getpid()
        self.paused = False
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=directory,
                env=environ,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        self.pid = self._popen.pid
        _GUARD.add(self)

    @property
    def running(self) -> bool:
        """Whether its first process has not ended."""
        return self._popen.poll() is None

    def pids(self) -> list[int]:
        """Its first process and everything below that."""
        return [self.pid, *guard.descendants(self.pid)] if self.running else []

    def pause(self) -> None:
        """Freeze it and its children: connections stay open and nobody answers."""
        if self.running:
            guard.freeze(self.pid)
            self.paused = True

    def resume(self) -> None:
        """Let it go on after `pause`; costs nothing where nobody has paused it."""
        if self.paused and self.running:
            guard.thaw(self.pid)
        self.paused = False

    def end(self, number: int | None = None, timeout: float = 5.0) -> None:
        """Ask it to end with `number`, else `stop_signal`; kill it after `timeout` seconds."""
        if self.running:
            tree = self.pids()
            guard.send([self.pid], number or self.stop_signal)
            guard.thaw(self.pid)
            try:
                self._popen.wait(timeout)
            except subprocess.TimeoutExpired:
                guard.kill_tree(self.pid)
            guard.send(tree[1:], signal.SIGKILL)
            guard.wait_gone(tree, timeout)
        self._forget()

    def kill(self) -> None:
        """Kill it and its children without warning."""
        if self.running:
            guard.kill_tree(self.pid)
        self._forget()

    def tail(self, size: int = 2000) -> str:
        """The last `size` bytes of its output."""
        return self.log.read_bytes()[-size:].decode(errors="replace")

    def _forget(self) -> None:
        self._popen.wait()
        self.paused = False
        _GUARD.drop(self)
