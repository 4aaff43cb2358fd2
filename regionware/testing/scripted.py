"""A server that speaks to Redis clients and answers what a test wants it to.

It shakes hands, gives the log's reader an empty region, and then answers look-ups and fills from
a script. The real server is used wherever it can be made to misbehave; this is for the rest.
"""

import socket
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread
from types import TracebackType
from typing import BinaryIO, Self

from regionware.caching.scripts import (
    FILL,
    LATE,
    LOOKUP,
    PURGE,
    REGISTER,
    RELAY,
    RELEASE,
    RENEW,
    REPAIR,
    SNAPSHOT,
)

Command = Sequence[bytes]


class Hang(Exception):
    """Say nothing more on this connection, and leave it open. Carries what is said before."""


class Hangup(Exception):
    """Close this connection. Carries what is said before."""


class Drip(Exception):
    """Say it octet by octet, with a pause after each. Carries the reply, and the seconds."""

    def __init__(self, reply: bytes, pause: float = 0.02) -> None:
        """Keep what is said, and how slowly."""
        super().__init__(reply, pause)
        self.reply = reply
        self.pause = pause


#: What a command is answered with: octets, or one of the three exceptions, raised.
Script = Callable[[Command], bytes]

NIL = b"*-1\r\n"
_STAMP = b"0006500000000000"
_SCRIPTS = (
    ("lookup", LOOKUP), ("fill", FILL), ("purge", PURGE), ("snapshot", SNAPSHOT),
    ("register", REGISTER), ("late", LATE), ("relay", RELAY), ("repair", REPAIR),
    ("release", RELEASE), ("renew", RENEW),
)  # fmt: skip


def bulk(text: bytes) -> bytes:
    """A bulk string."""
    return b"$%d\r\n%b\r\n" % (len(text), text)


def granted(stamp: bytes = _STAMP, frame: bytes = b"", vary: bytes = b"") -> bytes:
    """A look-up that found nothing, or a frame, and grants the lease."""
    return b"*4\r\n" + bulk(stamp) + bulk(frame) + bulk(vary) + b":1\r\n"


def found(frame: bytes) -> bytes:
    """A look-up that found a frame, and grants nothing."""
    return b"*4\r\n" + bulk(_STAMP) + bulk(frame) + bulk(b"") + b":0\r\n"


def well_behaved(command: Command) -> bytes:
    """Nothing is ever found, everything is stored and purged."""
    return {"lookup": granted(), "purge": bulk(_STAMP)}.get(kind(command), b":1\r\n")


def constantly(reply: bytes) -> Script:
    """A script that says the same to everything."""
    return lambda _: reply


def erring(error: bytes | str) -> Script:
    """A script that answers everything by an error, such as `LOADING` or one of `ERRORS`."""
    text = error.encode() if isinstance(error, str) else error
    return constantly(b"-" + text + b"\r\n")


def stopping(reply: bytes, how: type[Hang] | type[Hangup]) -> Script:
    """A script that says a part of a reply, then nothing more."""

    def script(_: Command) -> bytes:
        raise how(reply)

    return script


def dripping(reply: bytes, pause: float = 0.02) -> Script:
    """A script whose replies come octet by octet, each well within the deadline of a read."""

    def script(_: Command) -> bytes:
        raise Drip(reply, pause)

    return script


def kind(command: Command) -> str:
    """What a command is about."""
    script = command[1].decode() if len(command) > 1 else ""
    for name, known in _SCRIPTS:
        if script in known:
            return name
    return command[0].decode().lower()


class ScriptedRedis:
    """The server. A context manager.

    Attributes:
        script: answers look-ups, fills and purges.
        everything: the script answers every command, the handshake's too.
        seen: how many commands of each kind have come.
        accepted: how many connections have been made.
        closing: set when the server ends.
    """

    def __init__(self, script: Script = well_behaved, *, everything: bool = False) -> None:
        """Listen on any free port of 127.0.0.1; nobody is answered before `with`.

        Args:
            script: answers look-ups, fills and purges.
            everything: the script answers every command, the handshake's too.
        """
        self.script = script
        self.everything = everything
        self.seen: Counter[str] = Counter()
        self.accepted = 0
        self._lock = Lock()
        self._open: dict[int, socket.socket] = {}
        self.closing = Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._threads = [Thread(target=self._accept, name="scripted-redis")]

    @property
    def url(self) -> str:
        """Its URL."""
        port: int = self._listener.getsockname()[1]
        return f"redis://127.0.0.1:{port}/0"

    @property
    def open(self) -> int:
        """How many connections clients keep open."""
        return len(self._open)

    def behave(self) -> None:
        """Answer properly from now on."""
        self.everything, self.script = False, well_behaved

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Break every connection, and end."""
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open.values()):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.accepted += 1
                number = self.accepted
                self._open[number] = connection
            thread = Thread(target=self._serve, args=(number, connection), name="scripted-client")
            self._threads.append(thread)
            thread.start()

    def _serve(self, number: int, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as commands, suppress(OSError, EOFError):
                self._converse(connection, commands)
        finally:
            with self._lock:
                self._open.pop(number, None)

    def _converse(self, connection: socket.socket, commands: BinaryIO) -> None:
        while not self.closing.is_set():
            command = _read(commands)
            with self._lock:
                self.seen[kind(command)] += 1
            try:
                self.say(connection, self._answer(command))
            except Hangup as goodbye:
                connection.sendall(b"".join(goodbye.args))
                return
            except Drip as drip:
                for octet in drip.reply:
                    self.say(connection, bytes((octet,)))
                    self.closing.wait(drip.pause)
            except Hang as last:
                connection.sendall(b"".join(last.args))
                while commands.read(1):
                    pass
                return

    def say(self, connection: socket.socket, reply: bytes) -> None:
        """Send a reply."""
        connection.sendall(reply)

    def _answer(self, command: Command) -> bytes:
        about = kind(command)
        if self.everything or about in {"lookup", "fill", "purge", "repair"}:
            return self.script(command)
        if about == "snapshot":
            return b"*3\r\n" + bulk(_STAMP) + bulk(b"0-0") + b"*0\r\n"
        if about == "xread":
            self.closing.wait(0.05)
            return NIL
        return b"+OK\r\n"


def _read(commands: BinaryIO) -> Command:
    """One command as clients send it: an array of bulk strings.

    Raises:
        EOFError: the client has gone.
    """
    count = _number(commands, b"*")
    return [commands.read(_number(commands, b"$") + 2)[:-2] for _ in range(count)]


def _number(commands: BinaryIO, mark: bytes) -> int:
    line = commands.readline()
    if line[:1] != mark:
        raise EOFError
    return int(line[1:])
