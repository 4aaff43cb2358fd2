"""Ends servers when the program that started them is gone, however it ended.

The program starts this file once as a process of its own, in a session of its own, and tells it
over a pipe which servers run. The kernel closes the pipe when the program dies, also after
`SIGKILL`, and what is still registered is ended then. It imports the standard library only, so
that it starts in isolated mode within a few milliseconds.

Lines on standard input: `add PID SIGNAL` and `drop PID` with decimal numbers; `folder PATH` and
`keep PATH` for temporary folders, which are removed after the servers.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

#: Seconds a server may take to end after its own signal before it is killed.
GRACE = 3.0
_HAS_PROC = Path("/proc/self").is_dir()


class Entry(NamedTuple):
    """What the process table says of one living process.

    Attributes:
        parent: the number of its parent.
        stopped: whether a signal has stopped it.
    """

    parent: int
    stopped: bool


def _entry_of_proc(pid: int | str) -> Entry | None:
    """What `/proc` says of one process; nothing of one that nobody has waited for."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None  # It has ended.
    try:
        stat = os.read(descriptor, 4096)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    # The name is in parentheses and may hold anything: proc_pid_stat(5).
    state, parent = stat.rpartition(b")")[2].split(maxsplit=2)[:2]
    return None if state in (b"Z", b"X") else Entry(int(parent), state == b"T")


def _part_of_proc(pids: Iterable[int | str]) -> dict[int, Entry]:
    """The part of the process table that is about some processes."""
    found = ((int(pid), _entry_of_proc(pid)) for pid in pids)
    return {pid: entry for pid, entry in found if entry is not None}


def _table_of_proc() -> dict[int, Entry]:
    """The process table from `/proc`, without the dead that nobody has waited for."""
    return _part_of_proc(name for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - names only


def _table_of_ps() -> dict[int, Entry]:
    """The process table where there is no `/proc`."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,state="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split() for line in listing.splitlines())
    return {
        int(pid): Entry(int(parent), state.startswith("T"))
        for pid, parent, state in rows
        if not state.startswith("Z")
    }


def table() -> dict[int, Entry]:
    """The living processes by their numbers."""
    return _table_of_proc() if _HAS_PROC else _table_of_ps()


def descendants(pid: int) -> list[int]:
    """The processes below `pid`, parents before children.

    A process group would not do: PostgreSQL's children each make a session of their own.
    """
    children: dict[int, list[int]] = {}
    for child, entry in table().items():
        children.setdefault(entry.parent, []).append(child)
    found = list(children.get(pid, ()))
    for each in found:
        found += children.get(each, ())
    return found


def send(pids: Iterable[int], number: int) -> None:
    """Send a signal to each process that still lives."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def freeze(pid: int) -> list[int]:
    """Stop a process and everything below it, and wait until they are.

    Returns:
        The processes stopped, `pid` first. It starts no further child once it is stopped.
    """
    _stop([pid])
    below = descendants(pid)
    _stop(below)
    return [pid, *below]


def _stop(pids: list[int]) -> None:
    send(pids, signal.SIGSTOP)
    _wait(lambda: all(entry.stopped for entry in _entries(pids)), GRACE)


def thaw(pid: int) -> None:
    """Let a stopped process and everything below it go on, children first."""
    send([*reversed(descendants(pid)), pid], signal.SIGCONT)


def _entries(pids: Iterable[int]) -> list[Entry]:
    """What the process table says of those that live."""
    return list(_living(pids).values())


def _living(pids: Iterable[int]) -> dict[int, Entry]:
    """Those that live; where it can be had, without a look at all the others."""
    if _HAS_PROC:
        return _part_of_proc(pids)
    found = table()
    return {pid: found[pid] for pid in pids if pid in found}


def _wait(true: Callable[[], bool], timeout: float) -> bool:
    """Wait until something is true, at most `timeout` seconds; whether it is."""
    limit = time.monotonic() + timeout
    while not true():
        if time.monotonic() > limit:
            return False
        time.sleep(0.005)
    return True


def wait_gone(pids: Iterable[int], timeout: float) -> bool:
    """Wait until none of the processes lives, at most `timeout` seconds; whether it is so."""
    waited = set(pids)
    return _wait(lambda: not _living(waited), timeout)


def kill_tree(pid: int) -> None:
    """Kill a process and everything below it, and wait until it is gone."""
    doomed = freeze(pid)  # So that none is left over to a new parent before it is seen.
    send(doomed, signal.SIGKILL)
    wait_gone(doomed, GRACE)


def _leads_session(pid: int) -> bool:
    """Whether the process is a server as registered, not another that got its number."""
    try:
        return os.getsid(pid) == pid
    except OSError:
        return False


def _end(registered: dict[int, int]) -> None:
    """Ask every registered server to end, then kill those that have not."""
    servers = {pid: number for pid, number in registered.items() if _leads_session(pid)}
    trees = {pid: [pid, *descendants(pid)] for pid in servers}
    for pid, number in servers.items():
        send([pid], number)
        thaw(pid)
    if wait_gone((each for tree in trees.values() for each in tree), GRACE):
        return
    for pid, tree in trees.items():
        kill_tree(pid)
        send(tree, signal.SIGKILL)


def main(lines: Iterable[str]) -> None:
    """Keep the register until the pipe closes, then end what is in it."""
    registered: dict[int, int] = {}
    folders: set[str] = set()
    for line in lines:
        verb, what = line.rstrip("\n").split(" ", 1)
        if verb == "add":
            pid, number = what.split()
            registered[int(pid)] = int(number)
        elif verb == "drop":
            registered.pop(int(what), None)
        elif verb == "folder":
            folders.add(what)
        else:
            folders.discard(what)
    _end(registered)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(sys.stdin)
